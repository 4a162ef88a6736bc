/* chain_codes.h - after which failures the next target of a chain is asked: a set of codes, one bit each. */
#ifndef SERVER_STATE_CHAIN_CODES_H
#define SERVER_STATE_CHAIN_CODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/base/buf.h"

/* The bit of an MP_E_... . */
uint64_t chain_code_bit(int code);
/* What holds when nothing is said: rate_limited, quota_exceeded, provider_unavailable, timeout. */
uint64_t chain_fall_on_default(void);
/* The bit of a wire code that may be fallen back on; false = it may not, or is none. */
bool chain_code_parse(const char *code, uint64_t *bit);
/* Appends the codes of a set, space separated. */
void chain_codes_format(uint64_t set, struct buf *out);
/* Every code that may be named, in their order; NULL beyond the last. */
const char *chain_code_at(size_t i);
/* Of such a text; words that may not be named are left out. */
uint64_t chain_codes_read(const char *text);

#endif

/* limits.h - what a provider says is left, in words (PROTOCOL.md, the Provider object). */
#ifndef CLIENT_LIMITS_H
#define CLIENT_LIMITS_H

#include <stdint.h>

#include "protocol/value.h"

struct app;

/* "requests 59 of 60, tokens 149 k of 150 k (resets in 6 min)" for a list of limits; "" when it is
 * empty or missing. */
const char *limits_words(struct app *a, const struct value *list, int64_t now_ms);
/* "rate-limited, 12 min left", "error: nothing listens at ...": a provider's status with its reason. */
const char *limits_status(struct app *a, const struct value *provider, int64_t now_ms);

#endif

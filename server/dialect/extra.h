/* extra.h - options.extra: members of the user's own for the provider's request, and other JSON
 * from outside that is copied into a body. */
#ifndef SERVER_DIALECT_EXTRA_H
#define SERVER_DIALECT_EXTRA_H

#include "protocol/base/json.h"
#include "server/dialect/dialect.h"

/* Reads it (json_clear frees). MP_E_INVALID_PARAMS when it is no object or names one of the
 * reserved members, which decide what we send and how the answer is read (the list ends with
 * NULL). */
int extra_read(struct json *extra, const struct text *t, const char *const *reserved,
    struct error *err);
bool extra_has(const struct json *extra, const char *key);
/* The first member's key, for json_next; JSON_NONE when there is none. */
uint32_t extra_first(const struct json *extra);
/* Copies the member with that key token as it came. */
void extra_put(struct json_writer *w, const struct json *extra, uint32_t key);

/* The request is written, r says how that went: frees the extra members, refuses a body that grew too large,
 * and clears what failed. */
int encode_end(struct json *extra, struct wire_request *out, int r, struct error *err);

/* Copies JSON text of that type as it came; MP_E_INVALID_PARAMS with the field when it is something
 * else. */
int put_checked_json(struct json_writer *w, const char *field, const struct text *t,
    enum json_type type, struct error *err);

#endif

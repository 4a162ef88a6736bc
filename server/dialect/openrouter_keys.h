/* openrouter_keys.h - OpenRouter's API of keys, for minting one that ends by itself. Pure translation.
 *
 * All of it wants a management key (made at openrouter.ai/settings/management-keys, no use for chats) as
 * "Authorization: Bearer"; paths are below the base URL /api/v1.
 *
 *   POST   /keys         {"name":str, "limit":USD number, "expires_at":"2027-12-31T23:59:59Z" (UTC only),
 *                         "limit_reset"?, "include_byok_in_limit"?}
 *                        201 {"data":{"hash":str, "name":str, "disabled":bool, "limit":number, ...},
 *                             "key":"sk-or-v1-..."}  (the key is told here and never again)
 *   GET    /keys?offset=N   200 {"data":[{"hash", "name", ...}, at most 100, newest first]}
 *   DELETE /keys/{hash}  200 {"deleted":true}; 404 when there is none
 *   PATCH  /keys/{hash}  name, disabled, limit, limit_reset, include_byok_in_limit: an end cannot be moved
 *   errors 400, 401, 403, 404, 429, 500 {"error":{"code":int,"message":str}}, as everywhere at OpenRouter
 *
 * Source: openrouter.ai/docs/api/api-reference/api-keys (create-keys, list, delete-keys, update-keys) and
 * docs/guides/overview/auth/management-api-keys, as stored in November 2026; CreateKeysResponse of their
 * TypeScript SDK. Not tried against the service itself: we have no account there. */
#ifndef SERVER_DIALECT_OPENROUTER_KEYS_H
#define SERVER_DIALECT_OPENROUTER_KEYS_H

#include <stdint.h>

#include "server/model/wire.h"

#define OPENROUTER_HASH_BYTES 129 /* with the NUL */
#define OPENROUTER_KEYS_PAGE 100

/* name: 1 to 100 characters; expires_ms: since the epoch, rounded down to a second. */
void openrouter_keys_create(const char *name, int64_t limit_microusd, int64_t expires_ms,
    struct wire_request *out);
void openrouter_keys_list(size_t offset, struct wire_request *out);
/* MP_E_INVALID_PARAMS for what cannot be a hash. */
int openrouter_keys_delete(const char *hash, struct wire_request *out);

/* What create answered: the hash, and where in body the key stands. MP_E_INVALID_PARAMS when one of them is
 * missing or is none. */
int openrouter_keys_created(struct slice body, char hash[OPENROUTER_HASH_BYTES], struct slice *key);
/* A page of the list: the hash of the one with that name ("" = not on it), and how many were on it. */
int openrouter_keys_find(struct slice body, const char *name, char hash[OPENROUTER_HASH_BYTES],
    size_t *count);

#endif

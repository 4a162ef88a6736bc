/* token.h - tokens that are handed out: a test session's, a program's for the gateway (THREATS.md
 * section 7). What is kept of one is vault_token_hash of its text. */
#ifndef SERVER_VAULT_TOKEN_H
#define SERVER_VAULT_TOKEN_H

#include "protocol/base/secret.h"

#define TOKEN_RANDOM_BYTES 32

/* prefix and 32 random bytes as base64url (43 characters, no padding). The prefix begins with "mpd_", so
 * that logs blank it and `mpc` knows it for a secret. NULL when there is no locked memory. Caller frees. */
struct secret *token_new(const char *prefix);

#endif

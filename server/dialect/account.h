/* account.h - what a gateway tells of a key and of the account behind it: GET /key and GET /credits of a
 * provider with the feature "credit-limits" (providers/openrouter.md section 6). Pure functions over a
 * reply's bytes. */
#ifndef SERVER_DIALECT_ACCOUNT_H
#define SERVER_DIALECT_ACCOUNT_H

#include "protocol/base/str.h"
#include "server/model/limits.h"

struct account {
	/* credit: what this key may still cost. balance: what the account has left. free-requests: of a day,
	 * for free models only. */
	struct limits limits;
	int64_t key_expires_ms; /* wall clock; 0 = never, or not told */
};

/* Both add what they find. MP_E_INVALID_PARAMS when the reply is no such thing. now_ms: wall clock, for what
 * resets at midnight UTC. */
int account_key_reply(struct slice json, int64_t now_ms, struct account *out);
int account_credits_reply(struct slice json, int64_t now_ms, struct account *out);

#endif

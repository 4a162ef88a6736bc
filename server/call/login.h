/* login.h - asks a provider's own program whether it is logged in. Same life as a listing: on_end comes
 * once from the loop unless it is stopped; login_free only when no carrier's function is below on the
 * stack. */
#ifndef SERVER_CALL_LOGIN_H
#define SERVER_CALL_LOGIN_H

#include "server/call/attempt.h"

struct login;

/* Whether the provider is a program that can be asked. */
bool login_possible(const struct provider *provider);
/* failure NULL = logged in; else redacted. NULL and err when it cannot be asked. */
struct login *login_start(const struct attempt_parts *parts, const struct provider *provider,
    int64_t timeout_ms, void (*on_end)(void *arg, const struct failure *failure, int64_t latency_ms),
    void *arg, struct error *err);
void login_stop(struct login *l); /* NULL is harmless */
void login_free(struct login *l);

#endif

/* listing.h - one question to a provider: which models do you have? It shows whether the endpoint
 * answers and the key is good, and costs nothing. Belongs to a probe or a detection. */
#ifndef SERVER_CALL_LISTING_H
#define SERVER_CALL_LISTING_H

#include "server/call/attempt.h"

struct listing;

struct listing_end {
	const struct failure *failure; /* NULL = it answered; redacted */
	const char *const *models;
	size_t count;
	int64_t latency_ms;
	bool key_sent;
};

/* on_end comes once, from the loop, unless stopped. provider is copied. NULL and err when nothing can be
 * sent: no key, or MP_E_INVALID_STATE when the provider's dialect has no list. */
struct listing *listing_start(const struct attempt_parts *parts, const struct provider *provider,
    const char *label, int64_t timeout_ms, void (*on_end)(void *arg, const struct listing_end *e),
    void *arg, struct error *err);
bool listing_possible(const struct provider *provider);
void listing_stop(struct listing *l);
/* Only from loop_defer, as attempt_free. NULL is harmless. */
void listing_free(struct listing *l);

#endif

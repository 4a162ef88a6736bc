/* listing.h - one question to a provider: which models do you have? It shows whether the endpoint
 * answers and the key is good, and costs nothing. Belongs to a probe or a detection.
 *
 * Where the answer comes from: the health check (if asked for and not the list itself), what the key is good
 * for (feature "credit-limits"), then the list: LM Studio's own API where the provider has the feature
 * "lmstudio-api", else the dialect's, page after page. Then what a server tells beside it: the account's
 * credit, what is loaded and the context in use (Ollama, llama.cpp), and the models that have to be asked for
 * one by one. A failure there costs only the facts; so does one of a later page, with a warning. */
#ifndef SERVER_CALL_LISTING_H
#define SERVER_CALL_LISTING_H

#include "server/call/attempt.h"
#include "server/dialect/account.h"
#include "server/model/roster.h"

struct listing;

struct listing_end {
	const struct failure *failure; /* NULL = it answered; redacted */
	const struct provider *provider; /* as it was asked */
	struct roster *models;           /* in the server's order; the content may be taken */
	size_t count;
	const char *warning;             /* for people: it is not whole, and why; NULL = it is */
	const struct account *account;   /* what was told of the key; limits.count 0 = nothing */
	int64_t latency_ms;
	bool key_sent;
	int key_valid;                   /* 1 taken, 0 rejected; -1 = the answers do not show it */
	bool reached;                    /* somebody answered, whatever he said */
};

/* on_end comes once, from the loop, unless stopped. provider is copied. NULL and err when nothing can be
 * sent: no key, or MP_E_INVALID_STATE when the provider's dialect has no list. */
struct listing *listing_start(const struct attempt_parts *parts, const struct provider *provider,
    const char *label, bool health, int64_t timeout_ms,
    void (*on_end)(void *arg, const struct listing_end *e), void *arg, struct error *err);
bool listing_possible(const struct provider *provider);
void listing_stop(struct listing *l);
/* Only from loop_defer, as attempt_free. NULL is harmless. */
void listing_free(struct listing *l);

#endif

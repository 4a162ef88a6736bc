/* mint.h - keys that are made at a provider for one test, and deleted there when it is over.
 *
 * Only OpenRouter's API is spoken (a provider with the feature "mint-keys"), with the management key that is
 * stored under the label "management". A key is noted on disk before it is asked for and before it is used
 * (state/minted.h), so whatever is killed when, it is deleted at last: when its session ends, at the next
 * start, and again with longer and longer pauses while that fails, a bounded number of times a run. It
 * has a limit and an end at the provider all the same.
 *
 *   mints - owns -> mint (one key being made) - owns -> transfer
 *         - owns -> deletion (one at a time)  - owns -> transfer */
#ifndef SERVER_CALL_MINT_H
#define SERVER_CALL_MINT_H

#include "protocol/base/secret.h"
#include "server/call/attempt.h"
#include "server/state/minted.h"
#include "server/state/sessions.h"

#define MINT_LABEL "management"

struct mints;
struct mint;

/* Borrows all. retry_ms: the first pause after a deletion that failed (0 = half a minute); tests make it
 * short. Deleting begins with the loop. */
struct mints *mints_new(const struct attempt_parts *parts, struct sessions *ss, struct minted *minted,
    struct changes *changes, int64_t retry_ms);
void mints_free(struct mints *ms);

bool mint_possible(const struct provider *p);

struct mint_result {
	int code; /* 0 = made, else MP_E_... */
	const struct error *error;
	int64_t id;               /* of minted.h */
	const struct secret *key; /* borrowed for the callback */
};

/* Makes a key that is worth limit_microusd and ends at expires_ms. on_done comes once, from the loop, unless
 * cancelled; a key it gives is left alone until mint_settle. NULL and err when it cannot be asked for. */
struct mint *mint_start(struct mints *ms, const struct provider *p, int64_t limit_microusd,
    int64_t expires_ms, int64_t timeout_ms, void (*on_done)(void *arg, const struct mint_result *r),
    void *arg, struct error *err);
/* A key that is on its way is deleted once it is there. */
void mint_cancel(struct mint *m);
/* The owner has decided: it belongs to the session its row names now, or to nobody and is deleted. */
void mint_settle(struct mints *ms, int64_t id);

#endif

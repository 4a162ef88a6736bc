/* story.h - a classified failure as a sentence for people: what happened, why, what to do
 * (UX.md section 7, providers/limits-and-errors.md section 5). */
#ifndef SERVER_CALL_STORY_H
#define SERVER_CALL_STORY_H

#include "protocol/base/err.h"
#include "server/model/failure.h"
#include "server/model/provider.h"
#include "server/model/target.h"
#include "server/state/credentials.h"

/* What the story may know. provider and credential may be NULL; key_sent: a key went along.
 * checking: nothing was asked of a model, so the sentence is about the provider alone. */
struct story {
	const struct target *target;
	const struct provider *provider;
	const struct credential *credential;
	bool key_sent;
	bool checking;
	int64_t timeout_ms; /* the caller's own patience; 0 = none */
};

/* Removes what looks like a key from the provider's words, in place. Before they travel anywhere. */
void failure_redact(struct failure *f);

/* Fills err from a (redacted) failure and returns its code. */
int story_tell(const struct story *s, const struct failure *f, struct error *err);

/* Completes an error that arose before anything was sent (no key, locked, not sayable): puts
 * "cannot use REF: " before the message unless it already says so, names the provider, and adds the fix
 * when there is none. */
void story_unsent(const struct story *s, struct error *err);

#endif

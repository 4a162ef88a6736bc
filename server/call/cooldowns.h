/* cooldowns.h - what has just failed and is better left alone for a while: the narrowest thing that the
 * failure speaks of (a model with a key, a model, a key, a provider), until the time the provider named, else
 * for a while that doubles (providers/limits-and-errors.md section 1).
 *
 * It is a circuit breaker: closed without an entry; open until the time is over; then one call is let
 * through to try, and what comes of that closes it or opens it for longer. Judged at the end of a try, by
 * calls alone: checks and lists never open anything. Kept over restarts; written a moment later, never by
 * the call. */
#ifndef SERVER_CALL_COOLDOWNS_H
#define SERVER_CALL_COOLDOWNS_H

#include "server/base/loop.h"
#include "server/model/failure.h"
#include "server/model/target.h"
#include "server/state/changes.h"
#include "server/state/providers.h"

struct cooldowns;

/* All borrowed. What is stored and still holds is in force at once. */
struct cooldowns *cooldowns_new(struct loop *loop, struct store *store, struct providers *ps,
    struct changes *changes);
void cooldowns_free(struct cooldowns *cs); /* stores what is not stored yet; NULL is harmless */

struct cooldown {
	enum failure_class class;
	int64_t until_ms; /* wall clock; 0 = another call is trying it now */
	bool stated;      /* the provider named the time; else it is our guess */
};
/* Whether something that t needs is cooling down; the one that lasts longest. */
bool cooldowns_find(const struct cooldowns *cs, const struct target *t, struct cooldown *out);
/* The same for the key alone that t names. */
bool cooldowns_find_key(const struct cooldowns *cs, const struct target *t, struct cooldown *out);
/* A try of t begins. True where the time is over: it is the one that is let through, and its end must be
 * reported, whatever it is. */
bool cooldowns_begin(struct cooldowns *cs, const struct target *t);
/* It is over; f NULL = a whole answer. One that nobody waited for (FAILURE_CANCELLED) says nothing of t: the
 * next one is let through instead. */
void cooldowns_report(struct cooldowns *cs, const struct target *t, const struct failure *f);

#endif

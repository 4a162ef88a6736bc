/* call.h - the life of a call: one chat from a front door to its end, one attempt after another.
 *
 *   PLANNED -> CONNECTING -> STREAMING -> DONE | FAILED | CANCELLED
 *
 * A call belongs to its front door; an attempt belongs to its call. The watch hears on_start once per
 * attempt, any number of events, and on_end exactly once, always from the loop, never from inside
 * call_start. The call frees itself after on_end; call_cancel is the only way to end it early.
 *
 * Until a try delivers text, reasoning or a tool call nothing of it reaches the watch but on_start, so that a
 * failure up to there may lead to the next target of the route (tour.h), which on_fallback tells. After it
 * the call is that target's alone. A refusal of signatures in the history is worth a second try without
 * them. */
#ifndef SERVER_CALL_CALL_H
#define SERVER_CALL_CALL_H

#include "protocol/base/err.h"
#include "server/base/loop.h"
#include "server/call/route.h"
#include "server/model/chat.h"
#include "server/model/event.h"
#include "server/upstream/carrier.h"

struct attempt_parts;
struct store;
struct tour;
struct calls; /* all calls of the daemon */
struct call;

/* Copies parts; what they name is borrowed. */
struct calls *calls_new(const struct attempt_parts *parts);
/* Cancels what runs (no on_end comes). */
void calls_free(struct calls *cs);
/* From now on conversations are with the same keys after a restart. What makes it so is stored, once. */
void calls_keep_shares(struct calls *cs, struct store *store);
/* For tests: how long the first wait is before the same target is tried again. */
void calls_hurry(struct calls *cs, int64_t backoff_ms);
size_t calls_count(const struct calls *cs);

struct call_start {
	const struct target *target;
	unsigned attempt;
	const char *why; /* "persistent", "request", ... */
	const char *chain; /* "" = none */
	size_t position;   /* in the chain, from 1 */
	const char *key;   /* label of the one of several keys that share; "" = nobody chose */
};

/* A target is left for another one, or asked once more: from and to are the same then; maybe with another
 * key. */
struct call_fallback {
	const struct target *from, *to;
	const char *chain;
	size_t position;          /* of `to` in the chain, from 1 */
	int code;                 /* MP_E_... */
	enum failure_class class; /* FAILURE_NONE when it was passed over */
	bool passed;              /* `from` was not asked: it cannot serve now */
	int64_t wait_ms;          /* before `to` is asked */
	const char *from_key, *to_key; /* labels where keys share the calls of theirs; "" = nobody chose */
};

struct call_end {
	int code;                 /* 0 = done, else MP_E_... */
	enum stop_reason stop;    /* when code is 0 */
	const struct error *error; /* when code is not 0: for people, with hint and retry_after */
	const struct failure *failure; /* what the provider said; NULL when it never came to that */
	bool partial;             /* something was delivered before the failure */
	struct usage usage;
	const struct target *target;
	const struct tour *tour;  /* what happened on the way */
	int64_t duration_ms;
	int64_t first_token_ms;   /* -1 = nothing came */
};

struct call_watch {
	void (*on_start)(void *arg, const struct call_start *s);
	/* TEXT, REASONING (if wanted), TOOL_*, USAGE, WARNING. */
	void (*on_event)(void *arg, const struct event *e);
	void (*on_end)(void *arg, const struct call_end *e);
	void (*on_fallback)(void *arg, const struct call_fallback *f); /* may be NULL */
};

/* Takes chat, whatever happens. Route is copied. timeout_ms 0 = the default total. NULL and err when
 * it cannot begin at all (too many calls, shutting down); everything later arrives through on_end.
 * client: name for status. */
struct call *call_start(struct calls *cs, struct chat_request *chat, const struct route *route,
    int64_t timeout_ms, const char *client, const struct call_watch *watch, void *arg,
    struct error *err);
/* Ends it: on_end comes with stop CANCELLED (code 0) on the next tick, unless silent (the owner is
 * gone): then nothing more comes. */
void call_cancel(struct call *c, bool silent);
/* Back-pressure: a slow reader pauses its transfer. */
void call_pause(struct call *c, bool paused);

/* For prompt.list and status. Borrowed. */
struct call_info {
	const struct target *target;
	const char *client;
	const char *state; /* "connecting", "streaming" */
	int64_t started_ms;
	int64_t bytes; /* of text so far */
	struct usage usage; /* of the try that runs, until now; estimated where it is not told */
};
void call_info(const struct call *c, struct call_info *out);
void calls_each(const struct calls *cs, void (*each)(void *arg, const struct call *c), void *arg);
/* No new calls from now on (MP_E_SHUTTING_DOWN), and no program waits for one. */
void calls_drain(struct calls *cs);
/* Ends what runs, each with this error, before it returns; how many. Only from the loop. */
size_t calls_end_all(struct calls *cs, const struct error *err);
/* Ends what still runs, each with MP_E_SHUTTING_DOWN, before it returns. Only from the loop. */
void calls_abort(struct calls *cs);

#endif

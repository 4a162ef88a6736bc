/* call_inside.h - the struct behind call.h. Private to call.c (its life) and call_tries.c (one try after
 * another). */
#ifndef SERVER_CALL_CALL_INSIDE_H
#define SERVER_CALL_CALL_INSIDE_H

#include "server/call/attempt.h"
#include "server/call/call.h"
#include "server/call/story.h"
#include "server/call/tour.h"

#define CALL_WARNINGS_MAX 16

enum call_state {
	CALL_PLANNED,    /* nothing was sent */
	CALL_CONNECTING, /* sent, nothing was delivered to the watch; also while waiting for another try */
	CALL_STREAMING,  /* committed: the watch has seen output */
	CALL_DONE,
	CALL_FAILED,
	CALL_CANCELLED,
};

struct call {
	struct calls *calls;
	struct call *prev, *next;

	struct call_watch watch;
	void *arg;
	struct chat_request *chat;
	struct route route; /* its target is the one that is asked */
	struct tour tour;
	char *client;
	int64_t timeout_ms;

	bool conversation_known;
	uint64_t conversation; /* key_choice.h */

	enum call_state state;
	unsigned attempts;
	struct attempt *attempt;
	bool paused;
	bool on_trial;   /* the attempt is the one that a cooldown lets through */
	bool cancelling; /* call_cancel was asked; the end is queued */
	bool ended;      /* on_end was delivered, or the owner is gone */

	/* The preamble of a try: held back until it delivers something. */
	char *warnings[CALL_WARNINGS_MAX];
	size_t warning_count;
	struct usage usage;  /* of this try */
	struct text extra;   /* members for the first target's provider alone, while another is asked */

	int64_t started_wall_ms, started_ms, first_token_ms;
	int64_t bytes;

	struct loop_timer *patience; /* timeout_ms of the whole call */
	struct loop_timer *again;    /* the wait before another try */
	struct loop_deferred next_step; /* begin, or the end of a cancel */
	struct loop_deferred reaper;
};

struct calls {
	struct attempt_parts parts;
	struct key_choice *keys;
	struct call *first;
	size_t running; /* not ended */
	bool draining;
	int64_t backoff_ms;
};

/* The one place where the state changes. */
void call_move(struct call *c, enum call_state to);
/* Delivers the one end; e says how. */
void call_end(struct call *c, enum call_state how, struct call_end *e);
void call_end_error(struct call *c, const struct error *err, const struct failure *f);

/* The first try, from the loop. */
void call_begin(void *arg);
/* The next one, where the tour stands now. */
void call_try(void *arg);
/* Who tells what happened: the target that is asked, with the key it was asked with. */
struct story call_story(const struct call *c);
/* An attempt that was on trial ends without a word on its target: another call may try. */
void call_end_trial(struct call *c);

/* ---- keys that share the calls of their provider (call_keys.c) ---- */

/* Which key that step is asked with, into tour.key and the target; another: than those it was asked with. */
void call_aim(struct call *c, bool another);
/* As tour_world says. arg: the call. */
bool call_may_change_key(void *arg, size_t step);
/* Where the last of them failed: that none can serve now, and when the first can again. */
void call_tell_keys(const struct call *c, const struct failure *f, struct error *err);

/* What was held back goes out. */
void call_flush_preamble(struct call *c);
void call_drop_preamble(struct call *c);

#endif

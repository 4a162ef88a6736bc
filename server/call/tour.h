/* tour.h - the way of one call along the targets of its route: which is asked next and after what wait
 * (PROTOCOL.md section 6, providers/limits-and-errors.md section 1).
 *
 * Rules alone: no loop, no clock, no I/O. A failure goes to the next target when the chain falls back on it.
 * When none is left, those that may be tried again are, after their wait. A route without a chain is one
 * try. Where the keys of a provider share its calls, a failure of the key goes to another key first, with or
 * without a chain.
 * Everything is bounded: tries of a target and of a provider, tries in all, the waits together. */
#ifndef SERVER_CALL_TOUR_H
#define SERVER_CALL_TOUR_H

#include "server/call/plan.h"
#include "server/model/failure.h"

#define TOUR_PROVIDER_TRIES 3  /* of one provider, for one request */
#define TOUR_TRIES_MAX 12      /* in all */
#define TOUR_LOG_MAX 64
#define TOUR_QUICK_MS 1500     /* so short a wait is waited out, even when another target could serve */
#define TOUR_WAITS_MAX_MS 60000 /* all waits of a request together */

/* One thing that happened on the way. */
struct tour_stop {
	size_t step;
	int code;     /* MP_E_... */
	bool passed;  /* it was not asked at all */
	enum failure_class class; /* when it was */
	char key[65]; /* label of the key, where keys share; "" = nobody chose one */
};

struct tour_step {
	unsigned tries;
	bool passed;         /* it cannot serve: not asked in this request any more */
	bool may_be_again;   /* after ready_ms */
	int64_t wait_ms;     /* as the provider said; -1 = it did not */
	int64_t ready_ms;
};

struct tour {
	const struct route *route;
	size_t at;           /* the step that is asked */
	struct tour_step steps[PLAN_STEPS_MAX];
	struct tour_stop log[TOUR_LOG_MAX];
	size_t log_count;
	unsigned tries;
	int64_t waited_ms;   /* in all */
	int64_t backoff_ms;  /* the first one */
	char key[65];        /* of step `at`: as in tour_stop; the owner's to set */
	bool other_key;      /* the next try is of the same target with another key */
};

/* What the owner knows. */
struct tour_world {
	/* Why a target cannot serve now: MP_E_... and the sentence in err; 0 = it can. */
	int (*unfit)(void *arg, const struct target *t, struct error *err);
	/* Tokens of context its model has; 0 = unknown. */
	int64_t (*context_tokens)(void *arg, const struct target *t);
	void *arg;
	int64_t now_ms;  /* monotonic */
	int64_t left_ms; /* the caller's patience; -1 = without end */
	unsigned chance; /* random: spreads the waits */
	/* Whether that step can be asked with another key than those it was asked with; NULL = never. */
	bool (*may_change_key)(void *arg, size_t step);
};

/* route is borrowed and stays as it is; backoff_ms is the first wait where the provider names none. */
void tour_init(struct tour *t, const struct route *route, int64_t backoff_ms);
/* The first target. Those that the plan passed over are in the log. False when none can serve. */
bool tour_begin(struct tour *t);
/* After a failure before anything was delivered: true when another try comes, at t->at after *wait_ms. */
bool tour_next(struct tour *t, const struct failure *f, const struct tour_world *w, int64_t *wait_ms);
/* The same when it could not even be sent. */
bool tour_skip(struct tour *t, int code, const struct tour_world *w, int64_t *wait_ms);
/* Whether it was asked with that key, and failed. */
bool tour_tried_key(const struct tour *t, size_t step, const char *label);
/* One more try of the same target, for a reason of the owner's; false when there were enough. */
bool tour_again(struct tour *t);

/* Whether a chain with these codes goes on to another target after such a failure. */
bool tour_falls_on(uint64_t fall_on, enum failure_class class);
/* err, what the last target said, becomes chain_exhausted when several were asked or passed over and the last
 * failure was one to fall back on; otherwise it stays. */
void tour_tell(const struct tour *t, const struct failure *last, int64_t now_ms, struct error *err);

#endif

/* prune.h - forgetting: rows before a day go, and what they came to per hour; what each day came to stays
 * unless that is to go, too.
 *
 * The day is noted first, and from then on every question about the time before it is answered from the days
 * alone; then rows go in pieces, between the turns of the loop, and the room they took goes back to the disk.
 * So sums are right at every moment, and what kill -9 cut off goes on at the next start. */
#ifndef SERVER_USAGE_PRUNE_H
#define SERVER_USAGE_PRUNE_H

#include "server/usage/ledger.h"

struct prune; /* one per ledger */

struct prune_plan {
	int64_t before_ms; /* the beginning of a day */
	bool days;         /* what the days came to goes, too */
};

struct pruned {
	int64_t before_ms;
	int64_t rows, days; /* how many requests, and of how many days (those that go only) */
	int64_t bytes;      /* that the disk got back; 0 = the room is kept for what comes */
};

/* Goes on with what was cut off. Both are borrowed. */
struct prune *prune_new(struct loop *loop, struct ledger *ledger);
void prune_free(struct prune *p); /* the rest is done at the next start; nobody is called */

/* The beginning of the day that holds at_ms, and not later than today's. */
int64_t prune_day(int64_t at_ms);
/* What would go. 0 or MP_E_... */
int prune_look(const struct prune *p, const struct prune_plan *plan, struct pruned *out);
/* Begins. done (may be NULL) hears once, from the loop: code 0 or MP_E_STORAGE, then the rest is tried again
 * later. MP_E_BUSY: another one is at work. */
int prune_begin(struct prune *p, const struct prune_plan *plan,
    void (*done)(void *arg, int code, const struct pruned *what), void *arg, struct error *err);
/* Nobody waits for the end any more; it goes on. */
void prune_forget(struct prune *p);
bool prune_running(const struct prune *p);

#endif

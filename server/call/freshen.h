/* freshen.h - lists of models that got old are asked for again by themselves.
 *
 * Calm: one provider after the other, spread over time, and only those that were listed before, are
 * enabled, did not fail the last time, and have what they need (an opened key, or a local server that
 * answered). It is no use of a provider: neither its status nor its last use change, nor any override. Who
 * does not answer, or not with a whole list, keeps the old one and is left alone for as long as a list lasts.
 * Between two looks there is one timer and nothing else. */
#ifndef SERVER_CALL_FRESHEN_H
#define SERVER_CALL_FRESHEN_H

#include <stdint.h>

#include "server/call/probe.h"

struct freshen;

struct freshen_policy {
	int64_t old_ms;    /* so long a list lasts */
	int64_t jitter_ms; /* and up to so much longer, differently for every provider */
	int64_t first_ms;  /* from the start to the first look */
	int64_t look_ms;   /* the longest time between two looks */
	int64_t pause_ms;  /* the shortest */
};
/* A day and up to two hours; the first look after five minutes. */
extern const struct freshen_policy freshen_calm;

/* Begins at once. All are borrowed and outlive it; policy is copied. */
struct freshen *freshen_new(struct probes *p, struct routes *r, const struct freshen_policy *policy);
/* Asks nobody any more. */
void freshen_stop(struct freshen *f);
void freshen_free(struct freshen *f); /* NULL is harmless */

#endif

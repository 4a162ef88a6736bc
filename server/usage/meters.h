/* meters.h - counters of what the ledger took since the daemon began, for programs that draw curves.
 *
 * Everything only grows, and begins at 0 with the daemon. Kept per provider and model; beyond METERS_MODELS
 * of them the rest is counted as METERS_OTHER of its provider, so memory and answers are bounded. */
#ifndef SERVER_USAGE_METERS_H
#define SERVER_USAGE_METERS_H

#include "server/usage/ledger.h"

#define METERS_MODELS 200
#define METERS_OUTCOMES 40 /* of one model; more than there are */
#define METERS_OTHER "_other"

/* The buckets of the OpenTelemetry conventions for generative AI. */
#define METER_BUCKETS 14
extern const int64_t meter_token_bounds[METER_BUCKETS];  /* tokens */
extern const int64_t meter_duration_bounds[METER_BUCKETS]; /* milliseconds */

struct histogram {
	int64_t counts[METER_BUCKETS + 1]; /* the last: above every bound */
	int64_t count, sum;
};

struct meter_outcome {
	char outcome[32];
	int64_t requests;
	struct histogram duration; /* of attempts of ours, in milliseconds */
};

struct meter {
	char *provider, *model;
	struct histogram input, output; /* tokens of one attempt, where they are known */
	int64_t cache_read_tokens, reasoning_tokens;
	int64_t cost_microusd, plan_microusd, unpriced;
	struct meter_outcome *outcomes;
	size_t outcome_count;
};

struct meters;

struct meters *meters_new(struct ledger *ledger);
void meters_free(struct meters *m); /* before the ledger; NULL is harmless */
size_t meters_count(const struct meters *m);
const struct meter *meters_at(const struct meters *m, size_t i);

#endif

/* provider_health.h - how one provider has been doing: kept in memory, never stored.
 *
 * Plain data inside its owner (providers.c); times are wall clock. */
#ifndef SERVER_STATE_PROVIDER_HEALTH_H
#define SERVER_STATE_PROVIDER_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#include "server/model/limits.h"
#include "server/state/provider_activity.h"

#define HEALTH_LATENCIES 64

struct health {
	int code;
	char *message;
	int64_t since_ms, until_ms, last_used_ms;
	int64_t models_count;
	int64_t latencies[HEALTH_LATENCIES]; /* a ring of the last ones */
	unsigned latency_count;              /* ever; the ring holds the last HEALTH_LATENCIES */
	struct activity activity;
	struct limits limits;
	int64_t limits_told_ms; /* when the last news of them went out */
};

void health_init(struct health *h);
void health_clear(struct health *h);
/* Both say whether the provider now stands differently than before. */
bool health_ok(struct health *h, int64_t latency_ms, int64_t now_ms);
bool health_failed(struct health *h, int code, const char *message, int64_t until_ms,
    int64_t now_ms);
/* What was so in an earlier life: when it was used, and how long it took (-1 = it did not answer). */
void health_recall(struct health *h, int64_t used_ms, int64_t latency_ms);
/* Takes a reading of limits; whether it is worth telling: a wall was reached or is gone, or nothing was
 * told for a second. */
bool health_limits(struct health *h, const struct limits *later, int64_t now_ms);
/* The latency that so many per cent of the last calls stayed below; -1 = unknown. */
int64_t health_latency(const struct health *h, unsigned percent);

#endif

#include "server/state/provider_health.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"

void
health_init(struct health *h)
{
	memset(h, 0, sizeof *h);
	h->models_count = -1;
}

void
health_clear(struct health *h)
{
	free(h->message);
	health_init(h);
}

bool
health_ok(struct health *h, int64_t latency_ms, int64_t now_ms)
{
	bool differs = h->code != 0;

	if (differs || h->since_ms == 0)
		h->since_ms = now_ms;
	h->code = 0;
	h->until_ms = 0;
	free(h->message);
	h->message = NULL;
	h->last_used_ms = now_ms;
	if (latency_ms >= 0)
		h->latencies[h->latency_count++ % HEALTH_LATENCIES] = latency_ms;
	return differs;
}

bool
health_failed(struct health *h, int code, const char *message, int64_t until_ms, int64_t now_ms)
{
	bool differs = h->code != code || h->until_ms != until_ms;
	char *fresh = xstrdup(message);

	if (h->code != code || h->since_ms == 0)
		h->since_ms = now_ms;
	h->code = code;
	h->until_ms = until_ms;
	free(h->message);
	h->message = fresh;
	h->last_used_ms = now_ms;
	return differs;
}

void
health_recall(struct health *h, int64_t used_ms, int64_t latency_ms)
{
	if (used_ms > h->last_used_ms)
		h->last_used_ms = used_ms;
	if (latency_ms >= 0)
		h->latencies[h->latency_count++ % HEALTH_LATENCIES] = latency_ms;
}

/* News of mere counting is told this often. */
#define LIMITS_NEWS_MS 1000

bool
health_limits(struct health *h, const struct limits *later, int64_t now_ms)
{
	const struct limit *before = limits_wall(&h->limits, now_ms), *after;
	struct limits reading = *later;
	bool had = before != NULL;

	if (later->count == 0)
		return false;
	/* an event in an answer knows no clock */
	if (reading.at_ms == 0)
		reading.at_ms = now_ms;
	limits_merge(&h->limits, &reading);
	after = limits_wall(&h->limits, now_ms);
	if (had == (after != NULL) && now_ms - h->limits_told_ms < LIMITS_NEWS_MS)
		return false;
	h->limits_told_ms = now_ms;
	return true;
}

static int
compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

int64_t
health_latency(const struct health *h, unsigned percent)
{
	int64_t sorted[HEALTH_LATENCIES];
	unsigned n = h->latency_count < HEALTH_LATENCIES ? h->latency_count : HEALTH_LATENCIES;

	if (n == 0)
		return -1;
	memcpy(sorted, h->latencies, n * sizeof sorted[0]);
	qsort(sorted, n, sizeof sorted[0], compare);
	return sorted[n * percent / 100];
}

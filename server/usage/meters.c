#include "server/usage/meters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"

const int64_t meter_token_bounds[METER_BUCKETS] = { 1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144,
	1048576, 4194304, 16777216, 67108864 };
const int64_t meter_duration_bounds[METER_BUCKETS] = { 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10240,
	20480, 40960, 81920 };

/* Beyond the models: places for what is left of so many providers. */
#define METERS_PROVIDERS 100

struct meters {
	struct ledger *ledger;
	struct meter *of;
	size_t count, size;
};

static void
histogram_add(struct histogram *h, const int64_t *bounds, int64_t value)
{
	size_t i = 0;

	if (value < 0)
		return;
	while (i < METER_BUCKETS && value > bounds[i])
		i++;
	h->counts[i]++;
	h->count++;
	h->sum += value;
}

static struct meter *
find(struct meters *m, const char *provider, const char *model)
{
	for (size_t i = 0; i < m->count; i++)
		if (strcmp(m->of[i].model, model) == 0 && strcmp(m->of[i].provider, provider) == 0)
			return &m->of[i];
	return NULL;
}

static struct meter *
take(struct meters *m, const char *provider, const char *model)
{
	struct meter *found = find(m, provider, model);

	if (found != NULL)
		return found;
	/* a provider whose models are too many keeps one place; and there may be too many providers */
	if (m->count >= METERS_MODELS) {
		model = METERS_OTHER;
		if (m->count >= METERS_MODELS + METERS_PROVIDERS)
			provider = METERS_OTHER;
		if ((found = find(m, provider, model)) != NULL)
			return found;
	}
	if (m->count == m->size) {
		m->size = m->size > 0 ? m->size * 2 : 8;
		m->of = xrealloc(m->of, m->size * sizeof *m->of);
	}
	m->of[m->count] = (struct meter){ .provider = xstrdup(provider), .model = xstrdup(model) };
	return &m->of[m->count++];
}

static struct meter_outcome *
outcome_of(struct meter *m, const char *outcome)
{
	for (size_t i = 0; i < m->outcome_count; i++)
		if (strcmp(m->outcomes[i].outcome, outcome) == 0)
			return &m->outcomes[i];
	if (m->outcome_count >= METERS_OUTCOMES)
		return &m->outcomes[METERS_OUTCOMES - 1];
	m->outcomes = xrealloc(m->outcomes, (m->outcome_count + 1) * sizeof *m->outcomes);
	m->outcomes[m->outcome_count] = (struct meter_outcome){ .requests = 0 };
	snprintf(m->outcomes[m->outcome_count].outcome, sizeof m->outcomes->outcome, "%s", outcome);
	return &m->outcomes[m->outcome_count++];
}

static int64_t
at_least_0(int64_t n)
{
	return n > 0 ? n : 0;
}

static void
on_row(void *arg, const struct usage_row *row)
{
	struct meter *m = take(arg, row->provider, row->model);
	struct meter_outcome *o = outcome_of(m, row->outcome);
	const struct usage *u = &row->usage;

	o->requests++;
	if (row->request_key == NULL) /* who tells of a call rarely knows how long it took */
		histogram_add(&o->duration, meter_duration_bounds, row->duration_ms);
	histogram_add(&m->input, meter_token_bounds, u->input_tokens);
	histogram_add(&m->output, meter_token_bounds, u->output_tokens);
	m->cache_read_tokens += at_least_0(u->cache_read_tokens);
	m->reasoning_tokens += at_least_0(u->reasoning_tokens);
	if (u->cost_kind == COST_PLAN)
		m->plan_microusd += at_least_0(u->cost_microusd);
	else
		m->cost_microusd += at_least_0(u->cost_microusd);
	m->unpriced += u->cost_kind == COST_UNPRICED;
}

struct meters *
meters_new(struct ledger *ledger)
{
	struct meters *m = xcalloc(1, sizeof *m);

	m->ledger = ledger;
	ledger_subscribe(ledger, on_row, m);
	return m;
}

void
meters_free(struct meters *m)
{
	if (m == NULL)
		return;
	ledger_unsubscribe(m->ledger, m);
	for (size_t i = 0; i < m->count; i++) {
		free(m->of[i].provider);
		free(m->of[i].model);
		free(m->of[i].outcomes);
	}
	free(m->of);
	free(m);
}

size_t
meters_count(const struct meters *m)
{
	return m->count;
}

const struct meter *
meters_at(const struct meters *m, size_t i)
{
	return &m->of[i];
}

/* usage.c - what was used: sums, and the rows themselves. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/clock.h"
#include "server/rpc/objects.h"
#include "server/rpc/request.h"
#include "server/rpc/usage_object.h"
#include "server/usage/calendar.h"
#include "server/usage/ledger.h"

#define EXPORT_ROWS 1000
#define GROUPS 1000 /* in one answer when nothing is said */

/* What PROTOCOL.md calls `by`. */
static const struct {
	const char *word;
	enum usage_by by;
	enum usage_level step;
} bys[] = {
	{ "provider", USAGE_BY_PROVIDER, USAGE_DAYS },
	{ "model", USAGE_BY_MODEL, USAGE_DAYS },
	{ "client", USAGE_BY_CLIENT, USAGE_DAYS },
	{ "day", USAGE_BY_START, USAGE_DAYS },
	{ "hour", USAGE_BY_START, USAGE_HOURS },
};

#define BYS (sizeof bys / sizeof *bys)

static void
sums_add(struct usage_sums *to, const struct usage_sums *s)
{
	to->requests += s->requests;
	to->failed += s->failed;
	to->cancelled += s->cancelled;
	to->input_tokens += s->input_tokens;
	to->output_tokens += s->output_tokens;
	to->cache_read_tokens += s->cache_read_tokens;
	to->cache_write_tokens += s->cache_write_tokens;
	to->reasoning_tokens += s->reasoning_tokens;
	to->cost_microusd += s->cost_microusd;
	to->plan_microusd += s->plan_microusd;
	to->unpriced += s->unpriced;
	to->estimated += s->estimated;
	to->unknown += s->unknown;
	to->duration_ms += s->duration_ms;
}

/* ---- groups: parts of one come apart and are put together ---- */

struct group {
	char *provider, *model, *client;
	int64_t start_ms;
	struct usage_sums sums;
};

struct groups {
	struct group *of;
	size_t count, size;
	struct usage_sums total;
};

static void
groups_take(void *arg, const struct usage_group *g)
{
	struct groups *gs = arg;

	sums_add(&gs->total, &g->sums);
	if (gs->count == gs->size) {
		gs->size = gs->size > 0 ? gs->size * 2 : 32;
		gs->of = xrealloc(gs->of, gs->size * sizeof *gs->of);
	}
	gs->of[gs->count++] = (struct group){ xstrdup(g->provider), xstrdup(g->model),
		xstrdup(g->client), g->start_ms, g->sums };
}

static void
group_clear(struct group *g)
{
	free(g->provider);
	free(g->model);
	free(g->client);
}

static int
by_key(const void *a, const void *b)
{
	const struct group *x = a, *y = b;
	int r = (x->start_ms > y->start_ms) - (x->start_ms < y->start_ms);

	if (r == 0)
		r = strcmp(x->provider, y->provider);
	if (r == 0)
		r = strcmp(x->model, y->model);
	return r != 0 ? r : strcmp(x->client, y->client);
}

/* What cost most first, then what was asked most. */
static int
by_weight(const void *a, const void *b)
{
	const struct group *x = a, *y = b;
	int64_t cx = x->sums.cost_microusd + x->sums.plan_microusd;
	int64_t cy = y->sums.cost_microusd + y->sums.plan_microusd;

	if (cx != cy)
		return cx < cy ? 1 : -1;
	if (x->sums.requests != y->sums.requests)
		return x->sums.requests < y->sums.requests ? 1 : -1;
	return by_key(a, b);
}

static void
groups_join(struct groups *gs, bool in_time)
{
	size_t kept = 0;

	if (gs->count == 0)
		return;
	qsort(gs->of, gs->count, sizeof *gs->of, by_key);
	for (size_t i = 1; i < gs->count; i++) {
		if (by_key(&gs->of[kept], &gs->of[i]) == 0) {
			sums_add(&gs->of[kept].sums, &gs->of[i].sums);
			group_clear(&gs->of[i]);
		} else {
			gs->of[++kept] = gs->of[i];
		}
	}
	gs->count = kept + 1;
	if (!in_time)
		qsort(gs->of, gs->count, sizeof *gs->of, by_weight);
}

static void
groups_clear(struct groups *gs)
{
	for (size_t i = 0; i < gs->count; i++)
		group_clear(&gs->of[i]);
	free(gs->of);
}

static void
pack_group(struct pack *p, const struct group *g)
{
	char ref[400];

	pack_map_begin(p);
	if (g->model[0] != '\0') {
		snprintf(ref, sizeof ref, "%s:%s", g->provider, g->model);
		pack_kv_str(p, "ref", ref);
		pack_kv_str(p, "model", g->model);
	}
	if (g->provider[0] != '\0')
		pack_kv_str(p, "provider", g->provider);
	if (g->client[0] != '\0')
		pack_kv_str(p, "client", g->client);
	if (g->start_ms != 0)
		pack_kv_int(p, "start_ms", g->start_ms);
	pack_usage_sums(p, &g->sums);
	pack_map_end(p);
}

/* Time of a question: since ever, and with what is happening now. */
static int
read_span(struct rpc_request *req, int64_t *since, int64_t *until, struct error *err)
{
	*since = rpc_int(req, "since_ms", 0);
	*until = rpc_int(req, "until_ms", calendar_next(PERIOD_DAY, clock_wall_ms()));
	if (*since > *until)
		return error_field(err, "since_ms", "since_ms is later than until_ms");
	return 0;
}

struct rpc_answer
rpc_usage_query(struct rpc_request *req)
{
	struct slice word = rpc_slice(req, "by");
	int64_t most = rpc_int(req, "limit", GROUPS), since, until;
	struct groups gs = { NULL, 0, 0, { 0 } };
	struct error err = ERROR_INIT;
	size_t by = 0;
	struct pack *p;
	int r;

	while (word.len > 0 && by < BYS && !slice_eq(word, bys[by].word))
		by++;
	if (by == BYS) {
		error_field(&err, "by", "by must be provider, model, client, day or hour");
		return rpc_fail_err(req, &err);
	}
	if (read_span(req, &since, &until, &err) != 0)
		return rpc_fail_err(req, &err);
	r = ledger_sums(rpc_parts(req)->ledger, since, until, word.len > 0 ? bys[by].by : USAGE_BY_NOTHING,
	    bys[by].step, groups_take, &gs);
	if (r != 0) {
		groups_clear(&gs);
		return rpc_fail(req, r, "usage cannot be read");
	}
	groups_join(&gs, bys[by].by == USAGE_BY_START);
	p = rpc_result(req);
	pack_str(p, "rows");
	pack_array_begin(p);
	for (size_t i = 0; word.len > 0 && i < gs.count && (int64_t)i < most; i++)
		pack_group(p, &gs.of[i]);
	pack_array_end(p);
	pack_str(p, "total");
	pack_map_begin(p);
	pack_usage_sums(p, &gs.total);
	pack_map_end(p);
	groups_clear(&gs);
	return rpc_ok(req);
}

/* ---- rows ---- */

struct export {
	struct pack *p;
	int64_t last_id;
	int64_t count;
};

static void
kv_known(struct pack *p, const char *key, int64_t n)
{
	if (n >= 0)
		pack_kv_int(p, key, n);
}

static void
kv_text(struct pack *p, const char *key, const char *text)
{
	if (text[0] != '\0')
		pack_kv_str(p, key, text);
}

static void
pack_row(void *arg, const struct usage_row *row)
{
	struct export *e = arg;
	struct pack *p = e->p;

	e->last_id = row->id;
	e->count++;
	pack_map_begin(p);
	pack_kv_int(p, "id", row->id);
	pack_kv_int(p, "at_ms", row->id / 1000);
	pack_kv_int(p, "call", row->call);
	pack_kv_int(p, "attempt", row->attempt);
	pack_kv_str(p, "provider", row->provider);
	pack_kv_str(p, "model", row->model);
	kv_text(p, "answered", row->answered);
	if (row->request_key != NULL)
		pack_kv_str(p, "reported", row->request_key);
	kv_text(p, "key", row->label);
	kv_text(p, "client", row->client);
	kv_text(p, "scope", row->scope);
	kv_text(p, "chain", row->chain);
	if (row->session > 0)
		pack_kv_int(p, "session", row->session);
	pack_kv_str(p, "outcome", row->outcome);
	pack_kv_str(p, "counts", usage_counts_name(&row->usage));
	kv_known(p, "input_tokens", row->usage.input_tokens);
	kv_known(p, "output_tokens", row->usage.output_tokens);
	kv_known(p, "cache_read_tokens", row->usage.cache_read_tokens);
	kv_known(p, "cache_write_tokens", row->usage.cache_write_tokens);
	kv_known(p, "reasoning_tokens", row->usage.reasoning_tokens);
	pack_kv_str(p, "cost_kind", cost_kind_name(row->usage.cost_kind));
	kv_known(p, "cost_microusd", row->usage.cost_microusd);
	pack_kv_int(p, "duration_ms", row->duration_ms);
	kv_known(p, "first_token_ms", row->first_token_ms);
	pack_map_end(p);
}

struct rpc_answer
rpc_usage_export(struct rpc_request *req)
{
	int64_t most = rpc_int(req, "limit", EXPORT_ROWS), since, until, from;
	struct error err = ERROR_INIT;
	struct export e = { NULL, 0, 0 };
	int r;

	if (read_span(req, &since, &until, &err) != 0)
		return rpc_fail_err(req, &err);
	from = rpc_int(req, "cursor", since < INT64_MAX / 1000 ? since * 1000 : INT64_MAX);
	e.p = rpc_result(req);
	pack_str(e.p, "rows");
	pack_array_begin(e.p);
	r = ledger_rows(rpc_parts(req)->ledger, from, until < INT64_MAX / 1000 ? until * 1000 : INT64_MAX,
	    most, pack_row, &e);
	if (r != 0)
		return rpc_fail(req, r, "usage cannot be read");
	pack_array_end(e.p);
	if (e.count == most)
		pack_kv_int(e.p, "next", e.last_id + 1);
	return rpc_ok(req);
}

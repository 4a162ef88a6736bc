/* usage_sums.c - what attempts come to, per hour and per day. */
#include "server/store/db.h"
#include "server/store/usage_rows.h"

#include <assert.h>
#include <string.h>

#define SUMS                                                                                        \
	"requests, failed, cancelled, input_tokens, output_tokens, cache_read_tokens, "             \
	"cache_write_tokens, reasoning_tokens, cost_microusd, plan_microusd, unpriced, estimated, " \
	"unknown, duration_ms"

#define ADD_TO(table)                                                                               \
	"INSERT INTO " table " (start_ms, provider, model, client, scope, chain, " SUMS ") VALUES " \
	"(?1, ?2, ?3, ?4, ?5, ?6, 1, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19) " \
	"ON CONFLICT DO UPDATE SET requests = requests + 1, failed = failed + ?7, "                 \
	"cancelled = cancelled + ?8, input_tokens = input_tokens + ?9, "                            \
	"output_tokens = output_tokens + ?10, cache_read_tokens = cache_read_tokens + ?11, "        \
	"cache_write_tokens = cache_write_tokens + ?12, "                                           \
	"reasoning_tokens = reasoning_tokens + ?13, cost_microusd = cost_microusd + ?14, "          \
	"plan_microusd = plan_microusd + ?15, unpriced = unpriced + ?16, "                          \
	"estimated = estimated + ?17, unknown = unknown + ?18, duration_ms = duration_ms + ?19"

static int64_t
at_least_0(int64_t n)
{
	return n > 0 ? n : 0;
}

static int
add_to(struct store *s, const char *sql, int64_t start_ms, const struct usage_row *row)
{
	const struct usage *u = &row->usage;
	bool cancelled = strcmp(row->outcome, "cancelled") == 0;
	bool failed = !cancelled && strcmp(row->outcome, "done") != 0;
	struct query q;

	query_init(&q, s, sql);
	query_int(&q, start_ms);
	query_text(&q, row->provider);
	query_text(&q, row->model);
	query_text(&q, row->client);
	query_text(&q, row->scope);
	query_text(&q, row->chain);
	query_int(&q, failed);
	query_int(&q, cancelled);
	query_int(&q, at_least_0(u->input_tokens));
	query_int(&q, at_least_0(u->output_tokens));
	query_int(&q, at_least_0(u->cache_read_tokens));
	query_int(&q, at_least_0(u->cache_write_tokens));
	query_int(&q, at_least_0(u->reasoning_tokens));
	query_int(&q, u->cost_kind != COST_PLAN ? at_least_0(u->cost_microusd) : 0);
	query_int(&q, u->cost_kind == COST_PLAN ? at_least_0(u->cost_microusd) : 0);
	query_int(&q, u->cost_kind == COST_UNPRICED);
	query_int(&q, usage_estimated(u));
	query_int(&q, !usage_counted(u) && u->cost_kind != COST_NONE);
	query_int(&q, row->duration_ms);
	return query_run(&q, NULL);
}

int
store_usage_sum(struct store *s, const struct usage_row *row, int64_t hour_ms, int64_t day_ms)
{
	static const char hours[] = ADD_TO("usage_hours"), days[] = ADD_TO("usage_days");
	int r = add_to(s, hours, hour_ms, row);

	return r == 0 ? add_to(s, days, day_ms, row) : r;
}

/* ---- reading ---- */

#define KEYS_NOTHING "'', '', '', '', '', 0"
#define KEYS_PROVIDER "provider, '', '', '', '', 0"
#define KEYS_MODEL "provider, model, '', '', '', 0"
#define KEYS_CLIENT "'', '', client, '', '', 0"
#define KEYS_START "'', '', '', '', '', start_ms"
#define KEYS_PURSE "provider, '', '', scope, chain, 0"

#define OF_SUMS                                                                                    \
	", sum(requests), sum(failed), sum(cancelled), sum(input_tokens), sum(output_tokens), "    \
	"sum(cache_read_tokens), sum(cache_write_tokens), sum(reasoning_tokens), "                 \
	"sum(cost_microusd), sum(plan_microusd), sum(unpriced), sum(estimated), sum(unknown), "    \
	"sum(duration_ms) FROM "
#define OF_ROWS                                                                                    \
	", count(*), sum(outcome NOT IN ('done', 'cancelled')), sum(outcome = 'cancelled'), "      \
	"total(input_tokens), total(output_tokens), total(cache_read_tokens), "                    \
	"total(cache_write_tokens), total(reasoning_tokens), "                                     \
	"total(cost_microusd) FILTER (WHERE cost_kind <> 'plan'), "                                \
	"total(cost_microusd) FILTER (WHERE cost_kind = 'plan'), sum(cost_kind = 'unpriced'), "    \
	"sum(counts NOT IN ('reported', 'unknown')), sum(counts = 'unknown' AND cost_kind <> 'none'), " \
	"sum(duration_ms) FROM attempts WHERE id >= ?1 * 1000 AND id < ?2 * 1000"

#define HOURS(keys, group) \
	"SELECT " keys OF_SUMS "usage_hours WHERE start_ms >= ?1 AND start_ms < ?2 GROUP BY " group
#define DAYS(keys, group) \
	"SELECT " keys OF_SUMS "usage_days WHERE start_ms >= ?1 AND start_ms < ?2 GROUP BY " group
#define ROWS(keys, group) "SELECT " keys OF_ROWS " GROUP BY " group

/* A level without anything in it has no group. */
static const char *
text_of(enum usage_level level, enum usage_by by)
{
	static const char *const rows[] = {
		[USAGE_BY_NOTHING] = ROWS(KEYS_NOTHING, "1"),
		[USAGE_BY_PROVIDER] = ROWS(KEYS_PROVIDER, "1"),
		[USAGE_BY_MODEL] = ROWS(KEYS_MODEL, "1, 2"),
		[USAGE_BY_CLIENT] = ROWS(KEYS_CLIENT, "3"),
		[USAGE_BY_START] = ROWS(KEYS_NOTHING, "2"),
		[USAGE_BY_PURSE] = ROWS(KEYS_PURSE, "1, 4, 5"),
	};
	static const char *const hours[] = {
		[USAGE_BY_NOTHING] = HOURS(KEYS_NOTHING, "1"),
		[USAGE_BY_PROVIDER] = HOURS(KEYS_PROVIDER, "1"),
		[USAGE_BY_MODEL] = HOURS(KEYS_MODEL, "1, 2"),
		[USAGE_BY_CLIENT] = HOURS(KEYS_CLIENT, "3"),
		[USAGE_BY_START] = HOURS(KEYS_START, "6"),
		[USAGE_BY_PURSE] = HOURS(KEYS_PURSE, "1, 4, 5"),
	};
	static const char *const days[] = {
		[USAGE_BY_NOTHING] = DAYS(KEYS_NOTHING, "1"),
		[USAGE_BY_PROVIDER] = DAYS(KEYS_PROVIDER, "1"),
		[USAGE_BY_MODEL] = DAYS(KEYS_MODEL, "1, 2"),
		[USAGE_BY_CLIENT] = DAYS(KEYS_CLIENT, "3"),
		[USAGE_BY_START] = DAYS(KEYS_START, "6"),
		[USAGE_BY_PURSE] = DAYS(KEYS_PURSE, "1, 4, 5"),
	};

	switch (level) {
	case USAGE_ROWS:
		return rows[by];
	case USAGE_HOURS:
		return hours[by];
	case USAGE_DAYS:
		return days[by];
	}
	return days[by];
}

static void
read_group(struct query *q, struct usage_group *g)
{
	int at = 0;

	g->provider = query_col_str(q, at++);
	g->model = query_col_str(q, at++);
	g->client = query_col_str(q, at++);
	g->scope = query_col_str(q, at++);
	g->chain = query_col_str(q, at++);
	g->start_ms = query_col_int(q, at++);
	g->sums.requests = query_col_int(q, at++);
	g->sums.failed = query_col_int(q, at++);
	g->sums.cancelled = query_col_int(q, at++);
	g->sums.input_tokens = query_col_int(q, at++);
	g->sums.output_tokens = query_col_int(q, at++);
	g->sums.cache_read_tokens = query_col_int(q, at++);
	g->sums.cache_write_tokens = query_col_int(q, at++);
	g->sums.reasoning_tokens = query_col_int(q, at++);
	g->sums.cost_microusd = query_col_int(q, at++);
	g->sums.plan_microusd = query_col_int(q, at++);
	g->sums.unpriced = query_col_int(q, at++);
	g->sums.estimated = query_col_int(q, at++);
	g->sums.unknown = query_col_int(q, at++);
	g->sums.duration_ms = query_col_int(q, at++);
}

int
store_usage_groups(struct store *s, enum usage_level level, enum usage_by by, int64_t from_ms,
    int64_t to_ms, void (*each)(void *arg, const struct usage_group *g), void *arg)
{
	struct usage_group g;
	struct query q;
	int r;

	query_init(&q, s, text_of(level, by));
	query_int(&q, from_ms);
	query_int(&q, to_ms);
	while ((r = query_next(&q)) == 1) {
		read_group(&q, &g);
		each(arg, &g);
	}
	query_end(&q);
	return r;
}

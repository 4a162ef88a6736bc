/* usage_rows.c - attempts, one row each. */
#include "server/store/usage_rows.h"

#include "server/store/db.h"

#define COLUMNS                                                                                   \
	"id, call, attempt, provider, model, answered, label, client, scope, chain, session, "    \
	"outcome, counts, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, "   \
	"reasoning_tokens, cost_kind, cost_microusd, duration_ms, first_token_ms, request_key, "    \
	"request_hash"

int
store_usage_add(struct store *s, const struct usage_row *row)
{
	static const char sql[] =
	    "INSERT INTO attempts (" COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, "
	    "?11, ?12, ?13, nullif(?14, -1), nullif(?15, -1), nullif(?16, -1), nullif(?17, -1), "
	    "nullif(?18, -1), ?19, nullif(?20, -1), ?21, nullif(?22, -1), ?23, ?24)";
	struct query q;

	query_init(&q, s, sql);
	query_int(&q, row->id);
	query_int(&q, row->call);
	query_int(&q, row->attempt);
	query_text(&q, row->provider);
	query_text(&q, row->model);
	query_text(&q, row->answered);
	query_text(&q, row->label);
	query_text(&q, row->client);
	query_text(&q, row->scope);
	query_text(&q, row->chain);
	query_int(&q, row->session);
	query_text(&q, row->outcome);
	query_text(&q, usage_counts_name(&row->usage));
	query_int(&q, row->usage.input_tokens);
	query_int(&q, row->usage.output_tokens);
	query_int(&q, row->usage.cache_read_tokens);
	query_int(&q, row->usage.cache_write_tokens);
	query_int(&q, row->usage.reasoning_tokens);
	query_text(&q, cost_kind_name(row->usage.cost_kind));
	query_int(&q, row->usage.cost_microusd);
	query_int(&q, row->duration_ms);
	query_int(&q, row->first_token_ms);
	if (row->request_key != NULL) { /* else both stay NULL */
		query_text(&q, row->request_key);
		query_int(&q, row->request_hash);
	}
	return query_run(&q, NULL);
}

static int64_t
known(struct query *q, int i)
{
	return query_col_text(q, i) != NULL ? query_col_int(q, i) : -1;
}

static void
read_row(struct query *q, struct usage_row *row)
{
	row->id = query_col_int(q, 0);
	row->call = query_col_int(q, 1);
	row->attempt = query_col_int(q, 2);
	row->provider = query_col_str(q, 3);
	row->model = query_col_str(q, 4);
	row->answered = query_col_str(q, 5);
	row->label = query_col_str(q, 6);
	row->client = query_col_str(q, 7);
	row->scope = query_col_str(q, 8);
	row->chain = query_col_str(q, 9);
	row->session = query_col_int(q, 10);
	row->outcome = query_col_str(q, 11);
	usage_counts_parse(query_col_str(q, 12), &row->usage);
	row->usage.input_tokens = known(q, 13);
	row->usage.output_tokens = known(q, 14);
	row->usage.cache_read_tokens = known(q, 15);
	row->usage.cache_write_tokens = known(q, 16);
	row->usage.reasoning_tokens = known(q, 17);
	row->usage.cost_kind = cost_kind_parse(query_col_str(q, 18));
	row->usage.cost_microusd = known(q, 19);
	row->duration_ms = query_col_int(q, 20);
	row->first_token_ms = known(q, 21);
	row->request_key = query_col_text(q, 22);
	row->request_hash = query_col_int(q, 23);
}

int
store_usage_each(struct store *s, int64_t from, int64_t to, int64_t limit,
    void (*each)(void *arg, const struct usage_row *row), void *arg)
{
	static const char sql[] =
	    "SELECT " COLUMNS " FROM attempts WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT ?3";
	struct usage_row row = { .usage = USAGE_INIT };
	struct query q;
	int r;

	query_init(&q, s, sql);
	query_int(&q, from);
	query_int(&q, to);
	query_int(&q, limit);
	while ((r = query_next(&q)) == 1) {
		read_row(&q, &row);
		each(arg, &row);
	}
	query_end(&q);
	return r;
}

int
store_usage_reported(struct store *s, const char *request_key, int64_t *id, int64_t *hash)
{
	static const char sql[] = "SELECT id, request_hash FROM attempts WHERE request_key = ?1";
	struct query q;
	int r;

	query_init(&q, s, sql);
	query_text(&q, request_key);
	if ((r = query_next(&q)) == 1) {
		*id = query_col_int(&q, 0);
		*hash = query_col_int(&q, 1);
	}
	query_end(&q);
	return r == 1 ? 0 : r == 0 ? MP_E_NOT_FOUND : r;
}

int
store_usage_recent(struct store *s, int64_t rows, int64_t *id)
{
	static const char sql[] = "SELECT id FROM attempts ORDER BY id DESC LIMIT 1 OFFSET ?1 - 1";
	struct query q;
	int r;

	query_init(&q, s, sql);
	query_int(&q, rows);
	r = query_next(&q);
	*id = r == 1 ? query_col_int(&q, 0) : 0;
	query_end(&q);
	return r < 0 ? r : 0;
}

int
store_usage_next(struct store *s, int64_t from, int64_t to, int64_t *id)
{
	static const char sql[] = "SELECT coalesce(max(id) + 1, ?1) FROM attempts WHERE id >= ?1 AND id < ?2";
	struct query q;
	int r;

	query_init(&q, s, sql);
	query_int(&q, from);
	query_int(&q, to);
	if ((r = query_next(&q)) == 1) {
		*id = query_col_int(&q, 0);
		r = 0;
	}
	query_end(&q);
	return r;
}

int
store_usage_session(struct store *s, int64_t session, int64_t from, int64_t *calls,
    int64_t *cost_microusd)
{
	/* a plan's share of it is no money */
	static const char sql[] = "SELECT count(DISTINCT call), "
				  "coalesce(sum(iif(cost_kind = 'plan', 0, cost_microusd)), -1) "
				  "FROM attempts WHERE session = ?1 AND session > 0 AND id >= ?2";
	struct query q;
	int r;

	query_init(&q, s, sql);
	query_int(&q, session);
	query_int(&q, from);
	if ((r = query_next(&q)) == 1) {
		*calls = query_col_int(&q, 0);
		*cost_microusd = query_col_int(&q, 1);
		r = 0;
	}
	query_end(&q);
	return r;
}

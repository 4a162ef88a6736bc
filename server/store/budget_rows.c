/* budget_rows.c - budgets. */
#include "server/store/budget_rows.h"

#include "server/store/db.h"

int
store_budget_each(struct store *s, void (*each)(void *arg, const struct budget_row *row), void *arg)
{
	static const char sql[] = "SELECT kind, subject, period, limit_microusd, hard, rev FROM budgets "
				  "ORDER BY kind, subject, period";
	struct query q;
	int r;

	query_init(&q, s, sql);
	while ((r = query_next(&q)) == 1) {
		struct budget_row row = {
			.kind = query_col_str(&q, 0),
			.subject = query_col_str(&q, 1),
			.period = query_col_str(&q, 2),
			.limit_microusd = query_col_int(&q, 3),
			.hard = query_col_bool(&q, 4),
			.rev = query_col_int(&q, 5),
		};

		each(arg, &row);
	}
	query_end(&q);
	return r;
}

int
store_budget_put(struct store *s, const struct budget_row *row)
{
	static const char sql[] = "INSERT OR REPLACE INTO budgets "
				  "(kind, subject, period, limit_microusd, hard, rev) "
				  "VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
	struct query q;

	query_init(&q, s, sql);
	query_text(&q, row->kind);
	query_text(&q, row->subject);
	query_text(&q, row->period);
	query_int(&q, row->limit_microusd);
	query_int(&q, row->hard);
	query_int(&q, row->rev);
	return query_run(&q, NULL);
}

int
store_budget_delete(struct store *s, const char *kind, const char *subject, const char *period)
{
	static const char sql[] =
	    "DELETE FROM budgets WHERE kind = ?1 AND subject = ?2 AND period = ?3";
	int64_t changed = 0;
	struct query q;
	int r;

	query_init(&q, s, sql);
	query_text(&q, kind);
	query_text(&q, subject);
	query_text(&q, period);
	r = query_run(&q, &changed);
	return r == 0 && changed == 0 ? MP_E_NOT_FOUND : r;
}

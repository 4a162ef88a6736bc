/* usage_old.c - what is old goes, and its room goes back to the disk. */
#include "server/store/usage_rows.h"

#include <stdio.h>

#include "server/store/db.h"

static int
delete_before(struct store *s, const char *sql, int64_t before, int64_t limit, int64_t *gone)
{
	struct query q;

	query_init(&q, s, sql);
	query_int(&q, before);
	query_int(&q, limit);
	return query_run(&q, gone);
}

int
store_usage_delete(struct store *s, int64_t before, int64_t limit, int64_t *gone)
{
	static const char sql[] = "DELETE FROM attempts WHERE id IN "
				  "(SELECT id FROM attempts WHERE id < ?1 ORDER BY id LIMIT ?2)";

	return delete_before(s, sql, before, limit, gone);
}

#define DELETE_SUMS(table)                                                              \
	"DELETE FROM " table " WHERE (start_ms, provider, model, client, scope, chain) IN " \
	"(SELECT start_ms, provider, model, client, scope, chain FROM " table               \
	" WHERE start_ms < ?1 ORDER BY start_ms LIMIT ?2)"

int
store_usage_delete_hours(struct store *s, int64_t before_ms, int64_t limit, int64_t *gone)
{
	static const char sql[] = DELETE_SUMS("usage_hours");

	return delete_before(s, sql, before_ms, limit, gone);
}

int
store_usage_delete_days(struct store *s, int64_t before_ms, int64_t limit, int64_t *gone)
{
	static const char sql[] = DELETE_SUMS("usage_days");

	return delete_before(s, sql, before_ms, limit, gone);
}

int
store_usage_left(struct store *s, int64_t rows_ms, int64_t days_ms, bool *left)
{
	static const char sql[] = "SELECT EXISTS (SELECT 1 FROM attempts WHERE id < ?1 * 1000) OR "
				  "EXISTS (SELECT 1 FROM usage_hours WHERE start_ms < ?1) OR "
				  "EXISTS (SELECT 1 FROM usage_days WHERE start_ms < ?2)";
	struct query q;
	int r;

	query_init(&q, s, sql);
	query_int(&q, rows_ms);
	query_int(&q, days_ms);
	if ((r = query_next(&q)) == 1) {
		*left = query_col_bool(&q, 0);
		r = 0;
	}
	query_end(&q);
	return r;
}

int
store_usage_days(struct store *s, int64_t from_ms, int64_t to_ms, int64_t *requests, int64_t *days)
{
	static const char sql[] = "SELECT total(requests), count(DISTINCT start_ms) FROM usage_days "
				  "WHERE start_ms >= ?1 AND start_ms < ?2";
	struct query q;
	int r;

	query_init(&q, s, sql);
	query_int(&q, from_ms);
	query_int(&q, to_ms);
	if ((r = query_next(&q)) == 1) {
		*requests = query_col_int(&q, 0);
		*days = query_col_int(&q, 1);
		r = 0;
	}
	query_end(&q);
	return r;
}

int
store_usage_shrink(struct store *s, int pages, bool *more)
{
	int64_t before = 0, after = 0;
	char sql[64];
	int rc;

	if (s->read_only)
		return MP_E_STORAGE;
	snprintf(sql, sizeof sql, "PRAGMA incremental_vacuum(%d)", pages);
	if ((rc = db_pragma_int(s, "PRAGMA freelist_count", &before)) == SQLITE_OK && before > 0 &&
	    (rc = db_exec(s, sql)) == SQLITE_OK)
		rc = db_pragma_int(s, "PRAGMA freelist_count", &after);
	*more = after > 0 && after < before;
	return db_result(s, rc);
}

int64_t
store_usage_bytes(struct store *s)
{
	int64_t pages = 0;

	return db_pragma_int(s, "PRAGMA page_count", &pages) == SQLITE_OK ? pages * s->page_bytes : 0;
}

/* setting_rows.c - settings that differ from their default. */
#include "server/store/db.h"
#include "server/store/rows.h"

int
store_setting_each(struct store *s, void (*each)(void *arg, const struct setting_row *row), void *arg)
{
	static const char sql[] = "SELECT name, value, rev FROM settings ORDER BY name";
	struct query q;
	int r;

	query_init(&q, s, sql);
	while ((r = query_next(&q)) == 1) {
		struct setting_row row = {
			.name = query_col_str(&q, 0),
			.value = query_col_str(&q, 1),
			.rev = query_col_int(&q, 2),
		};

		each(arg, &row);
	}
	query_end(&q);
	return r;
}

int
store_setting_put(struct store *s, const struct setting_row *row)
{
	static const char sql[] = "INSERT OR REPLACE INTO settings (name, value, rev) VALUES (?1, ?2, ?3)";
	struct query q;

	query_init(&q, s, sql);
	query_text(&q, row->name);
	query_text(&q, row->value);
	query_int(&q, row->rev);
	return query_run(&q, NULL);
}

int
store_setting_delete(struct store *s, const char *name)
{
	static const char sql[] = "DELETE FROM settings WHERE name = ?1";
	int64_t changed = 0;
	struct query q;
	int r;

	query_init(&q, s, sql);
	query_text(&q, name);
	r = query_run(&q, &changed);
	return r == 0 && changed == 0 ? MP_E_NOT_FOUND : r;
}

/* meta_rows.c - small facts about the whole database. */
#include "protocol/base/str.h"
#include "server/store/db.h"

int
store_meta_get(struct store *s, const char *key, char **value)
{
	static const char sql[] = "SELECT value FROM meta WHERE key = ?1";
	struct query q;
	int r;

	query_init(&q, s, sql);
	query_text(&q, key);
	if ((r = query_next(&q)) == 1)
		*value = xstrdup(query_col_str(&q, 0));
	query_end(&q);
	if (r < 0)
		return r;
	return r == 1 ? 0 : MP_E_NOT_FOUND;
}

int
store_meta_set(struct store *s, const char *key, const char *value)
{
	static const char sql[] = "INSERT INTO meta (key, value) VALUES (?1, ?2) "
				  "ON CONFLICT (key) DO UPDATE SET value = excluded.value";
	struct query q;

	query_init(&q, s, sql);
	query_text(&q, key);
	query_text(&q, value);
	return query_run(&q, NULL);
}

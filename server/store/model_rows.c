/* model_rows.c - models the user added, and nicknames. */
#include "server/store/db.h"
#include "server/store/rows.h"

#define COLUMNS "provider_id, model, nick, added_ms, expires_ms, listed, rev"

int
store_model_each(struct store *s, void (*each)(void *arg, const struct model_row *row), void *arg)
{
	static const char sql[] = "SELECT " COLUMNS " FROM models ORDER BY added_ms, provider_id, model";
	struct query q;
	int r;

	query_init(&q, s, sql);
	while ((r = query_next(&q)) == 1) {
		struct model_row row = {
			.provider_id = query_col_str(&q, 0),
			.model = query_col_str(&q, 1),
			.nick = query_col_text(&q, 2),
			.added_ms = query_col_int(&q, 3),
			.expires_ms = query_col_int(&q, 4),
			.listed = query_col_bool(&q, 5),
			.rev = query_col_int(&q, 6),
		};

		each(arg, &row);
	}
	query_end(&q);
	return r;
}

int
store_model_put(struct store *s, const struct model_row *row)
{
	/* not INSERT OR REPLACE: that would take the nickname from whoever has it */
	static const char sql[] = "INSERT INTO models (" COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) "
				  "ON CONFLICT (provider_id, model) DO UPDATE SET nick = excluded.nick, "
				  "added_ms = excluded.added_ms, expires_ms = excluded.expires_ms, "
				  "listed = excluded.listed, rev = excluded.rev";
	struct query q;

	query_init(&q, s, sql);
	query_text(&q, row->provider_id);
	query_text(&q, row->model);
	query_text(&q, row->nick);
	query_int(&q, row->added_ms);
	query_int(&q, row->expires_ms);
	query_int(&q, row->listed);
	query_int(&q, row->rev);
	return query_run(&q, NULL);
}

int
store_model_delete(struct store *s, const char *provider_id, const char *model)
{
	static const char sql[] = "DELETE FROM models WHERE provider_id = ?1 AND model = ?2";
	int64_t changed = 0;
	struct query q;
	int r;

	query_init(&q, s, sql);
	query_text(&q, provider_id);
	query_text(&q, model);
	r = query_run(&q, &changed);
	return r == 0 && changed == 0 ? MP_E_NOT_FOUND : r;
}

/* override_rows.c - the live choice. */
#include "server/store/db.h"
#include "server/store/rows.h"

#define COLUMNS \
	"id, scope, temporary, provider_id, model, label, since_ms, expires_ms, expires_boot_ms, " \
	"boot_id, previous, rev, chain"

int
store_override_each(struct store *s, void (*each)(void *arg, const struct override_row *row),
    void *arg)
{
	static const char sql[] = "SELECT " COLUMNS " FROM overrides ORDER BY id";
	struct query q;
	int r;

	query_init(&q, s, sql);
	while ((r = query_next(&q)) == 1) {
		struct override_row row = {
			.id = query_col_int(&q, 0),
			.scope = query_col_str(&q, 1),
			.temporary = query_col_bool(&q, 2),
			.provider_id = query_col_str(&q, 3),
			.model = query_col_text(&q, 4),
			.label = query_col_text(&q, 5),
			.since_ms = query_col_int(&q, 6),
			.expires_ms = query_col_int(&q, 7),
			.expires_boot_ms = query_col_int(&q, 8),
			.boot_id = query_col_text(&q, 9),
			.previous = query_col_bool(&q, 10),
			.rev = query_col_int(&q, 11),
			.chain = query_col_text(&q, 12),
		};

		each(arg, &row);
	}
	query_end(&q);
	return r;
}

int
store_override_put(struct store *s, const struct override_row *row, int64_t *id)
{
	static const char sql[] = "INSERT OR REPLACE INTO overrides (" COLUMNS ") VALUES "
				  "(nullif(?1, 0), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
	struct query q;
	int r;

	query_init(&q, s, sql);
	query_int(&q, row->id);
	query_text(&q, row->scope != NULL ? row->scope : "");
	query_int(&q, row->temporary);
	query_text(&q, row->provider_id);
	query_text(&q, row->model);
	query_text(&q, row->label);
	query_int(&q, row->since_ms);
	query_int(&q, row->expires_ms);
	query_int(&q, row->expires_boot_ms);
	query_text(&q, row->boot_id);
	query_int(&q, row->previous);
	query_int(&q, row->rev);
	query_text(&q, row->chain);
	if ((r = query_run(&q, NULL)) == 0 && id != NULL)
		*id = row->id != 0 ? row->id : sqlite3_last_insert_rowid(s->db);
	return r;
}

int
store_override_delete(struct store *s, int64_t id)
{
	static const char sql[] = "DELETE FROM overrides WHERE id = ?1";
	int64_t changed = 0;
	struct query q;
	int r;

	query_init(&q, s, sql);
	query_int(&q, id);
	r = query_run(&q, &changed);
	return r == 0 && changed == 0 ? MP_E_NOT_FOUND : r;
}

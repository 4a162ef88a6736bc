/* minted_rows.c - keys that were minted at a provider. */
#include "server/store/db.h"
#include "server/store/rows.h"

#define COLUMNS \
	"id, provider_id, name, hash, session_id, created_ms, expires_ms, tries, last_code, rev"

int
store_minted_each(struct store *s, void (*each)(void *arg, const struct minted_row *row), void *arg)
{
	static const char sql[] = "SELECT " COLUMNS " FROM minted_keys ORDER BY id";
	struct query q;
	int r;

	query_init(&q, s, sql);
	while ((r = query_next(&q)) == 1) {
		struct minted_row row = {
			.id = query_col_int(&q, 0),
			.provider_id = query_col_str(&q, 1),
			.name = query_col_str(&q, 2),
			.hash = query_col_str(&q, 3),
			.session_id = query_col_int(&q, 4),
			.created_ms = query_col_int(&q, 5),
			.expires_ms = query_col_int(&q, 6),
			.tries = query_col_int(&q, 7),
			.last_code = query_col_str(&q, 8),
			.rev = query_col_int(&q, 9),
		};

		each(arg, &row);
	}
	query_end(&q);
	return r;
}

int
store_minted_put(struct store *s, const struct minted_row *row, int64_t *id)
{
	static const char sql[] = "INSERT OR REPLACE INTO minted_keys (" COLUMNS ") VALUES "
				  "(nullif(?1, 0), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
	struct query q;
	int r;

	query_init(&q, s, sql);
	query_int(&q, row->id);
	query_text(&q, row->provider_id);
	query_text(&q, row->name);
	query_text(&q, row->hash);
	query_int(&q, row->session_id);
	query_int(&q, row->created_ms);
	query_int(&q, row->expires_ms);
	query_int(&q, row->tries);
	query_text(&q, row->last_code);
	query_int(&q, row->rev);
	if ((r = query_run(&q, NULL)) == 0 && id != NULL)
		*id = row->id != 0 ? row->id : sqlite3_last_insert_rowid(s->db);
	return r;
}

int
store_minted_delete(struct store *s, int64_t id)
{
	static const char sql[] = "DELETE FROM minted_keys WHERE id = ?1";
	int64_t changed = 0;
	struct query q;
	int r;

	query_init(&q, s, sql);
	query_int(&q, id);
	r = query_run(&q, &changed);
	return r == 0 && changed == 0 ? MP_E_NOT_FOUND : r;
}

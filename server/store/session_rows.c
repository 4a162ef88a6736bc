/* session_rows.c - test sessions. */
#include "server/store/db.h"
#include "server/store/rows.h"

#define COLUMNS \
	"id, token_hash, provider_id, model, label, has_key, activated, started_ms, expires_ms, " \
	"expires_boot_ms, boot_id, requests, cost_microusd, rev"

static void
read_row(struct query *q, struct session_row *row)
{
	int at = 0;

	row->id = query_col_int(q, at++);
	row->token_hash = query_col_blob(q, at++, &row->token_hash_len);
	row->provider_id = query_col_str(q, at++);
	row->model = query_col_str(q, at++);
	row->label = query_col_str(q, at++);
	row->has_key = query_col_bool(q, at++);
	row->activated = query_col_bool(q, at++);
	row->started_ms = query_col_int(q, at++);
	row->expires_ms = query_col_int(q, at++);
	row->expires_boot_ms = query_col_int(q, at++);
	row->boot_id = query_col_str(q, at++);
	at += 2; /* of earlier versions */
	row->rev = query_col_int(q, at++);
}

int
store_session_each(struct store *s, void (*each)(void *arg, const struct session_row *row), void *arg)
{
	static const char sql[] = "SELECT " COLUMNS " FROM sessions ORDER BY id";
	struct session_row row;
	struct query q;
	int r;

	query_init(&q, s, sql);
	while ((r = query_next(&q)) == 1) {
		read_row(&q, &row);
		each(arg, &row);
	}
	query_end(&q);
	return r;
}

int
store_session_put(struct store *s, const struct session_row *row, int64_t *id)
{
	static const char sql[] = "INSERT OR REPLACE INTO sessions (" COLUMNS ") VALUES "
				  "(nullif(?1, 0), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 0, -1, "
				  "?12)"; /* what it used is in the ledger */
	struct query q;
	int r;

	query_init(&q, s, sql);
	query_int(&q, row->id);
	query_blob(&q, row->token_hash, row->token_hash_len);
	query_text(&q, row->provider_id);
	query_text(&q, row->model);
	query_text(&q, row->label);
	query_int(&q, row->has_key);
	query_int(&q, row->activated);
	query_int(&q, row->started_ms);
	query_int(&q, row->expires_ms);
	query_int(&q, row->expires_boot_ms);
	query_text(&q, row->boot_id);
	query_int(&q, row->rev);
	if ((r = query_run(&q, NULL)) == 0 && id != NULL)
		*id = row->id != 0 ? row->id : sqlite3_last_insert_rowid(s->db);
	return r;
}

int
store_session_delete(struct store *s, int64_t id)
{
	static const char sql[] = "DELETE FROM sessions WHERE id = ?1";
	int64_t changed = 0;
	struct query q;
	int r;

	query_init(&q, s, sql);
	query_int(&q, id);
	r = query_run(&q, &changed);
	return r == 0 && changed == 0 ? MP_E_NOT_FOUND : r;
}

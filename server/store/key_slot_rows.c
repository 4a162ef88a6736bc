/* key_slot_rows.c - what wraps the master key. */
#include "server/store/db.h"
#include "server/store/rows.h"

#define COLUMNS "id, type, salt, ops, mem_bytes, generation, wrapped, created_ms, source"

static void
read_row(struct query *q, struct key_slot_row *row)
{
	row->id = query_col_int(q, 0);
	row->type = query_col_str(q, 1);
	row->salt = query_col_blob(q, 2, &row->salt_len);
	row->ops = query_col_int(q, 3);
	row->mem_bytes = query_col_int(q, 4);
	row->generation = query_col_int(q, 5);
	row->wrapped = query_col_blob(q, 6, &row->wrapped_len);
	row->created_ms = query_col_int(q, 7);
	row->source = query_col_str(q, 8);
}

int
store_key_slot_each(struct store *s, void (*each)(void *arg, const struct key_slot_row *row),
    void *arg)
{
	static const char sql[] = "SELECT " COLUMNS " FROM key_slots ORDER BY id";
	struct key_slot_row row;
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
store_key_slot_put(struct store *s, const struct key_slot_row *row, int64_t *id)
{
	static const char sql[] = "INSERT OR REPLACE INTO key_slots (" COLUMNS ") "
				  "VALUES (nullif(?1, 0), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
	struct query q;
	int r;

	query_init(&q, s, sql);
	query_int(&q, row->id);
	query_text(&q, row->type);
	query_blob(&q, row->salt, row->salt_len);
	query_int(&q, row->ops);
	query_int(&q, row->mem_bytes);
	query_int(&q, row->generation);
	query_blob(&q, row->wrapped, row->wrapped_len);
	query_int(&q, row->created_ms);
	query_text(&q, row->source != NULL ? row->source : "");
	if ((r = query_run(&q, NULL)) == 0 && id != NULL)
		*id = row->id != 0 ? row->id : sqlite3_last_insert_rowid(s->db);
	return r;
}

int
store_key_slot_delete(struct store *s, int64_t id)
{
	static const char sql[] = "DELETE FROM key_slots WHERE id = ?1";
	int64_t changed = 0;
	struct query q;
	int r;

	query_init(&q, s, sql);
	query_int(&q, id);
	r = query_run(&q, &changed);
	return r == 0 && changed == 0 ? MP_E_NOT_FOUND : r;
}

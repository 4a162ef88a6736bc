/* credential_rows.c - sealed keys. The bytes are opaque here. */
#include "protocol/base/str.h"
#include "server/store/db.h"
#include "server/store/rows.h"

#define COLUMNS \
	"id, provider_id, label, origin, origin_moved, sealed, generation, fingerprint, last4, " \
	"created_ms, last_ok_ms, last_fail_ms, last_code, session_id, expires_ms, source, rev, weight"

static void
read_row(struct query *q, struct credential_row *row)
{
	int at = 0;

	row->id = query_col_str(q, at++);
	row->provider_id = query_col_str(q, at++);
	row->label = query_col_str(q, at++);
	row->origin = query_col_str(q, at++);
	row->origin_moved = query_col_bool(q, at++);
	row->sealed = query_col_blob(q, at++, &row->sealed_len);
	row->generation = query_col_int(q, at++);
	row->fingerprint = query_col_str(q, at++);
	row->last4 = query_col_str(q, at++);
	row->created_ms = query_col_int(q, at++);
	row->last_ok_ms = query_col_int(q, at++);
	row->last_fail_ms = query_col_int(q, at++);
	row->last_code = query_col_str(q, at++);
	row->session_id = query_col_int(q, at++);
	row->expires_ms = query_col_int(q, at++);
	row->source = query_col_str(q, at++);
	row->rev = query_col_int(q, at++);
	row->weight = query_col_int(q, at++);
}

int
store_credential_each(struct store *s, void (*each)(void *arg, const struct credential_row *row),
    void *arg)
{
	static const char sql[] = "SELECT " COLUMNS " FROM credentials ORDER BY provider_id, label";
	struct credential_row row;
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

static const char *
or_empty(const char *text)
{
	return text != NULL ? text : "";
}

int
store_credential_put(struct store *s, const struct credential_row *row)
{
	/* not INSERT OR REPLACE: a row of another provider with the same id must not vanish */
	static const char sql[] =
	    "INSERT INTO credentials (" COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, "
	    "?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18) ON CONFLICT (provider_id, label) DO UPDATE SET "
	    "id = excluded.id, origin = excluded.origin, origin_moved = excluded.origin_moved, "
	    "sealed = excluded.sealed, generation = excluded.generation, "
	    "fingerprint = excluded.fingerprint, last4 = excluded.last4, "
	    "created_ms = excluded.created_ms, last_ok_ms = excluded.last_ok_ms, "
	    "last_fail_ms = excluded.last_fail_ms, last_code = excluded.last_code, "
	    "session_id = excluded.session_id, expires_ms = excluded.expires_ms, "
	    "source = excluded.source, rev = excluded.rev, weight = excluded.weight";
	struct query q;

	query_init(&q, s, sql);
	query_text(&q, row->id);
	query_text(&q, row->provider_id);
	query_text(&q, row->label);
	query_text(&q, or_empty(row->origin));
	query_int(&q, row->origin_moved);
	query_blob(&q, row->sealed, row->sealed_len);
	query_int(&q, row->generation);
	query_text(&q, or_empty(row->fingerprint));
	query_text(&q, or_empty(row->last4));
	query_int(&q, row->created_ms);
	query_int(&q, row->last_ok_ms);
	query_int(&q, row->last_fail_ms);
	query_text(&q, or_empty(row->last_code));
	query_int(&q, row->session_id);
	query_int(&q, row->expires_ms);
	query_text(&q, or_empty(row->source));
	query_int(&q, row->rev);
	query_int(&q, row->weight);
	return query_run(&q, NULL);
}

int
store_credential_delete(struct store *s, const char *provider_id, const char *label)
{
	static const char sql[] = "DELETE FROM credentials WHERE provider_id = ?1 AND label = ?2";
	int64_t changed = 0;
	struct query q;
	int r;

	query_init(&q, s, sql);
	query_text(&q, provider_id);
	query_text(&q, label);
	r = query_run(&q, &changed);
	return r == 0 && changed == 0 ? MP_E_NOT_FOUND : r;
}

int
store_credential_checked(struct store *s, const char *id, int64_t ok_ms, int64_t fail_ms,
    const char *code)
{
	static const char sql[] = "UPDATE credentials SET last_ok_ms = ?2, last_fail_ms = ?3, "
				  "last_code = ?4 WHERE id = ?1";
	int64_t changed = 0;
	struct query q;
	int r;

	query_init(&q, s, sql);
	query_text(&q, id);
	query_int(&q, ok_ms);
	query_int(&q, fail_ms);
	query_text(&q, or_empty(code));
	r = query_run(&q, &changed);
	return r == 0 && changed == 0 ? MP_E_NOT_FOUND : r;
}

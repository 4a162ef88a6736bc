#include "server/store/team_rows.h"

#include "server/store/db.h"

/* ---- our own keys ---- */

int
store_team_identity_get(struct store *s, void (*each)(void *arg, const struct team_identity_row *row),
    void *arg)
{
	static const char sql[] =
	    "SELECT public, sealed, generation, created_ms FROM team_identity WHERE id = 1";
	struct team_identity_row row;
	struct query q;
	int r;

	query_init(&q, s, sql);
	if ((r = query_next(&q)) == 1) {
		row.public = query_col_blob(&q, 0, &row.public_len);
		row.sealed = query_col_blob(&q, 1, &row.sealed_len);
		row.generation = query_col_int(&q, 2);
		row.created_ms = query_col_int(&q, 3);
		each(arg, &row);
	}
	query_end(&q);
	return r;
}

int
store_team_identity_put(struct store *s, const struct team_identity_row *row)
{
	static const char sql[] = "INSERT OR REPLACE INTO team_identity "
				  "(id, public, sealed, generation, created_ms) VALUES (1, ?1, ?2, ?3, ?4)";
	struct query q;

	query_init(&q, s, sql);
	query_blob(&q, row->public, row->public_len);
	query_blob(&q, row->sealed, row->sealed_len);
	query_int(&q, row->generation);
	query_int(&q, row->created_ms);
	return query_run(&q, NULL);
}

/* ---- bundles ---- */

#define COLUMNS "team, signer, version, content, source, ca_file, local, added_ms, updated_ms, rev"

int
store_bundle_each(struct store *s, void (*each)(void *arg, const struct bundle_row *row), void *arg)
{
	static const char sql[] = "SELECT " COLUMNS " FROM bundles ORDER BY team";
	struct query q;
	int r;

	query_init(&q, s, sql);
	while ((r = query_next(&q)) == 1) {
		struct bundle_row row = {
			.team = query_col_str(&q, 0),
			.version = query_col_int(&q, 2),
			.source = query_col_str(&q, 4),
			.ca_file = query_col_str(&q, 5),
			.local = query_col_bool(&q, 6),
			.added_ms = query_col_int(&q, 7),
			.updated_ms = query_col_int(&q, 8),
			.rev = query_col_int(&q, 9),
		};

		row.signer = query_col_blob(&q, 1, &row.signer_len);
		row.content = query_col_blob(&q, 3, &row.content_len);
		each(arg, &row);
	}
	query_end(&q);
	return r;
}

int
store_bundle_put(struct store *s, const struct bundle_row *row)
{
	static const char sql[] = "INSERT OR REPLACE INTO bundles (" COLUMNS ") VALUES "
				  "(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
	struct query q;

	query_init(&q, s, sql);
	query_text(&q, row->team);
	query_blob(&q, row->signer, row->signer_len);
	query_int(&q, row->version);
	query_blob(&q, row->content, row->content_len);
	query_text(&q, row->source);
	query_text(&q, row->ca_file);
	query_int(&q, row->local);
	query_int(&q, row->added_ms);
	query_int(&q, row->updated_ms);
	query_int(&q, row->rev);
	return query_run(&q, NULL);
}

/* Runs a DELETE by one key; *changed rows. */
static int
delete_by(struct store *s, const char *sql, const char *key, int64_t *changed)
{
	struct query q;

	query_init(&q, s, sql);
	query_text(&q, key);
	return query_run(&q, changed);
}

int
store_bundle_delete(struct store *s, const char *team)
{
	static const char sql[] = "DELETE FROM bundles WHERE team = ?1";
	int64_t changed = 0;
	int r = delete_by(s, sql, team, &changed);

	return r == 0 && changed == 0 ? MP_E_NOT_FOUND : r;
}

/* ---- versions ---- */

int
store_bundle_seen_each(struct store *s, void (*each)(void *arg, const struct bundle_seen_row *row),
    void *arg)
{
	static const char sql[] =
	    "SELECT team, signer, version, digest FROM bundles_seen ORDER BY team, signer";
	struct query q;
	int r;

	query_init(&q, s, sql);
	while ((r = query_next(&q)) == 1) {
		struct bundle_seen_row row = { .team = query_col_str(&q, 0),
		    .version = query_col_int(&q, 2) };

		row.signer = query_col_blob(&q, 1, &row.signer_len);
		row.digest = query_col_blob(&q, 3, &row.digest_len);
		each(arg, &row);
	}
	query_end(&q);
	return r;
}

int
store_bundle_seen_put(struct store *s, const struct bundle_seen_row *row)
{
	static const char sql[] = "INSERT OR REPLACE INTO bundles_seen (team, signer, version, digest) "
				  "VALUES (?1, ?2, ?3, ?4)";
	struct query q;

	query_init(&q, s, sql);
	query_text(&q, row->team);
	query_blob(&q, row->signer, row->signer_len);
	query_int(&q, row->version);
	query_blob(&q, row->digest, row->digest_len);
	return query_run(&q, NULL);
}

/* ---- keys ---- */

int
store_bundle_key_each(struct store *s, void (*each)(void *arg, const struct bundle_key_row *row),
    void *arg)
{
	static const char sql[] = "SELECT credential_id, team FROM bundle_keys ORDER BY credential_id";
	struct query q;
	int r;

	query_init(&q, s, sql);
	while ((r = query_next(&q)) == 1) {
		struct bundle_key_row row = { query_col_str(&q, 0), query_col_str(&q, 1) };

		each(arg, &row);
	}
	query_end(&q);
	return r;
}

int
store_bundle_key_put(struct store *s, const struct bundle_key_row *row)
{
	static const char sql[] = "INSERT OR REPLACE INTO bundle_keys (credential_id, team) VALUES (?1, ?2)";
	struct query q;

	query_init(&q, s, sql);
	query_text(&q, row->credential_id);
	query_text(&q, row->team);
	return query_run(&q, NULL);
}

int
store_bundle_keys_delete(struct store *s, const char *team)
{
	static const char sql[] = "DELETE FROM bundle_keys WHERE team = ?1";

	return delete_by(s, sql, team, NULL);
}

/* ---- items ---- */

int
store_bundle_item_each(struct store *s, void (*each)(void *arg, const struct bundle_item_row *row),
    void *arg)
{
	static const char sql[] = "SELECT section, item, value FROM bundle_items ORDER BY section, item";
	struct query q;
	int r;

	query_init(&q, s, sql);
	while ((r = query_next(&q)) == 1) {
		struct bundle_item_row row = { query_col_str(&q, 0), query_col_str(&q, 1),
		    query_col_str(&q, 2) };

		each(arg, &row);
	}
	query_end(&q);
	return r;
}

int
store_bundle_item_put(struct store *s, const struct bundle_item_row *row)
{
	static const char sql[] =
	    "INSERT OR REPLACE INTO bundle_items (section, item, value) VALUES (?1, ?2, ?3)";
	struct query q;

	query_init(&q, s, sql);
	query_text(&q, row->section);
	query_text(&q, row->item);
	query_text(&q, row->value);
	return query_run(&q, NULL);
}

int
store_bundle_items_delete(struct store *s, const char *section, const char *item)
{
	static const char sql[] =
	    "DELETE FROM bundle_items WHERE section = ?1 AND (?2 IS NULL OR item = ?2)";
	struct query q;

	query_init(&q, s, sql);
	query_text(&q, section);
	query_text(&q, item);
	return query_run(&q, NULL);
}

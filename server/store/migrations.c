#include "server/store/migrations.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/store/db.h"

static const struct migration migrations[] = {
	{ "the first schema",
	    "CREATE TABLE meta ("
	    " key TEXT PRIMARY KEY NOT NULL,"
	    " value TEXT NOT NULL"
	    ") STRICT, WITHOUT ROWID;"

	    "CREATE TABLE providers ("
	    " id TEXT PRIMARY KEY NOT NULL,"
	    " name TEXT NOT NULL,"
	    " display_name TEXT,"
	    " type TEXT NOT NULL,"
	    " auth TEXT NOT NULL,"
	    " dialect TEXT NOT NULL,"
	    " base_url TEXT,"
	    " key_env TEXT,"
	    " enabled INTEGER NOT NULL,"
	    " origin TEXT NOT NULL,"
	    " features TEXT NOT NULL,"  /* JSON array of strings */
	    " weekly INTEGER NOT NULL,"
	    " rolling INTEGER NOT NULL,"
	    " window_hours INTEGER NOT NULL,"
	    " login_command TEXT,"
	    " auto_detect INTEGER NOT NULL,"
	    " health_check TEXT,"
	    " ca_file TEXT,"
	    " proxy TEXT,"
	    " aliases TEXT NOT NULL," /* JSON array of [alias, model] */
	    " changed TEXT NOT NULL,"
	    " rev INTEGER NOT NULL"
	    ") STRICT;"

	    "CREATE TABLE credentials ("
	    " id TEXT PRIMARY KEY NOT NULL,"
	    " provider_id TEXT NOT NULL,"
	    " label TEXT NOT NULL,"
	    " origin TEXT NOT NULL,"
	    " origin_moved INTEGER NOT NULL,"
	    " sealed BLOB NOT NULL,"
	    " generation INTEGER NOT NULL,"
	    " fingerprint TEXT NOT NULL,"
	    " last4 TEXT NOT NULL,"
	    " created_ms INTEGER NOT NULL,"
	    " last_ok_ms INTEGER NOT NULL,"
	    " last_fail_ms INTEGER NOT NULL,"
	    " last_code TEXT NOT NULL,"
	    " session_id INTEGER NOT NULL,"
	    " expires_ms INTEGER NOT NULL,"
	    " rev INTEGER NOT NULL,"
	    " UNIQUE (provider_id, label)"
	    ") STRICT;"

	    /* AUTOINCREMENT: the id is part of what a slot's seal covers and is never given twice */
	    "CREATE TABLE key_slots ("
	    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
	    " type TEXT NOT NULL,"
	    " salt BLOB NOT NULL,"
	    " ops INTEGER NOT NULL,"
	    " mem_bytes INTEGER NOT NULL,"
	    " generation INTEGER NOT NULL,"
	    " wrapped BLOB NOT NULL,"
	    " created_ms INTEGER NOT NULL"
	    ") STRICT;"

	    "CREATE TABLE models ("
	    " provider_id TEXT NOT NULL,"
	    " model TEXT NOT NULL,"
	    " nick TEXT UNIQUE,"
	    " added_ms INTEGER NOT NULL,"
	    " expires_ms INTEGER NOT NULL,"
	    " listed INTEGER NOT NULL,"
	    " rev INTEGER NOT NULL,"
	    " PRIMARY KEY (provider_id, model)"
	    ") STRICT, WITHOUT ROWID;"

	    "CREATE TABLE overrides ("
	    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
	    " scope TEXT NOT NULL,"
	    " temporary INTEGER NOT NULL,"
	    " provider_id TEXT NOT NULL,"
	    " model TEXT,"
	    " label TEXT,"
	    " since_ms INTEGER NOT NULL,"
	    " expires_ms INTEGER NOT NULL,"
	    " expires_boot_ms INTEGER NOT NULL,"
	    " boot_id TEXT,"
	    " previous INTEGER NOT NULL,"
	    " rev INTEGER NOT NULL"
	    ") STRICT;"
	    "CREATE INDEX overrides_scope ON overrides (scope);" },

	{ "lists of models as the providers gave them",
	    "CREATE TABLE discovered_lists ("
	    " provider_id TEXT PRIMARY KEY NOT NULL,"
	    " base_url TEXT NOT NULL,"
	    " fetched_ms INTEGER NOT NULL"
	    ") STRICT, WITHOUT ROWID;"

	    "CREATE TABLE discovered_models ("
	    " provider_id TEXT NOT NULL,"
	    " model TEXT NOT NULL,"
	    " title TEXT,"
	    " context_tokens INTEGER NOT NULL,"
	    " output_tokens INTEGER NOT NULL,"
	    " abilities INTEGER NOT NULL,"
	    " loaded INTEGER NOT NULL,"
	    " PRIMARY KEY (provider_id, model)"
	    ") STRICT, WITHOUT ROWID;" },

	{ "where a provider that is a program lies", "ALTER TABLE providers ADD COLUMN program TEXT;" },

	/* AUTOINCREMENT: an id names the session's key, too, and is never given twice */
	{ "test sessions",
	    "CREATE TABLE sessions ("
	    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
	    " token_hash BLOB NOT NULL,"
	    " provider_id TEXT NOT NULL,"
	    " model TEXT NOT NULL,"
	    " label TEXT NOT NULL,"
	    " has_key INTEGER NOT NULL,"
	    " activated INTEGER NOT NULL,"
	    " started_ms INTEGER NOT NULL,"
	    " expires_ms INTEGER NOT NULL,"
	    " expires_boot_ms INTEGER NOT NULL,"
	    " boot_id TEXT NOT NULL,"
	    " requests INTEGER NOT NULL,"
	    " cost_microusd INTEGER NOT NULL,"
	    " rev INTEGER NOT NULL"
	    ") STRICT;" },
	{ "settings",
	    "CREATE TABLE settings ("
	    " name TEXT PRIMARY KEY NOT NULL,"
	    " value TEXT NOT NULL,"
	    " rev INTEGER NOT NULL"
	    ") STRICT, WITHOUT ROWID;" },

	{ "keys that were minted at a provider",
	    "CREATE TABLE minted_keys ("
	    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
	    " provider_id TEXT NOT NULL,"
	    " name TEXT NOT NULL,"
	    " hash TEXT NOT NULL,"
	    " session_id INTEGER NOT NULL,"
	    " created_ms INTEGER NOT NULL,"
	    " expires_ms INTEGER NOT NULL,"
	    " tries INTEGER NOT NULL,"
	    " last_code TEXT NOT NULL,"
	    " rev INTEGER NOT NULL"
	    ") STRICT;" },
	{ "key slots that a command opens",
	    "ALTER TABLE key_slots ADD COLUMN source TEXT NOT NULL DEFAULT '';" },

	/* a link is a target, or without a provider the name of another chain */
	{ "fallback chains",
	    "CREATE TABLE chains ("
	    " name TEXT PRIMARY KEY NOT NULL,"
	    " fall_on TEXT NOT NULL," /* codes, space separated */
	    " rev INTEGER NOT NULL"
	    ") STRICT, WITHOUT ROWID;"

	    "CREATE TABLE chain_links ("
	    " chain TEXT NOT NULL,"
	    " position INTEGER NOT NULL,"
	    " provider_id TEXT NOT NULL,"
	    " model TEXT NOT NULL,"
	    " PRIMARY KEY (chain, position)"
	    ") STRICT, WITHOUT ROWID;"

	    "ALTER TABLE overrides ADD COLUMN chain TEXT;" },

	{ "keys that are read from a source",
	    "ALTER TABLE credentials ADD COLUMN source TEXT NOT NULL DEFAULT '';" },

	{ "budgets",
	    "CREATE TABLE budgets ("
	    " kind TEXT NOT NULL,"
	    " subject TEXT NOT NULL,"
	    " period TEXT NOT NULL,"
	    " limit_microusd INTEGER NOT NULL,"
	    " hard INTEGER NOT NULL,"
	    " rev INTEGER NOT NULL,"
	    " PRIMARY KEY (kind, subject, period)"
	    ") STRICT, WITHOUT ROWID;" },

	{ "team bundles",
	    "CREATE TABLE team_identity ("
	    " id INTEGER PRIMARY KEY NOT NULL,"
	    " public BLOB NOT NULL,"
	    " sealed BLOB NOT NULL,"
	    " generation INTEGER NOT NULL,"
	    " created_ms INTEGER NOT NULL"
	    ") STRICT;"

	    "CREATE TABLE bundles ("
	    " team TEXT PRIMARY KEY NOT NULL,"
	    " signer BLOB NOT NULL,"
	    " version INTEGER NOT NULL,"
	    " content BLOB NOT NULL,"
	    " source TEXT NOT NULL,"
	    " ca_file TEXT NOT NULL,"
	    " local INTEGER NOT NULL,"
	    " added_ms INTEGER NOT NULL,"
	    " updated_ms INTEGER NOT NULL,"
	    " rev INTEGER NOT NULL"
	    ") STRICT;"

	    "CREATE TABLE bundles_seen ("
	    " team TEXT NOT NULL,"
	    " signer BLOB NOT NULL,"
	    " version INTEGER NOT NULL,"
	    " digest BLOB NOT NULL,"
	    " PRIMARY KEY (team, signer)"
	    ") STRICT, WITHOUT ROWID;"

	    "CREATE TABLE bundle_keys ("
	    " credential_id TEXT PRIMARY KEY NOT NULL,"
	    " team TEXT NOT NULL"
	    ") STRICT, WITHOUT ROWID;" },

	{ "rows that team bundles brought",
	    "CREATE TABLE bundle_items ("
	    " section TEXT NOT NULL,"
	    " item TEXT NOT NULL,"
	    " value TEXT NOT NULL,"
	    " PRIMARY KEY (section, item)"
	    ") STRICT, WITHOUT ROWID;" },

	{ "prices that the user sets",
	    "CREATE TABLE own_prices ("
	    " provider_id TEXT NOT NULL,"
	    " model TEXT NOT NULL,"
	    " valid_from_ms INTEGER NOT NULL,"
	    " above_tokens INTEGER NOT NULL,"
	    " input INTEGER NOT NULL,"
	    " cache_read INTEGER NOT NULL,"
	    " cache_write INTEGER NOT NULL,"
	    " output INTEGER NOT NULL,"
	    " PRIMARY KEY (provider_id, model, valid_from_ms, above_tokens)"
	    ") STRICT, WITHOUT ROWID;" },

	{ "keys that share the calls of their provider",
	    "ALTER TABLE providers ADD COLUMN key_sharing TEXT NOT NULL DEFAULT 'off';"
	    "ALTER TABLE credentials ADD COLUMN weight INTEGER NOT NULL DEFAULT 1;" },
};

const struct schema schema_current = { migrations, sizeof migrations / sizeof *migrations };

static int
migrate_one(struct store *s, const struct migration *m, int version)
{
	char pragma[48];
	int rc;

	snprintf(pragma, sizeof pragma, "PRAGMA user_version = %d", version);
	if ((rc = db_exec(s, "BEGIN IMMEDIATE")) != SQLITE_OK)
		return rc;
	if ((rc = db_exec(s, m->sql)) == SQLITE_OK && (rc = db_exec(s, pragma)) == SQLITE_OK)
		rc = db_exec(s, "COMMIT");
	if (rc != SQLITE_OK && !sqlite3_get_autocommit(s->db))
		db_exec(s, "ROLLBACK");
	return rc;
}

int
migrations_run(struct store *s, const struct schema *schema, int from)
{
	int rc = SQLITE_OK;

	for (int v = from; v < schema->count && rc == SQLITE_OK; v++)
		rc = migrate_one(s, &schema->list[v], v + 1);
	return rc;
}

/* Every table and index as one text; NULL when it cannot be read. */
static char *
schema_text(struct store *s, int *rc)
{
	static const char sql[] =
	    "SELECT group_concat(type || ' ' || name || ' ' || tbl_name || ' ' || coalesce(sql, ''), ';') "
	    "FROM (SELECT * FROM sqlite_schema WHERE name NOT LIKE 'sqlite_stat%' ORDER BY type, name)";
	sqlite3_stmt *stmt = NULL;
	char *text = NULL;

	*rc = sqlite3_prepare_v2(s->db, sql, -1, &stmt, NULL);
	if (*rc == SQLITE_OK && (*rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		const char *got = (const char *)sqlite3_column_text(stmt, 0);

		text = xstrdup(got != NULL ? got : "");
		*rc = SQLITE_OK;
	}
	sqlite3_finalize(stmt);
	return text;
}

int
migrations_check(struct store *s, const struct schema *schema, int version, bool *same)
{
	struct store *model = NULL;
	char *is = NULL, *should_be = NULL;
	int rc;

	if ((rc = db_connect(":memory:", &model)) != SQLITE_OK)
		return rc;
	rc = migrations_run(model, &(struct schema){ schema->list, version }, 0);
	if (rc == SQLITE_OK)
		should_be = schema_text(model, &rc);
	if (rc == SQLITE_OK)
		is = schema_text(s, &rc);
	if (rc == SQLITE_OK)
		*same = strcmp(is, should_be) == 0;
	db_close(model);
	free(is);
	free(should_be);
	return rc;
}

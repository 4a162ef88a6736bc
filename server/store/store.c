#include "server/store/store.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "protocol/base/str.h"
#include "server/base/log.h"
#include "server/store/db_file.h"
#include "server/store/folder.h"
#include "server/store/inspection.h"
#include "server/store/open.h"
#include "server/store/rows.h"

#define TRIAL_NAME "trial.tmp"

/* ---- opening ---- */

enum opening {
	OPEN_OR_CREATE,
	OPEN_LOOK_LATER, /* as before; at a large one only as far as needed, store_inspect does the rest */
	OPEN_AGAIN, /* it was checked before; a long look at all of it would stall the loop */
	OPEN_COPY,  /* only to check it: no upgrade, no log; for any thread */
};

/* "ok", or the first thing that is wrong. */
static int
quick_check(struct store *s, struct error *err)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(s->db, "PRAGMA quick_check(1)", -1, &stmt, NULL);
	const char *said = NULL;
	int r = 0;

	if (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
		said = (const char *)sqlite3_column_text(stmt, 0);
	if (said == NULL)
		r = db_file_error(s->path, rc == SQLITE_ROW ? SQLITE_CORRUPT : rc, err);
	else if (strcmp(said, "ok") != 0)
		r = db_file_damaged(s->path, said, err);
	sqlite3_finalize(stmt);
	return r;
}

/* The rest of a large file is for later, but not before its tables are changed. */
static bool
look_later(struct store *s, int64_t version)
{
	int64_t pages = 0, bytes = 0;

	return version == s->is.schema->count && db_pragma_int(s, "PRAGMA page_count", &pages) == SQLITE_OK &&
	    db_pragma_int(s, "PRAGMA page_size", &bytes) == SQLITE_OK && pages * bytes > INSPECTION_BYTES;
}

/* What the header said may have been overtaken by what lies in the WAL. */
static int
check_identity(struct store *s, enum opening how, int64_t *version, struct error *err)
{
	const struct schema *schema = s->is.schema;
	int64_t id = 0;
	bool same = false;
	int rc, r;

	if ((rc = db_configure(s)) != SQLITE_OK ||
	    (rc = db_pragma_int(s, "PRAGMA application_id", &id)) != SQLITE_OK ||
	    (rc = db_pragma_int(s, "PRAGMA user_version", version)) != SQLITE_OK)
		return db_file_error(s->path, rc, err);
	if (id != s->is.application_id)
		return db_file_foreign(s->path, err);
	if (*version > schema->count || *version < 0)
		return db_file_newer(s->path, *version, schema, err);
	if (sqlite3_db_readonly(s->db, "main") == 1) {
		error_set(err, MP_E_STORAGE, "the database %s cannot be written", s->path);
		error_hint(err, "chmod 600 %s", s->path);
		return MP_E_STORAGE;
	}
	s->unseen = how == OPEN_LOOK_LATER && look_later(s, *version);
	if (how != OPEN_AGAIN && !s->unseen && (r = quick_check(s, err)) != 0)
		return r;
	if ((rc = migrations_check(s, schema, (int)*version, &same)) != SQLITE_OK || !same)
		return db_file_error(s->path, rc != SQLITE_OK ? rc : SQLITE_CORRUPT, err);
	return 0;
}

static int
upgrade(const struct db_dir *d, struct store *s, int version, struct error *err)
{
	const struct schema *schema = s->is.schema;
	int rc, r;

	if (version == schema->count)
		return 0;
	if ((r = db_file_backup(d, s, version, err)) != 0)
		return r;
	if ((rc = migrations_run(s, schema, version)) != SQLITE_OK)
		return db_file_error(s->path, rc, err);
	log_info("the database has a new schema; the old one was kept beside it",
	    LOG_INT("from", version), LOG_INT("to", schema->count));
	return 0;
}

/* With an empty log: what an earlier process left in it may have reached no further than the memory of the
 * system, so nothing is appended to it. A disk that takes nothing now does not keep anybody from reading. */
static int
begin_log(struct store *s, enum opening how)
{
	int rc = db_exec(s, "PRAGMA journal_mode = WAL"), emptied;

	if (rc != SQLITE_OK)
		return rc;
	emptied = sqlite3_wal_checkpoint_v2(s->db, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	if (emptied != SQLITE_OK && how == OPEN_AGAIN) {
		s->read_only = true;
		db_keep_file(s);
	} else if (emptied != SQLITE_OK && emptied != SQLITE_FULL) {
		return emptied;
	}
	wal_end_watch(s, emptied == SQLITE_OK);
	return SQLITE_OK;
}

static int
open_file(const struct db_dir *d, const struct database *is, enum opening how, struct store **out,
    struct error *err)
{
	char *path = db_dir_file(d, is->file);
	struct store *s = NULL;
	int64_t version = 0;
	int rc, r;

	if ((rc = db_connect(path, &s)) == SQLITE_OK) {
		s->is = *is;
		r = db_file_check_header(s, err);
	} else {
		r = db_file_error(path, rc, err);
	}
	if (r == 0 && how == OPEN_OR_CREATE)
		s->beneath_log = wal_end_count_beneath(path);
	if (r == 0)
		r = check_identity(s, how, &version, err);
	if (r != 0 && s != NULL)
		db_keep_file(s); /* refused: also its WAL stays as it was */
	if (r == 0 && how == OPEN_COPY) {
		*out = s;
		free(path);
		return 0;
	}
	if (r == 0 && (rc = begin_log(s, how)) != SQLITE_OK)
		r = db_file_error(path, rc, err);
	if (r == 0)
		r = upgrade(d, s, (int)version, err);
	free(path);
	if (r != 0) {
		db_close(s);
		return r;
	}
	*out = s;
	return 0;
}

static int
open_at(const char *data_dir, const struct database *is, enum opening how, struct store **out,
    struct error *err)
{
	struct db_dir d;
	int r;

	if ((r = db_dir_open(&d, data_dir, err)) != 0)
		return r;
	if (how == OPEN_OR_CREATE || how == OPEN_LOOK_LATER)
		r = db_file_create(&d, is, err);
	if (r == 0 && (r = db_file_check(&d, is, err)) == 0 &&
	    (r = open_file(&d, is, how, out, err)) == 0)
		(*out)->data_dir = xstrdup(data_dir);
	db_dir_clear(&d);
	return r;
}

int
store_open_database(const char *data_dir, const struct database *is, struct store **out,
    struct error *err)
{
	return open_at(data_dir, is, OPEN_OR_CREATE, out, err);
}

int
store_open_existing(const char *data_dir, const struct database *is, struct store **out,
    struct error *err)
{
	return open_at(data_dir, is, OPEN_AGAIN, out, err);
}

/* A copy is one file: nothing waits in a WAL beside it. */
static int
settle_copy(struct store *s, bool for_backup, struct error *err)
{
	int rc = db_exec(s, "PRAGMA journal_mode = DELETE");

	if (rc == SQLITE_OK && for_backup && s->is.not_in_backups != NULL)
		rc = db_exec(s, s->is.not_in_backups);
	return rc == SQLITE_OK ? 0 : db_file_error(s->path, rc, err);
}

int
store_check_copy(const char *folder, const struct database *is, bool for_backup, struct error *err)
{
	struct store *s = NULL;
	int r;

	if ((r = open_at(folder, is, OPEN_COPY, &s, err)) == 0)
		r = settle_copy(s, for_backup, err);
	db_close(s);
	return r;
}

void
store_on_failure(struct store *s, void (*failed)(void *arg), void *arg)
{
	s->failed = failed;
	s->failed_arg = arg;
}

/* Whether the folder takes a new file and syncs it: as long as it does not, the old connection reads on. */
static int
try_folder(struct store *s, struct error *err)
{
	struct db_dir d;
	char page[4096] = "";
	int fd, r;

	if ((r = db_dir_open(&d, s->data_dir, err)) != 0)
		return r;
	unlinkat(d.fd, TRIAL_NAME, 0);
	fd = folder_new_file(d.fd, TRIAL_NAME);
	if (fd < 0 || write(fd, page, sizeof page) != (ssize_t)sizeof page || fsync(fd) != 0)
		r = error_set(err, MP_E_STORAGE, "%s cannot be written: %s", d.path, strerror(errno));
	if (fd >= 0)
		close(fd);
	unlinkat(d.fd, TRIAL_NAME, 0);
	db_dir_clear(&d);
	return r;
}

/* A commit that changes nothing, down to the disk. */
static int
try_commit(struct store *s)
{
	char sql[96];
	int64_t version;
	int rc;

	if ((rc = db_pragma_int(s, "PRAGMA user_version", &version)) != SQLITE_OK)
		return rc;
	snprintf(sql, sizeof sql, "BEGIN IMMEDIATE; PRAGMA user_version = %d; COMMIT", (int)version);
	rc = db_exec(s, sql);
	if (rc != SQLITE_OK && !sqlite3_get_autocommit(s->db))
		db_exec(s, "ROLLBACK");
	return rc;
}

int
store_recover(struct store *s, struct error *err)
{
	int r, rc;

	assert(!s->in_tx);
	if (!s->read_only)
		return 0;
	if (s->copying > 0)
		return error_set(err, MP_E_BUSY, "a backup of %s is being made", s->path);
	if ((r = try_folder(s, err)) != 0)
		return r;
	if (s->wal_end.uncut && (rc = wal_end_cut(s)) != SQLITE_OK)
		return db_file_error(s->path, rc, err);
	if ((r = store_reopen(s, err)) != 0)
		return r;
	if (s->read_only)
		return error_set(err, MP_E_STORAGE, "%s cannot be written yet", s->path);
	if ((rc = try_commit(s)) == SQLITE_OK)
		return 0;
	/* not told again: it never was well */
	s->read_only = true;
	s->wal_end.uncut = true;
	db_keep_file(s);
	return db_file_error(s->path, rc, err);
}

void
store_detach(struct store *s)
{
	assert(s->copying == 0);
	store_rollback(s);
	db_disconnect(s);
	s->unseen = false;
	s->read_only = true;
}

int
store_reopen(struct store *s, struct error *err)
{
	struct store *fresh = NULL;
	int r;

	if (s->copying > 0)
		return error_set(err, MP_E_BUSY, "a backup of %s is being made", s->path);
	store_detach(s);
	if ((r = store_open_existing(s->data_dir, &s->is, &fresh, err)) != 0)
		return r;
	s->db = fresh->db;
	s->read_only = fresh->read_only;
	s->tx_error = 0;
	wal_end_watch(s, fresh->wal_end.known); /* from here on the hook knows this one */
	fresh->db = NULL;
	db_close(fresh);
	if (s->read_only && s->failed != NULL)
		s->failed(s->failed_arg);
	return 0;
}

int
store_open_schema(const char *data_dir, const struct schema *schema, struct store **out,
    struct error *err)
{
	struct database is = database_state;

	is.schema = schema;
	return store_open_database(data_dir, &is, out, err);
}

int
store_open(const char *data_dir, struct store **out, struct error *err)
{
	return store_open_database(data_dir, &database_state, out, err);
}

int
store_open_usage(const char *data_dir, struct store **out, struct error *err)
{
	return open_at(data_dir, &database_usage, OPEN_LOOK_LATER, out, err);
}

int
store_schema_version(void)
{
	return schema_current.count;
}

void
store_close(struct store *s)
{
	if (s == NULL)
		return;
	store_rollback(s);
	db_close(s);
}

const char *
store_path(const struct store *s)
{
	return s->path;
}

void
store_replaced(struct store *s)
{
	s->damaged = false;
}

bool
store_unseen(const struct store *s)
{
	return s->unseen;
}

bool
store_read_only(const struct store *s)
{
	return s->read_only;
}

/* ---- transactions ---- */

static int
run_plain(struct store *s, const char *sql)
{
	struct query q;
	int r;

	query_init(&q, s, sql);
	r = query_next(&q);
	query_end(&q);
	return r;
}

int
store_begin(struct store *s)
{
	static const char sql[] = "BEGIN IMMEDIATE";
	int r;

	assert(!s->in_tx);
	if (s->read_only || s->damaged)
		return MP_E_STORAGE;
	if ((r = run_plain(s, sql)) != 0)
		return r;
	s->in_tx = true;
	s->tx_error = 0;
	return 0;
}

int
store_commit(struct store *s)
{
	static const char sql[] = "COMMIT";
	int r;

	assert(s->in_tx);
	r = s->tx_error != 0 ? s->tx_error : run_plain(s, sql);
	if (r != 0) {
		store_rollback(s);
		return r;
	}
	s->in_tx = false;
	return 0;
}

/* The log itself takes room on a full disk: what is in it moves into the file. */
static void
make_room(struct store *s)
{
	int rc = sqlite3_wal_checkpoint_v2(s->db, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);

	if (rc != SQLITE_FULL)
		db_result(s, rc);
	s->full = false;
}

void
store_rollback(struct store *s)
{
	static const char sql[] = "ROLLBACK";

	if (!s->in_tx)
		return;
	/* a full disk may have rolled back already */
	if (!sqlite3_get_autocommit(s->db))
		run_plain(s, sql);
	s->in_tx = false;
	if (s->wal_end.uncut)
		wal_end_cut(s);
	if (s->full && !s->held)
		make_room(s);
}

int
store_checkpoint(struct store *s)
{
	assert(!s->in_tx);
	if (s->read_only)
		return MP_E_STORAGE;
	return db_result(s, sqlite3_wal_checkpoint_v2(s->db, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL,
				NULL));
}

int
store_checkpoint_passive(struct store *s)
{
	assert(!s->in_tx);
	if (s->read_only || s->damaged)
		return MP_E_STORAGE;
	if (s->held)
		return 0;
	return db_result(s, sqlite3_wal_checkpoint_v2(s->db, "main", SQLITE_CHECKPOINT_PASSIVE, NULL,
				NULL));
}

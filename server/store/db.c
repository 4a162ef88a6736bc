#include "server/store/db.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/buf.h"
#include "protocol/base/str.h"
#include "server/base/log.h"
#include "server/store/inspection.h"

/* A second opener must learn quickly that it is one. */
#define BUSY_TIMEOUT_MS 1000

int
db_connect(const char *path, struct store **out)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE |
	    SQLITE_OPEN_PRIVATECACHE;
	struct store *s = xcalloc(1, sizeof *s);
	int rc;

	s->path = xstrdup(path);
	s->beneath_log = -1;
	rc = sqlite3_open_v2(path, &s->db, flags, NULL);
	if (s->db == NULL || rc != SQLITE_OK) {
		db_close(s);
		return rc != SQLITE_OK ? rc : SQLITE_NOMEM;
	}
	sqlite3_busy_timeout(s->db, BUSY_TIMEOUT_MS);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
	*out = s;
	return SQLITE_OK;
}

/* https://www.sqlite.org/uri.html: immutable takes no lock, and no log is looked for. */
char *
db_file_alone_uri(const char *path)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-";
	struct buf b = BUF_INIT;

	buf_adds(&b, "file:");
	for (const char *p = path; *p != '\0'; p++) {
		if (strchr(plain, *p) != NULL)
			buf_addc(&b, *p);
		else
			buf_addf(&b, "%%%02X", (unsigned)(unsigned char)*p);
	}
	buf_adds(&b, "?mode=ro&immutable=1");
	return buf_steal(&b, NULL);
}

int
db_configure(struct store *s)
{
	/* exclusive before anything reads: in WAL mode the lock is taken by the first access, and no
	 * shared-memory file is made */
	static const char *const pragmas[] = {
		"PRAGMA locking_mode = EXCLUSIVE",
		"PRAGMA trusted_schema = OFF",
		"PRAGMA cell_size_check = ON",
		"PRAGMA mmap_size = 0",
		"PRAGMA temp_store = MEMORY",
		"PRAGMA secure_delete = ON",
		"PRAGMA foreign_keys = ON",
		"PRAGMA synchronous = FULL",
		"PRAGMA journal_size_limit = 1048576",
	};
	int rc = SQLITE_OK;

	for (size_t i = 0; i < sizeof pragmas / sizeof *pragmas && rc == SQLITE_OK; i++)
		rc = db_exec(s, pragmas[i]);
	if (rc == SQLITE_OK && s->is.pragmas != NULL)
		rc = db_exec(s, s->is.pragmas);
	return rc;
}

void
db_disconnect(struct store *s)
{
	inspection_end(s);
	for (size_t i = 0; i < s->cached; i++)
		sqlite3_finalize(s->cache[i].stmt);
	s->cached = 0;
	sqlite3_close(s->db);
	s->db = NULL;
}

void
db_close(struct store *s)
{
	if (s == NULL)
		return;
	db_disconnect(s);
	free(s->path);
	free(s->data_dir);
	free(s);
}

void
db_keep_file(struct store *s)
{
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
}

int
db_exec(struct store *s, const char *sql)
{
	return sqlite3_exec(s->db, sql, NULL, NULL, NULL);
}

int
db_pragma_int(struct store *s, const char *sql, int64_t *value)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(s->db, sql, -1, &stmt, NULL);

	if (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		*value = sqlite3_column_int64(stmt, 0);
		rc = SQLITE_OK;
	}
	sqlite3_finalize(stmt);
	return rc;
}

static int
go_read_only(struct store *s, int rc)
{
	bool news = !s->read_only;

	if (news)
		log_error("the database is read-only after a storage error; it is tried again until it works",
		    LOG_TEXT("path", s->path), LOG_TEXT("error", sqlite3_errstr(rc)), LOG_INT("code", rc));
	s->read_only = true;
	s->wal_end.uncut = true;
	if (s->db != NULL)
		db_keep_file(s); /* a failed sync is not tried again as if it could still succeed */
	if (news && s->failed != NULL)
		s->failed(s->failed_arg);
	return MP_E_STORAGE;
}

int
db_result(struct store *s, int rc)
{
	int r;

	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_CONSTRAINT: /* the statement failed, the transaction goes on */
		return MP_E_CONFLICT;
	case SQLITE_TOOBIG:
		return MP_E_TOO_LARGE;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		r = MP_E_BUSY;
		break;
	case SQLITE_FULL: /* the next transaction may find room again */
		s->full = true;
		r = MP_E_STORAGE;
		break;
	case SQLITE_NOMEM:
	case SQLITE_ERROR:
	case SQLITE_MISUSE:
	case SQLITE_RANGE:
		r = MP_E_INTERNAL;
		break;
	default: /* of SQLite's codes, not an enum of ours */
		r = go_read_only(s, rc);
		break;
	}
	if (s->in_tx && s->tx_error == 0)
		s->tx_error = r;
	return r;
}

/* ---- one query ---- */

static sqlite3_stmt *
cached_statement(struct store *s, const char *sql, int *rc)
{
	sqlite3_stmt *stmt = NULL;

	for (size_t i = 0; i < s->cached; i++)
		if (s->cache[i].sql == sql)
			return s->cache[i].stmt;
	if (s->db == NULL) {
		*rc = SQLITE_IOERR;
		return NULL;
	}
	assert(s->cached < DB_STATEMENTS);
	*rc = sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL);
	if (*rc != SQLITE_OK)
		return NULL;
	s->cache[s->cached].sql = sql;
	s->cache[s->cached++].stmt = stmt;
	return stmt;
}

void
query_init(struct query *q, struct store *s, const char *sql)
{
	*q = (struct query){ s, NULL, 0, SQLITE_OK };
	q->stmt = cached_statement(s, sql, &q->rc);
	assert(q->stmt == NULL || !sqlite3_stmt_busy(q->stmt)); /* a row callback asked the same again */
}

static void
bound(struct query *q, int rc)
{
	if (q->rc == SQLITE_OK)
		q->rc = rc;
}

void
query_text(struct query *q, const char *text)
{
	if (q->rc == SQLITE_OK)
		bound(q, sqlite3_bind_text(q->stmt, ++q->bound, text, -1, SQLITE_STATIC));
}

void
query_int(struct query *q, int64_t v)
{
	if (q->rc == SQLITE_OK)
		bound(q, sqlite3_bind_int64(q->stmt, ++q->bound, v));
}

void
query_blob(struct query *q, const void *data, size_t n)
{
	if (q->rc == SQLITE_OK)
		bound(q, sqlite3_bind_blob64(q->stmt, ++q->bound, n > 0 ? data : "", n, SQLITE_STATIC));
}

int
query_next(struct query *q)
{
	if (q->rc == SQLITE_OK)
		q->rc = sqlite3_step(q->stmt);
	if (q->rc == SQLITE_ROW) {
		q->rc = SQLITE_OK;
		return 1;
	}
	return db_result(q->s, q->rc);
}

const char *
query_col_text(struct query *q, int i)
{
	return (const char *)sqlite3_column_text(q->stmt, i);
}

const char *
query_col_str(struct query *q, int i)
{
	const char *text = query_col_text(q, i);

	return text != NULL ? text : "";
}

int64_t
query_col_int(struct query *q, int i)
{
	return sqlite3_column_int64(q->stmt, i);
}

bool
query_col_bool(struct query *q, int i)
{
	return sqlite3_column_int64(q->stmt, i) != 0;
}

const void *
query_col_blob(struct query *q, int i, size_t *n)
{
	const void *data = sqlite3_column_blob(q->stmt, i);

	*n = (size_t)sqlite3_column_bytes(q->stmt, i);
	return data;
}

void
query_end(struct query *q)
{
	if (q->stmt == NULL)
		return;
	sqlite3_reset(q->stmt);
	sqlite3_clear_bindings(q->stmt);
}

int
query_run(struct query *q, int64_t *changed)
{
	int r;

	assert(q->s->in_tx);
	if (q->s->read_only) {
		query_end(q);
		return MP_E_STORAGE;
	}
	while ((r = query_next(q)) == 1)
		continue;
	if (r == 0 && changed != NULL)
		*changed = sqlite3_changes64(q->s->db);
	query_end(q);
	return r;
}

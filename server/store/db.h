/* db.h - the connection inside a store, and one query on it. For the files of this folder.
 *
 * SQL texts are constants: a prepared statement is cached by the address of its text, and values only
 * ever travel as bound parameters. */
#ifndef SERVER_STORE_DB_H
#define SERVER_STORE_DB_H

#include <sqlite3.h>

#include "server/store/database.h"
#include "server/store/store.h"
#include "server/store/wal_end.h"

#define DB_STATEMENTS 80

struct inspection;

struct store {
	sqlite3 *db; /* NULL: a reopening failed; everything is an error until the next */
	char *path;
	char *data_dir; /* as it was given; NULL for a model in memory */
	struct database is;
	bool read_only; /* an I/O error happened: nothing is written until reopened */
	bool in_tx;
	bool unseen;  /* too large to be looked at as a whole when it was opened */
	bool damaged; /* found after the start: nothing is written to it, until another one lies there */
	int64_t beneath_log; /* store_count_beneath_log */
	bool held;    /* nothing moves from the log into the file */
	struct inspection *inspection; /* NULL = none goes on */
	int copying; /* backups that read from this connection */
	int tx_error; /* what broke this transaction; it can only be rolled back */
	bool full;    /* the disk was, in this transaction */
	struct wal_end wal_end;
	int64_t page_bytes;
	void (*failed)(void *arg); /* told when it goes read-only; NULL = nobody */
	void *failed_arg;
	struct {
		const char *sql;
		sqlite3_stmt *stmt;
	} cache[DB_STATEMENTS];
	size_t cached;
};

/* Connects to the file at path (absolute, no link in it) and sets nothing that reads it yet. */
int db_connect(const char *path, struct store **out);
/* How SQLite opens the file at path alone, without a lock and whatever log lies beside it; caller frees. */
char *db_file_alone_uri(const char *path);
/* The pragmas every connection runs with; the first to read the file. Returns an SQLite code. */
int db_configure(struct store *s);
void db_close(struct store *s);
void db_disconnect(struct store *s); /* what is left has no file */
/* Closing must leave the file as it is: no checkpoint, the WAL stays. */
void db_keep_file(struct store *s);

/* SQL of ours with no values. Returns an SQLite code. */
int db_exec(struct store *s, const char *sql);
/* The one integer a pragma answers. Returns an SQLite code. */
int db_pragma_int(struct store *s, const char *sql, int64_t *value);

/* What an SQLite code means to our callers; goes read-only when it must. 0 for OK, ROW and DONE. */
int db_result(struct store *s, int rc);

/* ---- one query ---- */

struct query {
	struct store *s;
	sqlite3_stmt *stmt;
	int bound; /* parameters so far */
	int rc;    /* the first SQLite code that was not fine */
};

/* Parameters are bound in the order of their numbers. */
void query_init(struct query *q, struct store *s, const char *sql);
void query_text(struct query *q, const char *text); /* NULL binds NULL; borrowed until query_end */
void query_int(struct query *q, int64_t v);
void query_blob(struct query *q, const void *data, size_t n);
/* 1 and a row, 0 at the end, or MP_E_... */
int query_next(struct query *q);
const char *query_col_text(struct query *q, int i); /* NULL for NULL; borrowed until query_next */
const char *query_col_str(struct query *q, int i);  /* "" for NULL */
int64_t query_col_int(struct query *q, int i);
bool query_col_bool(struct query *q, int i);
const void *query_col_blob(struct query *q, int i, size_t *n);
void query_end(struct query *q);
/* Runs a write to its end. 0 or MP_E_... ; *changed rows when not NULL. */
int query_run(struct query *q, int64_t *changed);

#endif

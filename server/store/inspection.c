#include "server/store/inspection.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/base/worker.h"
#include "server/store/db.h"
#include "server/store/db_file.h"

#define STOP_EVERY 1000 /* instructions of SQLite's machine: some ten microseconds */

struct inspection {
	struct store *s;
	struct loop *loop;
	struct worker *thread;
	struct loop_deferred ending;
	char *uri;
	atomic_bool stop;
	int64_t began_ms;
	/* of the thread, then of the loop */
	int rc;
	char *said;
	void (*found)(void *arg, const struct error *err);
	void *arg;
};

/* ---- the thread ---- */

static int
shall_stop(void *arg)
{
	struct inspection *i = arg;

	return atomic_load(&i->stop);
}

static void
look(void *arg)
{
	int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE |
	    SQLITE_OPEN_PRIVATECACHE;
	struct inspection *i = arg;
	sqlite3_stmt *stmt = NULL;
	sqlite3 *db = NULL;

	i->rc = sqlite3_open_v2(i->uri, &db, flags, NULL);
	if (i->rc == SQLITE_OK) {
		sqlite3_progress_handler(db, STOP_EVERY, shall_stop, i);
		i->rc = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &stmt, NULL);
	}
	if (i->rc == SQLITE_OK && (i->rc = sqlite3_step(stmt)) == SQLITE_ROW)
		i->said = xstrdup((const char *)sqlite3_column_text(stmt, 0));
	sqlite3_finalize(stmt);
	sqlite3_close(db);
}

/* ---- the loop ---- */

/* Commits are synced one by one: nobody moves them into the file. What grows large syncs less otherwise. */
static void
hold(struct store *s, bool held)
{
	s->held = held;
	if (s->db != NULL)
		db_exec(s, held ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
}

void
inspection_end(struct store *s)
{
	struct inspection *i = s->inspection;

	if (i == NULL)
		return;
	s->inspection = NULL;
	atomic_store(&i->stop, true);
	loop_defer_cancel(i->loop, &i->ending);
	worker_free(i->thread);
	hold(s, false);
	free(i->said);
	free(i->uri);
	free(i);
}

static void
end_deferred(void *arg)
{
	inspection_end(arg);
}

static void
condemn(struct inspection *i, const struct error *err)
{
	struct store *s = i->s;

	log_error("nothing is written to a damaged database", LOG_TEXT("error", err->message),
	    LOG_TEXT("do", err->hint));
	s->damaged = true;
	db_keep_file(s);
	i->found(i->arg, err);
}

/* Not inside the worker's own call is its thread ended. */
static void
looked(void *arg)
{
	struct inspection *i = arg;
	struct store *s = i->s;
	struct error err = ERROR_INIT;

	if (atomic_load(&i->stop))
		return;
	if (i->rc == SQLITE_ROW && strcmp(i->said, "ok") == 0)
		log_info("the whole database was looked at", LOG_TEXT("path", s->path),
		    LOG_INT("ms", clock_monotonic_ms() - i->began_ms));
	else if (i->rc == SQLITE_ROW)
		db_file_damaged(s->path, i->said, &err);
	else
		db_file_error(s->path, i->rc, &err);
	if (i->rc == SQLITE_ROW || (i->rc & 0xff) == SQLITE_CORRUPT || (i->rc & 0xff) == SQLITE_NOTADB) {
		if (err.code != 0)
			condemn(i, &err);
	} else {
		log_warn("the database cannot be looked at", LOG_TEXT("error", err.message));
	}
	loop_defer(i->loop, &i->ending, end_deferred, s);
}

void
store_inspect(struct store *s, struct loop *loop, void (*found)(void *arg, const struct error *err),
    void *arg)
{
	struct inspection *i = xcalloc(1, sizeof *i);

	assert(s->inspection == NULL && !s->in_tx);
	i->s = s;
	i->loop = loop;
	i->found = found;
	i->arg = arg;
	i->uri = db_file_alone_uri(s->path);
	i->began_ms = clock_monotonic_ms();
	s->inspection = i;
	hold(s, true);
	i->thread = worker_new(loop);
	if (i->thread == NULL || worker_add(i->thread, look, looked, i) != 0) {
		look(i);
		looked(i);
	}
}

bool
store_inspecting(const struct store *s)
{
	return s->inspection != NULL;
}

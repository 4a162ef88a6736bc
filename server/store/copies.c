#include "server/store/copies.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/base/buf.h"
#include "protocol/base/str.h"
#include "server/base/log.h"
#include "server/store/db.h"
#include "server/store/db_file.h"
#include "server/store/folder.h"

#define FOLDER "replaced-"

/* ---- which there are ---- */

static bool
is_backup(const char *name)
{
	const char *state = database_state.file;
	size_t n = strlen(name), begin = strlen(state);

	return n > begin + 6 && strncmp(name, state, begin) == 0 && strncmp(name + begin, ".v", 2) == 0 &&
	    strcmp(name + n - 4, ".bak") == 0;
}

static bool
is_folder(const char *name)
{
	return strncmp(name, FOLDER, sizeof FOLDER - 1) == 0;
}

/* Every copy by its name in the data folder: a file, or a folder that holds one. */
static void
each(const char *data_dir, void (*see)(void *arg, const struct db_dir *d, const char *name), void *arg)
{
	struct db_dir d;
	struct dirent *e;
	DIR *dir;
	int fd;

	if (db_dir_open(&d, data_dir, NULL) != 0)
		return;
	if ((fd = openat(d.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) >= 0 &&
	    (dir = fdopendir(fd)) != NULL) {
		while ((e = readdir(dir)) != NULL)
			if (is_backup(e->d_name) || is_folder(e->d_name))
				see(arg, &d, e->d_name);
		closedir(dir);
	} else if (fd >= 0) {
		close(fd);
	}
	db_dir_clear(&d);
}

/* ---- keys that are no more ---- */

static bool
is_held(struct store *s, sqlite3_stmt *row)
{
	static const char sql[] = "SELECT 1 FROM credentials WHERE id = ?1 AND sealed = ?2";
	struct query q;
	bool held;

	query_init(&q, s, sql);
	query_text(&q, (const char *)sqlite3_column_text(row, 0));
	query_blob(&q, sqlite3_column_blob(row, 1), (size_t)sqlite3_column_bytes(row, 1));
	held = query_next(&q) != 0; /* an error counts as held: nothing is taken out in doubt */
	query_end(&q);
	return held;
}

static int
drop_row(sqlite3 *copy, sqlite3_int64 rowid)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(copy, "DELETE FROM credentials WHERE rowid = ?", -1, &stmt, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_bind_int64(stmt, 1, rowid);
	if (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_DONE)
		rc = SQLITE_OK;
	sqlite3_finalize(stmt);
	return rc;
}

/* One pass finds one that is to go: they are few, and a table is not changed while it is read. */
static int
next_dead(struct store *s, sqlite3 *copy, sqlite3_int64 *rowid)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(copy, "SELECT id, sealed, rowid FROM credentials", -1, &stmt, NULL);

	if (rc != SQLITE_OK)
		return rc;
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
		if (!is_held(s, stmt)) {
			*rowid = sqlite3_column_int64(stmt, 2);
			break;
		}
	sqlite3_finalize(stmt);
	return rc;
}

/* secure_delete: zeros, in the file itself; the journal of it goes with the commit. */
static int
scrub_one(struct store *s, const char *path)
{
	static const char begin[] = "PRAGMA secure_delete = ON; PRAGMA journal_mode = DELETE;"
				    "PRAGMA synchronous = FULL; BEGIN IMMEDIATE";
	sqlite3_int64 rowid = 0;
	sqlite3 *copy = NULL;
	int rc;

	rc = sqlite3_open_v2(path, &copy, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW |
	    SQLITE_OPEN_PRIVATECACHE, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(copy, begin, NULL, NULL, NULL);
	while (rc == SQLITE_OK && (rc = next_dead(s, copy, &rowid)) == SQLITE_ROW)
		rc = drop_row(copy, rowid);
	if (rc == SQLITE_DONE)
		rc = sqlite3_exec(copy, "COMMIT", NULL, NULL, NULL);
	sqlite3_close(copy);
	return rc;
}

static void
scrub(void *arg, const struct db_dir *d, const char *name)
{
	struct store *s = arg;
	struct buf path = BUF_INIT;
	struct stat st;
	int rc;

	buf_addf(&path, "%s/%s", d->path, name);
	if (is_folder(name))
		buf_addf(&path, "/%s", database_state.file);
	rc = lstat(buf_str(&path), &st) == 0 ? scrub_one(s, buf_str(&path)) : SQLITE_OK;
	if (rc != SQLITE_OK)
		log_warn("a kept copy cannot be changed and may hold a deleted key, sealed; remove it "
			 "when it is not needed",
		    LOG_TEXT("file", buf_str(&path)), LOG_TEXT("error", sqlite3_errstr(rc)));
	buf_clear(&path);
}

void
copies_scrub(struct store *s)
{
	if (s->data_dir != NULL && s->db != NULL)
		each(s->data_dir, scrub, s);
}

/* ---- age ---- */

static void
sweep(void *arg, const struct db_dir *d, const char *name)
{
	int64_t now_ms = *(const int64_t *)arg;
	struct stat st;
	int r;

	if (fstatat(d->fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	    now_ms - (int64_t)st.st_mtime * 1000 < COPIES_KEPT_MS)
		return;
	r = is_folder(name) ? folder_remove(d->fd, name) : unlinkat(d->fd, name, 0);
	if (r == 0)
		log_info("an old copy of the database was removed", LOG_TEXT("name", name));
}

void
copies_sweep(const char *data_dir, int64_t now_ms)
{
	each(data_dir, sweep, &now_ms);
}

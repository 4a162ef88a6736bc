#include "server/store/db_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/base/buf.h"
#include "protocol/base/str.h"
#include "protocol/sockpath.h"
#include "server/base/log.h"

#define NAME_BYTES 64

/* ---- the folder ---- */

int
db_dir_open(struct db_dir *d, const char *path, struct error *err)
{
	*d = (struct db_dir){ -1, NULL };
	if ((d->fd = private_dir_open(path, false, err)) < 0)
		return d->fd;
	/* in WAL mode even reading needs to write beside the database */
	if (faccessat(d->fd, ".", W_OK | X_OK, AT_EACCESS) != 0) {
		error_set(err, MP_E_STORAGE, "the data folder %s cannot be written: %s", path,
		    strerror(errno));
		error_hint(err, "chmod 700 %s, or choose another folder with MODELPD_DATA_DIR", path);
		db_dir_clear(d);
		return MP_E_STORAGE;
	}
	if ((d->path = realpath(path, NULL)) == NULL) {
		error_set(err, MP_E_STORAGE, "cannot find the data folder %s: %s", path, strerror(errno));
		db_dir_clear(d);
		return MP_E_STORAGE;
	}
	return 0;
}

void
db_dir_clear(struct db_dir *d)
{
	if (d->fd >= 0)
		close(d->fd);
	free(d->path);
	*d = (struct db_dir){ -1, NULL };
}

char *
db_dir_file(const struct db_dir *d, const char *name)
{
	struct buf b = BUF_INIT;

	buf_addf(&b, "%s/%s", d->path, name);
	return buf_steal(&b, NULL);
}

/* ---- what to say ---- */

int
db_file_foreign(const char *path, struct error *err)
{
	error_set(err, MP_E_VERSION_MISMATCH, "%s is a database of another program", path);
	error_hint(err, "it was left untouched; move it away, or choose another folder with "
			"MODELPD_DATA_DIR");
	return MP_E_VERSION_MISMATCH;
}

int
db_file_newer(const char *path, int64_t version, const struct schema *schema, struct error *err)
{
	error_set(err, MP_E_VERSION_MISMATCH,
	    "%s was written by a newer modelpd (schema %lld, this program knows %d)", path,
	    (long long)version, schema->count);
	error_hint(err, "it was left untouched; start the newer modelpd, or put back %s.v%d.bak", path,
	    schema->count);
	return MP_E_VERSION_MISMATCH;
}

int
db_file_damaged(const char *path, const char *why, struct error *err)
{
	static const char heading[] = "*** in database main ***\n"; /* SQLite's own, over what it found */

	if (strncmp(why, heading, sizeof heading - 1) == 0)
		why += sizeof heading - 1;
	error_set(err, MP_E_STORAGE, "the database %s is damaged: %s", path, why);
	error_hint(err, "the file was kept as it is; bring back a backup with: mpc restore FILE (or move "
			"it away to start with an empty one)");
	return MP_E_STORAGE;
}

int
db_file_error(const char *path, int rc, struct error *err)
{
	switch (rc & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		error_set(err, MP_E_BUSY, "another process has the database %s open", path);
		error_hint(err, "is another modelpd running? \"mpc daemon status\" tells");
		return MP_E_BUSY;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_FORMAT:
		return db_file_damaged(path, sqlite3_errstr(rc), err);
	case SQLITE_NOMEM:
		return error_set(err, MP_E_INTERNAL, "out of memory while opening %s", path);
	case SQLITE_FULL:
		error_set(err, MP_E_STORAGE, "no space left to open the database %s", path);
		error_hint(err, "make room on that disk and start again");
		return MP_E_STORAGE;
	default: /* of SQLite's codes, not an enum of ours */
		error_set(err, MP_E_STORAGE, "cannot open the database %s: %s (SQLite %d)", path,
		    sqlite3_errstr(rc), rc);
		error_hint(err, "check the disk and the folder; the file was kept as it is");
		return MP_E_STORAGE;
	}
}

/* ---- checks ---- */

static int
not_ours(const char *path, const char *what, const char *hint, struct error *err)
{
	error_set(err, MP_E_NOT_PERMITTED, "%s %s", path, what);
	error_hint(err, "%s %s", hint, path);
	return MP_E_NOT_PERMITTED;
}

static int
check_file(const char *path, const struct stat *st, struct error *err)
{
	char mode[64], owner[64];

	if (!S_ISREG(st->st_mode)) {
		const char *kind = S_ISLNK(st->st_mode) ? "is a symbolic link, not the database" :
		    S_ISDIR(st->st_mode)                ? "is a folder, not the database" :
							  "is no regular file";
		return not_ours(path, kind, "nothing was followed or changed; look at: ls -ld", err);
	}
	if (st->st_uid != geteuid()) {
		snprintf(owner, sizeof owner, "belongs to user %u, not to user %u", (unsigned)st->st_uid,
		    (unsigned)geteuid());
		return not_ours(path, owner, "give it back as root: chown \"$USER\"", err);
	}
	if ((st->st_mode & 077) != 0) {
		snprintf(mode, sizeof mode, "can be reached by other users (mode %03o)",
		    (unsigned)st->st_mode & 0777);
		return not_ours(path, mode, "chmod 600", err);
	}
	if (st->st_size == 0)
		return db_file_damaged(path, "it is empty (cut short by a full disk or a failed copy?)", err);
	return 0;
}

int
db_file_check(const struct db_dir *d, const struct database *is, struct error *err)
{
	char *path = db_dir_file(d, is->file);
	struct stat st;
	int r;

	/* by name, not by descriptor: closing one would drop the locks of a connection in this process.
	 * Nobody else can change names in our private folder. */
	if (fstatat(d->fd, is->file, &st, AT_SYMLINK_NOFOLLOW) != 0)
		r = error_set(err, MP_E_STORAGE, "cannot look at %s: %s", path, strerror(errno));
	else
		r = check_file(path, &st, err);
	free(path);
	return r;
}

static uint32_t
be32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

int
db_file_check_header(struct store *s, struct error *err)
{
	unsigned char head[100]; /* https://www.sqlite.org/fileformat2.html section 1.3 */
	sqlite3_file *file = NULL;
	uint32_t version;
	int rc;

	rc = sqlite3_file_control(s->db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
	if (rc == SQLITE_OK)
		rc = file->pMethods->xRead(file, head, sizeof head, 0);
	if (rc == SQLITE_IOERR_SHORT_READ)
		return db_file_damaged(s->path, "it is too short", err);
	if (rc != SQLITE_OK)
		return db_file_error(s->path, rc, err);
	if (memcmp(head, "SQLite format 3", 16) != 0)
		return db_file_damaged(s->path, "it is no SQLite database", err);
	if (be32(head + 68) != (uint32_t)s->is.application_id)
		return db_file_foreign(s->path, err);
	if ((version = be32(head + 60)) > (uint32_t)s->is.schema->count)
		return db_file_newer(s->path, (int32_t)version, s->is.schema, err);
	return 0;
}

/* ---- making one ---- */

static void
remove_new(const struct db_dir *d, const char *new_name)
{
	static const char *const tails[] = { "", "-journal", "-wal" };
	char name[NAME_BYTES + 16];

	for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
		snprintf(name, sizeof name, "%s%s", new_name, tails[i]);
		unlinkat(d->fd, name, 0);
	}
}

/* A database under another name, so that a crash leaves no half-made one. The file is locked while it is
 * being made: a second starter neither uses nor removes it. */
static int
open_new(const struct db_dir *d, const char *new_name, const char *path, struct error *err)
{
	int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(d->fd, new_name, flags, 0600);
	struct stat st;

	if (fd < 0 && errno == EEXIST) { /* of a start that was killed, or still at work */
		fd = openat(d->fd, new_name, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
		if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
			close(fd);
			return error_set(err, MP_E_BUSY, "another process is making %s", path);
		}
		if (fd >= 0)
			close(fd);
		remove_new(d, new_name);
		fd = openat(d->fd, new_name, flags, 0600);
	}
	if (fd < 0)
		return error_set(err, MP_E_STORAGE, "cannot make %s: %s", path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) != 0 || fstat(fd, &st) != 0 || st.st_nlink == 0) {
		close(fd);
		return error_set(err, MP_E_BUSY, "another process is making %s", path);
	}
	return fd;
}

static int
fill_new(const char *path, const struct database *is, struct error *err)
{
	struct store *s = NULL;
	char pragma[64];
	int rc;

	snprintf(pragma, sizeof pragma, "PRAGMA application_id = %d", (int)is->application_id);
	if ((rc = db_connect(path, &s)) != SQLITE_OK)
		return db_file_error(path, rc, err);
	s->is = *is;
	if ((rc = db_configure(s)) == SQLITE_OK && is->when_made != NULL)
		rc = db_exec(s, is->when_made);
	if (rc == SQLITE_OK && (rc = db_exec(s, pragma)) == SQLITE_OK &&
	    (rc = migrations_run(s, is->schema, 0)) == SQLITE_OK)
		rc = db_exec(s, "PRAGMA journal_mode = WAL"); /* remembered by the file */
	db_close(s);
	return rc == SQLITE_OK ? 0 : db_file_error(path, rc, err);
}

/* SQLite takes any log of the right name for the database's own: that of one which was moved away would be
 * played into the new one. */
static int
set_log_aside(const struct db_dir *d, const char *file, struct error *err)
{
	char name[NAME_BYTES], aside[NAME_BYTES];

	snprintf(name, sizeof name, "%s-wal", file);
	snprintf(aside, sizeof aside, "%s-wal.old", file);
	if (renameat(d->fd, name, d->fd, aside) == 0)
		log_warn("a log without its database was set aside", LOG_TEXT("folder", d->path),
		    LOG_TEXT("file", aside));
	else if (errno != ENOENT)
		return error_set(err, MP_E_STORAGE, "cannot set %s/%s aside: %s", d->path, name,
		    strerror(errno));
	return 0;
}

int
db_file_create(const struct db_dir *d, const struct database *is, struct error *err)
{
	char new_name[NAME_BYTES], *path;
	struct stat st;
	int fd = -1, r = 0;

	snprintf(new_name, sizeof new_name, "%s.new", is->file);
	path = db_dir_file(d, new_name);
	if (fstatat(d->fd, is->file, &st, AT_SYMLINK_NOFOLLOW) == 0)
		goto out;
	if ((r = fd = open_new(d, new_name, path, err)) < 0)
		goto out;
	r = 0;
	/* again, now that no other starter is between looking and renaming */
	if (fstatat(d->fd, is->file, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		unlinkat(d->fd, new_name, 0);
		goto out;
	}
	if ((r = fill_new(path, is, err)) != 0 || (r = set_log_aside(d, is->file, err)) != 0)
		goto out;
	if (fsync(fd) != 0 || renameat(d->fd, new_name, d->fd, is->file) != 0 || fsync(d->fd) != 0)
		r = error_set(err, MP_E_STORAGE, "cannot finish %s: %s", path, strerror(errno));
out:
	if (fd >= 0)
		close(fd);
	free(path);
	return r;
}

/* ---- a copy before the schema changes ---- */

/* VACUUM INTO makes a world-readable file and does not sync it: so it gets one that is neither. */
static int
vacuum_into(const struct db_dir *d, struct store *s, const char *name)
{
	int fd = openat(d->fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	char *path = db_dir_file(d, name);
	sqlite3_stmt *stmt = NULL;
	int rc;

	rc = fd >= 0 ? sqlite3_prepare_v2(s->db, "VACUUM INTO ?", -1, &stmt, NULL) : SQLITE_CANTOPEN;
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_text(stmt, 1, path, -1, SQLITE_STATIC);
	if (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_DONE)
		rc = SQLITE_OK;
	sqlite3_finalize(stmt);
	if (rc == SQLITE_OK && fsync(fd) != 0)
		rc = SQLITE_IOERR_FSYNC;
	if (fd >= 0)
		close(fd);
	free(path);
	return rc;
}

int
db_file_backup(const struct db_dir *d, struct store *s, int version, struct error *err)
{
	char name[NAME_BYTES], part[NAME_BYTES + 16];
	int rc;

	snprintf(name, sizeof name, "%s.v%d.bak", s->is.file, version);
	snprintf(part, sizeof part, "%s.new", name);
	unlinkat(d->fd, part, 0);
	rc = vacuum_into(d, s, part);
	if (rc == SQLITE_OK &&
	    (renameat(d->fd, part, d->fd, name) != 0 || fsync(d->fd) != 0))
		rc = SQLITE_IOERR;
	if (rc == SQLITE_OK)
		return 0;
	unlinkat(d->fd, part, 0);
	error_set(err, MP_E_STORAGE, "cannot keep a copy of %s before changing its schema: %s", s->path,
	    sqlite3_errstr(rc));
	error_hint(err, "make room in %s and start again; nothing was changed", d->path);
	return MP_E_STORAGE;
}

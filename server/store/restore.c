#include "server/store/restore.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "protocol/base/str.h"
#include "server/base/clock.h"
#include "server/store/db_file.h"
#include "server/store/folder.h"
#include "server/store/open.h"

#define STAGED "restore.tmp"
#define DECIDED "restore"
#define OLD "old" /* in DECIDED: what was replaced, until all is done */
#define KEPT_BYTES 32
#define FOLDER_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

struct restore {
	struct db_dir data;
	char *folder; /* restore.tmp */
	char *path;   /* of the backup */
	struct archive archive;
	bool decided;
};

const struct archive *
restore_archive(const struct restore *r)
{
	return &r->archive;
}

const char *
restore_folder(const struct restore *r)
{
	return r->folder;
}

bool
restore_decided(const struct restore *r)
{
	return r->decided;
}

static int
failed(const char *what, const char *path, struct error *err)
{
	error_set(err, MP_E_STORAGE, "cannot %s %s: %s", what, path, strerror(errno));
	error_hint(err, "is there room on the disk? the data folder was left as it was");
	return MP_E_STORAGE;
}

/* ---- out of the backup ---- */

static int
open_backup(const char *path, struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), code;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0) {
		code = errno == ENOENT ? MP_E_NOT_FOUND : MP_E_STORAGE;
		error_set(err, code, "cannot read %s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return code;
	}
	if (S_ISREG(st.st_mode))
		return fd;
	close(fd);
	return error_set(err, MP_E_INVALID_STATE, "%s is no regular file", path);
}

/* A refused copy is told as what it is: a part of the backup. */
static int
refused(const struct restore *r, const char *name, int code, struct error *err)
{
	char why[sizeof err->message];

	if (err == NULL)
		return code;
	snprintf(why, sizeof why, "%s", err->message);
	if (code == MP_E_VERSION_MISMATCH) {
		error_set(err, code, "%s in %s is of a newer modelpd, or not ours", name, r->path);
		error_hint(err, "nothing was changed; restore it with the newer modelpd");
	} else {
		error_set(err, code == MP_E_STORAGE ? MP_E_INVALID_STATE : code, "%s cannot be restored: %s",
		    r->path, why);
		error_hint(err, "nothing was changed; use another backup");
	}
	return err->code;
}

static int
take_out(struct restore *r, int from, int folder, const struct archive_file *f,
    const struct archive_patience *p, struct error *err)
{
	const struct database *is = database_find(f->name);
	int fd, code;

	if (is == NULL) {
		error_set(err, MP_E_VERSION_MISMATCH, "%s holds %s, which this modelpd does not know",
		    r->path, f->name);
		error_hint(err, "nothing was changed; restore it with the newer modelpd");
		return MP_E_VERSION_MISMATCH;
	}
	if ((fd = folder_new_file(folder, is->file)) < 0)
		return failed("write to", r->folder, err);
	code = archive_extract(from, f, fd, p, r->path, err);
	if (code == 0 && fsync(fd) != 0)
		code = failed("write to", r->folder, err);
	close(fd);
	if (code == 0 && (code = store_check_copy(r->folder, is, false, err)) != 0)
		code = refused(r, is->file, code, err);
	return code;
}

static int
stage(struct restore *r, const struct archive_patience *p, struct error *err)
{
	int from = open_backup(r->path, err), folder = -1, code = from < 0 ? from : 0;

	if (code == 0)
		code = archive_read(from, &r->archive, r->path, err);
	if (code == 0 && (folder = folder_make(r->data.fd, STAGED)) < 0)
		code = failed("make the folder", r->folder, err);
	for (size_t i = 0; code == 0 && i < r->archive.count; i++)
		code = take_out(r, from, folder, &r->archive.files[i], p, err);
	if (from >= 0)
		close(from);
	if (folder >= 0)
		close(folder);
	return code;
}

int
restore_prepare(const char *data_dir, const char *path, const struct archive_patience *p,
    struct restore **out, struct error *err)
{
	struct restore *r = xcalloc(1, sizeof *r);
	int code;

	r->path = xstrdup(path);
	if ((code = db_dir_open(&r->data, data_dir, err)) == 0) {
		r->folder = db_dir_file(&r->data, STAGED);
		code = stage(r, p, err);
	}
	if (code != 0) {
		restore_free(r);
		return code;
	}
	*out = r;
	return 0;
}

void
restore_free(struct restore *r)
{
	if (r == NULL)
		return;
	if (r->folder != NULL)
		folder_remove(r->data.fd, STAGED);
	db_dir_clear(&r->data);
	free(r->folder);
	free(r->path);
	free(r);
}

/* ---- the swap ---- */

/* A database and what SQLite may have left beside it. */
static const char *const tails[] = { "-wal", "-journal", "" };
#define TAILS (sizeof tails / sizeof *tails)

static int
move(int from_dir, const char *from, int to_dir)
{
	return renameat(from_dir, from, to_dir, from) == 0 || errno == ENOENT ? 0 : -1;
}

/* One database: the old one aside, with its log, which must never meet the new one; then the new one in. As
 * long as the new one lies in the folder, what lies outside is the old one: so it can be done again from any
 * point. */
static int
swap_one(int data, int decided, int old, const char *file)
{
	char name[64];

	for (size_t i = 0; i < TAILS && folder_has(decided, file); i++) {
		snprintf(name, sizeof name, "%s%s", file, tails[i]);
		if (move(data, name, old) != 0)
			return -1;
	}
	if (fsync(old) != 0 || fsync(data) != 0)
		return -1;
	if (move(decided, file, data) != 0)
		return -1;
	/* of an undo: the log that belongs to it */
	for (size_t i = 0; i < TAILS - 1; i++) {
		snprintf(name, sizeof name, "%s%s", file, tails[i]);
		if (move(decided, name, data) != 0)
			return -1;
	}
	/* where it went before where it was: else a power cut could lose it, or find it in both */
	return fsync(data) != 0 || fsync(decided) != 0 ? -1 : 0;
}

/* replaced-<moment>, one that is free. */
static int
keep_old(int data, int decided, char kept[KEPT_BYTES])
{
	time_t now = (time_t)(clock_wall_ms() / 1000);
	struct tm tm;

	for (int tries = 0; tries < 100; tries++, now++) {
		gmtime_r(&now, &tm);
		strftime(kept, KEPT_BYTES, "replaced-%Y%m%d-%H%M%S", &tm);
		if (folder_has(data, kept))
			continue;
		return renameat(decided, OLD, data, kept);
	}
	errno = EEXIST;
	return -1;
}

static int
finish(int data, char kept[KEPT_BYTES])
{
	int decided = openat(data, DECIDED, FOLDER_FLAGS), old = -1, r = -1;

	kept[0] = '\0';
	if (decided < 0)
		return -1;
	if ((mkdirat(decided, OLD, 0700) != 0 && errno != EEXIST) || fsync(decided) != 0)
		goto out;
	if ((old = openat(decided, OLD, FOLDER_FLAGS)) < 0)
		goto out;
	for (size_t i = 0; i < DATABASES; i++)
		if (swap_one(data, decided, old, databases[i]->file) != 0)
			goto out;
	/* empty: there was nothing, or it has its name already */
	if (unlinkat(decided, OLD, AT_REMOVEDIR) != 0 && keep_old(data, decided, kept) != 0)
		goto out;
	if (fsync(data) == 0 && fsync(decided) == 0 && folder_remove(data, DECIDED) == 0)
		r = fsync(data);
out:
	if (old >= 0)
		close(old);
	if (decided >= 0)
		close(decided);
	return r;
}

/* From `name` on it counts. */
static int
decide(struct restore *r, const char *name, char **kept, struct error *err)
{
	char old[KEPT_BYTES];

	if (folder_sync(r->data.fd, name) != 0 || folder_remove(r->data.fd, DECIDED) != 0 ||
	    renameat(r->data.fd, name, r->data.fd, DECIDED) != 0)
		return failed("change the data folder", r->data.path, err);
	r->decided = true;
	if (fsync(r->data.fd) != 0 || finish(r->data.fd, old) != 0) {
		error_set(err, MP_E_STORAGE, "the databases in %s cannot be replaced: %s", r->data.path,
		    strerror(errno));
		error_hint(err, "look after the disk, then: mpc daemon restart (it does the rest)");
		return MP_E_STORAGE;
	}
	r->decided = false;
	*kept = old[0] != '\0' ? db_dir_file(&r->data, old) : NULL;
	return 0;
}

int
restore_swap(struct restore *r, char **kept, struct error *err)
{
	return decide(r, STAGED, kept, err);
}

int
restore_undo(struct restore *r, const char *kept, struct error *err)
{
	char *refused_ones = NULL;
	int code;

	if (kept == NULL)
		return error_set(err, MP_E_STORAGE, "there was no database before");
	if ((code = decide(r, strrchr(kept, '/') + 1, &refused_ones, err)) == 0 && refused_ones != NULL)
		folder_remove(r->data.fd, strrchr(refused_ones, '/') + 1);
	free(refused_ones);
	return code;
}

int
restore_complete(const char *data_dir, bool *done, struct error *err)
{
	struct db_dir d;
	char kept[KEPT_BYTES];
	int r;

	*done = false;
	if ((r = db_dir_open(&d, data_dir, err)) != 0)
		return r;
	if (folder_has(d.fd, DECIDED)) {
		*done = finish(d.fd, kept) == 0;
		r = *done ? 0 : failed("finish the restore in", d.path, err);
	}
	folder_remove(d.fd, STAGED);
	db_dir_clear(&d);
	return r;
}

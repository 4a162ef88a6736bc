#include "server/store/backup.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/base/buf.h"
#include "protocol/base/str.h"
#include "server/model/uuid.h"
#include "server/store/db.h"
#include "server/store/db_file.h"
#include "server/store/folder.h"
#include "server/store/open.h"

struct copy {
	struct store *from;
	sqlite3 *to; /* NULL: not begun, or done */
	sqlite3_backup *run; /* NULL: not begun, or done */
};

struct backup {
	struct db_dir data;
	char *folder; /* where the copies lie */
	int folder_fd;
	char *path, *part; /* part: what the file is called until it is whole */
	int part_fd;
	bool replace;
	struct copy copies[DATABASES];
	size_t count, at;
};

const char *
backup_path(const struct backup *b)
{
	return b->path;
}

/* ---- where it goes ---- */

static int
cannot(const char *what, const char *path, struct error *err)
{
	return error_set(err, errno == ENOENT ? MP_E_NOT_FOUND : MP_E_STORAGE, "cannot %s %s: %s", what,
	    path, strerror(errno));
}

static int
taken(const char *path, struct error *err)
{
	error_set(err, MP_E_CONFLICT, "%s exists already", path);
	error_hint(err, "choose another name, or replace it with --force");
	return MP_E_CONFLICT;
}

/* A backup beside what it is to save would be lost together with it, or replace a database itself. */
static int
check_folder(const struct backup *b, struct error *err)
{
	char *folder = xstrdup(b->path), *slash = strrchr(folder, '/'), real[PATH_MAX];
	size_t n = strlen(b->data.path);
	int r = 0;

	slash[slash == folder] = '\0';
	if (realpath(folder, real) == NULL) {
		r = cannot("write to the folder", folder, err);
	} else if (strncmp(real, b->data.path, n) == 0 && (real[n] == '/' || real[n] == '\0')) {
		r = error_field(err, "path", "%s lies in the data folder itself", b->path);
		error_hint(err, "choose another place, best on another disk");
	}
	free(folder);
	return r;
}

static int
check_path(const struct backup *b, struct error *err)
{
	struct stat st;
	size_t n = strlen(b->path);

	if (b->path[0] != '/' || b->path[n - 1] == '/')
		return error_field(err, "path", "path must be the absolute path of a file");
	if (n >= PATH_MAX - 32)
		return error_field(err, "path", "path is too long");
	if (lstat(b->path, &st) == 0) {
		if (!S_ISREG(st.st_mode))
			return error_field(err, "path", "%s is no regular file", b->path);
		if (!b->replace)
			return taken(b->path, err);
	}
	return check_folder(b, err);
}

static int
open_part(struct backup *b, struct error *err)
{
	unsigned char id[4];
	struct buf name = BUF_INIT;

	random_bytes(id, sizeof id);
	buf_addf(&name, "%s.part-%02x%02x%02x%02x", b->path, id[0], id[1], id[2], id[3]);
	b->part = buf_steal(&name, NULL);
	if ((b->part_fd = folder_new_file(AT_FDCWD, b->part)) >= 0)
		return 0;
	free(b->part);
	b->part = NULL;
	return cannot("write", b->path, err);
}

/* ---- copying ---- */

static int
copy_begin(struct backup *b, struct copy *c, struct error *err)
{
	const char *file = c->from->is.file;
	int fd = folder_new_file(b->folder_fd, file), rc;
	struct buf path = BUF_INIT;

	if (fd < 0)
		return cannot("make a copy in", b->folder, err);
	close(fd);
	buf_addf(&path, "%s/%s", b->folder, file);
	rc = sqlite3_open_v2(buf_str(&path), &c->to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW |
	    SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE, NULL);
	/* what lies there counts only when it is whole and was checked */
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(c->to, "PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF", NULL, NULL,
		    NULL);
	if (rc == SQLITE_OK && (c->run = sqlite3_backup_init(c->to, "main", c->from->db, "main")) == NULL)
		rc = sqlite3_extended_errcode(c->to);
	buf_clear(&path);
	if (c->run != NULL)
		c->from->copying++;
	return rc == SQLITE_OK ? 0 : db_file_error(file, rc, err);
}

static int
copy_end(struct copy *c)
{
	int rc = SQLITE_OK;

	if (c->run != NULL) {
		rc = sqlite3_backup_finish(c->run);
		c->from->copying--;
	}
	c->run = NULL;
	sqlite3_close(c->to);
	c->to = NULL;
	return rc;
}

int
backup_begin(struct store *const *stores, size_t count, const char *path, bool replace,
    struct backup **out, struct error *err)
{
	struct backup *b = xcalloc(1, sizeof *b);
	int r;

	assert(count >= 1 && count <= DATABASES);
	b->folder_fd = b->part_fd = -1;
	b->path = xstrdup(path);
	b->replace = replace;
	b->count = count;
	for (size_t i = 0; i < count; i++)
		b->copies[i].from = stores[i];
	if ((r = db_dir_open(&b->data, stores[0]->data_dir, err)) != 0 || (r = check_path(b, err)) != 0)
		goto out;
	b->folder = db_dir_file(&b->data, BACKUP_FOLDER);
	if ((b->folder_fd = folder_make(b->data.fd, BACKUP_FOLDER)) < 0) {
		r = error_set(err, MP_E_STORAGE, "cannot make the folder %s: %s", b->folder, strerror(errno));
		goto out;
	}
	if ((r = open_part(b, err)) != 0)
		goto out;
	*out = b;
	b = NULL;
out:
	backup_free(b);
	return r;
}

int
backup_step(struct backup *b, int pages, struct error *err)
{
	struct copy *c = &b->copies[b->at];
	int rc, r;

	if (b->at == b->count)
		return 0;
	if (c->from->read_only)
		return error_set(err, MP_E_STORAGE, "%s cannot be used since an error", c->from->path);
	if (c->from->damaged)
		return db_file_damaged(c->from->path, "no backup is made of it", err);
	if (c->run == NULL && (r = copy_begin(b, c, err)) != 0)
		return r;
	rc = sqlite3_backup_step(c->run, pages);
	if (rc == SQLITE_OK || (rc & 0xff) == SQLITE_BUSY || (rc & 0xff) == SQLITE_LOCKED)
		return 1;
	if (rc == SQLITE_DONE)
		rc = copy_end(c);
	if (rc != SQLITE_OK) {
		error_set(err, MP_E_STORAGE, "cannot copy %s: %s", c->from->path, sqlite3_errstr(rc));
		error_hint(err, "is there room in %s?", b->folder);
		return MP_E_STORAGE;
	}
	return ++b->at < b->count;
}

/* ---- packing ---- */

static int
pack_one(struct backup *b, const struct copy *c, const struct archive_patience *p, struct archive *a,
    struct error *err)
{
	const struct database *is = &c->from->is;
	int fd, r;

	if ((r = store_check_copy(b->folder, is, true, err)) != 0)
		return r;
	if ((fd = openat(b->folder_fd, is->file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)) < 0)
		return cannot("read the copy of", is->file, err);
	r = archive_add(b->part_fd, a, is->file, fd, p, b->path, err);
	close(fd);
	return r;
}

/* What was written is what can be read: by names, lengths and sums. */
static int
read_back(struct backup *b, const struct archive_patience *p, struct archive *made, struct error *err)
{
	int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC), r;

	if (nowhere < 0)
		return cannot("open", "/dev/null", err);
	r = archive_read(b->part_fd, made, b->path, err);
	for (size_t i = 0; r == 0 && i < made->count; i++)
		r = archive_extract(b->part_fd, &made->files[i], nowhere, p, b->path, err);
	close(nowhere);
	return r;
}

static int
rename_part(const struct backup *b)
{
	if (b->replace)
		return rename(b->part, b->path);
	if (renameat2(AT_FDCWD, b->part, AT_FDCWD, b->path, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL) /* not every file system can */
		return -1;
	errno = EEXIST;
	return folder_has(AT_FDCWD, b->path) ? -1 : rename(b->part, b->path);
}

static int
give_name(struct backup *b, struct error *err)
{
	char *slash = strrchr(b->path, '/'), *folder;

	if (rename_part(b) != 0)
		return errno == EEXIST ? taken(b->path, err) : cannot("write", b->path, err);
	free(b->part);
	b->part = NULL;
	folder = slice_dup((struct slice){ b->path, (size_t)(slash - b->path) + (slash == b->path) });
	folder_sync(AT_FDCWD, folder); /* some places cannot; the file itself was synced */
	free(folder);
	return 0;
}

int
backup_finish(struct backup *b, const struct archive_patience *p, struct archive *made,
    struct error *err)
{
	struct archive a;
	int r;

	assert(b->at == b->count);
	r = archive_begin(b->part_fd, &a, b->path, err);
	for (size_t i = 0; r == 0 && i < b->count; i++)
		r = pack_one(b, &b->copies[i], p, &a, err);
	if (r == 0 && (r = archive_finish(b->part_fd, &a, b->path, err)) == 0)
		r = read_back(b, p, made, err);
	return r == 0 ? give_name(b, err) : r;
}

void
backup_free(struct backup *b)
{
	if (b == NULL)
		return;
	for (size_t i = 0; i < b->count; i++)
		copy_end(&b->copies[i]);
	if (b->part_fd >= 0)
		close(b->part_fd);
	if (b->part != NULL)
		unlink(b->part);
	if (b->folder_fd >= 0) {
		close(b->folder_fd);
		folder_remove(b->data.fd, BACKUP_FOLDER);
	}
	db_dir_clear(&b->data);
	free(b->folder);
	free(b->path);
	free(b->part);
	free(b);
}

void
backup_sweep(const char *data_dir)
{
	struct db_dir d;

	if (db_dir_open(&d, data_dir, NULL) != 0)
		return;
	folder_remove(d.fd, BACKUP_FOLDER);
	db_dir_clear(&d);
}

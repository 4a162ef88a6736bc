#include "server/vault/keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "protocol/base/buf.h"
#include "protocol/base/str.h"
#include "protocol/sockpath.h"

#define KEY_DIR "key"
#define KEY_NAME "master.key"
#define NEW_NAME KEY_NAME ".new"
#define NEXT_NAME KEY_NAME ".next"
#define MAX_FILE_BYTES 256 /* 44 of base64, and a few line ends */

static char *
join(const char *a, const char *b)
{
	struct buf path = BUF_INIT;

	buf_addf(&path, "%s/%s", a, b);
	return buf_steal(&path, NULL);
}

char *
keyfile_path(const char *data_dir)
{
	return join(data_dir, KEY_DIR "/" KEY_NAME);
}

/* The folder of its own, as a descriptor. */
static int
open_dir(const char *data_dir, bool create, struct error *err)
{
	char *path = join(data_dir, KEY_DIR);
	struct stat st;
	int fd;

	if (!create && lstat(path, &st) != 0 && errno == ENOENT)
		fd = error_set(err, MP_E_NOT_FOUND, "the key folder %s is missing", path);
	else
		fd = private_dir_open(path, create, err);
	free(path);
	return fd;
}

/* ---- reading ---- */

static int
check_file(int fd, const char *path, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return error_set(err, MP_E_STORAGE, "cannot look at %s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return error_set(err, MP_E_NOT_PERMITTED, "the key file %s is no regular file", path);
	if (st.st_uid != geteuid()) {
		error_set(err, MP_E_NOT_PERMITTED, "the key file %s belongs to user %u, not to user %u",
		    path, (unsigned)st.st_uid, (unsigned)geteuid());
		error_hint(err, "as root: chown %u %s", (unsigned)geteuid(), path);
		return MP_E_NOT_PERMITTED;
	}
	if ((st.st_mode & 077) != 0) {
		error_set(err, MP_E_NOT_PERMITTED,
		    "the key file %s can be reached by other users (mode %03o)", path,
		    (unsigned)st.st_mode & 0777);
		error_hint(err, "chmod 600 %s", path);
		return MP_E_NOT_PERMITTED;
	}
	return 0;
}

static int
parse(char *text, size_t n, const char *path, struct secret **out, struct error *err)
{
	struct buf raw;
	int r = 0;

	buf_init_secret(&raw, MAX_FILE_BYTES);
	if (base64_decode(&raw, text, n) != 0 || raw.len != KEYFILE_BYTES) {
		r = error_set(err, MP_E_STORAGE, "the key file %s does not hold a key", path);
		error_hint(err, "put back a copy of it; the stored keys cannot be opened without it");
	} else if ((*out = secret_new(raw.data, raw.len)) == NULL) {
		r = error_set(err, MP_E_INTERNAL, "no memory for the key");
	}
	buf_clear(&raw);
	return r;
}

static int
read_fd(int fd, const char *path, struct secret **out, struct error *err)
{
	char text[MAX_FILE_BYTES + 1];
	size_t n = 0;
	ssize_t got;
	int r;

	while (n < sizeof text && (got = read(fd, text + n, sizeof text - n)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			r = error_set(err, MP_E_STORAGE, "cannot read %s: %s", path, strerror(errno));
			goto out;
		}
		n += (size_t)got;
	}
	r = parse(text, n > MAX_FILE_BYTES ? 0 : n, path, out, err);
out:
	secret_wipe(text, sizeof text);
	return r;
}

static int
read_named(const char *data_dir, const char *name, struct secret **out, struct error *err)
{
	int dir = open_dir(data_dir, false, err), fd = -1, r;
	struct buf folder = BUF_INIT;
	char *path;

	buf_addf(&folder, "%s/" KEY_DIR, data_dir);
	path = join(buf_str(&folder), name);
	buf_clear(&folder);

	if ((r = dir) < 0)
		goto out;
	fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 && errno == ENOENT) {
		r = error_set(err, MP_E_NOT_FOUND, "the key file %s is missing", path);
		error_hint(err, "put back a copy of it; the stored keys cannot be opened without it");
	} else if (fd < 0 && errno == ELOOP) {
		r = error_set(err, MP_E_NOT_PERMITTED, "the key file %s is a symbolic link", path);
		error_hint(err, "put the file itself there; a link is not followed");
	} else if (fd < 0) {
		r = error_set(err, MP_E_STORAGE, "cannot open %s: %s", path, strerror(errno));
	} else if ((r = check_file(fd, path, err)) == 0) {
		r = read_fd(fd, path, out, err);
	}
out:
	if (fd >= 0)
		close(fd);
	if (dir >= 0)
		close(dir);
	free(path);
	return r;
}

int
keyfile_read(const char *data_dir, struct secret **out, struct error *err)
{
	return read_named(data_dir, KEY_NAME, out, err);
}

int
keyfile_next_read(const char *data_dir, struct secret **out, struct error *err)
{
	return read_named(data_dir, NEXT_NAME, out, err);
}

/* ---- making ---- */

static int
write_key(int fd, const struct secret *key)
{
	struct buf text;
	int r = -1;

	buf_init_secret(&text, 0);
	base64_encode(&text, secret_bytes(key), secret_len(key));
	buf_addc(&text, '\n');
	if (!text.failed && write(fd, text.data, text.len) == (ssize_t)text.len && fsync(fd) == 0)
		r = 0;
	buf_clear(&text);
	return r;
}

/* Written under another name first: a crash leaves a whole key file or none. */
static int
write_file(int dir, const char *name, const struct secret *key)
{
	int fd, r;

	unlinkat(dir, NEW_NAME, 0); /* of a start that was killed */
	fd = openat(dir, NEW_NAME, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	r = write_key(fd, key);
	close(fd);
	/* link, not rename: it fails if there is a key file after all, and a key is never replaced */
	if (r == 0)
		r = linkat(dir, NEW_NAME, dir, name, 0);
	unlinkat(dir, NEW_NAME, 0);
	return r == 0 ? fsync(dir) : -1;
}

static int
sync_folder(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

	if (fd < 0)
		return -1;
	r = fsync(fd);
	close(fd);
	return r;
}

static int
create_named(const char *data_dir, const char *name, struct secret **out, struct error *err)
{
	int dir = open_dir(data_dir, true, err), r = 0;
	char *path = keyfile_path(data_dir);
	struct secret *key = NULL;

	if ((r = dir) < 0)
		goto out;
	if ((key = secret_new(NULL, KEYFILE_BYTES)) == NULL) {
		r = error_set(err, MP_E_INTERNAL, "no memory for the key");
		goto out;
	}
	randombytes_buf(secret_mutable(key), KEYFILE_BYTES);
	if (write_file(dir, name, key) != 0 || sync_folder(data_dir) != 0) {
		r = error_set(err, MP_E_STORAGE, "cannot make the key file %s: %s", path,
		    strerror(errno));
		goto out;
	}
	*out = key;
	key = NULL;
	r = 0;
out:
	if (dir >= 0)
		close(dir);
	secret_free(key);
	free(path);
	return r;
}

int
keyfile_create(const char *data_dir, struct secret **out, struct error *err)
{
	return create_named(data_dir, KEY_NAME, out, err);
}

int
keyfile_next_create(const char *data_dir, struct secret **out, struct error *err)
{
	keyfile_next_drop(data_dir);
	return create_named(data_dir, NEXT_NAME, out, err);
}

int
keyfile_next_take(const char *data_dir, struct error *err)
{
	char *path = keyfile_path(data_dir);
	int dir = open_dir(data_dir, false, err), r = dir;

	if (dir >= 0) {
		r = 0;
		if (renameat(dir, NEXT_NAME, dir, KEY_NAME) != 0 || fsync(dir) != 0)
			r = error_set(err, MP_E_STORAGE, "cannot put the new key file at %s: %s", path,
			    strerror(errno));
		close(dir);
	}
	free(path);
	return r;
}

void
keyfile_next_drop(const char *data_dir)
{
	int dir = open_dir(data_dir, false, NULL);

	if (dir < 0)
		return;
	unlinkat(dir, NEXT_NAME, 0);
	close(dir);
}

int
keyfile_remove(const char *data_dir, struct error *err)
{
	char *path = keyfile_path(data_dir);
	int dir = open_dir(data_dir, false, err), r = 0;

	if (dir < 0) {
		r = dir == MP_E_NOT_FOUND ? 0 : dir;
	} else {
		unlinkat(dir, NEXT_NAME, 0);
		if ((unlinkat(dir, KEY_NAME, 0) != 0 && errno != ENOENT) || fsync(dir) != 0)
			r = error_set(err, MP_E_STORAGE, "cannot delete the key file %s: %s", path,
			    strerror(errno));
		close(dir);
	}
	free(path);
	return r;
}

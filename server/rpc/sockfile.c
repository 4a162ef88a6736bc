#include "server/rpc/sockfile.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "protocol/base/str.h"
#include "protocol/limits.h"

#define BACKLOG 511
#define FIRST_PASSED_FD 3
#define LOCK_WAIT_MS 1500 /* a daemon on its way out still holds it for a moment */
#define LOCK_STEP_MS 20

static int
system_error(struct error *err, const char *what, const char *path)
{
	error_set(err, MP_E_STORAGE, "%s %s: %s", what, path, strerror(errno));
	return MP_E_STORAGE;
}

/* ---- a socket from the service manager ---- */

static int
env_number(const char *name)
{
	const char *text = getenv(name);
	char *end;
	long n;

	if (text == NULL || *text == '\0')
		return -1;
	n = strtol(text, &end, 10);
	return *end == '\0' && n >= 0 && n < 1000000000 ? (int)n : -1;
}

static bool
option_is(int fd, int option, int wanted)
{
	socklen_t len = sizeof(int);
	int value = -1;

	return getsockopt(fd, SOL_SOCKET, option, &value, &len) == 0 && value == wanted;
}

static int
bad_activation(struct error *err, const char *what)
{
	return error_set(err, MP_E_NOT_PERMITTED, "socket activation: %s", what);
}

/* The path the passed socket is bound to. */
static int
passed_path(int fd, char **path, struct error *err)
{
	struct sockaddr_un addr;
	socklen_t len = sizeof addr;

	memset(&addr, 0, sizeof addr);
	if (!option_is(fd, SO_DOMAIN, AF_UNIX) || !option_is(fd, SO_TYPE, SOCK_STREAM) ||
	    !option_is(fd, SO_ACCEPTCONN, 1))
		return bad_activation(err, "what was passed is no listening Unix stream socket");
	if (getsockname(fd, (struct sockaddr *)&addr, &len) != 0 || addr.sun_path[0] != '/' ||
	    memchr(addr.sun_path, '\0', sizeof addr.sun_path) == NULL)
		return bad_activation(err, "the socket has no path in the file system");
	*path = xstrdup(addr.sun_path);
	return 0;
}

/* A passed socket goes into *fd and its path into *path; *path stays NULL when nothing was passed. */
static int
activation(int *fd, char **path, struct error *err)
{
	int pid = env_number("LISTEN_PID"), count = env_number("LISTEN_FDS");
	bool meant = pid == (int)getpid() && count > 0;
	int r;

	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	if (!meant)
		return 0;
	if (count != 1)
		return bad_activation(err, "exactly one socket is expected");
	if ((r = passed_path(FIRST_PASSED_FD, path, err)) != 0)
		return r;
	*fd = FIRST_PASSED_FD;
	fcntl(*fd, F_SETFD, FD_CLOEXEC);
	fcntl(*fd, F_SETFL, O_NONBLOCK | fcntl(*fd, F_GETFL));
	return 0;
}

/* ---- the lock ---- */

/* The pid that the running daemon wrote; 0 = unknown. */
static int64_t
pid_read(int dir_fd)
{
	int fd = openat(dir_fd, "pid", O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	char text[32];
	ssize_t n;

	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof text - 1);
	close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	return strtoll(text, NULL, 10);
}

static int
pid_write(int dir_fd, struct error *err)
{
	char text[32];
	int fd, n;

	n = snprintf(text, sizeof text, "%" PRId64 "\n", (int64_t)getpid());
	unlinkat(dir_fd, "pid", 0);
	fd = openat(dir_fd, "pid", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, text, (size_t)n) != n) {
		system_error(err, "cannot write", "the pid file");
		if (fd >= 0)
			close(fd);
		return MP_E_STORAGE;
	}
	close(fd);
	return 0;
}

/* Whether somebody answers at the path: 1 yes, 0 refused or nothing there, negative: cannot say. */
static int
somebody_serves(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t n = strlen(path);
	int fd, r, reason;

	if (n >= sizeof addr.sun_path)
		return MP_E_INVALID_PARAMS;
	memcpy(addr.sun_path, path, n + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return MP_E_INTERNAL;
	r = connect(fd, (struct sockaddr *)&addr, sizeof addr);
	reason = errno;
	close(fd);
	if (r == 0 || reason == EAGAIN) /* EAGAIN: alive, with a full backlog */
		return 1;
	return reason == ECONNREFUSED || reason == ENOENT ? 0 : MP_E_INTERNAL;
}

static int
already_running(int dir_fd, const char *dir, struct error *err)
{
	int64_t pid = pid_read(dir_fd);

	if (pid > 0)
		error_set(err, MP_E_BUSY, "already running (pid %" PRId64 ") in %s", pid, dir);
	else
		error_set(err, MP_E_BUSY, "already running in %s", dir);
	error_hint(err, "mpc daemon status");
	return MP_E_BUSY;
}

static int
lock_open(int dir_fd, const char *dir, struct error *err)
{
	struct stat st;
	int fd;

	fd = openat(dir_fd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
	if (fd < 0 && (errno == ELOOP || errno == EISDIR || errno == ENXIO))
		return error_set(err, MP_E_NOT_PERMITTED, "%s/lock is not a regular file", dir);
	if (fd < 0) {
		error_set(err, MP_E_STORAGE, "cannot open %s/lock: %s", dir, strerror(errno));
		return MP_E_STORAGE;
	}
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid()) {
		close(fd);
		return error_set(err, MP_E_NOT_PERMITTED,
		    "%s/lock is not a regular file of this user", dir);
	}
	return fd;
}

/* Takes the lock. While nobody serves, its holder is a daemon that starts or leaves: worth a moment's
 * wait. */
static int
lock_take(struct sockfile *f, struct error *err)
{
	const struct timespec step = { .tv_nsec = LOCK_STEP_MS * 1000000L };

	if ((f->lock_fd = lock_open(f->dir_fd, f->dir, err)) < 0)
		return f->lock_fd;
	for (int waited = 0; flock(f->lock_fd, LOCK_EX | LOCK_NB) != 0; waited += LOCK_STEP_MS) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return system_error(err, "cannot lock", f->dir);
		if (waited >= LOCK_WAIT_MS || (!f->activated && somebody_serves(f->path) == 1))
			return already_running(f->dir_fd, f->dir, err);
		nanosleep(&step, NULL);
	}
	return 0;
}

/* ---- the socket ---- */

/* Only a dead socket is removed; anything else stays where it is. */
static int
clear_the_place(struct sockfile *f, struct error *err)
{
	struct stat st;

	if (fstatat(f->dir_fd, f->name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		if (errno == ENOENT)
			return 0;
		return system_error(err, "cannot look at", f->path);
	}
	if (!S_ISSOCK(st.st_mode)) {
		error_set(err, MP_E_NOT_PERMITTED, "%s exists and is not a socket", f->path);
		error_hint(err, "move it away");
		return MP_E_NOT_PERMITTED;
	}
	switch (somebody_serves(f->path)) {
	case 0:
		break;
	case 1:
		return error_set(err, MP_E_BUSY, "another program serves on %s", f->path);
	default:
		return system_error(err, "cannot tell whether somebody serves on", f->path);
	}
	if (unlinkat(f->dir_fd, f->name, 0) != 0 && errno != ENOENT)
		return system_error(err, "cannot remove the old socket", f->path);
	return 0;
}

/* The path still leads to the folder that was checked. */
static bool
same_folder(const struct sockfile *f)
{
	struct stat a, b;

	return fstat(f->dir_fd, &a) == 0 && stat(f->dir, &b) == 0 && a.st_dev == b.st_dev &&
	    a.st_ino == b.st_ino;
}

static int
bind_socket(struct sockfile *f, struct error *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t n = strlen(f->path);

	if (n > LIMIT_SOCKET_PATH)
		return error_set(err, MP_E_NOT_PERMITTED, "the socket path is longer than %d bytes",
		    LIMIT_SOCKET_PATH);
	memcpy(addr.sun_path, f->path, n + 1);
	f->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* the mode is set before the file exists: there is no moment at which others could connect */
	if (f->fd < 0 || fchmod(f->fd, 0600) != 0 ||
	    bind(f->fd, (struct sockaddr *)&addr, sizeof addr) != 0)
		return system_error(err, "cannot bind", f->path);
	f->bound = true;
	if (!same_folder(f))
		return error_set(err, MP_E_NOT_PERMITTED, "%s was replaced while starting", f->dir);
	if (listen(f->fd, BACKLOG) != 0)
		return system_error(err, "cannot listen on", f->path);
	return 0;
}

static int
remember(struct sockfile *f, struct error *err)
{
	struct stat st;

	if (fstatat(f->dir_fd, f->name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return system_error(err, "cannot look at", f->path);
	if (!S_ISSOCK(st.st_mode) || st.st_uid != geteuid())
		return error_set(err, MP_E_NOT_PERMITTED, "%s is not a socket of this user", f->path);
	f->device = st.st_dev;
	f->inode = st.st_ino;
	return 0;
}

/* What stands behind the last slash. */
static const char *
last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

/* The socket's path, folder and name. */
static int
set_places(struct sockfile *f, struct paths *paths, struct error *err)
{
	char *passed = NULL;
	int r = activation(&f->fd, &passed, err);

	if (r != 0)
		return r;
	f->activated = passed != NULL;
	if (f->activated) {
		size_t n = (size_t)(last_part(passed) - passed);

		free(paths->socket);
		free(paths->run_dir);
		paths->socket = passed;
		/* without its slash, but in the root folder that is all there is */
		paths->run_dir = slice_dup((struct slice){ passed, n > 1 ? n - 1 : n });
	}
	f->path = xstrdup(paths->socket);
	f->dir = xstrdup(paths->run_dir);
	f->name = xstrdup(last_part(f->path));
	return 0;
}

int
sockfile_open(struct paths *paths, struct sockfile *out, struct error *err)
{
	struct sockfile f = { .fd = -1, .dir_fd = -1, .lock_fd = -1 };
	int r;

	if ((r = set_places(&f, paths, err)) != 0)
		goto out;
	if ((f.dir_fd = private_dir_open(f.dir, !f.activated, err)) < 0) {
		r = f.dir_fd;
		goto out;
	}
	if ((r = lock_take(&f, err)) != 0 || (r = pid_write(f.dir_fd, err)) != 0)
		goto out;
	f.locked = true;
	*out = f;
	return 0;
out:
	sockfile_close(&f);
	return r;
}

int
sockfile_bind(struct sockfile *f, struct error *err)
{
	int r;

	if (!f->activated &&
	    ((r = clear_the_place(f, err)) != 0 || (r = bind_socket(f, err)) != 0))
		return r;
	return remember(f, err);
}

bool
sockfile_is_ours(const struct sockfile *f, struct stat *st)
{
	memset(st, 0, sizeof *st);
	if (fstatat(f->dir_fd, f->name, st, AT_SYMLINK_NOFOLLOW) != 0) {
		st->st_nlink = 0;
		return false;
	}
	return S_ISSOCK(st->st_mode) && st->st_dev == f->device && st->st_ino == f->inode;
}

void
sockfile_unlink(struct sockfile *f)
{
	struct stat st;

	if (f->bound && sockfile_is_ours(f, &st))
		unlinkat(f->dir_fd, f->name, 0);
	f->bound = false;
	if (f->locked)
		unlinkat(f->dir_fd, "pid", 0);
	f->locked = false;
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

void
sockfile_close(struct sockfile *f)
{
	if (f->fd >= 0)
		close(f->fd);
	if (f->lock_fd >= 0)
		close(f->lock_fd);
	if (f->dir_fd >= 0)
		close(f->dir_fd);
	free(f->path);
	free(f->dir);
	free(f->name);
	*f = (struct sockfile){ .fd = -1, .dir_fd = -1, .lock_fd = -1 };
}

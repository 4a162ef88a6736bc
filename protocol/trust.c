/* trust.c - private directories, and the daemon's socket (THREATS.md section 5). */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "protocol/base/str.h"
#include "protocol/limits.h"
#include "protocol/sockpath.h"

#ifdef O_PATH
#define O_WALK (O_PATH | O_DIRECTORY | O_CLOEXEC)
#else
#define O_WALK (O_RDONLY | O_DIRECTORY | O_CLOEXEC)
#endif

#ifdef SOCK_CLOEXEC
#define SOCKET_TYPE (SOCK_STREAM | SOCK_CLOEXEC)
#else
#define SOCKET_TYPE SOCK_STREAM
#endif

/* errno of a failed step as an error about dir. */
static int
dir_failed(const char *dir, int number, struct error *err)
{
	switch (number) {
	case ENOENT:
		return error_set(err, MP_E_NOT_FOUND, "the directory %s does not exist", dir);
	case EACCES:
	case EPERM:
		error_set(err, MP_E_NOT_PERMITTED, "no permission to use the directory %s", dir);
		error_hint(err, "chmod 0700 %s (and look at the directories above it)", dir);
		return MP_E_NOT_PERMITTED;
	case ENOTDIR:
	case ELOOP:
		return error_set(err, MP_E_NOT_PERMITTED,
		    "%s must be a directory, but it or a part of it is something else", dir);
	default:
		return error_set(err, MP_E_STORAGE, "cannot use the directory %s: %s", dir,
		    strerror(number));
	}
}

/* Opens one component below at, making it when asked. flags: O_WALK for parents. */
static int
component_open(int at, const char *name, int flags, bool create)
{
	int fd = openat(at, name, flags);

	if (fd >= 0 || errno != ENOENT || !create)
		return fd;
	if (mkdirat(at, name, 0700) != 0 && errno != EEXIST)
		return -1;
	return openat(at, name, flags);
}

/* Walks to the directory; parents may be links, the last component may not. -1 and errno. */
static int
dir_walk(const char *dir, bool create)
{
	char *copy = xstrdup(dir);
	char *rest = NULL;
	char *name, *next;
	int at, fd, saved;

	at = open("/", O_WALK);
	name = strtok_r(copy, "/", &rest);
	if (name == NULL) { /* the root itself */
		fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		goto out;
	}
	for (fd = -1; at >= 0; name = next) {
		next = strtok_r(NULL, "/", &rest);
		if (next == NULL) {
			fd = component_open(
			    at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, create);
			break;
		}
		fd = component_open(at, name, O_WALK, create);
		saved = errno;
		close(at);
		errno = saved;
		at = fd;
		fd = -1;
	}
out:
	saved = errno;
	if (at >= 0)
		close(at);
	free(copy);
	errno = saved;
	return fd;
}

static int
dir_check(int fd, const char *dir, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return dir_failed(dir, errno, err);
	if (st.st_uid != geteuid()) {
		error_set(err, MP_E_NOT_PERMITTED,
		    "the directory %s belongs to uid %ld, not to us (%ld)", dir, (long)st.st_uid,
		    (long)geteuid());
		error_hint(err, "chown %ld %s, or choose another directory", (long)geteuid(), dir);
		return MP_E_NOT_PERMITTED;
	}
	if ((st.st_mode & 077) != 0) {
		error_set(err, MP_E_NOT_PERMITTED, "the directory %s is open to others (mode %04o)",
		    dir, (unsigned)(st.st_mode & 07777));
		error_hint(err, "chmod 0700 %s", dir);
		return MP_E_NOT_PERMITTED;
	}
	return 0;
}

int
private_dir_open(const char *dir, bool create, struct error *err)
{
	struct stat st;
	int fd, r;

	if (dir[0] != '/')
		return error_set(err, MP_E_INVALID_PARAMS, "%s is no absolute path", dir);
	if ((fd = dir_walk(dir, create)) < 0) {
		r = errno;
		if ((r == ENOTDIR || r == ELOOP) && lstat(dir, &st) == 0 && S_ISLNK(st.st_mode))
			return error_set(err, MP_E_NOT_PERMITTED,
			    "%s is a symbolic link; it must be a directory of your own", dir);
		return dir_failed(dir, r, err);
	}
	if ((r = dir_check(fd, dir, err)) != 0) {
		close(fd);
		return r;
	}
	return fd;
}

int
peer_uid(int fd, uid_t *uid, pid_t *pid)
{
#ifdef SO_PEERCRED
	struct ucred cred;
	socklen_t n = sizeof cred;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) != 0 || n != sizeof cred)
		return MP_E_INTERNAL;
	*uid = cred.uid;
	if (pid != NULL)
		*pid = cred.pid;
#else
	gid_t gid;

	if (getpeereid(fd, uid, &gid) != 0)
		return MP_E_INTERNAL;
	if (pid != NULL)
		*pid = 0;
#endif
	return 0;
}

/* The socket file, looked at without following links. */
static int
socket_check(const struct paths *p, struct error *err)
{
	const char *name = strrchr(p->socket, '/') + 1;
	struct stat st;
	int dir, r;

	if ((dir = private_dir_open(p->run_dir, false, err)) < 0)
		return dir;
	r = fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : errno;
	close(dir);
	if (r == ENOENT)
		return error_set(err, MP_E_NOT_FOUND, "no daemon: %s does not exist", p->socket);
	if (r != 0)
		return dir_failed(p->run_dir, r, err);
	if (!S_ISSOCK(st.st_mode)) {
		error_set(err, MP_E_NOT_PERMITTED, "%s is no socket", p->socket);
		error_hint(err, "look at it and remove it: ls -l %s", p->socket);
		return MP_E_NOT_PERMITTED;
	}
	if (st.st_uid != geteuid())
		return error_set(err, MP_E_NOT_PERMITTED,
		    "the socket %s belongs to uid %ld, not to us", p->socket, (long)st.st_uid);
	return 0;
}

static int
connect_failed(const char *path, int number, struct error *err)
{
	switch (number) {
	case ENOENT:
	case ECONNREFUSED:
		return error_set(err, MP_E_NOT_FOUND, "no daemon listens on %s", path);
	case EAGAIN:
		return error_set(
		    err, MP_E_BUSY, "the daemon does not accept: too many wait on %s", path);
	case EACCES:
	case EPERM:
		return error_set(err, MP_E_NOT_PERMITTED, "no permission to connect to %s", path);
	case EPROTOTYPE:
		return error_set(err, MP_E_NOT_PERMITTED, "%s is no stream socket", path);
	default:
		return error_set(
		    err, MP_E_INTERNAL, "cannot connect to %s: %s", path, strerror(number));
	}
}

/* Nothing has been sent when this refuses. */
static int
peer_check(int fd, const char *path, struct error *err)
{
	uid_t uid;

	if (peer_uid(fd, &uid, NULL) != 0)
		return error_set(
		    err, MP_E_NOT_PERMITTED, "cannot find out who listens on %s", path);
	if (uid != geteuid())
		return error_set(err, MP_E_NOT_PERMITTED,
		    "the process that listens on %s belongs to uid %ld, not to us", path,
		    (long)uid);
	return 0;
}

int
daemon_connect(const struct paths *p, struct error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd, r;

	if (strlen(p->socket) > LIMIT_SOCKET_PATH || strlen(p->socket) >= sizeof address.sun_path)
		return error_set(
		    err, MP_E_INVALID_PARAMS, "the socket path %s is too long", p->socket);
	if ((r = socket_check(p, err)) != 0)
		return r;
	memcpy(address.sun_path, p->socket, strlen(p->socket));
	if ((fd = socket(AF_UNIX, SOCKET_TYPE, 0)) < 0)
		return error_set(err, MP_E_INTERNAL, "cannot make a socket: %s", strerror(errno));
	/* not blocking while it connects: a full backlog is an answer, not a reason to wait */
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 || fcntl(fd, F_SETFL, O_NONBLOCK) != 0
	    || connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
		r = connect_failed(p->socket, errno, err);
		goto out;
	}
	if ((r = peer_check(fd, p->socket, err)) != 0)
		goto out;
	if (fcntl(fd, F_SETFL, 0) != 0)
		r = error_set(err, MP_E_INTERNAL, "cannot use the socket: %s", strerror(errno));
out:
	if (r == 0)
		return fd;
	close(fd);
	return r;
}

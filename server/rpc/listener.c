#include "server/rpc/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/log.h"
#include "server/rpc/sockfile.h"

#define ACCEPT_PER_TICK 64
#define PAUSE_MS 100

struct listener {
	struct sockfile file;
	struct loop *loop;
	struct rpc_server *server;
	struct loop_io *io, *watch_io;
	struct loop_timer *pause;
	int spare;  /* a descriptor given up to answer when there are no more */
	int watch;  /* inotify on the socket's folder */
	bool exhausted; /* said once */
	bool replaced;  /* said once */
};

int
listener_open(struct paths *paths, struct listener **out, struct error *err)
{
	struct listener *l = xcalloc(1, sizeof *l);
	int r;

	l->spare = l->watch = -1;
	if ((r = sockfile_open(paths, &l->file, err)) != 0) {
		free(l);
		return r;
	}
	*out = l;
	return 0;
}

/* ---- accepting ---- */

static void
spare_open(struct listener *l)
{
	if (l->spare < 0)
		l->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void
go_on(void *arg)
{
	struct listener *l = arg;

	spare_open(l);
	loop_io_set(l->io, LOOP_READ);
}

/* No descriptors left: one client is told so with the spare one, then the listener rests. Trying
 * again at once would burn the processor (THREATS.md section 5). */
static void
rest(struct listener *l, int reason)
{
	int fd;

	if (!l->exhausted)
		log_warn("no descriptors left for new clients", LOG_TEXT("error", strerror(reason)));
	l->exhausted = true;
	if (l->spare >= 0) {
		close(l->spare);
		l->spare = -1;
		fd = accept4(l->file.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0)
			rpc_server_turn_away(l->server, fd, "the daemon has no descriptors left");
	}
	loop_io_set(l->io, 0);
	loop_timer_start(l->pause, PAUSE_MS);
}

static void
greet(struct listener *l, int fd)
{
	uid_t uid = (uid_t)-1;
	pid_t pid = 0;

	if (peer_uid(fd, &uid, &pid) != 0 || uid != geteuid()) {
		log_warn("a client of another user was refused", LOG_INT("uid", (int64_t)uid));
		l->server->refused_peers++;
		close(fd);
		return;
	}
	rpc_server_accept(l->server, fd, pid);
}

static void
on_connection(void *arg, int fd, unsigned what)
{
	struct listener *l = arg;

	(void)what;
	for (int i = 0; i < ACCEPT_PER_TICK; i++) {
		int peer = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (peer < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (peer < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
		    errno == ENOBUFS))
			rest(l, errno);
		if (peer < 0)
			return;
		l->exhausted = false;
		greet(l, peer);
	}
}

/* ---- somebody replaced our socket (FAULTS F45) ---- */

static void
on_folder(void *arg, int fd, unsigned what)
{
	struct listener *l = arg;
	char events[4096];
	struct stat st;

	(void)what;
	while (read(fd, events, sizeof events) > 0)
		;
	if (l->replaced || sockfile_is_ours(&l->file, &st))
		return;
	l->replaced = true;
	if (st.st_nlink == 0)
		log_error("the socket file was removed: new clients cannot find this daemon",
		    LOG_TEXT("socket", l->file.path));
	else
		log_error("the socket file was replaced by another one", LOG_TEXT("socket",
		    l->file.path), LOG_INT("uid", (int64_t)st.st_uid));
}

static void
watch_folder(struct listener *l)
{
	l->watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (l->watch < 0 || inotify_add_watch(l->watch, l->file.dir,
	    IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR) < 0) {
		log_info("the socket's folder cannot be watched", LOG_TEXT("error", strerror(errno)));
		return;
	}
	l->watch_io = loop_io_new(l->loop, l->watch, LOOP_READ, on_folder, l);
}

int
listener_start(struct listener *l, struct loop *loop, struct rpc_server *server,
    struct error *err)
{
	int r;

	l->loop = loop;
	l->server = server;
	if ((r = sockfile_bind(&l->file, err)) != 0)
		return r;
	l->pause = loop_timer_new(loop, go_on, l);
	l->io = loop_io_new(loop, l->file.fd, LOOP_READ, on_connection, l);
	if (l->pause == NULL || l->io == NULL)
		return error_set(err, MP_E_INTERNAL, "cannot watch the socket");
	spare_open(l);
	watch_folder(l);
	return 0;
}

void
listener_stop(struct listener *l)
{
	loop_io_free(l->watch_io);
	loop_io_free(l->io);
	loop_timer_free(l->pause);
	l->watch_io = l->io = NULL;
	l->pause = NULL;
	if (l->watch >= 0)
		close(l->watch);
	if (l->spare >= 0)
		close(l->spare);
	l->watch = l->spare = -1;
	sockfile_unlink(&l->file);
}

void
listener_free(struct listener *l)
{
	if (l == NULL)
		return;
	listener_stop(l);
	sockfile_close(&l->file);
	free(l);
}

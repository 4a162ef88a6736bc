#include "client/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client/app.h"
#include "client/term.h"
#include "protocol/base/portable.h"
#include "protocol/base/str.h"
#include "protocol/sockpath.h"

#define POLL_MS 5

/* What a daemon that lives for days may know of the shell that happened to start it. */
static const char *const allowed[] = {"HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR",
    "OLLAMA_HOST"};
static const char *const allowed_prefixes[] = {
    "LC_",
    "XDG_",
    "MODELPD_",
#ifdef MPD_SANITIZED
    "ASAN_OPTIONS=",
    "LSAN_OPTIONS=",
    "UBSAN_OPTIONS=",
#endif
};

static bool
is_allowed(const char *entry)
{
	size_t n = strcspn(entry, "=");

	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
		if (strlen(allowed[i]) == n && memcmp(entry, allowed[i], n) == 0)
			return true;
	for (size_t i = 0; i < sizeof(allowed_prefixes) / sizeof(allowed_prefixes[0]); i++)
		if (strncmp(entry, allowed_prefixes[i], strlen(allowed_prefixes[i])) == 0)
			return true;
	return false;
}

char **
spawn_environment(char *const *from)
{
	size_t n = 0, at = 0;
	char **out;

	for (size_t i = 0; from[i] != NULL; i++)
		n++;
	out = xcalloc(n + 2, sizeof(*out));
	out[at++] = xstrdup("PATH=/usr/local/bin:/usr/bin:/bin");
	for (size_t i = 0; i < n; i++)
		if (is_allowed(from[i]))
			out[at++] = xstrdup(from[i]);
	return out;
}

char *
spawn_program(void)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - sizeof("/modelpd"));
	char *slash;

	if (n > 0) {
		self[n] = '\0';
		if ((slash = strrchr(self, '/')) != NULL) {
			memcpy(slash, "/modelpd", sizeof("/modelpd"));
			if (access(self, X_OK) == 0)
				return xstrdup(self);
		}
	}
	/* In a build folder the two programs lie in different places; this one knows ours. */
	if (access(MPD_DAEMON_PATH, X_OK) == 0)
		return xstrdup(MPD_DAEMON_PATH);
	return NULL;
}

bool
spawn_is_foreign(const struct app *a)
{
	const char *home = getenv("HOME");
	struct stat st;

	(void)a;
	return geteuid() == 0 && home != NULL && stat(home, &st) == 0 && st.st_uid != 0;
}

static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

#define LIFT_LIMIT(which)                                                                          \
	do {                                                                                       \
		if (getrlimit(which, &rl) == 0) {                                                  \
			rl.rlim_cur = rl.rlim_max;                                                 \
			setrlimit(which, &rl);                                                     \
		}                                                                                  \
	} while (0)

/* The shell's soft limits would last as long as the daemon. It raises its files itself, and the
 * stack keeps the usual size. */
static void
reset_limits(void)
{
	struct rlimit rl;

	LIFT_LIMIT(RLIMIT_DATA);
	LIFT_LIMIT(RLIMIT_AS);
	LIFT_LIMIT(RLIMIT_FSIZE);
	LIFT_LIMIT(RLIMIT_CPU);
}

static void
reset_signals(void)
{
	sigset_t none;

	sigemptyset(&none);
	for (int s = 1; s < NSIG; s++)
		if (s != SIGKILL && s != SIGSTOP)
			signal(s, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* In the child: becomes `argv` with /dev/null on 0, `out_fd` on 1 (-1: /dev/null) and `err_fd` on 2. Never
 * returns. */
static void
become(const char *const *argv, char *const *envp, int out_fd, int err_fd)
{
	int null = open("/dev/null", O_RDWR);

	reset_signals();
	setsid();
	if (null < 0 || dup2(null, 0) < 0 || dup2(out_fd >= 0 ? out_fd : null, 1) < 0 ||
	    dup2(err_fd, 2) < 0 || chdir("/") != 0)
		_exit(127);
	closefrom(3);
	umask(077);
	reset_limits();
	execve(argv[0], (char *const *)argv, envp); /* it does not write to them */
	_exit(127);
}

/* A program that was started and what it says on stderr, and on stdout if that is wanted. */
struct child {
	pid_t pid; /* 0 = it has ended */
	int err_fd;
	int status;
	struct buf said;
};

static int
child_start(struct child *c, const char *const *argv, bool with_output)
{
	char **envp = spawn_environment(environ);
	int fds[2];

	c->err_fd = -1;
	buf_init(&c->said, 4096);
	if (pipe2(fds, O_CLOEXEC) == 0) {
		c->pid = fork();
		if (c->pid == 0)
			become(argv, envp, with_output ? fds[1] : -1, fds[1]);
		close(fds[1]);
		fcntl(fds[0], F_SETFL, O_NONBLOCK);
		c->err_fd = fds[0];
	} else {
		c->pid = -1;
	}
	for (size_t i = 0; envp[i] != NULL; i++)
		free(envp[i]);
	free(envp);
	return c->pid > 0 ? 0 : MP_E_INTERNAL;
}

static void
child_listen(struct child *c)
{
	char piece[512];
	ssize_t n;

	while ((n = read(c->err_fd, piece, sizeof(piece))) > 0)
		buf_add(&c->said, piece, (size_t)n);
}

/* True when it has ended. */
static bool
child_ended(struct child *c)
{
	if (c->pid > 0 && waitpid(c->pid, &c->status, WNOHANG) == c->pid)
		c->pid = 0;
	child_listen(c);
	return c->pid == 0;
}

static void
child_clear(struct child *c)
{
	if (c->err_fd >= 0)
		close(c->err_fd);
	buf_clear(&c->said);
}

/* Appends the last line of what it said that begins so, without that beginning. */
static bool
said_line(const struct buf *said, const char *begins, struct buf *out)
{
	size_t n = strlen(begins), end, at = said->len;

	while (at > 0) {
		for (end = at; end > 0 && said->data[end - 1] == '\n'; end--)
			continue;
		for (at = end; at > 0 && said->data[at - 1] != '\n'; at--)
			continue;
		if (end - at <= n || memcmp(said->data + at, begins, n) != 0)
			continue;
		at += n;
		text_escape(out, said->data + at, end - at > 400 ? 400 : end - at, false);
		return true;
	}
	return false;
}

bool
spawn_story(const struct buf *said, struct buf *why, struct buf *fix)
{
	bool ours = said_line(said, "modelpd: ", why);

	if (!ours && !said_line(said, "<3>", why))
		said_line(said, "", why);
	if (ours)
		said_line(said, "  fix: ", fix);
	return ours;
}

/* What it said before it ended; its fix becomes the hint. */
static void
tell_end(const struct child *c, struct buf *why, struct error *err)
{
	struct buf fix = BUF_INIT;

	spawn_story(&c->said, why, &fix);
	if (why->len == 0)
		buf_addf(why, "it ended at once (status %d)",
		    WIFEXITED(c->status) ? WEXITSTATUS(c->status) : 128 + WTERMSIG(c->status));
	error_set(err, MP_E_NOT_FOUND, "the daemon ended at once");
	error_hint(err, "%s", fix.len > 0 ? buf_str(&fix) : "mpc doctor");
	buf_clear(&fix);
}

/* Waits until something listens or `until` has passed. The fd, or MP_E_NOT_FOUND. */
static int
connect_until(struct app *a, struct child *c, int64_t until, struct buf *why, struct error *err)
{
	struct spinner spinner;
	int fd;

	spinner_start(&spinner, a, "starting the daemon");
	for (;;) {
		bool ended = c != NULL && child_ended(c);

		fd = daemon_connect(&a->paths, err);
		if (fd >= 0 || (fd != MP_E_NOT_FOUND && fd != MP_E_BUSY))
			break;
		/* 75: another one was faster; it will answer. */
		if (ended && !(WIFEXITED(c->status) &&
				 (WEXITSTATUS(c->status) == 0 || WEXITSTATUS(c->status) == 75))) {
			tell_end(c, why, err);
			break;
		}
		if (now_ms() >= until) {
			buf_addf(why, "it did not answer within %d s", SPAWN_TIMEOUT_MS / 1000);
			break;
		}
		poll(NULL, 0, POLL_MS);
		spinner_tick(&spinner);
	}
	spinner_stop(&spinner);
	return fd;
}

/* The user's systemd starts the socket, if it has one of ours: then the daemon is its child. */
static int
try_systemd(struct app *a, int64_t until, struct error *err)
{
	static const char *const argv[] = {
	    "/usr/bin/systemctl", "--user", "--quiet", "start", "modelpd.socket", NULL};
	const char *runtime = getenv("XDG_RUNTIME_DIR"), *own = getenv("MODELPD_SOCKET");
	struct child c;
	char path[PATH_MAX];
	int r = MP_E_NOT_FOUND;

	if (runtime == NULL || (own != NULL && *own != '\0') ||
	    args_value(&a->args, "socket") != NULL)
		return MP_E_NOT_FOUND;
	if (snprintf(path, sizeof(path), "%s/systemd/private", runtime) >= (int)sizeof(path) ||
	    access(path, F_OK) != 0 || access(argv[0], X_OK) != 0)
		return MP_E_NOT_FOUND;
	if (child_start(&c, argv, false) == 0) {
		while (!child_ended(&c) && now_ms() < until)
			poll(NULL, 0, POLL_MS);
		if (c.pid == 0 && WIFEXITED(c.status) && WEXITSTATUS(c.status) == 0)
			r = daemon_connect(&a->paths, err);
	}
	child_clear(&c);
	return r;
}

static int
run_daemon(struct app *a, int64_t until, struct buf *why, struct error *err)
{
	const char *socket = args_value(&a->args, "socket");
	char *program = spawn_program();
	const char *argv[5] = {program, "--detach", NULL, NULL, NULL};
	struct child c;
	int r;

	if (program == NULL) {
		buf_adds(
		    why, "its program modelpd is neither beside this one nor at " MPD_DAEMON_PATH);
		return error_set(err, MP_E_NOT_FOUND, "no daemon program");
	}
	if (socket != NULL) {
		argv[2] = "--socket";
		argv[3] = a->paths.socket;
	}
	r = child_start(&c, argv, false) == 0 ? connect_until(a, &c, until, why, err) : MP_E_INTERNAL;
	child_clear(&c);
	free(program);
	return r;
}

/* flock with an end: the loser of the race waits for the winner, who starts the daemon. */
static int
lock_until(int fd, int64_t until)
{
	while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		if ((errno != EWOULDBLOCK && errno != EINTR) || now_ms() >= until)
			return MP_E_BUSY;
		poll(NULL, 0, POLL_MS);
	}
	return 0;
}

/* A lock of its own: `lock` beside it is the daemon's, held for life. */
static int
start_locked(struct app *a, int dir, int64_t until, struct buf *why, struct error *err)
{
	int lock = openat(dir, "start.lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	int fd = MP_E_NOT_FOUND;

	if (lock < 0) {
		buf_addf(
		    why, "cannot open start.lock in %s: %s", a->paths.run_dir, strerror(errno));
		return error_set(err, MP_E_STORAGE, "no lock");
	}
	if (lock_until(lock, until) != 0)
		buf_adds(why, "another client has been starting it for too long");
	else if ((fd = daemon_connect(&a->paths, err)) == MP_E_NOT_FOUND || fd == MP_E_BUSY)
		fd = run_daemon(a, until, why, err);
	close(lock);
	return fd;
}

int
spawn_and_connect(struct app *a, struct buf *why, struct error *err)
{
	int64_t until = now_ms() + SPAWN_TIMEOUT_MS;
	int dir, fd;

	if ((fd = try_systemd(a, until, err)) >= 0)
		return fd;
	if ((dir = private_dir_open(a->paths.run_dir, true, err)) < 0)
		return dir;
	fd = start_locked(a, dir, until, why, err);
	close(dir);
	return fd;
}

int
spawn_run(struct app *a, const char *const *argv, const char *doing, struct buf *said)
{
	struct spinner spinner;
	struct child c;
	int code = -1;

	if (child_start(&c, argv, true) == 0) {
		spinner_start(&spinner, a, doing);
		while (!child_ended(&c)) {
			poll(NULL, 0, POLL_MS);
			spinner_tick(&spinner);
		}
		spinner_stop(&spinner);
		child_listen(&c);
		buf_add(said, c.said.data, c.said.len);
		if (WIFEXITED(c.status))
			code = WEXITSTATUS(c.status);
	}
	child_clear(&c);
	return code;
}

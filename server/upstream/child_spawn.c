#include "server/upstream/child_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/base/buf.h"
#include "protocol/base/str.h"

static struct rlimit files_before;
static bool files_known;

void
child_remember_limits(void)
{
	files_known = getrlimit(RLIMIT_NOFILE, &files_before) == 0;
}

/* ---- the environment and the arguments ---- */

/* An API key or a base URL in the environment would take the place of the login (providers/claude-cli.md
 * section 2): only these go along. A name that ends with "_" stands for all that begin so. */
static const char *const allowed[] = { "HOME", "USER", "LANG", "LC_", "TZ", "XDG_", "TMPDIR" };

static bool
is_allowed(const char *variable)
{
	struct slice name = { variable, strcspn(variable, "=") };

	for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++) {
		size_t n = strlen(allowed[i]);

		if (allowed[i][n - 1] == '_' ? slice_starts(name, allowed[i])
		                             : slice_eq(name, allowed[i]))
			return true;
	}
	return false;
}

/* NULL-terminated, every text owned. */
struct list {
	char **of;
	size_t count;
};

static void
list_add(struct list *l, char *text)
{
	l->of = xrealloc(l->of, (l->count + 2) * sizeof *l->of);
	l->of[l->count++] = text;
	l->of[l->count] = NULL;
}

static void
list_addf(struct list *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void
list_addf(struct list *l, const char *fmt, ...)
{
	struct buf b = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	(void)buf_addv(&b, fmt, ap);
	va_end(ap);
	list_add(l, xstrdup(buf_str(&b)));
	buf_clear(&b);
}

static void
list_clear(struct list *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->of[i]);
	free(l->of);
}

/* Scripts find their interpreter beside them or where the system's programs are. */
static void
environment_make(struct list *l, const char *path, const struct wire_request *req, const char *proxy)
{
	const char *slash = strrchr(path, '/');

	for (char **at = environ; at != NULL && *at != NULL; at++)
		if (is_allowed(*at))
			list_add(l, xstrdup(*at));
	list_addf(l, "PATH=%.*s:/usr/local/bin:/usr/bin:/bin",
	    slash > path ? (int)(slash - path) : 1, path);
	for (size_t i = 0; req->environment != NULL && req->environment[i] != NULL; i++)
		list_add(l, xstrdup(req->environment[i]));
	if (proxy != NULL)
		list_addf(l, "HTTPS_PROXY=%s", proxy);
}

static void
arguments_make(struct list *l, const char *path, const struct wire_request *req, const char *room)
{
	list_add(l, xstrdup(path));
	for (size_t i = 0; i < req->argument_count; i++)
		list_add(l, xstrdup(req->arguments[i]));
	if (req->file_option == NULL)
		return;
	list_add(l, xstrdup(req->file_option));
	list_addf(l, "%s/text", room);
}

/* ---- the pipes ---- */

struct pipes {
	int in[2], out[2], err[2];
};

static void
pipes_close(struct pipes *p)
{
	int *const ends[] = { &p->in[0], &p->in[1], &p->out[0], &p->out[1], &p->err[0], &p->err[1] };

	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
		if (*ends[i] >= 0)
			close(*ends[i]);
		*ends[i] = -1;
	}
}

static int
pipes_open(struct pipes *p)
{
	int error;

	*p = (struct pipes){ { -1, -1 }, { -1, -1 }, { -1, -1 } };
	if (pipe2(p->in, O_CLOEXEC) == 0 && pipe2(p->out, O_CLOEXEC) == 0 &&
	    pipe2(p->err, O_CLOEXEC) == 0 && fcntl(p->in[1], F_SETFL, O_NONBLOCK) == 0 &&
	    fcntl(p->out[0], F_SETFL, O_NONBLOCK) == 0 && fcntl(p->err[0], F_SETFL, O_NONBLOCK) == 0)
		return 0;
	error = errno;
	pipes_close(p);
	return error;
}

/* ---- the start ---- */

static int
actions_make(posix_spawn_file_actions_t *a, const struct pipes *p, const char *room)
{
	char work[PATH_MAX];
	int r;

	snprintf(work, sizeof work, "%s/work", room);
	if ((r = posix_spawn_file_actions_adddup2(a, p->in[0], 0)) != 0 ||
	    (r = posix_spawn_file_actions_adddup2(a, p->out[1], 1)) != 0 ||
	    (r = posix_spawn_file_actions_adddup2(a, p->err[1], 2)) != 0 ||
	    (r = posix_spawn_file_actions_addclosefrom_np(a, 3)) != 0)
		return r;
	return posix_spawn_file_actions_addchdir_np(a, work);
}

/* Ignored signals would stay ignored in the program; the daemon ignores SIGPIPE. */
static int
attributes_make(posix_spawnattr_t *a)
{
	sigset_t all, none;
	int r;

	/* sigfillset leaves out the library's own two, which it would make ignored ones */
	memset(&all, 0xff, sizeof all);
	sigemptyset(&none);
	if ((r = posix_spawnattr_setsigdefault(a, &all)) != 0 ||
	    (r = posix_spawnattr_setsigmask(a, &none)) != 0 ||
	    (r = posix_spawnattr_setpgroup(a, 0)) != 0)
		return r;
	return posix_spawnattr_setflags(a,
	    POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
}

/* The limit of descriptors and the umask are inherited and have no attribute: ours are put back at once. */
static int
spawn_limited(const char *path, const posix_spawn_file_actions_t *actions,
    const posix_spawnattr_t *attributes, char **argv, char **envp, pid_t *pid)
{
	struct rlimit now;
	bool lowered = files_known && getrlimit(RLIMIT_NOFILE, &now) == 0 &&
	    setrlimit(RLIMIT_NOFILE, &files_before) == 0;
	mode_t mask = umask(077);
	int r = posix_spawn(pid, path, actions, attributes, argv, envp);

	umask(mask);
	if (lowered)
		setrlimit(RLIMIT_NOFILE, &now);
	return r;
}

int
child_spawn(const char *path, const struct wire_request *req, const char *room, const char *proxy,
    struct process_pipes *ends, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	struct list argv = { NULL, 0 }, envp = { NULL, 0 };
	struct pipes pipes;
	int r;

	if ((r = pipes_open(&pipes)) != 0)
		return r;
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	arguments_make(&argv, path, req, room);
	environment_make(&envp, path, req, proxy);
	if ((r = actions_make(&actions, &pipes, room)) == 0 &&
	    (r = attributes_make(&attributes)) == 0 &&
	    (r = spawn_limited(path, &actions, &attributes, argv.of, envp.of, pid)) == 0) {
		*ends = (struct process_pipes){ pipes.in[1], pipes.out[0], pipes.err[0] };
		pipes.in[1] = pipes.out[0] = pipes.err[0] = -1;
	}
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	list_clear(&argv);
	list_clear(&envp);
	pipes_close(&pipes);
	return r;
}

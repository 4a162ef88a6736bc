#include "server/upstream/child_process.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/upstream/child_spawn.h"
#include "server/upstream/program.h"
#include "server/upstream/transfer.h"

#define KILL_AFTER_MS 5000
#define SWEEP_MS 50
#define SWEEPS_AT_END 100
#define SWEEP_NAP_US 10000

struct process {
	struct children *all;
	struct process *next, *prev;
	pid_t pid;
	int pidfd; /* readable when it has ended */
	struct loop_io *ended;
	struct loop_timer *kill;
	char *room;
	bool idle, aside;
	void (*on_exit)(void *arg, int status); /* NULL = nobody watches */
	void *arg;
};

struct children {
	struct loop *loop;
	struct process *first;
	size_t count, idle, aside;
	struct children_waiter *waiters; /* who waited longest is first */
	size_t waiting;
	struct loop_timer *sweep;
	struct loop_deferred invite;
};

/* ---- strangers ---- */

static bool
is_known(const struct children *cs, pid_t pid)
{
	for (const struct process *p = cs->first; p != NULL; p = p->next)
		if (p->pid == pid)
			return true;
	return false;
}

/* Ends whoever came to us when his parent was gone. Returns how many are left. */
static unsigned
end_strangers(const struct children *cs)
{
	FILE *f = fopen("/proc/thread-self/children", "re");
	unsigned left = 0;
	long pid;

	if (f == NULL)
		return 0;
	while (fscanf(f, "%ld", &pid) == 1) {
		if (pid <= 0 || is_known(cs, (pid_t)pid))
			continue;
		kill((pid_t)pid, SIGKILL);
		if (waitpid((pid_t)pid, NULL, WNOHANG) == 0)
			left++;
	}
	fclose(f);
	return left;
}

/* While another program works a stranger may be its helper: then it waits for the end of that one. */
static void
sweep(void *arg)
{
	struct children *cs = arg;

	if (cs->count == cs->idle && end_strangers(cs) > 0)
		loop_timer_start(cs->sweep, SWEEP_MS);
}

/* ---- all of them ---- */

static void
invite(void *arg)
{
	struct children *cs = arg;
	struct children_waiter *w = cs->waiters;

	if (w == NULL || children_full(cs))
		return;
	children_unwait(cs, w);
	w->cb(w->arg);
	if (cs->waiters != NULL && !children_full(cs))
		loop_defer(cs->loop, &cs->invite, invite, cs);
}

struct children *
children_new(struct loop *loop)
{
	struct children *cs = xcalloc(1, sizeof *cs);

	cs->loop = loop;
	cs->sweep = loop_timer_new(loop, sweep, cs);
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	return cs;
}

bool
children_full(const struct children *cs)
{
	return cs->count - cs->aside >= CHILDREN_MAX;
}

size_t
children_waiting(const struct children *cs)
{
	return cs->waiting;
}

bool
children_pressed(const struct children *cs)
{
	size_t ending = 0;

	for (const struct process *p = cs->first; p != NULL; p = p->next)
		ending += p->on_exit == NULL && !p->aside;
	return cs->waiting > ending;
}

void
children_wait(struct children *cs, struct children_waiter *w)
{
	struct children_waiter **at = &cs->waiters;

	assert(!w->queued);
	while (*at != NULL)
		at = &(*at)->next;
	*at = w;
	w->next = NULL;
	w->queued = true;
	cs->waiting++;
}

void
children_unwait(struct children *cs, struct children_waiter *w)
{
	struct children_waiter **at = &cs->waiters;

	if (!w->queued)
		return;
	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	w->queued = false;
	cs->waiting--;
}

/* ---- one ---- */

/* Off the list, its folder gone. */
static void
process_free(struct process *p)
{
	struct children *cs = p->all;

	if (p->prev != NULL)
		p->prev->next = p->next;
	else
		cs->first = p->next;
	if (p->next != NULL)
		p->next->prev = p->prev;
	cs->count--;
	if (p->idle)
		cs->idle--;
	if (p->aside)
		cs->aside--;
	loop_io_free(p->ended);
	loop_timer_free(p->kill);
	close(p->pidfd);
	room_remove(p->room);
	free(p);
}

/* The group's number stays taken until its leader is collected: kill first, then collect. */
static int
process_collect(struct process *p)
{
	int status = 0;

	kill(-p->pid, SIGKILL);
	while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

static void
process_ended(void *arg, int fd, unsigned what)
{
	struct process *p = arg;
	struct children *cs = p->all;
	void (*on_exit)(void *arg, int status) = p->on_exit;
	void *watcher = p->arg;
	int status = process_collect(p);

	(void)fd;
	(void)what;
	process_free(p);
	loop_timer_start(cs->sweep, 0);
	if (cs->waiters != NULL)
		loop_defer(cs->loop, &cs->invite, invite, cs);
	if (on_exit != NULL)
		on_exit(watcher, status);
}

static void
process_kill(void *arg)
{
	struct process *p = arg;

	kill(-p->pid, SIGKILL);
}

struct process *
process_start(struct children *cs, const char *path, const struct wire_request *req,
    const char *proxy, struct process_pipes *pipes, void (*on_exit)(void *arg, int status),
    void *arg, struct failure *why)
{
	struct process *p = xcalloc(1, sizeof *p);
	int error;

	p->all = cs;
	p->on_exit = on_exit;
	p->arg = arg;
	p->room = room_new(req->file_option != NULL ? buf_str(&req->file) : NULL, req->file.len);
	if (p->room == NULL) {
		failure_say(why, FAILURE_CONFIG, "spawn",
		    "no private folder for the program can be made: %s", strerror(errno));
		goto fail;
	}
	if ((error = child_spawn(path, req, p->room, proxy, pipes, &p->pid)) != 0) {
		failure_say(why, error == EAGAIN || error == ENOMEM || error == EMFILE ||
		        error == ENFILE ? FAILURE_OVERLOADED : FAILURE_CONFIG, "spawn",
		    "the program %s cannot be started: %s", path, strerror(error));
		goto fail;
	}
	p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
	if (p->pidfd < 0) {
		failure_say(why, FAILURE_CONFIG, "spawn",
		    "the program %s cannot be watched: %s", path, strerror(errno));
		process_collect(p);
		close(pipes->in);
		close(pipes->out);
		close(pipes->err);
		goto fail;
	}
	p->ended = loop_io_new(cs->loop, p->pidfd, LOOP_READ, process_ended, p);
	p->kill = loop_timer_new(cs->loop, process_kill, p);
	p->next = cs->first;
	if (p->next != NULL)
		p->next->prev = p;
	cs->first = p;
	cs->count++;
	p->aside = req->aside;
	if (p->aside)
		cs->aside++;
	return p;
fail:
	room_remove(p->room);
	free(p);
	return NULL;
}

void
process_watch(struct process *p, void (*on_exit)(void *arg, int status), void *arg)
{
	p->on_exit = on_exit;
	p->arg = arg;
}

void
process_set_idle(struct process *p, bool idle)
{
	struct children *cs = p->all;

	if (p->idle == idle)
		return;
	p->idle = idle;
	if (idle) {
		cs->idle++;
		loop_timer_start(cs->sweep, 0);
	} else {
		cs->idle--;
	}
}

void
process_stop(struct process *p)
{
	p->on_exit = NULL;
	kill(-p->pid, SIGTERM);
	loop_timer_start(p->kill, KILL_AFTER_MS);
}

void
children_free(struct children *cs)
{
	if (cs == NULL)
		return;
	for (struct process *p = cs->first, *next; p != NULL; p = next) {
		next = p->next;
		process_collect(p);
		process_free(p);
	}
	cs->first = NULL; /* now every child is a stranger */
	for (int i = 0; i < SWEEPS_AT_END && end_strangers(cs) > 0; i++)
		usleep(SWEEP_NAP_US);
	loop_defer_cancel(cs->loop, &cs->invite);
	loop_timer_free(cs->sweep);
	free(cs);
}

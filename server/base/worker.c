#include "server/base/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "protocol/base/err.h"
#include "protocol/base/portable.h"
#include "protocol/base/str.h"

struct job {
	void (*run)(void *arg);
	void (*done)(void *arg);
	void *arg;
	struct job *next;
};

struct jobs {
	struct job *first, **last;
};

/* Under the lock: waiting, finished, ending. The rest is the loop's alone. */
struct worker {
	pthread_mutex_t lock;
	pthread_cond_t news;
	struct jobs waiting, finished;
	bool ending;
	pthread_t thread;
	bool started;
	size_t count; /* jobs whose done was not called yet */
	int pipe[2];  /* a byte for every finished job wakes the loop */
	struct loop_io *io;
};

static void
jobs_add(struct jobs *list, struct job *j)
{
	j->next = NULL;
	*list->last = j;
	list->last = &j->next;
}

static struct job *
jobs_take(struct jobs *list)
{
	struct job *j = list->first;

	if (j != NULL && (list->first = j->next) == NULL)
		list->last = &list->first;
	return j;
}

/* ---- the thread ---- */

static void
wake_loop(const struct worker *w)
{
	/* a full pipe has woken it already */
	while (write(w->pipe[1], "", 1) < 0 && errno == EINTR)
		continue;
}

static void *
work(void *arg)
{
	struct worker *w = arg;
	struct job *j;

	pthread_mutex_lock(&w->lock);
	while (!w->ending) {
		if ((j = jobs_take(&w->waiting)) == NULL) {
			pthread_cond_wait(&w->news, &w->lock);
			continue;
		}
		pthread_mutex_unlock(&w->lock);
		j->run(j->arg);
		pthread_mutex_lock(&w->lock);
		jobs_add(&w->finished, j);
		wake_loop(w);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* ---- the loop's side ---- */

/* done may add another job. */
static void
finish(struct worker *w, struct jobs *list)
{
	struct job *j;

	for (;;) {
		pthread_mutex_lock(&w->lock);
		j = jobs_take(list);
		pthread_mutex_unlock(&w->lock);
		if (j == NULL)
			return;
		w->count--;
		j->done(j->arg);
		free(j);
	}
}

static void
on_finished(void *arg, int fd, unsigned what)
{
	struct worker *w = arg;
	char bytes[64];

	(void)what;
	while (read(fd, bytes, sizeof bytes) > 0)
		continue;
	finish(w, &w->finished);
}

struct worker *
worker_new(struct loop *l)
{
	struct worker *w = xcalloc(1, sizeof *w);

	w->waiting.last = &w->waiting.first;
	w->finished.last = &w->finished.first;
	if (pipe2(w->pipe, O_CLOEXEC | O_NONBLOCK) != 0) {
		free(w);
		return NULL;
	}
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->news, NULL);
	w->io = loop_io_new(l, w->pipe[0], LOOP_READ, on_finished, w);
	return w;
}

void
worker_free(struct worker *w)
{
	if (w == NULL)
		return;
	pthread_mutex_lock(&w->lock);
	w->ending = true;
	pthread_cond_signal(&w->news);
	pthread_mutex_unlock(&w->lock);
	if (w->started)
		pthread_join(w->thread, NULL);
	finish(w, &w->finished);
	finish(w, &w->waiting);
	loop_io_free(w->io);
	close(w->pipe[0]);
	close(w->pipe[1]);
	pthread_cond_destroy(&w->news);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

/* Signals are the loop's business: the thread takes none. */
static int
start(struct worker *w)
{
	sigset_t all, before;
	int r;

	if (w->started)
		return 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&w->thread, NULL, work, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	w->started = r == 0;
	return r == 0 ? 0 : MP_E_INTERNAL;
}

int
worker_add(struct worker *w, void (*run)(void *arg), void (*done)(void *arg), void *arg)
{
	struct job *j;

	if (w->count > WORKER_WAITING_MAX || w->ending)
		return MP_E_BUSY;
	if (start(w) != 0)
		return MP_E_INTERNAL;
	j = xcalloc(1, sizeof *j);
	j->run = run;
	j->done = done;
	j->arg = arg;
	w->count++;
	pthread_mutex_lock(&w->lock);
	jobs_add(&w->waiting, j);
	pthread_cond_signal(&w->news);
	pthread_mutex_unlock(&w->lock);
	return 0;
}

size_t
worker_count(const struct worker *w)
{
	return w->count;
}

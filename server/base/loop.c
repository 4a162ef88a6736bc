#include "server/base/loop.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "protocol/base/err.h"
#include "protocol/base/str.h"
#include "server/base/clock.h"
#include "server/base/log.h"

/* Deferred calls that run in one tick; the rest waits for the next one, so that calls which keep asking
 * for another cannot starve the descriptors. */
#define DEFERRED_PER_TICK 4096

struct loop {
	struct event_base *base;
	struct loop_deferred *first, **last;
	bool stop;
};

/* Two events, because the reading side then stays registered while the writing side comes and goes. */
struct loop_io {
	struct event read, write;
	unsigned what;
	void (*cb)(void *arg, int fd, unsigned what);
	void *arg;
};

struct loop_timer {
	struct event event;
	int64_t due_us;
	bool running;
	void (*cb)(void *arg);
	void *arg;
};

struct loop_signal {
	struct event event;
	void (*cb)(void *arg, int signum);
	void *arg;
};

static void
backend_says(int severity, const char *text)
{
	if (severity >= EVENT_LOG_WARN)
		log_warn("the event library complains", LOG_TEXT("text", text));
}

struct loop *
loop_new(void)
{
	struct event_config *config = event_config_new();
	struct loop *l;
	int flags = EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV |
	    EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST;

	if (config == NULL)
		return NULL;
	event_set_log_callback(backend_says);
	l = xcalloc(1, sizeof *l);
	l->last = &l->first;
	event_config_set_flag(config, flags);
	l->base = event_base_new_with_config(config);
	event_config_free(config);
	if (l->base == NULL) {
		free(l);
		return NULL;
	}
	return l;
}

static void
run_deferred(struct loop *l)
{
	for (int i = 0; l->first != NULL && i < DEFERRED_PER_TICK; i++) {
		struct loop_deferred *d = l->first;

		if ((l->first = d->next) == NULL)
			l->last = &l->first;
		d->next = NULL;
		d->queued = false;
		d->cb(d->arg); /* may free d */
	}
}

void
loop_free(struct loop *l)
{
	if (l == NULL)
		return;
	run_deferred(l); /* what died in the last tick is freed, not leaked */
	event_base_free(l->base);
	free(l);
}

/* One round of callbacks, then the end of the tick. Waits only when nothing is queued. */
static int
run_round(struct loop *l, int flags)
{
	if (l->first != NULL)
		flags |= EVLOOP_NONBLOCK;
	if (event_base_loop(l->base, flags | EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY) < 0)
		return MP_E_INTERNAL;
	run_deferred(l);
	return 0;
}

int
loop_run(struct loop *l)
{
	int r = 0;

	while (!l->stop && r == 0)
		r = run_round(l, 0);
	l->stop = false;
	return r;
}

void
loop_stop(struct loop *l)
{
	l->stop = true;
}

static void
waited_enough(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

void
loop_once(struct loop *l, int timeout_ms)
{
	struct timeval tv = { timeout_ms / 1000, timeout_ms % 1000 * 1000L };
	struct event end;

	if (timeout_ms <= 0) {
		run_round(l, timeout_ms == 0 ? EVLOOP_NONBLOCK : 0);
		return;
	}
	evtimer_assign(&end, l->base, waited_enough, NULL);
	event_add(&end, &tv);
	run_round(l, 0);
	event_del(&end);
}

/* ---- descriptors ---- */

static void
io_ready(evutil_socket_t fd, short what, void *arg)
{
	struct loop_io *io = arg;

	/* both sides may be ready in one round: the first callback may have paused the other */
	if (what & EV_READ)
		io->cb(io->arg, fd, LOOP_READ);
	else
		io->cb(io->arg, fd, LOOP_WRITE);
}

struct loop_io *
loop_io_new(struct loop *l, int fd, unsigned what, void (*cb)(void *arg, int fd, unsigned what),
    void *arg)
{
	struct loop_io *io = xcalloc(1, sizeof *io);

	io->cb = cb;
	io->arg = arg;
	event_assign(&io->read, l->base, fd, EV_READ | EV_PERSIST, io_ready, io);
	event_assign(&io->write, l->base, fd, EV_WRITE | EV_PERSIST, io_ready, io);
	loop_io_set(io, what);
	return io;
}

static void
switch_event(struct event *e, bool on)
{
	if (on)
		event_add(e, NULL);
	else
		event_del(e);
}

void
loop_io_set(struct loop_io *io, unsigned what)
{
	unsigned change = io->what ^ what;

	io->what = what;
	if (change & LOOP_READ)
		switch_event(&io->read, (what & LOOP_READ) != 0);
	if (change & LOOP_WRITE)
		switch_event(&io->write, (what & LOOP_WRITE) != 0);
}

void
loop_io_free(struct loop_io *io)
{
	if (io == NULL)
		return;
	loop_io_set(io, 0);
	free(io);
}

/* ---- timers ---- */

static void
timer_add(struct loop_timer *t, int64_t us)
{
	struct timeval tv = { us / 1000000, us % 1000000 };

	event_add(&t->event, &tv);
}

static void
timer_ready(evutil_socket_t fd, short what, void *arg)
{
	struct loop_timer *t = arg;
	int64_t left_us = t->due_us - clock_monotonic_us();

	(void)fd;
	(void)what;
	/* libevent reads a coarse clock (no system call per round for a fine one): a few milliseconds
	 * early happens, and a time-out may be late but not early */
	if (left_us > 0) {
		timer_add(t, left_us);
		return;
	}
	t->running = false;
	t->cb(t->arg);
}

struct loop_timer *
loop_timer_new(struct loop *l, void (*cb)(void *arg), void *arg)
{
	struct loop_timer *t = xcalloc(1, sizeof *t);

	t->cb = cb;
	t->arg = arg;
	evtimer_assign(&t->event, l->base, timer_ready, t);
	return t;
}

void
loop_timer_start(struct loop_timer *t, int64_t ms)
{
	const int64_t year_ms = (int64_t)366 * 86400 * 1000;

	if (ms < 0)
		ms = 0;
	if (ms > year_ms)
		ms = year_ms;
	t->due_us = clock_monotonic_us() + ms * 1000;
	t->running = true;
	timer_add(t, ms * 1000);
}

void
loop_timer_stop(struct loop_timer *t)
{
	if (!t->running)
		return;
	t->running = false;
	event_del(&t->event);
}

bool
loop_timer_running(const struct loop_timer *t)
{
	return t->running;
}

void
loop_timer_free(struct loop_timer *t)
{
	if (t == NULL)
		return;
	loop_timer_stop(t);
	free(t);
}

/* ---- signals ---- */

static void
signal_came(evutil_socket_t signum, short what, void *arg)
{
	struct loop_signal *s = arg;

	(void)what;
	s->cb(s->arg, signum);
}

struct loop_signal *
loop_signal_new(struct loop *l, int signum, void (*cb)(void *arg, int signum), void *arg)
{
	struct loop_signal *s = xcalloc(1, sizeof *s);

	s->cb = cb;
	s->arg = arg;
	evsignal_assign(&s->event, l->base, signum, signal_came, s);
	event_add(&s->event, NULL);
	return s;
}

void
loop_signal_free(struct loop_signal *s)
{
	if (s == NULL)
		return;
	event_del(&s->event);
	free(s);
}

/* ---- the end of the tick ---- */

void
loop_defer(struct loop *l, struct loop_deferred *d, void (*cb)(void *arg), void *arg)
{
	d->cb = cb;
	d->arg = arg;
	if (d->queued)
		return;
	d->queued = true;
	d->next = NULL;
	*l->last = d;
	l->last = &d->next;
}

void
loop_defer_cancel(struct loop *l, struct loop_deferred *d)
{
	struct loop_deferred **at = &l->first;

	if (!d->queued)
		return;
	while (*at != d) {
		assert(*at != NULL); /* queued in another loop */
		at = &(*at)->next;
	}
	if ((*at = d->next) == NULL)
		l->last = at;
	d->next = NULL;
	d->queued = false;
}

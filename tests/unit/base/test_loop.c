#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "server/base/loop.h"

/* The program's own definitions come before libc's: what the loop asks of the kernel is counted. */
static unsigned waits, controls;

int
epoll_wait(int epfd, struct epoll_event *events, int maxevents, int timeout)
{
	waits++;
	return (int)syscall(SYS_epoll_pwait, epfd, events, maxevents, timeout, NULL, 8);
}

int
epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	controls++;
	return (int)syscall(SYS_epoll_ctl, epfd, op, fd, event);
}

struct fixture {
	struct loop *loop;
	int pair[2];
	struct loop_io *io;
	struct loop_timer *timer;
	unsigned reads, writes, ticks;
	struct loop_deferred deferred[3];
	char order[64];
	int left;
};

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	f->loop = loop_new();
	if (f->loop == NULL ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, f->pair) != 0)
		return -1;
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	loop_io_free(f->io);
	loop_timer_free(f->timer);
	loop_free(f->loop);
	close(f->pair[0]);
	close(f->pair[1]);
	free(f);
	return 0;
}

static void
echo(void *arg, int fd, unsigned what)
{
	struct fixture *f = arg;
	char buf[64];
	ssize_t n;

	if (what & LOOP_WRITE) {
		f->writes++;
		loop_io_set(f->io, LOOP_READ);
		return;
	}
	f->reads++;
	n = read(fd, buf, sizeof buf);
	if (n > 0)
		assert_int_equal(write(fd, buf, (size_t)n), n);
}

static void
tick(void *arg)
{
	struct fixture *f = arg;

	f->ticks++;
	loop_stop(f->loop);
}

static void
test_loop__one_wait_and_no_control_per_ping(void **state)
{
	struct fixture *f = *state;
	char byte;

	f->io = loop_io_new(f->loop, f->pair[0], LOOP_READ, echo, f);
	loop_once(f->loop, 0);
	waits = controls = 0;
	for (int i = 0; i < 100; i++) {
		assert_int_equal(write(f->pair[1], "x", 1), 1);
		loop_once(f->loop, -1);
		assert_int_equal(read(f->pair[1], &byte, 1), 1);
	}
	assert_int_equal(f->reads, 100);
	assert_int_equal(waits, 100);
	assert_int_equal(controls, 0);
}

static void
test_loop__setting_the_same_again_asks_nothing_of_the_kernel(void **state)
{
	struct fixture *f = *state;

	f->io = loop_io_new(f->loop, f->pair[0], LOOP_READ, echo, f);
	loop_once(f->loop, 0);
	controls = 0;
	for (int i = 0; i < 10; i++)
		loop_io_set(f->io, LOOP_READ);
	loop_io_set(f->io, LOOP_READ | LOOP_WRITE); /* on and off between two waits */
	loop_io_set(f->io, LOOP_READ);
	loop_once(f->loop, 0);
	assert_int_equal(controls, 0);
	assert_int_equal(f->writes, 0);
}

static void
test_loop__idle_means_asleep(void **state)
{
	struct fixture *f = *state;
	int64_t start = clock_monotonic_ms();

	f->io = loop_io_new(f->loop, f->pair[0], LOOP_READ, echo, f);
	f->timer = loop_timer_new(f->loop, tick, f);
	loop_timer_start(f->timer, 400);
	waits = 0;
	assert_int_equal(loop_run(f->loop), 0);
	assert_true(clock_monotonic_ms() - start >= 400);
	assert_in_range(waits, 1, 6); /* one sleep, and the coarse clock's last milliseconds */
}

static void
test_loop__paused_descriptor_is_silent(void **state)
{
	struct fixture *f = *state;

	f->io = loop_io_new(f->loop, f->pair[0], 0, echo, f);
	assert_int_equal(write(f->pair[1], "x", 1), 1);
	loop_once(f->loop, 20);
	assert_int_equal(f->reads, 0);
	loop_io_set(f->io, LOOP_READ);
	loop_once(f->loop, 1000);
	assert_int_equal(f->reads, 1);
	loop_io_set(f->io, 0);
	close(f->pair[1]); /* a hang-up while paused must not spin */
	f->pair[1] = dup(f->pair[0]);
	waits = 0;
	loop_once(f->loop, 50);
	assert_in_range(waits, 1, 4);
}

static void
test_loop__writable_is_told_as_such(void **state)
{
	struct fixture *f = *state;

	f->io = loop_io_new(f->loop, f->pair[0], LOOP_READ | LOOP_WRITE, echo, f);
	loop_once(f->loop, 1000);
	assert_int_equal(f->writes, 1);
	assert_int_equal(f->reads, 0);
}

static void
free_self(void *arg, int fd, unsigned what)
{
	struct fixture *f = arg;

	(void)fd;
	(void)what;
	f->reads++;
	loop_io_free(f->io);
	f->io = NULL;
}

static void
test_loop__both_sides_ready_and_freed_in_the_first_callback(void **state)
{
	struct fixture *f = *state;

	f->io = loop_io_new(f->loop, f->pair[0], LOOP_READ | LOOP_WRITE, free_self, f);
	assert_int_equal(write(f->pair[1], "x", 1), 1);
	loop_once(f->loop, 1000);
	loop_once(f->loop, 10);
	assert_int_equal(f->reads, 1);
}

static void
test_loop__descriptor_number_used_again_in_the_same_tick(void **state)
{
	struct fixture *f = *state;
	int old = f->pair[0], fresh[2];

	f->io = loop_io_new(f->loop, old, LOOP_READ, echo, f);
	loop_once(f->loop, 0);
	loop_io_free(f->io);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fresh), 0);
	assert_int_equal(dup2(fresh[0], old), old); /* the old file is closed, its number lives on */
	close(fresh[0]);
	f->io = loop_io_new(f->loop, old, LOOP_READ, echo, f);
	assert_int_equal(write(fresh[1], "x", 1), 1);
	loop_once(f->loop, 1000);
	assert_int_equal(f->reads, 1);
	close(fresh[1]);
}

/* ---- timers ---- */

static void
test_loop__timer_is_never_early(void **state)
{
	struct fixture *f = *state;

	f->timer = loop_timer_new(f->loop, tick, f);
	for (int ms = 0; ms < 12; ms++) {
		int64_t start = clock_monotonic_us();

		loop_timer_start(f->timer, ms);
		assert_true(loop_timer_running(f->timer));
		assert_int_equal(loop_run(f->loop), 0);
		assert_true(clock_monotonic_us() - start >= ms * 1000);
		assert_false(loop_timer_running(f->timer));
	}
	assert_int_equal(f->ticks, 12);
}

static void
test_loop__timer_started_again_fires_once_and_later(void **state)
{
	struct fixture *f = *state;
	int64_t start;

	f->timer = loop_timer_new(f->loop, tick, f);
	loop_timer_start(f->timer, 10);
	start = clock_monotonic_ms();
	loop_timer_start(f->timer, 60);
	loop_run(f->loop);
	assert_true(clock_monotonic_ms() - start >= 60);
	assert_int_equal(f->ticks, 1);
	loop_once(f->loop, 20);
	assert_int_equal(f->ticks, 1);
}

static void
test_loop__stopped_timer_stays_silent(void **state)
{
	struct fixture *f = *state;

	f->timer = loop_timer_new(f->loop, tick, f);
	loop_timer_start(f->timer, 5);
	loop_timer_stop(f->timer);
	loop_timer_stop(f->timer);
	loop_once(f->loop, 30);
	assert_int_equal(f->ticks, 0);
}

static void
free_timer(void *arg)
{
	struct fixture *f = arg;

	f->ticks++;
	loop_timer_free(f->timer);
	f->timer = NULL;
}

static void
test_loop__timer_may_free_itself(void **state)
{
	struct fixture *f = *state;

	f->timer = loop_timer_new(f->loop, free_timer, f);
	loop_timer_start(f->timer, 0);
	loop_once(f->loop, 1000);
	assert_int_equal(f->ticks, 1);
}

/* ---- signals ---- */

static void
got_signal(void *arg, int signum)
{
	struct fixture *f = arg;

	assert_int_equal(signum, SIGUSR1);
	f->ticks++;
	loop_stop(f->loop);
}

static void
test_loop__signal_is_a_call_of_the_loop(void **state)
{
	struct fixture *f = *state;
	struct loop_signal *s = loop_signal_new(f->loop, SIGUSR1, got_signal, f);

	raise(SIGUSR1);
	assert_int_equal(f->ticks, 0);
	loop_run(f->loop);
	assert_int_equal(f->ticks, 1);
	loop_signal_free(s);
}

/* ---- the end of the tick ---- */

static void
note(void *arg)
{
	struct fixture *f = arg;

	f->order[strlen(f->order)] = 'd';
}

static void
note_and_stop(void *arg)
{
	note(arg);
	loop_stop(((struct fixture *)arg)->loop);
}

static void
read_and_defer(void *arg, int fd, unsigned what)
{
	struct fixture *f = arg;
	char byte;

	(void)what;
	assert_int_equal(read(fd, &byte, 1), 1);
	f->order[strlen(f->order)] = 'r';
	loop_defer(f->loop, &f->deferred[0], note_and_stop, f);
}

static void
test_loop__deferred_runs_after_all_callbacks_of_the_tick(void **state)
{
	struct fixture *f = *state;
	struct loop_io *other = loop_io_new(f->loop, f->pair[1], LOOP_READ, read_and_defer, f);

	f->io = loop_io_new(f->loop, f->pair[0], LOOP_READ, read_and_defer, f);
	assert_int_equal(write(f->pair[0], "x", 1), 1);
	assert_int_equal(write(f->pair[1], "x", 1), 1);
	loop_run(f->loop);
	assert_string_equal(f->order, "rrd"); /* asked twice, run once */
	loop_io_free(other);
}

static void
test_loop__deferred_without_events_does_not_wait(void **state)
{
	struct fixture *f = *state;

	loop_defer(f->loop, &f->deferred[0], note_and_stop, f);
	assert_int_equal(loop_run(f->loop), 0);
	assert_string_equal(f->order, "d");
}

static void
test_loop__cancelled_deferred_does_not_run(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 3; i++)
		loop_defer(f->loop, &f->deferred[i], note, f);
	loop_defer_cancel(f->loop, &f->deferred[2]);
	loop_defer_cancel(f->loop, &f->deferred[2]);
	loop_defer(f->loop, &f->deferred[2], note, f);
	loop_defer_cancel(f->loop, &f->deferred[0]);
	loop_once(f->loop, 0);
	assert_string_equal(f->order, "dd");
	assert_false(f->deferred[1].queued);
}

static void
again(void *arg)
{
	struct fixture *f = arg;

	if (--f->left > 0)
		loop_defer(f->loop, &f->deferred[0], again, f);
}

static void
test_loop__deferred_that_asks_again_runs_in_the_same_drain(void **state)
{
	struct fixture *f = *state;

	f->left = 10;
	loop_defer(f->loop, &f->deferred[0], again, f);
	loop_once(f->loop, 0);
	assert_int_equal(f->left, 0);
}

static void
test_loop__deferred_without_end_lets_descriptors_through(void **state)
{
	struct fixture *f = *state;

	f->left = 1 << 30;
	f->io = loop_io_new(f->loop, f->pair[0], LOOP_READ, echo, f);
	assert_int_equal(write(f->pair[1], "x", 1), 1);
	loop_defer(f->loop, &f->deferred[0], again, f);
	for (int i = 0; i < 3; i++)
		loop_once(f->loop, 0);
	assert_int_equal(f->reads, 1);
	loop_defer_cancel(f->loop, &f->deferred[0]);
}

static void
test_loop__stop_before_run_is_kept(void **state)
{
	struct fixture *f = *state;

	loop_stop(f->loop);
	assert_int_equal(loop_run(f->loop), 0);
}

static void
count_free(void *arg)
{
	++*(int *)arg;
}

static void
test_loop__what_was_asked_runs_before_the_loop_goes(void **state)
{
	struct loop *l = loop_new();
	struct loop_deferred d = { 0 };
	int freed = 0;

	(void)state;
	loop_defer(l, &d, count_free, &freed);
	loop_free(l);
	assert_int_equal(freed, 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_loop__one_wait_and_no_control_per_ping),
		T(test_loop__setting_the_same_again_asks_nothing_of_the_kernel),
		T(test_loop__idle_means_asleep),
		T(test_loop__paused_descriptor_is_silent),
		T(test_loop__writable_is_told_as_such),
		T(test_loop__both_sides_ready_and_freed_in_the_first_callback),
		T(test_loop__descriptor_number_used_again_in_the_same_tick),
		T(test_loop__timer_is_never_early),
		T(test_loop__timer_started_again_fires_once_and_later),
		T(test_loop__stopped_timer_stays_silent),
		T(test_loop__timer_may_free_itself),
		T(test_loop__signal_is_a_call_of_the_loop),
		T(test_loop__deferred_runs_after_all_callbacks_of_the_tick),
		T(test_loop__deferred_without_events_does_not_wait),
		T(test_loop__cancelled_deferred_does_not_run),
		T(test_loop__deferred_that_asks_again_runs_in_the_same_drain),
		T(test_loop__deferred_without_end_lets_descriptors_through),
		T(test_loop__stop_before_run_is_kept),
		cmocka_unit_test(test_loop__what_was_asked_runs_before_the_loop_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

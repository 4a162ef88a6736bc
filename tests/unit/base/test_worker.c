#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "protocol/base/err.h"
#include "server/base/clock.h"
#include "server/base/loop.h"
#include "server/base/worker.h"

struct bench {
	struct loop *loop;
	struct worker *worker;
	pthread_t loop_thread;
	char order[16];
	unsigned done;
	bool again;
};

struct task {
	struct bench *b;
	char name;
	long ms;
	pthread_t ran_in;
	bool ran, signals_blocked;
};

static int
setup(void **state)
{
	struct bench *b = calloc(1, sizeof *b);

	b->loop = loop_new();
	b->worker = worker_new(b->loop);
	b->loop_thread = pthread_self();
	*state = b;
	return b->loop == NULL || b->worker == NULL;
}

static int
teardown(void **state)
{
	struct bench *b = *state;

	worker_free(b->worker);
	loop_free(b->loop);
	free(b);
	return 0;
}

static void
run(void *arg)
{
	struct task *t = arg;
	struct timespec pause = { 0, t->ms * 1000000 };
	sigset_t now;

	pthread_sigmask(SIG_SETMASK, NULL, &now);
	t->signals_blocked = sigismember(&now, SIGTERM) == 1 && sigismember(&now, SIGCHLD) == 1;
	t->ran_in = pthread_self();
	nanosleep(&pause, NULL);
	t->ran = true;
}

static void
done(void *arg)
{
	struct task *t = arg;
	struct bench *b = t->b;

	assert_true(pthread_equal(pthread_self(), b->loop_thread));
	b->order[b->done++] = t->name;
	if (b->again) {
		b->again = false;
		assert_int_equal(worker_add(b->worker, run, done, t), 0);
	}
}

static void
wait_for(struct bench *b, unsigned n)
{
	int64_t until = clock_monotonic_ms() + 10000;

	while (b->done < n && clock_monotonic_ms() < until)
		loop_once(b->loop, 100);
	assert_int_equal(b->done, n);
}

static void
test_worker__runs_in_another_thread_and_tells_the_loop(void **state)
{
	struct bench *b = *state;
	struct task t = { b, 'a', 1, 0, false, false };

	assert_int_equal(worker_count(b->worker), 0);
	assert_int_equal(worker_add(b->worker, run, done, &t), 0);
	assert_int_equal(worker_count(b->worker), 1);
	wait_for(b, 1);
	assert_true(t.ran && t.signals_blocked);
	assert_false(pthread_equal(t.ran_in, b->loop_thread));
	assert_int_equal(worker_count(b->worker), 0);
}

static void
test_worker__one_after_the_other_then_busy(void **state)
{
	struct bench *b = *state;
	struct task t[WORKER_WAITING_MAX + 2];

	for (size_t i = 0; i < sizeof t / sizeof *t; i++)
		t[i] = (struct task){ b, (char)('a' + i), 5, 0, false, false };
	for (size_t i = 0; i < WORKER_WAITING_MAX + 1; i++)
		assert_int_equal(worker_add(b->worker, run, done, &t[i]), 0);
	assert_int_equal(worker_add(b->worker, run, done, &t[5]), MP_E_BUSY);
	wait_for(b, WORKER_WAITING_MAX + 1);
	assert_string_equal(b->order, "abcde");
	assert_false(t[5].ran);
	for (size_t i = 0; i < WORKER_WAITING_MAX + 1; i++)
		assert_true(t[i].ran && pthread_equal(t[i].ran_in, t[0].ran_in));
}

static void
test_worker__a_job_may_be_followed_by_another(void **state)
{
	struct bench *b = *state;
	struct task t = { b, 'a', 0, 0, false, false };

	b->again = true;
	assert_int_equal(worker_add(b->worker, run, done, &t), 0);
	wait_for(b, 2);
}

static void
test_worker__the_loop_turns_while_it_works(void **state)
{
	struct bench *b = *state;
	struct task t = { b, 'a', 60, 0, false, false };
	int64_t before = clock_monotonic_ms();

	assert_int_equal(worker_add(b->worker, run, done, &t), 0);
	loop_once(b->loop, 5);
	assert_true(clock_monotonic_ms() - before < 50);
	assert_int_equal(b->done, 0);
	wait_for(b, 1);
}

static void
test_worker__freeing_waits_and_tells_those_that_never_ran(void **state)
{
	struct bench *b = *state;
	struct task first = { b, 'a', 30, 0, false, false }, never = { b, 'b', 0, 0, false, false };
	struct timespec pause = { 0, 5000000 };

	assert_int_equal(worker_add(b->worker, run, done, &first), 0);
	assert_int_equal(worker_add(b->worker, run, done, &never), 0);
	nanosleep(&pause, NULL);
	worker_free(b->worker);
	b->worker = NULL;
	assert_string_equal(b->order, "ab");
	assert_true(first.ran);
	assert_false(never.ran);
	worker_free(NULL);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_worker__runs_in_another_thread_and_tells_the_loop),
		T(test_worker__one_after_the_other_then_busy),
		T(test_worker__a_job_may_be_followed_by_another),
		T(test_worker__the_loop_turns_while_it_works),
		T(test_worker__freeing_waits_and_tells_those_that_never_ran),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

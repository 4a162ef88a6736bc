/* Kills a writer at random moments, over and over on the same database, and counts what it had
 * acknowledged. MPD_TEST_SEED repeats a run, MPD_TEST_ROUNDS makes it longer. */
#include <poll.h>
#include <signal.h>
#include <time.h>

#include "tests/unit/store/steps.h"

enum variant {
	HONEST,
	ACK_BEFORE_COMMIT, /* says done too early: changes must be found lost */
	TWO_TRANSACTIONS,  /* commits by halves: half changes must be found */
};

struct outcome {
	int rounds, lost, half, refused;
	int64_t steps;
};

static unsigned seed;

static void
acknowledge(int fd, int64_t i)
{
	if (write(fd, &i, sizeof i) != (ssize_t)sizeof i)
		_exit(3);
}

static int
write_step(struct store *s, int64_t i, enum variant v, int fd)
{
	int r;

	if (v == ACK_BEFORE_COMMIT)
		acknowledge(fd, i);
	if (v != TWO_TRANSACTIONS) {
		r = step_run(s, i);
	} else if ((r = store_begin(s)) == 0 && (r = step_first_half(s, i)) == 0 &&
	    (r = store_commit(s)) == 0 && (r = store_begin(s)) == 0 &&
	    (r = step_second_half(s, i)) == 0) {
		r = store_commit(s);
	}
	if (r == 0 && v != ACK_BEFORE_COMMIT)
		acknowledge(fd, i);
	return r;
}

static void
writer(enum variant v, int fd)
{
	struct error err;
	struct store *s;
	int64_t i;

	if (store_open(scratch, &s, &err) != 0 || (i = steps_count(s)) < 0)
		_exit(1);
	acknowledge(fd, i); /* now it can be killed at any moment that matters */
	while (write_step(s, ++i, v, fd) == 0)
		if (i % 50 == 0 && store_checkpoint(s) != 0)
			_exit(2);
	_exit(2);
}

/* The last number the writer acknowledged before it was killed. */
static int64_t
kill_one(enum variant v)
{
	struct timespec pause = { 0, (long)(rand_r(&seed) % 8000) * 1000 };
	int64_t acked = -1, i;
	int fds[2], status;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	if ((pid = fork()) == 0) {
		close(fds[0]);
		writer(v, fds[1]);
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], &acked, sizeof acked), (ssize_t)sizeof acked);
	/* some steps in any case: on a busy machine the pause alone would see none */
	for (int steps = rand_r(&seed) % 4; steps > 0; steps--)
		if (read(fds[0], &i, sizeof i) == (ssize_t)sizeof i)
			acked = i;
	nanosleep(&pause, NULL);
	kill(pid, SIGKILL);
	while (read(fds[0], &i, sizeof i) == (ssize_t)sizeof i)
		acked = i;
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	return acked;
}

static struct outcome
kill_many(enum variant v, int rounds)
{
	struct outcome o = { 0 };
	struct error err;

	for (; o.rounds < rounds && o.lost + o.half + o.refused == 0; o.rounds++) {
		int64_t acked = kill_one(v), held;
		struct store *s = NULL;

		if (store_open(scratch, &s, &err) != 0) {
			o.refused++;
			break;
		}
		held = steps_count(s);
		store_close(s);
		o.half += held < 0;
		o.lost += held >= 0 && held < acked;
		o.steps = held;
	}
	return o;
}

static int
rounds_wanted(void)
{
	const char *text = getenv("MPD_TEST_ROUNDS");

	return text != NULL ? atoi(text) : 100;
}

static void
F01_test_store__kill_at_random_moments_loses_nothing(void **state)
{
	struct outcome o = kill_many(HONEST, rounds_wanted());

	(void)state;
	print_message("%d rounds, %lld changes\n", o.rounds, (long long)o.steps);
	assert_int_equal(o.refused, 0);
	assert_int_equal(o.half, 0);
	assert_int_equal(o.lost, 0);
	assert_true(o.steps > o.rounds / 10); /* it did work between the kills, also on a busy machine */
}

static void
R4_test_harness__sees_a_store_that_acknowledges_too_early(void **state)
{
	struct outcome o = kill_many(ACK_BEFORE_COMMIT, 400);

	(void)state;
	print_message("found after %d rounds\n", o.rounds);
	assert_int_equal(o.lost, 1);
}

static void
R4_test_harness__sees_a_store_that_commits_by_halves(void **state)
{
	struct outcome o = kill_many(TWO_TRANSACTIONS, 400);

	(void)state;
	print_message("found after %d rounds\n", o.rounds);
	assert_int_equal(o.half, 1);
}

static int
first_start(void *arg)
{
	struct error err;
	struct store *s;

	(void)arg;
	return store_open(scratch, &s, &err) != 0;
}

/* Killed while the database is made: the next start has it, whole. */
static void
F01_test_store__kill_during_the_first_start(void **state)
{
	struct error err;
	struct store *s;

	(void)state;
	for (int i = 0; i < 30; i++) {
		struct timespec pause = { 0, (long)(rand_r(&seed) % 6000) * 1000 };
		pid_t pid = fork();

		if (pid == 0)
			_exit(first_start(NULL));
		nanosleep(&pause, NULL);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		assert_int_equal(store_open(scratch, &s, &err), 0);
		assert_int_equal(step_run(s, 1), 0);
		store_close(s);
		assert_int_equal(files_in_scratch(), 1);
		assert_int_equal(unlink(in_scratch("state.db")), 0);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)

int
main(void)
{
	const char *text = getenv("MPD_TEST_SEED");
	const struct CMUnitTest tests[] = {
		T(R4_test_harness__sees_a_store_that_acknowledges_too_early),
		T(R4_test_harness__sees_a_store_that_commits_by_halves),
		T(F01_test_store__kill_at_random_moments_loses_nothing),
		T(F01_test_store__kill_during_the_first_start),
	};

	seed = text != NULL ? (unsigned)strtoul(text, NULL, 10) : (unsigned)time(NULL);
	print_message("MPD_TEST_SEED=%u\n", seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

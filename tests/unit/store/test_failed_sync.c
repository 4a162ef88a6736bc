/* F15, F11: a sync fails, and the system forgets what it should have written; the store is opened anew
 * without a restart, goes on, and then the power goes. What was acknowledged before and after is there.
 * MPD_TEST_SEED repeats it. */
#include <time.h>

#include "server/store/db.h"
#include "tests/harness/power_cut.h"
#include "tests/unit/store/steps.h"

#define BEFORE 6
#define AFTER 4
#define CUTS 12

static unsigned seed;
static struct error err;

struct outcome {
	int cuts, refused, half, lost;
};

/* The n-th sync of it fails. True when there was an n-th. */
static bool
record(int n, bool careless, int64_t *first_acked, size_t window[2])
{
	struct store *s = NULL;
	int64_t done = 0;
	bool failed;

	assert_int_equal(store_open(scratch, &s, &err), 0);
	assert_int_equal(step_run(s, ++done), 0);
	*first_acked = done;
	cut_start(scratch);
	cut.fail_sync = n;
	for (int64_t i = done + 1; i <= BEFORE; i++) {
		if (careless) /* as if nobody knew where the acknowledged part ends */
			s->wal_end.known = false;
		if (step_run(s, i) != 0)
			break;
		cut_acknowledge(i);
		if (i == 3)
			store_checkpoint(s); /* the log begins anew after it */
	}
	failed = cut.fail_sync == 0;
	cut.fail_sync = 0;
	window[0] = cut.ops;
	if (failed && store_recover(s, &err) != 0)
		fail_msg("%s", err.message);
	window[1] = cut.ops;
	done = steps_count(s);
	for (int i = 0; i < AFTER; i++) {
		assert_int_equal(step_run(s, done + 1), 0);
		cut_acknowledge(++done);
	}
	store_close(s);
	cut_stop();
	return failed;
}

static void
check(int64_t acknowledged, struct outcome *o)
{
	struct store *s = NULL;
	int64_t held;

	o->cuts++;
	if (store_open(scratch, &s, &err) != 0) {
		o->refused++;
		return;
	}
	held = steps_count(s);
	store_close(s);
	o->half += held < 0 || held > acknowledged + 1;
	o->lost += held >= 0 && held < acknowledged;
}

static struct outcome
fail_every_sync(bool careless)
{
	struct outcome o = { 0 };
	size_t window[2];
	int64_t first;
	bool more = true;
	int n = 1;

	for (; more && n < 60; n++) {
		nftw(scratch, scratch_remove_one, 8, FTW_DEPTH | FTW_PHYS);
		assert_int_equal(mkdir(scratch, 0700), 0);
		more = record(n, careless, &first, window);
		for (int i = 0; i < CUTS; i++) {
			size_t any = (size_t)rand_r(&seed) % (cut.ops + 1);
			size_t inside = window[0] + (size_t)rand_r(&seed) % (window[1] - window[0] + 1);
			int64_t acked = cut_at(i % 2 != 0 ? any : inside, first, 0, &seed);

			check(acked, &o);
		}
		cut_clear();
	}
	print_message("%d syncs failed in turn, %d cuts: %d refused, %d by half, %d lost\n", n - 2, o.cuts,
	    o.refused, o.half, o.lost);
	assert_in_range(n, 6, 59);
	return o;
}

static void
F15_test_store__failed_sync_then_recovery_then_power_cut(void **state)
{
	(void)state;
	for (int round = 0; round < 4; round++) {
		struct outcome o = fail_every_sync(false);

		assert_int_equal(o.refused, 0);
		assert_int_equal(o.half, 0);
		assert_int_equal(o.lost, 0);
	}
}

static void
M1_test_store__a_log_with_a_lost_tail_is_caught(void **state)
{
	struct outcome sum = { 0 };

	(void)state;
	for (int round = 0; round < 10 && sum.refused + sum.half + sum.lost == 0; round++) {
		struct outcome o = fail_every_sync(true);

		sum.refused += o.refused;
		sum.half += o.half;
		sum.lost += o.lost;
	}
	assert_true(sum.refused + sum.half + sum.lost > 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)

int
main(void)
{
	const char *text = getenv("MPD_TEST_SEED");
	const struct CMUnitTest tests[] = {
		T(F15_test_store__failed_sync_then_recovery_then_power_cut),
		T(M1_test_store__a_log_with_a_lost_tail_is_caught),
	};

	scratch_is_fast = true;
	seed = text != NULL ? (unsigned)strtoul(text, NULL, 10) : (unsigned)time(NULL);
	print_message("MPD_TEST_SEED=%u\n", seed);
	if (cut_install() != SQLITE_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* F104: what a wrong passphrase makes the next one wait. */
#include "server/base/clock.h"
#include "server/state/keeper_inside.h"
#include "tests/unit/state/keeping.h"

#define WORDS "correct horse battery staple"

static int
setup(void **state)
{
	struct keeping *k = calloc(1, sizeof *k);

	world_folder(&k->w);
	keeping_open(k);
	*state = k;
	return keeping_passwd(k, NULL, WORDS);
}

static int
teardown(void **state)
{
	struct keeping *k = *state;

	keeping_close(k);
	world_remove_folder(&k->w);
	free(k);
	return 0;
}

/* As if that time had passed. */
static void
time_passes(struct keeping *k, int64_t ms)
{
	k->keeper->not_before_ms -= ms;
}

static void
F104_test_throttle__ten_wrong_tries_reach_thirty_seconds(void **state)
{
	static const int64_t waits[] = { 1, 2, 4, 8, 16, 30, 30, 30, 30, 30 };
	struct keeping *k = *state;

	keeper_lock(k->keeper, "a test", "locked");
	for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
		int64_t wait = waits[i] * 1000, left;

		assert_int_equal(keeping_unlock(k, "these are not the words"), MP_E_NOT_PERMITTED);
		left = keeper_wait_ms(k->keeper);
		assert_in_range(left, wait - 500, wait);
		assert_in_range(k->end.retry_after_ms, wait - 500, wait);
		time_passes(k, wait);
		assert_int_equal(keeper_wait_ms(k->keeper), 0);
	}
	assert_true(vault_is_locked(k->w.vault));
	/* the right one ends it */
	assert_int_equal(keeping_unlock(k, WORDS), 0);
	assert_int_equal(keeping_unlock(k, "these are not the words"), MP_E_NOT_PERMITTED);
	assert_in_range(keeper_wait_ms(k->keeper), 500, 1000);
}

/* The right passphrase waits as long as any other, from whomever it comes; what needs none does not. */
static void
F104_test_throttle__the_right_one_waits_too_and_others_do_not(void **state)
{
	struct keeping *k = *state;
	int64_t begin;

	keeper_lock(k->keeper, "a test", "locked");
	assert_int_equal(keeping_unlock(k, "these are not the words"), MP_E_NOT_PERMITTED);
	time_passes(k, 700);
	begin = clock_monotonic_ms();
	assert_int_equal(keeper_unlock_unattended(k->keeper, &k->end), 0);
	assert_true(clock_monotonic_ms() - begin < 150);
	keeper_lock(k->keeper, "a test", "locked");
	assert_int_equal(keeping_unlock(k, WORDS), 0);
	assert_true(clock_monotonic_ms() - begin >= 200);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(F104_test_throttle__ten_wrong_tries_reach_thirty_seconds),
		T(F104_test_throttle__the_right_one_waits_too_and_others_do_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The last half hour of a provider, minute by minute. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "server/state/provider_activity.h"

#define MINUTE 60000LL
#define T0     (1000000 * MINUTE)

static void
expect(const struct activity *a, int64_t now_ms, uint32_t asked, uint32_t failed)
{
	uint32_t got_asked, got_failed;

	activity_read(a, now_ms, NULL, &got_asked, &got_failed);
	assert_int_equal(got_asked, asked);
	assert_int_equal(got_failed, failed);
}

static void
test_activity__counts_by_the_minute(void **state)
{
	struct activity a = { 0 };
	uint32_t minutes[ACTIVITY_MINUTES], asked, failed;

	(void)state;
	expect(&a, T0, 0, 0);
	activity_note(&a, false, T0);
	activity_note(&a, true, T0 + MINUTE - 1);
	activity_note(&a, false, T0 + 2 * MINUTE);
	activity_read(&a, T0 + 3 * MINUTE, minutes, &asked, &failed);
	assert_int_equal(asked, 3);
	assert_int_equal(failed, 1);
	assert_int_equal(minutes[ACTIVITY_MINUTES - 1], 0);
	assert_int_equal(minutes[ACTIVITY_MINUTES - 2], 1);
	assert_int_equal(minutes[ACTIVITY_MINUTES - 3], 0);
	assert_int_equal(minutes[ACTIVITY_MINUTES - 4], 2);
}

static void
test_activity__forgets_after_half_an_hour(void **state)
{
	struct activity a = { 0 };

	(void)state;
	activity_note(&a, true, T0);
	activity_note(&a, false, T0 + MINUTE);
	expect(&a, T0 + 29 * MINUTE, 2, 1);
	expect(&a, T0 + 30 * MINUTE, 1, 0);
	expect(&a, T0 + 31 * MINUTE, 0, 0);
	for (int i = 0; i < 100; i++)
		activity_note(&a, false, T0 + i * MINUTE);
	expect(&a, T0 + 99 * MINUTE, ACTIVITY_MINUTES, 0);
}

static void
test_F34_activity__clock_set_back_and_to_nothing(void **state)
{
	struct activity a = { 0 };

	(void)state;
	activity_note(&a, false, T0);
	activity_note(&a, false, T0 - 5 * MINUTE);
	expect(&a, T0, 2, 0);
	expect(&a, T0 - 5 * MINUTE, 2, 0);
	activity_note(&a, true, T0 - 500 * MINUTE);
	expect(&a, T0 - 500 * MINUTE, 1, 1);
	activity_note(&a, true, -5);
	expect(&a, INT64_MIN, 1, 1);
	activity_note(&a, false, INT64_MAX);
	expect(&a, INT64_MAX, 1, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_activity__counts_by_the_minute),
		cmocka_unit_test(test_activity__forgets_after_half_an_hour),
		cmocka_unit_test(test_F34_activity__clock_set_back_and_to_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

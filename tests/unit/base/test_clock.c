#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "server/base/clock.h"

static void
test_clock__wall_is_the_epoch_in_ms(void **state)
{
	int64_t before = (int64_t)time(NULL) * 1000;

	(void)state;
	assert_in_range(clock_wall_ms() - before, 0, 2000);
}

static void
test_clock__monotonic_goes_on_in_both_units(void **state)
{
	struct timespec pause = { 0, 5000000 };
	int64_t us = clock_monotonic_us(), ms = clock_monotonic_ms();

	(void)state;
	nanosleep(&pause, NULL);
	assert_true(clock_monotonic_us() - us >= 5000);
	assert_true(clock_monotonic_ms() - ms >= 5);
	assert_in_range(clock_monotonic_ms() - us / 1000, 0, 2000);
}

static void
test_clock__boot_time_counts_at_least_the_monotonic(void **state)
{
	(void)state;
	assert_true(clock_boot_ms() + 1 >= clock_monotonic_ms());
}

/* The id is read once, so each case has a process of its own. */
static int
boot_id_is(const char *env, const char *want)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (env != NULL)
			setenv("MODELPD_TEST_BOOT_ID", env, 1);
		else
			unsetenv("MODELPD_TEST_BOOT_ID");
		if (want != NULL)
			_exit(strcmp(clock_boot_id(), want) != 0);
		_exit(strlen(clock_boot_id()) != 36 || strcmp(clock_boot_id(), clock_boot_id()) != 0);
	}
	waitpid(pid, &status, 0);
	return status;
}

static void
test_clock__boot_id_is_the_kernel_s(void **state)
{
	(void)state;
	if (access("/proc/sys/kernel/random/boot_id", R_OK) != 0) {
		print_message("skipped: no boot id on this system\n");
		skip();
	}
	assert_int_equal(boot_id_is(NULL, NULL), 0);
}

static void
test_clock__boot_id_can_be_set_by_a_test(void **state)
{
	(void)state;
	assert_int_equal(boot_id_is("another-boot", "another-boot"), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clock__wall_is_the_epoch_in_ms),
		cmocka_unit_test(test_clock__monotonic_goes_on_in_both_units),
		cmocka_unit_test(test_clock__boot_time_counts_at_least_the_monotonic),
		cmocka_unit_test(test_clock__boot_id_is_the_kernel_s),
		cmocka_unit_test(test_clock__boot_id_can_be_set_by_a_test),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

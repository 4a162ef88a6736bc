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

/* The wall is set, the machine sleeps; time-outs know nothing of either. */
static void
test_clock__a_test_moves_the_clocks(void **state)
{
	int64_t wall = clock_wall_ms(), boot = clock_boot_ms(), monotonic = clock_monotonic_ms();

	(void)state;
	clock_test_shift(-86400000, 3600000);
	assert_in_range(wall - 86400000, clock_wall_ms() - 60000, clock_wall_ms());
	assert_in_range(clock_boot_ms(), boot + 3600000, boot + 3660000);
	assert_in_range(clock_monotonic_ms(), monotonic, monotonic + 60000);
	clock_test_shift(0, 0);
	assert_in_range(clock_wall_ms(), wall, wall + 60000);
}

static void
test_clock__a_file_moves_the_clocks_of_a_running_program(void **state)
{
	char path[] = "/tmp/modelpd-clock-XXXXXX";
	int64_t shifts[2] = { 0, 0 };
	int fd = mkstemp(path), status;
	pid_t pid;

	(void)state;
	assert_int_equal(pwrite(fd, shifts, sizeof shifts, 0), sizeof shifts);
	if ((pid = fork()) == 0) {
		int64_t wall, boot;

		setenv("MODELPD_TEST_CLOCK", path, 1);
		wall = clock_wall_ms();
		boot = clock_boot_ms();
		shifts[0] = -3600000;
		shifts[1] = 7200000;
		if (pwrite(fd, shifts, sizeof shifts, 0) != sizeof shifts)
			_exit(2);
		_exit(clock_wall_ms() > wall - 3500000 || clock_boot_ms() < boot + 7200000);
	}
	waitpid(pid, &status, 0);
	unlink(path);
	close(fd);
	assert_int_equal(status, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		/* first: a program looks for that file once */
		cmocka_unit_test(test_clock__a_file_moves_the_clocks_of_a_running_program),
		cmocka_unit_test(test_clock__wall_is_the_epoch_in_ms),
		cmocka_unit_test(test_clock__monotonic_goes_on_in_both_units),
		cmocka_unit_test(test_clock__boot_time_counts_at_least_the_monotonic),
		cmocka_unit_test(test_clock__boot_id_is_the_kernel_s),
		cmocka_unit_test(test_clock__boot_id_can_be_set_by_a_test),
		cmocka_unit_test(test_clock__a_test_moves_the_clocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

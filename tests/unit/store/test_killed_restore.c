/* A restore killed, or cut off from power, at every call that changes the folder: the next start has all of
 * the old or all of the new, and what was replaced is kept when it is the new. */
#include <time.h>

#include "server/store/backup.h"
#include "server/store/restore.h"
#include "tests/harness/kill_at.h"
#include "tests/unit/store/steps.h"

#define OLD_STEPS 9
#define NEW_STEPS 4

static struct error err;
static unsigned seed;
static char backup_path_[128];

struct restoring {
	int points, wrong, old, new;
};

static void
fill_steps(int64_t from, int64_t to)
{
	struct store *s;

	assert_int_equal(store_open(scratch, &s, &err), 0);
	for (int64_t i = from; i <= to; i++)
		assert_int_equal(step_run(s, i), 0);
	store_close(s);
}

static void
make_backup(void)
{
	struct backup *b = NULL;
	struct archive made;
	struct store *s;
	int r;

	assert_int_equal(store_open(scratch, &s, &err), 0);
	assert_int_equal(backup_begin(&s, 1, backup_path_, true, &b, &err), 0);
	while ((r = backup_step(b, 1, &err)) == 1)
		continue;
	assert_int_equal(r, 0);
	assert_int_equal(backup_finish(b, NULL, &made, &err), 0);
	assert_int_equal(made.count, 1);
	backup_free(b);
	store_close(s);
}

/* Nine steps are there; the backup has the first four. */
static void
prepare(void *arg)
{
	(void)arg;
	nftw(scratch, scratch_remove_one, 8, FTW_DEPTH | FTW_PHYS);
	assert_int_equal(mkdir(scratch, 0700), 0);
	fill_steps(1, NEW_STEPS);
	if (access(backup_path_, F_OK) != 0)
		make_backup();
	fill_steps(NEW_STEPS + 1, OLD_STEPS);
}

static int
restore_it(void *arg)
{
	struct restore *r = NULL;
	char *kept = NULL;
	int code;

	(void)arg;
	if ((code = restore_prepare(scratch, backup_path_, NULL, &r, &err)) == 0)
		code = restore_swap(r, &kept, &err);
	free(kept);
	restore_free(r);
	return code != 0;
}

static int
kept_ones(void)
{
	DIR *dir = opendir(scratch);
	struct dirent *e;
	int n = 0;

	while ((e = readdir(dir)) != NULL)
		n += strncmp(e->d_name, "replaced-", 9) == 0;
	closedir(dir);
	return n;
}

static bool
check(void *arg, int n, bool killed)
{
	struct restoring *c = arg;
	struct store *s = NULL;
	int64_t held = -1;
	bool done;
	int wrong = c->wrong;

	c->points++;
	if (restore_complete(scratch, &done, &err) == 0 && store_open(scratch, &s, &err) == 0)
		held = steps_count(s);
	c->old += held == OLD_STEPS;
	c->new += held == NEW_STEPS;
	c->wrong += held != OLD_STEPS && held != NEW_STEPS;
	c->wrong += !killed && held != NEW_STEPS;
	/* a power cut may leave it under its old and its new name */
	c->wrong += held == NEW_STEPS && (kept_ones() < 1 || kept_ones() > 2);
	c->wrong += held == OLD_STEPS && kept_ones() != 0;
	c->wrong += access(in_scratch("restore"), F_OK) == 0 || access(in_scratch("restore.tmp"), F_OK) == 0;
	c->wrong += s == NULL || step_run(s, held + 1) != 0;
	store_close(s);
	if (c->wrong != wrong)
		print_message("call %d: %lld steps held, %d kept: %s\n", n, (long long)held, kept_ones(),
		    s == NULL ? err.message : "");
	return true;
}

static void
killed_at_every_call(enum kill_variant variant)
{
	struct restoring c = { 0 };
	int status;

	kill_seed(seed);
	kill_everywhere(scratch, variant, prepare, restore_it, check, &c, &status);
	unlink(backup_path_);
	print_message("%d points: %d old, %d new, %d wrong\n", c.points, c.old, c.new, c.wrong);
	assert_int_equal(status, 0);
	assert_int_equal(c.wrong, 0);
	assert_true(c.points > 15 && c.old > 3 && c.new > 3);
}

static void
F02_test_restore__killed_at_every_call(void **state)
{
	(void)state;
	killed_at_every_call(KILL_IN_WRITE);
}

static void
F02_test_restore__power_lost_at_every_call(void **state)
{
	(void)state;
	killed_at_every_call(KILL_POWER);
}

/* A backup made page by page while the steps go on holds one moment of them. */
static void
F24_test_backup__one_moment_while_it_is_written(void **state)
{
	struct restore *r;
	struct store *s;
	char *kept;

	(void)state;
	for (int64_t steps = 1, round = 0; round < 20; round++) {
		struct backup *b = NULL;
		struct archive made;
		int64_t began;
		int more = 1;

		assert_int_equal(store_open(scratch, &s, &err), 0);
		began = steps - 1;
		assert_int_equal(backup_begin(&s, 1, backup_path_, true, &b, &err), 0);
		while ((more = backup_step(b, 1 + (int)(rand_r(&seed) % 3), &err)) == 1)
			assert_int_equal(step_run(s, steps++), 0);
		assert_int_equal(more, 0);
		assert_int_equal(backup_finish(b, NULL, &made, &err), 0);
		backup_free(b);
		assert_int_equal(steps_count(s), steps - 1);
		store_close(s);
		assert_int_equal(restore_prepare(scratch, backup_path_, NULL, &r, &err), 0);
		assert_int_equal(restore_swap(r, &kept, &err), 0);
		restore_free(r);
		free(kept);
		assert_int_equal(store_open(scratch, &s, &err), 0);
		assert_in_range(steps_count(s), began, steps - 1);
		steps = steps_count(s) + 1;
		store_close(s);
	}
	unlink(backup_path_);
}

static int
setup(void **state)
{
	int r = scratch_setup(state);

	snprintf(backup_path_, sizeof backup_path_, "%s.tar", scratch);
	return r;
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, scratch_teardown)

int
main(void)
{
	const char *text = getenv("MPD_TEST_SEED");
	const struct CMUnitTest tests[] = {
		T(F24_test_backup__one_moment_while_it_is_written),
		T(F02_test_restore__killed_at_every_call),
		T(F02_test_restore__power_lost_at_every_call),
	};

	scratch_is_fast = true;
	seed = text != NULL ? (unsigned)strtoul(text, NULL, 10) : (unsigned)time(NULL);
	print_message("MPD_TEST_SEED=%u\n", seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

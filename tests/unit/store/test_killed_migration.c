/* F03: an upgrade of the schema killed, or cut off from power, at every call that changes the folder: the
 * next start has all that was there, in the new schema. */
#include <time.h>

#include "server/store/db.h"
#include "server/store/open.h"
#include "tests/harness/kill_at.h"
#include "tests/unit/store/steps.h"

#define LIST_MAX 64
#define STEPS 5

static struct migration list[LIST_MAX];
static struct schema newer = { list, 0 };
static struct error err;
static unsigned seed;

struct upgrading {
	int points, wrong;
};

static void
prepare(void *arg)
{
	struct store *s;

	(void)arg;
	nftw(scratch, scratch_remove_one, 8, FTW_DEPTH | FTW_PHYS);
	assert_int_equal(mkdir(scratch, 0700), 0);
	assert_int_equal(store_open(scratch, &s, &err), 0);
	for (int64_t i = 1; i <= STEPS; i++)
		assert_int_equal(step_run(s, i), 0);
	store_close(s);
}

static int
upgrade(void *arg)
{
	struct store *s;

	(void)arg;
	if (store_open_schema(scratch, &newer, &s, &err) != 0)
		return 1;
	store_close(s);
	return 0;
}

/* Old or new, but the start after it makes it new. */
static bool
check(void *arg, int n, bool killed)
{
	struct upgrading *u = arg;
	struct store *s = NULL;
	sqlite3_stmt *q = NULL;
	bool fine;

	(void)n;
	(void)killed;
	u->points++;
	fine = store_open_schema(scratch, &newer, &s, &err) == 0 && steps_count(s) == STEPS &&
	    sqlite3_prepare_v2(s->db, "SELECT count(*) FROM later", -1, &q, NULL) == SQLITE_OK &&
	    sqlite3_step(q) == SQLITE_ROW && sqlite3_column_int(q, 0) == 1;
	sqlite3_finalize(q);
	fine = fine && step_run(s, STEPS + 1) == 0;
	store_close(s);
	u->wrong += !fine;
	return true;
}

static void
killed_at_every_call(enum kill_variant variant)
{
	struct upgrading u = { 0 };
	int status;

	kill_seed(seed);
	kill_everywhere(scratch, variant, prepare, upgrade, check, &u, &status);
	print_message("%d points, %d wrong\n", u.points, u.wrong);
	assert_int_equal(status, 0);
	assert_int_equal(u.wrong, 0);
	assert_true(u.points > 15);
}

static void
F03_test_migrations__killed_at_every_call(void **state)
{
	(void)state;
	killed_at_every_call(KILL_IN_WRITE);
}

static void
F03_test_migrations__power_lost_at_every_call(void **state)
{
	(void)state;
	killed_at_every_call(KILL_POWER);
}

#define T(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)

int
main(void)
{
	const char *text = getenv("MPD_TEST_SEED");
	const struct CMUnitTest tests[] = {
		T(F03_test_migrations__killed_at_every_call),
		T(F03_test_migrations__power_lost_at_every_call),
	};

	assert_true(schema_current.count + 1 <= LIST_MAX);
	for (int i = 0; i < schema_current.count; i++)
		list[i] = schema_current.list[i];
	list[schema_current.count] = (struct migration){ "a second table",
		"CREATE TABLE later (a INTEGER NOT NULL) STRICT; INSERT INTO later VALUES (7)" };
	newer.count = schema_current.count + 1;
	scratch_is_fast = true;
	seed = text != NULL ? (unsigned)strtoul(text, NULL, 10) : (unsigned)time(NULL);
	print_message("MPD_TEST_SEED=%u\n", seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

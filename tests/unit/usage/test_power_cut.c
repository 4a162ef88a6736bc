/* F11, F12: the power goes at random points of the work on usage.db, over and over. What was recorded more
 * than a second before is there, nothing is there by half. The clock is the test's own: a second takes as
 * long as the work in it. MPD_TEST_CUTS=2000 for the whole figure, MPD_TEST_SEED repeats it. */
#include <sys/syscall.h>

#include "server/store/db.h"
#include "tests/harness/power_cut.h"
#include "tests/unit/usage/desk.h"

#define LOSS_MS 1000
#define TURN_MS 20 /* of the loop */
#define CUTS_PER_ROUND 12
#define ROWS_MAX 1000 /* then a new database: old rows are not what is asked here */

enum disk { HONEST, NO_FSYNC_ASKED, NO_CHECKPOINT, FSYNC_IGNORED };

struct outcome {
	int cuts, refused, half, lost;
	int64_t rows;
};

static unsigned seed;
static int64_t now_us; /* 0 = the machine's clock */

/* Of this program, its libraries included. */
int
clock_gettime(clockid_t id, struct timespec *ts)
{
	if (now_us == 0)
		return (int)syscall(SYS_clock_gettime, id, ts);
	ts->tv_sec = (time_t)(now_us / 1000000);
	ts->tv_nsec = now_us % 1000000 * 1000;
	return 0;
}

/* ---- the work ---- */

static void
pass(struct desk *d, enum disk disk, int64_t ms)
{
	for (; ms > 0; ms -= TURN_MS) {
		now_us += (int64_t)TURN_MS * 1000;
		cut.now_ms = clock_monotonic_ms();
		if (disk == NO_CHECKPOINT)
			ledger_flush(d->ledger); /* no turn of the loop: no timer runs */
		else
			loop_once(d->loop, 0);
	}
}

/* Some seconds of calls, in bursts and with pauses; the first `before` are there. */
static void
record(struct desk *d, enum disk disk, int64_t before)
{
	struct usage_row row = a_row("a", "m");
	int64_t n = before;

	cut.ignore_sync = disk == FSYNC_IGNORED;
	cut.now_ms = clock_monotonic_ms();
	cut_start(d->dir);
	desk_open(d);
	if (disk == NO_FSYNC_ASKED)
		assert_int_equal(db_exec(ledger_store(d->ledger), "PRAGMA synchronous = OFF"), SQLITE_OK);
	for (int bursts = 4 + (int)(rand_r(&seed) % 5); bursts > 0; bursts--) {
		for (int turns = 1 + (int)(rand_r(&seed) % 30); turns > 0; turns--) {
			for (int rows = (int)(rand_r(&seed) % 4); rows > 0; rows--) {
				row.call = ++n;
				ledger_add(d->ledger, &row);
			}
			pass(d, disk, TURN_MS);
			cut_acknowledge(n);
		}
		pass(d, disk, rand_r(&seed) % 2500);
	}
	if (rand_r(&seed) % 2 == 0) { /* a clean end is a part of it */
		ledger_free(d->ledger);
		cut_stop();
	} else {
		cut_stop();
		ledger_free(d->ledger);
	}
	d->ledger = NULL;
}

/* ---- the cuts ---- */

static void
count_row(void *arg, const struct usage_row *row)
{
	int64_t *n = arg;

	if (*n >= 0)
		*n = row->call == *n + 1 ? *n + 1 : -1; /* in order, without a gap */
}

/* How many rows are there, in order and with the right sums; -1 = not so; -2 = it is refused. */
static int64_t
rows_held(struct desk *d)
{
	struct error err = ERROR_INIT;
	int64_t held = 0;
	struct total t = { .groups = 0 };

	d->ledger = NULL;
	if (ledger_open(d->dir, d->loop, &d->ledger, &err) != 0)
		return -2;
	if (ledger_rows(d->ledger, 0, INT64_MAX, INT32_MAX, count_row, &held) != 0 ||
	    ledger_sums(d->ledger, 0, clock_wall_ms() + 2 * DAY_MS, USAGE_BY_NOTHING, USAGE_DAYS, add_group,
	    &t) != 0 || t.sums.requests != held)
		held = -1;
	ledger_free(d->ledger);
	d->ledger = NULL;
	return held;
}

/* The power goes some time after one operation and before the next. */
static int64_t
cut_somewhere(struct desk *d, int64_t before, struct outcome *o)
{
	size_t point = (size_t)rand_r(&seed) % (cut.ops + 1);
	int64_t from_ms = cut_time_ms(point);
	int64_t to_ms = point < cut.ops ? cut.op[point].time_ms : from_ms;
	int64_t at_ms = from_ms + (to_ms > from_ms ? rand_r(&seed) % (to_ms - from_ms) : 0);
	int64_t sure, held;

	sure = cut_at(point, before, from_ms > 0 ? at_ms - LOSS_MS : 1, &seed);
	held = rows_held(d);
	o->cuts++;
	o->refused += held == -2;
	o->half += held == -1;
	o->lost += held >= 0 && held < sure;
	if (held > o->rows)
		o->rows = held;
	return held;
}

/* A new database; the layer does not see how it is made. */
static void
begin_anew(struct desk *d)
{
	char command[128];

	snprintf(command, sizeof command, "rm -f %s/usage.db*", d->dir);
	assert_int_equal(system(command), 0);
	desk_open(d);
}

static struct outcome
cut_many(void **state, enum disk disk, int wanted)
{
	struct desk *d = *state;
	struct outcome o = { 0 };
	int64_t held = 0;

	ledger_free(d->ledger);
	now_us = clock_wall_ms() * 1000;
	while (o.cuts < wanted && o.refused + o.half + o.lost == 0) {
		int64_t before = held;

		record(d, disk, before);
		/* the last cut is what the next round starts from: a start after a cut is cut as well */
		for (int i = 0; i < CUTS_PER_ROUND && o.cuts < wanted && held >= 0; i++)
			held = cut_somewhere(d, before, &o);
		if (held > ROWS_MAX) {
			begin_anew(d);
			ledger_free(d->ledger);
			held = 0;
		}
	}
	now_us = 0;
	cut_clear();
	begin_anew(d); /* it may be beyond repair */
	print_message("%d cuts, %lld rows: %d refused, %d by half, %d lost\n", o.cuts, (long long)o.rows,
	    o.refused, o.half, o.lost);
	return o;
}

static int
cuts_wanted(void)
{
	const char *text = getenv("MPD_TEST_CUTS");

	return text != NULL ? atoi(text) : 400;
}

static void
F11_test_usage_power__a_second_at_most_is_lost(void **state)
{
	struct outcome o = cut_many(state, HONEST, cuts_wanted());

	assert_int_equal(o.refused, 0);
	assert_int_equal(o.half, 0);
	assert_int_equal(o.lost, 0);
	assert_true(o.rows > 50);
}

static void
F12_test_usage_power__without_checkpoints_the_loss_is_caught(void **state)
{
	struct outcome o = cut_many(state, NO_CHECKPOINT, 500);

	assert_true(o.lost > 0);
}

static void
F12_test_usage_power__unsynced_writes_are_caught(void **state)
{
	struct outcome o = cut_many(state, NO_FSYNC_ASKED, 500);

	assert_true(o.refused + o.half + o.lost > 0);
}

static void
F12_test_usage_power__disk_that_ignores_fsync_is_caught(void **state)
{
	struct outcome o = cut_many(state, FSYNC_IGNORED, 500);

	assert_true(o.refused + o.half + o.lost > 0);
}

int
main(void)
{
	const char *text = getenv("MPD_TEST_SEED");
	const struct CMUnitTest tests[] = {
		T(F12_test_usage_power__without_checkpoints_the_loss_is_caught),
		T(F12_test_usage_power__unsynced_writes_are_caught),
		T(F12_test_usage_power__disk_that_ignores_fsync_is_caught),
		T(F11_test_usage_power__a_second_at_most_is_lost),
	};

	desk_is_fast = true;
	seed = text != NULL ? (unsigned)strtoul(text, NULL, 10) : (unsigned)time(NULL);
	print_message("MPD_TEST_SEED=%u\n", seed);
	if (cut_install() != SQLITE_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

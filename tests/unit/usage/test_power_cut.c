/* F11, F12: the power goes at random points of the work on usage.db. What was recorded more than a second
 * before is there, nothing is there by half. MPD_TEST_CUTS=2000 for the whole figure, MPD_TEST_SEED repeats
 * it. */
#include "server/store/db.h"
#include "tests/harness/power_cut.h"
#include "tests/unit/usage/desk.h"

#define LOSS_MS 1000
#define WORK_MS 3500

enum disk { HONEST, NO_CHECKPOINT, FSYNC_IGNORED };

struct outcome {
	int cuts, refused, half, lost;
	int64_t rows;
};

static unsigned seed;

static void
count_row(void *arg, const struct usage_row *row)
{
	int64_t *n = arg;

	(*n)++;
	assert_int_equal(row->call, *n); /* in order, without a gap */
}

/* A few seconds of calls, one every few milliseconds; the first `before` are there. */
static int64_t
record(struct desk *d, enum disk disk, int64_t before)
{
	struct usage_row row = a_row("a", "m");
	int64_t end = clock_monotonic_ms() + WORK_MS, n = before;

	cut.ignore_sync = disk == FSYNC_IGNORED;
	cut.now_ms = clock_monotonic_ms();
	cut_start(d->dir);
	desk_open(d);
	while (clock_monotonic_ms() < end) {
		cut.now_ms = clock_monotonic_ms();
		row.call = ++n;
		ledger_add(d->ledger, &row);
		if (disk == NO_CHECKPOINT)
			ledger_flush(d->ledger); /* no turn of the loop: no timer runs */
		else
			loop_once(d->loop, 0);
		ledger_flush(d->ledger);
		cut_acknowledge(n);
		usleep(20000); /* few enough that SQLite checkpoints nothing by itself */
	}
	cut_stop();
	ledger_free(d->ledger);
	d->ledger = NULL;
	return n;
}

static void
check(struct desk *d, int64_t sure, struct outcome *o)
{
	struct error err = ERROR_INIT;
	int64_t held = 0;
	struct total t;

	o->cuts++;
	if (ledger_open(d->dir, d->loop, &d->ledger, &err) != 0) {
		o->refused++;
		d->ledger = NULL;
		return;
	}
	if (ledger_rows(d->ledger, 0, INT64_MAX, 1 << 30, count_row, &held) != 0)
		o->half++;
	t = sums(d, 0, clock_wall_ms() + 2 * DAY_MS, USAGE_BY_NOTHING);
	o->half += t.sums.requests != held;
	o->lost += held < sure;
	if (held > o->rows)
		o->rows = held;
	ledger_free(d->ledger);
	d->ledger = NULL;
}

static struct outcome
cut_many(void **state, enum disk disk, int wanted)
{
	struct desk *d = *state;
	struct outcome o = { 0 };
	char command[128];

	ledger_free(d->ledger);
	d->ledger = NULL;
	record(d, disk, 0);
	while (o.cuts < wanted && (disk == HONEST || o.refused + o.half + o.lost == 0)) {
		size_t point = (size_t)rand_r(&seed) % (cut.ops + 1);

		check(d, cut_at(point, 0, cut_time_ms(point) - LOSS_MS, &seed), &o);
	}
	cut_clear();
	snprintf(command, sizeof command, "rm -f %s/usage.db*", d->dir); /* maybe beyond repair */
	assert_int_equal(system(command), 0);
	desk_open(d);
	print_message("%d cuts, %lld rows: %d refused, %d by half, %d lost\n", o.cuts, (long long)o.rows,
	    o.refused, o.half, o.lost);
	return o;
}

static int
cuts_wanted(void)
{
	const char *text = getenv("MPD_TEST_CUTS");

	return text != NULL ? atoi(text) : 60;
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
	struct outcome o = cut_many(state, NO_CHECKPOINT, 100);

	assert_true(o.lost > 0);
}

static void
F12_test_usage_power__disk_that_ignores_fsync_is_caught(void **state)
{
	struct outcome o = cut_many(state, FSYNC_IGNORED, 100);

	assert_true(o.refused + o.half + o.lost > 0);
}

int
main(void)
{
	const char *text = getenv("MPD_TEST_SEED");
	const struct CMUnitTest tests[] = {
		T(F12_test_usage_power__without_checkpoints_the_loss_is_caught),
		T(F12_test_usage_power__disk_that_ignores_fsync_is_caught),
		T(F11_test_usage_power__a_second_at_most_is_lost),
	};

	seed = text != NULL ? (unsigned)strtoul(text, NULL, 10) : (unsigned)time(NULL);
	print_message("MPD_TEST_SEED=%u\n", seed);
	if (cut_install() != SQLITE_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "tests/unit/usage/desk.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "server/usage/prune.h"

#define DAYS 40
#define A_DAY 60

static void
put_rows(struct desk *d)
{
	static const char *const models[] = { "m", "n", "o" };
	int64_t begin = berlin(2026, 9, 20, 0, 5); /* over the end of summer time */

	for (int day = 0; day < DAYS; day++) {
		for (int i = 0; i < A_DAY; i++) {
			struct usage_row row = a_row(i % 2 == 0 ? "a" : "b", models[i % 3]);

			set_clock(begin + day * DAY_MS + i * (DAY_MS / A_DAY - 60000));
			row.usage.cost_microusd = day * 1000 + i;
			ledger_add(d->ledger, &row);
		}
		ledger_flush(d->ledger);
	}
	set_clock(begin + (DAYS + 1) * DAY_MS);
}

struct counted {
	int rows;
	int64_t first;
};

static void
count_row(void *arg, const struct usage_row *row)
{
	struct counted *c = arg;

	if (c->rows++ == 0)
		c->first = row->id / 1000;
}

static struct counted
rows(struct desk *d)
{
	struct counted c = { 0, 0 };

	assert_int_equal(ledger_rows(d->ledger, 0, INT64_MAX, 100000, count_row, &c), 0);
	return c;
}

static void
on_done(void *arg, int code, const struct pruned *what)
{
	struct pruned *out = arg;

	assert_int_equal(code, 0);
	*out = *what;
}

static struct pruned
prune_all(struct desk *d, int64_t before_ms, bool days)
{
	const struct prune_plan plan = { prune_day(before_ms), days };
	struct prune *p = prune_new(d->loop, d->ledger);
	struct pruned looked, out = { 0, 0, 0, 0 };
	struct error err = ERROR_INIT;

	assert_int_equal(prune_look(p, &plan, &looked), 0);
	assert_int_equal(prune_begin(p, &plan, on_done, &out, &err), 0);
	assert_int_equal(prune_begin(p, &plan, NULL, NULL, &err), MP_E_BUSY);
	while (prune_running(p))
		loop_once(d->loop, 100);
	assert_int_equal(out.rows, looked.rows);
	assert_int_equal(out.days, looked.days);
	prune_free(p);
	return out;
}

static void
same(const struct total *a, const struct total *b)
{
	assert_memory_equal(&a->sums, &b->sums, sizeof a->sums);
}

static void
test_prune__rows_go_and_what_the_days_came_to_stays(void **state)
{
	struct desk *d = *state;
	int64_t before, begin = berlin(2026, 9, 20, 0, 0), cut = berlin(2026, 10, 11, 0, 0);
	struct total all, parts[DAYS];
	struct pruned out;

	put_rows(d);
	before = rows(d).rows;
	assert_int_equal(before, DAYS * A_DAY);
	all = sums(d, 0, clock_wall_ms(), USAGE_BY_MODEL);
	for (int i = 0; i < DAYS; i++)
		parts[i] = sums(d, begin + i * DAY_MS, berlin(2026, 10, 30, 0, 0), USAGE_BY_PURSE);
	out = prune_all(d, cut + 13 * HOUR_MS, false);
	assert_int_equal(out.before_ms, cut);
	assert_int_equal(out.rows, 21 * A_DAY);
	assert_int_equal(rows(d).rows, before - 21 * A_DAY);
	assert_true(rows(d).first >= cut);
	for (int round = 0; round < 2; round++) {
		struct total now = sums(d, 0, clock_wall_ms(), USAGE_BY_MODEL);

		same(&all, &now);
		for (int i = 0; i < DAYS; i++) {
			now = sums(d, begin + i * DAY_MS, berlin(2026, 10, 30, 0, 0), USAGE_BY_PURSE);
			same(&parts[i], &now);
		}
		ledger_free(d->ledger);
		desk_open(d);
	}
	/* of the time before, a day counts whole */
	assert_int_equal(sums(d, begin + 5 * HOUR_MS, begin + 6 * HOUR_MS, USAGE_BY_NOTHING).sums.requests,
	    A_DAY);
	assert_int_equal(prune_all(d, cut, false).rows, 0);
}

static void
sum_starts(void *arg, const struct usage_group *g)
{
	int64_t *at = arg;

	assert_true(g->start_ms > 0);
	assert_int_equal(g->start_ms % HOUR_MS, 0);
	*at += g->sums.requests;
}

static void
test_prune__by_hour_days_stand_where_hours_went(void **state)
{
	struct desk *d = *state;
	int64_t requests = 0;

	put_rows(d);
	prune_all(d, berlin(2026, 10, 11, 0, 0), false);
	assert_int_equal(ledger_sums(d->ledger, 0, clock_wall_ms(), USAGE_BY_START, USAGE_HOURS, sum_starts,
	    &requests), 0);
	assert_int_equal(requests, DAYS * A_DAY);
}

static void
test_prune__with_days_nothing_is_left_and_the_disk_gets_its_room(void **state)
{
	struct desk *d = *state;
	struct pruned out;
	struct stat before, after;
	char path[128];

	put_rows(d);
	snprintf(path, sizeof path, "%s/usage.db", d->dir);
	ledger_free(d->ledger);
	assert_int_equal(stat(path, &before), 0);
	desk_open(d);
	out = prune_all(d, clock_wall_ms() + 99 * DAY_MS, true); /* today's stay whatever is said */
	assert_int_equal(out.before_ms, calendar_start(PERIOD_DAY, clock_wall_ms()));
	assert_int_equal(out.days, DAYS);
	assert_int_equal(rows(d).rows, 0);
	assert_int_equal(sums(d, 0, clock_wall_ms() + DAY_MS, USAGE_BY_NOTHING).sums.requests, 0);
	ledger_free(d->ledger);
	desk_open(d);
	assert_int_equal(stat(path, &after), 0);
	assert_true(after.st_size < before.st_size / 4);
	assert_true(out.bytes > before.st_size / 2);
}

/* Its own loop and connection, until it is killed. */
static void
prune_until_killed(struct desk *d)
{
	const struct prune_plan plan = { prune_day(berlin(2026, 10, 20, 0, 0)), false };
	struct loop *loop = loop_new();
	struct ledger *l;
	struct error err = ERROR_INIT;
	struct prune *p;

	if (ledger_open(d->dir, loop, &l, &err) != 0)
		_exit(1);
	p = prune_new(loop, l);
	if (!prune_running(p) && prune_begin(p, &plan, NULL, NULL, &err) != 0)
		_exit(2);
	while (prune_running(p))
		loop_once(loop, 100);
	_exit(0);
}

static void
F01_test_prune__kill_9_leaves_the_sums_right_and_the_rest_goes_later(void **state)
{
	struct desk *d = *state;
	struct total all, now;
	int killed = 0;

	put_rows(d);
	all = sums(d, 0, clock_wall_ms(), USAGE_BY_MODEL);
	for (int round = 0; round < 40; round++) {
		pid_t pid;
		int status;

		ledger_free(d->ledger);
		if ((pid = fork()) == 0)
			prune_until_killed(d);
		usleep((useconds_t)(4000 + round * 1500));
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		killed += WIFSIGNALED(status);
		desk_open(d);
		now = sums(d, 0, clock_wall_ms(), USAGE_BY_MODEL);
		same(&all, &now);
	}
	assert_true(killed > 0);
	prune_all(d, berlin(2026, 10, 20, 0, 0), false);
	assert_int_equal(rows(d).rows, (DAYS - 30) * A_DAY);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_prune__rows_go_and_what_the_days_came_to_stays),
		T(test_prune__by_hour_days_stand_where_hours_went),
		T(test_prune__with_days_nothing_is_left_and_the_disk_gets_its_room),
		T(F01_test_prune__kill_9_leaves_the_sums_right_and_the_rest_goes_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

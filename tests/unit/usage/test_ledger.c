#include "tests/unit/usage/desk.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

struct rows {
	int count;
	struct usage_row last;
	char outcomes[256], providers[256];
};

static void
add_word(char *to, size_t size, const char *word)
{
	size_t n = strlen(to);

	snprintf(to + n, size - n, "%s ", word);
}

static void
take_row(void *arg, const struct usage_row *row)
{
	struct rows *r = arg;

	r->count++;
	r->last = *row;
	add_word(r->outcomes, sizeof r->outcomes, row->outcome);
	add_word(r->providers, sizeof r->providers, row->provider);
}

static struct rows
rows(struct desk *d)
{
	struct rows r = { .count = 0 };

	assert_int_equal(ledger_rows(d->ledger, 0, INT64_MAX, 1000, take_row, &r), 0);
	return r;
}

static void
test_ledger__what_was_added_comes_back(void **state)
{
	struct desk *d = *state;
	struct usage_row row = a_row("openrouter", "gpt-4");
	struct rows got;

	row.session = 3;
	row.attempt = 2;
	row.chain = "coding";
	ledger_add(d->ledger, &row);
	got = rows(d);
	assert_int_equal(got.count, 1);
	assert_int_equal(got.last.usage.input_tokens, 100);
	assert_int_equal(got.last.usage.cache_write_tokens, -1); /* unknown is not 0 */
	assert_int_equal(got.last.usage.cost_microusd, 1500);
	assert_int_equal(got.last.usage.cost_kind, COST_REPORTED);
	assert_false(usage_estimated(&got.last.usage));
	assert_int_equal(got.last.session, 3);
	assert_int_equal(got.last.attempt, 2);
	assert_int_equal(got.last.first_token_ms, 300);
	assert_true(llabs(got.last.id / 1000 - clock_wall_ms()) < 5000);
}

static void
test_ledger__one_commit_per_turn_of_the_loop(void **state)
{
	struct desk *d = *state;
	struct usage_row row = a_row("a", "m");
	char command[256];

	for (int i = 0; i < 100; i++)
		ledger_add(d->ledger, &row);
	/* nothing is in the file before the turn ends, everything after it: another program sees it */
	snprintf(command, sizeof command, "test $(ls -l %s/usage.db-wal 2>/dev/null | wc -l) -eq 0 -o "
	    "! -s %s/usage.db-wal", d->dir, d->dir);
	assert_int_equal(system(command), 0);
	loop_once(d->loop, 0);
	loop_once(d->loop, 0);
	snprintf(command, sizeof command, "test -s %s/usage.db-wal", d->dir);
	assert_int_equal(system(command), 0);
	assert_int_equal(rows(d).count, 100);
}

static void
test_ledger__rows_of_one_millisecond_keep_their_order(void **state)
{
	struct desk *d = *state;
	struct usage_row row = a_row("a", "m");
	const char *const names[] = { "a", "b", "c", "d" };

	for (size_t i = 0; i < 4; i++) {
		row.provider = names[i];
		ledger_add(d->ledger, &row);
	}
	assert_string_equal(rows(d).providers, "a b c d ");
}

static void
F34_test_ledger__a_clock_that_is_set_back_loses_nothing(void **state)
{
	struct desk *d = *state;
	struct usage_row row = a_row("a", "m");
	int64_t now = berlin(2026, 11, 20, 12, 0);

	for (int round = 0; round < 3; round++) {
		set_clock(now);
		for (int i = 0; i < 50; i++)
			ledger_add(d->ledger, &row);
		ledger_flush(d->ledger);
		set_clock(now + DAY_MS);
		ledger_add(d->ledger, &row);
		ledger_flush(d->ledger);
	}
	set_clock(0); /* 1970 */
	ledger_add(d->ledger, &row);
	set_clock(INT64_C(2200000000000)); /* after 2038 */
	ledger_add(d->ledger, &row);
	assert_int_equal(rows(d).count, 155);
	assert_int_equal(sums(d, now - HOUR_MS, now + HOUR_MS, USAGE_BY_NOTHING).sums.requests, 150);
	assert_int_equal(sums(d, now + DAY_MS - HOUR_MS, now + DAY_MS + HOUR_MS,
	    USAGE_BY_NOTHING).sums.requests, 3);
}

static void
test_ledger__absurd_numbers_do_not_overflow_the_sums(void **state)
{
	struct desk *d = *state;
	struct usage_row row = a_row("a", "m");
	struct total t;

	row.usage = (struct usage){ INT64_MAX, INT64_MAX, INT64_MAX, -7, INT64_MIN, INT64_MAX, false,
		false, COST_REPORTED, 0 };
	for (int i = 0; i < 20; i++)
		ledger_add(d->ledger, &row);
	t = sums(d, 0, clock_wall_ms() + 2 * DAY_MS, USAGE_BY_NOTHING);
	assert_int_equal(t.sums.requests, 20);
	assert_int_equal(t.sums.input_tokens, INT64_C(20000000000000));
	assert_true(t.sums.cost_microusd > 0);
}

/* ---- sums ---- */

/* The same question answered from the rows alone. */
struct by_hand {
	int64_t from_ms, to_ms;
	int64_t requests, input, cost;
};

static void
by_hand_row(void *arg, const struct usage_row *row)
{
	struct by_hand *h = arg;

	if (row->id < h->from_ms * 1000 || row->id >= h->to_ms * 1000)
		return;
	h->requests++;
	h->input += row->usage.input_tokens;
	h->cost += row->usage.cost_microusd;
}

static void
test_ledger__sums_agree_with_the_rows_at_any_borders(void **state)
{
	struct desk *d = *state;
	struct usage_row row = a_row("a", "m");
	/* over the night in which the clocks are set back, and the one in which they are set forward */
	const int64_t begins[] = { berlin(2026, 10, 24, 11, 30), berlin(2026, 3, 28, 11, 30) };

	srand(7);
	for (size_t b = 0; b < 2; b++) {
		for (int i = 0; i < 400; i++) {
			set_clock(begins[b] + i * INT64_C(700000)); /* 77 hours */
			row.usage.input_tokens = i;
			row.usage.cost_microusd = 2 * i;
			ledger_add(d->ledger, &row);
		}
		for (int i = 0; i < 300; i++) {
			struct by_hand h = { .from_ms = begins[b] + rand() % (80 * HOUR_MS) - HOUR_MS };
			struct total t;

			h.to_ms = h.from_ms + rand() % (i % 3 == 0 ? 2 * HOUR_MS : 50 * HOUR_MS);
			assert_int_equal(ledger_rows(d->ledger, 0, INT64_MAX, 10000, by_hand_row, &h), 0);
			t = sums(d, h.from_ms, h.to_ms, USAGE_BY_NOTHING);
			assert_int_equal(t.sums.requests, h.requests);
			assert_int_equal(t.sums.input_tokens, h.input);
			assert_int_equal(t.sums.cost_microusd, h.cost);
			t = sums(d, h.from_ms, h.to_ms, USAGE_BY_MODEL);
			assert_int_equal(t.sums.requests, h.requests);
		}
	}
}

static void
collect_start(void *arg, const struct usage_group *g)
{
	int64_t (*at)[2] = arg;

	for (int i = 0; i < 8; i++) {
		if (at[i][1] != 0 && at[i][0] != g->start_ms)
			continue;
		at[i][0] = g->start_ms;
		at[i][1] += g->sums.requests;
		return;
	}
	fail_msg("more days than there were");
}

static void
test_ledger__days_are_those_of_the_place(void **state)
{
	struct desk *d = *state;
	struct usage_row row = a_row("a", "m");
	int64_t days[8][2] = { { 0, 0 } };

	set_clock(berlin(2026, 11, 20, 23, 59));
	ledger_add(d->ledger, &row);
	set_clock(berlin(2026, 11, 21, 0, 1)); /* in London it is still the 20th */
	ledger_add(d->ledger, &row);
	ledger_add(d->ledger, &row);
	assert_int_equal(ledger_sums(d->ledger, berlin(2026, 11, 20, 22, 30), berlin(2026, 11, 22, 0, 0),
	    USAGE_BY_START, USAGE_DAYS, collect_start, days), 0);
	assert_int_equal(days[0][0], berlin(2026, 11, 20, 0, 0));
	assert_int_equal(days[0][1], 1);
	assert_int_equal(days[1][0], berlin(2026, 11, 21, 0, 0));
	assert_int_equal(days[1][1], 2);
	assert_int_equal(days[2][1], 0);
}

static void
test_ledger__sums_by_what_was_asked(void **state)
{
	struct desk *d = *state;
	struct usage_row one = a_row("a", "m"), two = a_row("a", "n"), three = a_row("b", "m");

	two.client = "nvim";
	three.chain = "coding";
	three.scope = "project";
	ledger_add(d->ledger, &one);
	ledger_add(d->ledger, &two);
	ledger_add(d->ledger, &three);
	ledger_add(d->ledger, &three);
	assert_string_equal(sums(d, 0, clock_wall_ms() + 2 * DAY_MS, USAGE_BY_PROVIDER).names,
	    "a////=2 b////=2 ");
	assert_string_equal(sums(d, 0, clock_wall_ms() + 2 * DAY_MS, USAGE_BY_MODEL).names,
	    "a/m///=1 a/n///=1 b/m///=2 ");
	assert_string_equal(sums(d, 0, clock_wall_ms() + 2 * DAY_MS, USAGE_BY_CLIENT).names,
	    "//nvim//=1 //test//=3 ");
	assert_string_equal(sums(d, 0, clock_wall_ms() + 2 * DAY_MS, USAGE_BY_PURSE).names,
	    "a////=2 b///project/coding=2 ");
}

static void
test_ledger__money_plans_and_what_is_not_known_are_kept_apart(void **state)
{
	struct desk *d = *state;
	struct usage_row row = a_row("a", "m");
	struct total t;
	const struct {
		const char *outcome;
		struct usage usage;
	} cases[] = {
		{ "done", { 10, 5, -1, -1, -1, 700, false, false, COST_LIST, 0 } },
		{ "done", { 10, 5, -1, -1, -1, 900, false, false, COST_PLAN, 0 } },
		{ "done", { 10, 5, -1, -1, -1, -1, false, false, COST_UNPRICED, 0 } },
		{ "cancelled", { 10, 2, -1, -1, -1, 50, false, true, COST_LIST, 0 } },
		{ "cancelled", { 10, 2, -1, -1, -1, 50, true, true, COST_LIST, 0 } },
		{ "timeout", { -1, -1, -1, -1, -1, -1, false, false, COST_UNKNOWN, 0 } },
		{ "auth", { -1, -1, -1, -1, -1, -1, false, false, COST_NONE, 0 } },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		row.outcome = cases[i].outcome;
		row.usage = cases[i].usage;
		ledger_add(d->ledger, &row);
	}
	for (int level = 0; level < 2; level++) {
		/* once from the days, once from the rows */
		int64_t now = clock_wall_ms() + 1;

		t = level == 0 ? sums(d, 0, now + 2 * DAY_MS, USAGE_BY_NOTHING)
		               : sums(d, now - 60000, now, USAGE_BY_NOTHING);
		assert_int_equal(t.sums.requests, 7);
		assert_int_equal(t.sums.failed, 2);
		assert_int_equal(t.sums.cancelled, 2);
		assert_int_equal(t.sums.cost_microusd, 800);
		assert_int_equal(t.sums.plan_microusd, 900);
		assert_int_equal(t.sums.unpriced, 1);
		assert_int_equal(t.sums.estimated, 2);
		assert_int_equal(t.sums.unknown, 1);
		assert_string_equal(rows(d).outcomes, "done done done cancelled cancelled timeout auth ");
	}
}

static void
test_ledger__which_count_is_an_estimate(void **state)
{
	static const char *const words[] = { "reported", "estimated", "input_estimated", "output_estimated",
		"unknown" };
	struct desk *d = *state;

	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		struct usage_row row = a_row("a", "m");
		struct rows got;

		if (strcmp(words[i], "unknown") == 0)
			row.usage = (struct usage)USAGE_INIT;
		usage_counts_parse(words[i], &row.usage);
		ledger_add(d->ledger, &row);
		got = rows(d);
		assert_string_equal(usage_counts_name(&got.last.usage), words[i]);
		assert_int_equal(got.last.usage.input_estimated, row.usage.input_estimated);
		assert_int_equal(got.last.usage.output_estimated, row.usage.output_estimated);
	}
	assert_int_equal(sums(d, 0, clock_wall_ms() + 2 * DAY_MS, USAGE_BY_NOTHING).sums.estimated, 3);
}

static void
test_ledger__a_session_counts_calls_not_attempts(void **state)
{
	struct desk *d = *state;
	struct usage_row row = a_row("a", "m");
	int64_t calls = -1, cost = -1;

	assert_int_equal(ledger_session(d->ledger, 7, 0, &calls, &cost), 0);
	assert_int_equal(calls, 0);
	assert_int_equal(cost, -1);
	row.session = 7;
	ledger_add(d->ledger, &row);
	row.attempt = 2;
	ledger_add(d->ledger, &row);
	row.call = 2;
	ledger_add(d->ledger, &row);
	row.session = 8;
	ledger_add(d->ledger, &row);
	assert_int_equal(ledger_session(d->ledger, 7, 0, &calls, &cost), 0);
	assert_int_equal(calls, 2);
	assert_int_equal(cost, 4500);
	/* an earlier session of that number is none of its business */
	assert_int_equal(ledger_session(d->ledger, 7, clock_wall_ms() + 1000, &calls, &cost), 0);
	assert_int_equal(calls, 0);
}

/* ---- what clients tell ---- */

static void
count_row(void *arg, const struct usage_row *row)
{
	int *heard = arg;

	assert_true(row->id > 0);
	(*heard)++;
}

static void
test_ledger__a_report_counts_once_at_its_own_time(void **state)
{
	struct desk *d = *state;
	struct usage_row row = a_row("a", "m"), own = a_row("a", "m");
	int64_t then = berlin(2026, 11, 20, 12, 0);
	int heard = 0;
	bool again;

	set_clock(then + 3 * DAY_MS);
	ledger_subscribe(d->ledger, count_row, &heard);
	ledger_add(d->ledger, &own);
	row.id = then * 1000;
	row.request_hash = -5;
	for (int i = 0; i < 2; i++) {
		row.id = then * 1000;
		row.request_key = i == 0 ? "one" : "two"; /* of the same moment */
		assert_int_equal(ledger_report(d->ledger, &row, &again), 0);
		assert_false(again);
	}
	assert_int_equal(heard, 3);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(ledger_report(d->ledger, &row, &again), 0);
		assert_true(again);
		assert_int_equal(row.id, then * 1000 + 1); /* where it is counted */
		ledger_free(d->ledger); /* it is remembered */
		desk_open(d);
	}
	row.request_hash = 6;
	assert_int_equal(ledger_report(d->ledger, &row, &again), MP_E_CONFLICT);
	assert_true(again);
	assert_int_equal(heard, 3);
	assert_int_equal(rows(d).count, 3);
	assert_int_equal(sums(d, then, then + HOUR_MS, USAGE_BY_NOTHING).sums.requests, 2);
	assert_int_equal(sums(d, 0, then + 4 * DAY_MS, USAGE_BY_NOTHING).sums.requests, 3);
	assert_null(rows(d).last.request_key);
}

/* ---- what may go wrong ---- */

static void
F01_test_ledger__kill_9_after_the_turn_loses_nothing(void **state)
{
	struct desk *d = *state;
	struct usage_row row = a_row("a", "m");
	int said[2];
	char command[128];

	ledger_free(d->ledger);
	d->ledger = NULL;
	for (int round = 0; round < 20; round++) {
		pid_t pid;
		int64_t written = 0, got = 0;
		struct rows r;

		assert_int_equal(pipe(said), 0);
		if ((pid = fork()) == 0) {
			struct loop *loop = loop_new();
			struct error err = ERROR_INIT;

			if (ledger_open(d->dir, loop, &d->ledger, &err) != 0)
				_exit(1);
			for (int64_t i = 1;; i++) {
				ledger_add(d->ledger, &row);
				if (ledger_flush(d->ledger) != 0 || write(said[1], &i, sizeof i) != sizeof i)
					_exit(1);
			}
		}
		close(said[1]);
		while (read(said[0], &got, sizeof got) == sizeof got) {
			written = got;
			if (got == 3 + round * 2)
				kill(pid, SIGKILL);
		}
		close(said[0]);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		desk_open(d);
		r = rows(d);
		assert_true(r.count >= written);
		assert_int_equal(sums(d, 0, clock_wall_ms() + 2 * DAY_MS, USAGE_BY_NOTHING).sums.requests,
		    r.count);
		ledger_free(d->ledger);
		d->ledger = NULL;
		snprintf(command, sizeof command, "rm -f %s/usage.db*", d->dir);
		assert_int_equal(system(command), 0);
	}
}

static void
count_heard(void *arg, const struct usage_row *row)
{
	(void)row;
	++*(int *)arg;
}

static void
F14_test_ledger__a_full_disk_makes_rows_wait(void **state)
{
	struct desk *d = *state;
	struct usage_row row = a_row("a", "m");
	struct error err = ERROR_INIT;
	struct rlimit before, tight;
	int heard = 0;

	signal(SIGXFSZ, SIG_IGN);
	ledger_subscribe(d->ledger, count_heard, &heard);
	ledger_add(d->ledger, &row);
	assert_int_equal(ledger_flush(d->ledger), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	tight = before;
	tight.rlim_cur = 8192;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
	for (int i = 0; i < 200; i++)
		ledger_add(d->ledger, &row);
	assert_int_not_equal(ledger_flush(d->ledger), 0);
	for (int i = 0; i < LEDGER_WAITING_MAX; i++)
		ledger_add(d->ledger, &row);
	assert_int_equal(ledger_lost(d->ledger), 200); /* counted, not silently gone */
	assert_int_equal(heard, 1 + LEDGER_WAITING_MAX + 200); /* budgets hear of each */
	ledger_unsubscribe(d->ledger, &heard);
	assert_int_equal(ledger_waiting(d->ledger), LEDGER_WAITING_MAX);
	assert_true(ledger_failing(d->ledger));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(store_recover(ledger_store(d->ledger), &err), 0);
	for (int64_t end = clock_monotonic_ms() + 5000; ledger_failing(d->ledger);) {
		assert_true(clock_monotonic_ms() < end); /* by itself */
		loop_once(d->loop, 100);
	}
	assert_int_equal(ledger_waiting(d->ledger), 0);
	assert_int_equal(ledger_lost(d->ledger), 200);
	assert_int_equal(sums(d, 0, clock_wall_ms() + 2 * DAY_MS, USAGE_BY_NOTHING).sums.requests,
	    1 + LEDGER_WAITING_MAX);
}

static void
test_ledger__damage_is_refused_at_the_start(void **state)
{
	struct desk *d = *state;
	struct usage_row row = a_row("a", "m");
	struct error err = ERROR_INIT;
	char path[128];
	FILE *f;

	for (int i = 0; i < 200; i++)
		ledger_add(d->ledger, &row);
	ledger_free(d->ledger);
	d->ledger = NULL;
	snprintf(path, sizeof path, "%s/usage.db", d->dir);
	f = fopen(path, "r+b");
	assert_non_null(f);
	fseek(f, 4096, SEEK_SET);
	for (int i = 0; i < 4 * 4096; i++)
		fputc(0xa5, f);
	fclose(f);
	assert_int_equal(ledger_open(d->dir, d->loop, &d->ledger, &err), MP_E_STORAGE);
	assert_non_null(strstr(err.message, "usage.db"));
	assert_non_null(strstr(err.message, "damaged"));
	assert_int_equal(access(path, F_OK), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_ledger__what_was_added_comes_back),
		T(test_ledger__one_commit_per_turn_of_the_loop),
		T(test_ledger__rows_of_one_millisecond_keep_their_order),
		T(F34_test_ledger__a_clock_that_is_set_back_loses_nothing),
		T(test_ledger__absurd_numbers_do_not_overflow_the_sums),
		T(test_ledger__sums_agree_with_the_rows_at_any_borders),
		T(test_ledger__days_are_those_of_the_place),
		T(test_ledger__sums_by_what_was_asked),
		T(test_ledger__money_plans_and_what_is_not_known_are_kept_apart),
		T(test_ledger__which_count_is_an_estimate),
		T(test_ledger__a_session_counts_calls_not_attempts),
		T(test_ledger__a_report_counts_once_at_its_own_time),
		T(F01_test_ledger__kill_9_after_the_turn_loses_nothing),
		T(F14_test_ledger__a_full_disk_makes_rows_wait),
		T(test_ledger__damage_is_refused_at_the_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

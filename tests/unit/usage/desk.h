/* desk.h - a ledger on a private folder, and rows for it. */
#ifndef TESTS_UNIT_USAGE_DESK_H
#define TESTS_UNIT_USAGE_DESK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/base/clock.h"
#include "server/usage/calendar.h"
#include "server/usage/ledger.h"

#define HOUR_MS INT64_C(3600000)
#define DAY_MS (24 * HOUR_MS)

static bool desk_is_fast; /* set by a main() whose tests sync by the thousand: no disk that turns */

struct desk {
	char dir[64];
	struct loop *loop;
	struct ledger *ledger;
};

static inline void
desk_open(struct desk *d)
{
	struct error err = ERROR_INIT;

	if (ledger_open(d->dir, d->loop, &d->ledger, &err) != 0)
		fail_msg("%s", err.message);
}

static inline int
desk_setup(void **state)
{
	struct desk *d = calloc(1, sizeof *d);

	setenv("TZ", "Europe/Berlin", 1);
	tzset();
	snprintf(d->dir, sizeof d->dir, "%s/mpd-usage-XXXXXX",
	    desk_is_fast && access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(d->dir));
	d->loop = loop_new();
	desk_open(d);
	*state = d;
	return 0;
}

static inline int
desk_teardown(void **state)
{
	struct desk *d = *state;
	char command[128];

	clock_test_shift(0, 0);
	ledger_free(d->ledger);
	loop_free(d->loop);
	snprintf(command, sizeof command, "rm -rf %s", d->dir);
	assert_int_equal(system(command), 0);
	free(d);
	return 0;
}

static inline struct usage_row
a_row(const char *provider, const char *model)
{
	return (struct usage_row){ .call = 1, .attempt = 1, .provider = provider, .model = model,
		.answered = model, .label = "default", .client = "test", .scope = "", .chain = "",
		.outcome = "done",
		.usage = { 100, 20, 10, -1, 5, 1500, false, false, COST_REPORTED, 0 },
		.duration_ms = 900, .first_token_ms = 300 };
}

/* The wall clock stands at_ms from now on (and runs). */
static inline void
set_clock(int64_t at_ms)
{
	clock_test_shift(0, 0);
	clock_test_shift(at_ms - clock_wall_ms(), 0);
}

/* Wall time in Berlin. */
static inline int64_t
berlin(int year, int month, int day, int hour, int minute)
{
	struct tm tm = { .tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day, .tm_hour = hour,
		.tm_min = minute, .tm_isdst = -1 };

	return (int64_t)mktime(&tm) * 1000;
}

/* ---- what was answered ---- */

struct total {
	struct usage_sums sums;
	int groups;
	char names[512]; /* "provider/model/client/scope/chain=requests ..." in the order they came */
};

static inline void
add_group(void *arg, const struct usage_group *g)
{
	struct total *t = arg;
	size_t n = strlen(t->names);

	t->groups++;
	t->sums.requests += g->sums.requests;
	t->sums.failed += g->sums.failed;
	t->sums.cancelled += g->sums.cancelled;
	t->sums.input_tokens += g->sums.input_tokens;
	t->sums.output_tokens += g->sums.output_tokens;
	t->sums.cost_microusd += g->sums.cost_microusd;
	t->sums.plan_microusd += g->sums.plan_microusd;
	t->sums.unpriced += g->sums.unpriced;
	t->sums.estimated += g->sums.estimated;
	t->sums.unknown += g->sums.unknown;
	snprintf(t->names + n, sizeof t->names - n, "%s/%s/%s/%s/%s=%lld ", g->provider, g->model,
	    g->client, g->scope, g->chain, (long long)g->sums.requests);
}

static inline struct total
sums(struct desk *d, int64_t from_ms, int64_t to_ms, enum usage_by by)
{
	struct total t = { .groups = 0 };

	assert_int_equal(ledger_sums(d->ledger, from_ms, to_ms, by, USAGE_DAYS, add_group, &t), 0);
	return t;
}

#define T(name) cmocka_unit_test_setup_teardown(name, desk_setup, desk_teardown)

#endif

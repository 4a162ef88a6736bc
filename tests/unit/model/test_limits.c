/* What is left, and what stands in the way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "server/model/limits.h"

#define NOW_MS 1795330000000
#define DAY_MS ((int64_t)24 * 3600 * 1000)

static struct limit *
add(struct limits *l, const char *name, int64_t remaining, int64_t resets_ms)
{
	struct limit *at = limits_name(l, name);

	assert_non_null(at);
	at->remaining = remaining;
	at->resets_ms = resets_ms;
	l->at_ms = NOW_MS;
	return at;
}

static void
test_limits__a_new_name_knows_nothing(void **state)
{
	struct limits l = { .count = 0 };
	struct limit *at = limits_name(&l, "requests");

	(void)state;
	assert_int_equal(at->limit, -1);
	assert_int_equal(at->remaining, -1);
	assert_int_equal(at->used_permille, -1);
	assert_int_equal(at->resets_ms, 0);
	assert_false(at->rejected);
	assert_ptr_equal(limits_name(&l, "requests"), at);
	assert_int_equal(l.count, 1);
	assert_null(limits_wall(&l, NOW_MS));
}

static void
test_limits__a_full_table_and_a_long_name(void **state)
{
	struct limits l = { .count = 0 };
	char name[80];

	(void)state;
	for (int i = 0; i < LIMITS_MAX; i++) {
		snprintf(name, sizeof name, "n%d", i);
		assert_non_null(limits_name(&l, name));
	}
	assert_null(limits_name(&l, "one more"));
	assert_ptr_equal(limits_name(&l, "n3"), &l.of[3]);
	memset(&l, 0, sizeof l);
	memset(name, 'x', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	assert_int_equal(strlen(limits_name(&l, name)->name), sizeof l.of[0].name - 1);
}

static void
test_limits__the_wall_is_what_resets_last(void **state)
{
	struct limits l = { .count = 0 };

	(void)state;
	add(&l, "tokens", 0, NOW_MS + 1000);
	add(&l, "requests", 0, NOW_MS + 5000);
	add(&l, "5h", 7, NOW_MS + 9000);
	assert_string_equal(limits_wall(&l, NOW_MS)->name, "requests");
	assert_string_equal(limits_wall(&l, NOW_MS + 4999)->name, "requests");
	assert_null(limits_wall(&l, NOW_MS + 5000));
	add(&l, "5h", 7, NOW_MS + 9000)->rejected = true;
	assert_string_equal(limits_wall(&l, NOW_MS)->name, "5h");
	assert_null(limits_wall(&l, NOW_MS + 9000));
}

static void
test_limits__an_unknown_reset_lasts_a_minute(void **state)
{
	struct limits l = { .count = 0 };
	const struct limit *wall;

	(void)state;
	add(&l, "requests", 0, 0);
	wall = limits_wall(&l, NOW_MS + 59999);
	assert_non_null(wall);
	assert_int_equal(limit_resets_ms(&l, wall), NOW_MS + 60000);
	assert_null(limits_wall(&l, NOW_MS + 60000));
}

static void
test_limits__a_later_reading_replaces_its_own_names(void **state)
{
	struct limits books = { .count = 0 }, later = { .count = 0 }, nothing = { .count = 0 };

	(void)state;
	add(&books, "requests", 0, NOW_MS + 1000);
	add(&books, "tokens", 5, NOW_MS + 1000);
	add(&later, "requests", 9, NOW_MS + 2000);
	later.at_ms = NOW_MS + 500;
	limits_merge(&books, &later);
	assert_int_equal(books.count, 2);
	assert_int_equal(limits_name(&books, "requests")->remaining, 9);
	assert_int_equal(limits_name(&books, "tokens")->remaining, 5);
	assert_int_equal(books.at_ms, NOW_MS + 500);
	nothing.at_ms = NOW_MS + 900;
	limits_merge(&books, &nothing);
	assert_int_equal(books.at_ms, NOW_MS + 500);
}

static void
test_limits__a_reset_years_away_is_not_believed(void **state)
{
	struct limits books = { .count = 0 }, later = { .count = 0 };

	(void)state;
	add(&later, "7d", 0, NOW_MS + 31 * DAY_MS);
	add(&later, "requests", 0, NOW_MS + 400 * DAY_MS);
	add(&later, "tokens", 0, INT64_MAX);
	add(&later, "past", 0, INT64_MIN);
	limits_merge(&books, &later);
	assert_int_equal(limits_name(&books, "7d")->resets_ms, NOW_MS + 31 * DAY_MS);
	assert_int_equal(limits_name(&books, "requests")->resets_ms, 0);
	assert_int_equal(limits_name(&books, "tokens")->resets_ms, 0);
}

/* What we count is a guess: it says how much, but never takes the place of what the provider said. */
static void
test_limits__an_estimate_gives_way(void **state)
{
	struct limits told = { .at_ms = 1000 }, counted = { .at_ms = 2000 }, all = { .count = 0 };
	struct limit *at;

	(void)state;
	at = limits_name(&counted, "5h");
	at->limit = 50;
	at->remaining = 0;
	at->resets_ms = 9000;
	at->estimated = true;
	limits_merge(&all, &counted);
	assert_int_equal(all.of[0].limit, 50);
	assert_null(limits_wall(&all, 3000));
	at = limits_name(&told, "5h");
	at->used_permille = 424;
	at->resets_ms = 8000;
	limits_merge(&all, &told);
	assert_false(all.of[0].estimated);
	counted.at_ms = 7999;
	limits_merge(&all, &counted);
	assert_int_equal(all.of[0].used_permille, 424);
	counted.at_ms = 8000;
	limits_merge(&all, &counted);
	assert_true(all.of[0].estimated);
	assert_int_equal(all.count, 1);
}

static void
test_limits__what_counts_for_some_models_is_no_wall(void **state)
{
	struct limits l = { .count = 0 };

	(void)state;
	add(&l, "free-requests", 0, NOW_MS + DAY_MS)->partial = true;
	assert_null(limits_wall(&l, NOW_MS));
	add(&l, "credit", 0, NOW_MS + DAY_MS)->microusd = true;
	assert_string_equal(limits_wall(&l, NOW_MS)->name, "credit");
}

static void
test_limits__a_limit_that_is_none_any_more_goes(void **state)
{
	struct limits l = { .count = 0 }, later = { .count = 0 };

	(void)state;
	add(&l, "requests", 5, NOW_MS + 1000);
	add(&l, "credit", 100, 0);
	add(&l, "tokens", 7, NOW_MS + 1000);
	add(&later, "credit", -1, 0)->none = true;
	add(&later, "balance", -1, 0)->none = true;
	limits_merge(&l, &later);
	assert_int_equal(l.count, 2);
	assert_string_equal(l.of[0].name, "requests");
	assert_string_equal(l.of[1].name, "tokens");
	assert_int_equal(l.of[1].remaining, 7);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limits__a_new_name_knows_nothing),
		cmocka_unit_test(test_limits__a_full_table_and_a_long_name),
		cmocka_unit_test(test_limits__the_wall_is_what_resets_last),
		cmocka_unit_test(test_limits__an_unknown_reset_lasts_a_minute),
		cmocka_unit_test(test_limits__a_later_reading_replaces_its_own_names),
		cmocka_unit_test(test_limits__a_reset_years_away_is_not_believed),
		cmocka_unit_test(test_limits__an_estimate_gives_way),
		cmocka_unit_test(test_limits__what_counts_for_some_models_is_no_wall),
		cmocka_unit_test(test_limits__a_limit_that_is_none_any_more_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

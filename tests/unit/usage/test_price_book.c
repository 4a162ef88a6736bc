#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "server/usage/price_book.h"

#define DAY_1 INT64_C(1795305600000)
#define DAY_2 INT64_C(1796083200000)
#define NONE INT64_C(-1)

static struct price_row
row(const char *provider, const char *model, int64_t from_ms, int64_t above, int64_t input)
{
	return (struct price_row){ provider, model, from_ms, above, { input, input / 10, input, input * 5 } };
}

/* What input costs, and where that was found. */
static int64_t
input_of(const struct price_book *b, const char *provider, const char *model, int64_t tokens, int64_t at_ms,
    enum price_layer *layer)
{
	const struct price_ask ask = { provider, "openai", model, tokens, at_ms };
	const struct price_row *r = price_book_find(b, &ask, layer);

	return r != NULL ? r->tariff.input : NONE;
}

static void
test_price_book__the_first_layer_that_knows_the_model_wins(void **state)
{
	struct price_book *b = price_book_new();
	const struct price_row own = row("id-1", "gpt-5", 0, 0, 7), bundle = row("id-1", "gpt-5", 0, 0, 6),
	    fresh = row("openai", "gpt-5", 0, 0, 5);
	enum price_layer layer;

	(void)state;
	assert_int_equal(input_of(b, "id-1", "gpt-5", 10, DAY_1, &layer), 1250000);
	assert_int_equal(layer, PRICE_BUILT_IN);
	price_book_set(b, PRICE_REFRESHED, &fresh, 1);
	assert_int_equal(input_of(b, "id-1", "gpt-5", 10, DAY_1, &layer), 5);
	assert_int_equal(layer, PRICE_REFRESHED);
	price_book_set(b, PRICE_BUNDLE, &bundle, 1);
	assert_int_equal(input_of(b, "id-1", "gpt-5", 10, DAY_1, &layer), 6);
	assert_int_equal(layer, PRICE_BUNDLE);
	price_book_set(b, PRICE_OWN, &own, 1);
	assert_int_equal(input_of(b, "id-1", "gpt-5", 10, DAY_1, &layer), 7);
	assert_int_equal(layer, PRICE_OWN);
	/* another provider of the same kind has none of its own */
	assert_int_equal(input_of(b, "id-2", "gpt-5", 10, DAY_1, &layer), 5);
	assert_int_equal(input_of(b, NULL, "gpt-5", 10, DAY_1, &layer), 5);
	price_book_set(b, PRICE_OWN, NULL, 0);
	assert_int_equal(input_of(b, "id-1", "gpt-5", 10, DAY_1, &layer), 6);
	price_book_free(b);
}

static void
test_price_book__tiers_of_one_layer_are_not_mixed_with_those_of_another(void **state)
{
	struct price_book *b = price_book_new();
	const struct price_row own = row("id-1", "gpt-5.4", 0, 0, 7);
	enum price_layer layer;

	(void)state;
	assert_int_equal(input_of(b, "id-1", "gpt-5.4", 300000, DAY_1, &layer), 5000000);
	price_book_set(b, PRICE_OWN, &own, 1);
	assert_int_equal(input_of(b, "id-1", "gpt-5.4", 300000, DAY_1, &layer), 7);
	assert_int_equal(layer, PRICE_OWN);
	price_book_free(b);
}

static void
test_price_book__the_latest_day_and_the_longest_prompt_count(void **state)
{
	struct price_book *b = price_book_new();
	const struct price_row rows[] = {
		row("id-1", "m", 0, 0, 1), row("id-1", "m", DAY_2, 1000, 5), row("id-1", "m", 0, 1000, 2),
		row("id-1", "m", DAY_2, 0, 4), row("id-1", "m", 0, 2000, 3), row("id-1", "late", DAY_2, 0, 9),
		row("id-1", "m2", 0, 0, 8),
		row("id-1", "m", 0, 0, 99), /* the first of two counts */
	};
	const struct price_row *first;

	(void)state;
	price_book_set(b, PRICE_OWN, rows, sizeof rows / sizeof *rows);
	assert_int_equal(input_of(b, "id-1", "m", -1, DAY_1, NULL), 1);
	assert_int_equal(input_of(b, "id-1", "m", 1000, DAY_1, NULL), 1);
	assert_int_equal(input_of(b, "id-1", "m", 1001, DAY_1, NULL), 2);
	assert_int_equal(input_of(b, "id-1", "m", 2001, DAY_1, NULL), 3);
	assert_int_equal(input_of(b, "id-1", "m", 1000, DAY_2, NULL), 4);
	assert_int_equal(input_of(b, "id-1", "m", 9000, DAY_2, NULL), 5);
	assert_int_equal(input_of(b, "id-1", "late", 1, DAY_2 - 1, NULL), NONE);
	assert_int_equal(input_of(b, "id-1", "late", 1, DAY_2, NULL), 9);
	assert_int_equal(input_of(b, "id-1", "m2", 9000, DAY_2, NULL), 8);
	assert_int_equal(price_book_rows(b, PRICE_OWN, &(struct price_ask){ "id-1", NULL, "m", -1, 0 },
	    &first), 6);
	assert_int_equal(first[0].above, 1000);
	assert_int_equal(first[0].from_ms, DAY_2);
	assert_int_equal(price_book_rows(b, PRICE_BUNDLE, &(struct price_ask){ "id-1", NULL, "m", -1, 0 },
	    &first), 0);
	assert_int_equal(price_book_rows(b, PRICE_BUILT_IN, &(struct price_ask){ "id-1", NULL, "m", -1, 0 },
	    &first), 0);
	price_book_free(b);
}

static void
test_price_book__a_dated_id_costs_what_the_model_does(void **state)
{
	struct price_book *b = price_book_new();
	const struct price_row rows[] = { row("id-1", "m", 0, 0, 1), row("id-1", "m-2026-01-02", 0, 0, 2) };
	const struct price_row *first;

	(void)state;
	price_book_set(b, PRICE_OWN, rows, 2);
	assert_int_equal(input_of(b, "id-1", "m-20260102", 1, DAY_1, NULL), 1);
	assert_int_equal(input_of(b, "id-1", "m-2026-01-02", 1, DAY_1, NULL), 2);
	assert_int_equal(input_of(b, "id-1", "m-2026-01-03", 1, DAY_1, NULL), 1);
	assert_int_equal(input_of(b, "id-1", "m-2026-01-0x", 1, DAY_1, NULL), NONE);
	assert_int_equal(input_of(b, "id-1", "-2026-01-03", 1, DAY_1, NULL), NONE);
	assert_int_equal(input_of(b, "id-1", "", 1, DAY_1, NULL), NONE);
	assert_int_equal(price_book_rows(b, PRICE_OWN,
	    &(struct price_ask){ "id-1", NULL, "m-2026-01-03", -1, 0 }, &first), 1);
	price_book_free(b);
}

static void
test_price_book__knows_which_providers_cost_anything(void **state)
{
	struct price_book *b = price_book_new();
	const struct price_row own = row("id-1", "m", 0, 0, 7);

	(void)state;
	assert_true(price_book_has(b, "id-1", "openai"));
	assert_false(price_book_has(b, "id-1", "open"));
	assert_false(price_book_has(b, "id-1", NULL));
	assert_false(price_book_has(b, NULL, NULL));
	price_book_set(b, PRICE_OWN, &own, 1);
	assert_true(price_book_has(b, "id-1", NULL));
	assert_false(price_book_has(b, "id-2", NULL));
	assert_string_equal(price_book_at(b, PRICE_OWN, 0)->model, "m");
	assert_null(price_book_at(b, PRICE_OWN, 1));
	assert_null(price_book_at(b, PRICE_REFRESHED, 0));
	price_book_free(b);
}

static void
test_price_book__keeps_nothing_of_the_rows_it_was_given(void **state)
{
	struct price_book *b = price_book_new();
	char provider[] = "id-1", model[] = "m";
	struct price_row own = row(provider, model, 0, 0, 7);

	(void)state;
	price_book_set(b, PRICE_OWN, &own, 1);
	memset(provider, 'x', sizeof provider - 1);
	memset(model, 'x', sizeof model - 1);
	own.tariff.input = 8;
	assert_int_equal(input_of(b, "id-1", "m", 1, DAY_1, NULL), 7);
	price_book_free(b);
}

#define MANY 5000
#define LOOKS 20000

static int64_t
processor_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void
test_price_book__five_thousand_rows_are_as_fast_as_a_few(void **state)
{
	struct price_book *b = price_book_new();
	struct price_row *rows = calloc(MANY, sizeof *rows);
	char(*names)[40] = calloc(MANY, sizeof *names);
	int64_t best = INT64_MAX;

	(void)state;
	for (int i = 0; i < MANY; i++) {
		snprintf(names[i], sizeof names[i], "vendor-of-many/model-%d", (i * 7919) % MANY);
		rows[i] = row("openrouter", names[i], 0, 0, i);
	}
	price_book_set(b, PRICE_REFRESHED, rows, MANY);
	for (int round = 0; round < 5; round++) {
		int64_t from = processor_ns();

		for (int i = 0; i < LOOKS; i++) {
			const struct price_ask ask = { NULL, "openrouter", names[i % MANY], 10, DAY_1 };
			const struct price_row *r = price_book_find(b, &ask, NULL);

			assert_int_equal(r->tariff.input, i % MANY);
		}
		from = processor_ns() - from;
		best = from < best ? from : best;
	}
	/* far below what a search row by row takes, sanitizers included */
	print_message("%lld ns a look\n", (long long)(best / LOOKS));
	assert_true(best / LOOKS < 5000);
	price_book_free(b);
	free(rows);
	free(names);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_price_book__the_first_layer_that_knows_the_model_wins),
		cmocka_unit_test(test_price_book__tiers_of_one_layer_are_not_mixed_with_those_of_another),
		cmocka_unit_test(test_price_book__the_latest_day_and_the_longest_prompt_count),
		cmocka_unit_test(test_price_book__a_dated_id_costs_what_the_model_does),
		cmocka_unit_test(test_price_book__knows_which_providers_cost_anything),
		cmocka_unit_test(test_price_book__keeps_nothing_of_the_rows_it_was_given),
		cmocka_unit_test(test_price_book__five_thousand_rows_are_as_fast_as_a_few),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

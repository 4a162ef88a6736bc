#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "server/usage/price_book.h"

#define NOV_22 INT64_C(1795305600000)
#define DEC_1 INT64_C(1796083200000)

/* by the provider; nobody said what it cost */
#define TOLD false, false, COST_UNKNOWN, 0

static void
test_prices__by_hand(void **state)
{
	/* each line: tokens by rate in USD per million, added up with a pencil */
	const struct {
		const char *catalogue, *model;
		int64_t at_ms;
		struct usage usage;
		int64_t microusd; /* -1 = no price */
	} cases[] = {
		/* 1000 x 2.50 + 200 x 10 = 0.0025 + 0.002 */
		{ "openai", "gpt-4o", NOV_22, { 1000, 200, -1, -1, -1, -1, TOLD }, 4500 },
		/* 400 x 2.50 + 600 x 1.25 + 200 x 10 = 0.001 + 0.00075 + 0.002 */
		{ "openai", "gpt-4o", NOV_22, { 1000, 200, 600, -1, 150, -1, TOLD }, 3750 },
		/* dated: 10000 x 1.25 + 1000 x 10 */
		{ "openai", "gpt-5-2025-08-07", NOV_22, { 10000, 1000, 0, 0, 0, -1, TOLD }, 22500 },
		/* 272000 x 2.50 + 1 x 15: still the short tariff */
		{ "openai", "gpt-5.4", NOV_22, { 272000, 1, 0, 0, 0, -1, TOLD }, 680015 },
		/* one more: 272001 x 5 + 1 x 22.50 */
		{ "openai", "gpt-5.4", NOV_22, { 272001, 1, 0, 0, 0, -1, TOLD }, 1360028 },
		/* 10 plain x 3 + 2000 read x 0.30 + 1000 written x 3.75 + 100 x 15 */
		{ "anthropic", "claude-sonnet-4-5", NOV_22, { 3010, 100, 2000, 1000, 0, -1, TOLD },
		    5880 },
		{ "anthropic", "claude-sonnet-4-5-20250929", NOV_22,
		    { 3010, 100, 2000, 1000, 0, -1, TOLD }, 5880 },
		/* the prompt's length counts what was read: 1 x 0.50 + 100000 x 0.05 + 10 x 2.50 */
		{ "anthropic", "claude-haiku-5-5", NOV_22, { 100001, 10, 100000, 0, 0, -1, TOLD }, 5026 },
		{ "anthropic", "claude-haiku-5-5", NOV_22, { 100000, 10, 100000, 0, 0, -1, TOLD }, 1005 },
		/* 1000 x 2 + 100 x 10, and from December 1000 x 4 + 100 x 20 */
		{ "gemini", "gemini-4-argon", DEC_1 - 1, { 1000, 100, 0, -1, 40, -1, TOLD }, 3000 },
		{ "gemini", "gemini-4-argon", DEC_1, { 1000, 100, 0, -1, 40, -1, TOLD }, 6000 },
		/* 200001 x 2.50 + 10 x 15 */
		{ "gemini", "gemini-2.5-pro", NOV_22, { 200001, 10, 0, -1, 0, -1, TOLD }, 500153 },
		/* half a micro-dollar and more is one: 3 x 0.30 + 0 = 0.9 */
		{ "gemini", "gemini-2.5-flash", NOV_22, { 3, 0, 0, -1, 0, -1, TOLD }, 1 },
		{ "qwen", "qwen3.8-max", NOV_22, { 500, 500, -1, -1, -1, -1, TOLD }, 4000 },
		{ "openai", "gpt-nobody", NOV_22, { 1, 1, -1, -1, -1, -1, TOLD }, -1 },
		{ "gemini", "gpt-4o", NOV_22, { 1, 1, -1, -1, -1, -1, TOLD }, -1 },
	};
	struct price_book *book = price_book_new();

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct price_row *r = price_book_find(book, &(struct price_ask){ NULL,
		    cases[i].catalogue, cases[i].model, cases[i].usage.input_tokens, cases[i].at_ms }, NULL);

		assert_int_equal(r != NULL, cases[i].microusd >= 0);
		if (r != NULL && tariff_cost(&r->tariff, &cases[i].usage) != cases[i].microusd)
			fail_msg("%s: %lld, not %lld", cases[i].model,
			    (long long)tariff_cost(&r->tariff, &cases[i].usage),
			    (long long)cases[i].microusd);
	}
	price_book_free(book);
}

static void
F80_test_prices__absurd_counts_cost_neither_less_than_nothing_nor_overflow(void **state)
{
	const struct usage absurd[] = {
		{ INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, -1, TOLD },
		{ INT64_MIN, INT64_MIN, INT64_MIN, -5, -1, -1, TOLD },
		{ 1, 0, 1000, 1000, 0, -1, TOLD }, /* more was cached than there is */
	};
	const struct tariff most = { PRICE_MAX_PICO, PRICE_MAX_PICO, PRICE_MAX_PICO, PRICE_MAX_PICO };
	const struct tariff t = { 10000000, 1000000, 12500000, 50000000 };

	(void)state;
	for (size_t i = 0; i < sizeof absurd / sizeof *absurd; i++)
		assert_true(tariff_cost(&t, &absurd[i]) >= 0);
	/* a thousand million tokens are the most that count, of each kind: 3 x 2000 x 1000 dollars */
	assert_int_equal(tariff_cost(&most, &absurd[0]), INT64_C(6000000000000));
	assert_int_equal(tariff_cost(&t, &absurd[1]), 0);
}

static void
test_prices__every_row_is_a_price(void **state)
{
	size_t count;
	const struct price_row *rows = prices_built_in(&count);

	(void)state;
	assert_true(count > 0);
	for (const struct price_row *r = rows; r < rows + count; r++) {
		assert_true(tariff_valid(&r->tariff));
		assert_true(r->tariff.input > 0 && r->tariff.output >= r->tariff.input);
		assert_true(r->tariff.cache_read > 0 && r->tariff.cache_read <= r->tariff.input);
		assert_true(r->tariff.cache_write >= r->tariff.input);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prices__by_hand),
		cmocka_unit_test(F80_test_prices__absurd_counts_cost_neither_less_than_nothing_nor_overflow),
		cmocka_unit_test(test_prices__every_row_is_a_price),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

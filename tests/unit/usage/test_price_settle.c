/* What a list says, beside the built-in one. */
#include "tests/unit/usage/lists.h"

struct settled {
	struct price_book *book;
	struct reading r;
};

static void
settle(struct settled *s, int64_t date_ms, const char *text)
{
	s->book = price_book_new();
	assert_int_equal(take(&s->r, text), 0);
	price_list_settle(&s->r.list, s->book, date_ms);
	for (size_t i = 0; i < s->r.list.count; i++)
		assert_true(tariff_valid(&s->r.list.rows[i].tariff));
	price_book_set(s->book, PRICE_REFRESHED, s->r.list.rows, s->r.list.count);
}

static void
settled_clear(struct settled *s)
{
	price_list_clear(&s->r.list);
	price_book_free(s->book);
}

static void
assert_price(const struct settled *s, const char *provider, const char *model, int64_t tokens, int64_t at_ms,
    enum price_layer layer, int64_t input, int64_t output)
{
	const struct price_ask ask = { NULL, provider, model, tokens, at_ms };
	enum price_layer found;
	const struct price_row *row = price_book_find(s->book, &ask, &found);

	assert_non_null(row);
	assert_int_equal(row->tariff.input, input);
	assert_int_equal(row->tariff.output, output);
	assert_int_equal(found, layer);
}

#define MODEL(id, prompt, completion) \
	"{'data':[{'id':'" id "','pricing':{'prompt':'" prompt "','completion':'" completion "'}}]}"

static void
test_price_settle__the_same_price_leaves_the_built_in_rows(void **state)
{
	struct settled s;

	(void)state;
	settle(&s, NOV_29, MODEL("openai/gpt-5.4", "0.0000025", "0.000015"));
	assert_int_equal(s.r.list.count, 1); /* the gateway's */
	assert_price(&s, "openai", "gpt-5.4", 272000, NOV_29, PRICE_BUILT_IN, 2500000, 15000000);
	assert_price(&s, "openai", "gpt-5.4", 272001, NOV_29, PRICE_BUILT_IN, 5000000, 22500000);
	settled_clear(&s);
	/* a price that is announced for December still comes */
	settle(&s, NOV_29, MODEL("google/gemini-4-argon", "0.000002", "0.00001"));
	assert_price(&s, "gemini", "gemini-4-argon", 10, NOV_29, PRICE_BUILT_IN, 2000000, 10000000);
	assert_price(&s, "gemini", "gemini-4-argon", 10, DEC_1, PRICE_BUILT_IN, 4000000, 20000000);
	settled_clear(&s);
}

static void
test_price_settle__another_price_keeps_the_tiers_ratio(void **state)
{
	struct settled s;

	(void)state;
	settle(&s, NOV_29, MODEL("openai/gpt-5.4", "0.000002", "0.00002"));
	assert_price(&s, "openai", "gpt-5.4", 272000, NOV_29, PRICE_REFRESHED, 2000000, 20000000);
	assert_price(&s, "openai", "gpt-5.4", 272001, NOV_29, PRICE_REFRESHED, 4000000, 30000000);
	assert_price(&s, "openai", "gpt-5.4", 10, NOV_29 - 1, PRICE_BUILT_IN, 2500000, 15000000);
	/* the cache of which nothing is said is as far from the input as ever: a tenth, and just as dear */
	assert_tariff(row_of(&s.r.list, "openai", "gpt-5.4", 0), 2000000, 200000, 2000000, 20000000);
	assert_tariff(row_of(&s.r.list, "openai", "gpt-5.4", 272000), 4000000, 400000, 4000000, 30000000);
	settled_clear(&s);
	/* rounded upwards: 1000001 pico, and a tier that is five times as dear */
	settle(&s, NOV_29, MODEL("anthropic/claude-haiku-5.5", "0.000001000001", "0.000000000001"));
	assert_price(&s, "anthropic", "claude-haiku-5-5", 100001, NOV_29, PRICE_REFRESHED, 5000005, 5);
	settled_clear(&s);
	/* one and a half times 3 pico */
	settle(&s, NOV_29, MODEL("openai/gpt-5.4", "0.000001", "0.000000000003"));
	assert_price(&s, "openai", "gpt-5.4", 272001, NOV_29, PRICE_REFRESHED, 2000000, 5);
	settled_clear(&s);
}

static void
test_price_settle__tiers_never_overflow(void **state)
{
	struct settled s;

	(void)state;
	settle(&s, NOV_29, MODEL("openai/gpt-5.4", "0.002", "0.002"));
	assert_price(&s, "openai", "gpt-5.4", 272001, NOV_29, PRICE_REFRESHED, PRICE_MAX_PICO,
	    PRICE_MAX_PICO);
	settled_clear(&s);
}

static void
test_price_settle__another_price_until_the_announced_one(void **state)
{
	struct settled s;

	(void)state;
	settle(&s, NOV_29, MODEL("google/gemini-4-argon", "0.0000015", "0.000009"));
	assert_price(&s, "gemini", "gemini-4-argon", 10, DEC_1 - 1, PRICE_REFRESHED, 1500000, 9000000);
	assert_price(&s, "gemini", "gemini-4-argon", 10, DEC_1, PRICE_REFRESHED, 4000000, 20000000);
	settled_clear(&s);
	/* once it is here, what is told is what counts */
	s.book = price_book_new();
	assert_int_equal(take(&s.r, MODEL("google/gemini-4-argon", "0.000003", "0.00002")), 0);
	for (size_t i = 0; i < s.r.list.count; i++)
		s.r.list.rows[i].from_ms = DEC_1 + DAY;
	price_list_settle(&s.r.list, s.book, DEC_1 + DAY);
	price_book_set(s.book, PRICE_REFRESHED, s.r.list.rows, s.r.list.count);
	assert_price(&s, "gemini", "gemini-4-argon", 10, DEC_1, PRICE_BUILT_IN, 4000000, 20000000);
	assert_price(&s, "gemini", "gemini-4-argon", 10, DEC_1 + DAY, PRICE_REFRESHED, 3000000, 20000000);
	settled_clear(&s);
}

static void
test_price_settle__tiers_of_its_own_are_as_told(void **state)
{
	struct settled s;

	(void)state;
	settle(&s, NOV_29, "{'data':[{'id':'openai/gpt-5.4','pricing':{'prompt':'0.0000025','completion':"
	    "'0.000015','overrides':[{'min_prompt_tokens':100000,'prompt':'0.000003'}]}}]}");
	assert_price(&s, "openai", "gpt-5.4", 100000, NOV_29, PRICE_REFRESHED, 2500000, 15000000);
	assert_price(&s, "openai", "gpt-5.4", 300000, NOV_29, PRICE_REFRESHED, 3000000, 15000000);
	settled_clear(&s);
}

static void
test_price_settle__a_dated_model_has_the_tiers_of_its_kind(void **state)
{
	struct settled s;

	(void)state;
	settle(&s, NOV_29, MODEL("openai/gpt-5.4-2026-03-05", "0.0000025", "0.000015"));
	assert_price(&s, "openai", "gpt-5.4-2026-03-05", 272001, NOV_29, PRICE_REFRESHED, 5000000, 22500000);
	assert_price(&s, "openai", "gpt-5.4", 272001, NOV_29, PRICE_BUILT_IN, 5000000, 22500000);
	settled_clear(&s);
}

static void
test_price_settle__an_older_list_says_only_what_is_new(void **state)
{
	struct settled s;

	(void)state;
	settle(&s, PRICES_AS_OF_MS - 1, "{'prices':["
	    "{'provider':'openai','model':'gpt-5.4','input':'9','output':'9'},"
	    "{'provider':'openai','model':'gpt-new','input':'9','output':'9'}]}");
	assert_price(&s, "openai", "gpt-5.4", 10, NOV_29, PRICE_BUILT_IN, 2500000, 15000000);
	assert_price(&s, "openai", "gpt-new", 10, NOV_29, PRICE_REFRESHED, 9000000, 9000000);
	assert_tariff(row_of(&s.r.list, "openai", "gpt-new", 0), 9000000, 9000000, 9000000, 9000000);
	settled_clear(&s);
}

static void
test_price_settle__days_stay_where_prices_do(void **state)
{
	struct reading before, now;

	(void)state;
	assert_int_equal(take(&before, "{'data':["
	    "{'id':'a/same','pricing':{'prompt':'0.000001','completion':'0.000001'}},"
	    "{'id':'b/other','pricing':{'prompt':'0.000001','completion':'0.000001'}},"
	    "{'id':'c/gone','pricing':{'prompt':'0.000001','completion':'0.000001'}}]}"), 0);
	for (size_t i = 0; i < before.list.count; i++)
		before.list.rows[i].from_ms -= 7 * DAY;
	assert_int_equal(take(&now, "{'data':["
	    "{'id':'d/new','pricing':{'prompt':'0.000001','completion':'0.000001'}},"
	    "{'id':'a/same','pricing':{'prompt':'0.000001','completion':'0.000001'}},"
	    "{'id':'b/other','pricing':{'prompt':'0.000002','completion':'0.000001'}}]}"), 0);
	price_list_keep_days(&now.list, &before.list);
	assert_int_equal(row_of(&now.list, "openrouter", "a/same", 0)->from_ms, NOV_29 - 7 * DAY);
	assert_int_equal(row_of(&now.list, "openrouter", "b/other", 0)->from_ms, NOV_29);
	assert_int_equal(row_of(&now.list, "openrouter", "d/new", 0)->from_ms, NOV_29);
	price_list_clear(&before.list);
	price_list_clear(&now.list);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_price_settle__the_same_price_leaves_the_built_in_rows),
		cmocka_unit_test(test_price_settle__another_price_keeps_the_tiers_ratio),
		cmocka_unit_test(test_price_settle__tiers_never_overflow),
		cmocka_unit_test(test_price_settle__another_price_until_the_announced_one),
		cmocka_unit_test(test_price_settle__tiers_of_its_own_are_as_told),
		cmocka_unit_test(test_price_settle__a_dated_model_has_the_tiers_of_its_kind),
		cmocka_unit_test(test_price_settle__an_older_list_says_only_what_is_new),
		cmocka_unit_test(test_price_settle__days_stay_where_prices_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

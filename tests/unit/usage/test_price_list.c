/* OpenRouter's list of models. */
#include "tests/unit/usage/lists.h"

static void
test_price_list__a_model_counts_for_the_gateway_and_its_maker(void **state)
{
	struct reading r;

	(void)state;
	assert_int_equal(take_model(&r, "openai/gpt-9", "'prompt':'0.00000125','completion':'0.00001',"
	    "'input_cache_read':'0.000000125','input_cache_write':'0.0000015625','image':'0',"
	    "'request':'0'"), 0);
	assert_true(r.is_openrouter);
	assert_int_equal(r.list.count, 2);
	assert_int_equal(price_list_models(&r.list), 2);
	assert_tariff(row_of(&r.list, "openrouter", "openai/gpt-9", 0), 1250000, 125000, 1562500, 10000000);
	assert_tariff(row_of(&r.list, "openai", "gpt-9", 0), 1250000, 125000, 1562500, 10000000);
	assert_int_equal(row_of(&r.list, "openai", "gpt-9", 0)->from_ms, NOV_29);
	price_list_clear(&r.list);
}

static void
test_price_list__amounts_are_exact(void **state)
{
	const struct {
		const char *text;
		int64_t pico; /* -1 = no price, -2 = refused */
	} cases[] = {
		{ "'0.00000125'", 1250000 },
		{ "'0.000000000001'", 1 },
		{ "'0.0000000000014'", 1 },
		{ "'0.0000000000015'", 2 },
		{ "'0.0000000000001'", 1 }, /* not for nothing */
		{ "'1e-999999'", 1 },
		{ "'0.00000000000049999999999999999999999'", 1 },
		{ "'1e-7'", 100000 },
		{ "'1.25E-6'", 1250000 },
		{ "0.00000125", 1250000 },
		{ "1.25e-6", 1250000 },
		{ "'0'", 0 },
		{ "'0.000'", 0 },
		{ "'0e99'", 0 },
		{ "'-0'", 0 },
		{ "'0.1000000000000000055e-5'", 1000000 },
		{ "'0.002'", 2000000000 }, /* the most that is believed */
		{ "'0.002000000001'", -2 },
		{ "'1'", -2 },
		{ "'1e999'", -2 },
		{ "'99999999999999999999999999999'", -2 },
		{ "'-1'", -1 },
		{ "-1", -1 },
		{ "'-0.0001'", -1 },
		{ "null", -1 },
		{ "'NaN'", -2 },
		{ "'Infinity'", -2 },
		{ "'-Infinity'", -2 },
		{ "'-'", -2 },
		{ "''", -2 },
		{ "' 0.1e-5'", -2 },
		{ "'0.1e-5 '", -2 },
		{ "'+1e-6'", -2 },
		{ "'.5e-6'", -2 },
		{ "'0x1p-20'", -2 },
		{ "'1,5e-6'", -2 },
		{ "'0.00\\u00310'", -2 },
		{ "true", -2 },
		{ "[]", -2 },
		{ "{}", -2 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *const members[] = { "completion", "prompt" };

		for (size_t k = 0; k < 2; k++) {
			const struct price_row *row;
			struct reading r;
			char pricing[300];

			snprintf(pricing, sizeof pricing, "'%s':'0','%s':%s", members[k],
			    members[1 - k], cases[i].text);
			assert_int_equal(take_model(&r, "some/model", pricing), 0);
			row = row_of(&r.list, "openrouter", "some/model", 0);
			if (row == NULL && cases[i].pico >= 0)
				fail_msg("%s is refused", cases[i].text);
			if (row != NULL && (k == 0 ? row->tariff.input : row->tariff.output) != cases[i].pico)
				fail_msg("%s is %lld", cases[i].text, (long long)row->tariff.input);
			assert_int_equal(r.list.unpriced, cases[i].pico == -1);
			assert_int_equal(r.list.refused, cases[i].pico == -2);
			price_list_clear(&r.list);
		}
	}
}

static void
test_price_list__what_has_no_price_per_token(void **state)
{
	const char *const pricings[] = {
		"",
		"'prompt':'0.000001'",
		"'completion':'0.000001'",
		"'prompt':'0.000001','completion':'-1'",
		"'prompt':'0.000001','completion':'0.000001','request':'0.005'",
		"'prompt':'0.000001','completion':'0.000001','input_cache_read':'-1'",
	};
	struct reading r;

	(void)state;
	for (size_t i = 0; i < sizeof pricings / sizeof *pricings; i++) {
		assert_int_equal(take_model(&r, "openai/gpt-9", pricings[i]), 0);
		assert_int_equal(r.list.count, 0);
		assert_int_equal(r.list.unpriced, 1);
		price_list_clear(&r.list);
	}
	assert_int_equal(take(&r, "{'data':[{'id':'a/b'},{'id':'a/c','pricing':5}]}"), 0);
	assert_int_equal(r.list.unpriced, 2);
	price_list_clear(&r.list);
}

static void
test_price_list__whose_model_it_is(void **state)
{
	const struct {
		const char *id, *provider, *model; /* NULL = the gateway's alone */
	} cases[] = {
		{ "openai/gpt-5.4-mini", "openai", "gpt-5.4-mini" },
		{ "openai/o3", "openai", "o3" },
		{ "openai/gpt-oss-120b", NULL, NULL },
		{ "openai/gpt-5:free", NULL, NULL },
		{ "openai/text-embedding-3-small", NULL, NULL },
		{ "anthropic/claude-opus-4.5", "anthropic", "claude-opus-4-5" },
		{ "anthropic/claude-sonnet-4", "anthropic", "claude-sonnet-4" },
		{ "anthropic/claude-3.7-sonnet", "anthropic", "claude-3-7-sonnet" },
		{ "anthropic/claude-3.7-sonnet:thinking", NULL, NULL },
		{ "google/gemini-2.5-pro", "gemini", "gemini-2.5-pro" },
		{ "google/gemma-3-27b-it", NULL, NULL },
		{ "qwen/qwen3.7-max", "qwen", "qwen3.7-max" },
		{ "qwen/qwen3-coder-plus", "qwen", "qwen3-coder-plus" },
		{ "qwen/qwen3-235b-a22b", NULL, NULL },
		{ "qwen/qwen3-maximal", NULL, NULL },
		{ "deepseek/deepseek-v4", NULL, NULL },
		{ "~openai/gpt-latest", NULL, NULL },
		{ "openai/", NULL, NULL },
		{ "openai", NULL, NULL },
		{ "openrouter/auto", NULL, NULL },
	};
	struct reading r;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(take_model(&r, cases[i].id,
		    "'prompt':'0.000001','completion':'0.000002'"), 0);
		if (r.list.count != (cases[i].provider != NULL ? 2 : 1))
			fail_msg("%s has %zu rows", cases[i].id, r.list.count);
		assert_non_null(row_of(&r.list, "openrouter", cases[i].id, 0));
		if (cases[i].provider != NULL)
			assert_non_null(row_of(&r.list, cases[i].provider, cases[i].model, 0));
		price_list_clear(&r.list);
	}
	/* free at the gateway says nothing of what the maker wants */
	assert_int_equal(take_model(&r, "google/gemini-9-exp", "'prompt':'0','completion':'0'"), 0);
	assert_int_equal(r.list.count, 1);
	price_list_clear(&r.list);
}

static void
test_price_list__a_cache_that_costs_nothing_has_no_price(void **state)
{
	struct reading r;

	(void)state;
	assert_int_equal(take_model(&r, "x/y", "'prompt':'0.000001','completion':'0',"
	    "'input_cache_read':'0','input_cache_write':null"), 0);
	assert_tariff(row_of(&r.list, "openrouter", "x/y", 0), 1000000, PRICE_UNTOLD, PRICE_UNTOLD, 0);
	price_list_clear(&r.list);
	assert_int_equal(take_model(&r, "x/y:free", "'prompt':'0','completion':'0',"
	    "'input_cache_read':'0','input_cache_write':'0'"), 0);
	assert_tariff(row_of(&r.list, "openrouter", "x/y:free", 0), 0, 0, 0, 0);
	price_list_clear(&r.list);
}

static void
test_price_list__tiers_of_its_own(void **state)
{
	const struct {
		const char *overrides;
		size_t rows; /* 0 = refused */
	} cases[] = {
		{ "", 1 },
		{ "{'min_prompt_tokens':272000,'prompt':'0.000004','completion':'0.000015'}", 2 },
		{ "{'min_prompt_tokens':272000,'prompt':'0.000004'},"
		  "{'min_prompt_tokens':500000,'prompt':'0.000008'}", 3 },
		{ "{'min_prompt_tokens':272000,'prompt':'0.000004','utc_start':'0100'}", 1 },
		{ "{'min_prompt_tokens':272000,'prompt':'-1'}", 0 },
		{ "{'min_prompt_tokens':272000,'prompt':'1e9'}", 0 },
		{ "{'min_prompt_tokens':0,'prompt':'0.000004'}", 0 },
		{ "{'min_prompt_tokens':-5,'prompt':'0.000004'}", 0 },
		{ "{'min_prompt_tokens':1e30,'prompt':'0.000004'}", 0 },
		{ "{'prompt':'0.000004'}", 0 },
		{ "5", 0 },
		{ "{'min_prompt_tokens':272000},{'min_prompt_tokens':272000}", 0 },
	};
	struct reading r;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char pricing[1000];

		snprintf(pricing, sizeof pricing, "'prompt':'0.000002','completion':'0.00001',"
		    "'input_cache_read':'0.0000001','overrides':[%s]", cases[i].overrides);
		assert_int_equal(take_model(&r, "x/y", pricing), 0);
		if (r.list.count != cases[i].rows)
			fail_msg("%s: %zu rows", cases[i].overrides, r.list.count);
		assert_int_equal(r.list.refused, cases[i].rows == 0);
		/* twice the input is twice the cache, where nothing else is said */
		if (i == 1)
			assert_tariff(row_of(&r.list, "openrouter", "x/y", 272000), 4000000, 200000,
			    PRICE_UNTOLD, 15000000);
		price_list_clear(&r.list);
	}
}

static void
test_price_list__names_that_cannot_be(void **state)
{
	const char *const ids[] = { "5", "null", "''", "'a b'", "'a\\u0000b'", "'a\\nb'", "'a\\u001b[2J'",
		"'\\u009b31m'", "[]" };
	char text[2000], longer[400];
	struct reading r;

	(void)state;
	for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
		snprintf(text, sizeof text, "{'data':[{'id':%s,'pricing':{'prompt':'0','completion':'0'}},"
		    "{'id':'x/y','pricing':{'prompt':'0','completion':'0'}}]}", ids[i]);
		assert_int_equal(take(&r, text), 0);
		assert_int_equal(r.list.count, 1);
		assert_int_equal(r.list.refused, 1);
		price_list_clear(&r.list);
	}
	memset(longer, 'x', sizeof longer);
	longer[300] = '\0';
	assert_int_equal(take_model(&r, longer, "'prompt':'0','completion':'0'"), 0);
	assert_int_equal(r.list.refused, 1);
	price_list_clear(&r.list);
}

static void
test_price_list__a_model_that_is_there_twice(void **state)
{
	struct reading r;

	(void)state;
	assert_int_equal(take(&r, "{'data':["
	    "{'id':'openai/gpt-9','pricing':{'prompt':'0.001','completion':'0.001'}},"
	    "{'id':'x/y','pricing':{'prompt':'0.001','completion':'0.001'}},"
	    "{'id':'openai/gpt-9','pricing':{'prompt':'0.0001','completion':'0.001'}}]}"), 0);
	assert_int_equal(r.list.count, 1);
	assert_int_equal(r.list.refused, 1);
	assert_non_null(row_of(&r.list, "openrouter", "x/y", 0));
	price_list_clear(&r.list);
}

static void
test_price_list__what_is_no_list(void **state)
{
	const char *const texts[] = { "", " ", "x", "[]", "{}", "null", "{'data':{}}", "{'data':null}",
		"{'data':[", "{'data':[]}x", "<html></html>", "{'error':{'message':'no'}}", "\xff",
		"{'data':'[]'}" };
	struct reading r;
	char *deep;

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		assert_int_equal(take(&r, texts[i]), MP_E_INVALID_PARAMS);
		assert_int_equal(r.problems.count, 1);
		assert_int_equal(r.list.count, 0);
	}
	deep = xcalloc(1, 200001);
	memset(deep, '[', 200000);
	assert_int_equal(take(&r, deep), MP_E_INVALID_PARAMS);
	free(deep);
	/* members that are no models are passed over, and counted */
	assert_int_equal(take(&r, "{'data':[1,null,[],'x',{}]}"), 0);
	assert_int_equal(r.list.refused, 5);
	price_list_clear(&r.list);
}

static void
test_price_list__too_many_and_too_much(void **state)
{
	const struct price_reading how = { NOV_29, NULL };
	struct price_problems ps = { .count = 0 };
	struct price_list l = { .rows = NULL };
	struct buf b = BUF_INIT;

	(void)state;
	buf_adds(&b, "{'data':[");
	for (int i = 0; i < PRICE_LIST_MAX_ROWS + 1; i++)
		buf_addf(&b, "%s{'id':'x/%d','pricing':{'prompt':'0','completion':'0'}}",
		    i > 0 ? "," : "", i);
	buf_adds(&b, "]}");
	for (char *q = b.data; (q = strchr(q, '\'')) != NULL;)
		*q = '"';
	assert_int_equal(price_list_read_openrouter((struct slice){ b.data, b.len }, &how, &l, &ps),
	    MP_E_TOO_LARGE);
	assert_int_equal(l.count, 0);
	while (b.len <= PRICE_LIST_MAX_BYTES)
		buf_adds(&b, "                                                                ");
	assert_int_equal(price_list_read_openrouter((struct slice){ b.data, b.len }, &how, &l, &ps),
	    MP_E_TOO_LARGE);
	assert_int_equal(price_list_read_file((struct slice){ b.data, b.len }, &how, &l, &ps),
	    MP_E_TOO_LARGE);
	assert_int_equal(ps.count, 3);
	buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_price_list__a_model_counts_for_the_gateway_and_its_maker),
		cmocka_unit_test(test_price_list__amounts_are_exact),
		cmocka_unit_test(test_price_list__what_has_no_price_per_token),
		cmocka_unit_test(test_price_list__whose_model_it_is),
		cmocka_unit_test(test_price_list__a_cache_that_costs_nothing_has_no_price),
		cmocka_unit_test(test_price_list__tiers_of_its_own),
		cmocka_unit_test(test_price_list__names_that_cannot_be),
		cmocka_unit_test(test_price_list__a_model_that_is_there_twice),
		cmocka_unit_test(test_price_list__what_is_no_list),
		cmocka_unit_test(test_price_list__too_many_and_too_much),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

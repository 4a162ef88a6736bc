/* Price files, and their mistakes. */
#include "tests/unit/usage/lists.h"

static void
test_price_file__a_price_file(void **state)
{
	struct reading r;

	(void)state;
	assert_int_equal(take(&r, "{'prices':[\n"
	    "{'provider':'openai','model':'gpt-x','input':'1.25','output':'10','cache_read':'0.125',"
	    "'cache_write':'0','valid_from':'2026-12-01'},\n"
	    "{'provider':'openai','model':'gpt-x','input':'2.5','output':'20.000001',"
	    "'valid_from':'2026-12-01','above':272000}]}"), 0);
	assert_false(r.is_openrouter);
	assert_int_equal(r.list.count, 2);
	assert_tariff(row_of(&r.list, "openai", "gpt-x", 0), 1250000, 125000, 0, 10000000);
	assert_tariff(row_of(&r.list, "openai", "gpt-x", 272000), 2500000, PRICE_UNTOLD, PRICE_UNTOLD,
	    20000001);
	assert_int_equal(r.list.rows[0].from_ms, DEC_1);
	price_list_clear(&r.list);
	assert_int_equal(take(&r, "{'prices':[]}"), 0);
	assert_int_equal(r.list.count, 0);
}

static void
test_price_file__every_mistake_is_named_by_its_place(void **state)
{
	const struct {
		const char *row, *says;
	} cases[] = {
		{ "5", "prices[1]: is no object" },
		{ "{'model':'m','input':'1','output':'1'}", "prices[1].provider: is missing" },
		{ "{'provider':'openai','input':'1','output':'1'}", "prices[1].model: is missing" },
		{ "{'provider':'openai','model':'m','output':'1'}", "prices[1].input: is missing" },
		{ "{'provider':'openai','model':'m','input':'1'}", "prices[1].output: is missing" },
		{ "{'provider':'Open AI','model':'m','input':'1','output':'1'}",
		    "prices[1].provider: is no name of a provider" },
		{ "{'provider':'lab','model':'m','input':'1','output':'1'}",
		    "prices[1].provider: \"lab\" is no built-in provider" },
		{ "{'provider':'openai','model':'m m','input':'1','output':'1'}",
		    "prices[1].model: is no name of a model" },
		{ "{'provider':'openai','model':'m','input':1.25,'output':'1'}",
		    "prices[1].input: is a string, USD per million tokens: \"1.25\"" },
		{ "{'provider':'openai','model':'m','input':'-1','output':'1'}",
		    "prices[1].input: is no amount in USD with six decimals at most" },
		{ "{'provider':'openai','model':'m','input':'0.0000001','output':'1'}",
		    "prices[1].input: is no amount in USD with six decimals at most" },
		{ "{'provider':'openai','model':'m','input':'2000.000001','output':'1'}",
		    "prices[1].input: is more than 2000 USD per million tokens" },
		{ "{'provider':'openai','model':'m','input':'1','output':'1','cache_reads':'1'}",
		    "prices[1]: there is no member \"cache_reads\"" },
		{ "{'provider':'openai','model':'m','input':'1','output':'1','valid_from':'2026-02-30'}",
		    "prices[1].valid_from: is no day, as \"2026-12-01\"" },
		{ "{'provider':'openai','model':'m','input':'1','output':'1','valid_from':20261201}",
		    "prices[1].valid_from: is no day, as \"2026-12-01\"" },
		{ "{'provider':'openai','model':'m','input':'1','output':'1','above':0}",
		    "prices[1].above: is no number of tokens from 1 to 1000000000" },
		{ "{'provider':'openai','model':'m','input':'1','output':'1','above':9}",
		    "openai:m tells what prompts above 9 tokens cost, not the others" },
		{ "{'provider':'openai','model':'good','input':'1','output':'1'}",
		    "openai:good is there twice" },
	};
	struct reading r;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[1000];

		snprintf(text, sizeof text, "{'prices': [{'provider':'openai','model':'good','input':'1',"
		    "'output':'2'},\n  %s]}", cases[i].row);
		assert_int_equal(take(&r, text), MP_E_INVALID_PARAMS);
		assert_int_equal(r.problems.count, 1);
		assert_string_equal(r.problems.list[0].message, cases[i].says);
		if (strncmp(cases[i].says, "prices", 6) == 0) {
			assert_int_equal(r.problems.list[0].line, 2);
			assert_true(r.problems.list[0].column >= 3);
		}
		assert_int_equal(r.list.count, 0);
	}
	assert_int_equal(take(&r, "{'prices':[],'version':1}"), MP_E_INVALID_PARAMS);
	assert_string_equal(r.problems.list[0].message, "there is no member \"version\"");
	assert_int_equal(r.problems.list[0].column, 14);
	assert_int_equal(take(&r, "{'prices':[{'provider':1},{'provider':2},{}]}"), MP_E_INVALID_PARAMS);
	assert_int_equal(r.problems.count, 3 * 4);
}

static void
test_price_file__problems_without_end(void **state)
{
	struct buf b = BUF_INIT;
	struct reading r;

	(void)state;
	buf_adds(&b, "{'prices':[0");
	for (int i = 0; i < 5000; i++)
		buf_adds(&b, ",0");
	buf_adds(&b, "]}");
	assert_int_equal(take(&r, buf_str(&b)), MP_E_INVALID_PARAMS);
	assert_int_equal(r.problems.count, PRICE_PROBLEMS_MAX);
	assert_true(r.problems.more > 0);
	buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_price_file__a_price_file),
		cmocka_unit_test(test_price_file__every_mistake_is_named_by_its_place),
		cmocka_unit_test(test_price_file__problems_without_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

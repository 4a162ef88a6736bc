/* OpenRouter's API of keys, on paper. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/base/err.h"
#include "server/dialect/openrouter_keys.h"

static const char created[] =
    "{\"data\":{\"hash\":\"f01d52606dc8f0a8303a7b5cc3fa0710\",\"name\":\"modelpd test 1\",\"label\":"
    "\"sk-or-v1-0e6...1c96\",\"disabled\":false,\"limit\":1,\"limit_remaining\":1,\"limit_reset\":null,"
    "\"include_byok_in_limit\":false,\"usage\":0,\"created_at\":\"2026-11-28T10:30:00Z\","
    "\"updated_at\":null,\"expires_at\":\"2026-11-28T11:05:00Z\"},\"key\":\"sk-or-v1-d3558566a246d57\"}";

static void
test_keys__creating_says_limit_and_end(void **state)
{
	struct wire_request w;

	(void)state;
	openrouter_keys_create("modelpd test 1", 1500000, INT64_C(1795862100999), &w);
	assert_string_equal(w.method, "POST");
	assert_string_equal(w.path, "/keys");
	assert_string_equal(buf_str(&w.body),
	    "{\"name\":\"modelpd test 1\",\"limit\":1.500000,\"expires_at\":\"2026-11-28T10:35:00Z\"}");
	assert_string_equal(w.headers[0].value, "application/json");
	wire_request_clear(&w);
	openrouter_keys_create("n", 1, 0, &w);
	assert_non_null(strstr(buf_str(&w.body), "\"limit\":0.000001,"));
	wire_request_clear(&w);
}

static void
test_keys__the_answer_holds_hash_and_key(void **state)
{
	char hash[OPENROUTER_HASH_BYTES];
	struct slice key = { NULL, 0 };

	(void)state;
	assert_int_equal(openrouter_keys_created(slice_of(created), hash, &key), 0);
	assert_string_equal(hash, "f01d52606dc8f0a8303a7b5cc3fa0710");
	assert_true(slice_eq(key, "sk-or-v1-d3558566a246d57"));
}

static void
test_keys__an_answer_without_them_is_none(void **state)
{
	static const char *const bad[] = {
		"", "{}", "[]", "null", "{\"data\":{\"hash\":\"a\"}}", "{\"key\":\"sk\"}",
		"{\"data\":{\"hash\":\"\"},\"key\":\"sk\"}",
		"{\"data\":{\"hash\":\"a/../b\"},\"key\":\"sk\"}",
		"{\"data\":{\"hash\":\"a?b\"},\"key\":\"sk\"}",
		"{\"data\":{\"hash\":\"a\\u0000\"},\"key\":\"s\"}",
		"{\"data\":{\"hash\":1},\"key\":\"sk\"}", "{\"data\":{\"hash\":\"a\"},\"key\":\"\"}",
		"{\"data\":{\"hash\":\"a\"},\"key\":7}", "{\"data\":[],\"key\":\"sk\"}", "<html>",
	};
	char hash[OPENROUTER_HASH_BYTES];
	struct slice key;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_not_equal(openrouter_keys_created(slice_of(bad[i]), hash, &key), 0);
}

static void
test_keys__a_page_is_searched_by_name(void **state)
{
	static const char page[] =
	    "{\"data\":[{\"hash\":\"aa\",\"name\":\"other\"},{\"hash\":\"bb\",\"name\":\"modelpd test 1\"},"
	    "{\"hash\":\"cc\",\"name\":\"modelpd test 1\"},5,{\"name\":\"x\"}]}";
	char hash[OPENROUTER_HASH_BYTES];
	size_t count = 0;

	(void)state;
	assert_int_equal(openrouter_keys_find(slice_of(page), "modelpd test 1", hash, &count), 0);
	assert_string_equal(hash, "bb");
	assert_int_equal(count, 5);
	assert_int_equal(openrouter_keys_find(slice_of(page), "nobody", hash, &count), 0);
	assert_string_equal(hash, "");
	assert_int_equal(openrouter_keys_find(slice_of("{\"data\":[]}"), "x", hash, &count), 0);
	assert_int_equal(count, 0);
	assert_int_not_equal(openrouter_keys_find(slice_of("{\"data\":{}}"), "x", hash, &count), 0);
	assert_int_not_equal(openrouter_keys_find(slice_of("{"), "x", hash, &count), 0);
}

static void
test_keys__listing_and_deleting(void **state)
{
	struct wire_request w;

	(void)state;
	openrouter_keys_list(200, &w);
	assert_string_equal(w.method, "GET");
	assert_string_equal(w.path, "/keys?offset=200");
	wire_request_clear(&w);
	assert_int_equal(openrouter_keys_delete("f01d52_-Z", &w), 0);
	assert_string_equal(w.method, "DELETE");
	assert_string_equal(w.path, "/keys/f01d52_-Z");
	wire_request_clear(&w);
	assert_int_equal(openrouter_keys_delete("", &w), MP_E_INVALID_PARAMS);
	assert_int_equal(openrouter_keys_delete("../credits", &w), MP_E_INVALID_PARAMS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys__creating_says_limit_and_end),
		cmocka_unit_test(test_keys__the_answer_holds_hash_and_key),
		cmocka_unit_test(test_keys__an_answer_without_them_is_none),
		cmocka_unit_test(test_keys__a_page_is_searched_by_name),
		cmocka_unit_test(test_keys__listing_and_deleting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

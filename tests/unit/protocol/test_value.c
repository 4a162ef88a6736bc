/* test_value.c - the view over values that were read. */
#include "tests/unit/protocol/support.h"

#include <math.h>

static void
test_value__absent_is_harmless(void **state)
{
	const struct value *member = (const struct value *)&state;

	assert_int_equal(value_type(NULL), VALUE_ABSENT);
	assert_int_equal(value_size(NULL), 0);
	assert_null(value_get(NULL, "k"));
	assert_null(value_at(NULL, 0));
	assert_null(value_pair(NULL, 0, &member).data);
	assert_null(member);
	assert_true(value_bool(NULL, true));
	assert_int_equal(value_int(NULL, -5), -5);
	assert_true(value_double(NULL, 0.5) == 0.5);
	assert_int_equal(value_slice(NULL).len, 0);
	assert_null(value_strdup(NULL));
	assert_false(value_equals(NULL, ""));
}

static void
test_value__scalars(void **state)
{
	struct sample s;
	char *copy;

	(void)state;
	sample_begin(&s);
	pack_map_begin(&s.pack);
	pack_kv_int(&s.pack, "plus", LIMIT_INT_MAX);
	pack_kv_int(&s.pack, "minus", -LIMIT_INT_MAX);
	pack_kv_double(&s.pack, "half", 0.5);
	pack_kv_double(&s.pack, "thirty", 30.0);
	pack_kv_bool(&s.pack, "yes", true);
	pack_kv_str(&s.pack, "text", "caf\xc3\xa9");
	pack_str(&s.pack, "nul");
	pack_str_n(&s.pack, "a\0b", 3);
	pack_str(&s.pack, "bin");
	pack_bin(&s.pack, "\xff\x00", 2);
	pack_str(&s.pack, "nil");
	pack_nil(&s.pack);
	pack_map_end(&s.pack);
	sample_read(&s);
	assert_int_equal(value_int(value_get(s.value, "plus"), 0), LIMIT_INT_MAX);
	assert_int_equal(value_int(value_get(s.value, "minus"), 0), -LIMIT_INT_MAX);
	assert_true(value_double(value_get(s.value, "minus"), 0) == -(double)LIMIT_INT_MAX);
	assert_true(value_double(value_get(s.value, "half"), 0) == 0.5);
	assert_int_equal(value_int(value_get(s.value, "half"), -1), -1);
	assert_int_equal(value_int(value_get(s.value, "thirty"), -1), 30);
	assert_true(value_bool(value_get(s.value, "yes"), false));
	assert_true(value_equals(value_get(s.value, "text"), "caf\xc3\xa9"));
	assert_int_equal(value_size(value_get(s.value, "text")), 5);
	copy = value_strdup(value_get(s.value, "text"));
	assert_string_equal(copy, "caf\xc3\xa9");
	free(copy);
	assert_null(value_strdup(value_get(s.value, "nul")));
	assert_int_equal(value_slice(value_get(s.value, "nul")).len, 3);
	assert_null(value_strdup(value_get(s.value, "bin")));
	assert_int_equal(value_slice(value_get(s.value, "bin")).len, 2);
	assert_int_equal(value_type(value_get(s.value, "nil")), VALUE_NIL);
	assert_null(value_get(s.value, "none"));
	assert_null(value_get(s.value, "tex"));
	sample_end(&s);
}

static void
test_value__containers(void **state)
{
	const struct value *member;
	struct sample s;

	(void)state;
	sample_begin(&s);
	pack_map_begin(&s.pack);
	pack_str(&s.pack, "list");
	pack_array_begin(&s.pack);
	pack_int(&s.pack, 1);
	pack_str(&s.pack, "two");
	pack_array_end(&s.pack);
	pack_str(&s.pack, "empty");
	pack_map_begin(&s.pack);
	pack_map_end(&s.pack);
	pack_map_end(&s.pack);
	sample_read(&s);
	assert_int_equal(value_size(s.value), 2);
	assert_true(slice_eq(value_pair(s.value, 0, &member), "list"));
	assert_int_equal(value_size(member), 2);
	assert_true(value_equals(value_at(member, 1), "two"));
	assert_null(value_at(member, 2));
	assert_true(slice_eq(value_pair(s.value, 1, NULL), "empty"));
	assert_int_equal(value_size(value_get(s.value, "empty")), 0);
	assert_null(value_pair(s.value, 2, &member).data);
	assert_null(member);
	sample_end(&s);
}

static void
test_value__as_json(void **state)
{
	struct buf text = BUF_INIT;
	struct json_writer w;
	struct sample s;

	(void)state;
	sample_begin(&s);
	pack_map_begin(&s.pack);
	pack_kv_int(&s.pack, "big", LIMIT_INT_MAX);
	pack_kv_int(&s.pack, "neg", -1);
	pack_kv_double(&s.pack, "half", 0.5);
	pack_kv_bool(&s.pack, "no", false);
	pack_kv_str(&s.pack, "text", "a\"b");
	pack_str(&s.pack, "bin");
	pack_bin(&s.pack, "\xff\x00", 2);
	pack_str(&s.pack, "list");
	pack_array_begin(&s.pack);
	pack_nil(&s.pack);
	pack_map_begin(&s.pack);
	pack_map_end(&s.pack);
	pack_array_end(&s.pack);
	pack_map_end(&s.pack);
	sample_read(&s);
	json_writer_init(&w, &text, false);
	value_to_json(s.value, &w);
	assert_string_equal(buf_str(&text),
	    "{\"big\":9007199254740991,\"neg\":-1,\"half\":0.5,\"no\":false,\"text\":\"a\\\"b\","
	    "\"bin\":\"/wA=\",\"list\":[null,{}]}");
	buf_clear(&text);
	sample_end(&s);
}

static void
test_value__type_names(void **state)
{
	(void)state;
	assert_string_equal(value_type_name(VALUE_STR), "str");
	assert_string_equal(value_type_name(VALUE_ARRAY), "list");
	assert_string_equal(value_type_name(VALUE_ABSENT), "absent");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_value__absent_is_harmless),
		cmocka_unit_test(test_value__scalars),
		cmocka_unit_test(test_value__containers),
		cmocka_unit_test(test_value__as_json),
		cmocka_unit_test(test_value__type_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

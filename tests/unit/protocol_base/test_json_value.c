#include "common.h"

#include "protocol/base/err.h"
#include "protocol/base/json.h"

/* One reader for all tests, as the daemon's; a test reads what it needs. */
static struct json j;

static void
read_text(const char *text)
{
	if (json_read(&j, text, strlen(text), JSON_STRICT) != 0)
		fail_msg("%s: %s at %zu", text, j.problem, j.problem_offset);
}

static int
forget(void **state)
{
	(void)state;
	json_clear(&j);
	return 0;
}

static void
test_json_value__types(void **state)
{
	static const enum json_type types[] = { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER,
		JSON_STRING, JSON_ARRAY, JSON_OBJECT };
	uint32_t i, k, at;

	(void)state;
	read_text("[null,false,true,0,\"\",[],{}]");
	assert_int_equal(json_size(&j, 0), 7);
	for (i = 0; i < 7; i++) {
		at = json_item(&j, 0, i);
		assert_int_equal(json_type(&j, at), types[i]);
		for (k = 0; k < 7; k++)
			assert_int_equal(json_is(&j, at, types[k]), i == k);
		assert_int_equal(json_first(&j, at), JSON_NONE);
		assert_int_equal(json_size(&j, at), 0);
	}
	assert_int_equal(json_item(&j, 0, 7), JSON_NONE);
	assert_int_equal(json_next(&j, at), JSON_NONE);
	assert_int_equal(json_next(&j, 0), JSON_NONE);
}

static void
test_json_value__absent_behaves_as_null(void **state)
{
	struct buf b = BUF_INIT;
	struct slice s;
	uint32_t pending = 0;
	int64_t i;
	double d;
	bool yes;

	(void)state;
	read_text("{\"a\":1}");
	assert_int_equal(json_get(&j, json_get(&j, JSON_NONE, "x"), "y"), JSON_NONE);
	assert_int_equal(json_path(&j, 0, "a", "b", "c"), JSON_NONE);
	assert_int_equal(json_type(&j, JSON_NONE), JSON_NULL);
	assert_int_equal(json_size(&j, JSON_NONE), 0);
	assert_int_equal(json_first(&j, JSON_NONE), JSON_NONE);
	assert_int_equal(json_next(&j, JSON_NONE), JSON_NONE);
	assert_int_equal(json_value(&j, JSON_NONE), JSON_NONE);
	assert_int_equal(json_value(&j, 0), JSON_NONE);
	assert_int_equal(json_item(&j, JSON_NONE, 0), JSON_NONE);
	assert_int_equal(json_raw(&j, JSON_NONE).len, 0);
	assert_false(json_plain(&j, JSON_NONE, &s));
	assert_false(json_equals(&j, JSON_NONE, ""));
	assert_null(json_strdup(&j, JSON_NONE, 100));
	assert_false(json_int(&j, JSON_NONE, &i));
	assert_false(json_double(&j, JSON_NONE, &d));
	assert_false(json_decimal(&j, JSON_NONE, 0, &i));
	assert_false(json_bool(&j, JSON_NONE, &yes));
	assert_int_equal(json_string(&j, JSON_NONE, &b), 0);
	assert_int_equal(json_string_piece(&j, JSON_NONE, &pending, &b), 0);
	assert_int_equal(b.len, 0);
	assert_true(json_read(&j, "[", 1, JSON_STRICT) != 0);
	assert_int_equal(json_first(&j, 0), JSON_NONE);
	buf_clear(&b);
}

static void
test_json_value__walking_an_object(void **state)
{
	static const char *const keys[] = { "a", "b", "c", "d" };
	uint32_t key, i = 0;

	(void)state;
	read_text("{\"a\":1,\"b\":{\"x\":[1,{\"y\":2}]},\"c\":[[],[1,2]],\"d\":null}");
	assert_int_equal(json_size(&j, 0), 4);
	for (key = json_first(&j, 0); key != JSON_NONE; key = json_next(&j, key)) {
		assert_true(json_equals(&j, key, keys[i]));
		assert_int_equal(json_get(&j, 0, keys[i]), json_value(&j, key));
		assert_int_equal(json_next(&j, json_value(&j, key)), JSON_NONE);
		i++;
	}
	assert_int_equal(i, 4);
	assert_int_equal(json_size(&j, json_get(&j, 0, "c")), 2);
	assert_true(json_is(&j, json_path(&j, 0, "b", "x"), JSON_ARRAY));
	assert_true(json_is(&j, json_get(&j, json_item(&j, json_path(&j, 0, "b", "x"), 1),
		"y"),
	    JSON_NUMBER));
	assert_int_equal(json_get(&j, 0, "x"), JSON_NONE);
	assert_int_equal(json_get(&j, json_get(&j, 0, "c"), "x"), JSON_NONE);
}

static void
test_json_value__keys_are_found_unescaped(void **state)
{
	int64_t v;

	(void)state;
	read_text("{\"\\u0061\":1,\"a\\u0000b\":2,\"\\u00e9 longer than a word\":3,\"\":4}");
	assert_true(json_int(&j, json_get(&j, 0, "a"), &v) && v == 1);
	assert_true(json_int(&j, json_get(&j, 0, "\xc3\xa9 longer than a word"), &v) && v == 3);
	assert_true(json_int(&j, json_get(&j, 0, ""), &v) && v == 4);
}

static void
test_json_value__F80_the_last_of_equal_keys_wins_when_asked(void **state)
{
	static const char text[] = "{\"a\":1,\"b\":2,\"\\u0061\":3,\"c\":{\"a\":4,\"a\":5}}";
	int64_t v;

	(void)state;
	assert_int_equal(json_read(&j, text, sizeof text - 1, JSON_LAST_KEY_WINS), 0);
	assert_true(json_int(&j, json_get(&j, 0, "a"), &v) && v == 3);
	assert_true(json_int(&j, json_path(&j, 0, "c", "a"), &v) && v == 5);
	assert_int_equal(json_size(&j, 0), 4);
}

static void
test_json_value__raw_bytes_can_be_spliced(void **state)
{
	(void)state;
	read_text(" {\"model\" : \"a\\u0062\", \"n\":[ 1,2 ] } ");
	assert_true(slice_eq(json_raw(&j, json_get(&j, 0, "model")), "\"a\\u0062\""));
	assert_true(slice_eq(json_raw(&j, json_get(&j, 0, "n")), "[ 1,2 ]"));
	assert_true(slice_eq(json_raw(&j, 0), "{\"model\" : \"a\\u0062\", \"n\":[ 1,2 ] }"));
	assert_ptr_equal(json_raw(&j, 0).data, j.text + 1);
}

static void
test_json_value__strings_are_unescaped(void **state)
{
	static const struct {
		const char *text, *bytes;
		size_t len;
	} rows[] = {
#define ROW(text, bytes) { text, bytes, sizeof(bytes) - 1 }
		ROW("\"\"", ""),
		ROW("\"plain text of more than a word\"", "plain text of more than a word"),
		ROW("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"),
		ROW("\"a\\u0000b\"", "a\0b"),
		ROW("\"\\u0041\\u00e9\\u20AC\\uffff\"", "A\xc3\xa9\xe2\x82\xac\xef\xbf\xbf"),
		ROW("\"\\u007f\\u0080\\u07ff\\u0800\"", "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80"),
		ROW("\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80"),
		ROW("\"\\uD800\\uDC00\\uDBFF\\uDFFF\"", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"),
		ROW("\"\\ud83d\"", "\xef\xbf\xbd"),
		ROW("\"\\ude00x\"", "\xef\xbf\xbdx"),
		ROW("\"\\ud83d\\u0041\"", "\xef\xbf\xbd" "A"),
		ROW("\"\\ud83d\\n\"", "\xef\xbf\xbd\n"),
		ROW("\"\\ud83d\\ud83d\\ude00\"", "\xef\xbf\xbd\xf0\x9f\x98\x80"),
		ROW("\"\\ude00\\ud83d\"", "\xef\xbf\xbd\xef\xbf\xbd"),
		ROW("\"longer \\n than \\t words\\\\, and on it goes\"",
		    "longer \n than \t words\\, and on it goes"),
#undef ROW
	};
	struct buf b = BUF_INIT;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		read_text(rows[i].text);
		buf_adds(&b, "+");
		assert_int_equal(json_string(&j, 0, &b), 0);
		buf_drain(&b, 1);
		assert_buf(&b, rows[i].bytes, rows[i].len);
	}
	buf_clear(&b);
}

static void
test_json_value__a_string_fits_the_ceiling_by_its_unescaped_size(void **state)
{
	struct buf b;

	(void)state;
	read_text("\"\\u0041\\u0042\\u0043\"");
	buf_init(&b, 3);
	assert_int_equal(json_string(&j, 0, &b), 0);
	assert_string_equal(buf_str(&b), "ABC");
	buf_clear(&b);
	buf_init(&b, 2);
	assert_int_equal(json_string(&j, 0, &b), MP_E_TOO_LARGE);
	assert_int_equal(b.len, 0);
	buf_clear(&b);
}

static void
test_json_value__F78_pairs_split_over_pieces_join(void **state)
{
	static const struct {
		const char *pieces[4], *text;
	} rows[] = {
		{ { "\"a\\ud83d\"", "\"\\ude00b\"" }, "a\xf0\x9f\x98\x80" "b" },
		{ { "\"\\ud83d\"", "\"\"", "\"\\ude00\"" }, "\xf0\x9f\x98\x80" },
		{ { "\"\\ud83d\"", "\"x\"" }, "\xef\xbf\xbdx" },
		{ { "\"\\ud83d\"", "\"\\n\"" }, "\xef\xbf\xbd\n" },
		{ { "\"\\ud83d\"", "\"\\ud83d\"", "\"\\ude00\"" }, "\xef\xbf\xbd\xf0\x9f\x98\x80" },
		{ { "\"\\ud83d\"", "\"\\ud83d\\ude00\"" }, "\xef\xbf\xbd\xf0\x9f\x98\x80" },
		{ { "\"\\ude00\"", "\"\\ud83d\"" }, "\xef\xbf\xbd\xef\xbf\xbd" },
		{ { "\"\\ud83dx\"", "\"\\ude00\"" }, "\xef\xbf\xbdx\xef\xbf\xbd" },
		{ { "\"\\ud83d\"", "\"\\ude00\\ud83d\"", "\"\\ude00\"" },
		    "\xf0\x9f\x98\x80\xf0\x9f\x98\x80" },
		{ { "\"plain\"", "\" text\"" }, "plain text" },
		{ { "\"\\ud83d\"" }, "\xef\xbf\xbd" },
	};
	struct buf b = BUF_INIT;
	uint32_t pending = 0;
	size_t i, k;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		for (k = 0; k < 4 && rows[i].pieces[k] != NULL; k++) {
			read_text(rows[i].pieces[k]);
			assert_int_equal(json_string_piece(&j, 0, &pending, &b), 0);
			assert_true(utf8_valid(buf_str(&b), b.len));
		}
		assert_int_equal(json_flush_pending(&pending, &b), 0);
		assert_int_equal(pending, 0);
		assert_buf_text(&b, rows[i].text);
	}
	buf_clear(&b);
}

static void
test_json_value__plain_strings_are_pieces_of_the_text(void **state)
{
	struct slice s;

	(void)state;
	read_text("[\"abc\",\"a\\n\",1]");
	assert_true(json_plain(&j, json_item(&j, 0, 0), &s));
	assert_true(slice_eq(s, "abc"));
	assert_ptr_equal(s.data, j.text + 2);
	assert_false(json_plain(&j, json_item(&j, 0, 1), &s));
	assert_false(json_plain(&j, json_item(&j, 0, 2), &s));
}

static void
test_json_value__equals_compares_unescaped(void **state)
{
	(void)state;
	read_text("[\"abc\",\"\\u0061bc\",\"a\\u0000\",\"\",1]");
	assert_true(json_equals(&j, json_item(&j, 0, 0), "abc"));
	assert_true(json_equals(&j, json_item(&j, 0, 1), "abc"));
	assert_false(json_equals(&j, json_item(&j, 0, 1), "ab"));
	assert_false(json_equals(&j, json_item(&j, 0, 1), "abcd"));
	assert_false(json_equals(&j, json_item(&j, 0, 2), "a"));
	assert_true(json_equals(&j, json_item(&j, 0, 3), ""));
	assert_false(json_equals(&j, json_item(&j, 0, 4), "1"));
}

static void
test_json_value__copies_have_a_limit_and_no_nul(void **state)
{
	char *copy;

	(void)state;
	read_text("[\"\\u0061bc\",\"a\\u0000b\",\"\",7]");
	copy = json_strdup(&j, json_item(&j, 0, 0), 3);
	assert_string_equal(copy, "abc");
	free(copy);
	assert_null(json_strdup(&j, json_item(&j, 0, 0), 2));
	assert_null(json_strdup(&j, json_item(&j, 0, 1), 100));
	copy = json_strdup(&j, json_item(&j, 0, 2), 0);
	assert_string_equal(copy, "");
	free(copy);
	assert_null(json_strdup(&j, json_item(&j, 0, 3), 100));
}

static void
test_json_value__booleans(void **state)
{
	bool yes = false;

	(void)state;
	read_text("[true,false,null,1]");
	assert_true(json_bool(&j, 1, &yes) && yes);
	assert_true(json_bool(&j, 2, &yes) && !yes);
	assert_false(json_bool(&j, 3, &yes));
	assert_false(json_bool(&j, 4, &yes));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json_value__types),
		cmocka_unit_test(test_json_value__absent_behaves_as_null),
		cmocka_unit_test(test_json_value__walking_an_object),
		cmocka_unit_test(test_json_value__keys_are_found_unescaped),
		cmocka_unit_test(test_json_value__F80_the_last_of_equal_keys_wins_when_asked),
		cmocka_unit_test(test_json_value__raw_bytes_can_be_spliced),
		cmocka_unit_test(test_json_value__strings_are_unescaped),
		cmocka_unit_test(test_json_value__a_string_fits_the_ceiling_by_its_unescaped_size),
		cmocka_unit_test(test_json_value__F78_pairs_split_over_pieces_join),
		cmocka_unit_test(test_json_value__plain_strings_are_pieces_of_the_text),
		cmocka_unit_test(test_json_value__equals_compares_unescaped),
		cmocka_unit_test(test_json_value__copies_have_a_limit_and_no_nul),
		cmocka_unit_test(test_json_value__booleans),
	};

	return cmocka_run_group_tests(tests, NULL, forget);
}

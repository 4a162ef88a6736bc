#include "common.h"

#include "protocol/base/err.h"
#include "protocol/base/json.h"

static void
write_sample(struct json_writer *w)
{
	json_begin_object(w);
	json_kv_string(w, "text", "a\"b");
	json_kv_string(w, "absent", NULL);
	json_kv_int(w, "int", INT64_MIN);
	json_kv_bool(w, "yes", true);
	json_key(w, "list");
	json_begin_array(w);
	json_put_uint(w, UINT64_MAX);
	json_put_null(w);
	json_put_bool(w, false);
	json_begin_array(w);
	json_end_array(w);
	json_begin_object(w);
	json_end_object(w);
	json_put_raw(w, "1.10", 4);
	json_end_array(w);
	json_key_n(w, "a\0b", 3);
	json_put_string_n(w, "\0", 1);
	json_end_object(w);
}

static void
test_json_write__compact(void **state)
{
	struct buf b = BUF_INIT;
	struct json_writer w;

	(void)state;
	json_writer_init(&w, &b, false);
	write_sample(&w);
	assert_buf_text(&b,
	    "{\"text\":\"a\\\"b\",\"int\":-9223372036854775808,\"yes\":true,"
	    "\"list\":[18446744073709551615,null,false,[],{},1.10],\"a\\u0000b\":\"\\u0000\"}");
	buf_clear(&b);
}

static void
test_json_write__pretty(void **state)
{
	struct buf b = BUF_INIT;
	struct json_writer w;

	(void)state;
	json_writer_init(&w, &b, true);
	write_sample(&w);
	assert_buf_text(&b,
	    "{\n"
	    "  \"text\": \"a\\\"b\",\n"
	    "  \"int\": -9223372036854775808,\n"
	    "  \"yes\": true,\n"
	    "  \"list\": [\n"
	    "    18446744073709551615,\n"
	    "    null,\n"
	    "    false,\n"
	    "    [],\n"
	    "    {},\n"
	    "    1.10\n"
	    "  ],\n"
	    "  \"a\\u0000b\": \"\\u0000\"\n"
	    "}");
	buf_clear(&b);
}

static void
test_json_write__a_root_may_be_anything(void **state)
{
	struct buf b = BUF_INIT;
	struct json_writer w;

	(void)state;
	json_writer_init(&w, &b, false);
	json_put_string(&w, "x");
	assert_buf_text(&b, "\"x\"");
	json_writer_init(&w, &b, true);
	json_put_int(&w, -7);
	assert_buf_text(&b, "-7");
	buf_clear(&b);
}

static void
test_json_write__strings_are_escaped(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *text;
	} rows[] = {
#define ROW(bytes, text) { bytes, sizeof(bytes) - 1, text }
		ROW("", "\"\""),
		ROW("\"\\/\b\f\n\r\t", "\"\\\"\\\\/\\b\\f\\n\\r\\t\""),
		ROW("\0\x01\x0b\x1f\x7f", "\"\\u0000\\u0001\\u000b\\u001f\x7f\""),
		ROW("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xe2\x80\xa8",
		    "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xe2\x80\xa8\""),
		ROW("a\xff" "b", "\"a\xef\xbf\xbd" "b\""),
		ROW("\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\""),
		ROW("\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""),
		ROW("\xf0\x9f\x98", "\"\xef\xbf\xbd\""),
		ROW("more than one word, a \"quoted\" one\n and \xe2\x82",
		    "\"more than one word, a \\\"quoted\\\" one\\n and \xef\xbf\xbd\""),
#undef ROW
	};
	struct buf b = BUF_INIT;
	struct json_writer w;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		json_writer_init(&w, &b, false);
		json_put_string_n(&w, rows[i].bytes, rows[i].len);
		assert_buf_text(&b, rows[i].text);
	}
	buf_clear(&b);
}

/* Every byte after every length of plain text, into buffers that start without room. */
static void
test_json_write__any_byte_at_any_place_comes_back(void **state)
{
	struct buf b = BUF_INIT, back = BUF_INIT;
	struct json j = JSON_INIT;
	struct json_writer w;
	char text[40];
	size_t before;
	int c;

	(void)state;
	for (before = 0; before < 20; before++) {
		for (c = 0; c < 0x80; c++) {
			memset(text, 'x', sizeof text);
			text[before] = (char)c;
			json_writer_init(&w, &b, false);
			json_put_string_n(&w, text, 20);
			assert_int_equal(json_read(&j, b.data, b.len, JSON_STRICT), 0);
			assert_int_equal(json_string(&j, 0, &back), 0);
			assert_buf(&back, text, 20);
			buf_clear(&b);
		}
	}
	buf_clear(&back);
	json_clear(&j);
}

static void
test_json_write__text_of_escapes_only_grows_as_it_must(void **state)
{
	char text[3000];
	struct buf b = BUF_INIT;
	struct json_writer w;

	(void)state;
	memset(text, 1, sizeof text);
	json_writer_init(&w, &b, false);
	json_put_string_n(&w, text, sizeof text);
	assert_int_equal(b.len, 6 * sizeof text + 2);
	assert_memory_equal(b.data + b.len - 7, "\\u0001\"", 7);
	buf_clear(&b);
}

static void
test_json_write__fills_the_ceiling_exactly(void **state)
{
	static const char text[] = "a\nb\x01" "c \xff word of text";
	static const char whole[] = "\"a\\nb\\u0001c \xef\xbf\xbd word of text\"";
	struct json_writer w;
	struct buf b;
	size_t max;

	(void)state;
	for (max = 1; max < sizeof whole + 20; max++) {
		bool fits = max >= sizeof whole - 1;

		buf_init(&b, max);
		json_writer_init(&w, &b, false);
		json_put_string_n(&w, text, sizeof text - 1);
		assert_int_equal(b.failed, !fits);
		assert_true(b.len <= max);
		if (fits)
			assert_buf_text(&b, whole);
		buf_clear(&b);
	}
}

static void
test_json_write__strings_in_parts(void **state)
{
	struct buf b = BUF_INIT;
	struct json_writer w;

	(void)state;
	json_writer_init(&w, &b, false);
	json_begin_array(&w);
	json_begin_string(&w);
	json_string_part(&w, "data:", 5);
	json_string_part(&w, "\"", 1);
	json_string_part_base64(&w, "foobar", 6);
	json_string_part_base64(&w, "f", 1);
	json_end_string(&w);
	json_put_int(&w, 1);
	json_end_array(&w);
	assert_buf_text(&b, "[\"data:\\\"Zm9vYmFyZg==\",1]");
	buf_clear(&b);
}

static void
test_json_write__as_deep_as_the_reader(void **state)
{
	struct json j = JSON_INIT;
	struct buf b = BUF_INIT;
	struct json_writer w;
	int i;

	(void)state;
	json_writer_init(&w, &b, false);
	for (i = 0; i < JSON_MAX_DEPTH; i++) {
		if (i % 2 == 0) {
			json_begin_array(&w);
			json_put_int(&w, i);
		} else {
			json_begin_object(&w);
			json_key(&w, "k");
		}
	}
	json_put_null(&w);
	for (i = JSON_MAX_DEPTH; i-- > 0;) {
		if (i % 2 == 0)
			json_end_array(&w);
		else
			json_end_object(&w);
	}
	assert_int_equal(json_read(&j, b.data, b.len, JSON_STRICT), 0);
	json_clear(&j);
	buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json_write__compact),
		cmocka_unit_test(test_json_write__pretty),
		cmocka_unit_test(test_json_write__a_root_may_be_anything),
		cmocka_unit_test(test_json_write__strings_are_escaped),
		cmocka_unit_test(test_json_write__any_byte_at_any_place_comes_back),
		cmocka_unit_test(test_json_write__text_of_escapes_only_grows_as_it_must),
		cmocka_unit_test(test_json_write__fills_the_ceiling_exactly),
		cmocka_unit_test(test_json_write__strings_in_parts),
		cmocka_unit_test(test_json_write__as_deep_as_the_reader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

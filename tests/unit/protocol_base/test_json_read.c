#include "common.h"

#include <stdio.h>

#include "protocol/base/err.h"
#include "protocol/base/json_token.h"
#include "protocol/base/scan.h"

#define ROW(text) { text, sizeof(text) - 1 }
struct row {
	const char *text;
	size_t len;
};

/* Reads from a block of exactly that size, so that a byte read too far is seen. */
static int
read_exactly(struct json *j, const char *text, size_t n, enum json_flags flags)
{
	char *copy = malloc(n > 0 ? n : 1);
	int r;

	memcpy(copy, text, n);
	r = json_read(j, copy, n, flags);
	j->text = NULL;
	free(copy);
	return r;
}

static const struct row valid[] = {
	ROW("{}"), ROW("[]"), ROW("\"\""), ROW("0"), ROW("null"), ROW("true"), ROW("false"),
	ROW(" \t\r\n{ \"a\" : [ 1 , 2 ] } \n"), ROW("[[],{},[[]],\"\",0]"), ROW("{\"\":0}"),
	ROW("-0"), ROW("-1"), ROW("0.0"), ROW("1.5e10"), ROW("1E+2"), ROW("1e-2"), ROW("-0.0e-0"),
	ROW("123456789012345678901234567890"), ROW("1e99999"), ROW("[1e400,-1e-400]"),
	ROW("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), ROW("\"\\u0000\\u001f\\uABCD\\uabcd\""),
	ROW("\"\\ud83d\\ude00\""), ROW("\"\\ud83d\""), ROW("\"\\ude00\\ud83d\""),
	ROW("\"\x7f\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xe2\x80\xa8\""),
	ROW("{\"a\":1,\"A\":2,\"a \":3,\"\\u00e1\":4}"), ROW("{\"a\\u0000\":1,\"a\":2}"),
};

static const struct row invalid[] = {
	ROW(""), ROW(" "), ROW("\0"), ROW("{}\0"), ROW("\xef\xbb\xbf{}"), ROW("{} {}"), ROW("1 2"),
		ROW("]"),
	ROW("}"), ROW(","), ROW(":"), ROW("[1,]"), ROW("[,1]"), ROW("[1,,2]"), ROW("[1 2]"),
		ROW("[1:2]"),
	ROW("[1}"), ROW("{\"a\":1]"), ROW("{,}"), ROW("{\"a\"}"), ROW("{\"a\":}"), ROW("{\"a\" 1}"),
	ROW("{\"a\",1}"), ROW("{\"a\":1,}"), ROW("{\"a\":1 \"b\":2}"), ROW("{a:1}"), ROW("{1:2}"),
	ROW("{null:1}"), ROW("{'a':1}"), ROW("['a']"), ROW("{\"a\"::1}"), ROW("{\"a\":1:2}"),
		ROW("{[]:1}"),
	ROW("nul"), ROW("nulll"), ROW("True"), ROW("NULL"), ROW("tru e"), ROW("NaN"),
		ROW("Infinity"),
	ROW("-Infinity"), ROW("undefined"), ROW("+1"), ROW("01"), ROW("-01"), ROW("00"), ROW("1."),
		ROW(".5"),
	ROW("-.5"), ROW("1.e5"), ROW("1e"), ROW("1e+"), ROW("1.5e-"), ROW("-"), ROW("--1"),
		ROW("0x1"),
	ROW("1_000"), ROW("1,5"), ROW("1a"), ROW("0.5.5"), ROW("1e5.5"), ROW("[-]"), ROW("[1e]"),
		ROW("\""),
	ROW("\"a"), ROW("\"\\\""), ROW("\"\\"), ROW("\"\\x41\""), ROW("\"\\a\""), ROW("\"\\'\""),
	ROW("\"\\U0041\""), ROW("\"\\u\""), ROW("\"\\u12\""), ROW("\"\\u123\""), ROW("\"\\u12g4\""),
	ROW("\"\\u+123\""), ROW("\"\\u 123\""), ROW("\"\\u123"), ROW("\"a\nb\""), ROW("\"a\tb\""),
		ROW("\"\0\""),
	ROW("\"\x1f\""), ROW("\"\x80\""), ROW("\"\xc0\xaf\""), ROW("\"\xc3\""), ROW("\"\xe2\x82\""),
	ROW("\"\xed\xa0\x80\""), ROW("\"\xf4\x90\x80\x80\""), ROW("\"\xff\""),
		ROW("\"abcdefgh\x01\""),
	ROW("\"abcdefg\x01\""), ROW("{\"\xff\":1}"), ROW("\xc3\xa9"), ROW("[1]/**/"), ROW("//\n1"),
		ROW("#1"),
	ROW("\xc2\xa0" "1"), ROW("\v1"), ROW("\f1"), ROW("[1\0]"), ROW("1\0"),
};

static void
test_json_read__valid_texts(void **state)
{
	struct json j = JSON_INIT;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(valid); i++) {
		if (read_exactly(&j, valid[i].text, valid[i].len, JSON_STRICT) != 0)
			fail_msg("%s: %s at %zu", valid[i].text, j.problem, j.problem_offset);
		assert_null(j.problem);
	}
	json_clear(&j);
}

static void
test_json_read__invalid_texts(void **state)
{
	struct json j = JSON_INIT;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(invalid); i++) {
		int r = read_exactly(&j, invalid[i].text, invalid[i].len, JSON_STRICT);

		if (r != MP_E_INVALID_PARAMS)
			fail_msg("%s: %d", invalid[i].text, r);
		assert_non_null(j.problem);
		assert_true(j.problem_offset <= invalid[i].len);
		assert_int_equal(j.count, 0);
	}
	json_clear(&j);
}

static const char sample[] =
    "{\"id\":\"chatcmpl-1\",\"n\":[1,-2.5e3,true,false,null,{}],\"delta\":{\"content\":"
    "\" a \\\"b\\\" \\u00e9\\ud83d\\ude00 \xe2\x86\x92 longer than a word\"},\"usage\":[]}";

static void
test_json_read__no_beginning_is_a_text(void **state)
{
	struct json j = JSON_INIT;
	size_t cut;

	(void)state;
	for (cut = 0; cut < sizeof sample - 1; cut++) {
		if (read_exactly(&j, sample, cut, JSON_STRICT) != MP_E_INVALID_PARAMS)
			fail_msg("cut to %zu bytes", cut);
	}
	assert_int_equal(read_exactly(&j, sample, cut, JSON_STRICT), 0);
	json_clear(&j);
}

/* The scanning goes by words: a hit must be found at every place of a word, and of the tail. */
static void
test_json_read__special_bytes_at_every_place(void **state)
{
	static const char *const refused[] = { "\x01", "\x1f", "\"", "\\", "\x80", "\xc3", "\xff" };
	static const char *const taken[] = { " ", "!", "#", "[", "]", "\x7f", "\xc3\xa9", "\\n",
		"\\\"",
		"\xf0\x9f\x98\x80", "\\u00e9" };
	struct json j = JSON_INIT;
	char text[80];
	size_t before, after, i;

	(void)state;
	for (before = 0; before < 18; before++) {
		for (after = 0; after < 18; after++) {
			for (i = 0; i < COUNT(refused) + COUNT(taken); i++) {
				bool good = i >= COUNT(refused);
				const char *s = good ? taken[i - COUNT(refused)] : refused[i];
				int n = snprintf(text, sizeof text, "\"%.*s%s%.*s\"", (int)before,
				    "abcdefghijklmnopqrstuvwxyz", s, (int)after,
				    "zyxwvutsrqponmlkjihgfedcba");
				int r = read_exactly(&j, text, (size_t)n, JSON_STRICT);

				if ((r == 0) != good)
					fail_msg("%s", text);
			}
		}
	}
	json_clear(&j);
}

static int
read_nested(struct json *j, size_t depth, const char *open, const char *middle, const char *close)
{
	struct buf b = BUF_INIT;
	size_t i;
	int r;

	for (i = 0; i < depth; i++)
		buf_adds(&b, open);
	buf_adds(&b, middle);
	for (i = 0; i < depth; i++)
		buf_adds(&b, close);
	r = read_exactly(j, buf_str(&b), b.len, JSON_STRICT);
	buf_clear(&b);
	return r;
}

static void
test_json_read__F80_depth_has_a_limit(void **state)
{
	struct json j = JSON_INIT;

	(void)state;
	assert_int_equal(read_nested(&j, 128, "[", "", "]"), 0);
	assert_int_equal(read_nested(&j, 128, "{\"a\":", "1", "}"), 0);
	assert_int_equal(read_nested(&j, 129, "[", "", "]"), MP_E_TOO_LARGE);
	assert_int_equal(j.problem_offset, 128);
	assert_string_equal(j.problem, "nested too deeply");
	assert_int_equal(read_nested(&j, 129, "{\"a\":", "1", "}"), MP_E_TOO_LARGE);
	assert_int_equal(read_nested(&j, 1000000, "[", "", ""), MP_E_TOO_LARGE);
	/* many side by side are not deep */
	assert_int_equal(read_nested(&j, 1, "[", "[],[],[[]],{},[{}]", "]"), 0);
	json_clear(&j);
}

static void
test_json_read__problems_name_their_place(void **state)
{
	static const struct {
		const char *text;
		size_t offset;
		const char *problem;
	} rows[] = {
		{ "", 0, "the text is empty" },
		{ "[1,", 3, "the text ends where a value should be" },
		{ "[1", 2, "the text ends inside an array" },
		{ "{\"a\":1", 6, "the text ends inside an object" },
		{ "{\"a\"", 4, "the text ends inside an object" },
		{ "{", 1, "the text ends inside an object" },
		{ "[1;", 2, "expected a comma or ]" },
		{ "{\"a\":1]", 6, "expected a comma or }" },
		{ "{\"a\":1,b:2}", 7, "expected a key" },
		{ "{\"a\" 1}", 5, "expected a colon after the key" },
		{ "[1] x", 4, "something follows the value" },
		{ "[nope]", 1, "expected a value" },
		{ "[01]", 1, "malformed number" },
		{ "[\"ab\\q\"]", 4, "unknown escape in a string" },
		{ "[\"ab\\u12x4\"]", 4, "\\u needs four hex digits" },
		{ "[\"ab\xff\"]", 4, "invalid UTF-8 in a string" },
		{ "[\"ab\n\"]", 4, "control character in a string" },
		{ "[\"ab", 4, "the text ends inside a string" },
		{ "{\"a\":1,\"b\":2,\"a\":3}", 13, "duplicate key" },
	};
	struct json j = JSON_INIT;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		assert_true(json_read(&j, rows[i].text, strlen(rows[i].text), JSON_STRICT) != 0);
		assert_string_equal(j.problem, rows[i].problem);
		assert_int_equal(j.problem_offset, rows[i].offset);
	}
	json_clear(&j);
}

static void
test_json_read__F80_duplicate_keys_are_refused(void **state)
{
	static const char *const rows[] = { "{\"a\":1,\"a\":2}", "{\"\":1,\"\":2}",
		"[{\"x\":{\"a\":1,\"a\":2}}]",
		"{\"a\":1,\"\\u0061\":2}", "{\"\\u0061\":1,\"a\":2}",
		"{\"\\u0061\":1,\"\\u0061\":2}",
		"{\"\xc3\xa9\":1,\"\\u00E9\":2}", "{\"\xf0\x9f\x98\x80\":1,\"\\ud83d\\ude00\":2}",
		"{\"a/b\":1,\"a\\/b\":2}",
		"{\"longer than a word\":1,\"longer \\u0074han a word\":2}",
		"{\"a\\u0000b\":1,\"a\\u0000b\":2}",
		/* both become U+FFFD */
		"{\"\\ud800\":1,\"\\udfff\":2}", "{\"\\ud800\":1,\"\xef\xbf\xbd\":2}" };
	struct json j = JSON_INIT;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		if (json_read(&j, rows[i], strlen(rows[i]), JSON_STRICT) != MP_E_INVALID_PARAMS)
			fail_msg("%s", rows[i]);
		assert_string_equal(j.problem, "duplicate key");
		assert_int_equal(json_read(&j, rows[i], strlen(rows[i]), JSON_LAST_KEY_WINS), 0);
	}
	json_clear(&j);
}

static void
put_keys(struct buf *b, size_t n, const char *extra)
{
	size_t i;

	buf_reset(b, SIZE_MAX);
	buf_addc(b, '{');
	for (i = 0; i < n; i++)
		buf_addf(b, "\"key %zu\":{\"key 0\":%zu},", i, i);
	buf_addf(b, "\"%s\":0}", extra);
}

/* From few keys, compared one by one, to many, which are sorted. */
static void
test_json_read__duplicates_among_any_number_of_keys(void **state)
{
	struct json j = JSON_INIT;
	struct buf b = BUF_INIT;
	char extra[32];
	size_t n, i;

	(void)state;
	for (n = 1; n < 1000; n += n < 20 ? 1 : 49) {
		put_keys(&b, n, "another");
		assert_int_equal(read_exactly(&j, b.data, b.len, JSON_STRICT), 0);
		for (i = 0; i < n; i += n < 20 ? 1 : 11) {
			snprintf(extra, sizeof extra, "k\\u0065y %zu", i);
			put_keys(&b, n, extra);
			assert_int_equal(read_exactly(&j, b.data, b.len, JSON_STRICT), MP_E_INVALID_PARAMS);
			assert_string_equal(j.problem, "duplicate key");
			assert_int_equal(j.problem_offset, b.len - strlen(extra) - 5);
		}
	}
	buf_clear(&b);
	json_clear(&j);
}

/* Quadratic work would take minutes here, and the test's time limit would end it. */
static void
test_json_read__a_million_keys(void **state)
{
	struct json j = JSON_INIT;
	struct buf b = BUF_INIT;
	size_t i;

	(void)state;
	buf_addc(&b, '{');
	for (i = 0; i < 1000000; i++)
		buf_addf(&b, "%s\"%zu\":0", i > 0 ? "," : "", i);
	buf_addc(&b, '}');
	assert_int_equal(json_read(&j, b.data, b.len, JSON_STRICT), 0);
	assert_int_equal(json_size(&j, 0), 1000000);
	assert_true(json_is(&j, json_get(&j, 0, "999999"), JSON_NUMBER));
	buf_truncate(&b, b.len - 1);
	buf_adds(&b, ",\"77\":0}");
	assert_int_equal(json_read(&j, b.data, b.len, JSON_STRICT), MP_E_INVALID_PARAMS);
	buf_clear(&b);
	json_clear(&j);
}

/* Two words whose hash is that of `like`, found by undoing the second step of json_hash. */
static uint64_t
make_colliding_key(uint64_t counter, const char *like, char key[17])
{
	const uint64_t factor = UINT64_C(0x9e3779b97f4a7c15);
	uint64_t ours, theirs, word;
	size_t i;

	for (;; counter++) {
		snprintf(key, 17, "%08u", (unsigned)counter);
		ours = (factor ^ scan_load(key)) * factor;
		theirs = (factor ^ scan_load(like)) * factor;
		word = scan_load(like + 8) ^ ours ^ ours >> 32 ^ theirs ^ theirs >> 32;
		for (i = 0; i < 8; i++)
			key[8 + i] = (char)(word >> (8 * i));
		key[16] = '\0';
		for (i = 8; i < 16 && key[i] > 0x20 && key[i] != '"' && key[i] != '\\'; i++)
			continue;
		if (i == 16)
			return counter + 1;
	}
}

/* Anyone can make such keys: they must be told apart, and a real duplicate found among them. */
static void
test_json_read__F80_keys_made_to_collide(void **state)
{
	static const char like[] = "00000000abcdefgh";
	struct json j = JSON_INIT;
	struct buf b = BUF_INIT;
	uint64_t counter = 1;
	char key[17];
	int64_t v;
	int i;

	(void)state;
	buf_addf(&b, "{\"%s\":0", like);
	for (i = 1; i <= 600; i++) {
		counter = make_colliding_key(counter, like, key);
		assert_int_equal(json_hash(key, 16), json_hash(like, 16));
		buf_addf(&b, ",\"%s\":%d", key, i);
		if (i == 5 || i == 50 || i == 600) {
			buf_addc(&b, '}');
			assert_int_equal(json_read(&j, b.data, b.len, JSON_STRICT), 0);
			assert_true(json_int(&j, json_get(&j, 0, key), &v) && v == i);
			assert_true(json_int(&j, json_get(&j, 0, like), &v) && v == 0);
			buf_truncate(&b, b.len - 1);
		}
	}
	buf_addf(&b, ",\"\\u0030%s\":0}", like + 1);
	assert_int_equal(json_read(&j, b.data, b.len, JSON_STRICT), MP_E_INVALID_PARAMS);
	assert_string_equal(j.problem, "duplicate key");
	buf_clear(&b);
	json_clear(&j);
}

static void
test_json_read__steady_reading_keeps_its_memory(void **state)
{
	struct json j = JSON_INIT;
	struct json_token *tokens;
	int i;

	(void)state;
	assert_int_equal(json_read(&j, sample, sizeof sample - 1, JSON_STRICT), 0);
	tokens = j.tokens;
	for (i = 0; i < 100; i++) {
		assert_int_equal(json_read(&j, sample, sizeof sample - 1, JSON_STRICT), 0);
		assert_ptr_equal(j.tokens, tokens);
	}
	json_clear(&j);
	assert_null(j.tokens);
	json_clear(&j);
}

static void
test_json_read__a_huge_tape_goes_with_the_next_small_text(void **state)
{
	struct json j = JSON_INIT;
	struct buf b = BUF_INIT;
	int i;

	(void)state;
	buf_addc(&b, '[');
	for (i = 0; i < 200000; i++)
		buf_adds(&b, "0,");
	buf_adds(&b, "0]");
	assert_int_equal(json_read(&j, b.data, b.len, JSON_STRICT), 0);
	assert_int_equal(json_size(&j, 0), 200001);
	assert_true(j.cap > 200000);
	assert_int_equal(json_read(&j, "[1]", 3, JSON_STRICT), 0);
	assert_true(j.cap < 1000);
	buf_clear(&b);
	json_clear(&j);
}

static void
test_json_read__F80_too_many_values_are_refused(void **state)
{
	size_t n = (size_t)2 * JSON_MAX_TOKENS + 3;
	struct json j = JSON_INIT;
	char *text = malloc(n);
	size_t i;

	(void)state;
	for (i = 0; i < n; i++)
		text[i] = i % 2 == 0 ? ',' : '0';
	text[0] = '[';
	text[n - 1] = ']';
	assert_int_equal(json_read(&j, text, n, JSON_STRICT), MP_E_TOO_LARGE);
	assert_string_equal(j.problem, "too many values");
	free(text);
	json_clear(&j);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json_read__valid_texts),
		cmocka_unit_test(test_json_read__invalid_texts),
		cmocka_unit_test(test_json_read__no_beginning_is_a_text),
		cmocka_unit_test(test_json_read__special_bytes_at_every_place),
		cmocka_unit_test(test_json_read__F80_depth_has_a_limit),
		cmocka_unit_test(test_json_read__problems_name_their_place),
		cmocka_unit_test(test_json_read__F80_duplicate_keys_are_refused),
		cmocka_unit_test(test_json_read__duplicates_among_any_number_of_keys),
		cmocka_unit_test(test_json_read__a_million_keys),
		cmocka_unit_test(test_json_read__F80_keys_made_to_collide),
		cmocka_unit_test(test_json_read__steady_reading_keeps_its_memory),
		cmocka_unit_test(test_json_read__a_huge_tape_goes_with_the_next_small_text),
		cmocka_unit_test(test_json_read__F80_too_many_values_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

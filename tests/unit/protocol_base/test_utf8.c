#include "common.h"

#include "protocol/base/str.h"

/* valid says how long the valid beginning is, repaired what becomes of the whole */
static const struct {
	const char *text;
	size_t len, valid;
	const char *repaired;
} rows[] = {
#define ROW(text, valid, repaired) { text, sizeof(text) - 1, valid, repaired }
	ROW("", 0, ""),
	ROW("plain ASCII, longer than one word", 33, "plain ASCII, longer than one word"),
	ROW("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
	ROW("\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 19,
	    "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"),
	/* overlong */
	ROW("\xc0\xaf", 0, "\xef\xbf\xbd\xef\xbf\xbd"),
	ROW("\xc1\xbf", 0, "\xef\xbf\xbd\xef\xbf\xbd"),
	ROW("\xe0\x9f\xbf", 0, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"),
	ROW("\xf0\x8f\xbf\xbf", 0, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"),
	/* surrogates, beyond U+10FFFF, bytes that never occur */
	ROW("\xed\xa0\x80", 0, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"),
	ROW("\xf4\x90\x80\x80", 0, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"),
	ROW("a\xf5z", 1, "a\xef\xbf\xbdz"),
	ROW("a\xffz", 1, "a\xef\xbf\xbdz"),
	/* a lone tail; cut sequences are one replacement each */
	ROW("a\x80z", 1, "a\xef\xbf\xbdz"),
	ROW("\xc3", 0, "\xef\xbf\xbd"),
	ROW("\xe2\x82z", 0, "\xef\xbf\xbdz"),
	ROW("\xf0\x9f\x98", 0, "\xef\xbf\xbd"),
	ROW("\xf0\x9f\x98\xf0\x9f\x98\x80", 0, "\xef\xbf\xbd\xf0\x9f\x98\x80"),
	ROW("12345678\xe2\x82", 8, "12345678\xef\xbf\xbd"),
	ROW("1234567\xe2\x82\xac" "1234567\xc3", 17, "1234567\xe2\x82\xac" "1234567\xef\xbf\xbd"),
};

static void
test_utf8__valid_prefix_and_repair(void **state)
{
	struct buf b = BUF_INIT;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		bool whole = rows[i].valid == rows[i].len;

		assert_int_equal(utf8_prefix(rows[i].text, rows[i].len), rows[i].valid);
		assert_int_equal(utf8_valid(rows[i].text, rows[i].len), whole);
		assert_int_equal(utf8_repair(&b, rows[i].text, rows[i].len), !whole);
		assert_buf_text(&b, rows[i].repaired);
	}
	buf_clear(&b);
}

/* Every code point, encoded by the book, is one; shortened by a byte it is a cut-off tail. */
static void
test_utf8__every_code_point(void **state)
{
	uint32_t c;

	(void)state;
	for (c = 0; c <= 0x10ffff; c++) {
		char s[4];
		size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
		bool surrogate = c >= 0xd800 && c <= 0xdfff;
		size_t i, k;
		uint32_t rest = c;

		for (i = n; i-- > 1; rest >>= 6)
			s[i] = (char)(0x80 | (rest & 0x3f));
		s[0] = (char)(n == 1 ? rest : (0xf00u >> n) | rest);
		if (utf8_valid(s, n) != !surrogate)
			fail_msg("U+%04X", c);
		if (surrogate)
			continue;
		for (k = 1; k < n; k++) {
			if (utf8_incomplete_tail(s, k) != k)
				fail_msg("U+%04X cut to %zu", c, k);
		}
		if (utf8_incomplete_tail(s, n) != 0)
			fail_msg("U+%04X is whole", c);
	}
}

static void
test_utf8__incomplete_tails(void **state)
{
	(void)state;
	assert_int_equal(utf8_incomplete_tail("", 0), 0);
	assert_int_equal(utf8_incomplete_tail("abc", 3), 0);
	assert_int_equal(utf8_incomplete_tail("ab\xe2", 3), 1);
	assert_int_equal(utf8_incomplete_tail("ab\xe2\x82", 4), 2);
	assert_int_equal(utf8_incomplete_tail("ab\xf0\x9f\x98", 5), 3);
	/* these are wrong, not cut off */
	assert_int_equal(utf8_incomplete_tail("\x80\x80\x80\x80", 4), 0);
	assert_int_equal(utf8_incomplete_tail("\xed\xa0", 2), 0);
	assert_int_equal(utf8_incomplete_tail("\xe0\x80", 2), 0);
	assert_int_equal(utf8_incomplete_tail("\xff", 1), 0);
	assert_int_equal(utf8_incomplete_tail("\xc3\xa9\x80", 3), 0);
}

static void
test_utf8__F78_pieces_split_anywhere_join(void **state)
{
	static const char text[] = "a\xc3\xa9" "b\xe2\x82\xac\xf0\x9f\x98\x80" "c";
	size_t cut;

	(void)state;
	for (cut = 0; cut < sizeof text; cut++) {
		size_t tail = utf8_incomplete_tail(text, cut);

		assert_true(utf8_valid(text, cut - tail));
		assert_true(utf8_valid(text + cut - tail, sizeof text - 1 - (cut - tail)));
	}
}

static void
check_escape(const char *text, size_t n, bool keep_lines, const char *expected)
{
	struct buf b = BUF_INIT;

	text_escape(&b, text, n, keep_lines);
	assert_buf_text(&b, expected);
	buf_clear(&b);
}

static void
test_utf8__F85_escape_makes_text_harmless(void **state)
{
	(void)state;
#define CHECK(text, keep, expected) check_escape(text, sizeof(text) - 1, keep, expected)
	CHECK("", false, "");
	CHECK("plain \\ text", false, "plain \\ text");
	CHECK("a\nb\tc\rd", false, "a\\x0ab\\x09c\\x0dd");
	CHECK("a\nb\tc\rd", true, "a\nb\tc\\x0dd");
	CHECK("\0\x1b]52;c;x\x07\x7f", true, "\\x00\\x1b]52;c;x\\x07\\x7f");
	CHECK("\xc2\x80\xc2\x9b\xc2\x9f\xc2\xa0", true, "\\u{0080}\\u{009b}\\u{009f}\xc2\xa0");
	CHECK("\xe2\x80\x8e\xe2\x80\x8f\xe2\x80\xaa\xe2\x80\xae", true,
	    "\\u{200e}\\u{200f}\\u{202a}\\u{202e}");
	CHECK("\xe2\x81\xa6\xe2\x81\xa9\xd8\x9c", true, "\\u{2066}\\u{2069}\\u{061c}");
	CHECK("\xe2\x80\x8d\xe2\x80\xaf\xe2\x81\xaa", true, "\xe2\x80\x8d\xe2\x80\xaf\xe2\x81\xaa");
	CHECK("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", true, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
	CHECK("\x9b\xe2\x82z\xc0\x80", true, "\\x9b\\xe2\\x82z\\xc0\\x80");
#undef CHECK
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_utf8__valid_prefix_and_repair),
		cmocka_unit_test(test_utf8__every_code_point),
		cmocka_unit_test(test_utf8__incomplete_tails),
		cmocka_unit_test(test_utf8__F78_pieces_split_anywhere_join),
		cmocka_unit_test(test_utf8__F85_escape_makes_text_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

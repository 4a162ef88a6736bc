#include "common.h"

#include "protocol/base/err.h"
#include "protocol/base/str.h"

static void
test_str__slices_compare(void **state)
{
	(void)state;
	assert_true(slice_eq(slice_of("abc"), "abc"));
	assert_false(slice_eq(slice_of("abc"), "ab"));
	assert_false(slice_eq(SLICE("ab\0c"), "ab"));
	assert_true(slice_eq(slice_of(NULL), ""));
	assert_true(slice_eq_nocase(slice_of("Content-TYPE"), "content-type"));
	assert_false(slice_eq_nocase(slice_of("a["), "a{"));
	assert_true(slice_starts(slice_of("abc"), "ab"));
	assert_true(slice_starts(slice_of(NULL), ""));
	assert_false(slice_starts(slice_of("a"), "ab"));
}

static void
test_str__copies_end_with_nul(void **state)
{
	char *copy = slice_dup((struct slice){ "abcdef", 3 });

	(void)state;
	assert_string_equal(copy, "abc");
	free(copy);
	copy = slice_dup(slice_of(NULL));
	assert_string_equal(copy, "");
	free(copy);
	assert_null(xstrdup(NULL));
	copy = xstrdup("x");
	copy = xrealloc(copy, 100);
	assert_string_equal(copy, "x");
	free(copy);
	copy = xcalloc(0, 4);
	assert_non_null(copy);
	free(copy);
}

static void
test_str__names(void **state)
{
	static const char *const good[] = { "a", "0", "openai", "my.provider-2_x",
		"a123456789012345678901234567890123456789012345678901234567890123" };
	static const char *const bad[] = { "", "A", "-a", ".a", "_a", "a b", "a/b", "a:b",
		"\xc3\xa9",
		"a1234567890123456789012345678901234567890123456789012345678901234" };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(good); i++)
		assert_true(name_valid(good[i]));
	for (i = 0; i < COUNT(bad); i++)
		assert_false(name_valid(bad[i]));
}

static void
test_str__durations_are_read(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} rows[] = {
		{ "30", 1800000 }, { "90s", 90000 }, { "30m", 1800000 }, { "2h", 7200000 },
		{ "1d", 86400000 }, { "1h30m", 5400000 }, { "1d2h3m4s", 93784000 },
		{ "0h5s", 5000 },
		{ "007", 420000 },
	};
	int64_t ms;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		assert_int_equal(duration_parse(rows[i].text, &ms), 0);
		assert_int_equal(ms, rows[i].ms);
	}
}

static void
test_str__bad_durations_are_refused(void **state)
{
	static const char *const bad[] = { "", "0", "0s", "0h0m", "s", "-5", "+5", "5 m", " 5",
		"5m ",
		"1.5h", "5x", "5M", "30m1h", "1h1h", "1h30", "h5", "99999999999999999999",
		"9223372036854775807", "9223372036854775807d", "1d9223372036854775807s" };
	int64_t ms = 42;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(bad); i++) {
		assert_int_equal(duration_parse(bad[i], &ms), MP_E_INVALID_PARAMS);
		assert_int_equal(ms, 42);
	}
}

static void
test_str__durations_are_shown(void **state)
{
	static const struct {
		int64_t ms;
		const char *text;
	} rows[] = {
		{ -1, "0 s" }, { 0, "0 s" }, { 999, "0 s" }, { 45000, "45 s" }, { 59999, "59 s" },
		{ 60000, "1 min" }, { 26 * 60000 + 59000, "26 min" }, { 3600000, "1 h" },
		{ 3 * 3600000 + 12 * 60000, "3 h 12 min" }, { 86400000, "1 d" },
		{ INT64_C(86400000) * 2 + 4 * 3600000 + 60000, "2 d 4 h" },
		{ INT64_MAX, "106751991167 d 7 h" },
	};
	char out[32];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		duration_format(rows[i].ms, out, sizeof out);
		assert_string_equal(out, rows[i].text);
	}
}

static void
test_str__durations_are_written_as_they_are_read(void **state)
{
	static const struct {
		int64_t ms;
		const char *text;
	} rows[] = {
		{ 1000, "1s" }, { 90000, "1m30s" }, { 1800000, "30m" }, { 5400000, "1h30m" },
		{ 86400000, "1d" }, { 93784000, "1d2h3m4s" }, { INT64_C(86400000) * 400, "400d" },
	};
	char out[32];
	int64_t ms;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		duration_text(rows[i].ms, out, sizeof out);
		assert_string_equal(out, rows[i].text);
		assert_int_equal(duration_parse(out, &ms), 0);
		assert_int_equal(ms, rows[i].ms);
	}
	duration_text(0, out, sizeof out);
	assert_string_equal(out, "0s");
	duration_text(INT64_MAX, out, sizeof out);
	assert_int_equal(duration_parse(out, &ms), 0);
	assert_int_equal(ms, INT64_MAX - INT64_MAX % 1000);
}

static void
test_str__edit_distances(void **state)
{
	static const struct {
		const char *a, *b;
		unsigned limit, distance;
	} rows[] = {
		{ "", "", 3, 0 }, { "", "abc", 3, 3 }, { "", "abcd", 3, 4 },
		{ "opnai", "openai", 3, 1 },
		{ "oepnai", "openai", 3, 1 }, { "OpenAI", "openai", 3, 0 },
		{ "kitten", "sitting", 3, 3 },
		{ "kitten", "sitting", 2, 3 }, { "ca", "abc", 3, 3 }, { "abcdef", "uvwxyz", 2, 3 },
		{ "ab", "ba", 0, 1 }, { "claude", "cluade", 1, 1 }, { "xabc", "axbc", 1, 1 },
		{ "abxcd", "abcd", 0, 1 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		assert_int_equal(edit_distance(rows[i].a, rows[i].b, rows[i].limit), rows[i].distance);
		assert_int_equal(edit_distance(rows[i].b, rows[i].a, rows[i].limit), rows[i].distance);
	}
}

static void
test_str__edit_distance_of_long_names_gives_up(void **state)
{
	char text[400];

	(void)state;
	memset(text, 'a', sizeof text);
	text[256] = '\0';
	assert_int_equal(edit_distance(text, text, 3), 4);
	text[255] = '\0';
	assert_int_equal(edit_distance(text, text, 3), 0);
}

static void
test_str__amounts_of_money(void **state)
{
	const struct {
		const char *text;
		int64_t microusd; /* -1 = none */
		const char *rest;
	} cases[] = {
		{ "10", 10000000, "" },
		{ "2.50 per day", 2500000, " per day" },
		{ "0.000001", 1, "" },
		{ "0.29", 290000, "" }, /* no binary fraction is 0.29 */
		{ "1000000000", INT64_C(1000000000000000), "" },
		{ "0", 0, "" },
		{ "1,5", 1000000, ",5" },
		{ "1000000001", -1, "1000000001" },
		{ "99999999999999999999999999", -1, "99999999999999999999999999" },
		{ "0.0000001", -1, "0.0000001" },
		{ "1.", -1, "1." },
		{ ".5", -1, ".5" },
		{ "-1", -1, "-1" },
		{ "1e3", 1000000, "e3" },
		{ "nan", -1, "nan" },
		{ "", -1, "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *at = cases[i].text;
		int64_t microusd = -1;

		assert_int_equal(money_parse(&at, &microusd), cases[i].microusd >= 0);
		assert_int_equal(microusd, cases[i].microusd);
		assert_string_equal(at, cases[i].rest);
	}
}

static void
test_str__amounts_of_money_are_written_as_they_are_read(void **state)
{
	const struct {
		int64_t microusd;
		const char *text;
	} cases[] = {
		{ 0, "0.00" }, { 1, "0.000001" }, { 290000, "0.29" }, { 500, "0.0005" },
		{ 10000000, "10.00" }, { 1234567, "1.234567" },
		{ INT64_C(1000000000000000), "1000000000.00" },
	};
	char text[32];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *at = text;
		int64_t back = -1;

		money_text(cases[i].microusd, text, sizeof text);
		assert_string_equal(text, cases[i].text);
		assert_true(money_parse(&at, &back) && *at == '\0');
		assert_int_equal(back, cases[i].microusd);
	}
}

static void
test_str__days(void **state)
{
	const struct {
		const char *text;
		int64_t ms; /* -1 = none */
	} cases[] = {
		{ "2026-12-01", INT64_C(1796083200000) }, { "1970-01-01", 0 },
		{ "2024-02-29 and more", INT64_C(1709164800000) }, { "2026-02-29", -1 }, { "2026-13-01", -1 },
		{ "2026-00-10", -1 }, { "2026-1-1", -1 }, { "1969-12-31", -1 }, { "2026-12-1", -1 },
		{ "2026/12/01", -1 }, { "+026-12-01", -1 }, { "tomorrow", -1 }, { "", -1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *at = cases[i].text;
		int64_t ms = -1;
		char text[16];

		assert_int_equal(utc_day_parse(&at, &ms), cases[i].ms >= 0);
		assert_int_equal(ms, cases[i].ms);
		assert_int_equal(at - cases[i].text, ms >= 0 ? 10 : 0);
		if (ms < 0)
			continue;
		utc_day_text(ms + 86399999, text, sizeof text);
		assert_memory_equal(text, cases[i].text, 10);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_str__slices_compare),
		cmocka_unit_test(test_str__copies_end_with_nul),
		cmocka_unit_test(test_str__names),
		cmocka_unit_test(test_str__durations_are_read),
		cmocka_unit_test(test_str__bad_durations_are_refused),
		cmocka_unit_test(test_str__durations_are_shown),
		cmocka_unit_test(test_str__durations_are_written_as_they_are_read),
		cmocka_unit_test(test_str__edit_distances),
		cmocka_unit_test(test_str__edit_distance_of_long_names_gives_up),
		cmocka_unit_test(test_str__amounts_of_money),
		cmocka_unit_test(test_str__amounts_of_money_are_written_as_they_are_read),
		cmocka_unit_test(test_str__days),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "common.h"

#include <float.h>
#include <locale.h>
#include <stdio.h>

#include "protocol/base/json.h"

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
test_json_number__integers(void **state)
{
	static const struct {
		const char *text;
		int64_t value;
	} rows[] = {
		{ "0", 0 }, { "-0", 0 }, { "1", 1 }, { "-1", -1 }, { "1.0", 1 }, { "1e2", 100 },
		{ "1.5e1", 15 }, { "150e-1", 15 }, { "-2.50e+2", -250 },
		{ "0e99999999999999999999", 0 },
		{ "0.000e5", 0 }, { "9223372036854775807", INT64_MAX },
		{ "-9223372036854775808", INT64_MIN },
		{ "-922337203685477580.8e1", INT64_MIN },
		{ "1000000000000000000000e-3", 1000000000000000000 },
		{ "9007199254740993", 9007199254740993 }, { "0.00000000000000000001e20", 1 },
		{ "1e18", 1000000000000000000 },
	};
	int64_t v;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		read_text(rows[i].text);
		if (!json_int(&j, 0, &v) || v != rows[i].value)
			fail_msg("%s", rows[i].text);
	}
}

static void
test_json_number__no_integers(void **state)
{
	static const char *const rows[] = { "0.5", "1e-1", "1.01", "9223372036854775808",
		"-9223372036854775809", "1e19", "18446744073709551616", "1e400",
		"1e99999999999999999999",
		"1e-99999999999999999999", "123456789012345678901234567890", "\"1\"", "true",
		"null", "[1]",
		"100000000000000000000e-1", "0.9999999999999999999999" };
	int64_t v = 42;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		read_text(rows[i]);
		if (json_int(&j, 0, &v))
			fail_msg("%s", rows[i]);
		assert_int_equal(v, 42);
	}
}

static void
check_doubles(void)
{
	static const struct {
		const char *text;
		double value;
	} rows[] = {
		{ "0", 0.0 }, { "-1.5", -1.5 }, { "0.1", 0.1 }, { "1e300", 1e300 },
		{ "1.7976931348623157e308", DBL_MAX }, { "5e-324", 5e-324 }, { "1e-400", 0.0 },
		{ "0.30000000000000004", 0.1 + 0.2 },
		{ "0.1000000000000000055511151231257827021181583404541015625000000000000000000001", 0.1 },
	};
	char text[200];
	double v;
	size_t i;

	for (i = 0; i < COUNT(rows); i++) {
		read_text(rows[i].text);
		assert_true(json_double(&j, 0, &v) && v == rows[i].value);
		snprintf(text, sizeof text, "[%s,1]", rows[i].text);
		read_text(text);
		assert_true(json_double(&j, 1, &v) && v == rows[i].value);
	}
}

static void
test_json_number__doubles(void **state)
{
	double v = 42;

	(void)state;
	check_doubles();
	read_text("[1e309,-1e309,\"1\",null]");
	assert_false(json_double(&j, 1, &v));
	assert_false(json_double(&j, 2, &v));
	assert_false(json_double(&j, 3, &v));
	assert_false(json_double(&j, 4, &v));
	assert_true(v == 42);
}

/* The number ends the text and the block: a byte too far is seen. */
static void
test_json_number__a_double_at_the_end_of_the_text(void **state)
{
	char *text = malloc(300);
	double v;

	(void)state;
	memset(text, '0', 300);
	memcpy(text, "2.5", 3);
	assert_int_equal(json_read(&j, text, 300, JSON_STRICT), 0);
	assert_true(json_double(&j, 0, &v) && v == 2.5);
	free(text);
	text = malloc(3);
	memcpy(text, "2.5", 3);
	assert_int_equal(json_read(&j, text, 3, JSON_STRICT), 0);
	assert_true(json_double(&j, 0, &v) && v == 2.5);
	free(text);
}

static void
check_written(double v, const char *text)
{
	struct buf b = BUF_INIT;
	struct json_writer w;

	json_writer_init(&w, &b, false);
	json_put_double(&w, v);
	assert_buf_text(&b, text);
	buf_clear(&b);
}

static void
test_json_number__doubles_are_written_short(void **state)
{
	(void)state;
	check_written(0.0, "0");
	check_written(1.0, "1");
	check_written(0.7, "0.7");
	check_written(-0.1, "-0.1");
	check_written(0.1 + 0.2, "0.30000000000000004");
	check_written(5e-324, "5e-324");
	check_written(1e22, "1e+22");
	check_written(DBL_MAX, "1.7976931348623157e+308");
	check_written(DBL_MAX * 2, "null");
	check_written(-DBL_MAX * 2, "null");
	check_written(strtod("nan", NULL), "null");
}

static void
test_json_number__doubles_come_back(void **state)
{
	uint64_t bits = 88172645463325252u;
	struct buf b = BUF_INIT;
	struct json_writer w;
	double v, back;
	int i;

	(void)state;
	for (i = 0; i < 3000; i++) {
		bits ^= bits << 13;
		bits ^= bits >> 7;
		bits ^= bits << 17;
		memcpy(&v, &bits, sizeof v);
		if (!(v - v == 0))
			continue;
		json_writer_init(&w, &b, false);
		json_put_double(&w, v);
		assert_int_equal(json_read(&j, b.data, b.len, JSON_STRICT), 0);
		assert_true(json_double(&j, 0, &back) && back == v);
		buf_reset(&b, SIZE_MAX);
	}
	buf_clear(&b);
}

/* Where a comma is the decimal point; skipped on machines that have no such locale. */
static void
test_json_number__the_locale_does_not_matter(void **state)
{
	static const char *const names[] = { "de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8",
		"ru_RU.UTF-8" };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(names) && setlocale(LC_ALL, names[i]) == NULL; i++)
		continue;
	if (i == COUNT(names))
		skip();
	check_doubles();
	check_written(0.7, "0.7");
	setlocale(LC_ALL, "C");
}

static void
test_json_number__decimals(void **state)
{
	static const struct {
		const char *text;
		unsigned scale;
		int64_t value;
	} rows[] = {
		{ "0", 9, 0 }, { "-0", 9, 0 }, { "-0.0", 9, 0 }, { "1", 0, 1 },
		{ "0.000003", 9, 3000 },
		{ "\"0.000003\"", 9, 3000 }, { "\"0\"", 9, 0 }, { "3e-6", 9, 3000 },
		{ "1.25", 1, 13 },
		{ "1.24", 1, 12 }, { "0.05", 1, 1 }, { "0.049", 1, 0 }, { "0.5", 0, 1 },
		{ "0.49999", 0, 0 },
		{ "5e-1", 0, 1 }, { "5e-2", 0, 0 }, { "9.5", 0, 10 },
		{ "0.1", 17, 10000000000000000 },
		{ "0.3", 18, 300000000000000000 }, { "9223372036854775807", 0, INT64_MAX },
		{ "9223372036854775806.5", 0, INT64_MAX }, { "1e-99999999999999999999", 9, 0 },
		{ "0e99999999999999999999", 9, 0 },
		{ "0.0000000000000000000000000000000000000000000000001", 9, 0 },
		{ "1.00000000000000000000000000000000000000000000000001", 6, 1000000 },
	};
	int64_t v;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		read_text(rows[i].text);
		if (!json_decimal(&j, 0, rows[i].scale, &v) || v != rows[i].value)
			fail_msg("%s", rows[i].text);
	}
}

static void
test_json_number__F80_no_decimals(void **state)
{
	static const char *const rows[] = { "-1", "-0.0000000000001", "\"-1\"", "\"\"", "\"abc\"",
		"\" 1\"",
		"\"1 \"", "\"0x10\"", "\"1.\"", "\"01\"", "\"NaN\"", "null", "true", "[]", "1e10",
		"9223372036854775807", "1e99999999999999999999", "9223372036.8547758075" };
	int64_t v = 42;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		read_text(rows[i]);
		if (json_decimal(&j, 0, 9, &v))
			fail_msg("%s", rows[i]);
		assert_int_equal(v, 42);
	}
}

static void
test_json_number__text_is_kept(void **state)
{
	static const char *const rows[] = { "12345678901234567890", "1e400", "1.10", "-0",
		"0.1000000000000000055511151231257827021181583404541015625" };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		read_text(rows[i]);
		assert_true(slice_eq(json_raw(&j, 0), rows[i]));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json_number__integers),
		cmocka_unit_test(test_json_number__no_integers),
		cmocka_unit_test(test_json_number__doubles),
		cmocka_unit_test(test_json_number__a_double_at_the_end_of_the_text),
		cmocka_unit_test(test_json_number__doubles_are_written_short),
		cmocka_unit_test(test_json_number__doubles_come_back),
		cmocka_unit_test(test_json_number__the_locale_does_not_matter),
		cmocka_unit_test(test_json_number__decimals),
		cmocka_unit_test(test_json_number__F80_no_decimals),
		cmocka_unit_test(test_json_number__text_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, forget);
}

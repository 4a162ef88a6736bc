/* test_row.c - the type notation of methods.def, type by type. */
#include "tests/unit/protocol/support.h"

#include <stdio.h>

#include "protocol/row.h"

/* Checks one packed value as the only member "f" of a row of one parameter f. */
static int
check_one(const char *notation, void (*fill)(struct pack *), struct error *err)
{
	struct sample s;
	struct row row;
	char text[64];
	int r;

	snprintf(text, sizeof text, "f:%s", notation);
	assert_int_equal(row_parse(text, &row), 0);
	sample_begin(&s);
	pack_map_begin(&s.pack);
	pack_str(&s.pack, "f");
	fill(&s.pack);
	pack_map_end(&s.pack);
	sample_read(&s);
	memset(err, 0, sizeof *err);
	r = row_check(&row, s.value, err);
	if (r != 0)
		assert_string_equal(err->field, "f");
	sample_end(&s);
	return r;
}

static const char *filler_text;
static size_t filler_len;
static double filler_number;

static void
fill_text(struct pack *p)
{
	pack_str_n(p, filler_text, filler_len);
}

static void
fill_number(struct pack *p)
{
	pack_double(p, filler_number);
}

static void
fill_int(struct pack *p)
{
	pack_int(p, (int64_t)filler_number);
}

static void
fill_list(struct pack *p)
{
	pack_array_begin(p);
	pack_str(p, "one");
	fill_text(p);
	pack_array_end(p);
}

static void
fill_bytes(struct pack *p)
{
	fill_text(p);
	pack_kv_str(p, "encoding", "base64");
}

static int
text_in(const char *notation, const char *text, size_t n)
{
	struct error err;

	filler_text = text;
	filler_len = n;
	return check_one(notation, fill_text, &err);
}

static int
int_in(const char *notation, double n, bool as_float)
{
	struct error err;

	filler_number = n;
	return check_one(notation, as_float ? fill_number : fill_int, &err);
}

static void
test_row__text(void **state)
{
	(void)state;
	assert_int_equal(text_in("str", BYTES("a\0\n")), 0);
	assert_int_equal(text_in("str(4)", BYTES("abcd")), 0);
	assert_int_equal(text_in("str(4)", BYTES("")), 0);
	assert_int_equal(text_in("str(4)", BYTES("abcde")), MP_E_INVALID_PARAMS);
	assert_int_equal(text_in("str(4)", BYTES("a\0b")), MP_E_INVALID_PARAMS);
	assert_int_equal(text_in("str(4)", BYTES("a\nb")), MP_E_INVALID_PARAMS);
}

static void
test_row__names_and_refs(void **state)
{
	static char longest[600];

	(void)state;
	memset(longest, 'a', sizeof longest);
	assert_int_equal(text_in("name", BYTES("open-router_2.x")), 0);
	assert_int_equal(text_in("name", longest, 64), 0);
	assert_int_equal(text_in("name", longest, 65), MP_E_INVALID_PARAMS);
	assert_int_equal(text_in("name", BYTES("")), MP_E_INVALID_PARAMS);
	assert_int_equal(text_in("name", BYTES("Open")), MP_E_INVALID_PARAMS);
	assert_int_equal(text_in("name", BYTES("a\0b")), MP_E_INVALID_PARAMS);
	assert_int_equal(text_in("name", BYTES("-a")), MP_E_INVALID_PARAMS);
	assert_int_equal(text_in("ref", BYTES("openrouter:meta/llama-3:free")), 0);
	assert_int_equal(text_in("ref", longest, 512), 0);
	assert_int_equal(text_in("ref", longest, 513), MP_E_INVALID_PARAMS);
	assert_int_equal(text_in("ref", BYTES("")), MP_E_INVALID_PARAMS);
	assert_int_equal(text_in("ref", BYTES("a\0b")), MP_E_INVALID_PARAMS);
	assert_int_equal(text_in("ref", BYTES("a\x1b[2Jb")), MP_E_INVALID_PARAMS);
}

static void
test_row__ints(void **state)
{
	(void)state;
	assert_int_equal(int_in("int", -5, false), 0);
	assert_int_equal(int_in("int", 30.0, true), 0);
	assert_int_equal(int_in("int", 30.5, true), MP_E_INVALID_PARAMS);
	assert_int_equal(int_in("int", 1e300, true), MP_E_INVALID_PARAMS);
	assert_int_equal(int_in("uint", 0, false), 0);
	assert_int_equal(int_in("uint", -1, false), MP_E_INVALID_PARAMS);
	assert_int_equal(int_in("int(0..100)", 0, false), 0);
	assert_int_equal(int_in("int(0..100)", 100, true), 0);
	assert_int_equal(int_in("int(0..100)", -1, false), MP_E_INVALID_PARAMS);
	assert_int_equal(int_in("int(0..100)", 101, false), MP_E_INVALID_PARAMS);
	assert_int_equal(int_in("int(1..)", 9e15, false), 0);
	assert_int_equal(int_in("int(1..)", 0, false), MP_E_INVALID_PARAMS);
}

static void
test_row__lists(void **state)
{
	struct error err;

	(void)state;
	filler_text = "two";
	filler_len = 3;
	assert_int_equal(check_one("[str]", fill_list, &err), 0);
	assert_int_equal(check_one("list", fill_list, &err), 0);
	assert_int_equal(check_one("[map]", fill_list, &err), MP_E_INVALID_PARAMS);
	assert_string_equal(err.message, "field f, item 1, must be map, not str");
	filler_text = "t\0o";
	assert_int_equal(check_one("[str]", fill_list, &err), MP_E_INVALID_PARAMS);
	assert_non_null(strstr(err.message, "item 2"));
}

static void
test_row__bytes_and_secrets(void **state)
{
	static char large[8193];
	struct error err;

	(void)state;
	memset(large, 'k', sizeof large);
	assert_int_equal(text_in("bytes", BYTES("aGk=")), MP_E_INVALID_PARAMS);
	filler_text = "aGk=";
	filler_len = 4;
	assert_int_equal(check_one("bytes", fill_bytes, &err), 0);
	filler_text = "a*k=";
	assert_int_equal(check_one("bytes", fill_bytes, &err), MP_E_INVALID_PARAMS);
	assert_int_equal(text_in("secret", large, 8192), 0);
	assert_int_equal(text_in("secret", large, 8193), MP_E_INVALID_PARAMS);
	assert_int_equal(text_in("secret", BYTES("")), MP_E_INVALID_PARAMS);
}

static void
test_row__errors_do_not_quote_values(void **state)
{
	struct error err;

	(void)state;
	filler_text = "SECRETWORD";
	filler_len = 10;
	assert_int_equal(check_one("str(4)", fill_text, &err), MP_E_INVALID_PARAMS);
	assert_null(strstr(err.message, "SECRETWORD"));
	assert_int_equal(check_one("name", fill_text, &err), MP_E_INVALID_PARAMS);
	assert_null(strstr(err.message, "SECRETWORD"));
}

static void
test_row__bad_notation_is_refused(void **state)
{
	static const char *const wrong[] = {"a", "a:", ":str", "a:strr", "a:int(1)", "a:int(1..",
	    "a:int(5..1)", "a:str(0)", "a:str(x)", "a:[str", "a:[strr]", "a:bool(1..2)"};
	struct row row;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		if (row_parse(wrong[i], &row) == 0)
			fail_msg("accepted: %s", wrong[i]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_row__text),
		cmocka_unit_test(test_row__names_and_refs),
		cmocka_unit_test(test_row__ints),
		cmocka_unit_test(test_row__lists),
		cmocka_unit_test(test_row__bytes_and_secrets),
		cmocka_unit_test(test_row__errors_do_not_quote_values),
		cmocka_unit_test(test_row__bad_notation_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

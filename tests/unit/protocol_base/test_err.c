#include "common.h"

#include "protocol/base/err.h"
#include "protocol/base/str.h"

static const int all_codes[] = {
#define ERROR(id, code, num, retryable, exit_code) MP_E_##id,
#include "protocol/base/errors.def"
#undef ERROR
};

static void
test_err__every_code_comes_back(void **state)
{
	size_t i, k;

	(void)state;
	for (i = 0; i < COUNT(all_codes); i++) {
		assert_int_equal(error_from_code(error_code(all_codes[i])), all_codes[i]);
		assert_int_equal(error_num(all_codes[i]), -all_codes[i]);
		for (k = 0; k < i; k++)
			assert_int_not_equal(all_codes[i], all_codes[k]);
	}
}

static void
test_err__rows_say_what_they_say(void **state)
{
	(void)state;
	assert_string_equal(error_code(MP_E_RATE_LIMITED), "rate_limited");
	assert_true(error_retryable(MP_E_RATE_LIMITED));
	assert_int_equal(error_exit_code(MP_E_RATE_LIMITED), 7);
	assert_false(error_retryable(MP_E_NOT_FOUND));
	assert_int_equal(error_exit_code(MP_E_CANCELLED), 130);
}

static void
test_err__unknown_ones_are_internal(void **state)
{
	(void)state;
	assert_string_equal(error_code(-4711), "internal");
	assert_int_equal(error_num(5), 29);
	assert_int_equal(error_from_code("made_up_later"), MP_E_INTERNAL);
}

static void
test_err__set_fills_and_clears_the_rest(void **state)
{
	struct error e = { .http_status = 500, .retry_after_ms = 3, .hint = "old", .field = "f" };

	(void)state;
	error_candidate(&e, "old");
	assert_int_equal(error_set(&e, MP_E_NOT_FOUND, "no provider %s", "x"), MP_E_NOT_FOUND);
	assert_int_equal(e.code, MP_E_NOT_FOUND);
	assert_string_equal(e.message, "no provider x");
	assert_string_equal(e.hint, "");
	assert_string_equal(e.field, "");
	assert_string_equal(e.candidates[0], "");
	assert_int_equal(e.http_status, 0);
	assert_int_equal(e.retry_after_ms, 0);
}

static void
test_err__null_is_allowed(void **state)
{
	(void)state;
	assert_int_equal(error_set(NULL, MP_E_BUSY, "x"), MP_E_BUSY);
	assert_int_equal(error_field(NULL, "f", "x"), MP_E_INVALID_PARAMS);
	error_hint(NULL, "x");
	error_candidate(NULL, "x");
}

static const char *
name_at(const void *arg, size_t i)
{
	return ((const char *const *)arg)[i];
}

static void
test_err__mistyped_names_get_suggestions(void **state)
{
	static const char *const names[] = { "openai", "openrouter", "ollama", "gemini", "opensea",
		"openbsd", "opener" };
	struct error e = ERROR_INIT;

	(void)state;
	error_set(&e, MP_E_NOT_FOUND, "x");
	error_suggest(&e, "oepnai", name_at, names, COUNT(names));
	assert_string_equal(e.candidates[0], "openai");
	/* beginnings, in order, as many as there are places */
	error_set(&e, MP_E_NOT_FOUND, "x");
	error_suggest(&e, "open", name_at, names, COUNT(names));
	assert_string_equal(e.candidates[0], "openai");
	assert_string_equal(e.candidates[1], "openrouter");
	assert_string_equal(e.candidates[3], "openbsd");
	/* too far, too short */
	error_set(&e, MP_E_NOT_FOUND, "x");
	error_suggest(&e, "zz", name_at, names, COUNT(names));
	error_suggest(&e, "op", name_at, names, COUNT(names));
	assert_string_equal(e.candidates[0], "");
}

static void
test_err__field_names_the_parameter(void **state)
{
	struct error e = ERROR_INIT;

	(void)state;
	assert_int_equal(error_field(&e, "model", "%s is no model", "x"), MP_E_INVALID_PARAMS);
	assert_string_equal(e.field, "model");
	error_hint(&e, "try %s", "mpc list");
	assert_string_equal(e.hint, "try mpc list");
	assert_string_equal(e.message, "x is no model");
}

static void
test_err__control_characters_are_escaped(void **state)
{
	struct error e = ERROR_INIT;

	(void)state;
	error_set(&e, MP_E_UPSTREAM, "a\nb\x1b[31m\x7f %s", "\xe2\x80\xae" "c\xc2\x85\xff");
	assert_string_equal(e.message, "a\\x0ab\\x1b[31m\\x7f \\u{202e}c\\u{0085}\\xff");
}

static void
test_err__long_text_is_cut_between_code_points(void **state)
{
	char text[2000];
	struct error e = ERROR_INIT;
	size_t i, skip;

	(void)state;
	for (i = 0; i + 3 < sizeof text; i += 3)
		memcpy(text + i, "\xe2\x82\xac", 4);
	for (skip = 0; skip < 3; skip++) {
		error_set(&e, MP_E_UPSTREAM, "%.*s%s", (int)skip, "ab", text);
		i = strlen(e.message);
		assert_true(i < sizeof e.message && i > sizeof e.message - 5);
		assert_string_equal(e.message + i - 3, "...");
		assert_true(utf8_valid(e.message, i));
	}
}

static void
test_err__text_that_just_fits_is_not_cut(void **state)
{
	struct error e = ERROR_INIT;
	char text[sizeof e.message + 1];

	(void)state;
	memset(text, 'x', sizeof text);
	text[sizeof e.message - 1] = '\0';
	error_set(&e, MP_E_UPSTREAM, "%s", text);
	assert_string_equal(e.message, text);
	text[sizeof e.message - 1] = 'x';
	text[sizeof e.message] = '\0';
	error_set(&e, MP_E_UPSTREAM, "%s", text);
	assert_int_equal(strlen(e.message), sizeof e.message - 1);
	assert_string_equal(e.message + sizeof e.message - 4, "...");
}

static void
test_err__an_escape_is_never_cut_in_two(void **state)
{
	struct error e = ERROR_INIT;
	char text[600];

	(void)state;
	memset(text, '\x01', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	error_set(&e, MP_E_UPSTREAM, "%s", text);
	assert_int_equal(strlen(e.message) % 4, 3);
	assert_string_equal(e.message + strlen(e.message) - 7, "\\x01...");
}

static void
test_err__arguments_may_be_its_own_text(void **state)
{
	struct error e = ERROR_INIT;

	(void)state;
	error_set(&e, MP_E_UPSTREAM, "inner");
	error_set(&e, MP_E_CHAIN_EXHAUSTED, "outer: %s", e.message);
	assert_string_equal(e.message, "outer: inner");
}

static void
test_err__more_candidates_than_places_are_dropped(void **state)
{
	struct error e = ERROR_INIT;
	size_t i;

	(void)state;
	error_set(&e, MP_E_NOT_FOUND, "x");
	for (i = 0; i < COUNT(e.candidates) + 2; i++)
		error_candidate(&e, (const char *[]){ "a", "b", "c", "d", "e", "f" }[i]);
	assert_string_equal(e.candidates[0], "a");
	assert_string_equal(e.candidates[3], "d");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_err__every_code_comes_back),
		cmocka_unit_test(test_err__rows_say_what_they_say),
		cmocka_unit_test(test_err__unknown_ones_are_internal),
		cmocka_unit_test(test_err__set_fills_and_clears_the_rest),
		cmocka_unit_test(test_err__null_is_allowed),
		cmocka_unit_test(test_err__mistyped_names_get_suggestions),
		cmocka_unit_test(test_err__field_names_the_parameter),
		cmocka_unit_test(test_err__control_characters_are_escaped),
		cmocka_unit_test(test_err__long_text_is_cut_between_code_points),
		cmocka_unit_test(test_err__text_that_just_fits_is_not_cut),
		cmocka_unit_test(test_err__an_escape_is_never_cut_in_two),
		cmocka_unit_test(test_err__arguments_may_be_its_own_text),
		cmocka_unit_test(test_err__more_candidates_than_places_are_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

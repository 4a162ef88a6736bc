/* Where a key is read from, in words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/state/key_source.h"

static void
test_key_source__words_as_a_shell_splits_them(void **state)
{
	static const struct {
		const char *command, *words; /* each with a bar after it */
	} cases[] = {
		{ "pass show x", "pass|show|x|" },
		{ "  a\t b  ", "a|b|" },
		{ "a 'b c' \"d e\"f", "a|b c|d ef|" },
		{ "a '' \"\"", "a|||" },
		{ "a b\\ c 'd\\e' \"f\\\"g\\h\"", "a|b c|d\\e|f\"g\\h|" },
		{ "a 'b|c;$d' \"e|f\"", "a|b|c;$d|e|f|" },
		{ "a \\$b \\|", "a|$b|||" },
		{ "a b~c #d", "a|b~c|#d|" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct error err = ERROR_INIT;
		struct key_words w;
		char all[200] = "";

		assert_int_equal(key_words_split(cases[i].command, &w, &err), 0);
		for (size_t k = 0; k < w.count; k++) {
			strcat(all, w.of[k]);
			strcat(all, "|");
		}
		assert_string_equal(all, cases[i].words);
		key_words_clear(&w);
	}
}

static void
test_key_source__what_would_need_a_shell_is_refused(void **state)
{
	static const char *const bad[] = { "a | b", "a;b", "a&", "a $b", "a `b`", "a > b", "a < b", "(a)",
		"a *", "a b?", "~/x", "a ~/x", "a \"$b\"", "a \"`b`\"", "a 'b", "a \"b", "", "   ", "'' a" };
	struct error err = ERROR_INIT;
	struct key_words w;
	char many[200] = "";

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(key_words_split(bad[i], &w, &err), MP_E_INVALID_PARAMS);
		assert_string_equal(err.field, "source");
	}
	for (int i = 0; i < KEY_SOURCE_MAX_WORDS; i++)
		strcat(many, "a ");
	assert_int_equal(key_words_split(many, &w, &err), 0);
	key_words_clear(&w);
	strcat(many, "a");
	assert_int_equal(key_words_split(many, &w, &err), MP_E_INVALID_PARAMS);
}

static void
test_key_source__the_program_is_replaced_the_rest_stays(void **state)
{
	static const struct {
		const char *command, *program, *result;
	} cases[] = {
		{ "pass  show 'x y'", "/usr/bin/pass", "/usr/bin/pass  show 'x y'" },
		{ "'pa'ss x", "/a b/pass", "'/a b/pass' x" },
		{ "pass", "/it's/pass", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct error err = ERROR_INIT;
		struct key_words w, again;
		char *made;

		assert_int_equal(key_words_split(cases[i].command, &w, &err), 0);
		made = key_words_replace(&w, cases[i].command, cases[i].program);
		if (cases[i].result == NULL) {
			assert_null(made);
		} else {
			assert_string_equal(made, cases[i].result);
			assert_int_equal(key_words_split(made, &again, &err), 0);
			assert_string_equal(again.of[0], cases[i].program);
			assert_int_equal(again.count, w.count);
			key_words_clear(&again);
		}
		free(made);
		key_words_clear(&w);
	}
}

static void
test_key_source__rows(void **state)
{
	enum key_source_kind kind;
	const char *text;

	(void)state;
	assert_true(key_source_parse("", &kind, &text));
	assert_int_equal(kind, KEY_STORED);
	assert_true(key_source_parse("command a b", &kind, &text));
	assert_int_equal(kind, KEY_COMMAND);
	assert_string_equal(text, "a b");
	assert_true(key_source_parse("env X", &kind, &text) && kind == KEY_ENV);
	assert_true(key_source_parse("file /x", &kind, &text) && kind == KEY_FILE);
	assert_false(key_source_parse("stored x", &kind, &text));
	assert_false(key_source_parse("env", &kind, &text));
	assert_false(key_source_parse("env ", &kind, &text));
	assert_false(key_source_parse("environment X", &kind, &text));
}

static void
test_key_source__the_first_line_is_the_key(void **state)
{
	static const struct {
		const char *output, *key;
	} cases[] = {
		{ "sk-1", "sk-1" },
		{ "sk-1\n", "sk-1" },
		{ "sk-1\r\nmore", "sk-1" },
		{ "sk-1\n\nx y", "sk-1" },
		{ "", NULL },
		{ "\nsk-1", NULL },
		{ "sk 1\n", NULL },
		{ " sk-1", NULL },
		{ "sk-\xc3\xa9", NULL },
	};
	struct slice key;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		bool found = key_source_value(slice_of(cases[i].output), &key);

		assert_int_equal(found, cases[i].key != NULL);
		if (found)
			assert_true(slice_eq(key, cases[i].key));
	}
	assert_false(key_source_value((struct slice){ "sk\0x", 4 }, &key));
	assert_false(key_source_value((struct slice){ NULL, 0 }, &key));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_key_source__words_as_a_shell_splits_them),
		cmocka_unit_test(test_key_source__what_would_need_a_shell_is_refused),
		cmocka_unit_test(test_key_source__the_program_is_replaced_the_rest_stays),
		cmocka_unit_test(test_key_source__rows),
		cmocka_unit_test(test_key_source__the_first_line_is_the_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

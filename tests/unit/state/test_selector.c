#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "server/state/selector.h"

static bool
is_provider(void *arg, struct slice name)
{
	(void)arg;
	return slice_eq(name, "openrouter") || slice_eq(name, "ollama") || slice_eq(name, "llama.cpp");
}

static void
test_selector__table(void **state)
{
	static const struct {
		const char *text;
		enum selector_kind kind;
		const char *left, *right;
	} rows[] = {
		{ "", SELECTOR_EMPTY, "", "" },
		{ "@coding", SELECTOR_CATEGORY, "coding", "" },
		{ "openrouter:gpt-4", SELECTOR_PAIR, "openrouter", "gpt-4" },
		{ "openrouter:qwen/qwen3-32b:free", SELECTOR_PAIR, "openrouter", "qwen/qwen3-32b:free" },
		{ "openrouter/anthropic/claude:beta", SELECTOR_PAIR, "openrouter",
		    "anthropic/claude:beta" },
		{ "openrouter,openai/gpt-4", SELECTOR_PAIR, "openrouter", "openai/gpt-4" },
		{ "ollama,llama3:8b", SELECTOR_PAIR, "ollama", "llama3:8b" },
		{ "ollama/a,b", SELECTOR_PAIR, "ollama", "a,b" },
		{ "ollama::x", SELECTOR_PAIR, "ollama", ":x" },
		{ "llama.cpp:m", SELECTOR_PAIR, "llama.cpp", "m" },
		{ "ollama", SELECTOR_WORD, "ollama", "" },
		{ "sonnet", SELECTOR_WORD, "sonnet", "" },
		{ "qwen3:8b", SELECTOR_WORD, "qwen3:8b", "" },
		{ "openai/gpt-4", SELECTOR_WORD, "openai/gpt-4", "" },
		{ "vendor/openrouter:x", SELECTOR_WORD, "vendor/openrouter:x", "" },
		{ ":x", SELECTOR_WORD, ":x", "" },
		{ "Openrouter:x", SELECTOR_WORD, "Openrouter:x", "" },
		{ "mod\xc3\xa8le", SELECTOR_WORD, "mod\xc3\xa8le", "" },
		{ "~anthropic/claude-latest", SELECTOR_WORD, "~anthropic/claude-latest", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct error err = ERROR_INIT;
		struct selector s;

		if (selector_parse(rows[i].text, strlen(rows[i].text), is_provider, NULL, &s, &err) != 0)
			fail_msg("%s: %s", rows[i].text, err.message);
		assert_int_equal(s.kind, rows[i].kind);
		assert_true(slice_eq(s.left, rows[i].left));
		assert_true(slice_eq(s.right, rows[i].right));
	}
}

static void
test_selector__bad_texts_are_refused(void **state)
{
	static const struct {
		const char *text;
		size_t n;
	} rows[] = {
		{ " ", 1 }, { "a b", 3 }, { "a\tb", 3 }, { "a\n", 2 }, { "a\0b", 3 }, { "\0", 1 },
		{ "a\x7f", 2 }, { "a\x1b[2J", 5 }, { "a\xff", 2 }, { "a\xc3", 2 }, { "\xc0\xaf", 2 },
		{ "a\xc2\x85", 3 }, { "a\xc2\xa0", 3 }, { "a\xe2\x80\xae", 4 }, { "a\xe2\x80\x8b", 4 },
		{ "a\xe3\x80\x80", 4 }, { "a\xef\xbb\xbf", 4 }, { "@", 1 }, { "@A", 2 }, { "@a/b", 4 },
		{ "openrouter:", 11 }, { "openrouter/", 11 }, { "ollama,", 7 },
	};
	char big[SELECTOR_MAX_BYTES + 2];
	struct selector s;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct error err = ERROR_INIT;

		if (selector_parse(rows[i].text, rows[i].n, is_provider, NULL, &s, &err)
		    != MP_E_INVALID_PARAMS)
			fail_msg("row %zu was taken", i);
		assert_string_equal(err.field, "ref");
	}
	memset(big, 'a', sizeof big);
	assert_int_equal(selector_parse(big, SELECTOR_MAX_BYTES, is_provider, NULL, &s, NULL), 0);
	assert_int_equal(selector_parse(big, SELECTOR_MAX_BYTES + 1, is_provider, NULL, &s, NULL),
	    MP_E_INVALID_PARAMS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_selector__table),
		cmocka_unit_test(test_selector__bad_texts_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

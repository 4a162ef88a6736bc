/* Pictures of a live view: cells, cuts, edges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/app.h"
#include "client/frame.h"
#include "client/width.h"

static void
expect(const struct frame *f, bool color, const char *text)
{
	char *out = NULL;
	size_t n = 0;
	FILE *file = open_memstream(&out, &n);

	frame_print(f, file, color);
	fclose(file);
	assert_string_equal(out, text);
	free(out);
}

static int
use_utf8(void **state)
{
	struct app a = {.utf8 = true};

	(void)state;
	width_use_locale(&a);
	return 0;
}

static void
test_width__counts_columns(void **state)
{
	(void)state;
	assert_int_equal(width_of(""), 0);
	assert_int_equal(width_of("abc"), 3);
	assert_int_equal(width_of("é→"), 2);
	assert_int_equal(width_of("漢字"), 4);
	assert_int_equal(width_of("e\xcc\x81"), 1); /* a combining accent */
	assert_int_equal(width_of("a\xff"), 2);
	assert_int_equal(width_fit("漢字", 3), 3);
	assert_int_equal(width_fit("abc", 2), 2);
	assert_int_equal(width_fit("abc", 9), 3);
}

static void
test_width__cuts_with_a_mark(void **state)
{
	static const struct {
		const char *text;
		size_t columns;
		bool utf8;
		const char *out;
	} cases[] = {
	    {"abc", 3, true, "abc"},
	    {"abcd", 3, true, "ab…"},
	    {"abcd", 3, false, "ab~"},
	    {"漢字漢", 4, true, "漢…"},
	    {"abcd", 1, true, "…"},
	    {"abcd", 0, true, ""},
	    {"", 0, true, ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *out = width_cut(cases[i].text, cases[i].columns, cases[i].utf8);

		assert_string_equal(out, cases[i].out);
		free(out);
	}
}

static void
test_frame__cells_and_the_edge(void **state)
{
	struct frame f;

	(void)state;
	frame_init(&f, 12, true);
	frame_line(&f);
	frame_cell(&f, STYLE_PLAIN, "ab", 4, false);
	frame_cell(&f, STYLE_PLAIN, "7", 3, true);
	frame_add(&f, STYLE_BOLD, " longer than that");
	frame_add(&f, STYLE_PLAIN, "never");
	frame_cell(&f, STYLE_PLAIN, "never", 4, true);
	frame_line(&f);
	frame_cell(&f, STYLE_PLAIN, "x", 6, false);
	frame_cell(&f, STYLE_DIM, "", 6, false);
	expect(&f, false, "ab    7 lon…\nx\n");
	assert_int_equal(f.lines[0].used, 12);
	frame_clear(&f);
}

static void
test_frame__colors_only_where_asked(void **state)
{
	struct frame f;

	(void)state;
	frame_init(&f, 20, true);
	frame_line(&f);
	frame_add(&f, STYLE_PLAIN, "a");
	frame_add(&f, STYLE_BAD, "b");
	expect(&f, false, "ab\n");
	expect(&f, true, "a\033[31mb\033[0m\n");
	frame_clear(&f);
}

static void
test_frame__append_takes_a_part(void **state)
{
	struct frame part, f;

	(void)state;
	frame_init(&part, 10, true);
	for (int i = 0; i < 4; i++) {
		char text[2] = {(char)('a' + i), '\0'};

		frame_line(&part);
		frame_add(&part, STYLE_PLAIN, text);
	}
	frame_init(&f, 10, true);
	frame_append(&f, &part, 1, 2);
	frame_append(&f, &part, 3, 9);
	frame_append(&f, &part, 9, 9);
	expect(&f, false, "b\nc\nd\n");
	frame_clear(&f);
	frame_clear(&part);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_width__counts_columns),
		cmocka_unit_test(test_width__cuts_with_a_mark),
		cmocka_unit_test(test_frame__cells_and_the_edge),
		cmocka_unit_test(test_frame__colors_only_where_asked),
		cmocka_unit_test(test_frame__append_takes_a_part),
	};

	return cmocka_run_group_tests(tests, use_utf8, NULL);
}

/* What the model says, on its way to the screen or into a file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/answer.h"
#include "client/app.h"

enum how { TO_FILE, TERMINAL_PLAIN, TERMINAL_RENDERED };

/* Writes the pieces (NULL ends them; "\1" in front: reasoning) and gives what reached stdout. */
static void
write_answer(enum how how, const char *const *pieces, char *out, size_t size)
{
	struct app a = {.out_tty = how != TO_FILE, .out_color = how == TERMINAL_RENDERED};
	FILE *file = tmpfile();
	struct answer w;
	int saved;
	size_t n;

	assert_non_null(file);
	fflush(stdout);
	saved = dup(STDOUT_FILENO);
	assert_true(dup2(fileno(file), STDOUT_FILENO) >= 0);
	answer_init(&w, &a, false);
	for (size_t i = 0; pieces[i] != NULL; i++) {
		if (pieces[i][0] == '\1')
			answer_reasoning(&w, slice_of(pieces[i] + 1));
		else
			answer_text(&w, slice_of(pieces[i]));
	}
	answer_end(&w);
	answer_clear(&w);
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	rewind(file);
	n = fread(out, 1, size - 1, file);
	out[n] = '\0';
	fclose(file);
}

static void
check(enum how how, const char *const *pieces, const char *want)
{
	char got[1024];

	write_answer(how, pieces, got, sizeof(got));
	assert_string_equal(got, want);
}

static void
test_answer__one_newline_at_the_end_of_a_file(void **state)
{
	(void)state;
	check(TO_FILE, (const char *const[]){"a", "b", NULL}, "ab\n");
	check(TO_FILE, (const char *const[]){"a\n", "\n", "b\n\n\n", NULL}, "a\n\nb\n");
	check(TO_FILE, (const char *const[]){"\n\n", NULL}, "\n");
	check(TO_FILE, (const char *const[]){NULL}, "");
}

static void
test_answer__a_file_gets_the_bytes_as_they_are(void **state)
{
	(void)state;
	check(TO_FILE, (const char *const[]){"\033[31m**x**", NULL}, "\033[31m**x**\n");
}

static void
test_F85_answer__a_terminal_gets_no_escapes(void **state)
{
	(void)state;
	check(TERMINAL_PLAIN, (const char *const[]){"a\033]52;c;x\007\n", NULL},
	    "a\\x1b]52;c;x\\x07\n");
	check(TERMINAL_RENDERED, (const char *const[]){"a \033[2J b, some more words", NULL},
	    "a \\x1b[2J b, some more words\033[0m\n");
}

/* So short that the renderer waits to learn what the line is. */
static void
test_answer__a_short_answer_is_not_held_back_for_ever(void **state)
{
	(void)state;
	check(TERMINAL_RENDERED, (const char *const[]){"hi", NULL}, "hi\033[0m\n");
	check(TERMINAL_RENDERED, (const char *const[]){"**", NULL}, "**\033[0m\n");
}

static void
test_answer__reasoning_is_dimmed_and_apart(void **state)
{
	(void)state;
	check(TERMINAL_RENDERED, (const char *const[]){"\1hm", "\1m", "so it is done\n", NULL},
	    "\033[2mhmm\033[0m\n\nso it is done\n\033[0m");
	check(TERMINAL_PLAIN, (const char *const[]){"\1hmm", "so\n", NULL}, "hmm\n\nso\n");
	/* what the renderer holds comes before what was thought after it */
	check(TERMINAL_RENDERED, (const char *const[]){"hi", "\1hmm", "ho", NULL},
	    "hi\033[0m\n\033[2mhmm\033[0m\n\nho\033[0m\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_answer__one_newline_at_the_end_of_a_file),
	    cmocka_unit_test(test_answer__a_file_gets_the_bytes_as_they_are),
	    cmocka_unit_test(test_F85_answer__a_terminal_gets_no_escapes),
	    cmocka_unit_test(test_answer__a_short_answer_is_not_held_back_for_ever),
	    cmocka_unit_test(test_answer__reasoning_is_dimmed_and_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

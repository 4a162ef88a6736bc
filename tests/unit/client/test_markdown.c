/* Markdown on a terminal: rendered, streamed, and never lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/markdown.h"
#include "protocol/base/str.h"

/* Feeds the text in pieces of `step` bytes; the caller clears the result. */
static struct buf
render(const char *text, size_t step)
{
	struct markdown m;
	struct buf out = BUF_INIT;
	size_t n = strlen(text);

	markdown_init(&m, true);
	for (size_t i = 0; i < n; i += step)
		markdown_feed(&m, text + i, n - i < step ? n - i : step, &out);
	markdown_end(&m, &out);
	markdown_clear(&m);
	return out;
}

struct row {
	const char *text, *want;
};

#define END "\033[0m"

static const struct row rows[] = {
    {"plain text\n", "plain text\n" END},
    {"no newline", "no newline" END},
    {"# Title\ntext\n", "\033[1mTitle\033[22m\ntext\n" END},
    {"####### seven\n", "####### seven\n" END},
    {"#hashtag\n", "#hashtag\n" END},
    {"a **bold** b\n", "a \033[1mbold\033[22m b\n" END},
    {"an *italic* one\n", "an \033[3mitalic\033[23m one\n" END},
    {"an _italic_ one\n", "an \033[3mitalic\033[23m one\n" END},
    {"snake_case_name and 2*3*4\n", "snake_case_name and 2*3*4\n" END},
    {"a * b * c\n", "a * b * c\n" END},
    {"**never closed\nnext\n", "**never closed\nnext\n" END},
    {"run `a*b*c` now\n", "run \033[36ma*b*c\033[39m now\n" END},
    {"``a`b`` x\n", "\033[36ma`b\033[39m x\n" END},
    {"- one\n- two\n", "• one\n• two\n" END},
    {"  * nested\n", "  • nested\n" END},
    {"* **b** x\n", "• \033[1mb\033[22m x\n" END},
    {"1. first\n", "1. first\n" END},
    {"```c\nint *p;\n# no title\n```\nafter\n",
	"\033[2mc\n  int *p;\n  # no title\n\033[22m\nafter\n" END},
    {"~~~\n```\n~~~\n", "\033[2m\n  ```\n\033[22m\n" END},
    {"```\nnever closed", "\033[2m\n  never closed" END},
    {"```inline``` code\n", "\033[36minline\033[39m code\n" END},
    {"\n\n\n", "\n\n\n" END},
    {"", END},
    {"grün *größer* ok\n", "grün \033[3mgrößer\033[23m ok\n" END},
};

static void
test_markdown__rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf b = render(rows[i].text, 4096);

		assert_string_equal(buf_str(&b), rows[i].want);
		buf_clear(&b);
	}
}

static void
test_markdown__same_for_every_split(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t step = 1; step < 16; step++) {
			struct buf b = render(rows[i].text, step);

			assert_string_equal(buf_str(&b), rows[i].want);
			buf_clear(&b);
		}
}

static void
test_markdown__plain_words_do_not_wait_for_the_line(void **state)
{
	struct markdown m;
	struct buf out = BUF_INIT;

	(void)state;
	markdown_init(&m, true);
	markdown_feed(&m, "The quick brown fox", 19, &out);
	assert_string_equal(buf_str(&out), "The quick brown fox");
	markdown_feed(&m, " and `co", 8, &out);
	assert_string_equal(buf_str(&out), "The quick brown fox and ");
	markdown_end(&m, &out);
	assert_string_equal(buf_str(&out), "The quick brown fox and `co" END);
	markdown_clear(&m);
	buf_clear(&out);
}

/* Letters and digits: no renderer may lose, add or reorder one of them. */
static void
only_words(const char *s, struct buf *out)
{
	for (; *s != '\0'; s++) {
		if (*s == '\033') {
			s += strcspn(s, "m");
			continue;
		}
		if ((*s >= 'a' && *s <= 'z') || *s == '\n')
			buf_addc(out, *s);
	}
	buf_addc(out, '.');
}

static void
test_markdown__nothing_is_lost_in_random_text(void **state)
{
	static const char alphabet[] = "ab*_`~#- \n>cd";
	unsigned seed = 12345;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		char text[64];
		size_t n, step;
		struct buf b, got = BUF_INIT, want = BUF_INIT;

		seed = seed * 1103515245u + 12345u;
		n = (seed >> 16) % (sizeof(text) - 1);
		for (size_t i = 0; i < n; i++) {
			seed = seed * 1103515245u + 12345u;
			text[i] = alphabet[(seed >> 16) % (sizeof(alphabet) - 1)];
		}
		text[n] = '\0';
		step = 1 + (seed >> 8) % 7;
		b = render(text, step);
		only_words(buf_str(&b), &got);
		only_words(text, &want);
		if (strcmp(buf_str(&got), buf_str(&want)) != 0)
			fail_msg("\"%s\" became \"%s\"", text, buf_str(&b));
		buf_clear(&b);
		buf_clear(&got);
		buf_clear(&want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_markdown__rows),
	    cmocka_unit_test(test_markdown__same_for_every_split),
	    cmocka_unit_test(test_markdown__plain_words_do_not_wait_for_the_line),
	    cmocka_unit_test(test_markdown__nothing_is_lost_in_random_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_writer.c - what is written is read back as the same; differences of documents. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/base/str.h"
#include "server/document/difference.h"
#include "server/document/reader.h"
#include "server/document/writer.h"

static struct node *
read(const char *text)
{
	struct problems ps = { .count = 0 };
	struct node *n = document_read(text, strlen(text), &ps);

	if (n == NULL)
		fail_msg("%s\n%d:%d: %s", text, ps.list[0].line, ps.list[0].column, ps.list[0].message);
	problems_clear(&ps);
	return n;
}

static void
test_writer__one_form_for_everything(void **state)
{
	struct buf out = BUF_INIT;
	struct writer w;

	(void)state;
	writer_init(&w, &out, true);
	write_comment(&w, "for %s", "people");
	write_int(&w, "version", 1);
	write_blank(&w);
	write_begin(&w, "providers");
	write_empty_map(&w, "lab");
	write_begin(&w, "odd: key");
	write_comment(&w, "deep");
	write_commented(&w, "off", "1");
	write_text(&w, "url", "http://127.0.0.1:8081/v1");
	write_text(&w, "nothing", NULL);
	write_bool(&w, "on", true);
	write_raw(&w, "span", "30m");
	write_begin(&w, "list");
	write_item(&w, "openai:gpt-5");
	write_item(&w, "1.0");
	write_end(&w);
	write_end(&w);
	write_end(&w);
	write_empty_list(&w, "models");
	assert_string_equal(buf_str(&out),
	    "# for people\nversion: 1\n\nproviders:\n  lab: {}\n  \"odd: key\":\n"
	    "    # deep\n    #off: 1\n    url: http://127.0.0.1:8081/v1\n    nothing: null\n    "
	    "\"on\": true\n"
	    "    span: 30m\n    list:\n      - openai:gpt-5\n      - \"1.0\"\nmodels: []\n");
	node_free(read(buf_str(&out)));
	buf_clear(&out);
}

/* As text, as a key and as an item of a list. */
static void
comes_back(const char *text)
{
	struct buf out = BUF_INIT;
	struct writer w;
	struct node *n;

	writer_init(&w, &out, false);
	write_text(&w, "a", text);
	write_begin(&w, "m");
	write_text(&w, text, "x");
	write_end(&w);
	write_begin(&w, "l");
	write_item(&w, text);
	write_end(&w);
	n = read(buf_str(&out));
	if (node_get(n, "a")->kind != NODE_SCALAR || strcmp(node_get(n, "a")->text, text) != 0 ||
	    strcmp(node_get(n, "m")->first->key, text) != 0 ||
	    strcmp(node_get(n, "l")->first->text, text) != 0)
		fail_msg("not the same: %s", buf_str(&out));
	node_free(n);
	buf_clear(&out);
}

static void
test_writer__every_text_comes_back(void **state)
{
	static const char *const texts[] = {"", " ", "a", "null", "~", "true", "No", "y", "1",
	    "1e5", "0x1f", "1:30", "-", "- a", "a: b", "a:", "a #b", "#", "'", "\"", "\\", "a\\nb",
	    "[", "{}", "!x", "&x", "*x", "%x", "@x", "`", "|", ">", "? a", "a\nb", "a\n", "\n",
	    "\r\n", "\t", "a\tb", " a", "a ", "\x01", "\x7f", "\x1b[31m", "\xc3\xa9", "\xc2\x85",
	    "\xc2\xa0", "\xe2\x80\xa8", "\xe2\x80\xa9", "\xef\xbb\xbf", "\xef\xbf\xbe",
	    "\xf0\x9f\x98\x80", "---", "...", "<<", "=", "a,b", "a]b", "http://x/y?z=1#f",
	    "/usr/bin/x", "x/y:free", "2026-01-01", "two words", "two  blanks", "a :b", "a : b",
	    "a: ", "yes no", "/ x"};
	unsigned seed = 7;

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		comes_back(texts[i]);
	for (int i = 0; i < 3000; i++) {
		char text[16];
		size_t n = (size_t)rand_r(&seed) % sizeof text;

		for (size_t k = 0; k < n; k++)
			text[k] = (char)(1 + rand_r(&seed) % 127);
		text[n < sizeof text ? n : n - 1] = '\0';
		comes_back(text);
	}
}

/* ---- differences ---- */

static void
differs(const char *before, const char *after, const char *wanted)
{
	struct node *b = read(before), *a = read(after);
	struct difference d;
	struct buf out = BUF_INIT;

	difference_of(b, a, &d);
	for (size_t i = 0; i < d.count; i++) {
		difference_line(&d.items[i], &out);
		buf_addc(&out, '\n');
	}
	assert_string_equal(buf_str(&out), wanted);
	difference_clear(&d);
	buf_clear(&out);
	node_free(b);
	node_free(a);
}

static void
test_difference__leaf_by_leaf(void **state)
{
	(void)state;
	differs("s: {a: 1, b: 2}", "s: {b: 2, a: 1}", "");
	differs("s: {a: 1}", "s: {a: '1'}", "");
	differs("s: {a: 1, b: 2}", "s: {a: 3, c: 4}", "~ s.a: 1 -> 3\n- s.b: 2\n+ s.c: 4\n");
	differs("p: {x: {u: 1, m: {k: v}}}", "p: {}", "- p.x.u: 1\n- p.x.m.k: v\n");
	differs("p: {}", "p: {x: {}}", "+ p.x: {}\n");
	differs("p: {}\nq: []", "p:\nq:", ""); /* an empty section is none */
	differs("p: {x: {a: 1}}", "p: {x: [1]}", "~ p.x: {} -> [1]\n");
	differs("p: {x: null}", "p: {x: a}", "~ p.x: null -> a\n");
	differs("p: {x: \"a\\nb\"}", "p: {}", "- p.x: a\\x0ab\n");
}

static void
test_difference__lists_are_sets_with_an_order(void **state)
{
	(void)state;
	differs("l: [a, b, c]", "l: [a, d, c]", "- l: b\n+ l: d\n");
	differs("l: [a, b, c]", "l: [c, b, a]", "~ l: [a, b, c] -> [c, b, a]\n");
	differs("l: [a, ~]", "l: [a]", "- l: null\n");
	differs("l: [a, a]", "l: [a]", "~ l: [a, a] -> [a]\n");
	differs("l: [{a: 1}]", "l: [{a: 2}]", "~ l: [{}] -> [{}]\n");
	differs("l: [{a: 1}]", "l: [{a: 1}]", "");
	differs("l: []", "l: [x]", "+ l: x\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_writer__one_form_for_everything),
		cmocka_unit_test(test_writer__every_text_comes_back),
		cmocka_unit_test(test_difference__leaf_by_leaf),
		cmocka_unit_test(test_difference__lists_are_sets_with_an_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_reader.c - YAML and JSON into one tree; what is refused, and where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/base/buf.h"
#include "protocol/base/str.h"
#include "server/document/reader.h"

static struct problems ps;

static int
setup(void **state)
{
	(void)state;
	memset(&ps, 0, sizeof ps);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	problems_clear(&ps);
	return 0;
}

/* The tree in a canonical form, with places: {a@1.1:"x"@1.4,b@..:[..]} */
static void
show(const struct node *n, bool places, struct buf *out)
{
	switch (n->kind) {
	case NODE_NULL:
		buf_adds(out, "null");
		break;
	case NODE_SCALAR:
		buf_addf(out, n->quoted ? "\"%s\"" : "%s", n->text);
		break;
	case NODE_LIST:
	case NODE_MAP:
		buf_addc(out, n->kind == NODE_LIST ? '[' : '{');
		for (const struct node *m = n->first; m != NULL; m = m->next) {
			if (m != n->first)
				buf_addc(out, ',');
			if (n->kind == NODE_MAP)
				buf_adds(out, m->key);
			if (n->kind == NODE_MAP && places)
				buf_addf(out, "@%d.%d", m->key_line, m->key_column);
			if (n->kind == NODE_MAP)
				buf_addc(out, ':');
			show(m, places, out);
		}
		buf_addc(out, n->kind == NODE_LIST ? ']' : '}');
		break;
	}
	if (places)
		buf_addf(out, "@%d.%d", n->line, n->column);
}

static void
reads_as(const char *text, bool places, const char *wanted)
{
	struct node *n = document_read(text, strlen(text), &ps);
	struct buf out = BUF_INIT;

	if (n == NULL)
		fail_msg("%s: %d:%d: %s", text, ps.list[0].line, ps.list[0].column, ps.list[0].message);
	show(n, places, &out);
	assert_string_equal(buf_str(&out), wanted);
	assert_int_equal(ps.count, 0);
	buf_clear(&out);
	node_free(n);
}

static void
test_reader__yaml_and_json_give_one_tree(void **state)
{
	(void)state;
	reads_as("version: 1\nlist:\n  - a\n  - 'b c'\nmap: {x: ~, y: null, z: \"\"}\nnone:\n", false,
	    "{version:1,list:[a,\"b c\"],map:{x:null,y:null,z:\"\"},none:null}");
	reads_as("{\"version\": 1, \"list\": [\"a\", true, -1.5e3, null], \"map\": {\"x\": {}}}", false,
	    "{version:1,list:[\"a\",true,-1.5e3,null],map:{x:{}}}");
	/* scalars keep their text: 30m, no and 1.0 are what they look like */
	reads_as("a: 30m\nb: no\nc: 1.0\nd: 0x10\ne: a:b\n'f g': |\n  two\n  lines\n", false,
	    "{a:30m,b:no,c:1.0,d:0x10,e:a:b,f g:\"two\nlines\n\"}");
	reads_as("\xef\xbb\xbf# comment\nversion: 1 # more\n", false, "{version:1}");
	reads_as("--- # begins\nversion: 1\n...\n", false, "{version:1}");
	reads_as(" \n\t {\"a\":\"\\u00e9\\ud83d\\ude00\"}", false, "{a:\"\xc3\xa9\xf0\x9f\x98\x80\"}");
}

static void
test_reader__places_are_lines_and_characters(void **state)
{
	(void)state;
	reads_as("a: 1\n\nb:\n  \xc3\xa9\xc3\xa9: [x, y]\n", true,
	    "{a@1.1:1@1.4,b@3.1:{\xc3\xa9\xc3\xa9@4.3:[x@4.8,y@4.11]@4.7}@4.3}@1.1");
	reads_as("{\"a\": 1,\n \"\xc3\xa9\": [\"x\",\n  2]}", true,
	    "{a@1.2:1@1.7,\xc3\xa9@2.2:[\"x\"@2.8,2@3.3]@2.7}@1.1");
}

struct refusal {
	const char *text;
	int line, column;
	const char *says;
};

static void
refuse_all(const struct refusal *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct node *tree = document_read(rows[i].text, strlen(rows[i].text), &ps);

		if (tree != NULL || ps.count == 0)
			fail_msg("taken: %s", rows[i].text);
		if (strstr(ps.list[0].message, rows[i].says) == NULL ||
		    ps.list[0].line != rows[i].line || ps.list[0].column != rows[i].column)
			fail_msg("%s\nsays %d:%d: %s", rows[i].text, ps.list[0].line, ps.list[0].column,
			    ps.list[0].message);
		problems_clear(&ps);
	}
}

static void
test_reader__only_the_safe_part_of_yaml(void **state)
{
	static const struct refusal rows[] = {
		{ "a: &x 1\n", 1, 4, "anchors" },
		{ "a: &x [1]\n", 1, 4, "anchors" },
		{ "a: &x {b: 1}\n", 1, 4, "anchors" },
		{ "a: *x\n", 1, 4, "aliases" },
		{ "*x : 1\n", 1, 1, "aliases" },
		{ "a: !!str 1\n", 1, 4, "tags" },
		{ "a: !local {b: 1}\n", 1, 4, "tags" },
		{ "a: ! x\n", 1, 4, "tags" },
		{ "a:\n  <<: {b: 1}\n", 2, 3, "merge keys" },
		{ "? [a]\n: 1\n", 1, 3, "plain text" },
		{ "? {a: 1}\n: 1\n", 1, 3, "plain text" },
		{ "a: 1\n---\nb: 2\n", 2, 1, "second document" },
		{ "%YAML 1.1\n---\na: 1\n", 1, 1, "directives" },
		{ "%TAG ! tag:x,2000:\n---\na: 1\n", 1, 1, "directives" },
		{ "a: 1\nb: 2\n'a': 3\n", 3, 1, "already, in line 1" },
		{ "m: {x: 1, y: 2, x: 3}\n", 1, 17, "already, in line 1" },
	};

	(void)state;
	refuse_all(rows, sizeof rows / sizeof rows[0]);
}

static void
test_reader__what_is_no_document(void **state)
{
	static const struct refusal rows[] = {
		{ "", 1, 1, "empty" },
		{ "# only a comment\n", 1, 1, "empty" },
		{ "~", 1, 1, "empty" },
		{ "just words", 1, 1, "a map" },
		{ "- a\n- b\n", 1, 1, "a map" },
		{ "a: [1, 2\nb: 3\n", 2, 2, "begins in line 1" },
		{ "a: 1\n\tb: 2\n", 2, 1, "tab" },
		{ "a: \"open\n", 2, 1, "" },
		{ "a: b: c\n", 1, 5, "" },
		{ "a: \xff\n", 1, 4, "UTF-8" },
		{ "\xc3\xa9\n\xed\xa0\x80", 2, 1, "UTF-8" },
		{ "a: \"\\0\"\n", 1, 4, "NUL" },
		{ "a: \x01\n", 1, 1, "" },
		{ "{\"a\": 1,}", 1, 9, "not JSON" },
		{ "{\"a\": 1, \"a\": 2}", 1, 10, "duplicate key" },
		{ "{\n \"a\": tru}", 2, 7, "not JSON" },
		{ "{\"a\": \"\\u0000\"}", 1, 7, "NUL" },
		{ "{a: 1}", 1, 2, "not JSON" },
	};
	struct node *n;

	(void)state;
	refuse_all(rows, sizeof rows / sizeof rows[0]);
	n = document_read("a: \0b", 6, &ps);
	assert_null(n);
	assert_string_equal(ps.list[0].message, "a NUL byte");
}

static void
test_reader__all_problems_at_once(void **state)
{
	static const char text[] = "a: &x 1\nb: *x\nc: !t 1\nd: 1\nd: 2\n";

	(void)state;
	assert_null(document_read(text, strlen(text), &ps));
	assert_int_equal(ps.count, 4);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ps.list[i].line, i + 1);
	assert_int_equal(ps.list[3].line, 5);
}

static void
test_reader__ceilings(void **state)
{
	struct buf text = BUF_INIT;
	struct node *n;

	(void)state;
	/* depth: one map and 15 lists are 16 levels */
	for (int extra = 0; extra < 2; extra++) {
		buf_reset(&text, 0);
		buf_adds(&text, "a: ");
		for (int i = 0; i < DOCUMENT_MAX_DEPTH - 1 + extra; i++)
			buf_addc(&text, '[');
		for (int i = 0; i < DOCUMENT_MAX_DEPTH - 1 + extra; i++)
			buf_addc(&text, ']');
		n = document_read(text.data, text.len, &ps);
		assert_int_equal(n != NULL, extra == 0);
		node_free(n);
	}
	assert_non_null(strstr(ps.list[0].message, "deeper than 16"));
	problems_clear(&ps);
	buf_reset(&text, 0);
	buf_adds(&text, "{\"a\":");
	for (int i = 0; i < DOCUMENT_MAX_DEPTH; i++)
		buf_addc(&text, '[');
	for (int i = 0; i < DOCUMENT_MAX_DEPTH; i++)
		buf_addc(&text, ']');
	buf_addc(&text, '}');
	assert_null(document_read(text.data, text.len, &ps));
	assert_non_null(strstr(ps.list[0].message, "deeper than 16"));
	problems_clear(&ps);
	/* values: the root, the list and its items */
	for (int json = 0; json < 2; json++) {
		for (unsigned extra = 0; extra < 2; extra++) {
			buf_reset(&text, 0);
			buf_adds(&text, json ? "{\"a\":[1" : "a: [1");
			for (unsigned i = 1; i < DOCUMENT_MAX_NODES - 2 + extra; i++)
				buf_adds(&text, ",1");
			buf_adds(&text, json ? "]}" : "]\n");
			n = document_read(text.data, text.len, &ps);
			assert_int_equal(n != NULL, extra == 0);
			node_free(n);
		}
		assert_int_equal(ps.count, 1);
		assert_non_null(strstr(ps.list[0].message, "65536 values"));
		problems_clear(&ps);
	}
	/* bytes */
	buf_reset(&text, 0);
	buf_adds(&text, "a: ");
	while (text.len < DOCUMENT_MAX_BYTES)
		buf_addc(&text, 'x');
	n = document_read(text.data, text.len, &ps);
	assert_non_null(n);
	node_free(n);
	buf_addc(&text, 'x');
	assert_null(document_read(text.data, text.len, &ps));
	assert_non_null(strstr(ps.list[0].message, "at most 1048576"));
	buf_clear(&text);
}

static void
test_problems__only_so_many_are_kept(void **state)
{
	(void)state;
	for (int i = 0; i < PROBLEMS_MAX + 7; i++)
		problem_add(&ps, PROBLEMS_MAX + 7 - i, 1, "no. %d\n", i);
	assert_int_equal(ps.count, PROBLEMS_MAX);
	assert_int_equal(ps.more, 7);
	problems_sort(&ps);
	for (size_t i = 1; i < ps.count; i++)
		assert_true(ps.list[i - 1].line < ps.list[i].line);
	assert_string_equal(ps.list[ps.count - 1].message, "no. 0\\x0a");
}

static void
test_node__questions_report_what_does_not_fit(void **state)
{
	static const char text[] = "t: true\nq: 'true'\nn: -12\nm: {}\nbig: 99999999999999999999\nf: 1.5\n";
	struct node *root = document_read(text, strlen(text), &ps);
	bool truth = false;
	int64_t number = 0;

	(void)state;
	assert_non_null(root);
	assert_true(node_bool(node_get(root, "t"), "t", &truth, &ps) && truth);
	assert_true(node_int(node_get(root, "n"), "n", -12, 5, &number, &ps) && number == -12);
	assert_string_equal(node_text(node_get(root, "n"), "n", 3, &ps), "-12");
	assert_true(node_is_map(node_get(root, "m"), "m", &ps) && node_is_map(NULL, "x", &ps));
	assert_int_equal(ps.count, 0);
	assert_false(node_bool(node_get(root, "q"), "q", &truth, &ps));
	assert_false(node_int(node_get(root, "n"), "n", -11, 5, &number, &ps));
	assert_false(node_int(node_get(root, "big"), "big", 0, INT64_MAX, &number, &ps));
	assert_false(node_int(node_get(root, "f"), "f", 0, 9, &number, &ps));
	assert_null(node_text(node_get(root, "m"), "m", 9, &ps));
	assert_null(node_text(node_get(root, "big"), "big", 19, &ps));
	assert_false(node_is_list(node_get(root, "m"), "m", &ps));
	assert_false(node_is_map(node_get(root, "t"), "t", &ps));
	assert_int_equal(ps.count, 8);
	assert_string_equal(ps.list[0].message, "q must be true or false");
	assert_int_equal(ps.list[0].line, 2);
	node_free(root);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_reader__yaml_and_json_give_one_tree),
		T(test_reader__places_are_lines_and_characters),
		T(test_reader__only_the_safe_part_of_yaml),
		T(test_reader__what_is_no_document),
		T(test_reader__all_problems_at_once),
		T(test_reader__ceilings),
		T(test_problems__only_so_many_are_kept),
		T(test_node__questions_report_what_does_not_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

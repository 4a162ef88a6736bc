#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/base/err.h"
#include "server/upstream/sse.h"

/* Remembers events as "<name|data>". stop_after: says "no more for now" after that many. */
struct seen {
	struct buf text;
	unsigned events;
	unsigned stop_after;
};

static bool
see(void *arg, struct slice event, struct slice data)
{
	struct seen *s = arg;

	buf_addc(&s->text, '<');
	buf_add(&s->text, event.data, event.len);
	buf_addc(&s->text, '|');
	buf_add(&s->text, data.data, data.len);
	buf_addc(&s->text, '>');
	s->events++;
	return s->stop_after == 0 || s->events % s->stop_after != 0;
}

/* Parses in pieces of at most `step` bytes, first one of `first`. A paused parser is fed the rest. */
static void
parse(const char *bytes, size_t n, size_t first, size_t step, struct seen *s)
{
	struct sse p;
	size_t at = 0, len, used;

	sse_init(&p);
	while (at < n) {
		len = at == 0 && first > 0 ? first : step;
		if (len > n - at)
			len = n - at;
		/* exactly sized, so that reading too far is seen */
		char *piece = malloc(len > 0 ? len : 1);
		memcpy(piece, bytes + at, len);
		assert_int_equal(sse_feed(&p, piece, len, &used, see, s), 0);
		free(piece);
		assert_true(used <= len);
		assert_true(used > 0 || len == 0);
		at += used;
	}
	assert_int_equal(sse_end(&p, see, s), 0);
	sse_clear(&p);
}

static void
check(const char *bytes, size_t n, const char *expected)
{
	for (size_t cut = 0; cut <= n; cut++) {
		struct seen s = { BUF_INIT, 0, 0 };

		parse(bytes, n, cut, n, &s);
		if (strcmp(buf_str(&s.text), expected) != 0)
			fail_msg("cut at %zu: %s instead of %s", cut, buf_str(&s.text), expected);
		buf_clear(&s.text);
	}
	for (size_t step = 1; step <= 3; step++) {
		struct seen s = { BUF_INIT, 0, 0 };

		parse(bytes, n, 0, step, &s);
		assert_string_equal(buf_str(&s.text), expected);
		buf_clear(&s.text);
	}
	/* pausing after every event changes nothing */
	struct seen s = { BUF_INIT, 0, 1 };

	parse(bytes, n, 0, n, &s);
	assert_string_equal(buf_str(&s.text), expected);
	buf_clear(&s.text);
}
#define CHECK(text, expected) check((text), sizeof(text) - 1, (expected))

static void
test_sse__F77_line_ends(void **state)
{
	(void)state;
	CHECK("data: a\n\ndata: b\n\n", "<|a><|b>");
	CHECK("data: a\r\n\r\ndata: b\r\n\r\n", "<|a><|b>");
	CHECK("data: a\r\rdata: b\r\r", "<|a><|b>");
	CHECK("data: a\r\n\rdata: b\n\r\ndata: c\r\n\n", "<|a><|b><|c>");
}

static void
test_sse__F77_byte_order_mark_only_at_the_start(void **state)
{
	(void)state;
	CHECK("\xef\xbb\xbf"
	      "data: a\n\n\xef\xbb\xbf"
	      "data: b\n\n",
	    "<|a>");
	CHECK("\xef\xbb"
	      "data: a\n\ndata: b\n\n",
	    "<|b>");
	CHECK("\xef\n\ndata: b\n\n", "<|b>");
	CHECK("\xef\xbb\xbf", "");
}

static void
test_sse__F77_comments_and_unknown_fields(void **state)
{
	(void)state;
	CHECK(": OPENROUTER PROCESSING\n\n:\ndata: a\n: x\nid: 7\nretry: 10\nfoo: bar\nbaz\n\n", "<|a>");
	CHECK("datax: a\ndat: b\n\ndata: c\n\n", "<|c>");
}

static void
test_sse__F77_data_lines_are_joined(void **state)
{
	(void)state;
	CHECK("data: a\ndata: b\ndata:\ndata: c\n\n", "<|a\nb\n\nc>");
	CHECK("data:a\ndata:  b\n\n", "<|a\n b>");
	CHECK("data: a:b: c\n\n", "<|a:b: c>");
}

static void
test_sse__F77_empty_events_are_skipped(void **state)
{
	(void)state;
	CHECK("data:\n\ndata\n\nevent: x\n\n\n\ndata: a\n\n", "<|a>");
}

static void
test_sse__names_belong_to_one_event(void **state)
{
	(void)state;
	CHECK("event: error\ndata: a\n\ndata: b\n\nevent: x\nevent: y\ndata: c\n\n",
	    "<error|a><|b><y|c>");
	CHECK("event: gone\n\ndata: a\n\n", "<|a>");
}

static void
test_sse__F77_the_end_without_a_blank_line(void **state)
{
	(void)state;
	CHECK("data: a\n\ndata: b\n", "<|a><|b>");
	CHECK("data: a\n\ndata: b", "<|a><|b>");
	CHECK("data: a\r", "<|a>");
	CHECK("", "");
	CHECK("\n\r\n", "");
}

static void
test_sse__bytes_pass_as_they_are(void **state)
{
	static const char text[] = "data: \xc3\xbc\xf0\x9f\x8c\x8c \xff\n\n";

	(void)state;
	check(text, sizeof text - 1, "<|\xc3\xbc\xf0\x9f\x8c\x8c \xff>");
}

static int
feed_line(size_t n, bool in_pieces)
{
	struct seen s = { BUF_INIT, 0, 0 };
	struct sse p;
	char *line = malloc(n + 2);
	size_t used, at = 0, len;
	int r = 0;

	memset(line, 'x', n);
	memcpy(line, "data: ", 6);
	line[n] = line[n + 1] = '\n';
	sse_init(&p);
	while (r == 0 && at < n + 2) {
		len = in_pieces && n + 2 - at > 16384 ? 16384 : n + 2 - at;
		r = sse_feed(&p, line + at, len, &used, see, &s);
		at += used;
	}
	if (r == 0)
		assert_int_equal(s.text.len, n - 6 + 3);
	sse_clear(&p);
	buf_clear(&s.text);
	free(line);
	return r;
}

static void
test_sse__F79_a_line_of_one_mebibyte(void **state)
{
	(void)state;
	assert_int_equal(feed_line(SSE_LINE_MAX, true), 0);
	assert_int_equal(feed_line(SSE_LINE_MAX, false), 0);
}

static void
test_sse__F79_a_line_of_one_byte_more(void **state)
{
	(void)state;
	assert_int_equal(feed_line(SSE_LINE_MAX + 1, true), MP_E_TOO_LARGE);
	assert_int_equal(feed_line(SSE_LINE_MAX + 1, false), MP_E_TOO_LARGE);
}

static void
test_sse__F79_a_hundred_thousand_data_lines(void **state)
{
	struct seen s = { BUF_INIT, 0, 0 };
	struct sse p;
	size_t used;

	(void)state;
	sse_init(&p);
	for (int i = 0; i < 100000; i++)
		assert_int_equal(sse_feed(&p, "data: x\n", 8, &used, see, &s), 0);
	assert_true(p.data.len <= 200000);
	assert_int_equal(sse_feed(&p, "\n", 1, &used, see, &s), 0);
	assert_int_equal(s.events, 1);
	sse_clear(&p);
	buf_clear(&s.text);
}

static void
test_sse__F79_an_event_over_the_ceiling(void **state)
{
	struct seen s = { BUF_INIT, 0, 0 };
	char *line = malloc(SSE_LINE_MAX);
	struct sse p;
	size_t used;
	int r = 0, lines = 0;

	(void)state;
	memset(line, 'x', SSE_LINE_MAX);
	memcpy(line, "data: ", 6);
	line[SSE_LINE_MAX - 1] = '\n';
	sse_init(&p);
	while (r == 0 && lines++ < 100)
		r = sse_feed(&p, line, SSE_LINE_MAX, &used, see, &s);
	assert_int_equal(r, MP_E_TOO_LARGE);
	assert_true(lines <= 18);
	sse_clear(&p);
	buf_clear(&s.text);
	free(line);
}

static void
test_sse__a_pause_keeps_the_place(void **state)
{
	static const char text[] = "data: a\r\n\r\ndata: b\r\n\r\n";
	struct seen s = { BUF_INIT, 0, 1 };
	struct sse p;
	size_t used, first;

	(void)state;
	sse_init(&p);
	assert_int_equal(sse_feed(&p, text, sizeof text - 1, &first, see, &s), 0);
	assert_int_equal(s.events, 1);
	assert_true(first == 10 || first == 11);
	assert_int_equal(sse_feed(&p, text + first, sizeof text - 1 - first, &used, see, &s), 0);
	assert_string_equal(buf_str(&s.text), "<|a><|b>");
	sse_clear(&p);
	buf_clear(&s.text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sse__F77_line_ends),
		cmocka_unit_test(test_sse__F77_byte_order_mark_only_at_the_start),
		cmocka_unit_test(test_sse__F77_comments_and_unknown_fields),
		cmocka_unit_test(test_sse__F77_data_lines_are_joined),
		cmocka_unit_test(test_sse__F77_empty_events_are_skipped),
		cmocka_unit_test(test_sse__names_belong_to_one_event),
		cmocka_unit_test(test_sse__F77_the_end_without_a_blank_line),
		cmocka_unit_test(test_sse__bytes_pass_as_they_are),
		cmocka_unit_test(test_sse__F79_a_line_of_one_mebibyte),
		cmocka_unit_test(test_sse__F79_a_line_of_one_byte_more),
		cmocka_unit_test(test_sse__F79_a_hundred_thousand_data_lines),
		cmocka_unit_test(test_sse__F79_an_event_over_the_ceiling),
		cmocka_unit_test(test_sse__a_pause_keeps_the_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

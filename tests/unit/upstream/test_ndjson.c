#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/base/err.h"
#include "server/upstream/ndjson.h"

static bool
see(void *arg, struct slice line)
{
	buf_addc(arg, '<');
	buf_add(arg, line.data, line.len);
	buf_addc(arg, '>');
	return true;
}

static bool
see_and_stop(void *arg, struct slice line)
{
	see(arg, line);
	return false;
}

static void
parse(const char *bytes, size_t n, size_t cut, bool (*on_line)(void *, struct slice),
    const char *expected)
{
	struct buf seen = BUF_INIT;
	struct ndjson p;
	size_t at = 0, used;

	ndjson_init(&p);
	while (at < n) {
		size_t len = at < cut ? cut - at : n - at;

		assert_int_equal(ndjson_feed(&p, bytes + at, len, &used, on_line, &seen), 0);
		assert_true(used > 0);
		at += used;
	}
	assert_int_equal(ndjson_end(&p, on_line, &seen), 0);
	if (strcmp(buf_str(&seen), expected) != 0)
		fail_msg("cut at %zu: %s", cut, buf_str(&seen));
	ndjson_clear(&p);
	buf_clear(&seen);
}

static void
check(const char *bytes, const char *expected)
{
	size_t n = strlen(bytes);

	for (size_t cut = 0; cut <= n; cut++) {
		parse(bytes, n, cut, see, expected);
		parse(bytes, n, cut, see_and_stop, expected);
	}
}

static void
test_ndjson__line_ends_and_blank_lines(void **state)
{
	(void)state;
	check("{\"a\":1}\n{\"b\":2}\n", "<{\"a\":1}><{\"b\":2}>");
	check("{\"a\":1}\r\n\r\n \t\n\n{\"b\":2}\r\n", "<{\"a\":1}><{\"b\":2}>");
}

static void
test_ndjson__the_last_line_needs_no_end(void **state)
{
	(void)state;
	check("1\n2", "<1><2>");
	check("1\n2\r", "<1><2>");
	check("", "");
}

static int
feed_line(size_t n)
{
	struct buf seen = BUF_INIT;
	struct ndjson p;
	char *line = malloc(n + 2);
	size_t used;
	int r;

	memset(line, 'x', n);
	line[n] = '\r';
	line[n + 1] = '\n';
	ndjson_init(&p);
	r = ndjson_feed(&p, line, n / 2, &used, see, &seen);
	if (r == 0)
		r = ndjson_feed(&p, line + n / 2, n + 2 - n / 2, &used, see, &seen);
	ndjson_clear(&p);
	buf_clear(&seen);
	free(line);
	return r;
}

static void
test_ndjson__F79_the_longest_line(void **state)
{
	(void)state;
	assert_int_equal(feed_line(NDJSON_LINE_MAX), 0);
	assert_int_equal(feed_line(NDJSON_LINE_MAX + 1), MP_E_TOO_LARGE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ndjson__line_ends_and_blank_lines),
		cmocka_unit_test(test_ndjson__the_last_line_needs_no_end),
		cmocka_unit_test(test_ndjson__F79_the_longest_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

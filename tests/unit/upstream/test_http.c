/* The HTTP carrier against a scripted server: what works. */
#include "tests/unit/upstream/station.h"

static void
test_http__frames_of_a_stream(void **state)
{
	struct station *s = station_open(serve_text,
	    OK_SSE "X-Request-Id: req_1\r\nContent-Length: 29\r\n\r\ndata: a\n\n: c\n\ndata: b\r\n\r\nx: y");
	struct customer c;

	(void)state;
	customer_init(&c, s->url);
	customer_stream(&c);
	assert_failure(&c, FAILURE_NONE, "");
	assert_int_equal(c.heads, 1);
	assert_int_equal(c.status, 200);
	assert_non_null(strstr(buf_str(&c.headers), "x-request-id=req_1\n"));
	assert_string_equal(buf_str(&c.text), "a|b|");
	assert_int_equal(c.bodies, 0);
	assert_true(station_heard(s, "POST /v1/chat/completions HTTP/1.1\r\n"));
	assert_true(station_heard(s, "\r\n\r\n{\"model\":\"m\"}"));
	assert_true(station_heard(s, "Content-Type: application/json\r\n"));
	assert_true(station_heard(s, "Accept-Encoding: identity\r\n"));
	assert_false(station_heard(s, "Expect"));
	assert_false(station_heard(s, "Authorization"));
	customer_clear(&c);
	station_close(s);
}

static void
serve_bytewise(struct station *s, int fd)
{
	const char *p;

	if (!get_request(s, fd))
		return;
	for (p = s->script; *p != '\0'; p++) {
		if (!put(s, fd, p, 1))
			return;
		if (p - (const char *)s->script > 60)
			nap(1);
	}
}

static void
test_http__one_byte_at_a_time(void **state)
{
	struct station *s = station_open(serve_bytewise,
	    OK_SSE "Connection: close\r\n\r\n\xef\xbb\xbf" "data: \xc3\xbc\r\n\r\ndata: \xf0\x9f\x8c\x8c");
	struct customer c;

	(void)state;
	customer_init(&c, s->url);
	customer_stream(&c);
	assert_failure(&c, FAILURE_NONE, "");
	assert_string_equal(buf_str(&c.text), "\xc3\xbc|\xf0\x9f\x8c\x8c|");
	customer_clear(&c);
	station_close(s);
}

static void
serve_paced(struct station *s, int fd)
{
	if (!get_request(s, fd) || !puts_to(s, fd, OK_SSE "\r\n"))
		return;
	for (int i = 0; i < 5; i++) {
		if (!puts_to(s, fd, "data: x\n\n"))
			return;
		linger(s, 60);
	}
}

static void
test_http__frames_come_when_they_are_sent(void **state)
{
	struct station *s = station_open(serve_paced, NULL);
	struct customer c;
	int64_t start = clock_monotonic_ms();

	(void)state;
	customer_init(&c, s->url);
	customer_ask(&c, FRAMING_SSE, true);
	while (c.frames == 0 && clock_monotonic_ms() - start < 1000)
		loop_once(c.loop, 10);
	assert_int_equal(c.frames, 1);
	assert_int_equal(c.ends, 0);
	customer_wait(&c, 5000);
	assert_int_equal(c.frames, 5);
	customer_clear(&c);
	station_close(s);
}

static void
test_http__a_json_reply_is_a_body(void **state)
{
	struct station *s = station_open(serve_text,
	    "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n"
	    "Content-Length: 8\r\n\r\n{\"a\": 1}");
	struct customer c;

	(void)state;
	customer_init(&c, s->url);
	customer_stream(&c);
	assert_failure(&c, FAILURE_NONE, "");
	assert_string_equal(buf_str(&c.body), "{\"a\": 1}");
	assert_int_equal(c.bodies, 1);
	assert_int_equal(c.frames, 0);
	customer_clear(&c);
	station_close(s);
}

static void
test_http__lines_of_ndjson(void **state)
{
	struct station *s = station_open(serve_text,
	    "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n{\"a\":1}\r\n\n{\"b\":2}");
	struct customer c;

	(void)state;
	customer_init(&c, s->url);
	customer_ask(&c, FRAMING_NDJSON, true);
	customer_wait(&c, 5000);
	assert_failure(&c, FAILURE_NONE, "");
	assert_string_equal(buf_str(&c.text), "{\"a\":1}|{\"b\":2}|");
	customer_clear(&c);
	station_close(s);
}

static void
test_http__a_stream_without_a_type_is_tried(void **state)
{
	struct station *s = station_open(serve_text, "HTTP/1.1 200 OK\r\n\r\ndata: a\n\n");
	struct customer c;

	(void)state;
	customer_init(&c, s->url);
	customer_stream(&c);
	assert_string_equal(buf_str(&c.text), "a|");
	customer_clear(&c);
	station_close(s);
}

static void
test_http__a_refusal_keeps_head_and_body(void **state)
{
	struct station *s = station_open(serve_text,
	    "HTTP/1.1 429 Too Many Requests\r\nRetry-After:  7 \r\nRETRY-AFTER: 9\r\n"
	    "Content-Type: text/html\r\nContent-Length: 4\r\n\r\nwait");
	struct customer c;

	(void)state;
	customer_init(&c, s->url);
	customer_stream(&c);
	assert_failure(&c, FAILURE_NONE, "");
	assert_int_equal(c.status, 429);
	assert_string_equal(buf_str(&c.body), "wait");
	assert_non_null(strstr(buf_str(&c.headers), "retry-after=7\nretry-after=9\n"));
	customer_clear(&c);
	station_close(s);
}

static void
serve_long_refusal(struct station *s, int fd)
{
	char block[4096];

	memset(block, 'x', sizeof block);
	if (!get_request(s, fd) || !puts_to(s, fd, "HTTP/1.1 500 No\r\n\r\n"))
		return;
	while (put(s, fd, block, sizeof block))
		;
}

static void
test_http__a_refusals_body_is_cut(void **state)
{
	struct station *s = station_open(serve_long_refusal, NULL);
	struct customer c;

	(void)state;
	customer_init(&c, s->url);
	customer_stream(&c);
	assert_failure(&c, FAILURE_NONE, "");
	assert_int_equal(c.body.len, 65536);
	customer_clear(&c);
	station_close(s);
}

/* ---- keys and connections ---- */

static void
test_http__the_key_travels_as_told(void **state)
{
	static const struct {
		enum auth_style style;
		const char *line;
	} rows[] = {
		{ AUTH_STYLE_BEARER, "\r\nAuthorization: Bearer sk-test-1\r\n" },
		{ AUTH_STYLE_X_API_KEY, "\r\nx-api-key: sk-test-1\r\n" },
		{ AUTH_STYLE_X_GOOG_API_KEY, "\r\nx-goog-api-key: sk-test-1\r\n" },
	};
	struct secret *key = secret_new("sk-test-1", 9);

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct station *s =
		    station_open(serve_text, OK_SSE "Content-Length: 9\r\n\r\ndata: a\n\n");
		struct customer c;

		customer_init(&c, s->url);
		c.to.key = key;
		c.to.auth_style = rows[i].style;
		customer_stream(&c);
		assert_true(station_heard(s, rows[i].line));
		customer_clear(&c);
		station_close(s);
	}
	secret_free(key);
}

static void
test_http__a_key_with_a_line_end_is_refused(void **state)
{
	struct secret *key = secret_new("sk\r\nX: y", 8);
	struct station *s = station_open(serve_text, OK_SSE "\r\n");
	struct customer c;

	(void)state;
	customer_init(&c, s->url);
	c.to.key = key;
	c.to.auth_style = AUTH_STYLE_BEARER;
	customer_ask(&c, FRAMING_SSE, true);
	assert_null(c.transfer);
	assert_int_equal(c.err.code, MP_E_INVALID_PARAMS);
	assert_null(strstr(c.err.message, "sk"));
	assert_int_equal(s->connections, 0);
	customer_clear(&c);
	station_close(s);
	secret_free(key);
}

static void
test_http__connections_are_kept(void **state)
{
	struct station *s = station_open(serve_text, OK_SSE "Content-Length: 9\r\n\r\ndata: a\n\n");
	struct secret *one = secret_new("key-one", 7), *two = secret_new("key-two", 7);
	struct customer c;

	(void)state;
	customer_init(&c, s->url);
	c.to.auth_style = AUTH_STYLE_BEARER;
	for (int i = 0; i < 6; i++) {
		c.to.key = i % 2 == 0 ? one : two;
		customer_stream(&c);
		assert_failure(&c, FAILURE_NONE, "");
		customer_forget(&c);
	}
	assert_int_equal(s->requests, 6);
	assert_int_equal(s->connections, 1);
	assert_true(station_heard(s, "Bearer key-one\r\n"));
	assert_true(station_heard(s, "Bearer key-two\r\n"));
	customer_clear(&c);
	station_close(s);
	secret_free(one);
	secret_free(two);
}

static void
test_http__a_reload_opens_new_connections(void **state)
{
	struct station *s = station_open(serve_text, OK_SSE "Content-Length: 9\r\n\r\ndata: a\n\n");
	struct customer c;

	(void)state;
	customer_init(&c, s->url);
	customer_stream(&c);
	customer_forget(&c);
	upstream_reload(c.up);
	customer_stream(&c);
	assert_failure(&c, FAILURE_NONE, "");
	assert_int_equal(s->connections, 2);
	customer_clear(&c);
	station_close(s);
}

static void
test_http__a_reload_lets_streams_end(void **state)
{
	struct station *s = station_open(serve_paced, NULL);
	struct customer c;

	(void)state;
	customer_init(&c, s->url);
	customer_ask(&c, FRAMING_SSE, true);
	while (c.frames == 0)
		loop_once(c.loop, 10);
	upstream_reload(c.up);
	upstream_reload(c.up);
	customer_wait(&c, 5000);
	assert_failure(&c, FAILURE_NONE, "");
	assert_int_equal(c.frames, 5);
	customer_clear(&c);
	station_close(s);
}

static void
test_http__F87_the_environments_proxies_are_ignored(void **state)
{
	static const char *const names[] = { "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY" };
	struct station *s = station_open(serve_text, OK_SSE "Content-Length: 9\r\n\r\ndata: a\n\n");
	struct customer c;

	(void)state;
	for (size_t i = 0; i < 4; i++)
		setenv(names[i], "http://127.0.0.1:9", 1);
	customer_init(&c, s->url);
	customer_stream(&c);
	assert_failure(&c, FAILURE_NONE, "");
	for (size_t i = 0; i < 4; i++)
		unsetenv(names[i]);
	customer_clear(&c);
	station_close(s);
}

static void
test_http__F87_a_dead_proxy_is_an_error(void **state)
{
	struct station *s = station_open(serve_text, OK_SSE "\r\n");
	struct customer c;

	(void)state;
	customer_init(&c, s->url);
	c.to.proxy = "http://127.0.0.1:9";
	customer_stream(&c);
	assert_failure(&c, FAILURE_NETWORK, "proxy");
	assert_non_null(strstr(c.failure.message, "the proxy of http://127.0.0.1:"));
	assert_int_equal(s->connections, 0);
	customer_clear(&c);
	station_close(s);
}

/* ---- pausing and cancelling ---- */

static void
serve_numbers(struct station *s, int fd)
{
	char event[64];

	if (!get_request(s, fd) || !puts_to(s, fd, OK_SSE "\r\n"))
		return;
	for (int i = 0; i < 20000; i++) {
		snprintf(event, sizeof event, "data: %06d\n\n", i);
		if (!puts_to(s, fd, event))
			return;
	}
}

static void
test_http__a_paused_stream_waits_and_loses_nothing(void **state)
{
	struct station *s = station_open(serve_numbers, NULL);
	struct customer c;
	char number[16];

	(void)state;
	customer_init(&c, s->url);
	c.pause_after = 7;
	customer_ask(&c, FRAMING_SSE, true);
	customer_idle(&c, 300);
	assert_int_equal(c.frames, 7);
	assert_int_equal(c.ends, 0);
	/* and once more, in the middle of a block */
	c.pause_after = 9;
	transfer_pause(c.transfer, false);
	customer_idle(&c, 100);
	assert_int_equal(c.frames, 9);
	c.pause_after = 0;
	transfer_pause(c.transfer, false);
	customer_wait(&c, 10000);
	assert_failure(&c, FAILURE_NONE, "");
	assert_int_equal(c.frames, 20000);
	for (int i = 0; i < 20000; i += 997) {
		snprintf(number, sizeof number, "%06d|", i);
		assert_memory_equal(c.text.data + (size_t)i * 7, number, 7);
	}
	customer_clear(&c);
	station_close(s);
}

static void
serve_flood(struct station *s, int fd)
{
	char block[8192];

	for (size_t i = 0; i < sizeof block; i += 8)
		memcpy(block + i, "data:xx\n", 8);
	memcpy(block + sizeof block - 8, "data:x\n\n", 8);
	if (!get_request(s, fd) || !puts_to(s, fd, OK_SSE "\r\n"))
		return;
	while (put(s, fd, block, sizeof block))
		;
}

static void
test_http__a_pause_reaches_the_sender(void **state)
{
	struct station *s = station_open(serve_flood, NULL);
	struct customer c;
	size_t before;

	(void)state;
	customer_init(&c, s->url);
	c.to.silence_ms = 200;
	c.pause_after = 3;
	customer_ask(&c, FRAMING_SSE, true);
	customer_idle(&c, 300);
	before = s->sent;
	customer_idle(&c, 400);
	/* nothing flows any more, and a pause is no silence */
	assert_int_equal(s->sent, before);
	assert_int_equal(c.ends, 0);
	assert_int_equal(c.frames, 3);
	transfer_cancel(c.transfer);
	customer_idle(&c, 20);
	customer_clear(&c);
	station_close(s);
}

static void
test_http__the_end_waits_for_a_paused_owner(void **state)
{
	struct station *s =
	    station_open(serve_text, OK_SSE "Content-Length: 26\r\n\r\ndata: a\n\ndata: b\n\ndata: c\n");
	struct customer c;

	(void)state;
	customer_init(&c, s->url);
	c.pause_after = 1;
	customer_ask(&c, FRAMING_SSE, true);
	customer_idle(&c, 200);
	assert_int_equal(c.frames, 1);
	assert_int_equal(c.ends, 0);
	transfer_pause(c.transfer, false);
	customer_wait(&c, 1000);
	assert_string_equal(buf_str(&c.text), "a|b|c|");
	assert_int_equal(c.ends, 1);
	customer_clear(&c);
	station_close(s);
}

static void
test_http__cancelling_from_every_callback(void **state)
{
	(void)state;
	for (int where = 0; where < 4; where++) {
		struct station *s = station_open(serve_text, where == 2
		    ? "HTTP/1.1 400 No\r\nContent-Length: 2\r\n\r\nno"
		    : OK_SSE "Content-Length: 18\r\n\r\ndata: a\n\ndata: b\n\n");
		struct customer c;

		customer_init(&c, s->url);
		c.cancel_in_head = where == 0;
		c.cancel_after = where == 1 ? 1 : 0;
		c.cancel_in_body = where == 2;
		c.cancel_in_end = where == 3;
		customer_ask(&c, FRAMING_SSE, true);
		customer_idle(&c, 100);
		assert_int_equal(c.heads, 1);
		assert_int_equal(c.frames, where == 0 || where == 2 ? 0 : where == 1 ? 1 : 2);
		assert_int_equal(c.ends, where == 3 ? 1 : 0);
		customer_clear(&c);
		station_close(s);
	}
}

static void
test_http__cancelling_at_once(void **state)
{
	struct station *s = station_open(serve_paced, NULL);
	struct customer c;

	(void)state;
	customer_init(&c, s->url);
	customer_ask(&c, FRAMING_SSE, true);
	transfer_cancel(c.transfer);
	customer_idle(&c, 50);
	assert_int_equal(c.heads + c.frames + c.ends, 0);
	/* and while it runs, from outside */
	customer_ask(&c, FRAMING_SSE, true);
	while (c.frames == 0)
		loop_once(c.loop, 10);
	transfer_cancel(c.transfer);
	customer_idle(&c, 100);
	assert_int_equal(c.frames, 1);
	assert_int_equal(c.ends, 0);
	customer_clear(&c);
	station_close(s);
}

static void
test_http__freeing_while_streams_run(void **state)
{
	struct station *s = station_open(serve_paced, NULL);
	unsigned fds = open_fds();
	struct customer c;

	(void)state;
	customer_init(&c, s->url);
	for (int i = 0; i < 4; i++)
		customer_ask(&c, FRAMING_SSE, true);
	while (c.frames < 2)
		loop_once(c.loop, 10);
	transfer_cancel(c.transfer);
	customer_clear(&c);
	station_close(s);
	/* the station's own is gone too */
	assert_int_equal(open_fds(), fds - 1);
}

static void
test_http__many_streams_side_by_side(void **state)
{
	struct station *s = station_open(serve_paced, NULL);
	struct customer c;

	(void)state;
	customer_init(&c, s->url);
	for (int i = 0; i < 8; i++)
		customer_ask(&c, FRAMING_SSE, true);
	customer_idle(&c, 900);
	assert_int_equal(c.ends, 8);
	assert_int_equal(c.frames, 40);
	customer_clear(&c);
	station_close(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_http__frames_of_a_stream),
		cmocka_unit_test(test_http__one_byte_at_a_time),
		cmocka_unit_test(test_http__frames_come_when_they_are_sent),
		cmocka_unit_test(test_http__a_json_reply_is_a_body),
		cmocka_unit_test(test_http__lines_of_ndjson),
		cmocka_unit_test(test_http__a_stream_without_a_type_is_tried),
		cmocka_unit_test(test_http__a_refusal_keeps_head_and_body),
		cmocka_unit_test(test_http__a_refusals_body_is_cut),
		cmocka_unit_test(test_http__the_key_travels_as_told),
		cmocka_unit_test(test_http__a_key_with_a_line_end_is_refused),
		cmocka_unit_test(test_http__connections_are_kept),
		cmocka_unit_test(test_http__a_reload_opens_new_connections),
		cmocka_unit_test(test_http__a_reload_lets_streams_end),
		cmocka_unit_test(test_http__F87_the_environments_proxies_are_ignored),
		cmocka_unit_test(test_http__F87_a_dead_proxy_is_an_error),
		cmocka_unit_test(test_http__a_paused_stream_waits_and_loses_nothing),
		cmocka_unit_test(test_http__a_pause_reaches_the_sender),
		cmocka_unit_test(test_http__the_end_waits_for_a_paused_owner),
		cmocka_unit_test(test_http__cancelling_from_every_callback),
		cmocka_unit_test(test_http__cancelling_at_once),
		cmocka_unit_test(test_http__freeing_while_streams_run),
		cmocka_unit_test(test_http__many_streams_side_by_side),
	};

	if (secret_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

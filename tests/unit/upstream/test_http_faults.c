/* The HTTP carrier against servers that are slow, broken or hostile (FAULTS.md section 5). */
#include "tests/unit/upstream/station.h"

static void
ask_text(const char *answer, struct customer *c)
{
	struct station *s = station_open(serve_text, answer);

	customer_init(c, s->url);
	customer_stream(c);
	/* the URL dies with the station, the customer does not ask again */
	c->to.base_url = NULL;
	station_close(s);
}

static void
expect(const char *answer, enum failure_class class, const char *kind)
{
	struct customer c;

	ask_text(answer, &c);
	assert_failure(&c, class, kind);
	customer_clear(&c);
}

/* ---- F66 ---- */

static void
test_http_faults__F66_nobody_listens(void **state)
{
	struct station *s = station_open(serve_text, "");
	struct customer c;
	char url[64];
	int64_t start = clock_monotonic_ms();

	(void)state;
	snprintf(url, sizeof url, "%s", s->url);
	station_close(s);
	customer_init(&c, url);
	customer_stream(&c);
	assert_failure(&c, FAILURE_NETWORK, "connect");
	assert_non_null(strstr(c.failure.message, "nothing listens at http://127.0.0.1:"));
	assert_non_null(strstr(c.failure.message, "nothing listens at http://127.0.0.1:"));
	assert_true(c.ended_ms - start < 1200);
	customer_clear(&c);
}

static void
test_http_faults__F66_a_black_hole(void **state)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t len = sizeof at;
	struct customer c;
	int hole = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fill[4];
	char url[64];
	int64_t start;

	(void)state;
	/* a listener whose queue is full answers no one */
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(hole, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(listen(hole, 0), 0);
	assert_int_equal(getsockname(hole, (struct sockaddr *)&at, &len), 0);
	for (int i = 0; i < 4; i++) {
		fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)connect(fill[i], (struct sockaddr *)&at, sizeof at);
	}
	nap(50);
	snprintf(url, sizeof url, "http://127.0.0.1:%d", ntohs(at.sin_port));
	customer_init(&c, url);
	c.to.connect_ms = 400;
	start = clock_monotonic_ms();
	customer_stream(&c);
	assert_failure(&c, FAILURE_NETWORK, "connect");
	assert_in_range(c.ended_ms - start, 380, 1200);
	customer_clear(&c);
	for (int i = 0; i < 4; i++)
		close(fill[i]);
	close(hole);
}

/* ---- F67 ---- */

static void
refuse_address(const char *host, bool local)
{
	struct station *s = station_open(serve_text, OK_SSE "\r\n");
	struct secret *key = secret_new("sk-test", 7);
	struct customer c;
	char url[96];

	snprintf(url, sizeof url, "https://%s:%d/v1", host, s->port);
	customer_init(&c, url);
	c.to.local = local;
	c.to.key = key;
	c.to.auth_style = AUTH_STYLE_BEARER;
	customer_stream(&c);
	assert_failure(&c, FAILURE_CONFIG, "address_refused");
	/* not one packet went there */
	assert_int_equal(s->connections, 0);
	customer_clear(&c);
	station_close(s);
	secret_free(key);
}

static void
test_http_faults__F67_a_public_provider_at_a_loopback_address(void **state)
{
	(void)state;
	refuse_address("127.0.0.1", false);
	refuse_address("localhost", false);
	/* a name that resolves to it */
	refuse_address("models.localhost", false);
}

static void
test_http_faults__F67_metadata_addresses_even_for_local_ones(void **state)
{
	(void)state;
	refuse_address("169.254.169.254", true);
	refuse_address("0.0.0.0", true);
	refuse_address("[fe80::1]", true);
	refuse_address("[::ffff:169.254.169.254]", true);
}

/* ---- F69 ---- */

static void
serve_silence(struct station *s, int fd)
{
	if (get_request(s, fd))
		linger(s, 5000);
}

static void
serve_head_then_silence(struct station *s, int fd)
{
	if (get_request(s, fd) && puts_to(s, fd, OK_SSE "\r\n"))
		linger(s, 5000);
}

static void
serve_half_then_silence(struct station *s, int fd)
{
	if (get_request(s, fd) && puts_to(s, fd, OK_SSE "\r\ndata: a\n\ndata: b"))
		linger(s, 5000);
}

static void
serve_drops(struct station *s, int fd)
{
	if (!get_request(s, fd) || !puts_to(s, fd, OK_SSE "\r\n"))
		return;
	while (puts_to(s, fd, ":"))
		linger(s, 50);
}

static void
run_out(serve_fn serve, const char *kind, int64_t limit)
{
	struct station *s = station_open(serve, NULL);
	struct customer c;
	int64_t start;

	customer_init(&c, s->url);
	c.to.first_byte_ms = 400;
	c.to.silence_ms = 300;
	c.to.total_ms = 700;
	start = clock_monotonic_ms();
	customer_stream(&c);
	assert_failure(&c, FAILURE_TIMEOUT, kind);
	/* within 20 percent, and some air for a busy machine */
	assert_in_range(c.ended_ms - start, limit, limit + limit / 5 + 100);
	customer_clear(&c);
	station_close(s);
}

static void
test_http_faults__F69_silence_before_the_head(void **state)
{
	(void)state;
	run_out(serve_silence, "first_byte", 400);
}

static void
test_http_faults__F69_silence_after_the_head(void **state)
{
	(void)state;
	run_out(serve_head_then_silence, "silence", 300);
}

static void
test_http_faults__F69_silence_in_the_stream(void **state)
{
	(void)state;
	run_out(serve_half_then_silence, "silence", 300);
}

static void
test_http_faults__F69_one_byte_now_and_then(void **state)
{
	(void)state;
	run_out(serve_drops, "total", 700);
}

static void
test_http_faults__F69_the_total_counts_for_a_paused_owner_too(void **state)
{
	struct station *s = station_open(serve_half_then_silence, NULL);
	struct customer c;

	(void)state;
	customer_init(&c, s->url);
	c.to.silence_ms = 100;
	c.to.total_ms = 400;
	c.pause_after = 1;
	customer_stream(&c);
	assert_failure(&c, FAILURE_TIMEOUT, "total");
	customer_clear(&c);
	station_close(s);
}

/* ---- F70 ---- */

static void
serve_reset(struct station *s, int fd)
{
	if (get_request(s, fd) && (s->script == NULL || puts_to(s, fd, s->script))) {
		nap(100);
		reset_connection(fd);
	}
}

static void
test_http_faults__F70_reset(void **state)
{
	static const struct {
		const char *before;
		enum failure_class class;
		const char *text;
	} rows[] = {
		{ NULL, FAILURE_NETWORK, "" },
		{ OK_SSE, FAILURE_PROTOCOL, "" },
		{ OK_SSE "\r\ndata: a", FAILURE_PROTOCOL, "" },
		{ OK_SSE "\r\ndata: a\n\ndata: b", FAILURE_PROTOCOL, "a|" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct station *s = station_open(serve_reset, rows[i].before);
		struct customer c;

		customer_init(&c, s->url);
		customer_stream(&c);
		assert_failure(&c, rows[i].class, "cut");
		assert_string_equal(buf_str(&c.text), rows[i].text);
		customer_clear(&c);
		station_close(s);
	}
}

static void
serve_close(struct station *s, int fd)
{
	(void)get_request(s, fd);
}

static void
test_http_faults__F70_closed_without_a_word(void **state)
{
	struct station *s = station_open(serve_close, NULL);
	struct customer c;

	(void)state;
	customer_init(&c, s->url);
	customer_stream(&c);
	assert_failure(&c, FAILURE_NETWORK, "cut");
	customer_clear(&c);
	station_close(s);
}

/* ---- F71 ---- */

static void
serve_repeat(struct station *s, int fd)
{
	const char *const *script = s->script;
	char block[65536] = "";

	while (strlen(block) + strlen(script[1]) < sizeof block)
		strcat(block, script[1]);
	if (!get_request(s, fd) || !puts_to(s, fd, script[0]))
		return;
	while (puts_to(s, fd, block))
		;
}

static void
endless(const char *first, const char *again, const char *kind)
{
	const char *script[] = { first, again };
	struct station *s = station_open(serve_repeat, script);
	struct customer c;

	customer_init(&c, s->url);
	customer_stream(&c);
	assert_failure(&c, FAILURE_PROTOCOL, kind);
	customer_clear(&c);
	station_close(s);
}

static void
test_http_faults__F71_endless_headers(void **state)
{
	(void)state;
	endless("HTTP/1.1 200 OK\r\n", "X-Header: value\r\n", "too_large");
}

static void
test_http_faults__F71_one_endless_header(void **state)
{
	(void)state;
	endless("HTTP/1.1 200 OK\r\nX: ", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "too_large");
}

static void
test_http_faults__F71_endless_interim_answers(void **state)
{
	(void)state;
	endless("", "HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n", "too_large");
}

static void
test_http_faults__some_interim_answers_are_fine(void **state)
{
	struct customer c;

	(void)state;
	ask_text("HTTP/1.1 103 Early Hints\r\nContent-Type: text/html\r\n\r\n" OK_SSE
	         "Content-Length: 9\r\n\r\ndata: a\n\n",
	    &c);
	assert_failure(&c, FAILURE_NONE, "");
	assert_int_equal(c.heads, 1);
	assert_string_equal(buf_str(&c.text), "a|");
	assert_null(strstr(buf_str(&c.headers), "html"));
	customer_clear(&c);
}

/* ---- F72 ---- */

static void
test_http_faults__F72_redirects_are_not_followed(void **state)
{
	static const int statuses[] = { 301, 302, 303, 307, 308 };
	struct station *target = station_open(serve_text, OK_SSE "\r\n");
	struct secret *key = secret_new("sk-test", 7);
	char places[6][96];

	(void)state;
	snprintf(places[0], sizeof places[0], "/v1/other");
	snprintf(places[1], sizeof places[1], "http://127.0.0.1:%d/v1", target->port);
	snprintf(places[2], sizeof places[2], "http://localhost:%d/v1?secret=1", target->port);
	snprintf(places[3], sizeof places[3], "https://127.0.0.1:%d/v1", target->port);
	snprintf(places[4], sizeof places[4], "file:///etc/passwd");
	snprintf(places[5], sizeof places[5], "//\x1b[31m\xff");
	for (size_t i = 0; i < 5; i++) {
		for (size_t k = 0; k < 6; k++) {
			char answer[1024];
			struct station *s;
			struct customer c;

			snprintf(answer, sizeof answer,
			    "HTTP/1.1 %d Gone\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n", statuses[i],
			    places[k]);
			s = station_open(serve_text, answer);
			customer_init(&c, s->url);
			c.to.key = key;
			c.to.auth_style = k % 2 == 0 ? AUTH_STYLE_BEARER : AUTH_STYLE_X_API_KEY;
			customer_stream(&c);
			assert_failure(&c, FAILURE_CONFIG, "redirect");
			assert_int_equal(c.failure.http_status, statuses[i]);
			assert_null(strstr(c.failure.message, "secret"));
			assert_null(strchr(c.failure.message, 0x1b));
			assert_int_equal(s->requests, 1);
			customer_clear(&c);
			station_close(s);
		}
	}
	assert_int_equal(target->connections, 0);
	station_close(target);
	secret_free(key);
}

/* ---- F73 ---- */

static void
test_http_faults__F73_a_page_instead_of_a_stream(void **state)
{
	(void)state;
	expect("HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=x\r\n\r\n<html>login",
	    FAILURE_PROTOCOL, "content_type");
	expect("HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n{}", FAILURE_PROTOCOL,
	    "content_type");
}

static void
test_http_faults__F73_other_bodies_go_to_the_dialect(void **state)
{
	static const char *const answers[] = {
		"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
	};
	struct customer c;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		ask_text(answers[i], &c);
		assert_failure(&c, FAILURE_NONE, "");
		assert_int_equal(c.bodies, 1);
		assert_int_equal(c.body.len, 0);
		customer_clear(&c);
	}
	ask_text(OK_SSE "Content-Length: 0\r\n\r\n", &c);
	assert_failure(&c, FAILURE_NONE, "");
	assert_int_equal(c.frames + c.bodies, 0);
	customer_clear(&c);
}

static void
test_http_faults__answers_that_are_no_http(void **state)
{
	(void)state;
	expect("+OK MPD 0.23.5\n", FAILURE_PROTOCOL, "http");
	expect("HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", FAILURE_PROTOCOL, "http");
}

/* ---- F74 ---- */

static void
test_http_faults__F74_wrong_lengths(void **state)
{
	struct customer c;

	(void)state;
	expect(OK_SSE "Content-Length: -5\r\n\r\ndata: a\n\n", FAILURE_PROTOCOL, "http");
	expect(OK_SSE "Content-Length: 9\r\nContent-Length: 10\r\n\r\ndata: a\n\n", FAILURE_PROTOCOL,
	    "http");
	/* too short: the library keeps silent, the dialect misses its end */
	ask_text(OK_SSE "Content-Length: 6\r\n\r\ndata: a\n\n", &c);
	assert_failure(&c, FAILURE_NONE, "");
	customer_clear(&c);
}

static void
test_http_faults__F74_broken_chunks(void **state)
{
	(void)state;
	expect(OK_SSE "Transfer-Encoding: chunked\r\n\r\nzz\r\ndata: a\n\n\r\n", FAILURE_PROTOCOL, "cut");
	expect(OK_SSE "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\ndata", FAILURE_PROTOCOL,
	    "cut");
}

static void
serve_without_last_chunk(struct station *s, int fd)
{
	if (get_request(s, fd))
		(void)puts_to(s, fd,
		    OK_SSE "Transfer-Encoding: chunked\r\n\r\n9\r\ndata: a\n\n\r\n");
}

static void
serve_too_little(struct station *s, int fd)
{
	if (get_request(s, fd))
		(void)puts_to(s, fd, OK_SSE "Content-Length: 100\r\n\r\ndata: a\n\n");
}

static void
test_http_faults__F74_a_cut_is_never_a_success(void **state)
{
	static const serve_fn serves[] = { serve_without_last_chunk, serve_too_little };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct station *s = station_open(serves[i], NULL);
		struct customer c;

		customer_init(&c, s->url);
		customer_stream(&c);
		assert_failure(&c, FAILURE_PROTOCOL, "cut");
		assert_string_equal(buf_str(&c.text), "a|");
		customer_clear(&c);
		station_close(s);
	}
}

/* ---- F75 ---- */

static void
test_http_faults__F75_codings_nobody_asked_for(void **state)
{
	static const char *const codings[] = { "Content-Encoding: gzip", "Content-Encoding: br",
		"Content-Encoding: zstd", "content-encoding: gzip, gzip, gzip, gzip, gzip, gzip",
		"Transfer-Encoding: gzip, chunked" };
	char answer[256];

	(void)state;
	for (size_t i = 0; i < sizeof codings / sizeof codings[0]; i++) {
		snprintf(answer, sizeof answer, OK_SSE "%s\r\n\r\n\x1f\x8b\x08", codings[i]);
		expect(answer, FAILURE_PROTOCOL, "encoding");
	}
}

static void
test_http_faults__F75_a_coded_refusal_keeps_its_status(void **state)
{
	struct customer c;

	(void)state;
	ask_text("HTTP/1.1 503 Busy\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08",
	    &c);
	assert_failure(&c, FAILURE_NONE, "");
	assert_int_equal(c.status, 503);
	assert_int_equal(c.body.len, 0);
	customer_clear(&c);
}

/* ---- F76, F79 ---- */

static void
test_http_faults__F76_a_stream_without_end(void **state)
{
	const char *script[] = { OK_SSE "\r\n",
		"data: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n\n" };
	struct station *s = station_open(serve_repeat, script);
	struct customer c;

	(void)state;
	customer_init(&c, s->url);
	customer_ask(&c, FRAMING_SSE, true);
	customer_wait(&c, 30000);
	assert_int_equal(c.ends, 1);
	assert_failure(&c, FAILURE_PROTOCOL, "too_large");
	assert_true(s->sent > (size_t)64 << 20);
	customer_clear(&c);
	station_close(s);
}

static void
test_http_faults__F76_a_body_without_end(void **state)
{
	(void)state;
	endless("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[",
	    "1111111111111111111111111111111111111111111111111111111111111111,", "too_large");
}

static void
test_http_faults__F79_a_line_without_end(void **state)
{
	(void)state;
	endless(OK_SSE "\r\ndata: ",
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
	    "too_large");
}

/* ---- what is refused before anything is sent ---- */

static void
test_http_faults__urls_that_are_not_used(void **state)
{
	static const struct {
		const char *url;
		bool local;
	} rows[] = {
		{ "http://api.example.com/v1", false },
		{ "http://api.example.com/v1", true },
		{ "http://192.168.1.5:11434/v1", true },
		{ "http://127.0.0.1:1/v1", false },
		{ "https://user:pass@example.com/", false },
		{ "file:///etc/passwd", true },
		{ "ftp://example.com", true },
		{ "", true },
		{ NULL, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct customer c;

		customer_init(&c, rows[i].url);
		c.to.local = rows[i].local;
		customer_ask(&c, FRAMING_SSE, true);
		assert_null(c.transfer);
		assert_int_equal(c.err.code, MP_E_INVALID_PARAMS);
		assert_string_equal(c.err.field, "base_url");
		customer_clear(&c);
	}
}

static void
test_http_faults__nothing_stays_open(void **state)
{
	unsigned before = open_fds();

	(void)state;
	expect("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\nx", FAILURE_PROTOCOL, "content_type");
	test_http_faults__F66_nobody_listens(state);
	assert_int_equal(open_fds(), before);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_http_faults__F66_nobody_listens),
		cmocka_unit_test(test_http_faults__F66_a_black_hole),
		cmocka_unit_test(test_http_faults__F67_a_public_provider_at_a_loopback_address),
		cmocka_unit_test(test_http_faults__F67_metadata_addresses_even_for_local_ones),
		cmocka_unit_test(test_http_faults__F69_silence_before_the_head),
		cmocka_unit_test(test_http_faults__F69_silence_after_the_head),
		cmocka_unit_test(test_http_faults__F69_silence_in_the_stream),
		cmocka_unit_test(test_http_faults__F69_one_byte_now_and_then),
		cmocka_unit_test(test_http_faults__F69_the_total_counts_for_a_paused_owner_too),
		cmocka_unit_test(test_http_faults__F70_reset),
		cmocka_unit_test(test_http_faults__F70_closed_without_a_word),
		cmocka_unit_test(test_http_faults__F71_endless_headers),
		cmocka_unit_test(test_http_faults__F71_one_endless_header),
		cmocka_unit_test(test_http_faults__F71_endless_interim_answers),
		cmocka_unit_test(test_http_faults__some_interim_answers_are_fine),
		cmocka_unit_test(test_http_faults__F72_redirects_are_not_followed),
		cmocka_unit_test(test_http_faults__F73_a_page_instead_of_a_stream),
		cmocka_unit_test(test_http_faults__F73_other_bodies_go_to_the_dialect),
		cmocka_unit_test(test_http_faults__answers_that_are_no_http),
		cmocka_unit_test(test_http_faults__F74_wrong_lengths),
		cmocka_unit_test(test_http_faults__F74_broken_chunks),
		cmocka_unit_test(test_http_faults__F74_a_cut_is_never_a_success),
		cmocka_unit_test(test_http_faults__F75_codings_nobody_asked_for),
		cmocka_unit_test(test_http_faults__F75_a_coded_refusal_keeps_its_status),
		cmocka_unit_test(test_http_faults__F76_a_stream_without_end),
		cmocka_unit_test(test_http_faults__F76_a_body_without_end),
		cmocka_unit_test(test_http_faults__F79_a_line_without_end),
		cmocka_unit_test(test_http_faults__urls_that_are_not_used),
		cmocka_unit_test(test_http_faults__nothing_stays_open),
	};

	if (secret_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

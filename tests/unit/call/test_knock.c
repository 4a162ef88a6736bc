/* test_knock.c - open and closed doors of this machine; where OLLAMA_HOST points. */
#include "server/call/knock.h"
#include "tests/unit/call/house.h"

struct answer {
	int calls;
	bool open;
};

static void
on_done(void *arg, bool open)
{
	struct answer *a = arg;

	a->calls++;
	a->open = open;
}

static bool
is_open(const char *host, int port)
{
	struct loop *loop = loop_new();
	struct answer a = { 0, false };
	struct knock *k;
	char url[96];

	snprintf(url, sizeof url, "http://%s:%d/some/path", host, port);
	k = knock_start(loop, url, 1000, on_done, &a);
	assert_non_null(k);
	assert_int_equal(a.calls, 0); /* never from inside */
	for (int i = 0; i < 200 && a.calls == 0; i++)
		loop_once(loop, 10);
	assert_int_equal(a.calls, 1);
	knock_free(k);
	loop_free(loop);
	return a.open;
}

static void
test_knock__open_and_closed(void **state)
{
	int fds = count_fds();
	struct vendor v;

	(void)state;
	vendor_start(&v);
	assert_true(is_open("127.0.0.1", v.port));
	assert_true(is_open("localhost", v.port));
	vendor_stop(&v);
	assert_int_equal(v.requests, 0);
	assert_false(is_open("127.0.0.1", v.port));
	assert_false(is_open("localhost", v.port));
	assert_false(is_open("[::1]", v.port));
	assert_int_equal(count_fds(), fds);
}

static void
test_knock__second_address_of_localhost(void **state)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t n = sizeof a;

	(void)state;
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) != 0) {
		assert_true(errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL);
		if (fd >= 0)
			close(fd);
		print_message("this machine has no IPv6\n");
		return;
	}
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	assert_true(is_open("[::1]", ntohs(a.sin6_port)));
	assert_true(is_open("localhost", ntohs(a.sin6_port)));
	close(fd);
}

static void
test_knock__other_machines_are_not_bothered(void **state)
{
	static const char *const urls[] = { "http://192.0.2.1:80/", "https://example.com/v1", "nonsense",
		"http://127.0.0.1@example.com/", "http://0.0.0.0:80/", "" };
	struct loop *loop = loop_new();

	(void)state;
	for (size_t i = 0; i < sizeof urls / sizeof *urls; i++)
		assert_null(knock_start(loop, urls[i], 100, on_done, NULL));
	loop_free(loop);
}

static void
test_knock__freed_before_it_is_answered(void **state)
{
	struct loop *loop = loop_new();
	struct answer a = { 0, false };
	struct vendor v;
	char url[64];

	(void)state;
	vendor_start(&v);
	snprintf(url, sizeof url, "http://127.0.0.1:%d", v.port);
	knock_free(knock_start(loop, url, 1000, on_done, &a));
	for (int i = 0; i < 5; i++)
		loop_once(loop, 1);
	assert_int_equal(a.calls, 0);
	vendor_stop(&v);
	loop_free(loop);
	knock_free(NULL);
}

static void
test_ollama_host__as_its_own_programs_read_it(void **state)
{
	static const struct {
		const char *text, *origin;
	} rows[] = {
		{ "127.0.0.1", "http://127.0.0.1:11434" },
		{ "127.0.0.1:8000", "http://127.0.0.1:8000" },
		{ "localhost", "http://localhost:11434" },
		{ "LOCALHOST:1", "http://localhost:1" },
		{ "0.0.0.0", "http://127.0.0.1:11434" },
		{ "0.0.0.0:8000", "http://127.0.0.1:8000" },
		{ ":8000", "http://127.0.0.1:8000" },
		{ "http://0.0.0.0:8000/", "http://127.0.0.1:8000" },
		{ "http://127.0.0.1", "http://127.0.0.1:80" },
		{ "https://127.0.0.1", "https://127.0.0.1:443" },
		{ "http://127.0.0.1:8000/ollama", "http://127.0.0.1:8000" },
		{ "[::1]", "http://[::1]:11434" },
		{ "[::1]:8000", "http://[::1]:8000" },
		{ "::1", "http://[::1]:11434" },
		{ "[::]:8000", "http://[::1]:8000" },
		{ "::", "http://[::1]:11434" },
	};
	char out[320];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (!ollama_host_origin(rows[i].text, out, sizeof out))
			fail_msg("%s is not understood", rows[i].text);
		assert_string_equal(out, rows[i].origin);
	}
}

static void
test_ollama_host__other_machines_and_nonsense(void **state)
{
	static const char *const bad[] = { "192.0.2.1", "ollama.example", "http://10.0.0.1:11434",
		"127.0.0.1:99999", "127.0.0.1:x", "127.0.0.1@evil.example", "http://user@127.0.0.1",
		"127.0.0.1.evil.example:80", "2130706433", "0x7f.1", "[::1", "[::1]x", "fe80::1%lo",
		"\n127.0.0.1", "127.0.0.1:", "::ffff:192.0.2.1" };
	char out[320], text[2000];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (ollama_host_origin(bad[i], out, sizeof out))
			fail_msg("%s became %s", bad[i], out);
	memset(text, '1', sizeof text);
	text[sizeof text - 1] = '\0';
	assert_false(ollama_host_origin(text, out, sizeof out));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_knock__open_and_closed),
		cmocka_unit_test(test_knock__second_address_of_localhost),
		cmocka_unit_test(test_knock__other_machines_are_not_bothered),
		cmocka_unit_test(test_knock__freed_before_it_is_answered),
		cmocka_unit_test(test_ollama_host__as_its_own_programs_read_it),
		cmocka_unit_test(test_ollama_host__other_machines_and_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

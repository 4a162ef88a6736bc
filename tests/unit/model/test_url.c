#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/base/err.h"
#include "server/model/provider.h"

static void
gives(const char *url, const char *origin, bool loopback)
{
	char *out = NULL;
	bool is_loopback = !loopback;

	if (url_origin(url, &out, &is_loopback) != 0)
		fail_msg("%s was refused", url);
	assert_string_equal(out, origin);
	assert_int_equal(is_loopback, loopback);
	free(out);
}

static void
test_url__origin_is_canonical(void **state)
{
	(void)state;
	gives("https://api.openai.com/v1", "https://api.openai.com:443", false);
	gives("HTTPS://API.OpenAI.com", "https://api.openai.com:443", false);
	gives("https://api.openai.com:443/", "https://api.openai.com:443", false);
	gives("https://api.openai.com:8443", "https://api.openai.com:8443", false);
	gives("http://example.com/x", "http://example.com:80", false);
	gives("https://xn--bcher-kva.example/", "https://xn--bcher-kva.example:443", false);
	gives("https://my_host.internal", "https://my_host.internal:443", false);
	gives("https://10.0.0.1/a%2fb", "https://10.0.0.1:443", false);
	gives("https://[2001:DB8:0:0::1]:99/v1", "https://[2001:db8::1]:99", false);
	gives("https://host/@path:80", "https://host:443", false);
}

static void
test_url__loopback_is_literal_or_localhost(void **state)
{
	(void)state;
	gives("http://127.0.0.1:1234/v1", "http://127.0.0.1:1234", true);
	gives("http://127.255.0.9", "http://127.255.0.9:80", true);
	gives("http://[::1]:8080", "http://[::1]:8080", true);
	gives("http://[0:0:0:0:0:0:0:1]", "http://[::1]:80", true);
	gives("http://LocalHost:11434", "http://localhost:11434", true);
	gives("http://localhost.example.com", "http://localhost.example.com:80", false);
	gives("http://a.localhost", "http://a.localhost:80", false);
	gives("http://128.0.0.1", "http://128.0.0.1:80", false);
	gives("http://127.0.0.1.example.com", "http://127.0.0.1.example.com:80", false);
	gives("http://[::ffff:127.0.0.1]", "http://[::ffff:127.0.0.1]:80", false);
	gives("http://0.0.0.0:1", "http://0.0.0.0:1", false);
}

static void
test_url__what_parsers_disagree_on_is_refused(void **state)
{
	static const char *const bad[] = {
		"", "https", "https:", "https:/", "https://", "https:///v1", "//host", "host", "/path",
		"ftp://host", "file:///etc/passwd", "javascript:alert(1)", " https://host",
		"https://host ", "https ://host", "https:\\\\host", "https://host\\@evil",
		"https://user@host", "https://user:pass@host", "https://@host", "https://host?q",
		"https://host/?q", "https://host#f", "https://host/#f", "https://ho st", "https://host\n",
		"https://host\r\nX: y", "https://host\t", "https://host\x01", "https://host\x7f",
		"https://h\xc3\xb6st", "https://ho%73t", "https://%31", "https://host.", "https://.host",
		"https://ho..st", "https://-host", "https://host-", "https://a.-b.c", "https://host:",
		"https://host:0", "https://host:00080", "https://host:080", "https://host:65536",
		"https://host:99999", "https://host:+80", "https://host:80a", "https://host:80:80",
		"https://host: 80", "https://host:-1", "http://127.1", "http://127.0.1", "http://2130706433",
		"http://0x7f000001", "http://0x7f.1", "http://0177.0.0.1", "http://127.0.0.01",
		"http://127.0.0.256", "http://127.0.0.1.", "http://1.2.3.4.5", "http://0", "http://0x",
		"http://a.0x10", "http://a.1", "https://[", "https://[]", "https://[::1", "https://::1",
		"https://[::1]x", "https://[::1]:", "https://[::1]:0", "https://[::g]", "https://[1.2.3.4]",
		"https://[fe80::1%25eth0]", "https://[fe80::1%eth0]", "https://[::1]@host",
		"https://host,other", "https://ho!st", "https://host;x", "https://(host)", "https://host*",
		"https://{x}", "https://a<b", "https://a\"b", "https://a`b", "https://a|b", "https://a^b",
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		char *out = NULL;

		if (url_origin(bad[i], &out, NULL) != MP_E_INVALID_PARAMS)
			fail_msg("taken as %s: %s", out, bad[i]);
		assert_null(out);
	}
	assert_int_equal(url_origin(NULL, NULL, NULL), MP_E_INVALID_PARAMS);
}

static void
test_url__lengths_are_bounded(void **state)
{
	char url[4096] = "https://";

	(void)state;
	memset(url + 8, 'a', 63);
	assert_int_equal(url_origin(url, NULL, NULL), 0);
	url[8 + 63] = 'a';
	assert_int_equal(url_origin(url, NULL, NULL), MP_E_INVALID_PARAMS);

	memset(url, 0, sizeof url);
	strcpy(url, "https://host/");
	memset(url + 13, 'p', 2048 - 13);
	assert_int_equal(url_origin(url, NULL, NULL), 0);
	url[2048] = 'p';
	assert_int_equal(url_origin(url, NULL, NULL), MP_E_INVALID_PARAMS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_url__origin_is_canonical),
		cmocka_unit_test(test_url__loopback_is_literal_or_localhost),
		cmocka_unit_test(test_url__what_parsers_disagree_on_is_refused),
		cmocka_unit_test(test_url__lengths_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

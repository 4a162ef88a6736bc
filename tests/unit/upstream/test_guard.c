#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "protocol/base/err.h"
#include "server/upstream/http_guard.h"

static struct sockaddr_storage
address(const char *text)
{
	struct sockaddr_storage out;
	struct sockaddr_in *four = (struct sockaddr_in *)&out;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)&out;

	memset(&out, 0, sizeof out);
	if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
	} else {
		assert_int_equal(inet_pton(AF_INET6, text, &six->sin6_addr), 1);
		six->sin6_family = AF_INET6;
	}
	return out;
}

static void
test_guard__F67_rules_of_addresses(void **state)
{
	static const struct {
		const char *text;
		enum address_rule rule;
	} rows[] = {
		{ "1.1.1.1", ADDRESS_OK },
		{ "11.0.0.1", ADDRESS_OK },
		{ "172.15.255.255", ADDRESS_OK },
		{ "172.32.0.0", ADDRESS_OK },
		{ "100.128.0.1", ADDRESS_OK },
		{ "192.169.0.1", ADDRESS_OK },
		{ "2606:4700::1111", ADDRESS_OK },
		{ "127.0.0.1", ADDRESS_LOOPBACK },
		{ "127.255.255.255", ADDRESS_LOOPBACK },
		{ "::1", ADDRESS_LOOPBACK },
		{ "::ffff:127.0.0.1", ADDRESS_LOOPBACK },
		{ "::127.0.0.1", ADDRESS_LOOPBACK },
		{ "64:ff9b::7f00:1", ADDRESS_LOOPBACK },
		{ "2002:7f00:1::", ADDRESS_LOOPBACK },
		{ "10.1.2.3", ADDRESS_PRIVATE },
		{ "172.16.0.1", ADDRESS_PRIVATE },
		{ "172.31.255.255", ADDRESS_PRIVATE },
		{ "192.168.1.5", ADDRESS_PRIVATE },
		{ "100.64.0.1", ADDRESS_PRIVATE },
		{ "198.19.0.1", ADDRESS_PRIVATE },
		{ "fd12::1", ADDRESS_PRIVATE },
		{ "fc00::1", ADDRESS_PRIVATE },
		{ "::ffff:10.0.0.1", ADDRESS_PRIVATE },
		{ "169.254.169.254", ADDRESS_NEVER },
		{ "169.254.0.1", ADDRESS_NEVER },
		{ "::ffff:169.254.169.254", ADDRESS_NEVER },
		{ "64:ff9b::a9fe:a9fe", ADDRESS_NEVER },
		{ "fe80::1", ADDRESS_NEVER },
		{ "febf::1", ADDRESS_NEVER },
		{ "fd00:ec2::254", ADDRESS_NEVER },
		{ "100.100.100.200", ADDRESS_NEVER },
		{ "0.0.0.0", ADDRESS_NEVER },
		{ "::", ADDRESS_NEVER },
		{ "224.0.0.1", ADDRESS_NEVER },
		{ "255.255.255.255", ADDRESS_NEVER },
		{ "ff02::1", ADDRESS_NEVER },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct sockaddr_storage at = address(rows[i].text);

		if (address_rule_of((struct sockaddr *)&at) != rows[i].rule)
			fail_msg("%s is %d", rows[i].text, (int)address_rule_of((struct sockaddr *)&at));
	}
}

static void
test_guard__F67_who_may_go_where(void **state)
{
	static const struct {
		const char *address;
		bool local, plain, proxied, ok;
	} rows[] = {
		{ "1.1.1.1", false, false, false, true },
		{ "1.1.1.1", true, false, false, true },
		{ "10.0.0.1", false, false, false, false },
		{ "10.0.0.1", true, false, false, true },
		{ "127.0.0.1", false, false, false, false },
		{ "127.0.0.1", true, false, false, true },
		{ "127.0.0.1", true, true, false, true },
		/* "localhost" that resolves elsewhere gets nothing unencrypted */
		{ "10.0.0.1", true, true, false, false },
		{ "1.1.1.1", true, true, false, false },
		/* the proxy's address was chosen by the user */
		{ "10.0.0.1", false, false, true, true },
		{ "127.0.0.1", false, false, true, true },
		{ "169.254.169.254", true, false, true, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct http_guard g = { .local = rows[i].local, .plain = rows[i].plain,
			.proxied = rows[i].proxied };
		struct sockaddr_storage at = address(rows[i].address);

		if (http_guard_allows(&g, (struct sockaddr *)&at) != rows[i].ok)
			fail_msg("row %zu, %s", i, rows[i].address);
		assert_int_equal(g.refused, !rows[i].ok);
		if (g.refused)
			assert_string_equal(g.address, rows[i].address);
	}
}

static void
test_guard__a_unix_address_is_none(void **state)
{
	struct sockaddr at = { .sa_family = AF_UNIX };

	(void)state;
	assert_int_equal(address_rule_of(&at), ADDRESS_NEVER);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_guard__F67_rules_of_addresses),
		cmocka_unit_test(test_guard__F67_who_may_go_where),
		cmocka_unit_test(test_guard__a_unix_address_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* F67: names. The resolver is ours: libcurl's thread calls the getaddrinfo below. */
#include "tests/unit/upstream/station.h"

#include <netdb.h>

static const struct {
	const char *name, *address; /* NULL = no such name */
	int hang_ms;
} names[] = {
	{ "nowhere.example", NULL, 0 },
	{ "slow.example", NULL, 3000 },
	{ "metadata.example", "169.254.169.254", 0 },
	{ "private.example", "10.1.2.3", 0 },
	{ "loopback.example", "127.0.0.1", 0 },
};

static atomic_uint asked;

int
getaddrinfo(const char *restrict node, const char *restrict service,
    const struct addrinfo *restrict hints, struct addrinfo **restrict out)
{
	struct {
		struct addrinfo info;
		struct sockaddr_in at;
	} *found;

	(void)hints;
	asked++;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (strcmp(node, names[i].name) != 0)
			continue;
		nap(names[i].hang_ms);
		if (names[i].address == NULL)
			return EAI_NONAME;
		found = calloc(1, sizeof *found);
		found->at.sin_family = AF_INET;
		found->at.sin_port = htons((uint16_t)(service != NULL ? atoi(service) : 0));
		inet_pton(AF_INET, names[i].address, &found->at.sin_addr);
		found->info.ai_family = AF_INET;
		found->info.ai_socktype = SOCK_STREAM;
		found->info.ai_protocol = IPPROTO_TCP;
		found->info.ai_addrlen = sizeof found->at;
		found->info.ai_addr = (struct sockaddr *)&found->at;
		*out = &found->info;
		return 0;
	}
	return EAI_NONAME;
}

void
freeaddrinfo(struct addrinfo *info)
{
	free(info);
}

static void
ask(const char *url, bool local, enum failure_class class, const char *kind)
{
	unsigned before = asked;
	struct customer c;

	customer_init(&c, url);
	c.to.local = local;
	c.to.connect_ms = 300;
	customer_stream(&c);
	assert_failure(&c, class, kind);
	assert_true(asked > before);
	customer_clear(&c);
}

static void
test_dns__F67_a_name_that_does_not_resolve(void **state)
{
	(void)state;
	ask("https://nowhere.example/v1", false, FAILURE_NETWORK, "dns");
}

static void
test_dns__F67_a_name_with_a_forbidden_address(void **state)
{
	(void)state;
	ask("https://metadata.example/v1", false, FAILURE_CONFIG, "address_refused");
	ask("https://metadata.example/v1", true, FAILURE_CONFIG, "address_refused");
	ask("https://private.example/v1", false, FAILURE_CONFIG, "address_refused");
	ask("https://loopback.example/v1", false, FAILURE_CONFIG, "address_refused");
}

static void
test_dns__F67_a_resolver_that_hangs_blocks_nobody(void **state)
{
	int64_t start = clock_monotonic_ms(), longest = 0;
	struct customer c;

	(void)state;
	customer_init(&c, "https://slow.example/v1");
	c.to.connect_ms = 400;
	customer_ask(&c, FRAMING_SSE, true);
	while (c.ends == 0 && clock_monotonic_ms() - start < 5000) {
		int64_t before = clock_monotonic_ms(), took;

		loop_once(c.loop, 10);
		took = clock_monotonic_ms() - before;
		longest = took > longest ? took : longest;
	}
	assert_int_equal(c.ends, 1);
	assert_int_equal(c.failure.class, FAILURE_NETWORK);
	assert_in_range(c.ended_ms - start, 380, 1200);
	assert_in_range(longest, 0, 200);
	/* cancelling and leaving do not wait for the resolver either */
	customer_forget(&c);
	customer_ask(&c, FRAMING_SSE, true);
	customer_idle(&c, 50);
	start = clock_monotonic_ms();
	transfer_cancel(c.transfer);
	loop_once(c.loop, 0);
	customer_ask(&c, FRAMING_SSE, true);
	customer_idle(&c, 50);
	customer_clear(&c);
	assert_in_range(clock_monotonic_ms() - start, 0, 500);
	/* the resolver's thread ends before the process does */
	nap(3300);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dns__F67_a_name_that_does_not_resolve),
		cmocka_unit_test(test_dns__F67_a_name_with_a_forbidden_address),
		cmocka_unit_test(test_dns__F67_a_resolver_that_hangs_blocks_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

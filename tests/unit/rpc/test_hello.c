/* test_hello.c - the agreement: protocol, event form, error form, scope. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/rpc/office.h"

static struct office office;
static struct peer peer;

static int
setup(void **state)
{
	(void)state;
	office_open(&office, NULL);
	peer_open(&peer, &office);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	peer_close(&peer);
	office_close(&office);
	return 0;
}

static void
test_hello__says_what_is_spoken(void **state)
{
	(void)state;
	assert_true(peer_ask(&peer, "sys.hello", "{\"protocol\":1}"));
	assert_int_equal(peer_int(&peer, "protocol.major"), 1);
	assert_true(peer_has(&peer, "server.name", "modelpd"));
	assert_int_equal(peer_int(&peer, "limits.message_bytes"), 16 << 20);
	assert_int_equal(peer_int(&peer, "rev"), 0);
	assert_true(json_is(&peer.json, peer_find(&peer, "deprecated"), JSON_ARRAY));
}

static void
test_hello__F54_wrong_version_names_what_is_supported(void **state)
{
	uint32_t list;
	int64_t major = 0;

	(void)state;
	assert_false(peer_ask(&peer, "sys.hello", "{\"protocol\":2}"));
	assert_true(peer_has(&peer, "code", "version_mismatch"));
	list = peer_find(&peer, "data.supported");
	assert_true(json_int(&peer.json, json_item(&peer.json, list, 0), &major));
	assert_int_equal(major, 1);
	assert_true(peer_ask(&peer, "sys.hello", "{\"protocol\":1}"));
}

static void
test_hello__nvim_events_and_pair_errors(void **state)
{
	(void)state;
	assert_true(peer_ask(&peer, "sys.hello",
	    "{\"notify\":\"nvim\",\"handler\":\"require('modelpd').on\"}"));
	assert_false(peer_ask(&peer, "route.set", "{\"ref\":\"nobody:x\"}"));
	assert_true(json_is(&peer.json, 0, JSON_ARRAY));
	assert_int_equal(json_size(&peer.json, 0), 2);
	assert_true(peer_ask(&peer, "state.subscribe", "{\"topics\":[\"route\"]}"));
	assert_true(peer_ask(&peer, "route.set", "{\"ref\":\"echo:one\"}"));
	assert_true(peer_next(&peer));
	assert_int_equal(peer.kind, MESSAGE_NOTIFICATION);
	/* the call of nvim_exec_lua has the handler's code first */
	assert_true(json_equals(&peer.json, 0, "require('modelpd').on(...)"));
}

static void
test_hello__second_one_replaces_the_first(void **state)
{
	(void)state;
	assert_true(peer_ask(&peer, "sys.hello", "{\"errors\":\"pair\",\"scope\":\"a\"}"));
	assert_true(peer_ask(&peer, "sys.hello", "{}"));
	assert_false(peer_ask(&peer, "sys.pong", "{}"));
	assert_true(peer_has(&peer, "code", "unknown_method"));
	assert_null(office.server->conns->hello.scope);
}

static void
test_hello__bad_forms_are_named(void **state)
{
	static const struct {
		const char *params, *field;
	} cases[] = {
		{ "{\"notify\":\"nvim\"}", "handler" },
		{ "{\"notify\":\"vim\"}", "notify" },
		{ "{\"notify\":\"nvim\",\"handler\":\"a\\nb\"}", "handler" },
		{ "{\"notify\":\"nvim\",\"handler\":\"a\\u0000b\"}", "handler" },
		{ "{\"errors\":\"list\"}", "errors" },
		{ "{\"client\":{\"name\":5}}", "client.name" },
		{ "{\"client\":{\"pid\":-5}}", "client.pid" },
		{ "{\"protocol\":\"1\"}", "protocol" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_false(peer_ask(&peer, "sys.hello", cases[i].params));
		assert_true(peer_has(&peer, "code", "invalid_params"));
		assert_true(peer_has(&peer, "data.field", cases[i].field));
	}
	assert_false(office.server->conns->hello.said);
}

static void
test_hello__client_shows_in_sys_clients(void **state)
{
	uint32_t list;

	(void)state;
	assert_true(peer_ask(&peer, "sys.hello",
	    "{\"client\":{\"name\":\"vim\",\"version\":\"9\",\"tty\":\"/dev/pts/3\"}}"));
	assert_true(peer_ask(&peer, "sys.clients", "{}"));
	list = peer_find(&peer, "clients");
	assert_int_equal(json_size(&peer.json, list), 1);
	assert_true(json_equals(&peer.json,
	    json_get(&peer.json, json_item(&peer.json, list, 0), "name"), "vim"));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_hello__says_what_is_spoken),
		TEST(test_hello__F54_wrong_version_names_what_is_supported),
		TEST(test_hello__nvim_events_and_pair_errors),
		TEST(test_hello__second_one_replaces_the_first),
		TEST(test_hello__bad_forms_are_named),
		TEST(test_hello__client_shows_in_sys_clients),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

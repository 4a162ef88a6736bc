/* test_objects.c - how providers, models and choices look from outside, and what may change them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/rpc/office.h"

#define KEY "sk-0123456789abcdefghij"

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
assert_status(const char *provider, const char *status)
{
	char params[100];

	snprintf(params, sizeof params, "{\"name\":\"%s\"}", provider);
	assert_true(peer_ask(&peer, "provider.get", params));
	if (!peer_has(&peer, "status", status))
		fail_msg("%s", buf_str(&peer.text));
}

static void
test_objects__status_follows_key_choice_and_health(void **state)
{
	(void)state;
	assert_status("openai", "no-credential");
	assert_true(peer_ask(&peer, "key.set", "{\"provider\":\"openai\",\"secret\":\"" KEY "\"}"));
	assert_status("openai", "available");
	assert_true(peer_ask(&peer, "route.set", "{\"ref\":\"openai:gpt-4o\"}"));
	assert_status("openai", "active");
	providers_report_failure(office.parts.providers, "openai", MP_E_RATE_LIMITED, "slow down",
	    clock_wall_ms() + 60000);
	assert_status("openai", "rate-limited");
	providers_report_failure(office.parts.providers, "openai", MP_E_AUTH_REJECTED, "no", 0);
	assert_status("openai", "error");
	assert_true(peer_has(&peer, "status_code", "auth_rejected"));
	providers_report_ok(office.parts.providers, "openai", 40);
	assert_status("openai", "active");
	assert_true(peer_ask(&peer, "provider.update",
	    "{\"name\":\"openai\",\"set\":{\"enabled\":false}}"));
	assert_status("openai", "disabled");
}

static void
test_objects__a_dialect_of_later_is_listed(void **state)
{
	struct provider *p =
	    (struct provider *)(uintptr_t)providers_find(office.parts.providers, "anthropic");

	(void)state;
	free(p->dialect);
	p->dialect = xstrdup("esperanto");
	assert_true(peer_ask(&peer, "key.set",
	    "{\"provider\":\"anthropic\",\"secret\":\"" KEY "\"}"));
	assert_status("anthropic", "error");
	assert_true(json_is(&peer.json, peer_find(&peer, "supported"), JSON_FALSE));
}

static void
test_objects__moved_address_refuses_the_key(void **state)
{
	(void)state;
	assert_true(peer_ask(&peer, "key.set", "{\"provider\":\"openai\",\"secret\":\"" KEY "\"}"));
	assert_true(peer_ask(&peer, "provider.update",
	    "{\"name\":\"openai\",\"set\":{\"base_url\":\"https://example.org/v1\"}}"));
	assert_int_equal(json_size(&peer.json, peer_find(&peer, "warnings")), 1);
	assert_status("openai", "error");
	assert_true(peer_has(&peer, "status_code", "origin"));
	/* the shipped address again: the key fits again */
	assert_true(peer_ask(&peer, "provider.remove", "{\"name\":\"openai\"}"));
	assert_true(json_is(&peer.json, peer_find(&peer, "reverted"), JSON_TRUE));
	assert_status("openai", "available");
}

static void
test_objects__same_server_needs_no_warning(void **state)
{
	(void)state;
	assert_true(peer_ask(&peer, "key.set", "{\"provider\":\"openai\",\"secret\":\"" KEY "\"}"));
	assert_true(peer_ask(&peer, "provider.update",
	    "{\"name\":\"openai\",\"set\":{\"base_url\":\"https://API.openai.com:443/v2/\"}}"));
	assert_int_equal(peer_find(&peer, "warnings"), JSON_NONE);
	assert_status("openai", "available");
}

static void
test_objects__used_provider_is_not_removed_alone(void **state)
{
	(void)state;
	assert_true(peer_ask(&peer, "provider.add",
	    "{\"name\":\"mine\",\"base_url\":\"http://127.0.0.1:9\"}"));
	assert_true(peer_ask(&peer, "route.set", "{\"ref\":\"mine:m\"}"));
	assert_false(peer_ask(&peer, "provider.remove", "{\"name\":\"mine\"}"));
	assert_true(peer_has(&peer, "code", "conflict"));
	assert_true(peer_ask(&peer, "provider.remove", "{\"name\":\"mine\",\"cascade\":true}"));
	assert_true(peer_ask(&peer, "route.get", "{}"));
	assert_true(peer_has(&peer, "active.ref", "echo:echo"));
	assert_false(peer_ask(&peer, "provider.get", "{\"name\":\"mine\"}"));
}

static void
test_objects__a_changed_catalogue_provider_reverts(void **state)
{
	(void)state;
	assert_true(peer_ask(&peer, "route.set", "{\"ref\":\"openai:gpt-4o\"}"));
	assert_true(peer_ask(&peer, "provider.update",
	    "{\"name\":\"openai\",\"set\":{\"enabled\":false}}"));
	assert_true(peer_ask(&peer, "provider.remove", "{\"name\":\"openai\"}"));
	assert_true(peer_ask(&peer, "route.get", "{}"));
	assert_true(peer_has(&peer, "active.ref", "openai:gpt-4o"));
}

static void
test_objects__bad_members_are_named(void **state)
{
	static const struct {
		const char *set, *field;
	} cases[] = {
		{ "{\"colour\":1}", "set.colour" },
		{ "{\"enabled\":\"yes\"}", "set.enabled" },
		{ "{\"base_url\":5}", "set.base_url" },
		{ "{\"name\":\"Bad Name\"}", "set.name" },
		{ "{\"dialect\":\"klingon\"}", "set.dialect" },
		{ "{\"type\":\"cloud\"}", "set.type" },
		{ "{\"auth_type\":\"luck\"}", "set.auth_type" },
		{ "{\"features\":\"a\"}", "set.features" },
		{ "{\"features\":[1]}", "set.features" },
		{ "{\"models\":[]}", "set.models" },
		{ "{\"models\":{\"a\":1}}", "set.models" },
		{ "{\"rate_limits\":{\"daily\":1}}", "set.rate_limits" },
		{ "{\"rate_limits\":{\"weekly\":-1}}", "set.rate_limits" },
		{ "{\"display_name\":\"a\\u0000b\"}", "set.display_name" },
	};
	char params[200];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		snprintf(params, sizeof params, "{\"name\":\"openai\",\"set\":%s}", cases[i].set);
		assert_false(peer_ask(&peer, "provider.update", params));
		assert_true(peer_has(&peer, "code", "invalid_params"));
		if (!peer_has(&peer, "data.field", cases[i].field))
			fail_msg("%s: %s", cases[i].field, buf_str(&peer.text));
	}
	assert_int_equal(changes_rev(office.parts.changes), 0);
}

static void
test_objects__rename_keeps_key_and_choice(void **state)
{
	(void)state;
	assert_true(peer_ask(&peer, "provider.add",
	    "{\"name\":\"mine\",\"base_url\":\"http://127.0.0.1:9\"}"));
	assert_true(peer_ask(&peer, "key.set", "{\"provider\":\"mine\",\"secret\":\"" KEY "\"}"));
	assert_true(peer_ask(&peer, "route.set", "{\"ref\":\"mine:m\"}"));
	assert_true(peer_ask(&peer, "provider.update",
	    "{\"name\":\"mine\",\"set\":{\"name\":\"ours\"}}"));
	assert_true(peer_has(&peer, "name", "ours"));
	assert_true(peer_ask(&peer, "route.get", "{}"));
	assert_true(peer_has(&peer, "active.ref", "ours:m"));
	assert_true(json_is(&peer.json, peer_find(&peer, "ready"), JSON_TRUE));
}

static void
test_objects__if_rev_tells_the_current_value(void **state)
{
	(void)state;
	assert_true(peer_ask(&peer, "route.set", "{\"ref\":\"echo:one\"}"));
	assert_false(peer_ask(&peer, "route.set", "{\"ref\":\"echo:two\",\"if_rev\":0}"));
	assert_true(peer_has(&peer, "code", "precondition_failed"));
	assert_true(peer_has(&peer, "data.current.ref", "echo:one"));
	assert_true(peer_ask(&peer, "route.set", "{\"ref\":\"echo:two\",\"if_rev\":1}"));
	assert_true(peer_ask(&peer, "provider.update",
	    "{\"name\":\"openai\",\"set\":{\"enabled\":false},\"if_rev\":0}"));
	assert_false(peer_ask(&peer, "provider.update",
	    "{\"name\":\"openai\",\"set\":{\"enabled\":true},\"if_rev\":0}"));
	assert_true(peer_has(&peer, "data.current.name", "openai"));
}

static void
test_objects__global_switch_names_scopes_that_keep_theirs(void **state)
{
	uint32_t keeping;

	(void)state;
	assert_true(peer_ask(&peer, "route.set", "{\"ref\":\"echo:one\",\"scope\":\"term1\"}"));
	assert_true(peer_ask(&peer, "route.set", "{\"ref\":\"echo:two\"}"));
	keeping = peer_find(&peer, "keeping");
	assert_int_equal(json_size(&peer.json, keeping), 1);
	assert_true(json_equals(&peer.json,
	    json_get(&peer.json, json_item(&peer.json, keeping, 0), "scope"), "term1"));
	assert_true(peer_has(&peer, "previous.ref", "echo:echo"));
}

static void
test_objects__models_come_in_pages_without_repeats(void **state)
{
	char params[400], cursor[300] = "";
	size_t total, seen = 0;

	(void)state;
	assert_true(peer_ask(&peer, "model.add",
	    "{\"provider\":\"echo\",\"model\":\"mine\",\"nick\":\"my\"}"));
	assert_true(peer_ask(&peer, "model.list", "{\"catalog\":true}"));
	total = json_size(&peer.json, peer_find(&peer, "models"));
	assert_true(total > 10);
	for (int page = 0; page < 1000; page++) {
		struct buf next = BUF_INIT;

		snprintf(params, sizeof params, "{\"catalog\":true,\"limit\":7%s%s%s}",
		    cursor[0] != '\0' ? ",\"cursor\":\"" : "", cursor, cursor[0] != '\0' ? "\"" : "");
		assert_true(peer_ask(&peer, "model.list", params));
		seen += json_size(&peer.json, peer_find(&peer, "models"));
		json_string(&peer.json, peer_find(&peer, "next"), &next);
		snprintf(cursor, sizeof cursor, "%s", buf_str(&next));
		buf_clear(&next);
		if (cursor[0] == '\0')
			break;
	}
	assert_int_equal(seen, total);
	assert_true(peer_ask(&peer, "model.list", "{\"query\":\"my\"}"));
	assert_int_equal(json_size(&peer.json, peer_find(&peer, "models")), 1);
}

static void
test_objects__F115_keys_that_cannot_travel_are_refused(void **state)
{
	static const char *const bad[] = { "", "a b", "a\\r\\nX: y", "k\\u0000", "schl\\u00fcssel" };
	char params[100];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		snprintf(params, sizeof params, "{\"provider\":\"openai\",\"secret\":\"%s\"}", bad[i]);
		assert_false(peer_ask(&peer, "key.set", params));
		assert_true(peer_has(&peer, "data.field", "secret"));
	}
	assert_true(peer_ask(&peer, "key.status", "{}"));
	assert_int_equal(json_size(&peer.json, peer_find(&peer, "keys")), 0);
}

static void
test_objects__F109_no_reply_holds_the_key(void **state)
{
	static const char *const asks[] = { "state.get", "key.status", "provider.list", "sys.log",
		"sys.info", "vault.status", "sys.clients" };

	(void)state;
	assert_true(peer_ask(&peer, "key.set", "{\"provider\":\"openai\",\"secret\":\"" KEY "\"}"));
	assert_null(strstr(buf_str(&peer.text), KEY));
	for (size_t i = 0; i < sizeof asks / sizeof asks[0]; i++) {
		assert_true(peer_ask(&peer, asks[i], "{}"));
		assert_null(strstr(buf_str(&peer.text), KEY));
	}
}

static void
test_objects__shutdown_and_reload_reach_the_daemon(void **state)
{
	(void)state;
	assert_true(peer_ask(&peer, "sys.reload", "{}"));
	assert_int_equal(json_size(&peer.json, peer_find(&peer, "warnings")), 1);
	assert_int_equal(office.reloads, 1);
	assert_true(peer_ask(&peer, "sys.shutdown", "{\"grace_ms\":5}"));
	assert_int_equal(office.shutdown_grace, 5);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_objects__status_follows_key_choice_and_health),
		TEST(test_objects__a_dialect_of_later_is_listed),
		TEST(test_objects__moved_address_refuses_the_key),
		TEST(test_objects__same_server_needs_no_warning),
		TEST(test_objects__used_provider_is_not_removed_alone),
		TEST(test_objects__a_changed_catalogue_provider_reverts),
		TEST(test_objects__bad_members_are_named),
		TEST(test_objects__rename_keeps_key_and_choice),
		TEST(test_objects__if_rev_tells_the_current_value),
		TEST(test_objects__global_switch_names_scopes_that_keep_theirs),
		TEST(test_objects__models_come_in_pages_without_repeats),
		TEST(test_objects__F115_keys_that_cannot_travel_are_refused),
		TEST(test_objects__F109_no_reply_holds_the_key),
		TEST(test_objects__shutdown_and_reload_reach_the_daemon),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_notify.c - who hears of what, in which order, and what a slow reader is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/rpc/notify.h"
#include "tests/unit/rpc/office.h"

static struct office office;
static struct peer actor, watcher;

static int
setup(void **state)
{
	(void)state;
	office_open(&office, NULL);
	peer_open(&actor, &office);
	peer_open(&watcher, &office);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	peer_close(&actor);
	peer_close(&watcher);
	office_close(&office);
	return 0;
}

static void
test_notify__own_event_follows_the_reply(void **state)
{
	(void)state;
	assert_true(peer_ask(&actor, "state.subscribe", "{}"));
	peer_send(&actor, "route.set", "{\"ref\":\"echo:one\"}");
	assert_true(peer_next(&actor));
	assert_int_equal(actor.kind, MESSAGE_REPLY);
	assert_int_equal(peer_int(&actor, "rev"), 1);
	assert_true(peer_next(&actor));
	assert_int_equal(actor.kind, MESSAGE_NOTIFICATION);
	assert_true(peer_has(&actor, "cause.method", "route.set"));
}

static void
test_notify__revisions_chain_without_gaps(void **state)
{
	int64_t last, events = 0;

	(void)state;
	assert_true(peer_ask(&watcher, "state.subscribe", "{\"topics\":[\"route\",\"models\"]}"));
	last = peer_int(&watcher, "rev");
	assert_true(peer_ask(&actor, "route.set", "{\"ref\":\"echo:one\"}"));
	/* nobody subscribed to keys: the next event must not look like a gap */
	assert_true(peer_ask(&actor, "key.set",
	    "{\"provider\":\"openai\",\"secret\":\"sk-0123456789abcdefghij\"}"));
	assert_true(peer_ask(&actor, "model.add", "{\"provider\":\"echo\",\"model\":\"m1\"}"));
	assert_true(peer_ask(&actor, "route.set", "{\"ref\":\"echo:two\"}"));
	while (peer_next_within(&watcher, 50)) {
		assert_int_equal(peer_int(&watcher, "prev_rev"), last);
		last = peer_int(&watcher, "rev");
		events++;
	}
	assert_int_equal(events, 3);
	assert_int_equal(last, changes_rev(office.parts.changes));
}

static void
test_notify__route_is_the_connections_own(void **state)
{
	(void)state;
	assert_true(peer_ask(&watcher, "sys.hello", "{\"scope\":\"term1\"}"));
	assert_true(peer_ask(&watcher, "state.subscribe", "{\"topics\":[\"route\"]}"));
	assert_true(peer_ask(&actor, "route.set", "{\"ref\":\"echo:one\",\"scope\":\"term1\"}"));
	assert_true(peer_next(&watcher));
	assert_true(peer_has(&watcher, "value.ref", "echo:one"));
	/* the global choice does not reach a terminal that has its own */
	assert_true(peer_ask(&actor, "route.set", "{\"ref\":\"echo:two\"}"));
	assert_true(peer_is_quiet(&watcher));
	assert_true(peer_ask(&actor, "route.clear", "{\"scope\":\"term1\"}"));
	assert_true(peer_next(&watcher));
	assert_true(peer_has(&watcher, "value.ref", "echo:two"));
}

static void
test_notify__same_route_is_no_news(void **state)
{
	(void)state;
	assert_true(peer_ask(&watcher, "state.subscribe", "{\"topics\":[\"route\"]}"));
	assert_true(peer_ask(&actor, "model.add", "{\"provider\":\"echo\",\"model\":\"other\"}"));
	assert_true(peer_is_quiet(&watcher));
}

static void
test_notify__told_counts_other_listeners(void **state)
{
	(void)state;
	assert_true(peer_ask(&actor, "state.subscribe", "{}"));
	assert_true(peer_ask(&actor, "route.set", "{\"ref\":\"echo:one\"}"));
	assert_int_equal(peer_int(&actor, "told"), 0);
	assert_true(peer_ask(&watcher, "state.subscribe", "{\"topics\":[\"route\"]}"));
	assert_true(peer_ask(&actor, "route.set", "{\"ref\":\"echo:two\"}"));
	assert_int_equal(peer_int(&actor, "told"), 1);
}

static void
test_notify__unsubscribed_hears_nothing(void **state)
{
	(void)state;
	assert_true(peer_ask(&watcher, "state.subscribe", "{}"));
	assert_true(peer_ask(&watcher, "state.unsubscribe", "{\"topics\":[\"models\"]}"));
	assert_true(peer_ask(&actor, "model.add", "{\"provider\":\"echo\",\"model\":\"m\"}"));
	assert_true(peer_is_quiet(&watcher));
}

static void
test_notify__unknown_topic_is_named(void **state)
{
	(void)state;
	assert_false(peer_ask(&watcher, "state.subscribe", "{\"topics\":[\"weather\"]}"));
	assert_true(peer_has(&watcher, "data.field", "topics"));
}

static void
test_notify__snapshot_has_every_topic(void **state)
{
	static const char *const topics[] = { "route", "overrides", "providers", "models", "keys",
		"daemon" };
	char path[64];

	(void)state;
	assert_true(peer_ask(&watcher, "state.get", "{}"));
	for (size_t i = 0; i < sizeof topics / sizeof topics[0]; i++) {
		snprintf(path, sizeof path, "snapshot.%s", topics[i]);
		assert_int_not_equal(peer_find(&watcher, path), JSON_NONE);
	}
	assert_true(peer_has(&watcher, "snapshot.route.ref", "echo:echo"));
	assert_true(peer_has(&watcher, "snapshot.daemon.state", "started"));
}

#define FLOOD 100000

/* So many events while the watcher reads nothing. */
static void
flood(void)
{
	for (int64_t made = 1; made <= FLOOD; made++) {
		notifier_daemon(office.server->notifier, "reloaded");
		if (made % 100 == 0)
			loop_once(office.parts.loop, 0);
	}
}

static void
F59_test_notify__a_reader_that_stops_gets_an_exact_count(void **state)
{
	int64_t heard = 0, lost = 0;

	(void)state;
	assert_true(peer_ask(&watcher, "state.subscribe", "{\"topics\":[\"daemon\"]}"));
	flood();
	assert_true(conn_out_bytes(office.server->conns) <= LIMIT_OUT_SOFT + 65536);
	while (heard + lost < FLOOD && peer_next(&watcher)) {
		if (peer_has(&watcher, "op", "resync"))
			lost += peer_int(&watcher, "lost");
		else
			heard++;
	}
	assert_int_equal(heard + lost, FLOOD);
	assert_true(lost >= 1000);
	assert_true(peer_is_quiet(&watcher));
	/* afterwards all is as before */
	notifier_daemon(office.server->notifier, "reloaded");
	assert_true(peer_next(&watcher));
	assert_true(peer_has(&watcher, "op", "set"));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_notify__own_event_follows_the_reply),
		TEST(test_notify__revisions_chain_without_gaps),
		TEST(test_notify__route_is_the_connections_own),
		TEST(test_notify__same_route_is_no_news),
		TEST(test_notify__told_counts_other_listeners),
		TEST(test_notify__unsubscribed_hears_nothing),
		TEST(test_notify__unknown_topic_is_named),
		TEST(test_notify__snapshot_has_every_topic),
		TEST(F59_test_notify__a_reader_that_stops_gets_an_exact_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

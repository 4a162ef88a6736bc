/* test_replay.c - request_key: done once, answered again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/rpc/replay.h"
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
test_replay__same_key_gives_the_first_result(void **state)
{
	static const char params[] = "{\"ref\":\"echo:one\",\"request_key\":\"k1\"}";
	int64_t rev;

	(void)state;
	assert_true(peer_ask(&peer, "route.set", params));
	rev = peer_int(&peer, "rev");
	assert_true(peer_ask(&peer, "route.set", "{\"ref\":\"echo:two\"}"));
	/* the retry of the lost request does not switch back */
	assert_true(peer_ask(&peer, "route.set", params));
	assert_int_equal(peer_int(&peer, "rev"), rev);
	assert_true(peer_has(&peer, "active.ref", "echo:one"));
	assert_true(peer_ask(&peer, "route.get", "{}"));
	assert_true(peer_has(&peer, "active.ref", "echo:two"));
}

static void
test_replay__works_over_another_connection(void **state)
{
	static const char params[] = "{\"provider\":\"echo\",\"model\":\"m\",\"request_key\":\"k1\"}";
	struct peer second;

	(void)state;
	assert_true(peer_ask(&peer, "model.add", params));
	peer_open(&second, &office);
	assert_true(peer_ask(&second, "model.add", params));
	assert_int_equal(peer_int(&second, "rev"), 1);
	assert_int_equal(changes_rev(office.parts.changes), 1);
	peer_close(&second);
}

static void
test_replay__other_parameters_are_a_conflict(void **state)
{
	(void)state;
	assert_true(peer_ask(&peer, "route.set", "{\"ref\":\"echo:one\",\"request_key\":\"k1\"}"));
	assert_false(peer_ask(&peer, "route.set", "{\"ref\":\"echo:two\",\"request_key\":\"k1\"}"));
	assert_true(peer_has(&peer, "code", "conflict"));
}

static void
test_replay__order_of_members_does_not_matter(void **state)
{
	(void)state;
	assert_true(peer_ask(&peer, "route.set",
	    "{\"ref\":\"echo:one\",\"scope\":\"s\",\"request_key\":\"k1\"}"));
	assert_true(peer_ask(&peer, "route.set",
	    "{\"request_key\":\"k1\",\"scope\":\"s\",\"ref\":\"echo:one\"}"));
}

static void
test_replay__failure_frees_the_key(void **state)
{
	(void)state;
	assert_false(peer_ask(&peer, "route.set", "{\"ref\":\"nobody:x\",\"request_key\":\"k1\"}"));
	assert_true(peer_ask(&peer, "route.set", "{\"ref\":\"echo:one\",\"request_key\":\"k1\"}"));
}

static void
test_replay__running_first_request_is_busy(void **state)
{
	static const char params[] = "{\"text\":\"hi\",\"request_key\":\"k1\"}";
	struct buf frames = BUF_INIT;

	(void)state;
	peer_frame(&frames, 1, "prompt.run", params);
	peer_frame(&frames, 2, "prompt.run", params);
	peer_send_bytes(&peer, frames.data, frames.len);
	assert_true(peer_next(&peer));
	assert_int_equal(peer.msgid, 2);
	assert_true(peer_has(&peer, "code", "busy"));
	assert_true(peer_next(&peer));
	assert_int_equal(peer.msgid, 1);
	peer.sent = 2;
	assert_true(peer_ask(&peer, "prompt.run", params));
	buf_clear(&frames);
}

static void
test_replay__empty_key_is_refused(void **state)
{
	(void)state;
	assert_false(peer_ask(&peer, "route.set", "{\"ref\":\"echo:one\",\"request_key\":\"\"}"));
	assert_true(peer_has(&peer, "data.field", "request_key"));
}

/* ---- the table alone ---- */

static int
begin(struct replays *r, int64_t now_ms, const char *key, uint64_t *id, struct slice *result)
{
	struct error err = ERROR_INIT;

	return replays_begin(r, now_ms, method_find("route.set", 9), slice_of(key), NULL, id, result,
	    &err);
}

static void
test_replay__entries_end_after_ten_minutes(void **state)
{
	struct replays *r = replays_new();
	struct slice result;
	uint64_t id = 0;

	(void)state;
	assert_int_equal(begin(r, 0, "k", &id, &result), 0);
	replays_done(r, id, "x", 1);
	assert_int_equal(begin(r, REPLAY_LIFETIME_MS - 1, "k", &id, &result), 1);
	assert_memory_equal(result.data, "x", 1);
	assert_int_equal(begin(r, REPLAY_LIFETIME_MS, "k", &id, &result), 0);
	replays_free(r);
}

static void
test_replay__memory_is_bounded(void **state)
{
	struct replays *r = replays_new();
	size_t n = REPLAY_BYTES / 4;
	char *big = calloc(1, n), key[16];
	struct slice result;
	uint64_t id = 0;
	int kept = 0;

	(void)state;
	for (int i = 0; i < 10; i++) {
		snprintf(key, sizeof key, "k%d", i);
		assert_int_equal(begin(r, i, key, &id, &result), 0);
		replays_done(r, id, big, n);
	}
	for (int i = 0; i < 10; i++) {
		snprintf(key, sizeof key, "k%d", i);
		kept += begin(r, 10, key, &id, &result);
	}
	assert_int_equal(kept, 4);
	for (int i = 0; i < 2 * REPLAY_ENTRIES; i++) {
		snprintf(key, sizeof key, "s%d", i);
		assert_int_equal(begin(r, 20 + i, key, &id, &result), 0);
		replays_done(r, id, "y", 1);
	}
	free(big);
	replays_free(r);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_replay__same_key_gives_the_first_result),
		TEST(test_replay__works_over_another_connection),
		TEST(test_replay__other_parameters_are_a_conflict),
		TEST(test_replay__order_of_members_does_not_matter),
		TEST(test_replay__failure_frees_the_key),
		TEST(test_replay__running_first_request_is_busy),
		TEST(test_replay__empty_key_is_refused),
		cmocka_unit_test(test_replay__entries_end_after_ten_minutes),
		cmocka_unit_test(test_replay__memory_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

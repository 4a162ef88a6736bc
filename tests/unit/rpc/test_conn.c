/* test_conn.c - patience: silent clients, unfinished messages, readers that stop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/rpc/notify.h"
#include "tests/unit/rpc/office.h"

#define PATIENCE_MS 150

static struct office office;
static struct peer peer;

static int
setup(void **state)
{
	static const struct rpc_patience patience = { PATIENCE_MS, PATIENCE_MS, PATIENCE_MS };

	(void)state;
	office_open(&office, &patience);
	peer_open(&peer, &office);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	peer_close(&peer);
	assert_int_equal(office.server->conn_count, 0);
	office_close(&office);
	return 0;
}

static int64_t
time_until_closed(void)
{
	int64_t start = clock_monotonic_ms();

	assert_false(peer_next(&peer));
	assert_true(peer.gone);
	return clock_monotonic_ms() - start;
}

static void
test_conn__F50_silence_is_closed(void **state)
{
	int64_t waited = time_until_closed();

	(void)state;
	assert_in_range(waited, PATIENCE_MS - 20, PATIENCE_MS * 4);
}

static void
test_conn__F50_unfinished_message_is_closed(void **state)
{
	struct buf frame = BUF_INIT;

	(void)state;
	assert_true(peer_ask(&peer, "sys.ping", "{}"));
	peer_frame(&frame, 9, "route.set", "{\"ref\":\"echo:one\"}");
	peer_send_bytes(&peer, frame.data, frame.len - 1);
	assert_in_range(time_until_closed(), PATIENCE_MS - 20, PATIENCE_MS * 4);
	assert_int_equal(changes_rev(office.parts.changes), 0);
	buf_clear(&frame);
}

static void
test_conn__F50_cut_at_every_byte_changes_nothing(void **state)
{
	struct buf frame = BUF_INIT;

	(void)state;
	peer_frame(&frame, 9, "route.set", "{\"ref\":\"echo:one\"}");
	for (size_t n = 0; n < frame.len; n++) {
		struct peer cut;

		peer_open(&cut, &office);
		peer_send_bytes(&cut, frame.data, n);
		peer_close(&cut);
	}
	assert_int_equal(changes_rev(office.parts.changes), 0);
	assert_int_equal(office.server->conn_count, 1);
	buf_clear(&frame);
}

static void
test_conn__idle_after_the_first_message_is_fine(void **state)
{
	(void)state;
	assert_true(peer_ask(&peer, "sys.ping", "{}"));
	assert_false(peer_next_within(&peer, 3 * PATIENCE_MS));
	assert_false(peer.gone);
	assert_true(peer_ask(&peer, "sys.ping", "{}"));
}

static void
test_conn__F58_reader_that_stops_is_closed(void **state)
{
	int64_t until = clock_monotonic_ms() + 20 * PATIENCE_MS;

	(void)state;
	assert_true(peer_ask(&peer, "state.subscribe", "{\"topics\":[\"daemon\"]}"));
	for (int i = 0; i < 20000; i++)
		notifier_daemon(office.server->notifier, "reloaded");
	while (office.server->conn_count > 0 && clock_monotonic_ms() < until)
		loop_once(office.parts.loop, 10);
	assert_int_equal(office.server->conn_count, 0);
}

static void
test_conn__answers_stop_when_they_are_not_read(void **state)
{
	struct buf frames = BUF_INIT;
	const struct conn *c = office.server->conns;
	size_t most = 0;

	(void)state;
	/* each answer has some 20 KiB; the requests go on for 20 MiB of answers */
	for (uint32_t i = 1; i <= 1000; i++)
		peer_frame(&frames, i, "sys.methods", "{}");
	for (size_t at = 0; at < frames.len;) {
		ssize_t n = send(peer.fd, frames.data + at, frames.len - at, MSG_NOSIGNAL);

		if (n > 0)
			at += (size_t)n;
		loop_once(office.parts.loop, 0);
		if (office.server->conn_count == 0 || n <= 0)
			break;
		most = conn_out_bytes(c) > most ? conn_out_bytes(c) : most;
	}
	assert_int_equal(office.server->conn_count, 1);
	assert_true(most >= LIMIT_OUT_SOFT / 2);
	assert_true(most <= LIMIT_OUT_SOFT + 65536);
	/* once read, all of them come */
	for (uint32_t i = 1; i <= 1000; i++) {
		assert_true(peer_next(&peer));
		assert_int_equal(peer.msgid, i);
	}
	buf_clear(&frames);
}

static void
test_conn__F61_closing_cancels_streams(void **state)
{
	(void)state;
	assert_true(peer_ask(&peer, "prompt.start", "{\"text\":\"hi\"}"));
	peer_close(&peer);
	peer_open(&peer, &office);
	assert_true(peer_ask(&peer, "prompt.list", "{}"));
	assert_int_equal(json_size(&peer.json, peer_find(&peer, "streams")), 0);
	assert_int_equal(calls_count(office.parts.calls), 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_conn__F50_silence_is_closed),
		TEST(test_conn__F50_unfinished_message_is_closed),
		TEST(test_conn__F50_cut_at_every_byte_changes_nothing),
		TEST(test_conn__idle_after_the_first_message_is_fine),
		TEST(test_conn__F58_reader_that_stops_is_closed),
		TEST(test_conn__answers_stop_when_they_are_not_read),
		TEST(test_conn__F61_closing_cancels_streams),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

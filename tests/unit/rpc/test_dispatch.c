/* test_dispatch.c - messages in, answers out: order, batches, limits, and what breaks a connection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/rpc/dispatch.h"
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
	assert_int_equal(office.server->conn_count, 0);
	assert_int_equal(office.server->out_total, 0);
	office_close(&office);
	return 0;
}

static void
test_dispatch__ping_needs_no_hello(void **state)
{
	(void)state;
	assert_true(peer_ask(&peer, "sys.ping", "{}"));
	assert_true(peer_int(&peer, "now_ms") > 1600000000000);
}

static void
test_dispatch__one_write_answers_a_batch(void **state)
{
	struct buf frames = BUF_INIT;
	struct peer packets;
	char got[65536];
	ssize_t n;

	(void)state;
	peer_open_as(&packets, &office, SOCK_SEQPACKET);
	for (uint32_t i = 1; i <= 16; i++)
		peer_frame(&frames, i, "sys.ping", "{}");
	peer_send_bytes(&packets, frames.data, frames.len);
	loop_once(office.parts.loop, 100);
	n = recv(packets.fd, got, sizeof got, MSG_DONTWAIT);
	assert_true(n > 0);
	memcpy(message_reader_room(packets.reader, (size_t)n, &(size_t){ 0 }), got, (size_t)n);
	message_reader_fed(packets.reader, (size_t)n);
	for (uint32_t i = 1; i <= 16; i++) {
		assert_true(peer_take(&packets));
		assert_int_equal(packets.msgid, i);
	}
	buf_clear(&frames);
	peer_close(&packets);
}

static void
test_dispatch__unknown_method_keeps_the_connection(void **state)
{
	(void)state;
	assert_false(peer_ask(&peer, "sys.pong", "{}"));
	assert_true(peer_has(&peer, "code", "unknown_method"));
	assert_true(peer_ask(&peer, "sys.ping", "{}"));
}

static void
test_dispatch__unknown_parameter_is_named(void **state)
{
	(void)state;
	assert_false(peer_ask(&peer, "route.get", "{\"reff\":\"x\"}"));
	assert_true(peer_has(&peer, "code", "invalid_params"));
	assert_true(peer_has(&peer, "data.field", "reff"));
}

static void
test_dispatch__notifications_we_do_not_know_are_counted(void **state)
{
	(void)state;
	peer_notify(&peer, "nvim_error_event", "{}");
	peer_notify(&peer, "something.else", "{}");
	peer_notify(&peer, "route.set", "{\"ref\":\"echo:echo\"}"); /* not allowed as one */
	assert_true(peer_ask(&peer, "sys.info", "{}"));
	assert_int_equal(peer_int(&peer, "counters.nvim_errors"), 1);
	assert_int_equal(peer_int(&peer, "counters.ignored_notifications"), 2);
	assert_int_equal(changes_rev(office.parts.changes), 0);
}

static void
test_dispatch__F55_duplicate_msgid_closes(void **state)
{
	struct buf frames = BUF_INIT;

	(void)state;
	peer_frame(&frames, 7, "prompt.run", "{\"text\":\"hi\"}");
	peer_frame(&frames, 7, "sys.ping", "{}");
	peer_send_bytes(&peer, frames.data, frames.len);
	assert_true(peer_next(&peer));
	assert_true(peer_has(&peer, "code", "protocol_error"));
	while (peer_next(&peer))
		;
	assert_true(peer.gone);
	buf_clear(&frames);
}

static void
test_dispatch__F55_msgid_may_be_used_again(void **state)
{
	(void)state;
	assert_true(peer_ask(&peer, "sys.ping", "{}"));
	peer.sent--;
	assert_true(peer_ask(&peer, "sys.ping", "{}"));
}

static void
test_dispatch__F55_reply_to_the_server_closes(void **state)
{
	static const unsigned char reply[] = { 0x94, 1, 5, 0xc0, 0xc0 };

	(void)state;
	peer_send_bytes(&peer, reply, sizeof reply);
	assert_false(peer_next(&peer));
	assert_true(peer.gone);
}

static void
test_dispatch__first_object_no_array_closes(void **state)
{
	(void)state;
	peer_send_bytes(&peer, "GET / HTTP/1.1\r\n\r\n", 18);
	assert_false(peer_next(&peer));
	assert_true(peer.gone);
}

static void
test_dispatch__F54_large_message_needs_hello(void **state)
{
	size_t n = (size_t)1 << 20;
	char *params = malloc(n + 64);

	(void)state;
	assert_non_null(params);
	snprintf(params, 32, "{\"query\":\"");
	memset(params + 10, 'a', n);
	strcpy(params + 10 + n, "\"}");
	assert_false(peer_ask(&peer, "model.list", params));
	assert_true(peer_has(&peer, "code", "too_large"));
	assert_false(peer_next(&peer));
	assert_true(peer.gone);
	peer_close(&peer);
	peer_open(&peer, &office);
	assert_true(peer_ask(&peer, "sys.hello", "{}"));
	assert_false(peer_ask(&peer, "model.list", params));
	assert_true(peer_has(&peer, "code", "invalid_params")); /* the row's own bound */
	assert_true(peer_ask(&peer, "sys.ping", "{}"));
	free(params);
}

static void
test_dispatch__F63_the_65th_request_in_flight_is_busy(void **state)
{
	struct buf frames = BUF_INIT;
	int busy = 0, answered = 0;

	(void)state;
	for (uint32_t i = 1; i <= 65; i++)
		peer_frame(&frames, i, "provider.check", "{\"name\":\"echo\"}");
	peer_send_bytes(&peer, frames.data, frames.len);
	while (busy + answered < 65 && peer_next(&peer)) {
		if (peer.is_error && peer_has(&peer, "code", "busy")) {
			assert_int_equal(peer.msgid, 65);
			busy++;
		} else {
			answered++;
		}
	}
	assert_int_equal(busy, 1);
	assert_int_equal(answered, 64);
	buf_clear(&frames);
}

static void
test_dispatch__F62_half_closed_client_gets_its_replies(void **state)
{
	struct buf frames = BUF_INIT;
	int answers = 0;

	(void)state;
	peer_frame(&frames, 1, "sys.ping", "{}");
	peer_frame(&frames, 2, "prompt.run", "{\"text\":\"hi\"}");
	peer_send_bytes(&peer, frames.data, frames.len);
	shutdown(peer.fd, SHUT_WR);
	while (peer_next(&peer))
		answers += peer.is_error ? 0 : 1;
	assert_true(peer.gone);
	assert_int_equal(answers, 2);
	buf_clear(&frames);
}

static void
test_dispatch__sys_cancel_ends_a_long_request(void **state)
{
	struct buf frames = BUF_INIT;

	(void)state;
	peer_frame(&frames, 1, "prompt.run", "{\"text\":\"hi\"}");
	peer_frame(&frames, 2, "sys.cancel", "{\"msgid\":1}");
	peer_frame(&frames, 3, "sys.cancel", "{\"msgid\":1}");
	peer_send_bytes(&peer, frames.data, frames.len);
	assert_true(peer_next(&peer));
	assert_int_equal(peer.msgid, 1);
	assert_true(peer_has(&peer, "code", "cancelled"));
	assert_true(peer_next(&peer));
	assert_true(json_is(&peer.json, peer_find(&peer, "cancelled"), JSON_TRUE));
	assert_true(peer_next(&peer));
	assert_true(json_is(&peer.json, peer_find(&peer, "cancelled"), JSON_FALSE));
	assert_true(peer_is_quiet(&peer));
	buf_clear(&frames);
}

static void
test_dispatch__F51_one_byte_per_write(void **state)
{
	struct buf frames = BUF_INIT;

	(void)state;
	peer_frame(&frames, 1, "sys.hello", "{\"client\":{\"name\":\"slow\"}}");
	peer_frame(&frames, 2, "route.set", "{\"ref\":\"echo:one\"}");
	for (size_t i = 0; i < frames.len; i++) {
		peer_send_bytes(&peer, frames.data + i, 1);
		loop_once(office.parts.loop, 0);
	}
	assert_true(peer_next(&peer));
	assert_true(peer_next(&peer));
	assert_false(peer.is_error);
	assert_true(peer_has(&peer, "active.ref", "echo:one"));
	buf_clear(&frames);
}

static void
test_dispatch__F32_the_257th_connection_is_turned_away(void **state)
{
	static struct peer peers[LIMIT_CONNECTIONS];

	(void)state;
	for (size_t i = 1; i < LIMIT_CONNECTIONS; i++)
		peer_open(&peers[i], &office);
	peer_open(&peers[0], &office);
	assert_true(peer_next(&peers[0]));
	assert_true(peer_has(&peers[0], "code", "too_many"));
	assert_false(peer_next(&peers[0]));
	assert_true(peers[0].gone);
	assert_true(peer_ask(&peer, "sys.ping", "{}"));
	for (size_t i = 0; i < LIMIT_CONNECTIONS; i++)
		peer_close(&peers[i]);
}

static void
test_dispatch__refuses_work_while_stopping(void **state)
{
	(void)state;
	rpc_server_refuse(office.server);
	assert_false(peer_ask(&peer, "route.set", "{\"ref\":\"echo:one\"}"));
	assert_true(peer_has(&peer, "code", "shutting_down"));
	assert_true(peer_ask(&peer, "route.get", "{}"));
}

/* Whether dispatch asks for the message's bytes to be wiped. */
static bool
is_wiped(const char *method, const char *params)
{
	struct message_reader *reader = message_reader_new(LIMIT_MESSAGE_AFTER_HELLO);
	struct error err = ERROR_INIT;
	struct buf frame = BUF_INIT;
	bool msgid_known, wiped;
	unsigned cost = 0;
	struct message m;
	size_t room;

	peer_frame(&frame, 7, method, params);
	memcpy(message_reader_room(reader, frame.len, &room), frame.data, frame.len);
	message_reader_fed(reader, frame.len);
	assert_int_equal(message_reader_next(reader, &m, &msgid_known, &err), 1);
	wiped = dispatch(office.server->conns, &m, &cost);
	message_release(reader, wiped);
	message_reader_free(reader);
	buf_clear(&frame);
	return wiped;
}

static void
test_dispatch__messages_with_secrets_are_wiped(void **state)
{
	const char *params = "{\"provider\":\"openai\",\"secret\":\"sk-0123456789abcdef\"}";

	(void)state;
	loop_once(office.parts.loop, 10);
	assert_true(is_wiped("key.set", params));
	assert_true(is_wiped("key.sett", params));                  /* misspelt */
	assert_true(is_wiped("key.set", "{\"secrett\":\"sk-01\"}")); /* refused */
	assert_false(is_wiped("sys.ping", "{}"));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_dispatch__ping_needs_no_hello),
		TEST(test_dispatch__one_write_answers_a_batch),
		TEST(test_dispatch__unknown_method_keeps_the_connection),
		TEST(test_dispatch__unknown_parameter_is_named),
		TEST(test_dispatch__notifications_we_do_not_know_are_counted),
		TEST(test_dispatch__F55_duplicate_msgid_closes),
		TEST(test_dispatch__F55_msgid_may_be_used_again),
		TEST(test_dispatch__F55_reply_to_the_server_closes),
		TEST(test_dispatch__first_object_no_array_closes),
		TEST(test_dispatch__F54_large_message_needs_hello),
		TEST(test_dispatch__F63_the_65th_request_in_flight_is_busy),
		TEST(test_dispatch__F62_half_closed_client_gets_its_replies),
		TEST(test_dispatch__sys_cancel_ends_a_long_request),
		TEST(test_dispatch__F51_one_byte_per_write),
		TEST(test_dispatch__F32_the_257th_connection_is_turned_away),
		TEST(test_dispatch__refuses_work_while_stopping),
		TEST(test_dispatch__messages_with_secrets_are_wiped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

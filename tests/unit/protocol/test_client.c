/* test_client.c - the client library against a scripted peer at the other end of a socket pair. */
#include "tests/unit/protocol/peer.h"

#include <signal.h>

static void
script_echo(struct peer *p)
{
	struct message m;

	while (peer_request(p, &m))
		peer_reply(p, m.msgid, value_int(value_get(value_at(m.params, 0), "n"), -1));
}

static void
test_client__call(void **state)
{
	const struct value *result;
	struct error err = ERROR_INIT;
	struct client *c;
	struct peer p;

	(void)state;
	c = start(&p, script_echo);
	assert_int_equal(
	    client_call(c, "a.b", "{\"n\": 41, \"deep\": {\"k\": [1]}}", 5000, &result, &err), 0);
	assert_int_equal(value_int(value_get(result, "n"), 0), 41);
	assert_int_equal(client_call(c, "a.c", NULL, -1, &result, &err), 0);
	assert_int_equal(value_int(value_get(result, "n"), 0), -1);
	finish(&p, c);
	assert_string_equal(p.seen, "a.b a.c ");
}

static void
test_client__bad_json_sends_nothing(void **state)
{
	static const char *const wrong[] = { "{", "[]", "3", "", "{\"a\":1,\"a\":2}" };
	struct error err;
	struct client *c;
	struct peer p;
	size_t i;

	(void)state;
	c = start(&p, script_echo);
	for (i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		assert_int_equal(
		    client_call(c, "wrong", wrong[i], 5000, NULL, &err), MP_E_INVALID_PARAMS);
	assert_int_equal(client_call(c, "right", "{}", 5000, NULL, &err), 0);
	finish(&p, c);
	assert_string_equal(p.seen, "right ");
}

static void
script_error(struct peer *p)
{
	struct error err = ERROR_INIT;
	struct buf b = BUF_INIT;
	struct message m;
	struct pack pack;

	if (!peer_request(p, &m))
		return;
	error_set(&err, MP_E_LOCKED, "the vault is locked");
	error_hint(&err, "mpc unlock");
	pack_init(&pack, &b);
	message_error_reply(&pack, m.msgid, &err, false);
	peer_send(p, b.data, b.len);
	buf_clear(&b);
	script_echo(p);
}

static void
test_client__server_error_keeps_the_connection(void **state)
{
	struct error err = ERROR_INIT;
	struct client *c;
	struct peer p;

	(void)state;
	c = start(&p, script_error);
	assert_int_equal(client_call(c, "a", NULL, 5000, NULL, &err), MP_E_LOCKED);
	assert_string_equal(err.message, "the vault is locked");
	assert_string_equal(err.hint, "mpc unlock");
	assert_int_equal(client_call(c, "b", NULL, 5000, NULL, &err), 0);
	finish(&p, c);
}

static void
script_events(struct peer *p)
{
	struct message m;
	uint32_t msgid;

	if (!peer_request(p, &m))
		return;
	msgid = m.msgid;
	peer_event(p, 0);
	peer_event(p, 1);
	peer_reply(p, msgid, 7);
	peer_event(p, 2);
}

static void
count_event(void *arg, const struct message *m)
{
	unsigned *count = arg;

	if (m->kind == MESSAGE_NOTIFICATION && slice_eq(m->method, "prompt.event")
	    && value_int(value_get(value_at(m->params, 0), "seq"), -1) == (int64_t)*count)
		(*count)++;
}

static void
test_client__events_before_and_after_the_reply(void **state)
{
	const struct value *result;
	unsigned count = 0;
	struct error err;
	struct message m;
	struct client *c;
	struct peer p;

	(void)state;
	c = start(&p, script_events);
	client_on_event(c, count_event, &count);
	assert_int_equal(client_call(c, "a", NULL, 5000, &result, &err), 0);
	assert_int_equal(value_int(value_get(result, "n"), 0), 7);
	assert_int_equal(count, 2);
	assert_int_equal(client_next(c, &m, 5000, &err), 1);
	assert_int_equal(m.kind, MESSAGE_NOTIFICATION);
	assert_int_equal(client_next(c, &m, 5000, &err), MP_E_PROVIDER_UNAVAILABLE);
	finish(&p, c);
}

static void
script_backwards(struct peer *p)
{
	uint32_t ids[3];
	struct message m;
	int i;

	for (i = 0; i < 3; i++) {
		if (!peer_request(p, &m))
			return;
		ids[i] = m.msgid;
	}
	for (i = 2; i >= 0; i--)
		peer_reply(p, ids[i], i);
}

static void
test_client__replies_in_any_order(void **state)
{
	struct message m;
	struct error err;
	struct client *c;
	struct peer p;
	uint32_t ids[3];
	int i;

	(void)state;
	c = start(&p, script_backwards);
	for (i = 0; i < 3; i++) {
		client_begin(c, "m", false);
		assert_int_equal(client_send(c, &ids[i], &err), 0);
	}
	for (i = 2; i >= 0; i--) {
		assert_int_equal(client_next(c, &m, 5000, &err), 1);
		assert_int_equal(m.kind, MESSAGE_REPLY);
		assert_int_equal(m.msgid, ids[i]);
	}
	finish(&p, c);
}

static void
script_silent(struct peer *p)
{
	struct message m;

	while (peer_request(p, &m))
		;
}

static void
test_client__time_out(void **state)
{
	struct error err = ERROR_INIT;
	struct message m;
	struct client *c;
	struct peer p;

	(void)state;
	c = start(&p, script_silent);
	assert_int_equal(client_next(c, &m, 0, &err), 0);
	assert_int_equal(client_next(c, &m, 30, &err), 0);
	assert_int_equal(client_call(c, "a", NULL, 30, NULL, &err), MP_E_TIMEOUT);
	finish(&p, c);
}

static void
test_client__interrupt_ends_a_wait(void **state)
{
	struct error err = ERROR_INIT;
	struct message m;
	struct client *c;
	struct peer p;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	c = start(&p, script_silent);
	client_set_interrupt(c, fds[0]);
	assert_int_equal(client_next(c, &m, 0, &err), 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	assert_int_equal(client_next(c, &m, -1, &err), MP_E_CANCELLED);
	finish(&p, c);
	close(fds[0]);
	close(fds[1]);
}

static void
script_close(struct peer *p)
{
	(void)p;
}

static void
test_client__daemon_gone(void **state)
{
	struct error err = ERROR_INIT;
	struct message m;
	struct client *c;
	struct peer p;

	(void)state;
	/* the default action of SIGPIPE would end this test */
	signal(SIGPIPE, SIG_DFL);
	c = start(&p, script_close);
	assert_int_equal(client_next(c, &m, 5000, &err), MP_E_PROVIDER_UNAVAILABLE);
	assert_int_equal(client_call(c, "a", NULL, 5000, NULL, &err), MP_E_PROVIDER_UNAVAILABLE);
	assert_string_equal(err.message, "the daemon closed the connection");
	finish(&p, c);
}

static void
script_music(struct peer *p)
{
	struct message m;

	peer_send(p, "OK MPD 0.23.12\n", 15);
	peer_request(p, &m);
}

static void
test_client__music_player_daemon(void **state)
{
	struct error err = ERROR_INIT;
	struct client *c;
	struct peer p;

	(void)state;
	c = start(&p, script_music);
	assert_int_equal(client_call(c, "a", NULL, 5000, NULL, &err), MP_E_PROTOCOL);
	assert_non_null(strstr(err.message, "Music Player Daemon"));
	finish(&p, c);
}

static void
script_garbage(struct peer *p)
{
	struct message m;

	if (peer_request(p, &m))
		peer_send(p, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
}

static void
test_client__garbage(void **state)
{
	struct error err = ERROR_INIT;
	struct client *c;
	struct peer p;

	(void)state;
	c = start(&p, script_garbage);
	assert_int_equal(client_call(c, "a", NULL, 5000, NULL, &err), MP_E_PROTOCOL);
	assert_null(strstr(err.message, "Music"));
	finish(&p, c);
}

/* Answers every byte count with more than the sockets hold before it reads again. */
static void
script_flood(struct peer *p)
{
	static char bulk[400000];
	struct buf b = BUF_INIT;
	struct message m;
	struct pack pack;
	int i;

	pack_init(&pack, &b);
	message_begin_event(&pack, "state.event", NULL);
	pack_map_begin(&pack);
	pack_str(&pack, "bulk");
	pack_bin(&pack, bulk, sizeof bulk);
	pack_map_end(&pack);
	message_end_event(&pack, NULL);
	for (i = 0; i < 10; i++)
		peer_send(p, b.data, b.len);
	buf_clear(&b);
	while (peer_request(p, &m))
		peer_reply(
		    p, m.msgid, (int64_t)value_size(value_get(value_at(m.params, 0), "bulk")));
}

static void
count_any(void *arg, const struct message *m)
{
	(void)m;
	(*(unsigned *)arg)++;
}

static void
test_client__both_sides_send_much_at_once(void **state)
{
	static char bulk[3000000];
	const struct value *result;
	unsigned count = 0;
	struct error err;
	struct client *c;
	struct pack *pack;
	uint32_t msgid;
	struct peer p;

	(void)state;
	c = start(&p, script_flood);
	client_on_event(c, count_any, &count);
	pack = client_begin(c, "a", true);
	pack_str(pack, "bulk");
	pack_bin(pack, bulk, sizeof bulk);
	assert_int_equal(client_send(c, &msgid, &err), 0);
	assert_int_equal(client_wait(c, msgid, 20000, &result, &err), 0);
	assert_int_equal(value_int(value_get(result, "n"), 0), sizeof bulk);
	assert_int_equal(count, 10);
	finish(&p, c);
}

static void
test_client__too_large_is_not_sent(void **state)
{
	char *bulk = calloc(1, LIMIT_MESSAGE_AFTER_HELLO);
	struct error err;
	struct client *c;
	struct pack *pack;
	struct peer p;

	(void)state;
	c = start(&p, script_echo);
	pack = client_begin(c, "large", false);
	pack_str(pack, "bulk");
	pack_bin(pack, bulk, LIMIT_MESSAGE_AFTER_HELLO);
	free(bulk);
	assert_int_equal(client_send(c, NULL, &err), MP_E_TOO_LARGE);
	assert_int_equal(client_call(c, "small", NULL, 5000, NULL, &err), 0);
	finish(&p, c);
	assert_string_equal(p.seen, "small ");
}

/* Says why and closes while the request is still being sent, as a daemon does over a limit. */
static void
script_refuse(struct peer *p)
{
	struct error err = ERROR_INIT;
	struct buf b = BUF_INIT;
	struct pack pack;
	char some[100];

	if (recv(p->fd, some, sizeof some, 0) <= 0)
		return;
	error_set(&err, MP_E_TOO_LARGE, "the message is larger than 1048576 bytes");
	pack_init(&pack, &b);
	message_error_reply(&pack, 1, &err, false);
	peer_send(p, b.data, b.len);
	buf_clear(&b);
	shutdown(p->fd, SHUT_RDWR);
}

static void
test_client__refusal_while_sending_is_told(void **state)
{
	static char bulk[3000000];
	struct error err = ERROR_INIT;
	struct client *c;
	struct pack *pack;
	uint32_t msgid;
	struct peer p;

	(void)state;
	c = start(&p, script_refuse);
	pack = client_begin(c, "large", false);
	pack_str(pack, "bulk");
	pack_bin(pack, bulk, sizeof bulk);
	assert_int_equal(client_send(c, &msgid, &err), 0);
	assert_int_equal(client_wait(c, msgid, 5000, NULL, &err), MP_E_TOO_LARGE);
	assert_int_equal(client_wait(c, msgid, 5000, NULL, &err), MP_E_PROVIDER_UNAVAILABLE);
	finish(&p, c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_client__call),
		cmocka_unit_test(test_client__bad_json_sends_nothing),
		cmocka_unit_test(test_client__server_error_keeps_the_connection),
		cmocka_unit_test(test_client__events_before_and_after_the_reply),
		cmocka_unit_test(test_client__replies_in_any_order),
		cmocka_unit_test(test_client__time_out),
		cmocka_unit_test(test_client__interrupt_ends_a_wait),
		cmocka_unit_test(test_client__daemon_gone),
		cmocka_unit_test(test_client__music_player_daemon),
		cmocka_unit_test(test_client__garbage),
		cmocka_unit_test(test_client__both_sides_send_much_at_once),
		cmocka_unit_test(test_client__too_large_is_not_sent),
		cmocka_unit_test(test_client__refusal_while_sending_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_message.c - bytes in, whole messages out; envelopes on their way out and back. */
#include "tests/unit/protocol/support.h"

#include <stdio.h>
#include <time.h>

#define PING "\x94\x00\x07\xa8sys.ping\x91\x80"

static int
next(struct message_reader *r, struct message *m, struct error *err)
{
	bool known;

	return message_reader_next(r, m, &known, err);
}

static struct message_reader *
reader_with(const void *data, size_t n)
{
	struct message_reader *r = message_reader_new(LIMIT_MESSAGE_BEFORE_HELLO);

	feed(r, data, n);
	return r;
}

static void
test_message__request(void **state)
{
	struct message_reader *r = reader_with(BYTES(PING));
	struct message m;

	(void)state;
	assert_int_equal(next(r, &m, NULL), 1);
	assert_int_equal(m.kind, MESSAGE_REQUEST);
	assert_int_equal(m.msgid, 7);
	assert_true(slice_eq(m.method, "sys.ping"));
	assert_int_equal(value_type(m.params), VALUE_ARRAY);
	assert_int_equal(value_type(value_at(m.params, 0)), VALUE_MAP);
	assert_int_equal(m.bytes, sizeof PING - 1);
	assert_null(m.error);
	message_release(r, false);
	assert_int_equal(next(r, &m, NULL), 0);
	message_reader_free(r);
}

static void
test_message__notification_and_reply(void **state)
{
	struct message_reader *r = reader_with(
	    BYTES("\x93\x02\xa1m\x90\x94\x01\x09\xa3" "bad\xc0\x94\x01\x0a\xc0\xa2ok"));
	struct message m;

	(void)state;
	assert_int_equal(next(r, &m, NULL), 1);
	assert_int_equal(m.kind, MESSAGE_NOTIFICATION);
	assert_true(slice_eq(m.method, "m"));
	assert_int_equal(value_size(m.params), 0);
	message_release(r, false);
	assert_int_equal(next(r, &m, NULL), 1);
	assert_int_equal(m.kind, MESSAGE_REPLY);
	assert_int_equal(m.msgid, 9);
	assert_true(value_equals(m.error, "bad"));
	assert_int_equal(value_type(m.result), VALUE_NIL);
	message_release(r, false);
	assert_int_equal(next(r, &m, NULL), 1);
	assert_int_equal(value_type(m.error), VALUE_NIL);
	assert_true(value_equals(m.result, "ok"));
	message_reader_free(r);
}

static void
test_message__F51_one_byte_at_a_time(void **state)
{
	static const char bytes[] = PING PING "\x93\x02\xa1m\x90" PING;
	struct message_reader *r = message_reader_new(LIMIT_MESSAGE_BEFORE_HELLO);
	unsigned requests = 0, notifications = 0;
	struct message m;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof bytes - 1; i++) {
		feed(r, bytes + i, 1);
		if (next(r, &m, NULL) == 1) {
			if (m.kind == MESSAGE_REQUEST)
				requests++;
			else
				notifications++;
			message_release(r, false);
		}
	}
	assert_int_equal(requests, 3);
	assert_int_equal(notifications, 1);
	assert_int_equal(message_reader_pending(r), 0);
	message_reader_free(r);
}

static void
test_message__F51_thousand_in_one_write(void **state)
{
	struct message_reader *r;
	struct buf b = BUF_INIT;
	struct pack p;
	struct message m;
	uint32_t i;

	(void)state;
	for (i = 0; i < 1000; i++) {
		pack_init(&p, &b);
		message_begin_request(&p, i, "sys.ping");
		pack_map_begin(&p);
		pack_kv_int(&p, "n", i);
		pack_map_end(&p);
		message_end_request(&p);
	}
	r = reader_with(b.data, b.len);
	for (i = 0; i < 1000; i++) {
		assert_int_equal(next(r, &m, NULL), 1);
		assert_int_equal(m.msgid, i);
		assert_int_equal(value_int(value_get(value_at(m.params, 0), "n"), -1), i);
		message_release(r, false);
	}
	assert_int_equal(next(r, &m, NULL), 0);
	message_reader_free(r);
	buf_clear(&b);
}

static void
test_message__F50_cut_anywhere_waits(void **state)
{
	static const char ping[] = PING;
	struct message m;
	size_t cut;

	(void)state;
	for (cut = 1; cut < sizeof ping - 1; cut++) {
		struct message_reader *r = reader_with(ping, cut);

		assert_int_equal(next(r, &m, NULL), 0);
		assert_int_equal(message_reader_pending(r), cut);
		feed(r, &ping[cut], sizeof ping - 1 - cut);
		assert_int_equal(next(r, &m, NULL), 1);
		assert_true(slice_eq(m.method, "sys.ping"));
		message_reader_free(r);
	}
}

static void
test_message__too_large_says_what_to_do(void **state)
{
	struct message_reader *r = reader_with(BYTES("\x94\x00\x07\xa1m\x91\xc6\x00\x20\x00\x00"));
	struct error err = ERROR_INIT;
	struct message m;
	bool known;

	(void)state;
	assert_int_equal(message_reader_next(r, &m, &known, &err), MP_E_TOO_LARGE);
	assert_true(known);
	assert_int_equal(m.msgid, 7);
	assert_non_null(strstr(err.message, "1048576"));
	assert_non_null(strstr(err.hint, "sys.hello"));
	/* and it stays unusable */
	assert_int_equal(message_reader_next(r, &m, &known, &err), MP_E_TOO_LARGE);
	assert_false(known);
	message_reader_free(r);
}

static void
test_message__limit_raised_after_hello(void **state)
{
	const size_t payload = (size_t)2 << 20;
	struct message_reader *r = reader_with(BYTES(PING));
	char *bulk = calloc(1, payload);
	struct message m;

	(void)state;
	assert_int_equal(next(r, &m, NULL), 1);
	message_release(r, false);
	message_reader_set_max(r, LIMIT_MESSAGE_AFTER_HELLO);
	feed(r, BYTES("\x94\x00\x07\xa1m\x91\xc6\x00\x20\x00\x00"));
	assert_int_equal(next(r, &m, NULL), 0);
	feed(r, bulk, payload);
	assert_int_equal(next(r, &m, NULL), 1);
	assert_int_equal(value_size(value_at(m.params, 0)), payload);
	free(bulk);
	message_reader_free(r);
}

/* kB of a line of /proc/self/status. */
static long
status_kb(const char *name)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[256];
	long kb = -1;

	assert_non_null(f);
	while (fgets(line, sizeof line, f) != NULL) {
		if (strncmp(line, name, strlen(name)) == 0)
			kb = strtol(line + strlen(name) + 1, NULL, 10);
	}
	fclose(f);
	return kb;
}

static void
test_message__F47_claims_cost_no_memory(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
	} claims[] = {
		{ BYTES("\x94\x00\x01\xa1m\x91\xdb\xff\xff\xff\xff") },
		{ BYTES("\x94\x00\x01\xa1m\x91\xc6\xff\xff\xff\xff") },
		{ BYTES("\x94\x00\x01\xa1m\xdd\xff\xff\xff\xff") },
		{ BYTES("\x94\x00\x01\xa1m\xdd\x10\x00\x00\x00") },
		{ BYTES("\x94\x00\x01\xa1m\xdf\xff\xff\xff\xff") },
		{ BYTES("\x94\x00\x01\xa1m\xdf\x10\x00\x00\x00") },
	};
	struct message_reader *r = reader_with(BYTES(PING));
	struct error err;
	struct message m;
	long before;
	size_t i;

	(void)state;
	assert_int_equal(next(r, &m, &err), 1);
	message_reader_free(r);
	before = status_kb("VmPeak");
	for (i = 0; i < sizeof claims / sizeof claims[0]; i++) {
		r = message_reader_new(LIMIT_MESSAGE_AFTER_HELLO);
		feed(r, claims[i].bytes, claims[i].n);
		assert_true(next(r, &m, &err) < 0);
		assert_true(err.code == MP_E_TOO_LARGE || err.code == MP_E_TOO_MANY);
		message_reader_free(r);
	}
	assert_true(status_kb("VmPeak") - before <= 1024);
}

static void
test_message__F49_largest_frame_in_pieces(void **state)
{
	const size_t most = LIMIT_MESSAGE_AFTER_HELLO;
	static const char head[] = "\x94\x00\x07\xa1m\x91\xc6\x00\xff\xff\xf5";
	struct message_reader *r = message_reader_new(most);
	static char piece[65536];
	size_t sent = sizeof head - 1, n;
	long before = status_kb("VmRSS");
	struct message m;

	(void)state;
	assert_true(before > 0);
	feed(r, head, sizeof head - 1);
	while (sent < most) {
		assert_int_equal(next(r, &m, NULL), 0);
		n = most - sent < sizeof piece ? most - sent : sizeof piece;
		feed(r, piece, n);
		sent += n;
	}
	assert_int_equal(next(r, &m, NULL), 1);
	assert_int_equal(m.bytes, most);
#ifndef MPD_SANITIZED /* whose shadow and quarantine are memory too */
	assert_true(status_kb("VmHWM") - before <= (long)(most >> 10) + 4096);
#endif
	message_release(r, false);
	feed(r, BYTES("\x94\x00\x07\xa1m\x91\xc6\x00\xff\xff\xf6"));
	assert_int_equal(next(r, &m, NULL), MP_E_TOO_LARGE);
	message_reader_free(r);
}

static void
test_message__F53_duplicate_key(void **state)
{
	static const char *const cases[] = {
		"\x94\x00\x07\xa1m\x91\x82\xa2k1\x01\xa2k1\x02",
		"\x94\x00\x07\xa1m\x91\x81\xa1z\x91\x82\xa2k1\x01\xa2k1\x02",
		"\x94\x00\x07\xa1m\x91\x83\xa2k0\x01\xa2k1\x01\xa2k1\x02",
	};
	struct message_reader *r;
	struct error err;
	struct message m;
	bool known;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		r = message_reader_new(1000);
		/* the first NUL is the request's type */
		feed(r, cases[i], 2 + strlen(cases[i] + 2));
		assert_int_equal(message_reader_next(r, &m, &known, &err), MP_E_INVALID_PARAMS);
		assert_true(known);
		assert_string_equal(err.field, "k1");
		message_reader_free(r);
	}
}

/* A map of n keys of equal length; the last one repeats the first when twice. */
static int
large_map(uint32_t n, bool twice)
{
	struct sample s;
	struct error err;
	char key[32];
	bool known;
	uint32_t i;
	int r;

	sample_begin(&s);
	pack_map_begin(&s.pack);
	for (i = 0; i < n; i++) {
		snprintf(
		    key, sizeof key, "common prefix of keys %08x", twice && i == n - 1 ? 0 : i);
		pack_kv_bool(&s.pack, key, true);
	}
	pack_map_end(&s.pack);
	message_end_request(&s.pack);
	s.reader = message_reader_new(LIMIT_MESSAGE_AFTER_HELLO);
	feed(s.reader, s.bytes.data, s.bytes.len);
	r = message_reader_next(s.reader, &s.message, &known, &err);
	sample_end(&s);
	return r;
}

static void
test_message__duplicate_in_a_large_map(void **state)
{
	clock_t start = clock();

	(void)state;
	assert_int_equal(large_map(13, false), 1);
	assert_int_equal(large_map(13, true), MP_E_INVALID_PARAMS);
	assert_int_equal(large_map(65531, false), 1);
	assert_int_equal(large_map(65531, true), MP_E_INVALID_PARAMS);
	/* pair by pair this would be 4 * 10^9 comparisons */
	assert_true(clock() - start < 5 * CLOCKS_PER_SEC);
}

static void
test_message__music_player_is_recognised(void **state)
{
	struct message_reader *r = reader_with(BYTES("OK MPD 0.23.5\n"));
	struct error err = ERROR_INIT;
	struct message m;

	(void)state;
	assert_int_equal(next(r, &m, &err), MP_E_PROTOCOL);
	assert_true(message_reader_is_music(r));
	assert_non_null(strstr(err.message, "Music Player Daemon"));
	message_reader_free(r);
	r = reader_with(BYTES("OK"));
	assert_int_equal(next(r, &m, &err), 0);
	assert_false(message_reader_is_music(r));
	feed(r, BYTES(" MPD "));
	assert_int_equal(next(r, &m, &err), MP_E_PROTOCOL);
	assert_true(message_reader_is_music(r));
	message_reader_free(r);
	r = reader_with(BYTES("OK MQ"));
	assert_int_equal(next(r, &m, &err), MP_E_PROTOCOL);
	assert_false(message_reader_is_music(r));
	message_reader_free(r);
	/* only as the first bytes */
	r = reader_with(BYTES(PING "OK MPD 0.23.5\n"));
	assert_int_equal(next(r, &m, &err), 1);
	message_release(r, false);
	assert_int_equal(next(r, &m, &err), MP_E_PROTOCOL);
	assert_false(message_reader_is_music(r));
	message_reader_free(r);
}

static bool
all_zero(const char *at, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (at[i] != 0)
			return false;
	}
	return true;
}

static void
test_message__wipe_zeroes_bytes_and_objects(void **state)
{
	struct message_reader *r
	    = reader_with(BYTES("\x94\x00\x07\xa7key.set\x91\x81\xa6secret\xa8sk-abcde" PING));
	const struct value *map;
	struct message m;
	struct slice s;
	size_t n;

	(void)state;
	assert_int_equal(next(r, &m, NULL), 1);
	map = value_at(m.params, 0);
	s = value_slice(value_get(map, "secret"));
	assert_true(slice_eq(s, "sk-abcde"));
	n = m.bytes;
	message_release(r, true);
	/* the block and the objects' memory are kept by the reader, so looking is allowed */
	assert_true(all_zero(s.data + s.len - n, n));
	assert_true(all_zero((const char *)map, 24));
	assert_int_equal(next(r, &m, NULL), 1);
	assert_true(slice_eq(m.method, "sys.ping"));
	message_reader_free(r);
}

static void
test_message__moving_leaves_no_copy(void **state)
{
	struct message_reader *r = message_reader_new(LIMIT_MESSAGE_BEFORE_HELLO);
	static char bytes[10000];
	struct message m;
	size_t room;
	char *base;

	(void)state;
	/* a whole message of 10 000 bytes, then 3 000 bytes of another */
	memset(bytes, 'x', sizeof bytes);
	memcpy(bytes, "\x94\x00\x07\xa1m\xc5\x27\x08", 8);
	base = message_reader_room(r, 1, &room);
	feed(r, bytes, sizeof bytes);
	feed(r, bytes, 3000);
	assert_int_equal(next(r, &m, NULL), 1);
	message_release(r, false);
	assert_int_equal(next(r, &m, NULL), 0);
	assert_ptr_equal(message_reader_room(r, 10000, &room), base + 3000);
	assert_true(all_zero(base + 10000, 3000));
	message_reader_free(r);
}

static void
test_message__no_room_while_nobody_takes(void **state)
{
	struct message_reader *r = message_reader_new(100);
	struct message m;
	size_t room, i;

	(void)state;
	for (i = 0; i < 8; i++) /* 112 bytes */
		feed(r, BYTES(PING));
	assert_null(message_reader_room(r, 1, &room));
	assert_int_equal(room, 0);
	for (i = 0; i < 8; i++) {
		assert_int_equal(next(r, &m, NULL), 1);
		message_release(r, false);
	}
	assert_non_null(message_reader_room(r, 1, &room));
	message_reader_free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_message__request),
		cmocka_unit_test(test_message__notification_and_reply),
		cmocka_unit_test(test_message__F51_one_byte_at_a_time),
		cmocka_unit_test(test_message__F51_thousand_in_one_write),
		cmocka_unit_test(test_message__F50_cut_anywhere_waits),
		cmocka_unit_test(test_message__too_large_says_what_to_do),
		cmocka_unit_test(test_message__limit_raised_after_hello),
		cmocka_unit_test(test_message__F47_claims_cost_no_memory),
		cmocka_unit_test(test_message__F49_largest_frame_in_pieces),
		cmocka_unit_test(test_message__F53_duplicate_key),
		cmocka_unit_test(test_message__duplicate_in_a_large_map),
		cmocka_unit_test(test_message__music_player_is_recognised),
		cmocka_unit_test(test_message__wipe_zeroes_bytes_and_objects),
		cmocka_unit_test(test_message__moving_leaves_no_copy),
		cmocka_unit_test(test_message__no_room_while_nobody_takes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

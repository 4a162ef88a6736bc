/* test_check.c - the bounded checker, byte by byte. */
#include "tests/unit/protocol/support.h"

#include "protocol/check.h"

#define MAX LIMIT_MESSAGE_BEFORE_HELLO
#define REQUEST "\x94\x00\x01\xa1m"        /* [0, 1, "m", ... */
#define PARAMS REQUEST "\x91\x81\xa1k"     /* [{"k": ... */

struct row {
	const char *name;
	const char *bytes;
	size_t n;
	int expected; /* 1, 0 or an error */
};

static const struct row rows[] = {
	{ "empty params", BYTES(REQUEST "\x90"), 1 },
	{ "nil params", BYTES(REQUEST "\xc0"), 1 },
	{ "int params are left to the params check", BYTES(REQUEST "\x05"), 1 },
	{ "a map", BYTES(PARAMS "\x01"), 1 },
	{ "every width of int", BYTES(PARAMS "\x99\xcc\xff\xcd\xff\xff\xce\xff\xff\xff\xff"
	    "\xcf\x00\x1f\xff\xff\xff\xff\xff\xff\xd0\x80\xd1\x80\x00\xd2\x80\x00\x00\x00"
	    "\xd3\xff\xe0\x00\x00\x00\x00\x00\x01\xe0"), 1 },
	{ "int 2^53", BYTES(PARAMS "\xcf\x00\x20\x00\x00\x00\x00\x00\x00"), MP_E_INVALID_PARAMS },
	{ "int -2^53", BYTES(PARAMS "\xd3\xff\xe0\x00\x00\x00\x00\x00\x00"), MP_E_INVALID_PARAMS },
	{ "int 2^64-1", BYTES(PARAMS "\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), MP_E_INVALID_PARAMS },
	{ "float 1.5", BYTES(PARAMS "\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00"), 1 },
	{ "float32 1.5", BYTES(PARAMS "\xca\x3f\xc0\x00\x00"), 1 },
	{ "F53 NaN", BYTES(PARAMS "\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00"), MP_E_INVALID_PARAMS },
	{ "F53 infinity", BYTES(PARAMS "\xca\x7f\x80\x00\x00"), MP_E_INVALID_PARAMS },
	{ "bool", BYTES(PARAMS "\xc3"), 1 },
	{ "bin", BYTES(PARAMS "\xc4\x02\xff\x00"), 1 },
	{ "str8", BYTES(PARAMS "\xd9\x02hi"), 1 },
	{ "str with NUL is text", BYTES(PARAMS "\xa3h\x00i"), 1 },
	{ "F53 invalid UTF-8", BYTES(PARAMS "\xa2\xc3\x28"), MP_E_INVALID_PARAMS },
	{ "F53 overlong UTF-8", BYTES(PARAMS "\xa2\xc0\x80"), MP_E_INVALID_PARAMS },
	{ "F53 ext8", BYTES(PARAMS "\xc7\x01\x01z"), MP_E_INVALID_PARAMS },
	{ "F53 fixext1", BYTES(PARAMS "\xd4\x01z"), MP_E_INVALID_PARAMS },
	{ "0xc1", BYTES(PARAMS "\xc1"), MP_E_PROTOCOL },
	{ "int key", BYTES(REQUEST "\x91\x81\x01\x02"), MP_E_INVALID_PARAMS },
	{ "nil key", BYTES(REQUEST "\x91\x81\xc0\x02"), MP_E_INVALID_PARAMS },
	{ "map key", BYTES(REQUEST "\x91\x81\x80\x02"), MP_E_INVALID_PARAMS },
	{ "bin key", BYTES(REQUEST "\x91\x81\xc4\x01k\x02"), MP_E_INVALID_PARAMS },
	{ "empty key", BYTES(REQUEST "\x91\x81\xa0\x02"), 1 },
	{ "map16, array32", BYTES(REQUEST "\x91\xde\x00\x01\xa1k\xdd\x00\x00\x00\x01\xc0"), 1 },
	{ "reply", BYTES("\x94\x01\xce\xff\xff\xff\xff\xc0\x80"), 1 },
	{ "reply with NaN", BYTES("\x94\x01\x01\xc0\x91\xca\x7f\xc0\x00\x00"), MP_E_PROTOCOL },
	{ "notification", BYTES("\x93\x02\xa1m\x90"), 1 },
	{ "neovim's noise", BYTES("\x93\x02\xb0nvim_error_event\x92\x00\xa1x"), 1 },
	{ "no array", BYTES("\x81\xa1k\x01"), MP_E_PROTOCOL },
	{ "HTTP", BYTES("GET / HTTP/1.1\r\n\r\n"), MP_E_PROTOCOL },
	{ "JSON", BYTES("{\"jsonrpc\":\"2.0\"}"), MP_E_PROTOCOL },
	{ "empty array", BYTES("\x90"), MP_E_PROTOCOL },
	{ "5 items", BYTES("\x95\x00\x01\xa1m\x90\x90"), MP_E_PROTOCOL },
	{ "request of 3", BYTES("\x93\x00\x01\xa1m"), MP_E_PROTOCOL },
	{ "notification of 4", BYTES("\x94\x02\xa1m\x90\x90"), MP_E_PROTOCOL },
	{ "type 3", BYTES("\x94\x03\x01\xa1m\x90"), MP_E_PROTOCOL },
	{ "type -1", BYTES("\x94\xff\x01\xa1m\x90"), MP_E_PROTOCOL },
	{ "type is text", BYTES("\x94\xa1x\x01\xa1m\x90"), MP_E_PROTOCOL },
	{ "msgid -1", BYTES("\x94\x00\xff\xa1m\x90"), MP_E_PROTOCOL },
	{ "msgid 2^32", BYTES("\x94\x00\xcf\x00\x00\x00\x01\x00\x00\x00\x00\xa1m\x90"),
	    MP_E_PROTOCOL },
	{ "msgid is text", BYTES("\x94\x00\xa1x\xa1m\x90"), MP_E_PROTOCOL },
	{ "method is int", BYTES("\x94\x00\x01\x05\x90"), MP_E_PROTOCOL },
	{ "method is bin", BYTES("\x94\x00\x01\xc4\x01m\x90"), MP_E_PROTOCOL },
	{ "method is empty", BYTES("\x94\x00\x01\xa0\x90"), MP_E_PROTOCOL },
	{ "method has NUL", BYTES("\x94\x00\x01\xa2m\x00\x90"), MP_E_PROTOCOL },
	{ "method of 64", BYTES("\x94\x00\x01\xd9\x40" "0123456789012345678901234567890123456789"
	    "012345678901234567890123" "\x90"), 1 },
	{ "method of 65", BYTES("\x94\x00\x01\xd9\x41" "0123456789012345678901234567890123456789"
	    "0123456789012345678901234" "\x90"), MP_E_PROTOCOL },
	{ "F47 str of 4 GiB", BYTES(PARAMS "\xdb\xff\xff\xff\xff"), MP_E_TOO_LARGE },
	{ "F47 bin of 4 GiB", BYTES(PARAMS "\xc6\xff\xff\xff\xff"), MP_E_TOO_LARGE },
	{ "F47 method of 4 GiB", BYTES("\x94\x00\x01\xdb\xff\xff\xff\xff"), MP_E_PROTOCOL },
	{ "F47 array of 2^32-1", BYTES(PARAMS "\xdd\xff\xff\xff\xff"), MP_E_TOO_MANY },
	{ "F47 array of 2^28", BYTES(PARAMS "\xdd\x10\x00\x00\x00"), MP_E_TOO_MANY },
	{ "F47 map of 2^32-1", BYTES(PARAMS "\xdf\xff\xff\xff\xff"), MP_E_TOO_MANY },
	{ "F47 map of 2^28", BYTES(PARAMS "\xdf\x10\x00\x00\x00"), MP_E_TOO_MANY },
	{ "F47 outermost array of 2^32-1", BYTES("\xdd\xff\xff\xff\xff"), MP_E_PROTOCOL },
	{ "F47 nested arrays of 2^28", BYTES(REQUEST "\xdd\x10\x00\x00\x00\xdd\x10\x00\x00\x00"
	    "\xdd\x10\x00\x00\x00\xdd\x10\x00\x00\x00\xdd\x10\x00\x00\x00"), MP_E_TOO_MANY },
	{ "unfinished", BYTES(PARAMS), 0 },
};

/* The same bytes shown as a growing frame, each time in memory of exactly that size. */
static int
run_stepwise(const char *bytes, size_t n, size_t max, size_t *used)
{
	struct check c;
	size_t i;
	int r = 0;

	check_init(&c);
	for (i = 1; i <= n && r == 0; i++) {
		char *copy = malloc(i);

		memcpy(copy, bytes, i);
		r = check_run(&c, copy, i, max);
		free(copy);
		if (r == 1)
			*used = c.pos;
	}
	return r;
}

static void
test_check__table(void **state)
{
	size_t i, used, step_used;
	int r;

	(void)state;
	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char *copy = malloc(rows[i].n);

		memcpy(copy, rows[i].bytes, rows[i].n);
		r = message_check(copy, rows[i].n, MAX, &used);
		free(copy);
		if (r != rows[i].expected)
			fail_msg("%s: %d instead of %d", rows[i].name, r, rows[i].expected);
		step_used = 0;
		r = run_stepwise(rows[i].bytes, rows[i].n, MAX, &step_used);
		if (r != rows[i].expected || step_used != used)
			fail_msg("%s: one byte at a time: %d", rows[i].name, r);
		if (r == 1)
			assert_int_equal(used, rows[i].n);
	}
}

static void
test_check__F50_every_cut_waits_for_more(void **state)
{
	size_t i, cut, used;

	(void)state;
	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		for (cut = 0; rows[i].expected == 1 && cut < rows[i].n; cut++) {
			char *copy = malloc(cut + 1);

			memcpy(copy, rows[i].bytes, cut);
			assert_int_equal(message_check(copy, cut, MAX, &used), 0);
			assert_int_equal(used, 0);
			free(copy);
		}
	}
}

static void
test_check__first_frame_only(void **state)
{
	size_t used;

	(void)state;
	assert_int_equal(message_check(BYTES("\x93\x02\xa1m\x90\xc1\xc1"), MAX, &used), 1);
	assert_int_equal(used, 5);
}

/* [0, 1, "m", [[[...]]]] with `levels` arrays in all, the innermost empty. */
static int
nested(size_t levels, size_t max)
{
	char *bytes = malloc(5 + levels);
	size_t used;
	int r;

	memcpy(bytes, REQUEST, 5);
	memset(bytes + 5, 0x91, levels);
	bytes[5 + levels - 2] = (char)0x90;
	r = message_check(bytes, 5 + levels - 1, max, &used);
	free(bytes);
	return r;
}

static void
test_check__F48_nesting(void **state)
{
	(void)state;
	assert_int_equal(nested(2, MAX), 1);
	assert_int_equal(nested(16, MAX), 1);
	assert_int_equal(nested(17, MAX), MP_E_TOO_MANY);
	assert_int_equal(nested(32, MAX), MP_E_TOO_MANY);
	assert_int_equal(nested(33, MAX), MP_E_TOO_MANY);
	assert_int_equal(nested(10000, MAX), MP_E_TOO_MANY);
}

/* A message of so many elements: 4 of its own, the rest nils in params; as pairs when map. */
static int
with_elements(size_t elements, bool map)
{
	size_t i, n = elements - 4 - (map ? 1 : 0), used;
	struct buf b = BUF_INIT;
	int r;

	buf_add(&b, REQUEST, 5);
	if (map)
		buf_addc(&b, (char)0x91);
	buf_addc(&b, (char)(map ? 0xdf : 0xdd));
	for (i = 0; i < 4; i++)
		buf_addc(&b, (char)(n >> (24 - 8 * i) & 0xff));
	for (i = 0; i < n; i++)
		buf_adds(&b, map ? "\xa1k\xc0" : "\xc0");
	r = message_check(b.data, b.len, MAX, &used);
	buf_clear(&b);
	return r;
}

static void
test_check__F49_elements(void **state)
{
	(void)state;
	assert_int_equal(with_elements(65536, false), 1);
	assert_int_equal(with_elements(65537, false), MP_E_TOO_MANY);
	assert_int_equal(with_elements(65536, true), 1);
	assert_int_equal(with_elements(65537, true), MP_E_TOO_MANY);
}

/* A message of exactly n bytes, most of them one bin. */
static int
of_size(size_t n, size_t max, bool text)
{
	size_t i, payload = n - 5 - 1 - 5, used;
	char *bytes = malloc(n);
	int r;

	memcpy(bytes, REQUEST "\x91", 6);
	bytes[6] = (char)(text ? 0xdb : 0xc6);
	for (i = 0; i < 4; i++)
		bytes[7 + i] = (char)(payload >> (24 - 8 * i) & 0xff);
	memset(bytes + 11, 'x', payload);
	r = message_check(bytes, n, max, &used);
	free(bytes);
	return r;
}

static void
test_check__F49_frame_size(void **state)
{
	const size_t most = LIMIT_MESSAGE_AFTER_HELLO;

	(void)state;
	assert_int_equal(of_size(most, most, false), 1);
	assert_int_equal(of_size(most + 1, most, false), MP_E_TOO_LARGE);
	assert_int_equal(of_size(most, most, true), 1);
	assert_int_equal(of_size(most + 1, most, true), MP_E_TOO_LARGE);
	assert_int_equal(of_size(100, 100, true), 1);
	assert_int_equal(of_size(101, 100, true), MP_E_TOO_LARGE);
}

static void
test_check__announced_more_than_the_frame_may_hold(void **state)
{
	size_t used;

	(void)state;
	/* 8 items need 8 bytes more, 6 are left */
	assert_int_equal(message_check(BYTES("\x94\x00\x01\xa1m\x98"), 12, &used), MP_E_TOO_LARGE);
	assert_int_equal(message_check(BYTES("\x94\x00\x01\xa1m\x96"), 12, &used), 0);
	/* a last number that crosses the end, also before all of it has come */
	assert_int_equal(message_check(BYTES(REQUEST "\xce\x01"), 9, &used), MP_E_TOO_LARGE);
	assert_int_equal(message_check(BYTES(REQUEST "\xce\x01"), 10, &used), 0);
	assert_int_equal(message_check(BYTES(REQUEST "\xce\x01\x01\x01\x01"), 9, &used),
	    MP_E_TOO_LARGE);
	assert_int_equal(message_check(BYTES(REQUEST "\xce\x01\x01\x01\x01"), 10, &used), 1);
}

static void
test_check__F53_names_the_field(void **state)
{
	static const char bytes[] = REQUEST "\x91\x82\xa1" "a\x91\xa1x\xa4time\x92\x01"
	                            "\xca\x7f\xc0\x00\x00";
	struct error err = ERROR_INIT;
	struct check c;
	int r;

	(void)state;
	check_init(&c);
	r = check_run(&c, bytes, sizeof bytes - 1, MAX);
	assert_int_equal(r, MP_E_INVALID_PARAMS);
	assert_int_equal(check_error(&c, bytes, r, MAX, &err), MP_E_INVALID_PARAMS);
	assert_string_equal(err.field, "time");
	assert_true(c.msgid_known);
	assert_int_equal(c.msgid, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check__table),
		cmocka_unit_test(test_check__F50_every_cut_waits_for_more),
		cmocka_unit_test(test_check__first_frame_only),
		cmocka_unit_test(test_check__F48_nesting),
		cmocka_unit_test(test_check__F49_elements),
		cmocka_unit_test(test_check__F49_frame_size),
		cmocka_unit_test(test_check__announced_more_than_the_frame_may_hold),
		cmocka_unit_test(test_check__F53_names_the_field),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

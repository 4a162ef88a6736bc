/* test_envelope.c - replies, events and errors on their way out and back. */
#include "tests/unit/protocol/support.h"

static void
read_back(struct buf *b, struct message_reader **r, struct message *m)
{
	struct error err = ERROR_INIT;
	bool known;

	assert_false(b->failed);
	*r = message_reader_new(LIMIT_MESSAGE_BEFORE_HELLO);
	feed(*r, b->data, b->len);
	if (message_reader_next(*r, m, &known, &err) != 1)
		fail_msg("not readable: %s", err.message);
	assert_int_equal(m->bytes, b->len);
}

static void
test_envelope__error_map_survives_the_wire(void **state)
{
	struct error in = ERROR_INIT, out = ERROR_INIT;
	struct message_reader *r;
	struct buf b = BUF_INIT;
	struct message m;
	struct pack p;

	(void)state;
	error_field(&in, "ref", "no model called \"sonet\"");
	in.code = MP_E_NOT_FOUND;
	error_hint(&in, "did you mean sonnet?");
	error_candidate(&in, "sonnet");
	error_candidate(&in, "opus");
	in.http_status = 404;
	in.retry_after_ms = 1500;
	memcpy(in.provider, "openrouter", 11);
	pack_init(&p, &b);
	message_error_reply(&p, 3, &in, false);
	read_back(&b, &r, &m);
	assert_int_equal(m.msgid, 3);
	assert_true(value_equals(value_get(m.error, "code"), "not_found"));
	assert_int_equal(value_int(value_get(m.error, "num"), 0), 7);
	assert_false(value_bool(value_get(m.error, "retryable"), true));
	message_read_error(m.error, &out);
	assert_int_equal(out.code, in.code);
	assert_string_equal(out.message, in.message);
	assert_string_equal(out.hint, in.hint);
	assert_string_equal(out.field, "ref");
	assert_string_equal(out.provider, "openrouter");
	assert_int_equal(out.http_status, 404);
	assert_int_equal(out.retry_after_ms, 1500);
	assert_string_equal(out.candidates[0], "sonnet");
	assert_string_equal(out.candidates[1], "opus");
	assert_string_equal(out.candidates[2], "");
	message_reader_free(r);
	buf_clear(&b);
}

static void
test_envelope__error_map_has_no_empty_members(void **state)
{
	struct error in = ERROR_INIT;
	struct message_reader *r;
	struct buf b = BUF_INIT;
	struct message m;
	struct pack p;

	(void)state;
	error_set(&in, MP_E_TIMEOUT, "too slow");
	pack_init(&p, &b);
	message_error_reply(&p, 3, &in, false);
	read_back(&b, &r, &m);
	assert_int_equal(value_size(m.error), 4);
	assert_true(value_bool(value_get(m.error, "retryable"), false));
	message_reader_free(r);
	buf_clear(&b);
}

static void
test_envelope__version_mismatch_says_what_is_supported(void **state)
{
	struct error in = ERROR_INIT;
	struct message_reader *r;
	struct buf b = BUF_INIT;
	struct message m;
	struct pack p;

	(void)state;
	error_set(&in, MP_E_VERSION_MISMATCH, "protocol 9 is unknown");
	pack_init(&p, &b);
	message_error_reply(&p, 3, &in, false);
	read_back(&b, &r, &m);
	assert_int_equal(
	    value_int(value_at(value_get(value_get(m.error, "data"), "supported"), 0), 0), 1);
	message_reader_free(r);
	buf_clear(&b);
}

static void
test_envelope__error_pair(void **state)
{
	static const struct {
		int code;
		int type;
	} cases[] = { { MP_E_INVALID_PARAMS, 1 }, { MP_E_UNKNOWN_METHOD, 1 }, { MP_E_LOCKED, 0 } };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct error in = ERROR_INIT, out = ERROR_INIT;
		struct message_reader *r;
		struct buf b = BUF_INIT;
		struct message m;
		struct pack p;

		error_set(&in, cases[i].code, "one: two");
		pack_init(&p, &b);
		message_error_reply(&p, 3, &in, true);
		read_back(&b, &r, &m);
		assert_int_equal(value_size(m.error), 2);
		assert_int_equal(value_int(value_at(m.error, 0), -1), cases[i].type);
		message_read_error(m.error, &out);
		assert_int_equal(out.code, cases[i].code);
		assert_string_equal(out.message, "one: two");
		message_reader_free(r);
		buf_clear(&b);
	}
}

static void
test_envelope__foreign_errors_are_read(void **state)
{
	struct error out = ERROR_INIT;
	struct sample s;

	(void)state;
	sample_begin(&s);
	pack_str(&s.pack, "it broke: badly");
	sample_read(&s);
	message_read_error(s.value, &out);
	assert_int_equal(out.code, MP_E_INTERNAL);
	assert_string_equal(out.message, "it broke: badly");
	sample_end(&s);
	sample_begin(&s);
	pack_map_begin(&s.pack);
	pack_kv_str(&s.pack, "code", "from_the_future");
	pack_kv_str(&s.pack, "message", "a\x1b[31mb");
	pack_map_end(&s.pack);
	sample_read(&s);
	message_read_error(s.value, &out);
	assert_int_equal(out.code, MP_E_INTERNAL);
	assert_null(strchr(out.message, 0x1b));
	sample_end(&s);
	message_read_error(NULL, &out);
	assert_int_equal(out.code, MP_E_INTERNAL);
	assert_true(out.message[0] != '\0');
}

static void
test_envelope__events_plain_and_nvim(void **state)
{
	static const char *const handlers[] = { NULL, "require('modelpd').on" };
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		struct message_reader *r;
		struct buf b = BUF_INIT;
		const struct value *event;
		struct message m;
		struct pack p;

		pack_init(&p, &b);
		message_begin_event(&p, "state.event", handlers[i]);
		pack_map_begin(&p);
		pack_kv_int(&p, "rev", 5);
		pack_map_end(&p);
		message_end_event(&p, handlers[i]);
		read_back(&b, &r, &m);
		assert_int_equal(m.kind, MESSAGE_NOTIFICATION);
		if (handlers[i] == NULL) {
			assert_true(slice_eq(m.method, "state.event"));
			assert_int_equal(value_size(m.params), 1);
			event = value_at(m.params, 0);
		} else {
			assert_true(slice_eq(m.method, "nvim_exec_lua"));
			assert_true(
			    value_equals(value_at(m.params, 0), "require('modelpd').on(...)"));
			assert_int_equal(value_size(m.params), 2);
			assert_true(
			    value_equals(value_at(value_at(m.params, 1), 0), "state.event"));
			event = value_at(value_at(m.params, 1), 1);
		}
		assert_int_equal(value_int(value_get(event, "rev"), 0), 5);
		message_reader_free(r);
		buf_clear(&b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_envelope__error_map_survives_the_wire),
		cmocka_unit_test(test_envelope__error_map_has_no_empty_members),
		cmocka_unit_test(test_envelope__version_mismatch_says_what_is_supported),
		cmocka_unit_test(test_envelope__error_pair),
		cmocka_unit_test(test_envelope__foreign_errors_are_read),
		cmocka_unit_test(test_envelope__events_plain_and_nvim),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

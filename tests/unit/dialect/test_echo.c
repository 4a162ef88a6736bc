#include "tests/unit/dialect/listener.h"

#include "protocol/base/json.h"

/* Encodes, then feeds the lines back as the loopback carrier would. */
static void
echo(const struct chat_request *c, struct heard *h, struct wire_request *req)
{
	const struct dialect *d = dialect_find("echo");
	struct dialect_target to = { NULL, "echo" };
	struct event_sink sink = { hear, h };
	struct error err = ERROR_INIT;
	void *state = calloc(1, d->state_size);
	size_t at = 0;

	memset(h, 0, sizeof *h);
	assert_int_equal(d->encode(c, &to, req, &sink, &err), 0);
	while (at < req->body.len) {
		const char *lf = memchr(req->body.data + at, '\n', req->body.len - at);
		struct frame f = { { NULL, 0 }, { req->body.data + at, 0 } };

		assert_non_null(lf);
		f.data.len = (size_t)(lf - f.data.data);
		assert_true(f.data.len < (1 << 20));
		d->frame(state, &f, &sink);
		at += f.data.len + 1;
	}
	d->end(state, &sink);
	d->clear(state);
	free(state);
	assert_int_equal(h->finishes, 1);
	assert_int_equal(h->errors, 0);
	assert_false(h->after_end);
	assert_false(h->bad_utf8);
}

static struct chat_request *
said(const char *text, size_t n)
{
	struct chat_request *c = chat_request_new();

	chat_add_text(chat_add_message(c, ROLE_USER), text, n);
	return c;
}

static void
test_echo__the_last_user_message_comes_back(void **state)
{
	static const char text[] = "Grüße aus  Tromsø 🌌\nzwei\0drei ";
	struct chat_request *c = said("first", 5);
	struct wire_request req;
	struct heard h;

	(void)state;
	chat_add_text(chat_add_message(c, ROLE_ASSISTANT), "first", 5);
	chat_add_text(chat_add_message(c, ROLE_USER), text, sizeof text - 1);
	echo(c, &h, &req);
	assert_int_equal(h.text.len, sizeof text - 1);
	assert_memory_equal(h.text.data, text, sizeof text - 1);
	assert_true(h.texts > 3);
	assert_int_equal(h.starts, 1);
	assert_string_equal(h.model, "echo");
	assert_int_equal(h.stop, STOP_END);
	assert_string_equal(usage_counts_name(&h.usage), "estimated");
	assert_true(h.usage.input_tokens > 0);
	assert_int_equal(h.usage.output_tokens, (sizeof text - 1 + 3) / 4);
	wire_request_clear(&req);
	chat_request_free(c);
	heard_clear(&h);
}

static void
test_echo__an_empty_text_is_answered(void **state)
{
	struct chat_request *c = said("", 0);
	struct wire_request req;
	struct heard h;

	(void)state;
	echo(c, &h, &req);
	assert_true(h.text.len > 0);
	wire_request_clear(&req);
	chat_request_free(c);
	heard_clear(&h);
}

static void
test_echo__attachments_are_named(void **state)
{
	struct chat_request *c = said("see", 3);
	struct part *p = chat_add_part(&c->messages[0], PART_IMAGE);
	struct wire_request req;
	struct heard h;

	(void)state;
	p->media_type = xstrdup("image/png");
	text_set(&p->bytes, "1234", 4);
	echo(c, &h, &req);
	assert_string_equal(buf_str(&h.text), "see\n[image image/png, 4 bytes]");
	wire_request_clear(&req);
	chat_request_free(c);
	heard_clear(&h);
}

static void
test_echo__max_tokens_cuts(void **state)
{
	struct chat_request *c = said("one two three", 13);
	struct wire_request req;
	struct heard h;

	(void)state;
	c->options.max_tokens = 2;
	echo(c, &h, &req);
	assert_string_equal(buf_str(&h.text), "one two ");
	assert_int_equal(h.stop, STOP_LENGTH);
	wire_request_clear(&req);
	chat_request_free(c);
	heard_clear(&h);
}

static void
test_echo__a_large_text_is_no_flood_of_lines(void **state)
{
	size_t n = (size_t)4 << 20;
	char *text = malloc(n);
	struct chat_request *c;
	struct wire_request req;
	struct heard h;

	(void)state;
	for (size_t i = 0; i < n; i++)
		text[i] = i % 2 == 0 ? 'a' : ' ';
	c = said(text, n);
	echo(c, &h, &req);
	assert_int_equal(h.text.len, n);
	assert_memory_equal(h.text.data, text, n);
	assert_true(h.texts <= 4097);
	wire_request_clear(&req);
	chat_request_free(c);
	heard_clear(&h);
	/* and one word without an end is cut between characters */
	for (size_t i = 0; i + 3 <= n; i += 3)
		memcpy(text + i, "\xe2\x82\xac", 3);
	c = said(text, n / 3 * 3);
	echo(c, &h, &req);
	assert_int_equal(h.text.len, n / 3 * 3);
	wire_request_clear(&req);
	chat_request_free(c);
	heard_clear(&h);
	free(text);
}

static void
test_echo__the_delay_is_bounded(void **state)
{
	static const struct {
		const char *extra, *value; /* NULL = refused */
	} rows[] = {
		{ "{\"delay_ms\":25}", "25" },
		{ "{\"delay_ms\":10000}", "10000" },
		{ "{\"delay_ms\":10001}", NULL },
		{ "{\"delay_ms\":-1}", NULL },
		{ "{\"delay_ms\":\"1\"}", NULL },
		{ "rubbish", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct chat_request *c = said("x", 1);
		struct dialect_target to = { NULL, "echo" };
		struct wire_request req;
		struct error err = ERROR_INIT;
		int r;

		text_set(&c->options.extra, rows[i].extra, strlen(rows[i].extra));
		r = dialect_find("echo")->encode(c, &to, &req, NULL, &err);
		if (rows[i].value == NULL) {
			assert_int_equal(r, MP_E_INVALID_PARAMS);
		} else {
			assert_int_equal(r, 0);
			assert_string_equal(req.headers[0].value, rows[i].value);
		}
		wire_request_clear(&req);
		chat_request_free(c);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_echo__the_last_user_message_comes_back),
		cmocka_unit_test(test_echo__an_empty_text_is_answered),
		cmocka_unit_test(test_echo__attachments_are_named),
		cmocka_unit_test(test_echo__max_tokens_cuts),
		cmocka_unit_test(test_echo__a_large_text_is_no_flood_of_lines),
		cmocka_unit_test(test_echo__the_delay_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

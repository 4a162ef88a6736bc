/* test_content.c - an answer as the content of the next turn's message. */
#include "tests/unit/protocol/support.h"

#include "server/rpc/methods/content.h"

static int
say(struct content *c, enum event_type type, const char *text)
{
	struct event e = { .type = type };

	if (type == EVENT_REASONING_END)
		e.signature = slice_of(text);
	else
		e.text = slice_of(text);
	return content_event(c, &e, "p:m");
}

/* What a client reads, as JSON. */
static void
assert_content(struct content *c, const char *json)
{
	struct buf got = BUF_INIT;
	struct json_writer w;
	struct sample s;

	assert_int_equal(content_end(c), 0);
	sample_begin(&s);
	pack_map_begin(&s.pack);
	content_pack(c, &s.pack);
	pack_map_end(&s.pack);
	sample_read(&s);
	json_writer_init(&w, &got, false);
	value_to_json(value_get(s.value, "content"), &w);
	assert_string_equal(buf_str(&got), json);
	buf_clear(&got);
	sample_end(&s);
	content_clear(c);
}

static void
test_content__parts_in_their_order(void **state)
{
	struct content c;

	(void)state;
	content_init(&c, 4096);
	assert_content(&c, "[]");
	content_init(&c, 4096);
	say(&c, EVENT_REASONING, "a");
	say(&c, EVENT_REASONING, "b");
	say(&c, EVENT_REASONING_END, "sig");
	say(&c, EVENT_TEXT, "x");
	say(&c, EVENT_TEXT, "y");
	say(&c, EVENT_USAGE, "");
	say(&c, EVENT_REASONING, "nobody signs this");
	say(&c, EVENT_REASONING_END, "");
	say(&c, EVENT_TEXT, "z");
	say(&c, EVENT_REASONING, "nor this");
	assert_content(&c,
	    "[{\"type\":\"reasoning\",\"text\":\"ab\",\"signature\":\"sig\",\"signed_by\":\"p:m\"},"
	    "{\"type\":\"text\",\"text\":\"xy\"},{\"type\":\"text\",\"text\":\"z\"}]");
}

static void
test_content__a_signature_may_come_late_or_alone(void **state)
{
	struct content c;

	(void)state;
	content_init(&c, 4096);
	say(&c, EVENT_TEXT, "x");
	say(&c, EVENT_REASONING_END, "sig");
	assert_content(&c, "[{\"type\":\"text\",\"text\":\"x\"},"
	    "{\"type\":\"reasoning\",\"signature\":\"sig\",\"signed_by\":\"p:m\"}]");
}

static void
test_content__has_a_ceiling(void **state)
{
	static const enum event_type types[] = { EVENT_TEXT, EVENT_REASONING, EVENT_REASONING_END };
	struct content c;
	char *text = malloc(2001);

	(void)state;
	memset(text, 'x', 2000);
	text[2000] = '\0';
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		content_init(&c, 1000);
		assert_int_equal(say(&c, types[i], text), MP_E_TOO_LARGE);
		content_clear(&c);
	}
	/* small pieces that only together are too much */
	content_init(&c, 1000);
	for (size_t i = 0; i < 9; i++) {
		assert_int_equal(say(&c, EVENT_TEXT, "0123456789012345678901234567890123456789"), 0);
		assert_int_equal(say(&c, EVENT_REASONING_END, "0123456789"), 0);
	}
	assert_int_equal(say(&c, EVENT_TEXT, text + 1950), 0);
	assert_int_equal(content_end(&c), MP_E_TOO_LARGE);
	content_clear(&c);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_content__parts_in_their_order),
		cmocka_unit_test(test_content__a_signature_may_come_late_or_alone),
		cmocka_unit_test(test_content__has_a_ceiling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/base/err.h"
#include "protocol/base/str.h"
#include "server/model/chat.h"

static struct chat_request *
hello(void)
{
	struct chat_request *r = chat_request_new();

	chat_add_text(chat_add_message(r, ROLE_USER), "hello", 5);
	return r;
}

/* Frees r. field NULL: fine. */
static void
check(struct chat_request *r, const char *field)
{
	struct error err = ERROR_INIT;

	if (field == NULL) {
		if (chat_check(r, &err) != 0)
			fail_msg("refused: %s", err.message);
	} else {
		assert_int_equal(chat_check(r, &err), MP_E_INVALID_PARAMS);
		assert_string_equal(err.field, field);
		assert_true(err.message[0] != '\0');
	}
	chat_request_free(r);
}

static struct part *
tool_call(struct chat_request *r, const char *id)
{
	struct part *p = chat_add_part(chat_add_message(r, ROLE_ASSISTANT), PART_TOOL_CALL);

	p->call_id = xstrdup(id);
	p->name = xstrdup("get_weather");
	text_set(&p->arguments, "{}", 2);
	return p;
}

static void
tool_result(struct chat_request *r, const char *id)
{
	struct part *p = chat_add_part(chat_add_message(r, ROLE_TOOL), PART_TOOL_RESULT);

	p->call_id = xstrdup(id);
	text_set(&p->text, "rain", 4);
}

static void
test_chat__new_request_says_nothing(void **state)
{
	struct chat_request *r = chat_request_new();

	(void)state;
	assert_int_equal(r->options.max_tokens, -1);
	assert_true(isnan(r->options.temperature));
	assert_true(r->options.seed == INT64_MIN);
	assert_int_equal(r->options.stream, -1);
	chat_request_free(r);
	chat_request_free(NULL);
}

static void
test_chat__lists_grow(void **state)
{
	struct chat_request *r = chat_request_new();

	(void)state;
	for (int i = 0; i < 100; i++) {
		struct chat_message *m = chat_add_message(r, ROLE_USER);

		for (int k = 0; k < 5; k++)
			chat_add_text(m, "a\0b", 3);
	}
	assert_int_equal(r->message_count, 100);
	assert_int_equal(r->messages[99].part_count, 5);
	assert_memory_equal(r->messages[50].parts[4].text.data, "a\0b", 4);
	assert_int_equal(chat_text_bytes(r), 1500);
	check(r, NULL);
}

static void
test_chat__needs_something_to_answer(void **state)
{
	struct chat_request *r = chat_request_new();

	(void)state;
	check(chat_request_new(), "messages");
	chat_add_text(chat_add_message(r, ROLE_SYSTEM), "be brief", 8);
	check(r, "messages");
	r = hello();
	chat_add_message(r, ROLE_USER);
	check(r, "messages[1]");
}

static void
test_chat__tool_results_answer_a_call(void **state)
{
	struct chat_request *r = hello();

	(void)state;
	tool_call(r, "call_1");
	tool_result(r, "call_1");
	check(r, NULL);

	r = hello();
	tool_call(r, "call_1");
	tool_result(r, "call_2");
	check(r, "messages[2].content[0]");

	r = hello();
	tool_result(r, "call_1");
	tool_call(r, "call_1");
	check(r, "messages[1].content[0]");

	r = hello();
	tool_call(r, "call_1")->name[0] = '!';
	check(r, "messages[1].content[0]");
}

static void
test_chat__parts_belong_to_roles(void **state)
{
	struct chat_request *r = hello();
	struct part *p;

	(void)state;
	chat_add_part(chat_add_message(r, ROLE_USER), PART_REASONING);
	check(r, "messages[1].content[0]");

	r = hello();
	p = chat_add_part(&r->messages[0], PART_IMAGE);
	check(r, "messages[0].content[1]");

	r = hello();
	p = chat_add_part(&r->messages[0], PART_IMAGE);
	p->url = xstrdup("http://example.com/a.png");
	check(r, "messages[0].content[1]");

	r = hello();
	p = chat_add_part(&r->messages[0], PART_IMAGE);
	p->url = xstrdup("https://example.com/a.png");
	check(r, NULL);

	r = hello();
	p = chat_add_part(&r->messages[0], PART_IMAGE);
	text_set(&p->bytes, "\x89PNG", 4);
	p->media_type = xstrdup("image/png\r\nX: y");
	check(r, "messages[0].content[1]");
}

static void
test_chat__tools_are_sound(void **state)
{
	struct chat_request *r = hello();
	struct tool *t = chat_add_tool(r, "get_weather");

	(void)state;
	text_set(&t->parameters, "{\"type\":\"object\"}", 17);
	r->options.tool_choice = TOOL_CHOICE_ONE;
	r->options.tool_choice_name = xstrdup("get_weather");
	check(r, NULL);

	r = hello();
	chat_add_tool(r, "bad name");
	check(r, "tools[0]");

	r = hello();
	chat_add_tool(r, "a");
	chat_add_tool(r, "a");
	check(r, "tools[1]");

	r = hello();
	text_set(&chat_add_tool(r, "a")->parameters, "{}, \"x\": {}", 11);
	check(r, "tools[0]");

	r = hello();
	r->options.tool_choice = TOOL_CHOICE_REQUIRED;
	check(r, "options.tool_choice");

	r = hello();
	chat_add_tool(r, "a");
	r->options.tool_choice = TOOL_CHOICE_ONE;
	r->options.tool_choice_name = xstrdup("b");
	check(r, "options.tool_choice");
}

static void
test_chat__options_have_ranges(void **state)
{
	struct chat_request *r = hello();

	(void)state;
	r->options.temperature = 0;
	r->options.top_p = 1;
	r->options.max_tokens = 1;
	r->options.reasoning_effort = xstrdup("xhigh");
	check(r, NULL);
	r = hello();
	r->options.temperature = INFINITY;
	check(r, "options.temperature");
	r = hello();
	r->options.top_p = -0.1;
	check(r, "options.top_p");
	r = hello();
	r->options.max_tokens = 0;
	check(r, "options.max_tokens");
	r = hello();
	r->options.reasoning_effort = xstrdup("huge");
	check(r, "options.reasoning_effort");
	r = hello();
	text_set(&r->options.extra, "[]", 2);
	check(r, "options.extra");
	r = hello();
	r->options.format = FORMAT_JSON_SCHEMA;
	check(r, "options.schema");
}

static void
test_chat__only_the_signers_signatures_are_dropped(void **state)
{
	struct chat_request *r = hello();
	struct chat_message *m = chat_add_message(r, ROLE_ASSISTANT);
	struct part *p;

	(void)state;
	p = chat_add_part(m, PART_REASONING);
	text_set(&p->signature, "a", 1);
	p->signed_by = xstrdup("google:m1");
	p = chat_add_part(m, PART_REASONING);
	text_set(&p->signature, "b", 1);
	p->signed_by = xstrdup("other:m1");
	assert_true(chat_drop_signatures(r, "google:m1"));
	assert_true(r->signatures_refused);
	m = &r->messages[r->message_count - 1];
	assert_null(m->parts[0].signature.data);
	assert_null(m->parts[0].signed_by);
	assert_string_equal(m->parts[1].signature.data, "b");
	assert_false(chat_drop_signatures(r, "google:m1"));
	chat_request_free(r);

	r = hello();
	assert_false(chat_drop_signatures(r, "google:m1"));
	chat_request_free(r);
	/* a call without a signature can be told to have none */
	r = hello();
	chat_add_part(chat_add_message(r, ROLE_ASSISTANT), PART_TOOL_CALL);
	assert_true(chat_drop_signatures(r, "google:m1"));
	assert_false(chat_drop_signatures(r, "google:m1"));
	chat_request_free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chat__new_request_says_nothing),
		cmocka_unit_test(test_chat__lists_grow),
		cmocka_unit_test(test_chat__needs_something_to_answer),
		cmocka_unit_test(test_chat__tool_results_answer_a_call),
		cmocka_unit_test(test_chat__parts_belong_to_roles),
		cmocka_unit_test(test_chat__tools_are_sound),
		cmocka_unit_test(test_chat__options_have_ranges),
		cmocka_unit_test(test_chat__only_the_signers_signatures_are_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

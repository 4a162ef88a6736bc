/* test_chat_params.c - what a client sends as a prompt, as a chat; and every mistake by its path. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/base/json.h"
#include "protocol/limits.h"
#include "protocol/message.h"
#include "server/rpc/methods/chat_params.h"

#define PNG "\x89PNG\r\n\x1a\n"
#define PNG_BASE64 "iVBORw0KGgo="

/* Parameters as they arrive: through a frame and the reader. */
struct fixture {
	struct message_reader *reader;
	struct chat_request *chat;
	struct error err;
	int r;
};

static void
fixture_read(struct fixture *f, const struct buf *frame)
{
	struct chat_params in;
	struct message m;
	const struct value *map;
	bool known;
	size_t room;
	char *to;

	memset(f, 0, sizeof(*f));
	f->reader = message_reader_new(LIMIT_MESSAGE_AFTER_HELLO);
	to = message_reader_room(f->reader, frame->len, &room);
	assert_non_null(to);
	assert_true(room >= frame->len);
	memcpy(to, frame->data, frame->len);
	message_reader_fed(f->reader, frame->len);
	assert_int_equal(message_reader_next(f->reader, &m, &known, &f->err), 1);
	map = value_at(m.params, 0);
	in = (struct chat_params){
		.text = value_get(map, "text"),
		.messages = value_get(map, "messages"),
		.system = value_get(map, "system"),
		.attachments = value_get(map, "attachments"),
		.tools = value_get(map, "tools"),
		.options = value_get(map, "options"),
		.reasoning = value_bool(value_get(map, "reasoning"), false),
	};
	f->r = chat_params_read(&in, &f->chat, &f->err);
	message_release(f->reader, false);
}

static void
fixture_json(struct fixture *f, const char *json)
{
	struct json j = JSON_INIT;
	struct buf frame = BUF_INIT;
	struct pack p;

	assert_int_equal(json_read(&j, json, strlen(json), JSON_STRICT), 0);
	pack_init(&p, &frame);
	message_begin_request(&p, 1, "prompt.start");
	pack_json(&p, &j, 0);
	message_end_request(&p);
	fixture_read(f, &frame);
	json_clear(&j);
	buf_clear(&frame);
}

static void
fixture_clear(struct fixture *f)
{
	chat_request_free(f->chat);
	message_reader_free(f->reader);
}

static const struct part *
part_at(const struct fixture *f, size_t message, size_t part)
{
	assert_true(message < f->chat->message_count);
	assert_true(part < f->chat->messages[message].part_count);
	return &f->chat->messages[message].parts[part];
}

static void
assert_text(const struct text *t, const char *want)
{
	assert_non_null(t->data);
	assert_int_equal(t->len, strlen(want));
	assert_memory_equal(t->data, want, t->len);
}

static void
accept(struct fixture *f, const char *json)
{
	fixture_json(f, json);
	if (f->r != 0)
		print_error("%s: %s\n", f->err.field, f->err.message);
	assert_int_equal(f->r, 0);
}

static void
test_chat_params__text_and_system(void **state)
{
	struct fixture f;

	(void)state;
	accept(&f, "{\"text\":\"hello\",\"system\":\"be brief\",\"reasoning\":true}");
	assert_int_equal(f.chat->message_count, 2);
	assert_int_equal(f.chat->messages[0].role, ROLE_SYSTEM);
	assert_text(&part_at(&f, 0, 0)->text, "be brief");
	assert_int_equal(f.chat->messages[1].role, ROLE_USER);
	assert_text(&part_at(&f, 1, 0)->text, "hello");
	assert_true(f.chat->want_reasoning);
	assert_int_equal(f.chat->options.max_tokens, -1);
	fixture_clear(&f);
}

static void
test_chat_params__conversation_with_tools(void **state)
{
	struct fixture f;

	(void)state;
	accept(&f,
	    "{\"messages\":[{\"role\":\"user\",\"content\":\"weather?\"},"
	    "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"let me see\"},"
	    "{\"type\":\"tool_call\",\"id\":\"c1\",\"name\":\"weather\",\"arguments\":\"{\\\"c\\\":1}\"},"
	    "{\"type\":\"tool_call\",\"id\":\"c2\",\"name\":\"weather\"}]},"
	    "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"sun\"},"
	    "{\"role\":\"tool\",\"content\":[{\"type\":\"tool_result\",\"id\":\"c2\","
	    "\"content\":\"boom\",\"is_error\":true}]}],"
	    "\"tools\":[{\"name\":\"weather\",\"description\":\"d\",\"parameters\":"
	    "{\"type\":\"object\",\"properties\":{}},\"strict\":true},{\"name\":\"noargs\"}]}");
	assert_int_equal(f.chat->message_count, 4);
	assert_int_equal(part_at(&f, 1, 1)->type, PART_TOOL_CALL);
	assert_text(&part_at(&f, 1, 1)->arguments, "{\"c\":1}");
	assert_text(&part_at(&f, 1, 2)->arguments, "{}");
	assert_int_equal(part_at(&f, 2, 0)->type, PART_TOOL_RESULT);
	assert_string_equal(part_at(&f, 2, 0)->call_id, "c1");
	assert_text(&part_at(&f, 2, 0)->text, "sun");
	assert_true(part_at(&f, 3, 0)->is_error);
	assert_int_equal(f.chat->tool_count, 2);
	assert_text(&f.chat->tools[0].parameters, "{\"type\":\"object\",\"properties\":{}}");
	assert_int_equal(f.chat->tools[0].strict, 1);
	assert_int_equal(f.chat->tools[1].strict, -1);
	assert_null(f.chat->tools[1].parameters.data);
	fixture_clear(&f);
}

static void
test_chat_params__options(void **state)
{
	struct fixture f;
	const struct chat_options *o;

	(void)state;
	accept(&f,
	    "{\"text\":\"x\",\"tools\":[{\"name\":\"t\"}],\"options\":{\"max_tokens\":5,"
	    "\"temperature\":1,\"top_p\":0.5,\"top_k\":40,\"stop\":[\"a\",\"b\"],\"seed\":-7,"
	    "\"presence_penalty\":-2,\"frequency_penalty\":2.0,\"reasoning_effort\":\"low\","
	    "\"tool_choice\":{\"name\":\"t\"},\"parallel_tool_calls\":false,\"stream\":false,"
	    "\"response_format\":{\"name\":\"s\",\"schema\":{\"type\":\"object\"}},"
	    "\"extra\":{\"enable_thinking\":true}}}");
	o = &f.chat->options;
	assert_int_equal(o->max_tokens, 5);
	assert_true(o->temperature == 1.0 && o->top_p == 0.5);
	assert_int_equal(o->top_k, 40);
	assert_string_equal(o->stop[1], "b");
	assert_null(o->stop[2]);
	assert_int_equal(o->seed, -7);
	assert_true(o->presence_penalty == -2.0 && o->frequency_penalty == 2.0);
	assert_string_equal(o->reasoning_effort, "low");
	assert_int_equal(o->tool_choice, TOOL_CHOICE_ONE);
	assert_string_equal(o->tool_choice_name, "t");
	assert_int_equal(o->parallel_tool_calls, 0);
	assert_int_equal(o->stream, 0);
	assert_int_equal(o->format, FORMAT_JSON_SCHEMA);
	assert_string_equal(o->schema_name, "s");
	assert_text(&o->schema, "{\"type\":\"object\"}");
	assert_text(&o->extra, "{\"enable_thinking\":true}");
	fixture_clear(&f);
}

static void
test_chat_params__stop_as_one_text(void **state)
{
	struct fixture f;

	(void)state;
	accept(&f, "{\"text\":\"x\",\"options\":{\"stop\":\"END\"}}");
	assert_string_equal(f.chat->options.stop[0], "END");
	assert_null(f.chat->options.stop[1]);
	fixture_clear(&f);
}

static void
test_chat_params__image_type_comes_from_its_bytes(void **state)
{
	struct fixture f;

	(void)state;
	accept(&f, "{\"text\":\"see\",\"attachments\":[{\"type\":\"image\",\"data\":\"" PNG_BASE64
	           "\",\"encoding\":\"base64\"}]}");
	assert_int_equal(part_at(&f, 0, 1)->type, PART_IMAGE);
	assert_string_equal(part_at(&f, 0, 1)->media_type, "image/png");
	assert_text(&part_at(&f, 0, 1)->bytes, PNG);
	fixture_clear(&f);
}

static void
test_chat_params__bytes_as_bin(void **state)
{
	struct fixture f;
	struct buf frame = BUF_INIT;
	struct pack p;

	(void)state;
	pack_init(&p, &frame);
	message_begin_request(&p, 1, "prompt.start");
	pack_map_begin(&p);
	pack_kv_str(&p, "text", "read");
	pack_str(&p, "attachments");
	pack_array_begin(&p);
	pack_map_begin(&p);
	pack_kv_str(&p, "type", "file");
	pack_kv_str(&p, "name", "a.pdf");
	pack_str(&p, "data");
	pack_bin(&p, "%PDF-1.7\n\0x", 11);
	pack_map_end(&p);
	pack_array_end(&p);
	pack_map_end(&p);
	message_end_request(&p);
	fixture_read(&f, &frame);
	assert_int_equal(f.r, 0);
	assert_int_equal(part_at(&f, 0, 1)->type, PART_DOCUMENT);
	assert_string_equal(part_at(&f, 0, 1)->media_type, "application/pdf");
	assert_string_equal(part_at(&f, 0, 1)->name, "a.pdf");
	assert_int_equal(part_at(&f, 0, 1)->bytes.len, 11);
	fixture_clear(&f);
	buf_clear(&frame);
}

static void
test_chat_params__text_files_are_inlined_under_their_name(void **state)
{
	struct fixture f;

	(void)state;
	accept(&f, "{\"text\":\"review\",\"attachments\":["
	           "{\"type\":\"file\",\"name\":\"a\\u001b.c\",\"data\":\"int x;\"},"
	           "{\"type\":\"file\",\"name\":\"b.txt\",\"data\":\"aGVsbG8=\",\"encoding\":\"base64\"},"
	           "{\"type\":\"file\",\"name\":\"c.bin\",\"data\":\"AAECAw==\",\"encoding\":\"base64\"},"
	           "{\"type\":\"file\",\"name\":\"d.txt\",\"data\":\"//4=\",\"encoding\":\"base64\","
	           "\"media_type\":\"text/plain\"}]}");
	assert_int_equal(part_at(&f, 0, 1)->type, PART_TEXT);
	assert_text(&part_at(&f, 0, 1)->text, "--- a\\x1b.c ---\nint x;");
	assert_text(&part_at(&f, 0, 2)->text, "--- b.txt ---\nhello");
	assert_int_equal(part_at(&f, 0, 3)->type, PART_DOCUMENT);
	assert_string_equal(part_at(&f, 0, 3)->media_type, "application/octet-stream");
	assert_int_equal(part_at(&f, 0, 4)->type, PART_TEXT);
	assert_text(&part_at(&f, 0, 4)->text, "--- d.txt ---\n\xef\xbf\xbd\xef\xbf\xbd");
	fixture_clear(&f);
}

static void
test_chat_params__attachments_go_to_the_last_user_message(void **state)
{
	struct fixture f;

	(void)state;
	accept(&f, "{\"messages\":[{\"role\":\"user\",\"content\":\"one\"},"
	           "{\"role\":\"user\",\"content\":\"two\"},"
	           "{\"role\":\"assistant\",\"content\":\"ok\"}],"
	           "\"attachments\":[{\"type\":\"image\",\"url\":\"https://example.org/a.png\"}]}");
	assert_int_equal(f.chat->messages[0].part_count, 1);
	assert_string_equal(part_at(&f, 1, 1)->url, "https://example.org/a.png");
	assert_int_equal(f.chat->messages[2].part_count, 1);
	fixture_clear(&f);
}

static void
test_chat_params__a_file_alone_is_a_prompt(void **state)
{
	struct fixture f;

	(void)state;
	accept(&f, "{\"text\":\"\",\"attachments\":[{\"type\":\"file\",\"name\":\"a\",\"data\":\"x\"}]}");
	assert_int_equal(f.chat->messages[0].part_count, 1);
	fixture_clear(&f);
}

/* The path of every mistake; a system prompt must not shift the numbers. */
static const struct {
	const char *json;
	const char *field;
} mistakes[] = {
	{ "{}", "text" },
	{ "{\"text\":\"\"}", "text" },
	{ "{\"text\":\"a\",\"messages\":[]}", "messages" },
	{ "{\"messages\":[]}", "messages" },
	{ "{\"messages\":[7]}", "messages[0]" },
	{ "{\"messages\":[{\"role\":\"user\"}]}", "messages[0].content" },
	{ "{\"messages\":[{\"content\":\"x\"}]}", "messages[0].role" },
	{ "{\"messages\":[{\"role\":\"robot\",\"content\":\"x\"}]}", "messages[0].role" },
	{ "{\"messages\":[{\"role\":5,\"content\":\"x\"}]}", "messages[0].role" },
	{ "{\"messages\":[{\"role\":\"user\",\"content\":\"x\",\"nick\":\"y\"}]}", "messages[0].nick" },
	{ "{\"messages\":[{\"role\":\"user\",\"content\":\"x\",\"tool_call_id\":\"y\"}]}",
	    "messages[0].tool_call_id" },
	{ "{\"messages\":[{\"role\":\"tool\",\"content\":\"x\"}]}", "messages[0].tool_call_id" },
	{ "{\"messages\":[{\"role\":\"user\",\"content\":[]}]}", "messages[0].content" },
	{ "{\"messages\":[{\"role\":\"user\",\"content\":5}]}", "messages[0].content" },
	{ "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},"
	  "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\"}]}]}",
	    "messages[1].content[1].text" },
	{ "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"video\"}]}]}",
	    "messages[0].content[0].type" },
	{ "{\"messages\":[{\"role\":\"user\",\"content\":[{}]}]}", "messages[0].content[0].type" },
	{ "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\",\"x\":1}]}]}",
	    "messages[0].content[0].x" },
	{ "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\"}]}]}",
	    "messages[0].content[0].data" },
	{ "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\",\"data\":\"%%%\","
	  "\"encoding\":\"base64\"}]}]}",
	    "messages[0].content[0].data" },
	{ "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\",\"data\":\"aaaa\"}]}]}",
	    "messages[0].content[0].encoding" },
	{ "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\",\"data\":\"aaaa\","
	  "\"encoding\":\"hex\"}]}]}",
	    "messages[0].content[0].encoding" },
	{ "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\",\"data\":\"aGVsbG8=\","
	  "\"encoding\":\"base64\"}]}]}",
	    "messages[0].content[0].media_type" },
	{ "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\",\"url\":\"file:///etc\"}]}]}",
	    "messages[0].content[0].url" },
	{ "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"file\",\"data\":\"x\"}]}]}",
	    "messages[0].content[0].name" },
	{ "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"file\",\"name\":\"x\","
	  "\"data\":\"x\",\"media_type\":\"plain\"}]}]}",
	    "messages[0].content[0].media_type" },
	{ "{\"messages\":[{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_call\",\"id\":\"a\"}]}]}",
	    "messages[0].content[0].name" },
	{ "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"id\":\"a\","
	  "\"content\":\"b\",\"is_error\":1}]}]}",
	    "messages[0].content[0].is_error" },
	{ "{\"system\":\"s\",\"messages\":[{\"role\":\"tool\",\"tool_call_id\":\"zz\",\"content\":\"x\"}]}",
	    "messages[0].content[0]" },
	{ "{\"text\":\"x\",\"attachments\":[{\"type\":\"text\",\"text\":\"y\"}]}", "attachments[0].type" },
	{ "{\"text\":\"x\",\"attachments\":[{\"type\":\"file\",\"name\":\"y\"}]}", "attachments[0].data" },
	{ "{\"messages\":[{\"role\":\"assistant\",\"content\":\"x\"}],"
	  "\"attachments\":[{\"type\":\"file\",\"name\":\"y\",\"data\":\"z\"}]}",
	    "attachments" },
	{ "{\"text\":\"x\",\"tools\":[{}]}", "tools[0].name" },
	{ "{\"text\":\"x\",\"tools\":[{\"name\":\"a\",\"parameters\":\"{}\"}]}", "tools[0].parameters" },
	{ "{\"text\":\"x\",\"tools\":[{\"name\":\"a\",\"strict\":1}]}", "tools[0].strict" },
	{ "{\"text\":\"x\",\"tools\":[{\"name\":\"a\",\"type\":\"function\"}]}", "tools[0].type" },
	{ "{\"text\":\"x\",\"options\":{\"temprature\":1}}", "options.temprature" },
	{ "{\"text\":\"x\",\"options\":{\"temperature\":\"1\"}}", "options.temperature" },
	{ "{\"text\":\"x\",\"options\":{\"temperature\":2.1}}", "options.temperature" },
	{ "{\"text\":\"x\",\"options\":{\"temperature\":-0.1}}", "options.temperature" },
	{ "{\"text\":\"x\",\"options\":{\"top_p\":1.5}}", "options.top_p" },
	{ "{\"text\":\"x\",\"options\":{\"top_k\":-1}}", "options.top_k" },
	{ "{\"text\":\"x\",\"options\":{\"top_k\":1.5}}", "options.top_k" },
	{ "{\"text\":\"x\",\"options\":{\"max_tokens\":0}}", "options.max_tokens" },
	{ "{\"text\":\"x\",\"options\":{\"max_tokens\":-1}}", "options.max_tokens" },
	{ "{\"text\":\"x\",\"options\":{\"presence_penalty\":3}}", "options.presence_penalty" },
	{ "{\"text\":\"x\",\"options\":{\"seed\":\"a\"}}", "options.seed" },
	{ "{\"text\":\"x\",\"options\":{\"stop\":5}}", "options.stop" },
	{ "{\"text\":\"x\",\"options\":{\"stop\":[\"a\",5]}}", "options.stop[1]" },
	{ "{\"text\":\"x\",\"options\":{\"stop\":[\"\"]}}", "options.stop[0]" },
	{ "{\"text\":\"x\",\"options\":{\"stop\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\","
	  "\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\"]}}",
	    "options.stop" },
	{ "{\"text\":\"x\",\"options\":{\"reasoning_effort\":\"huge\"}}", "options.reasoning_effort" },
	{ "{\"text\":\"x\",\"options\":{\"tool_choice\":\"maybe\"}}", "options.tool_choice" },
	{ "{\"text\":\"x\",\"options\":{\"tool_choice\":{}}}", "options.tool_choice.name" },
	{ "{\"text\":\"x\",\"options\":{\"tool_choice\":{\"name\":\"nosuch\"}}}", "options.tool_choice" },
	{ "{\"text\":\"x\",\"options\":{\"parallel_tool_calls\":1}}", "options.parallel_tool_calls" },
	{ "{\"text\":\"x\",\"options\":{\"stream\":\"no\"}}", "options.stream" },
	{ "{\"text\":\"x\",\"options\":{\"response_format\":\"xml\"}}", "options.response_format" },
	{ "{\"text\":\"x\",\"options\":{\"response_format\":{\"name\":\"a\"}}}",
	    "options.response_format.schema" },
	{ "{\"text\":\"x\",\"options\":{\"response_format\":{\"name\":\"a\",\"schema\":[]}}}",
	    "options.response_format.schema" },
	{ "{\"text\":\"x\",\"options\":{\"extra\":[]}}", "options.extra" },
};

static void
test_chat_params__every_mistake_is_named_by_its_path(void **state)
{
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		fixture_json(&f, mistakes[i].json);
		if (f.r != MP_E_INVALID_PARAMS || strcmp(f.err.field, mistakes[i].field) != 0)
			print_error("%s: %d %s (%s)\n", mistakes[i].json, f.r, f.err.field,
			    f.err.message);
		assert_int_equal(f.r, MP_E_INVALID_PARAMS);
		assert_string_equal(f.err.field, mistakes[i].field);
		assert_true(f.err.message[0] != '\0');
		fixture_clear(&f);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chat_params__text_and_system),
		cmocka_unit_test(test_chat_params__conversation_with_tools),
		cmocka_unit_test(test_chat_params__options),
		cmocka_unit_test(test_chat_params__stop_as_one_text),
		cmocka_unit_test(test_chat_params__image_type_comes_from_its_bytes),
		cmocka_unit_test(test_chat_params__bytes_as_bin),
		cmocka_unit_test(test_chat_params__text_files_are_inlined_under_their_name),
		cmocka_unit_test(test_chat_params__attachments_go_to_the_last_user_message),
		cmocka_unit_test(test_chat_params__a_file_alone_is_a_prompt),
		cmocka_unit_test(test_chat_params__every_mistake_is_named_by_its_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

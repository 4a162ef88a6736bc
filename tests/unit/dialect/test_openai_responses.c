/* The openai-responses dialect: the request as JSON, odd streams, whole replies, refusals. */
#include "tests/unit/dialect/listener.h"

#include <math.h>

#define FOLDER MPD_SOURCE_DIR "/tests/transcripts/openai-responses"
#define LANGUAGE "openai-responses"

static int
encode_raw(
    const struct chat_request *c, struct heard *h, struct wire_request *req, struct error *err)
{
	struct provider *p = provider_new();
	struct dialect_target to = { p, "gpt-6.2-sol" };
	struct event_sink sink = { hear, h };
	int r;

	free(p->name);
	p->name = xstrdup("openai");
	memset(h, 0, sizeof *h);
	r = dialect_find(LANGUAGE)->encode(c, &to, req, &sink, err);
	provider_free(p);
	return r;
}

static json_t *
encode(const struct chat_request *c, struct heard *h)
{
	struct error err = ERROR_INIT;
	struct wire_request req;
	json_error_t problem;
	json_t *body;

	if (encode_raw(c, h, &req, &err) != 0)
		fail_msg("refused: %s %s", err.field, err.message);
	assert_string_equal(req.method, "POST");
	assert_string_equal(req.path, "/responses");
	assert_false(req.at_origin);
	body = json_loadb(
	    req.body.data, req.body.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &problem);
	if (body == NULL)
		fail_msg("%s in %s", problem.text, req.body.data);
	wire_request_clear(&req);
	return body;
}

static void
assert_json(const json_t *body, const char *key, const char *expected)
{
	json_t *want = expected != NULL ? json_loads(expected, JSON_DECODE_ANY, NULL) : NULL;
	json_t *have = json_object_get(body, key);

	if (expected == NULL ? have != NULL : !json_equal(want, have)) {
		char *text = have != NULL ? json_dumps(have, JSON_ENCODE_ANY) : NULL;

		fail_msg("%s is %s", key, text != NULL ? text : "absent");
	}
	json_decref(want);
}

static struct chat_message *
say(struct chat_request *c, enum role role, const char *text)
{
	struct chat_message *m = chat_add_message(c, role);

	if (text != NULL)
		chat_add_text(m, text, strlen(text));
	return m;
}

static struct chat_request *
hello(void)
{
	struct chat_request *c = chat_request_new();

	say(c, ROLE_USER, "Hello");
	return c;
}

static void
add_call(struct chat_message *m, const char *id, const char *name, const char *arguments)
{
	struct part *p = chat_add_part(m, PART_TOOL_CALL);

	p->call_id = xstrdup(id);
	p->name = xstrdup(name);
	text_set(&p->arguments, arguments, strlen(arguments));
}

static void
add_result(struct chat_request *c, const char *id, const char *text, bool is_error)
{
	struct part *p = chat_add_part(say(c, ROLE_TOOL, NULL), PART_TOOL_RESULT);

	p->call_id = xstrdup(id);
	p->is_error = is_error;
	text_set(&p->text, text, strlen(text));
}

static void
add_file(struct chat_message *m, enum part_type type, const char *media, const char *name,
    const char *bytes, size_t n)
{
	struct part *p = chat_add_part(m, type);

	p->media_type = xstrdup(media);
	p->name = xstrdup(name);
	text_set(&p->bytes, bytes, n);
}

static void
add_reasoning(
    struct chat_message *m, const char *text, const char *signature, const char *signed_by)
{
	struct part *p = chat_add_part(m, PART_REASONING);

	if (text != NULL)
		text_set(&p->text, text, strlen(text));
	p->redacted = text == NULL;
	text_set(&p->signature, signature, strlen(signature));
	p->signed_by = xstrdup(signed_by);
}

static void
set_extra(struct chat_request *c, const char *text)
{
	text_set(&c->options.extra, text, strlen(text));
}

/* ---- the request ---- */

/* What the canonical chat says in another way: kinds spelled out, no item ids, no detail. */
static json_t *
full_expected(void)
{
	json_t *want = expected_read(FOLDER "/request-full.json"), *item, *content, *part;
	size_t i;

	json_array_foreach(json_object_get(want, "input"), i, item) {
		json_object_del(item, "id");
		if (json_object_get(item, "role") != NULL)
			json_object_set_new(item, "type", json_pack("s", "message"));
		content = json_object_get(item, "content");
		if (json_typeof(content != NULL ? content : item) == JANSSON_STRING) {
			part = json_pack("[{s:s, s:O}]", "type", "input_text", "text", content);
			json_object_set_new(item, "content", part);
		}
	}
	part = json_array_get(json_object_get(json_array_get(json_object_get(want, "input"), 0),
	    "content"), 1);
	json_object_set_new(part, "detail", json_pack("s", "auto"));
	return want;
}

static struct chat_request *
full_request(const json_t *want)
{
	struct chat_request *c = chat_request_new();
	const json_t *tool = json_array_get(json_object_get(want, "tools"), 0);
	char *schema = json_dumps(json_object_get(tool, "parameters"), 0);
	struct chat_message *m;
	struct tool *t;

	say(c, ROLE_SYSTEM, "Answer briefly.");
	m = say(c, ROLE_USER, "Compare the weather in Oslo and Rome.");
	add_file(m, PART_IMAGE, "image/png", NULL, "\x89PNG\r\n\x1a\n", 8);
	m = say(c, ROLE_ASSISTANT, NULL);
	add_reasoning(m, NULL, "Z0FBQUFB", "openai:gpt-6.2-sol");
	add_call(m, "call_a1", "get_weather", "{\"city\":\"Oslo\"}");
	add_call(m, "call_b2", "get_weather", "{\"city\":\"Rome\"}");
	add_result(c, "call_b2", "21 C, sunny", false);
	add_result(c, "call_a1", "{\"temp_c\":3,\"sky\":\"snow\"}", false);
	say(c, ROLE_ASSISTANT, "Oslo snow, Rome sun.");
	say(c, ROLE_USER, "And tomorrow?");
	t = chat_add_tool(c, "get_weather");
	t->description = xstrdup("Current weather of a city");
	text_set(&t->parameters, schema, strlen(schema));
	t->strict = 1;
	free(schema);
	c->options.tool_choice = TOOL_CHOICE_AUTO;
	c->options.parallel_tool_calls = 1;
	c->options.reasoning_effort = xstrdup("low");
	c->want_reasoning = true;
	c->options.format = FORMAT_TEXT;
	c->options.max_tokens = 800;
	set_extra(c, "{\"prompt_cache_key\":\"mpd-demo\"}");
	return c;
}

static void
test_responses__the_full_request(void **state)
{
	json_t *want = full_expected(), *have;
	struct chat_request *c = full_request(want);
	struct heard h;

	(void)state;
	have = encode(c, &h);
	if (!json_equal(want, have))
		fail_msg("%s\ninstead of\n%s", json_dumps(have, JSON_SORT_KEYS),
		    json_dumps(want, JSON_SORT_KEYS));
	assert_int_equal(h.warning_count, 0);
	json_decref(want);
	json_decref(have);
	chat_request_free(c);
	heard_clear(&h);
}

static void
test_responses__history(void **state)
{
	struct chat_request *c = chat_request_new();
	struct chat_message *m;
	struct heard h;
	json_t *body;

	(void)state;
	say(c, ROLE_SYSTEM, "a");
	say(c, ROLE_SYSTEM, "b");
	m = chat_add_message(c, ROLE_USER);
	add_file(m, PART_DOCUMENT, "text/plain", "n.txt", "note", 4);
	add_file(m, PART_DOCUMENT, "application/pdf", "a.pdf", "%PDF", 4);
	chat_add_part(m, PART_IMAGE)->url = xstrdup("https://x.example/a.png");
	m = say(c, ROLE_ASSISTANT, "Hm.");
	add_reasoning(m, "foreign", "sig", "openai:gpt-5");
	add_reasoning(m, "own", "sig", "openai:gpt-6.2-sol");
	add_call(m, "c1", "f", "");
	add_call(m, "c2", "g", "{}");
	add_result(c, "c1", "bad", true);
	say(c, ROLE_SYSTEM, "later");
	body = encode(c, &h);
	assert_json(body, "instructions", "\"a\\n\\nb\"");
	assert_json(body, "input",
	    "[{\"type\":\"message\",\"role\":\"user\",\"content\":["
	    "{\"type\":\"input_text\",\"text\":\"File n.txt:\\n\\nnote\"},"
	    "{\"type\":\"input_file\",\"filename\":\"a.pdf\",\"file_data\":\"data:application/"
	    "pdf;base64,JVBERg==\"},"
	    "{\"type\":\"input_image\",\"image_url\":\"https://x.example/"
	    "a.png\",\"detail\":\"auto\"}]},"
	    "{\"type\":\"message\",\"role\":\"assistant\",\"content\":["
	    "{\"type\":\"output_text\",\"text\":\"Hm.\",\"annotations\":[]}]},"
	    "{\"type\":\"reasoning\",\"summary\":[{\"type\":\"summary_text\",\"text\":\"own\"}],"
	    "\"encrypted_content\":\"sig\"},"
	    "{\"type\":\"function_call\",\"call_id\":\"c1\",\"name\":\"f\",\"arguments\":\"{}\"},"
	    "{\"type\":\"function_call\",\"call_id\":\"c2\",\"name\":\"g\",\"arguments\":\"{}\"},"
	    "{\"type\":\"function_call_output\",\"call_id\":\"c1\",\"output\":\"Error: bad\"},"
	    "{\"type\":\"function_call_output\",\"call_id\":\"c2\",\"output\":\"Error: no "
	    "result\"},"
	    "{\"type\":\"message\",\"role\":\"system\",\"content\":\"later\"}]");
	assert_int_equal(h.warning_count, 2);
	json_decref(body);
	chat_request_free(c);
	heard_clear(&h);
}

static void
test_responses__options(void **state)
{
	struct chat_request *c = hello();
	struct heard h;
	json_t *body;

	(void)state;
	chat_add_tool(c, "f")->strict = -1;
	c->options.tool_choice = TOOL_CHOICE_ONE;
	c->options.tool_choice_name = xstrdup("f");
	c->options.seed = 1;
	c->options.top_k = 2;
	c->options.presence_penalty = 0.5;
	c->options.frequency_penalty = 0.5;
	c->options.temperature = 0.5;
	c->options.reasoning_effort = xstrdup("off");
	c->options.format = FORMAT_JSON_SCHEMA;
	c->options.stream = 0;
	text_set(&c->options.schema, "{\"type\":\"object\"}", 17);
	set_extra(c, "{\"store\":true}");
	body = encode(c, &h);
	assert_json(body, "tool_choice", "{\"type\":\"function\",\"name\":\"f\"}");
	assert_json(body, "tools", "[{\"type\":\"function\",\"name\":\"f\",\"strict\":false,"
	    "\"parameters\":{\"type\":\"object\",\"properties\":{}}}]");
	assert_json(body, "temperature", "0.5");
	assert_json(body, "reasoning", "{\"effort\":\"none\"}");
	assert_json(body, "include", NULL);
	assert_json(body, "text", "{\"format\":{\"type\":\"json_schema\",\"name\":\"answer\","
	    "\"schema\":{\"type\":\"object\"}}}");
	assert_json(body, "store", "true");
	assert_json(body, "stream", NULL);
	assert_json(body, "seed", NULL);
	assert_int_equal(h.warning_count, 4);
	json_decref(body);
	chat_request_free(c);
	heard_clear(&h);
}

static void
test_responses__what_cannot_be_said_is_refused(void **state)
{
	static const struct {
		const char *extra, *field;
	} rows[] = {
		{ NULL, "stop" }, /* which this API does not have */
		{ "{\"previous_response_id\":\"resp_1\"}", "extra" },
		{ "{\"conversation\":\"x\"}", "extra" }, { "{\"background\":true}", "extra" },
		{ "{\"instructions\":\"x\"}", "extra" }, { "{\"tools\":[]}", "extra" },
		{ "{\"text\":{}}", "extra" }, { "{\"n\":2}", "extra" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct chat_request *c = hello();
		struct error err = ERROR_INIT;
		struct wire_request req;
		struct heard h;

		chat_add_tool(c, "f");
		c->options.format = FORMAT_JSON;
		if (rows[i].extra != NULL) {
			set_extra(c, rows[i].extra);
		} else {
			c->options.stop = xcalloc(2, sizeof(char *));
			c->options.stop[0] = xstrdup("END");
		}
		assert_int_equal(encode_raw(c, &h, &req, &err), MP_E_INVALID_PARAMS);
		assert_string_equal(err.field, rows[i].field);
		assert_int_equal(req.body.len, 0);
		wire_request_clear(&req);
		chat_request_free(c);
		heard_clear(&h);
	}
}

/* ---- the answer ---- */

static void
test_responses__a_whole_reply(void **state)
{
	struct heard h;
	size_t n;
	char *body = file_read(FOLDER "/reply.json", &n);

	(void)state;
	read_reply_of(LANGUAGE, body, n, &h);
	assert_string_equal(buf_str(&h.text), "Oslo has snow, Rome sun.");
	assert_string_equal(h.model, "gpt-6.2-sol");
	assert_int_equal(h.stop, STOP_END);
	assert_int_equal(h.reasoning_ends, 0);
	assert_int_equal(h.usage.input_tokens, 1219);
	assert_int_equal(h.usage.cache_read_tokens, 1024);
	assert_int_equal(h.usage.reasoning_tokens, 40);
	heard_clear(&h);
	free(body);
}

static void
test_responses__replies_by_status(void **state)
{
	static const struct {
		const char *body, *class; /* class NULL: it finishes */
		enum stop_reason stop;
	} rows[] = {
	    {"{\"output\":[]}", NULL, STOP_END},
	    {"{\"status\":\"incomplete\",\"incomplete_details\":{\"reason\":\"content_filter\"},"
	     "\"output\":[]}",
		NULL, STOP_CONTENT_FILTER},
	    {"{\"status\":\"incomplete\",\"output\":[]}", NULL, STOP_OTHER},
	    {"{\"status\":\"incomplete\",\"output\":[{\"type\":\"function_call\",\"call_id\":\"c\","
	     "\"name\":\"f\",\"arguments\":\"{\\\"a\",\"status\":\"incomplete\"}]}",
		NULL, STOP_LENGTH},
	    {"{\"status\":\"failed\",\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"x\"}"
	     "}",
		"rate_limit", STOP_END},
	    {"{\"status\":\"queued\",\"output\":[]}", "protocol", STOP_END},
	    {"{\"error\":{\"message\":\"x\",\"code\":\"context_length_exceeded\"}}",
		"context_length", STOP_END},
	    {"{}", "protocol", STOP_END},
	    {"", "protocol", STOP_END},
	    {"hi", "protocol", STOP_END},
	};
	struct heard h;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		read_reply_of(LANGUAGE, rows[i].body, strlen(rows[i].body), &h);
		assert_int_equal(h.finishes, rows[i].class == NULL);
		if (rows[i].class == NULL)
			assert_int_equal(h.stop, rows[i].stop);
		else
			assert_string_equal(failure_class_name(h.failure.class), rows[i].class);
		heard_clear(&h);
	}
}

/* As llama.cpp sends them: no places, ids that pair only sometimes; and a [DONE] that nobody needs.
 */
static void
test_responses__events_without_places(void **state)
{
	static const char *const frames[] = {
	    "{\"type\":\"response.created\",\"response\":{\"id\":\"r\",\"model\":\"m\"}}",
	    "{\"type\":\"response.output_item.added\",\"item\":{\"type\":\"reasoning\",\"id\":"
	    "\"rs\"}}",
	    "{\"type\":\"response.reasoning_text.delta\",\"item_id\":\"rs\",\"delta\":\"hm\"}",
	    "{\"type\":\"response.output_item.done\",\"item\":{\"type\":\"reasoning\",\"id\":"
	    "\"rs\","
	    "\"encrypted_content\":\"\",\"content\":[{\"text\":\"hm\"}]}}",
	    "{\"type\":\"response.output_text.delta\",\"item_id\":\"msg\",\"delta\":\"a\\ud83d\"}",
	    "{\"type\":\"response.output_text.delta\",\"item_id\":\"msg\",\"delta\":\"\\ude00\"}",
	    "{\"type\":\"response.output_item.done\",\"item\":{\"type\":\"message\",\"id\":\"msg\","
	    "\"content\":[{\"type\":\"output_text\",\"text\":\"a\"}]}}",
	    "{\"type\":\"response.output_item.added\",\"item\":{\"type\":\"function_call\","
	    "\"call_id\":\"fc_1\",\"name\":\"f\",\"arguments\":\"\"}}",
	    "{\"type\":\"response.function_call_arguments.delta\",\"item_id\":\"fc_1\",\"delta\":"
	    "\"{\\\"a\\\":\"}",
	    "{\"type\":\"response.output_item.done\",\"item\":{\"type\":\"function_call\","
	    "\"call_id\":\"fc_1\",\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}}",
	    "{\"type\":\"response.something.new\",\"delta\":\"?\"}",
	    "{\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":3}}}",
	    "[DONE]",
	    NULL,
	};
	struct heard h;

	(void)state;
	read_frames_of(LANGUAGE, frames, &h);
	assert_string_equal(buf_str(&h.reasoning), "hm");
	assert_int_equal(h.reasoning_ends, 1);
	assert_string_equal(buf_str(&h.text), "a\xf0\x9f\x98\x80");
	assert_int_equal(h.call_count, 1);
	assert_string_equal(buf_str(&h.calls[0].arguments), "{\"a\":1}");
	assert_true(h.calls[0].ended);
	assert_int_equal(h.stop, STOP_TOOL_CALL);
	assert_int_equal(h.usage.input_tokens, 3);
	heard_clear(&h);
}

static void
test_responses__refusals_and_summaries(void **state)
{
	static const char *const frames[] = {
	    "{\"type\":\"response.reasoning_summary_part.added\",\"output_index\":0,\"summary_"
	    "index\":0}",
	    "{\"type\":\"response.reasoning_summary_text.delta\",\"output_index\":0,\"delta\":"
	    "\"one\"}",
	    "{\"type\":\"response.reasoning_summary_part.added\",\"output_index\":0,\"summary_"
	    "index\":1}",
	    "{\"type\":\"response.reasoning_summary_text.delta\",\"output_index\":0,\"delta\":"
	    "\"two\"}",
	    "{\"type\":\"response.reasoning_text.delta\",\"output_index\":0,\"delta\":\"raw\"}",
	    "{\"type\":\"response.refusal.delta\",\"output_index\":1,\"delta\":\"No.\"}",
	    "{\"type\":\"response.completed\",\"response\":{}}",
	    NULL,
	};
	struct heard h;

	(void)state;
	read_frames_of(LANGUAGE, frames, &h);
	assert_string_equal(buf_str(&h.reasoning), "one\n\ntwo");
	assert_string_equal(buf_str(&h.refusal), "No.");
	assert_int_equal(h.text.len, 0);
	assert_int_equal(h.stop, STOP_END);
	heard_clear(&h);
}

static void
test_responses__streams_that_break(void **state)
{
	static const struct {
		const char *frames[3];
		const char *class;
	} rows[] = {
	    {{NULL}, "protocol"},
	    {{"[DONE]"}, "protocol"},
	    {{"{\"type\":\"response.created\",\"response\":{}}"}, "protocol"},
	    {{"{\"type\":\"response.output_text.delta\",\"delta\":\"x\"}", "{\"ty"}, "protocol"},
	    {{"{\"error\":{\"message\":\"no\",\"code\":\"server_error\"}}"}, "server"},
	    {{"{\"type\":\"error\",\"error\":{\"message\":\"no\",\"code\":\"invalid_prompt\"}}"},
		"content_policy"},
	    {{"{\"type\":\"response.failed\",\"response\":{}}"}, "server"},
	    {{"{\"type\":\"response.failed\"}"}, "server"},
	};
	struct heard h;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		read_frames_of(LANGUAGE, rows[i].frames, &h);
		assert_int_equal(h.errors, 1);
		assert_string_equal(failure_class_name(h.failure.class), rows[i].class);
		assert_string_not_equal(h.failure.message, "");
		heard_clear(&h);
	}
}

/* What is told about a foreign name is text like any other. */
static void
test_responses__a_name_is_cut_between_letters(void **state)
{
	static const char *const frames[] = {
	    "{\"type\":\"response.output_item.added\",\"item\":{\"type\":\"function_call\","
	    "\"name\":"
	    "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\u00fc\","
	    "\"arguments\":\"{\"}}",
	    "{\"type\":\"response.incomplete\",\"response\":{}}",
	    NULL,
	};
	struct heard h;

	(void)state;
	read_frames_of(LANGUAGE, frames, &h);
	assert_false(h.bad_utf8);
	assert_int_equal(h.warning_count, 1);
	assert_non_null(strstr(h.warnings.data, "was cut off"));
	assert_int_equal(h.stop, STOP_LENGTH);
	heard_clear(&h);
}

static void
test_responses__the_classifier_is_that_of_openai(void **state)
{
	json_t *file = expected_read(FOLDER "/error-400-previous-response.json");
	struct wire_head head = { 400, NULL, 0 };
	char *body = json_dumps(json_object_get(file, "body"), 0);
	struct failure f;

	(void)state;
	dialect_find(LANGUAGE)->refuse(NULL, &head, slice_of(body), 0, &f);
	assert_string_equal(failure_class_name(f.class), "bad_request");
	assert_string_equal(f.code, "previous_response_not_found");
	free(body);
	json_decref(file);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_responses__the_full_request),
		cmocka_unit_test(test_responses__history),
		cmocka_unit_test(test_responses__options),
		cmocka_unit_test(test_responses__what_cannot_be_said_is_refused),
		cmocka_unit_test(test_responses__a_whole_reply),
		cmocka_unit_test(test_responses__replies_by_status),
		cmocka_unit_test(test_responses__events_without_places),
		cmocka_unit_test(test_responses__refusals_and_summaries),
		cmocka_unit_test(test_responses__streams_that_break),
		cmocka_unit_test(test_responses__a_name_is_cut_between_letters),
		cmocka_unit_test(test_responses__the_classifier_is_that_of_openai),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

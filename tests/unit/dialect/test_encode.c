/* The request on the wire, compared as JSON. */
#include "tests/unit/dialect/listener.h"

#include <math.h>

static struct provider *
provider_at(const char *name, const char *base_url)
{
	struct provider *p = provider_new();

	free(p->name);
	free(p->base_url);
	p->name = xstrdup(name);
	p->base_url = xstrdup(base_url);
	return p;
}

/* Encodes and parses; NULL when it was refused. */
static json_t *
encode_at(const char *name, const char *base_url, const struct chat_request *c, struct heard *h,
    struct error *err)
{
	struct provider *p = provider_at(name, base_url);
	struct dialect_target to = { p, "the-model" };
	struct event_sink sink = { hear, h };
	struct wire_request req;
	json_t *body = NULL;
	json_error_t problem;

	memset(h, 0, sizeof *h);
	if (dialect_find("openai-chat")->encode(c, &to, &req, &sink, err) == 0) {
		assert_string_equal(req.method, "POST");
		assert_string_equal(req.path, "/chat/completions");
		body = json_loadb(req.body.data, req.body.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL,
		    &problem);
		if (body == NULL)
			fail_msg("%s in %s", problem.text, req.body.data);
	} else {
		assert_int_equal(req.body.len, 0);
	}
	wire_request_clear(&req);
	provider_free(p);
	return body;
}

static json_t *
encode(const struct chat_request *c, struct heard *h)
{
	struct error err = ERROR_INIT;
	json_t *body = encode_at("x", "https://x.example/v1", c, h, &err);

	if (body == NULL)
		fail_msg("refused: %s %s", err.field, err.message);
	return body;
}

static void
assert_json(const json_t *body, const char *key, const char *expected)
{
	json_t *want = json_loads(expected, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	json_t *have = json_object_get(body, key);

	assert_non_null(want);
	if (!json_equal(want, have)) {
		char *text = have != NULL ? json_dumps(have, JSON_ENCODE_ANY) : NULL;

		fail_msg("%s is %s", key, text != NULL ? text : "absent");
	}
	json_decref(want);
}

static void
set(struct text *t, const char *text)
{
	text_set(t, text, strlen(text));
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
add_result(struct chat_message *m, const char *id, const char *text)
{
	struct part *p = chat_add_part(m, PART_TOOL_RESULT);

	p->call_id = xstrdup(id);
	text_set(&p->text, text, strlen(text));
}

static void
add_image(struct chat_message *m, const char *type, const char *bytes, size_t n)
{
	struct part *p = chat_add_part(m, PART_IMAGE);

	p->media_type = xstrdup(type);
	text_set(&p->bytes, bytes, n);
}

/* ---- the rich request of the samples ---- */

static struct chat_request *
full_request(const json_t *file)
{
	struct chat_request *c = chat_request_new();
	struct chat_message *m;
	struct tool *t;
	const json_t *tool = json_array_get(json_object_get(file, "tools"), 0);
	const json_t *function = json_object_get(tool, "function");
	char *schema = json_dumps(json_object_get(function, "parameters"), 0);

	say(c, ROLE_SYSTEM, "Answer briefly.");
	m = say(c, ROLE_USER, "Compare the weather in Oslo and Rome. ");
	add_image(m, "image/png", "\x89PNG\r\n\x1a\n", 8);
	m = say(c, ROLE_ASSISTANT, NULL);
	add_call(m, "call_a1", "get_weather", "{\"city\":\"Oslo\"}");
	add_call(m, "call_b2", "get_weather", "{\"city\":\"Rome\"}");
	add_result(say(c, ROLE_TOOL, NULL), "call_b2", "21 C, sunny");
	add_result(say(c, ROLE_TOOL, NULL), "call_a1", "{\"temp_c\":3,\"sky\":\"snow\"}");
	say(c, ROLE_USER, "And in one line, please.");
	t = chat_add_tool(c, "get_weather");
	t->description = xstrdup("Current weather of a city");
	set(&t->parameters, schema);
	t->strict = 1;
	free(schema);
	c->options.tool_choice = TOOL_CHOICE_AUTO;
	c->options.parallel_tool_calls = 1;
	c->options.max_tokens = 800;
	c->options.reasoning_effort = xstrdup("low");
	c->options.stop = xcalloc(2, sizeof(char *));
	c->options.stop[0] = xstrdup("END");
	c->options.format = FORMAT_TEXT;
	set(&c->options.extra, "{\"metadata\":{\"app\":\"mpd\"}}");
	return c;
}

static void
test_encode__the_full_request(void **state)
{
	json_t *want = expected_read(MPD_SOURCE_DIR "/tests/transcripts/openai-chat/request-full.json");
	struct chat_request *c = full_request(want);
	json_t *messages = json_object_get(want, "messages"), *have;
	struct error err = ERROR_INIT;
	struct heard h;

	(void)state;
	/* what the canonical chat says in another way, or not at all */
	json_object_set_new(want, "model", json_loads("\"the-model\"", JSON_DECODE_ANY, NULL));
	json_object_set_new(json_array_get(messages, 0), "role",
	    json_loads("\"system\"", JSON_DECODE_ANY, NULL));
	json_object_del(json_object_get(json_array_get(json_object_get(json_array_get(messages, 1),
	                    "content"), 1), "image_url"), "detail");
	have = encode_at("openai", "https://api.openai.com/v1", c, &h, &err);
	if (have == NULL)
		fail_msg("refused: %s", err.message);
	if (!json_equal(want, have))
		fail_msg("%s\ninstead of\n%s", json_dumps(have, JSON_SORT_KEYS),
		    json_dumps(want, JSON_SORT_KEYS));
	assert_int_equal(h.warning_count, 0);
	json_decref(want);
	json_decref(have);
	chat_request_free(c);
	heard_clear(&h);
}

/* ---- houses ---- */

static void
test_encode__max_tokens_by_house(void **state)
{
	static const struct {
		const char *name, *url, *key;
	} rows[] = {
		{ "x", "https://api.openai.com/v1", "max_completion_tokens" },
		{ "x", "https://me.openai.azure.com/openai/v1", "max_completion_tokens" },
		{ "openai", "https://proxy.example/v1", "max_completion_tokens" },
		{ "x", "https://x.example/v1", "max_tokens" },
		{ "x", "https://api.openai.com.evil.example/v1", "max_tokens" },
		{ "openrouter", "https://openrouter.ai/api/v1", "max_tokens" },
		{ "lmstudio", "http://127.0.0.1:1234/v1", "max_tokens" },
	};
	struct chat_request *c = hello();
	struct error err = ERROR_INIT;
	struct heard h;

	(void)state;
	c->options.max_tokens = 7;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		json_t *body = encode_at(rows[i].name, rows[i].url, c, &h, &err);

		assert_json(body, rows[i].key, "7");
		json_decref(body);
		heard_clear(&h);
	}
	chat_request_free(c);
}

static void
test_encode__reasoning_by_house(void **state)
{
	static const struct {
		const char *url, *effort, *key, *value;
		int stream;
	} rows[] = {
		{ "https://api.openai.com/v1", "low", "reasoning_effort", "\"low\"", -1 },
		{ "https://api.openai.com/v1", "off", "reasoning_effort", "\"none\"", -1 },
		{ "https://x.example/v1", "high", "reasoning_effort", "\"high\"", -1 },
		{ "https://openrouter.ai/api/v1", "high", "reasoning", "{\"effort\":\"high\"}", -1 },
		{ "https://openrouter.ai/api/v1", "off", "reasoning", "{\"effort\":\"none\"}", -1 },
		{ "https://dashscope.aliyuncs.com/v1", "off", "enable_thinking", "false", -1 },
		{ "https://dashscope.aliyuncs.com/v1", "high", "enable_thinking", "true", 1 },
		{ "https://dashscope.aliyuncs.com/v1", "low", "thinking_budget", "2048", 1 },
		{ "https://dashscope.aliyuncs.com/v1", "high", "enable_thinking", "false", 0 },
		{ "http://localhost:11434/v1", "xhigh", "reasoning_effort", "\"max\"", -1 },
		{ "http://localhost:11434/v1", "minimal", "reasoning_effort", "\"low\"", -1 },
	};
	struct error err = ERROR_INIT;
	struct heard h;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct chat_request *c = hello();
		json_t *body;

		c->options.reasoning_effort = xstrdup(rows[i].effort);
		c->options.stream = rows[i].stream;
		body = encode_at("x", rows[i].url, c, &h, &err);
		assert_json(body, rows[i].key, rows[i].value);
		if (strcmp(rows[i].key, "reasoning_effort") != 0)
			assert_null(json_object_get(body, "reasoning_effort"));
		json_decref(body);
		chat_request_free(c);
		heard_clear(&h);
	}
}

static void
test_encode__openrouter_hears_our_name(void **state)
{
	struct provider *p = provider_at("openrouter", "https://openrouter.ai/api/v1");
	struct dialect_target to = { p, "openai/gpt-6.2-sol" };
	struct chat_request *c = hello();
	struct wire_request req;
	struct heard h;
	struct event_sink sink = { hear, &h };
	struct error err = ERROR_INIT;
	bool titled = false;

	(void)state;
	memset(&h, 0, sizeof h);
	assert_int_equal(dialect_find("openai-chat")->encode(c, &to, &req, &sink, &err), 0);
	for (size_t i = 0; i < req.header_count; i++)
		titled |= strcmp(req.headers[i].name, "X-OpenRouter-Title") == 0 &&
		    strcmp(req.headers[i].value, "mpd") == 0;
	assert_true(titled);
	assert_true(req.stream);
	wire_request_clear(&req);
	chat_request_free(c);
	provider_free(p);
	heard_clear(&h);
}

/* ---- options ---- */

static void
test_encode__only_what_was_said(void **state)
{
	struct chat_request *c = hello();
	struct heard h;
	json_t *body = encode(c, &h);

	(void)state;
	/* model, messages, stream, stream_options */
	assert_int_equal(json_object_size(body), 4);
	json_decref(body);
	c->options.stream = 0;
	body = encode(c, &h);
	assert_int_equal(json_object_size(body), 2);
	json_decref(body);
	chat_request_free(c);
}

static void
test_encode__sampling(void **state)
{
	struct chat_request *c = hello();
	struct error err = ERROR_INIT;
	struct heard h;
	json_t *body;

	(void)state;
	c->options.temperature = 0.7;
	c->options.top_p = 1;
	c->options.presence_penalty = -0.5;
	c->options.frequency_penalty = 0;
	c->options.seed = -9007199254740993;
	c->options.top_k = 40;
	body = encode(c, &h);
	assert_json(body, "temperature", "0.7");
	assert_true(json_object_get(body, "top_p") != NULL);
	assert_json(body, "presence_penalty", "-0.5");
	assert_json(body, "seed", "-9007199254740993");
	assert_json(body, "top_k", "40");
	json_decref(body);
	body = encode_at("openai", "https://api.openai.com/v1", c, &h, &err);
	assert_null(json_object_get(body, "top_k"));
	assert_int_equal(h.warning_count, 1);
	json_decref(body);
	heard_clear(&h);
	chat_request_free(c);
}

static void
test_encode__formats_of_the_answer(void **state)
{
	struct chat_request *c = hello();
	struct heard h;
	json_t *body;

	(void)state;
	c->options.format = FORMAT_JSON;
	body = encode(c, &h);
	assert_json(body, "response_format", "{\"type\":\"json_object\"}");
	json_decref(body);
	c->options.format = FORMAT_JSON_SCHEMA;
	c->options.schema_name = xstrdup("weather");
	set(&c->options.schema, "{\"type\":\"object\"}");
	body = encode(c, &h);
	assert_json(body, "response_format",
	    "{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"weather\","
	    "\"schema\":{\"type\":\"object\"}}}");
	json_decref(body);
	chat_request_free(c);
}

static void
test_encode__one_tool_must_be_used(void **state)
{
	struct chat_request *c = hello();
	struct heard h;
	json_t *body;

	(void)state;
	chat_add_tool(c, "f");
	c->options.tool_choice = TOOL_CHOICE_ONE;
	c->options.tool_choice_name = xstrdup("f");
	body = encode(c, &h);
	assert_json(body, "tool_choice", "{\"type\":\"function\",\"function\":{\"name\":\"f\"}}");
	assert_json(body, "tools", "[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]");
	json_decref(body);
	chat_request_free(c);
}

static void
test_encode__extra_members_win(void **state)
{
	struct chat_request *c = hello();
	struct heard h;
	json_t *body;
	static const char extra[] = "{\"temperature\":0.25,\"provider\":{\"sort\":\"price\"},"
	    "\"\\u0075ser\":\"u\",\"stream_options\":{}}";

	(void)state;
	c->options.temperature = 1;
	text_set(&c->options.extra, extra, sizeof extra - 1);
	body = encode(c, &h);
	assert_json(body, "temperature", "0.25");
	assert_json(body, "provider", "{\"sort\":\"price\"}");
	assert_json(body, "user", "\"u\"");
	assert_json(body, "stream_options", "{}");
	json_decref(body);
	chat_request_free(c);
}

static void
refused(struct chat_request *c, const char *field)
{
	struct error err = ERROR_INIT;
	struct heard h;
	json_t *body = encode_at("x", "https://x.example/v1", c, &h, &err);

	if (body != NULL)
		fail_msg("%s was taken", field);
	assert_int_equal(err.code, MP_E_INVALID_PARAMS);
	assert_string_equal(err.field, field);
	heard_clear(&h);
	chat_request_free(c);
}

static void
test_encode__what_is_refused(void **state)
{
	static const char *const extras[] = { "[]", "{", "{\"model\":\"x\"}", "{\"stream\":false}",
		"{\"n\":2}", "{\"messages\":[]}", "{\"a\":1,\"a\":2}", "\"x\"" };
	struct chat_request *c;
	struct part *p;

	(void)state;
	for (size_t i = 0; i < sizeof extras / sizeof extras[0]; i++) {
		c = hello();
		set(&c->options.extra, extras[i]);
		refused(c, "extra");
	}
	c = hello();
	c->options.stop = xcalloc(6, sizeof(char *));
	for (int i = 0; i < 5; i++)
		c->options.stop[i] = xstrdup("x");
	refused(c, "stop");
	c = hello();
	c->options.tool_choice = TOOL_CHOICE_REQUIRED;
	refused(c, "tool_choice");
	c = hello();
	set(&chat_add_tool(c, "f")->parameters, "{broken");
	refused(c, "tools");
	c = hello();
	c->options.format = FORMAT_JSON_SCHEMA;
	set(&c->options.schema, "[]");
	refused(c, "schema");
	c = hello();
	p = chat_add_part(&c->messages[0], PART_DOCUMENT);
	p->url = xstrdup("https://example.org/a.pdf");
	refused(c, "attachments");
}

/* ---- parts ---- */

static void
test_encode__text_keeps_every_character(void **state)
{
	static const char text[] = "a\0b \"\\ \x01 \xf0\x9f\x98\x80 \xe2\x80\xa8";
	struct chat_request *c = chat_request_new();
	struct heard h;
	json_t *body, *content;

	(void)state;
	chat_add_text(chat_add_message(c, ROLE_USER), text, sizeof text - 1);
	body = encode(c, &h);
	content = json_object_get(json_array_get(json_object_get(body, "messages"), 0), "content");
	assert_int_equal(json_string_length(content), sizeof text - 1);
	assert_memory_equal(json_string_value(content), text, sizeof text - 1);
	json_decref(body);
	chat_request_free(c);
}

static void
test_encode__images_and_documents(void **state)
{
	struct chat_request *c = chat_request_new();
	struct chat_message *m = say(c, ROLE_USER, "look");
	struct part *p;
	struct heard h;
	json_t *body;

	(void)state;
	add_image(m, "image/png", "\x89PNG\r\n\x1a\n", 8);
	p = chat_add_part(m, PART_IMAGE);
	p->url = xstrdup("https://example.org/a.png");
	p = chat_add_part(m, PART_DOCUMENT);
	p->media_type = xstrdup("application/pdf");
	p->name = xstrdup("r.pdf");
	text_set(&p->bytes, "%PDF-", 5);
	p = chat_add_part(m, PART_DOCUMENT);
	p->media_type = xstrdup("text/markdown");
	p->name = xstrdup("notes.md");
	text_set(&p->bytes, "# \xc3\xbc", 4);
	body = encode(c, &h);
	assert_json(body, "messages",
	    "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"look\"},"
	    "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,iVBORw0KGgo=\"}},"
	    "{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://example.org/a.png\"}},"
	    "{\"type\":\"file\",\"file\":{\"filename\":\"r.pdf\","
	    "\"file_data\":\"data:application/pdf;base64,JVBERi0=\"}},"
	    "{\"type\":\"text\",\"text\":\"File notes.md:\\n\\n# \\u00fc\"}]}]");
	json_decref(body);
	chat_request_free(c);
}

static void
test_encode__results_follow_their_calls(void **state)
{
	struct chat_request *c = chat_request_new();
	struct chat_message *m;
	struct heard h;
	json_t *body;

	(void)state;
	m = say(c, ROLE_ASSISTANT, "Let me see.");
	add_call(m, "a", "f", "");
	add_call(m, "b", "g", "{\"x\":1e400}");
	say(c, ROLE_USER, "hurry");
	m = say(c, ROLE_USER, "and");
	add_result(m, "b", "two");
	m->parts[1].is_error = true;
	m = say(c, ROLE_TOOL, NULL);
	add_result(m, "a", "one");
	add_image(m, "image/png", "x", 1);
	body = encode(c, &h);
	assert_json(body, "messages",
	    "[{\"role\":\"assistant\",\"content\":\"Let me see.\",\"tool_calls\":["
	    "{\"id\":\"a\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}},"
	    "{\"id\":\"b\",\"type\":\"function\",\"function\":{\"name\":\"g\","
	    "\"arguments\":\"{\\\"x\\\":1e400}\"}}]},"
	    "{\"role\":\"tool\",\"tool_call_id\":\"b\",\"content\":\"Error: two\"},"
	    "{\"role\":\"tool\",\"tool_call_id\":\"a\",\"content\":\"one\"},"
	    "{\"role\":\"user\",\"content\":\"hurry\"},{\"role\":\"user\",\"content\":\"and\"},"
	    "{\"role\":\"user\",\"content\":[{\"type\":\"image_url\","
	    "\"image_url\":{\"url\":\"data:image/png;base64,eA==\"}}]}]");
	json_decref(body);
	chat_request_free(c);
	heard_clear(&h);
}

static void
test_encode__missing_and_orphan_results(void **state)
{
	struct chat_request *c = chat_request_new();
	struct chat_message *m = say(c, ROLE_ASSISTANT, NULL);
	struct heard h;
	json_t *body;

	(void)state;
	add_call(m, "a", "f", "{}");
	add_result(say(c, ROLE_TOOL, NULL), "zzz", "whose?");
	body = encode(c, &h);
	assert_json(body, "messages",
	    "[{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"a\","
	    "\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},"
	    "{\"role\":\"tool\",\"tool_call_id\":\"a\",\"content\":\"Error: no result\"}]");
	assert_int_equal(h.warning_count, 2);
	json_decref(body);
	chat_request_free(c);
	heard_clear(&h);
}

static void
test_encode__system_texts_are_joined(void **state)
{
	struct chat_request *c = chat_request_new();
	struct chat_message *m = say(c, ROLE_SYSTEM, "one");
	struct heard h;
	json_t *body;

	(void)state;
	chat_add_text(m, "two", 3);
	body = encode(c, &h);
	assert_json(body, "messages", "[{\"role\":\"system\",\"content\":\"one\\n\\ntwo\"}]");
	json_decref(body);
	chat_request_free(c);
}

static void
test_encode__old_reasoning_is_left_out_and_told(void **state)
{
	struct chat_request *c = chat_request_new();
	struct chat_message *m;
	struct part *p;
	struct heard h;
	json_t *body;

	(void)state;
	for (int i = 0; i < 2; i++) {
		m = chat_add_message(c, ROLE_ASSISTANT);
		p = chat_add_part(m, PART_REASONING);
		text_set(&p->text, "hm", 2);
		chat_add_text(m, "answer", 6);
	}
	body = encode(c, &h);
	assert_json(body, "messages",
	    "[{\"role\":\"assistant\",\"content\":\"answer\"},"
	    "{\"role\":\"assistant\",\"content\":\"answer\"}]");
	assert_int_equal(h.warning_count, 1);
	json_decref(body);
	chat_request_free(c);
	heard_clear(&h);
}

static void
test_encode__too_large_is_said(void **state)
{
	struct chat_request *c = chat_request_new();
	size_t n = (size_t)50 << 20;
	char *bytes = malloc(n);
	struct error err = ERROR_INIT;
	struct heard h;

	(void)state;
	memset(bytes, 'x', n);
	add_image(chat_add_message(c, ROLE_USER), "image/png", bytes, n);
	free(bytes);
	assert_null(encode_at("x", "https://x.example/v1", c, &h, &err));
	assert_int_equal(err.code, MP_E_TOO_LARGE);
	chat_request_free(c);
	heard_clear(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_encode__the_full_request),
		cmocka_unit_test(test_encode__max_tokens_by_house),
		cmocka_unit_test(test_encode__reasoning_by_house),
		cmocka_unit_test(test_encode__openrouter_hears_our_name),
		cmocka_unit_test(test_encode__only_what_was_said),
		cmocka_unit_test(test_encode__sampling),
		cmocka_unit_test(test_encode__formats_of_the_answer),
		cmocka_unit_test(test_encode__one_tool_must_be_used),
		cmocka_unit_test(test_encode__extra_members_win),
		cmocka_unit_test(test_encode__what_is_refused),
		cmocka_unit_test(test_encode__text_keeps_every_character),
		cmocka_unit_test(test_encode__images_and_documents),
		cmocka_unit_test(test_encode__results_follow_their_calls),
		cmocka_unit_test(test_encode__missing_and_orphan_results),
		cmocka_unit_test(test_encode__system_texts_are_joined),
		cmocka_unit_test(test_encode__old_reasoning_is_left_out_and_told),
		cmocka_unit_test(test_encode__too_large_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

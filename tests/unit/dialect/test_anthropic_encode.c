/* Message requests on the wire, compared as JSON. */
#include "tests/unit/dialect/listener.h"

#include <math.h>

#define SAMPLES MPD_SOURCE_DIR "/tests/transcripts/anthropic"

/* What was sent. */
struct sent {
	json_t *body;
	char path[256];
	char version[256];
	struct heard heard;
	struct error err;
};

static void
send_to(struct sent *s, const char *base_url, const char *model, const struct chat_request *c)
{
	struct provider *p = provider_new();
	struct dialect_target to = { p, model };
	struct event_sink sink = { hear, &s->heard };
	struct wire_request req;
	json_error_t problem;

	memset(s, 0, sizeof *s);
	free(p->name);
	p->name = xstrdup("anthropic");
	free(p->base_url);
	p->base_url = xstrdup(base_url);
	if (dialect_find("anthropic-messages")->encode(c, &to, &req, &sink, &s->err) == 0) {
		s->body = json_loadb(req.body.data, req.body.len,
		    JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &problem);
		if (s->body == NULL)
			fail_msg("%s in %s", problem.text, req.body.data);
		assert_string_equal(req.method, "POST");
		assert_true(strlen(req.path) < sizeof s->path);
		strcpy(s->path, req.path);
		for (size_t i = 0; i < req.header_count; i++)
			if (strcmp(req.headers[i].name, "anthropic-version") == 0)
				snprintf(s->version, sizeof s->version, "%s", req.headers[i].value);
		assert_string_not_equal(s->version, "");
	} else {
		assert_int_equal(req.body.len, 0);
	}
	wire_request_clear(&req);
	provider_free(p);
}

static void
send_model(struct sent *s, const char *model, const struct chat_request *c)
{
	send_to(s, "https://api.anthropic.com", model, c);
	if (s->body == NULL)
		fail_msg("refused: %s %s", s->err.field, s->err.message);
}

static void
sent_clear(struct sent *s)
{
	json_decref(s->body);
	heard_clear(&s->heard);
}

/* The value at a path such as "messages.1.content.0"; NULL = absent. */
static const json_t *
at(const json_t *j, const char *path)
{
	char copy[128], *save, *word;

	snprintf(copy, sizeof copy, "%s", path);
	for (word = strtok_r(copy, ".", &save); word != NULL && j != NULL;
	    word = strtok_r(NULL, ".", &save))
		j = json_typeof(j) == JANSSON_ARRAY ? json_array_get(j, strtoul(word, NULL, 10))
		                                    : json_object_get(j, word);
	return j;
}

static void
is(const struct sent *s, const char *path, const char *expected)
{
	const json_t *have = at(s->body, path);
	json_t *want = json_loads(expected, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);

	assert_non_null(want);
	if (have == NULL || !json_equal(have, want)) {
		char *text = json_dumps(s->body, JSON_COMPACT);

		fail_msg("%s is not %s in %s", path, expected, text);
	}
	json_decref(want);
}

static void
absent(const struct sent *s, const char *path)
{
	if (at(s->body, path) != NULL)
		fail_msg("%s is there", path);
}

static void
warned(const struct sent *s, const char *words)
{
	if (strstr(buf_str(&s->heard.warnings), words) == NULL)
		fail_msg("no warning \"%s\" in \"%s\"", words, buf_str(&s->heard.warnings));
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

static struct part *
add_result(struct chat_message *m, const char *id, const char *text)
{
	struct part *p = chat_add_part(m, PART_TOOL_RESULT);

	p->call_id = xstrdup(id);
	text_set(&p->text, text, strlen(text));
	return p;
}

static struct part *
add_bytes(struct chat_message *m, enum part_type type, const char *media_type, const char *bytes)
{
	struct part *p = chat_add_part(m, type);

	p->media_type = xstrdup(media_type);
	text_set(&p->bytes, bytes, strlen(bytes));
	return p;
}

static struct part *
add_thought(struct chat_message *m, const char *text, const char *signature, const char *by)
{
	struct part *p = chat_add_part(m, PART_REASONING);

	text_set(&p->text, text, strlen(text));
	text_set(&p->signature, signature, strlen(signature));
	p->signed_by = xstrdup(by);
	return p;
}

static void
add_tool(struct chat_request *c, const char *name, const char *schema)
{
	struct tool *t = chat_add_tool(c, name);

	if (schema != NULL)
		text_set(&t->parameters, schema, strlen(schema));
}

static void
set_extra(struct chat_request *c, const char *json)
{
	text_set(&c->options.extra, json, strlen(json));
}

/* ---- the sample ---- */

static struct chat_request *
full(void)
{
	struct chat_request *c = chat_request_new();
	struct chat_message *m;
	struct tool *t;

	say(c, ROLE_SYSTEM, "Answer briefly.");
	m = say(c, ROLE_USER, "Compare the weather in Oslo and Rome.");
	add_bytes(m, PART_IMAGE, "image/png", "\x89PNG\r\n\x1a\n");
	m = chat_add_message(c, ROLE_ASSISTANT);
	add_thought(m, "", "RXFjQ0Nr", "anthropic:claude-sonnet-5-5");
	chat_add_text(m, "Let me look.", 12);
	add_call(m, "toolu_a1", "get_weather", "{\"city\":\"Oslo\"}");
	add_call(m, "toolu_b2", "get_weather", "{\"city\":\"Rome\"}");
	m = chat_add_message(c, ROLE_TOOL);
	add_result(m, "toolu_a1", "{\"temp_c\":3,\"sky\":\"snow\"}");
	m = chat_add_message(c, ROLE_TOOL);
	add_result(m, "toolu_b2", "station offline")->is_error = true;
	say(c, ROLE_USER, "And in one line, please.");
	add_tool(c, "get_weather",
	    "{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"}},\"required\":"
	    "[\"city\"]}");
	t = &c->tools[0];
	t->description = xstrdup("Current weather of a city");
	c->options.max_tokens = 1024;
	c->options.tool_choice = TOOL_CHOICE_AUTO;
	c->options.parallel_tool_calls = 1;
	c->options.reasoning_effort = xstrdup("low");
	c->options.stop = xcalloc(2, sizeof(char *));
	c->options.stop[0] = xstrdup("END");
	c->want_reasoning = true;
	set_extra(c, "{\"metadata\":{\"user_id\":\"u-7f3a\"}}");
	return c;
}

/* Texts alone may be a string or a list of one; cache marks are the user's to give. */
static void
level(json_t *j)
{
	json_t *messages = json_object_get(j, "messages");
	json_t *results = json_object_get(json_array_get(messages, 2), "content");
	json_t *first = json_array_get(results, 0);

	json_object_set_new(j, "system", json_stringn("Answer briefly.", 15));
	json_object_set_new(first, "content", json_stringn("{\"temp_c\":3,\"sky\":\"snow\"}", 25));
}

static void
test_encode__everything_as_the_sample_has_it(void **state)
{
	json_t *want = expected_read(SAMPLES "/request-full.json");
	struct chat_request *c = full();
	struct sent s;

	(void)state;
	level(want);
	send_model(&s, "claude-sonnet-5-5", c);
	if (!json_equal(want, s.body))
		fail_msg("%s\ninstead of\n%s", json_dumps(s.body, JSON_SORT_KEYS),
		    json_dumps(want, JSON_SORT_KEYS));
	assert_int_equal(s.heard.warning_count, 0);
	assert_string_equal(s.path, "/v1/messages");
	assert_string_equal(s.version, "2026-10-21");
	json_decref(want);
	sent_clear(&s);
	chat_request_free(c);
}

static void
test_encode__a_base_url_with_its_version(void **state)
{
	struct chat_request *c = hello();
	struct sent s;

	(void)state;
	send_to(&s, "http://127.0.0.1:8080/v1", "qwen3", c);
	assert_string_equal(s.path, "/messages");
	sent_clear(&s);
	send_to(&s, "https://dashscope-intl.aliyuncs.com/apps/anthropic", "qwen3-max", c);
	assert_string_equal(s.path, "/v1/messages");
	sent_clear(&s);
	chat_request_free(c);
}

/* ---- turns ---- */

static void
test_encode__system_texts_are_joined(void **state)
{
	struct chat_request *c = chat_request_new();
	struct sent s;

	(void)state;
	chat_add_text(say(c, ROLE_SYSTEM, "One."), "Two.", 4);
	say(c, ROLE_SYSTEM, "Three.");
	say(c, ROLE_USER, "Hi");
	say(c, ROLE_SYSTEM, "Be short.");
	send_model(&s, "claude-opus-5", c);
	is(&s, "system", "\"One.\\n\\nTwo.\\n\\nThree.\"");
	is(&s, "messages.0.content.1.text", "\"<system>\\nBe short.\\n</system>\"");
	absent(&s, "messages.1");
	warned(&s, "system message inside");
	sent_clear(&s);
	chat_request_free(c);
}

static void
test_encode__neighbours_are_merged_and_blanks_dropped(void **state)
{
	struct chat_request *c = chat_request_new();
	struct sent s;

	(void)state;
	say(c, ROLE_USER, "a");
	say(c, ROLE_ASSISTANT, " \n");
	say(c, ROLE_USER, "b");
	say(c, ROLE_ASSISTANT, "c");
	say(c, ROLE_ASSISTANT, "d");
	say(c, ROLE_USER, "");
	send_model(&s, "claude-opus-5", c);
	is(&s, "messages",
	    "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":"
	    "\"text\",\"text\":\"b\"}]},"
	    "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"c\"},{\"type\":"
	    "\"text\",\"text\":\"d\"}]},"
	    "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"(empty)\"}]}]");
	sent_clear(&s);
	chat_request_free(c);
}

static void
test_encode__the_user_begins(void **state)
{
	struct chat_request *c = chat_request_new();
	struct sent s;

	(void)state;
	say(c, ROLE_ASSISTANT, "Welcome");
	say(c, ROLE_USER, "Hi");
	send_model(&s, "claude-opus-5", c);
	is(&s, "messages.0", "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":"
	    "\"(continue)\"}]}");
	is(&s, "messages.1.role", "\"assistant\"");
	warned(&s, "(continue)");
	sent_clear(&s);
	chat_request_free(c);
}

static void
test_encode__an_answer_to_be_continued(void **state)
{
	struct chat_request *c = hello();
	struct sent s;

	(void)state;
	say(c, ROLE_ASSISTANT, "Dear \n");
	send_to(&s, "https://api.anthropic.com", "claude-sonnet-4-6", c);
	assert_null(s.body);
	assert_string_equal(s.err.field, "messages");
	sent_clear(&s);
	send_model(&s, "claude-haiku-4-5-20251001", c);
	is(&s, "messages.1.content.0.text", "\"Dear\"");
	sent_clear(&s);
	chat_request_free(c);
}

/* ---- tool calls ---- */

static void
test_encode__missing_results_are_made_up(void **state)
{
	struct chat_request *c = hello();
	struct chat_message *m = chat_add_message(c, ROLE_ASSISTANT);
	struct sent s;

	(void)state;
	add_call(m, "a", "one", "");
	add_call(m, "b", "two", "not json");
	m = say(c, ROLE_USER, "well?");
	add_result(m, "b", "2");
	add_tool(c, "one", NULL);
	send_model(&s, "claude-opus-5", c);
	is(&s, "messages.1.content.0.input", "{}");
	is(&s, "messages.1.content.1.input", "{\"_raw\":\"not json\"}");
	is(&s, "messages.2.content",
	    "[{\"type\":\"tool_result\",\"tool_use_id\":\"a\",\"content\":\"no result\",\"is_error\":true},"
	    "{\"type\":\"tool_result\",\"tool_use_id\":\"b\",\"content\":\"2\"},"
	    "{\"type\":\"text\",\"text\":\"well?\"}]");
	warned(&s, "the call of one has no result");
	sent_clear(&s);
	chat_request_free(c);
}

static void
test_encode__calls_at_the_end_get_results_too(void **state)
{
	struct chat_request *c = hello();
	struct sent s;

	(void)state;
	add_call(chat_add_message(c, ROLE_ASSISTANT), "a", "one", "{}");
	send_model(&s, "claude-opus-5", c);
	is(&s, "messages.2.content.0.tool_use_id", "\"a\"");
	/* definitions are demanded, and made up where there are none */
	is(&s, "tools.0.name", "\"one\"");
	is(&s, "tool_choice", "{\"type\":\"none\"}");
	sent_clear(&s);
	chat_request_free(c);
}

static void
test_encode__ids_and_names_are_made_to_fit(void **state)
{
	struct chat_request *c = hello();
	struct chat_message *m;
	struct sent s, again;

	(void)state;
	for (int i = 0; i < 2; i++) {
		m = chat_add_message(c, ROLE_ASSISTANT);
		add_call(m, "call:0", "fs.read", "{}");
		m = chat_add_message(c, ROLE_TOOL);
		add_result(m, "call:0", i == 0 ? "first" : "second");
	}
	add_tool(c, "fs.read", "{\"properties\":{}}");
	send_model(&s, "claude-opus-5", c);
	send_model(&again, "claude-opus-5", c);
	assert_true(json_equal(s.body, again.body));
	is(&s, "messages.1.content.0.id", "\"call_0_b263551b\"");
	is(&s, "messages.2.content.0.tool_use_id", "\"call_0_b263551b\"");
	is(&s, "messages.3.content.0.id", "\"call_0_b263551b_2\"");
	is(&s, "messages.4.content.0.tool_use_id", "\"call_0_b263551b_2\"");
	is(&s, "messages.4.content.0.content", "\"second\"");
	assert_true(json_equal(at(s.body, "tools.0.name"), at(s.body, "messages.1.content.0.name")));
	is(&s, "tools.0.input_schema", "{\"type\":\"object\",\"properties\":{}}");
	sent_clear(&s);
	sent_clear(&again);
	chat_request_free(c);
}

static void
test_encode__a_result_of_another_turn_is_left_out(void **state)
{
	struct chat_request *c = hello();
	struct chat_message *m = chat_add_message(c, ROLE_ASSISTANT);
	struct sent s;

	(void)state;
	add_call(m, "a", "one", "{}");
	add_result(chat_add_message(c, ROLE_TOOL), "a", "1");
	say(c, ROLE_ASSISTANT, "done");
	m = say(c, ROLE_USER, "next");
	add_result(m, "a", "again");
	send_model(&s, "claude-opus-5", c);
	is(&s, "messages.4.content", "[{\"type\":\"text\",\"text\":\"next\"}]");
	warned(&s, "without its call");
	sent_clear(&s);
	chat_request_free(c);
}

static void
test_encode__tool_choice(void **state)
{
	static const struct {
		const char *model;
		enum tool_choice choice;
		int parallel;
		const char *effort, *expected; /* NULL = absent */
	} rows[] = {
		{ "claude-opus-5", TOOL_CHOICE_UNSET, -1, NULL, NULL },
		{ "claude-opus-5", TOOL_CHOICE_UNSET, 0, NULL,
		    "{\"type\":\"auto\",\"disable_parallel_tool_use\":true}" },
		{ "claude-opus-5", TOOL_CHOICE_NONE, 0, NULL, "{\"type\":\"none\"}" },
		{ "claude-opus-5", TOOL_CHOICE_REQUIRED, -1, NULL, "{\"type\":\"any\"}" },
		{ "claude-opus-5", TOOL_CHOICE_ONE, -1, "high", "{\"type\":\"tool\",\"name\":\"one\"}" },
		{ "claude-opus-5-5", TOOL_CHOICE_ONE, -1, NULL, "{\"type\":\"auto\"}" },
		{ "claude-sonnet-5-5", TOOL_CHOICE_REQUIRED, -1, NULL, "{\"type\":\"auto\"}" },
		{ "claude-fable-5-1", TOOL_CHOICE_REQUIRED, -1, NULL, "{\"type\":\"auto\"}" },
		{ "claude-fable-5", TOOL_CHOICE_REQUIRED, -1, NULL, "{\"type\":\"any\"}" },
		{ "claude-opus-7", TOOL_CHOICE_REQUIRED, -1, NULL, "{\"type\":\"auto\"}" },
		{ "claude-haiku-4-5", TOOL_CHOICE_REQUIRED, -1, NULL, "{\"type\":\"any\"}" },
		{ "claude-haiku-4-5", TOOL_CHOICE_REQUIRED, -1, "low", "{\"type\":\"auto\"}" },
		{ "qwen3", TOOL_CHOICE_REQUIRED, -1, "low", "{\"type\":\"any\"}" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct chat_request *c = hello();
		struct sent s;

		add_tool(c, "one", NULL);
		c->options.tool_choice = rows[i].choice;
		c->options.tool_choice_name = rows[i].choice == TOOL_CHOICE_ONE ? xstrdup("one") : NULL;
		c->options.parallel_tool_calls = rows[i].parallel;
		c->options.reasoning_effort = xstrdup(rows[i].effort);
		send_model(&s, rows[i].model, c);
		if (rows[i].expected == NULL)
			absent(&s, "tool_choice");
		else
			is(&s, "tool_choice", rows[i].expected);
		if (rows[i].choice >= TOOL_CHOICE_REQUIRED && strstr(rows[i].expected, "auto") != NULL)
			warned(&s, "cannot be made to call a tool");
		sent_clear(&s);
		chat_request_free(c);
	}
}

/* ---- reasoning ---- */

static void
test_encode__effort(void **state)
{
	static const struct {
		const char *model, *effort;
		const char *thinking, *given; /* NULL = absent */
		int max_tokens;
	} rows[] = {
		{ "claude-opus-4-8", "minimal", "{\"type\":\"adaptive\",\"display\":\"omitted\"}",
		    "\"low\"", 1000 },
		{ "claude-opus-4-7", "max", "{\"type\":\"adaptive\",\"display\":\"omitted\"}",
		    "\"max\"", 1000 },
		{ "claude-opus-5-5", "off", NULL, "\"low\"", 1000 },
		{ "claude-fable-5", "none", NULL, "\"low\"", 1000 },
		{ "claude-sonnet-5", "off", "{\"type\":\"disabled\"}", NULL, 1000 },
		{ "claude-sonnet-4-6", "off", NULL, NULL, 1000 },
		{ "claude-sonnet-4-6", "low", "{\"type\":\"enabled\",\"budget_tokens\":2048}", NULL, 3048 },
		{ "anthropic/claude-haiku-4.5", "medium",
		    "{\"type\":\"enabled\",\"budget_tokens\":8192}", NULL, 9192 },
		{ "claude-opus-4-1-20250805", "max",
		    "{\"type\":\"enabled\",\"budget_tokens\":30976}", NULL, 32000 },
		{ "claude-3-5-sonnet-20241022", "high", NULL, NULL, 1000 },
		{ "qwen3", "high", "{\"type\":\"enabled\",\"budget_tokens\":24576}", NULL, 25576 },
		{ "qwen3", "off", "{\"type\":\"disabled\"}", NULL, 1000 },
		{ "claude-sonnet-5", NULL, NULL, NULL, 1000 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct chat_request *c = hello();
		char tokens[16];
		struct sent s;

		c->options.max_tokens = 1000;
		c->options.reasoning_effort = xstrdup(rows[i].effort);
		send_model(&s, rows[i].model, c);
		snprintf(tokens, sizeof tokens, "%d", rows[i].max_tokens);
		is(&s, "max_tokens", tokens);
		if (rows[i].thinking == NULL)
			absent(&s, "thinking");
		else
			is(&s, "thinking", rows[i].thinking);
		if (rows[i].given == NULL)
			absent(&s, "output_config");
		else
			is(&s, "output_config.effort", rows[i].given);
		sent_clear(&s);
		chat_request_free(c);
	}
}

static void
test_encode__reasoning_goes_back_to_whom_signed_it(void **state)
{
	struct chat_request *c = hello();
	struct chat_message *m = chat_add_message(c, ROLE_ASSISTANT);
	struct part *p;
	struct sent s;

	(void)state;
	add_thought(m, "mine", "S1", "anthropic:claude-opus-5");
	p = add_thought(m, "", "S2", "anthropic:claude-opus-5");
	p->redacted = true;
	add_thought(m, "other model", "S3", "anthropic:claude-opus-4-8");
	add_thought(m, "other house", "S4", "google:claude-opus-5");
	chat_add_text(m, "Hi", 2);
	say(c, ROLE_USER, "go on");
	send_model(&s, "claude-opus-5", c);
	is(&s, "messages.1.content",
	    "[{\"type\":\"thinking\",\"thinking\":\"mine\",\"signature\":\"S1\"},"
	    "{\"type\":\"redacted_thinking\",\"data\":\"S2\"},{\"type\":\"text\",\"text\":\"Hi\"}]");
	assert_int_equal(s.heard.warning_count, 1);
	sent_clear(&s);
	send_model(&s, "claude-fable-5-2", c);
	is(&s, "messages.1.content", "[{\"type\":\"text\",\"text\":\"Hi\"}]");
	sent_clear(&s);
	chat_request_free(c);
}

static void
test_encode__reasoning_alone_is_no_turn(void **state)
{
	struct chat_request *c = hello();
	struct sent s;

	(void)state;
	add_thought(chat_add_message(c, ROLE_ASSISTANT), "hm", "S", "anthropic:claude-opus-5");
	say(c, ROLE_USER, "still there?");
	send_model(&s, "claude-opus-5", c);
	absent(&s, "messages.1");
	is(&s, "messages.0.content.1.text", "\"still there?\"");
	sent_clear(&s);
	chat_request_free(c);
}

static void
test_encode__a_budget_needs_the_reasoning_before_the_calls(void **state)
{
	struct chat_request *c = hello();
	struct chat_message *m = chat_add_message(c, ROLE_ASSISTANT);
	struct sent s;

	(void)state;
	add_call(m, "a", "one", "{}");
	add_result(chat_add_message(c, ROLE_TOOL), "a", "1");
	add_tool(c, "one", NULL);
	c->options.reasoning_effort = xstrdup("high");
	send_model(&s, "claude-haiku-4-5", c);
	absent(&s, "thinking");
	is(&s, "max_tokens", "8192");
	warned(&s, "reasoning was left out");
	sent_clear(&s);
	chat_request_free(c);
}

/* ---- sampling, limits, form ---- */

static void
test_encode__sampling_and_the_version(void **state)
{
	struct chat_request *c = hello();
	struct sent s;

	(void)state;
	send_model(&s, "claude-haiku-4-5", c);
	assert_string_equal(s.version, "2026-10-21");
	is(&s, "max_tokens", "8192");
	sent_clear(&s);
	c->options.temperature = 1.5;
	c->options.top_k = 40;
	c->options.seed = 7;
	c->options.presence_penalty = 0.5;
	send_model(&s, "claude-haiku-4-5", c);
	assert_string_equal(s.version, "2023-06-01");
	is(&s, "temperature", "1");
	is(&s, "top_k", "40");
	absent(&s, "seed");
	warned(&s, "seed");
	warned(&s, "penalties");
	sent_clear(&s);
	send_model(&s, "claude-opus-4-7", c);
	assert_string_equal(s.version, "2026-10-21");
	absent(&s, "temperature");
	absent(&s, "top_k");
	warned(&s, "this model refuses them");
	sent_clear(&s);
	send_model(&s, "llama3.2", c);
	assert_string_equal(s.version, "2023-06-01");
	is(&s, "temperature", "1.5");
	sent_clear(&s);
	c->options.reasoning_effort = xstrdup("low");
	send_model(&s, "claude-haiku-4-5", c);
	absent(&s, "temperature");
	warned(&s, "reasoning excludes them");
	sent_clear(&s);
	chat_request_free(c);
}

static void
test_encode__the_form_of_the_answer(void **state)
{
	struct chat_request *c = hello();
	struct sent s;

	(void)state;
	c->options.format = FORMAT_JSON_SCHEMA;
	text_set(&c->options.schema, "{\"type\":\"object\"}", 17);
	c->options.reasoning_effort = xstrdup("high");
	set_extra(c, "{\"output_config\":{\"effort\":\"low\",\"new\":1},\"cache_control\":{"
	    "\"type\":\"ephemeral\"}}");
	send_model(&s, "claude-opus-5", c);
	is(&s, "output_config",
	    "{\"format\":{\"type\":\"json_schema\",\"schema\":{\"type\":\"object\"}},\"effort\":"
	    "\"low\",\"new\":1}");
	is(&s, "cache_control", "{\"type\":\"ephemeral\"}");
	sent_clear(&s);
	c->options.format = FORMAT_JSON;
	send_model(&s, "claude-opus-5", c);
	assert_non_null(strstr(json_string_value(at(s.body, "system")), "JSON"));
	warned(&s, "JSON was asked for by an instruction");
	sent_clear(&s);
	chat_request_free(c);
}

static void
test_encode__what_cannot_be_said_is_refused(void **state)
{
	struct chat_request *c = hello();
	struct sent s;

	(void)state;
	c->options.stop = xcalloc(2, sizeof(char *));
	c->options.stop[0] = xstrdup(" \n");
	send_to(&s, "https://api.anthropic.com", "claude-opus-5", c);
	assert_string_equal(s.err.field, "stop");
	chat_request_free(c);

	c = hello();
	set_extra(c, "{\"messages\":[]}");
	send_to(&s, "https://api.anthropic.com", "claude-opus-5", c);
	assert_string_equal(s.err.field, "extra");
	chat_request_free(c);

	c = hello();
	add_bytes(&c->messages[0], PART_IMAGE, "image/tiff", "II");
	send_to(&s, "https://api.anthropic.com", "claude-opus-5", c);
	assert_string_equal(s.err.field, "attachments");
	chat_request_free(c);

	c = hello();
	add_bytes(&c->messages[0], PART_DOCUMENT, "application/zip", "PK");
	send_to(&s, "https://api.anthropic.com", "claude-opus-5", c);
	assert_string_equal(s.err.field, "attachments");
	chat_request_free(c);
}

static void
test_encode__attachments(void **state)
{
	struct chat_request *c = hello();
	struct chat_message *m = &c->messages[0];
	struct sent s;

	(void)state;
	chat_add_part(m, PART_IMAGE)->url = xstrdup("https://example.org/a.png");
	add_bytes(m, PART_IMAGE, "image/jpg", "J");
	add_bytes(m, PART_DOCUMENT, "application/pdf", "%PDF")->name = xstrdup("a.pdf");
	add_bytes(m, PART_DOCUMENT, "text/markdown", "# Hi")->name = xstrdup("a.md");
	send_model(&s, "claude-opus-5", c);
	is(&s, "messages.0.content.1.source", "{\"type\":\"url\",\"url\":\"https://example.org/a.png\"}");
	is(&s, "messages.0.content.2.source",
	    "{\"type\":\"base64\",\"media_type\":\"image/jpeg\",\"data\":\"Sg==\"}");
	is(&s, "messages.0.content.3",
	    "{\"type\":\"document\",\"title\":\"a.pdf\",\"source\":{\"type\":\"base64\","
	    "\"media_type\":\"application/pdf\",\"data\":\"JVBERg==\"}}");
	is(&s, "messages.0.content.4",
	    "{\"type\":\"document\",\"title\":\"a.md\",\"source\":{\"type\":\"text\","
	    "\"media_type\":\"text/plain\",\"data\":\"# Hi\"}}");
	sent_clear(&s);
	/* others may not know documents of text */
	send_model(&s, "qwen3-vl", c);
	is(&s, "messages.0.content.4", "{\"type\":\"text\",\"text\":\"File a.md:\\n\\n# Hi\"}");
	sent_clear(&s);
	chat_request_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_encode__everything_as_the_sample_has_it),
		cmocka_unit_test(test_encode__a_base_url_with_its_version),
		cmocka_unit_test(test_encode__system_texts_are_joined),
		cmocka_unit_test(test_encode__neighbours_are_merged_and_blanks_dropped),
		cmocka_unit_test(test_encode__the_user_begins),
		cmocka_unit_test(test_encode__an_answer_to_be_continued),
		cmocka_unit_test(test_encode__missing_results_are_made_up),
		cmocka_unit_test(test_encode__calls_at_the_end_get_results_too),
		cmocka_unit_test(test_encode__ids_and_names_are_made_to_fit),
		cmocka_unit_test(test_encode__a_result_of_another_turn_is_left_out),
		cmocka_unit_test(test_encode__tool_choice),
		cmocka_unit_test(test_encode__effort),
		cmocka_unit_test(test_encode__reasoning_goes_back_to_whom_signed_it),
		cmocka_unit_test(test_encode__reasoning_alone_is_no_turn),
		cmocka_unit_test(test_encode__a_budget_needs_the_reasoning_before_the_calls),
		cmocka_unit_test(test_encode__sampling_and_the_version),
		cmocka_unit_test(test_encode__the_form_of_the_answer),
		cmocka_unit_test(test_encode__what_cannot_be_said_is_refused),
		cmocka_unit_test(test_encode__attachments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

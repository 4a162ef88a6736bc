/* Gemini: the request on the wire, refusals, the model list, and answers that no transcript has. */
#include "tests/unit/dialect/chats.h"

#include <dirent.h>
#include <math.h>

#define FOLDER MPD_SOURCE_DIR "/tests/transcripts/gemini"
#define HOST "https://generativelanguage.googleapis.com"
#define PLACEHOLDER "skip_thought_signature_validator"

static struct provider *
provider_at(const char *base_url, const char *feature)
{
	struct provider *p = provider_new();

	free(p->name);
	free(p->base_url);
	p->name = xstrdup("gemini");
	p->base_url = xstrdup(base_url);
	if (feature != NULL) {
		p->features = xrealloc(p->features, 2 * sizeof *p->features);
		p->features[0] = xstrdup(feature);
		p->features[1] = NULL;
	}
	return p;
}

/* Encodes and parses; NULL when it was refused. */
static json_t *
encode_at(const char *base_url, const char *model, const char *feature,
    const struct chat_request *c, struct heard *h, char path[1024], struct error *err)
{
	struct provider *p = provider_at(base_url, feature);
	struct dialect_target to = { p, model };
	struct event_sink sink = { hear, h };
	struct wire_request req;
	json_t *body = NULL;
	json_error_t problem;

	memset(h, 0, sizeof *h);
	*err = (struct error)ERROR_INIT;
	if (dialect_find("gemini")->encode(c, &to, &req, &sink, err) == 0) {
		body = json_loadb(req.body.data, req.body.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL,
		    &problem);
		if (body == NULL)
			fail_msg("%s in %s", problem.text, req.body.data);
		if (path != NULL)
			memcpy(path, req.path, sizeof req.path);
	} else {
		assert_int_equal(req.body.len, 0);
		assert_string_not_equal(err->field, "");
	}
	wire_request_clear(&req);
	provider_free(p);
	return body;
}

static json_t *
encode(const char *model, const struct chat_request *c, struct heard *h)
{
	struct error err;
	json_t *body = encode_at(HOST, model, NULL, c, h, NULL, &err);

	if (body == NULL)
		fail_msg("refused: %s %s", err.field, err.message);
	return body;
}

static void
assert_refused(const struct chat_request *c, const char *field)
{
	struct heard h;
	struct error err;

	assert_null(encode_at(HOST, "gemini-3.8-flash", NULL, c, &h, NULL, &err));
	assert_int_equal(err.code, MP_E_INVALID_PARAMS);
	assert_string_equal(err.field, field);
	heard_clear(&h);
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
done(json_t *body, struct heard *h, struct chat_request *c)
{
	json_decref(body);
	heard_clear(h);
	chat_request_free(c);
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

static struct part *
add_call(struct chat_message *m, const char *id, const char *name, const char *arguments)
{
	struct part *p = chat_add_part(m, PART_TOOL_CALL);

	p->call_id = xstrdup(id);
	p->name = xstrdup(name);
	set(&p->arguments, arguments);
	return p;
}

static void
add_result(struct chat_request *c, const char *id, const char *text, bool is_error)
{
	struct part *p = chat_add_part(chat_add_message(c, ROLE_TOOL), PART_TOOL_RESULT);

	p->call_id = xstrdup(id);
	p->is_error = is_error;
	set(&p->text, text);
}

static void
sign(struct part *p, const char *signature, const char *by)
{
	set(&p->signature, signature);
	p->signed_by = xstrdup(by);
}

static struct chat_request *
hello(void)
{
	struct chat_request *c = chat_request_new();

	say(c, ROLE_USER, "Hello");
	return c;
}

static void
add_tool(struct chat_request *c, const char *name, const char *schema)
{
	struct tool *t = chat_add_tool(c, name);

	t->description = xstrdup("Current weather of a city");
	if (schema != NULL)
		set(&t->parameters, schema);
}

#define ID_1 "call_0123456789abcdef"
#define ID_2 "call_fedcba9876543210"
#define CITY \
	"{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"}},\"required\":[\"city\"]}"

/* ---- the rich request of the samples ---- */

static void
test_gemini_encode__the_full_request(void **state)
{
	json_t *expected = expected_read(FOLDER "/request-full.json"), *body;
	struct chat_request *c = chat_request_new();
	struct chat_message *m;
	struct part *p;
	struct heard h;

	(void)state;
	say(c, ROLE_SYSTEM, "Answer briefly.");
	m = say(c, ROLE_USER, "Compare the weather in Oslo and Rome.");
	p = chat_add_part(m, PART_IMAGE);
	p->media_type = xstrdup("image/png");
	text_set(&p->bytes, "\x89PNG\r\n\x1a\n", 8);
	m = chat_add_message(c, ROLE_ASSISTANT);
	sign(add_call(m, ID_1, "get_weather", "{\"city\":\"Oslo\"}"), "Q2lnQg==",
	    "gemini:gemini-3.8-flash");
	add_call(m, ID_2, "get_weather", "{\"city\":\"Rome\"}");
	/* the other way round: the calls' order counts */
	add_result(c, ID_2, "station offline", true);
	add_result(c, ID_1, "{\"temp_c\":3,\"sky\":\"snow\"}", false);
	add_tool(c, "get_weather", CITY);
	c->options.tool_choice = TOOL_CHOICE_AUTO;
	c->options.max_tokens = 1024;
	c->options.stop = xcalloc(2, sizeof(char *));
	c->options.stop[0] = xstrdup("END");
	c->options.reasoning_effort = xstrdup("low");
	c->want_reasoning = true;
	set(&c->options.extra, "{\"safetySettings\":[{\"category\":\"HARM_CATEGORY_HARASSMENT\","
	                       "\"threshold\":\"BLOCK_ONLY_HIGH\"}]}");
	body = encode("gemini-3.8-flash", c, &h);
	if (!json_equal(body, expected))
		fail_msg("%s", json_dumps(body, JSON_INDENT(1)));
	assert_int_equal(h.warning_count, 0);
	json_decref(expected);
	done(body, &h, c);
}

/* ---- paths ---- */

static void
test_gemini_encode__paths(void **state)
{
	static const struct {
		const char *base, *model, *path;
		int stream;
	} rows[] = {
		{ HOST, "gemini-3.8-flash",
		    "/v1beta/models/gemini-3.8-flash:streamGenerateContent?alt=sse", -1 },
		{ HOST, "models/gemini-3.8-flash", "/v1beta/models/gemini-3.8-flash:generateContent", 0 },
		{ HOST "/v1beta", "m", "/models/m:generateContent", 0 },
		{ HOST "/v1beta/", "m", "/models/m:generateContent", 0 },
		{ HOST "/v1", "m", "/models/m:streamGenerateContent?alt=sse", 1 },
		{ HOST "/proxy", "m", "/v1beta/models/m:generateContent", 0 },
		{ HOST, "tunedModels/x-1", "/v1beta/tunedModels/x-1:generateContent", 0 },
		{ HOST, "a/../b?c#d%", "/v1beta/models/a%2F..%2Fb%3Fc%23d%25:generateContent", 0 },
	};
	struct chat_request *c = hello();
	struct heard h;
	struct error err;
	char path[1024];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		c->options.stream = rows[i].stream;
		json_decref(encode_at(rows[i].base, rows[i].model, NULL, c, &h, path, &err));
		assert_string_equal(path, rows[i].path);
		heard_clear(&h);
	}
	assert_null(encode_at(HOST, "models/", NULL, c, &h, path, &err));
	assert_string_equal(err.field, "model");
	chat_request_free(c);
}

/* ---- turns ---- */

static void
test_gemini_encode__turns_alternate(void **state)
{
	struct chat_request *c = chat_request_new();
	struct heard h;
	json_t *body;

	(void)state;
	say(c, ROLE_ASSISTANT, "Hi");
	say(c, ROLE_USER, "a");
	say(c, ROLE_USER, "b");
	say(c, ROLE_ASSISTANT, "c");
	say(c, ROLE_USER, "");
	say(c, ROLE_ASSISTANT, "d");
	say(c, ROLE_SYSTEM, "late");
	say(c, ROLE_USER, "");
	body = encode("gemini-3.8-flash", c, &h);
	assert_json(body, "contents",
	    "[{\"role\":\"user\",\"parts\":[{\"text\":\"(continue)\"}]},"
	    "{\"role\":\"model\",\"parts\":[{\"text\":\"Hi\"}]},"
	    "{\"role\":\"user\",\"parts\":[{\"text\":\"a\"},{\"text\":\"b\"}]},"
	    "{\"role\":\"model\",\"parts\":[{\"text\":\"c\"},{\"text\":\"d\"}]},"
	    "{\"role\":\"user\",\"parts\":[{\"text\":\"(empty)\"}]}]");
	assert_json(body, "systemInstruction", "{\"parts\":[{\"text\":\"late\"}]}");
	assert_int_equal(h.warning_count, 2);
	done(body, &h, c);
}

static void
test_gemini_encode__what_it_cannot_say_is_refused(void **state)
{
	struct chat_request *c = hello();
	struct chat_message *m;
	struct part *p;

	(void)state;
	say(c, ROLE_ASSISTANT, "To be continued");
	assert_refused(c, "messages");
	chat_request_free(c);

	c = hello();
	p = chat_add_part(&c->messages[0], PART_IMAGE);
	p->url = xstrdup("https://x.example/a.png");
	assert_refused(c, "attachments");
	chat_request_free(c);

	c = hello();
	p = chat_add_part(&c->messages[0], PART_DOCUMENT);
	p->media_type = xstrdup("application/zip");
	set(&p->bytes, "PK");
	assert_refused(c, "attachments");
	chat_request_free(c);

	c = hello();
	m = chat_add_message(c, ROLE_ASSISTANT);
	add_call(m, ID_1, "f", "{}");
	add_result(c, ID_1, "x", false);
	add_result(c, "call_nobody", "x", false);
	assert_refused(c, "messages");
	chat_request_free(c);

	c = hello();
	c->options.stop = xcalloc(7, sizeof(char *));
	for (int i = 0; i < 6; i++)
		c->options.stop[i] = xstrdup("s");
	assert_refused(c, "stop");
	chat_request_free(c);

	c = hello();
	set(&c->options.extra, "{\"contents\":[]}");
	assert_refused(c, "extra");
	set(&c->options.extra, "{\"generationConfig\":{\"candidateCount\":2}}");
	assert_refused(c, "extra");
	chat_request_free(c);
}

static void
test_gemini_encode__files(void **state)
{
	struct chat_request *c = hello();
	struct heard h;
	struct part *p;
	json_t *body;

	(void)state;
	p = chat_add_part(&c->messages[0], PART_DOCUMENT);
	p->media_type = xstrdup("application/pdf");
	set(&p->bytes, "%PDF");
	p = chat_add_part(&c->messages[0], PART_DOCUMENT);
	p->media_type = xstrdup("audio/wav");
	set(&p->bytes, "RIFF");
	p = chat_add_part(&c->messages[0], PART_DOCUMENT);
	p->media_type = xstrdup("text/plain");
	p->name = xstrdup("a.txt");
	set(&p->bytes, "abc");
	body = encode("gemini-3.8-flash", c, &h);
	assert_json(body, "contents",
	    "[{\"role\":\"user\",\"parts\":[{\"text\":\"Hello\"},"
	    "{\"inlineData\":{\"mimeType\":\"application/pdf\",\"data\":\"JVBERg==\"}},"
	    "{\"inlineData\":{\"mimeType\":\"audio/wav\",\"data\":\"UklGRg==\"}},"
	    "{\"text\":\"File a.txt:\\n\\nabc\"}]}]");
	done(body, &h, c);
}

/* ---- calls and results ---- */

/* Arguments and a result, to what goes on the wire. */
static void
test_gemini_encode__arguments_and_results_are_objects(void **state)
{
	static const struct {
		const char *arguments, *args, *result, *response;
		bool is_error;
		unsigned warnings;
	} rows[] = {
		{ "", "{}", "7 °C", "{\"output\":\"7 °C\"}", false, 0 },
		{ "{\"a\":1}", "{\"a\":1}", "{\"b\":2}", "{\"b\":2}", false, 0 },
		{ "{\"a\"", "{\"_raw\":\"{\\\"a\\\"\"}", "", "{\"output\":\"\"}", false, 1 },
		{ "[1]", "{\"_raw\":\"[1]\"}", "[1]", "{\"output\":\"[1]\"}", false, 1 },
		{ "{}", "{}", "gone", "{\"error\":\"gone\"}", true, 0 },
		{ "{}", "{}", "{\"code\":5}", "{\"error\":{\"code\":5}}", true, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct chat_request *c = hello();
		struct heard h;
		json_t *body, *contents, *part;

		add_call(chat_add_message(c, ROLE_ASSISTANT), ID_1, "f", rows[i].arguments);
		add_result(c, ID_1, rows[i].result, rows[i].is_error);
		body = encode("gemini-2.5-flash", c, &h);
		contents = json_object_get(body, "contents");
		part = json_array_get(json_object_get(json_array_get(contents, 1), "parts"), 0);
		assert_json(json_object_get(part, "functionCall"), "args", rows[i].args);
		assert_null(json_object_get(part, "thoughtSignature"));
		part = json_array_get(json_object_get(json_array_get(contents, 2), "parts"), 0);
		assert_json(json_object_get(part, "functionResponse"), "response", rows[i].response);
		assert_json(json_object_get(part, "functionResponse"), "name", "\"f\"");
		assert_int_equal(h.warning_count, rows[i].warnings);
		done(body, &h, c);
	}
}

static void
test_gemini_encode__numbers_keep_their_text(void **state)
{
	static const char numbers[] = "{\"n\":12345678901234567890,\"x\":1e400,\"y\":1.10}";
	struct provider *p = provider_at(HOST, NULL);
	struct dialect_target to = { p, "gemini-2.5-pro" };
	struct chat_request *c = hello();
	struct wire_request req;
	struct error err;

	(void)state;
	add_call(chat_add_message(c, ROLE_ASSISTANT), ID_1, "f", numbers);
	add_result(c, ID_1, numbers, false);
	assert_int_equal(dialect_find("gemini")->encode(c, &to, &req, NULL, &err), 0);
	assert_non_null(strstr(req.body.data, "\"args\":{\"n\":12345678901234567890,\"x\":1e400,"
	                                      "\"y\":1.10}"));
	assert_non_null(strstr(req.body.data, "\"response\":{\"n\":12345678901234567890,\"x\":1e400,"
	                                      "\"y\":1.10}"));
	wire_request_clear(&req);
	provider_free(p);
	chat_request_free(c);
}

/* Whom a signature belongs to, and what a call without one gets. */
static void
test_gemini_encode__signatures(void **state)
{
	static const struct {
		const char *model, *signed_by, *first, *second;
	} rows[] = {
		{ "gemini-3.8-flash", "gemini:gemini-3.8-flash", "\"own\"", NULL },
		{ "gemini-3.8-flash", "gemini:gemini-4-argon", "\"" PLACEHOLDER "\"", NULL },
		{ "gemini-4-argon", "anthropic:gemini-4-argon", "\"" PLACEHOLDER "\"", NULL },
		{ "gemini-flash-latest", "x:y", "\"" PLACEHOLDER "\"", NULL },
		{ "gemini-2.5-pro", "x:y", NULL, NULL },
		{ "gemini-2.5-pro", "gemini:gemini-2.5-pro", "\"own\"", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct chat_request *c = hello();
		struct chat_message *m = chat_add_message(c, ROLE_ASSISTANT);
		struct heard h;
		json_t *body, *parts;

		sign(add_call(m, ID_1, "f", "{}"), "own", rows[i].signed_by);
		add_call(m, ID_2, "f", "{}");
		add_result(c, ID_1, "1", false);
		add_result(c, ID_2, "2", false);
		body = encode(rows[i].model, c, &h);
		parts = json_object_get(json_array_get(json_object_get(body, "contents"), 1), "parts");
		if (rows[i].first != NULL)
			assert_json(json_array_get(parts, 0), "thoughtSignature", rows[i].first);
		else
			assert_null(json_object_get(json_array_get(parts, 0), "thoughtSignature"));
		assert_null(json_object_get(json_array_get(parts, 1), "thoughtSignature"));
		done(body, &h, c);
	}
}

static void
test_gemini_encode__thoughts_go_back_to_whom_signed_them(void **state)
{
	struct chat_request *c = hello();
	struct chat_message *m = chat_add_message(c, ROLE_ASSISTANT);
	struct heard h;
	struct part *p;
	json_t *body;

	(void)state;
	p = chat_add_part(m, PART_REASONING);
	set(&p->text, "hm");
	sign(p, "U2ln", "gemini:gemini-3.8-flash");
	p = chat_add_part(m, PART_REASONING);
	set(&p->text, "foreign");
	sign(p, "U2ln", "anthropic:x");
	chat_add_text(m, "Yes", 3);
	p = chat_add_part(m, PART_REASONING);
	sign(p, "RW5k", "gemini:gemini-3.8-flash");
	say(c, ROLE_USER, "Go on");
	body = encode("gemini-3.8-flash", c, &h);
	assert_json(json_array_get(json_object_get(body, "contents"), 1), "parts",
	    "[{\"text\":\"hm\",\"thought\":true,\"thoughtSignature\":\"U2ln\"},{\"text\":\"Yes\"},"
	    "{\"text\":\"\",\"thoughtSignature\":\"RW5k\"}]");
	assert_int_equal(h.warning_count, 1);
	done(body, &h, c);
}

/* Ids go back only to whom gave them. */
static void
test_gemini_encode__ids_of_its_own(void **state)
{
	struct chat_request *c = hello();
	struct heard h;
	json_t *body, *contents;

	(void)state;
	sign(add_call(chat_add_message(c, ROLE_ASSISTANT), "g-1", "f", "{}"), "own",
	    "gemini:gemini-3.8-flash");
	add_result(c, "g-1", "1", false);
	add_call(chat_add_message(c, ROLE_ASSISTANT), "toolu_1", "f", "{}");
	add_result(c, "toolu_1", "1", false);
	body = encode("gemini-3.8-flash", c, &h);
	contents = json_object_get(body, "contents");
	assert_json(json_array_get(contents, 2), "parts",
	    "[{\"functionResponse\":{\"name\":\"f\",\"id\":\"g-1\",\"response\":{\"output\":\"1\"}}}]");
	assert_json(json_array_get(contents, 4), "parts",
	    "[{\"functionResponse\":{\"name\":\"f\",\"response\":{\"output\":\"1\"}}}]");
	done(body, &h, c);
}

static void
test_gemini_encode__a_lost_result_and_a_second_one(void **state)
{
	struct chat_request *c = hello();
	struct chat_message *m = chat_add_message(c, ROLE_ASSISTANT);
	struct heard h;
	json_t *body;

	(void)state;
	add_call(m, ID_1, "f", "{}");
	add_call(m, ID_2, "g", "{}");
	add_result(c, ID_2, "2", false);
	add_result(c, ID_2, "twice", false);
	say(c, ROLE_USER, "Well?");
	body = encode("gemini-2.5-pro", c, &h);
	assert_json(json_array_get(json_object_get(body, "contents"), 2), "parts",
	    "[{\"functionResponse\":{\"name\":\"f\",\"response\":{\"error\":\"no result\"}}},"
	    "{\"functionResponse\":{\"name\":\"g\",\"response\":{\"output\":\"2\"}}},"
	    "{\"text\":\"Well?\"}]");
	assert_int_equal(h.warning_count, 2);
	done(body, &h, c);
}

/* ---- tools ---- */

static void
test_gemini_encode__tool_choices(void **state)
{
	static const struct {
		enum tool_choice choice;
		const char *config;
	} rows[] = {
		{ TOOL_CHOICE_AUTO, "{\"functionCallingConfig\":{\"mode\":\"AUTO\"}}" },
		{ TOOL_CHOICE_NONE, "{\"functionCallingConfig\":{\"mode\":\"NONE\"}}" },
		{ TOOL_CHOICE_REQUIRED, "{\"functionCallingConfig\":{\"mode\":\"ANY\"}}" },
		{ TOOL_CHOICE_ONE,
		    "{\"functionCallingConfig\":{\"mode\":\"ANY\",\"allowedFunctionNames\":[\"f\"]}}" },
	};
	struct chat_request *c = hello();
	struct heard h;
	json_t *body;

	(void)state;
	add_tool(c, "f", "{\"type\":\"object\",\"properties\":{}}");
	set(&c->options.extra, "{\"tools\":[{\"googleSearch\":{}}]}");
	c->options.tool_choice_name = xstrdup("f");
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		c->options.tool_choice = rows[i].choice;
		body = encode("gemini-3.8-flash", c, &h);
		assert_json(body, "toolConfig", rows[i].config);
		assert_json(body, "tools",
		    "[{\"functionDeclarations\":[{\"name\":\"f\","
		    "\"description\":\"Current weather of a city\"}]},{\"googleSearch\":{}}]");
		json_decref(body);
		heard_clear(&h);
	}
	chat_request_free(c);
}

/* A name that does not fit goes out changed, and comes back as the user wrote it. */
static void
test_gemini__names_there_and_back(void **state)
{
	static const char longest[] = "a2345678901234567890123456789012345678901234567890"
	    "1234567890123456789";
	static const char *const names[] = { "7zip", longest, "-x.y:z", "fits.well:so-far_1" };

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct chat_request *c = hello();
		struct reading r;
		struct heard h;
		char frame[300];
		json_t *body, *tool;
		const char *wire;

		add_tool(c, names[i], CITY);
		body = encode("gemini-3.8-flash", c, &h);
		heard_clear(&h);
		tool = json_array_get(json_object_get(body, "tools"), 0);
		wire = json_string_value(json_object_get(
		    json_array_get(json_object_get(tool, "functionDeclarations"), 0), "name"));
		assert_true(strlen(wire) <= 64);
		assert_int_equal(strcmp(wire, names[i]) == 0, i == 3);
		snprintf(frame, sizeof frame,
		    "{\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"%s\"}}]},"
		    "\"finishReason\":\"STOP\"}]}",
		    wire);
		r.dialect = dialect_find("gemini");
		r.state = calloc(1, r.dialect->state_size);
		r.sink = (struct event_sink){ hear, &h };
		r.dialect->begin(r.state, c, NULL);
		r.dialect->body(r.state, slice_of(frame), &r.sink);
		r.dialect->clear(r.state);
		free(r.state);
		assert_int_equal(h.call_count, 1);
		assert_string_equal(buf_str(&h.calls[0].name), names[i]);
		done(body, &h, c);
	}
}

/* ---- generationConfig ---- */

static void
test_gemini_encode__thinking(void **state)
{
	static const struct {
		const char *model, *effort;
		bool want;
		const char *config; /* NULL = none */
		unsigned warnings;
	} rows[] = {
		{ "gemini-3.8-flash", NULL, false, NULL, 0 },
		{ "gemini-3.8-flash", NULL, true, "{\"includeThoughts\":true}", 0 },
		{ "gemini-3.8-flash", "off", true, "{\"thinkingLevel\":\"MINIMAL\"}", 1 },
		{ "gemini-3.8-flash", "minimal", false, "{\"thinkingLevel\":\"MINIMAL\"}", 0 },
		{ "gemini-4-argon", "minimal", false, "{\"thinkingLevel\":\"LOW\"}", 1 },
		{ "gemini-3.1-pro-preview", "none", false, "{\"thinkingLevel\":\"LOW\"}", 1 },
		{ "models/gemini-3.8-flash", "max", true,
		    "{\"thinkingLevel\":\"HIGH\",\"includeThoughts\":true}", 0 },
		{ "gemini-2.5-flash", "off", true, "{\"thinkingBudget\":0}", 0 },
		{ "gemini-2.5-pro", "off", false, "{\"thinkingBudget\":128}", 1 },
		{ "gemini-2.5-pro", "max", false, "{\"thinkingBudget\":32768}", 0 },
		{ "gemini-2.5-flash", "xhigh", false, "{\"thinkingBudget\":24576}", 0 },
		{ "gemini-2.5-flash", "medium", true,
		    "{\"thinkingBudget\":8192,\"includeThoughts\":true}", 0 },
		{ "gemini-2.0-flash", "high", true, NULL, 1 },
		{ "gemma-3-27b-it", NULL, true, NULL, 0 },
		{ "mine", NULL, true, NULL, 0 },
		{ "mine", "low", false, "{\"thinkingLevel\":\"LOW\"}", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct chat_request *c = hello();
		struct heard h;
		json_t *body, *config;

		c->options.reasoning_effort = xstrdup(rows[i].effort);
		c->want_reasoning = rows[i].want;
		body = encode(rows[i].model, c, &h);
		config = json_object_get(body, "generationConfig");
		if (rows[i].config != NULL)
			assert_json(config, "thinkingConfig", rows[i].config);
		else
			assert_null(json_object_get(config, "thinkingConfig"));
		if (h.warning_count != rows[i].warnings)
			fail_msg("%s %s: %s", rows[i].model, rows[i].effort, buf_str(&h.warnings));
		done(body, &h, c);
	}
}

static void
test_gemini_encode__sampling_and_the_users_own_members(void **state)
{
	struct chat_request *c = hello();
	struct chat_options *o = &c->options;
	struct heard h;
	json_t *body;

	(void)state;
	o->temperature = 0.5;
	o->top_p = 0.25;
	o->top_k = 40;
	o->presence_penalty = 1;
	o->frequency_penalty = -1;
	o->seed = 7;
	o->format = FORMAT_JSON_SCHEMA;
	set(&o->schema, "{\"type\":\"object\",\"additionalProperties\":false}");
	set(&o->extra, "{\"generationConfig\":{\"topP\":0.75,\"mediaResolution\":\"X\"},\"labels\":{}}");
	body = encode("gemini-3.8-flash", c, &h);
	assert_json(body, "generationConfig",
	    "{\"temperature\":0.5,\"topP\":0.75,\"topK\":40,\"presencePenalty\":1,"
	    "\"frequencyPenalty\":-1,\"seed\":7,\"responseMimeType\":\"application/json\","
	    "\"responseJsonSchema\":{\"type\":\"object\",\"additionalProperties\":false},"
	    "\"mediaResolution\":\"X\"}");
	assert_json(body, "labels", "{}");
	json_decref(body);
	heard_clear(&h);
	o->seed = (int64_t)1 << 40;
	body = encode("gemini-3.8-flash", c, &h);
	assert_null(json_object_get(json_object_get(body, "generationConfig"), "seed"));
	assert_int_equal(h.warning_count, 1);
	done(body, &h, c);
}

/* ---- restricted schemas ---- */

/* A member's schema, to what becomes of it. NULL = refused. */
static const struct {
	const char *from, *to;
	bool told;
} schemas[] = {
	{ "{\"type\":\"string\",\"$schema\":\"x\",\"$id\":\"y\"}", "{\"type\":\"STRING\"}", false },
	{ "{\"type\":[\"string\",\"null\"]}", "{\"type\":\"STRING\",\"nullable\":true}", false },
	{ "{\"type\":[\"string\",\"integer\"]}",
	    "{\"anyOf\":[{\"type\":\"STRING\"},{\"type\":\"INTEGER\"}]}", false },
	{ "{\"type\":\"null\"}", "{\"type\":\"NULL\"}", false },
	{ "{\"const\":\"a\"}", "{\"type\":\"STRING\",\"enum\":[\"a\"]}", false },
	{ "{\"const\":5}", "{\"type\":\"INTEGER\",\"description\":\"Always 5.\"}", true },
	{ "{\"enum\":[\"a\",null,\"b\"]}",
	    "{\"type\":\"STRING\",\"nullable\":true,\"enum\":[\"a\",\"b\"]}", false },
	{ "{\"type\":\"integer\",\"description\":\"D.\",\"enum\":[1,2]}",
	    "{\"type\":\"INTEGER\",\"description\":\"D. One of [1,2].\"}", true },
	{ "{\"oneOf\":[{\"type\":\"string\"},{\"type\":\"number\"}]}",
	    "{\"anyOf\":[{\"type\":\"STRING\"},{\"type\":\"NUMBER\"}]}", true },
	{ "{\"anyOf\":[{\"type\":\"string\",\"maxLength\":5},{\"type\":\"null\"}],\"description\":\"d\"}",
	    "{\"type\":\"STRING\",\"nullable\":true,\"description\":\"d\",\"maxLength\":5}", false },
	{ "{\"anyOf\":[{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}]}",
	    "{\"type\":\"STRING\",\"nullable\":true}", false },
	{ "{\"allOf\":[{\"type\":\"string\"},{\"minLength\":1}],\"maxLength\":9}",
	    "{\"type\":\"STRING\",\"minLength\":1,\"maxLength\":9}", false },
	{ "{\"allOf\":[{\"properties\":{\"a\":{\"type\":\"string\"}},\"required\":[\"a\"]},"
	  "{\"properties\":{\"b\":{\"type\":\"string\"}},\"required\":[\"b\",\"a\",\"c\"]}]}",
	    "{\"type\":\"OBJECT\",\"properties\":{\"a\":{\"type\":\"STRING\"},\"b\":{\"type\":\"STRING\"}},"
	    "\"required\":[\"a\",\"b\"]}", false },
	{ "{\"$ref\":\"#/$defs/s\",\"description\":\"here\"}",
	    "{\"type\":\"STRING\",\"description\":\"here\",\"format\":\"date-time\"}", false },
	{ "{\"$ref\":\"#/$defs/tree\"}", NULL, false },
	{ "{\"$ref\":\"#/$defs/none\"}", NULL, false },
	{ "{\"$ref\":\"https://x.example/s.json\"}", NULL, false },
	{ "{\"type\":\"integer\",\"exclusiveMinimum\":0,\"exclusiveMaximum\":10}",
	    "{\"type\":\"INTEGER\",\"minimum\":1,\"maximum\":9}", false },
	{ "{\"type\":\"number\",\"exclusiveMinimum\":0.5}", "{\"type\":\"NUMBER\",\"minimum\":0.5}", true },
	{ "{\"type\":\"string\",\"format\":\"uuid\",\"pattern\":\"^a\"}",
	    "{\"type\":\"STRING\",\"pattern\":\"^a\"}", true },
	{ "{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"minItems\":1,\"uniqueItems\":true}",
	    "{\"type\":\"ARRAY\",\"items\":{\"type\":\"STRING\"},\"minItems\":1}", true },
	{ "{\"type\":\"array\"}", "{\"type\":\"ARRAY\",\"items\":{\"type\":\"STRING\"}}", true },
	{ "{\"type\":\"array\",\"prefixItems\":[{\"type\":\"number\"},{\"type\":\"string\"}]}",
	    "{\"type\":\"ARRAY\",\"items\":{\"type\":\"NUMBER\"}}", true },
	{ "{\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"}}",
	    "{\"type\":\"STRING\",\"description\":\"A JSON object, written as text.\"}", true },
	{ "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"boolean\"}},"
	  "\"additionalProperties\":false,\"anyOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}]}",
	    "{\"type\":\"OBJECT\",\"properties\":{\"a\":{\"type\":\"BOOLEAN\"}}}", true },
	{ "{\"type\":\"string\",\"not\":{\"const\":\"x\"},\"examples\":[\"y\"],\"default\":\"z\"}",
	    "{\"type\":\"STRING\",\"default\":\"z\"}", true },
	{ "true", "{\"type\":\"STRING\"}", true },
};

static void
test_gemini_schema__the_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof schemas / sizeof schemas[0]; i++) {
		struct chat_request *c = hello();
		struct heard h;
		struct error err;
		char schema[1024];
		json_t *body, *at;

		snprintf(schema, sizeof schema,
		    "{\"type\":\"object\",\"properties\":{\"p\":%s},\"$defs\":{\"s\":{\"type\":\"string\","
		    "\"format\":\"date-time\",\"description\":\"there\"},\"tree\":{\"type\":\"object\","
		    "\"properties\":{\"next\":{\"$ref\":\"#/$defs/tree\"}}}}}",
		    schemas[i].from);
		add_tool(c, "f", schema);
		body = encode_at(HOST, "gemini-2.5-pro", "restricted-schema", c, &h, NULL, &err);
		if (schemas[i].to == NULL) {
			assert_null(body);
			assert_string_equal(err.field, "tools");
		} else {
			if (body == NULL)
				fail_msg("%s: %s", schemas[i].from, err.message);
			at = json_array_get(json_object_get(body, "tools"), 0);
			at = json_array_get(json_object_get(at, "functionDeclarations"), 0);
			at = json_object_get(json_object_get(at, "parameters"), "properties");
			assert_json(at, "p", schemas[i].to);
			if (h.warning_count != schemas[i].told)
				fail_msg("%s: %s", schemas[i].from, buf_str(&h.warnings));
		}
		done(body, &h, c);
	}
}

/* References in references: as small as a bomb can be. */
static void
test_gemini_schema__a_bomb_is_refused(void **state)
{
	struct chat_request *c = hello();
	struct buf s = BUF_INIT;
	struct heard h;
	struct error err;

	(void)state;
	buf_adds(&s, "{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#/$defs/d0\"}},\"$defs\":{");
	for (int i = 0; i < 20; i++)
		buf_addf(&s, "\"d%d\":{\"properties\":{\"x\":{\"$ref\":\"#/$defs/d%d\"},"
		             "\"y\":{\"$ref\":\"#/$defs/d%d\"}}},", i, i + 1, i + 1);
	buf_adds(&s, "\"d20\":{\"type\":\"string\"}}}");
	add_tool(c, "f", s.data);
	assert_null(encode_at(HOST, "m", "restricted-schema", c, &h, NULL, &err));
	assert_string_equal(err.field, "tools");
	buf_clear(&s);
	heard_clear(&h);
	chat_request_free(c);
}

/* ---- answers ---- */

static void
read_body(const char *body, size_t n, struct heard *h)
{
	struct reading r;

	memset(h, 0, sizeof *h);
	reading_begin(&r, "gemini", h);
	r.dialect->body(r.state, (struct slice){ body, n }, &r.sink);
	reading_finish(&r);
	assert_int_equal(h->finishes + h->errors, 1);
	assert_false(h->after_end);
}

static void
read_file(const char *name, struct heard *h)
{
	char path[512];
	size_t n;
	char *body;

	snprintf(path, sizeof path, "%s/%s", FOLDER, name);
	body = file_read(path, &n);
	read_body(body, n, h);
	free(body);
}

static void
test_gemini_decode__whole_replies(void **state)
{
	struct heard h;

	(void)state;
	read_file("reply.json", &h);
	assert_string_equal(buf_str(&h.text), "Oslo has snow; Rome is unknown.");
	assert_string_equal(h.model, "gemini-3.8-flash");
	assert_int_equal(h.stop, STOP_END);
	assert_int_equal(h.usage.output_tokens, 61);
	heard_clear(&h);

	read_file("stream-text.array.json", &h);
	assert_string_equal(buf_str(&h.text), "Oslo has snow; Rome is unknown. 🌍");
	assert_string_equal(buf_str(&h.signature), "Q2lnQg==");
	assert_int_equal(h.stop, STOP_END);
	assert_int_equal(h.usage.input_tokens, 1219);
	heard_clear(&h);
}

/* A 200 that is none. */
static void
test_gemini_decode__failures_inside_a_200(void **state)
{
	static const struct {
		const char *file, *code;
		enum failure_class class;
	} rows[] = {
		{ "reply-prompt-blocked.json", "PROHIBITED_CONTENT", FAILURE_CONTENT_POLICY },
		{ "reply-safety.json", "SAFETY", FAILURE_CONTENT_POLICY },
		{ "reply-malformed-call.json", "MALFORMED_FUNCTION_CALL", FAILURE_SERVER },
	};
	struct heard h;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		read_file(rows[i].file, &h);
		assert_int_equal(h.errors, 1);
		assert_int_equal(h.failure.class, rows[i].class);
		assert_string_equal(h.failure.code, rows[i].code);
		assert_int_equal(h.usages, 1);
		heard_clear(&h);
	}
}

static void
test_gemini_decode__reasons_to_stop(void **state)
{
	static const struct {
		const char *part, *reason;
		enum stop_reason stop;
		enum failure_class class; /* not FAILURE_NONE: an error instead */
	} rows[] = {
		{ "{\"text\":\"a\"}", "STOP", STOP_END, FAILURE_NONE },
		{ "{\"text\":\"a\"}", "MAX_TOKENS", STOP_LENGTH, FAILURE_NONE },
		{ "{\"text\":\"a\"}", "SAFETY", STOP_CONTENT_FILTER, FAILURE_NONE },
		{ "{\"text\":\"a\"}", "SPII", STOP_CONTENT_FILTER, FAILURE_NONE },
		{ "{\"text\":\"a\"}", "OTHER", STOP_CONTENT_FILTER, FAILURE_NONE },
		{ "{\"text\":\"\"}", "RECITATION", STOP_END, FAILURE_CONTENT_POLICY },
		{ "{\"text\":\"\"}", "LANGUAGE", STOP_CONTENT_FILTER, FAILURE_NONE },
		{ "{\"text\":\"a\"}", "UNEXPECTED_TOOL_CALL", STOP_END, FAILURE_SERVER },
		{ "{\"text\":\"a\"}", "CONTINUATION", STOP_OTHER, FAILURE_NONE },
		{ "{\"text\":\"a\"}", "SOMETHING_NEW", STOP_OTHER, FAILURE_NONE },
		{ "{\"functionCall\":{\"name\":\"f\"}}", "STOP", STOP_TOOL_CALL, FAILURE_NONE },
		{ "{\"functionCall\":{\"name\":\"f\"}}", "MAX_TOKENS", STOP_TOOL_CALL, FAILURE_NONE },
		{ "{\"functionCall\":{\"name\":\"f\"}}", "SAFETY", STOP_CONTENT_FILTER, FAILURE_NONE },
		{ "{\"functionCall\":{\"name\":\"f\",\"willContinue\":true}}", "STOP", STOP_END,
		    FAILURE_PROTOCOL },
	};
	char body[256];
	struct heard h;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		snprintf(body, sizeof body,
		    "{\"candidates\":[{\"content\":{\"parts\":[%s]},\"finishReason\":\"%s\"}]}",
		    rows[i].part, rows[i].reason);
		read_body(body, strlen(body), &h);
		if (h.failure.class != rows[i].class)
			fail_msg("%s: %s", body, h.failure.message);
		if (rows[i].class == FAILURE_NONE)
			assert_int_equal(h.stop, rows[i].stop);
		heard_clear(&h);
	}
}

/* Frames, to the error they end with. */
static void
test_gemini_decode__streams_that_break(void **state)
{
	static const struct {
		const char *frames[3];
		const char *kind;
	} rows[] = {
		{ { "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}]}", NULL }, "cut" },
		{ { "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\","
		    "\"thought\":true}]}}]}", NULL }, "cut" },
		{ { NULL }, "empty" },
		{ { "{\"candidates\":[", NULL }, "json" },
		{ { "17", NULL }, "json" },
	};
	struct reading r;
	struct heard h;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		memset(&h, 0, sizeof h);
		reading_begin(&r, "gemini", &h);
		for (size_t k = 0; rows[i].frames[k] != NULL; k++)
			reading_event(&r, (struct slice){ NULL, 0 }, slice_of(rows[i].frames[k]));
		reading_finish(&r);
		assert_int_equal(h.errors, 1);
		assert_int_equal(h.failure.class, FAILURE_PROTOCOL);
		assert_string_equal(h.failure.kind, rows[i].kind);
		heard_clear(&h);
	}
}

static void
test_gemini_decode__ids_signatures_and_odd_parts(void **state)
{
	static const char body[] = "[{\"candidates\":[{\"content\":{\"parts\":["
	    "{\"text\":\"\\ud83d\",\"thought\":true},{\"text\":\"\\ude00\",\"thought\":true},"
	    "{\"functionCall\":{\"id\":\"g-1\",\"name\":\"f\",\"args\":{\"n\":12345678901234567890}},"
	    "\"thoughtSignature\":\"a\\/b=\"},{\"functionCall\":{\"id\":\"ü\",\"name\":\"g\",\"args\":null}},"
	    "{\"functionCall\":{}},{\"inlineData\":{}},{\"inlineData\":{}}]},\"index\":0},"
	    "{\"content\":{\"parts\":[{\"text\":\"another\"}]},\"index\":1}]},"
	    "{\"candidates\":[{\"finishReason\":\"STOP\"}]}]";
	struct heard h;

	(void)state;
	read_body(body, sizeof body - 1, &h);
	assert_string_equal(buf_str(&h.reasoning), "😀");
	assert_int_equal(h.reasoning_ends, 1);
	assert_int_equal(h.text.len, 0);
	assert_int_equal(h.call_count, 2);
	assert_string_equal(buf_str(&h.calls[0].id), "g-1");
	assert_string_equal(buf_str(&h.calls[0].arguments), "{\"n\":12345678901234567890}");
	assert_string_equal(buf_str(&h.calls[0].signature), "a/b=");
	assert_int_equal(strncmp(buf_str(&h.calls[1].id), "call_", 5), 0);
	assert_string_equal(buf_str(&h.calls[1].arguments), "{}");
	assert_int_equal(h.warning_count, 2);
	heard_clear(&h);
}

/* ---- refusals ---- */

static void
refuse(int status, const struct header *headers, size_t n, const char *body, struct failure *out)
{
	struct wire_head head = { status, headers, n };

	dialect_find("gemini")->refuse(NULL, &head, slice_of(body), 1795330000000, out);
}

static void
test_gemini_refuse__every_recorded_error(void **state)
{
	struct dirent *entry;
	unsigned files = 0;
	DIR *dir = opendir(FOLDER);

	(void)state;
	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		char path[512], *text;
		struct failure f;
		json_t *file;
		const json_t *wait;

		if (strncmp(entry->d_name, "error-", 6) != 0)
			continue;
		snprintf(path, sizeof path, "%s/%s", FOLDER, entry->d_name);
		file = expected_read(path);
		text = json_dumps(json_object_get(file, "body"), JSON_COMPACT);
		refuse((int)json_integer_value(json_object_get(file, "status")), NULL, 0, text, &f);
		if (strcmp(failure_class_name(f.class),
		        json_string_value(json_object_get(file, "class"))) != 0)
			fail_msg("%s: %s", path, failure_class_name(f.class));
		assert_int_equal(f.unsigned_may_pass,
		    strstr(entry->d_name, "thought-signature") != NULL);
		wait = json_object_get(file, "wait_ms");
		if (wait != NULL)
			assert_int_equal(f.wait_ms, json_integer_value(wait));
		assert_string_not_equal(f.message, "");
		free(text);
		json_decref(file);
		files++;
	}
	closedir(dir);
	assert_int_equal(files, 14);
}

static void
test_gemini_refuse__what_no_sample_has(void **state)
{
	static const struct {
		int status;
		const char *body;
		enum failure_class class;
		int64_t wait_ms;
	} rows[] = {
		{ 402, "{\"error\":{\"message\":\"spend cap\"}}", FAILURE_QUOTA, -1 },
		{ 401, "{\"error\":{\"status\":\"UNAUTHENTICATED\"}}", FAILURE_AUTH, -1 },
		{ 403, "{\"error\":{\"status\":\"PERMISSION_DENIED\",\"message\":\"Your API key was "
		       "reported as leaked.\"}}", FAILURE_AUTH, -1 },
		{ 403, "{\"error\":{\"status\":\"PERMISSION_DENIED\",\"details\":[{\"reason\":"
		       "\"API_KEY_SERVICE_BLOCKED\"}]}}", FAILURE_AUTH, -1 },
		{ 403, "{\"error\":{\"status\":\"PERMISSION_DENIED\",\"details\":[{\"reason\":"
		       "\"SERVICE_DISABLED\"}]}}", FAILURE_PERMISSION, -1 },
		{ 400, "{\"error\":{\"status\":\"FAILED_PRECONDITION\",\"message\":\"enable billing\"}}",
		    FAILURE_PERMISSION, -1 },
		{ 400, "{\"error\":{\"status\":\"FAILED_PRECONDITION\",\"message\":\"x\"}}",
		    FAILURE_BAD_REQUEST, -1 },
		{ 429, "{\"error\":{\"status\":\"RESOURCE_EXHAUSTED\",\"message\":\"Please retry in "
		       "46.2s.\"}}", FAILURE_RATE_LIMIT, 46200 },
		{ 429, "{\"error\":{\"message\":\"Please retry in 10m.\"}}", FAILURE_QUOTA, 600000 },
		{ 429, "{\"error\":{\"message\":\"limit: 0.5\",\"details\":[{\"retryDelay\":\"0s\"}]}}",
		    FAILURE_RATE_LIMIT, 1000 },
		{ 429, "{\"error\":{\"details\":[{\"violations\":[{\"quotaValue\":0}]},"
		       "{\"retryDelay\":\"46s\"}]}}", FAILURE_QUOTA, -1 },
		{ 499, "{\"error\":{\"status\":\"CANCELLED\"}}", FAILURE_CANCELLED, -1 },
		{ 502, "<html><title>Bad Gateway</title>", FAILURE_SERVER, -1 },
		{ 503, "", FAILURE_OVERLOADED, -1 },
	};
	static const struct header soon[] = { { { "retry-after", 11 }, { "3", 1 } } };
	struct failure f;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		refuse(rows[i].status, NULL, 0, rows[i].body, &f);
		if (f.class != rows[i].class || f.wait_ms != rows[i].wait_ms)
			fail_msg("%s: %s %lld", rows[i].body, failure_class_name(f.class),
			    (long long)f.wait_ms);
	}
	/* a header knows better than the body */
	refuse(429, soon, 1, "{\"error\":{\"details\":[{\"retryDelay\":\"46s\"}]}}", &f);
	assert_int_equal(f.wait_ms, 3000);
}

/* ---- models ---- */

static void
on_model(void *arg, const struct listed_model *m)
{
	buf_addf(arg, "%.*s|%.*s|%lld|%lld|%u\n", (int)m->id.len, m->id.data, (int)m->title.len,
	    m->title.data, (long long)m->context_tokens, (long long)m->output_tokens, m->abilities);
}

static void
test_gemini__the_model_list(void **state)
{
	struct provider *p = provider_at(HOST, NULL);
	struct wire_request req;
	struct buf seen = BUF_INIT;
	size_t n;
	char *text = file_read(FOLDER "/models.json", &n);

	(void)state;
	assert_int_equal(dialect_find("gemini")->list_request(p, &req), 0);
	assert_string_equal(req.path, "/v1beta/models?pageSize=1000");
	assert_int_equal(dialect_find("gemini")->list_reply((struct slice){ text, n }, on_model, &seen), 0);
	assert_string_equal(buf_str(&seen),
	    "gemini-4-argon|Gemini 4 Argon|1048576|65536|4\n"
	    "gemini-3.8-flash|Gemini 3.8 Flash|1048576|65536|4\n");
	assert_int_equal(dialect_find("gemini")->list_reply(SLICE("{\"data\":[]}"), on_model, &seen),
	    MP_E_INVALID_PARAMS);
	wire_request_clear(&req);
	buf_clear(&seen);
	free(text);
	provider_free(p);
}

/* ---- any chat at all ---- */

/* Turns alternate, begin and end with the user, hold parts; a turn of calls is followed by as many results in
 * the same order. */
static void
check_contents(const json_t *contents)
{
	const json_t *turn, *part, *before = NULL, *call, *result;
	size_t i, k;

	assert_int_equal(json_array_size(contents) % 2, 1);
	json_array_foreach(contents, i, turn) {
		const json_t *parts = json_object_get(turn, "parts");
		size_t results = 0;

		assert_string_equal(json_string_value(json_object_get(turn, "role")),
		    i % 2 == 0 ? "user" : "model");
		assert_true(json_array_size(parts) > 0);
		json_array_foreach(before, k, part) {
			if ((call = json_object_get(part, "functionCall")) == NULL)
				continue;
			result = json_object_get(json_array_get(parts, results++), "functionResponse");
			assert_true(json_equal(json_object_get(call, "name"),
			    json_object_get(result, "name")));
			assert_int_equal(json_typeof(json_object_get(call, "args")), JANSSON_OBJECT);
			assert_int_equal(json_typeof(json_object_get(result, "response")),
			    JANSSON_OBJECT);
		}
		before = parts;
	}
}

static void
test_gemini_encode__any_chat(void **state)
{
	uint64_t seed = dice_seed();
	unsigned sent = 0;

	(void)state;
	for (unsigned round = 0; round < 2000; round++) {
		struct provider *p = provider_at(HOST, NULL);
		struct dialect_target to = { p, "gemini-3.8-flash" };
		struct error err = ERROR_INIT;
		struct chat_request *c;
		struct wire_request req;
		json_t *body;

		dice_start(seed, round);
		c = some_chat();
		/* results without a call and such never come this far */
		if (chat_check(c, &err) == 0 &&
		    dialect_find("gemini")->encode(c, &to, &req, NULL, &err) == 0) {
			body = json_loadb(req.body.data, req.body.len,
			    JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
			assert_non_null(body);
			check_contents(json_object_get(body, "contents"));
			json_decref(body);
			wire_request_clear(&req);
			sent++;
		}
		provider_free(p);
		chat_request_free(c);
	}
	assert_true(sent > 400);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gemini_encode__the_full_request),
		cmocka_unit_test(test_gemini_encode__paths),
		cmocka_unit_test(test_gemini_encode__turns_alternate),
		cmocka_unit_test(test_gemini_encode__what_it_cannot_say_is_refused),
		cmocka_unit_test(test_gemini_encode__files),
		cmocka_unit_test(test_gemini_encode__arguments_and_results_are_objects),
		cmocka_unit_test(test_gemini_encode__numbers_keep_their_text),
		cmocka_unit_test(test_gemini_encode__signatures),
		cmocka_unit_test(test_gemini_encode__thoughts_go_back_to_whom_signed_them),
		cmocka_unit_test(test_gemini_encode__ids_of_its_own),
		cmocka_unit_test(test_gemini_encode__a_lost_result_and_a_second_one),
		cmocka_unit_test(test_gemini_encode__tool_choices),
		cmocka_unit_test(test_gemini__names_there_and_back),
		cmocka_unit_test(test_gemini_encode__thinking),
		cmocka_unit_test(test_gemini_encode__sampling_and_the_users_own_members),
		cmocka_unit_test(test_gemini_schema__the_table),
		cmocka_unit_test(test_gemini_schema__a_bomb_is_refused),
		cmocka_unit_test(test_gemini_decode__whole_replies),
		cmocka_unit_test(test_gemini_decode__failures_inside_a_200),
		cmocka_unit_test(test_gemini_decode__reasons_to_stop),
		cmocka_unit_test(test_gemini_decode__streams_that_break),
		cmocka_unit_test(test_gemini_decode__ids_signatures_and_odd_parts),
		cmocka_unit_test(test_gemini_refuse__every_recorded_error),
		cmocka_unit_test(test_gemini_refuse__what_no_sample_has),
		cmocka_unit_test(test_gemini__the_model_list),
		cmocka_unit_test(test_gemini_encode__any_chat),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

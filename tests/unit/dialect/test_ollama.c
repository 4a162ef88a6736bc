/* The ollama dialect: the request as JSON, refusals, whole replies, model lists. */
#include "tests/unit/dialect/listener.h"

#include <dirent.h>
#include <math.h>

#define FOLDER MPD_SOURCE_DIR "/tests/transcripts/ollama"

static struct provider *
ollama_at(const char *base_url)
{
	struct provider *p = provider_new();

	free(p->name);
	free(p->base_url);
	p->name = xstrdup("ollama");
	p->base_url = xstrdup(base_url);
	return p;
}

static int
encode_raw(const char *url, const struct chat_request *c, struct heard *h, struct wire_request *req,
    struct error *err)
{
	struct provider *p = ollama_at(url);
	struct dialect_target to = { p, "qwen3:8b" };
	struct event_sink sink = { hear, h };
	int r;

	memset(h, 0, sizeof *h);
	r = dialect_find("ollama")->encode(c, &to, req, &sink, err);
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

	if (encode_raw("http://127.0.0.1:11434", c, h, &req, &err) != 0)
		fail_msg("refused: %s %s", err.field, err.message);
	body = json_loadb(
	    req.body.data, req.body.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &problem);
	if (body == NULL)
		fail_msg("%s in %s", problem.text, req.body.data);
	wire_request_clear(&req);
	return body;
}

static void
assert_refused(const struct chat_request *c, const char *field)
{
	struct error err = ERROR_INIT;
	struct wire_request req;
	struct heard h;

	assert_int_equal(encode_raw("http://127.0.0.1:11434", c, &h, &req, &err),
	    MP_E_INVALID_PARAMS);
	assert_string_equal(err.field, field);
	assert_string_not_equal(err.message, "");
	assert_int_equal(req.body.len, 0);
	wire_request_clear(&req);
	heard_clear(&h);
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

static struct part *
add_result(struct chat_message *m, const char *id, const char *text)
{
	struct part *p = chat_add_part(m, PART_TOOL_RESULT);

	p->call_id = xstrdup(id);
	text_set(&p->text, text, strlen(text));
	return p;
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
add_thinking(struct chat_message *m, const char *text, const char *signed_by)
{
	struct part *p = chat_add_part(m, PART_REASONING);

	text_set(&p->text, text, strlen(text));
	p->signed_by = xstrdup(signed_by);
}

static void
set_json(struct text *t, const json_t *value)
{
	char *text = json_dumps(value, 0);

	text_set(t, text, strlen(text));
	free(text);
}

static void
set_extra(struct chat_request *c, const char *text)
{
	text_set(&c->options.extra, text, strlen(text));
}

static void
add_tool(struct chat_request *c, const char *name)
{
	chat_add_tool(c, name)->strict = -1;
}

/* ---- the request ---- */

static struct chat_request *
full_request(const json_t *file)
{
	struct chat_request *c = chat_request_new();
	const json_t *tool = json_array_get(json_object_get(file, "tools"), 0);
	struct chat_message *m;
	struct tool *t;

	say(c, ROLE_SYSTEM, "Answer briefly.");
	m = say(c, ROLE_USER, "Compare the weather in Oslo and Rome.");
	add_file(m, PART_IMAGE, "image/png", NULL, "\x89PNG\r\n\x1a\n", 8);
	m = say(c, ROLE_ASSISTANT, NULL);
	add_thinking(m, "Two cities.", "ollama:qwen3:8b");
	add_call(m, "call_a1", "get_weather", "{\"city\":\"Oslo\"}");
	add_call(m, "call_b2", "get_weather", "{\"city\":\"Rome\"}");
	add_result(say(c, ROLE_TOOL, NULL), "call_a1", "{\"temp_c\":3}");
	add_result(say(c, ROLE_TOOL, NULL), "call_b2", "station offline");
	t = chat_add_tool(c, "get_weather");
	t->description = xstrdup("Current weather of a city");
	t->strict = -1;
	set_json(&t->parameters, json_object_get(json_object_get(tool, "function"), "parameters"));
	c->want_reasoning = true;
	c->options.format = FORMAT_JSON_SCHEMA;
	set_json(&c->options.schema, json_object_get(file, "format"));
	c->options.max_tokens = 800;
	c->options.temperature = 0.7;
	c->options.seed = 7;
	c->options.stop = xcalloc(2, sizeof(char *));
	c->options.stop[0] = xstrdup("END");
	set_extra(c, "{\"num_ctx\":16384,\"keep_alive\":\"10m\"}");
	return c;
}

static void
test_ollama__the_full_request(void **state)
{
	json_t *want = expected_read(FOLDER "/request-full.json"), *have;
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
test_ollama__the_address_below_any_base_url(void **state)
{
	static const struct {
		const char *url, *path;
	} rows[] = {
		{ "http://127.0.0.1:11434", "/api/chat" },
		{ "http://127.0.0.1:11434/", "/api/chat" },
		{ "http://127.0.0.1:11434/v1", "/api/chat" },
		{ "http://127.0.0.1:11434/v1/", "/api/chat" },
		{ "https://ollama.com/api", "/api/chat" },
		{ "https://x.example/ollama/v1", "/ollama/api/chat" },
		{ "https://x.example/dev1", "/dev1/api/chat" },
	};
	struct chat_request *c = hello();
	struct error err = ERROR_INIT;
	struct wire_request req;
	struct heard h;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_int_equal(encode_raw(rows[i].url, c, &h, &req, &err), 0);
		assert_string_equal(req.path, rows[i].path);
		assert_true(req.at_origin);
		wire_request_clear(&req);
	}
	chat_request_free(c);
}

static void
test_ollama__think_only_when_asked(void **state)
{
	static const struct {
		const char *effort;
		bool want;
		const char *think;
	} rows[] = {
	    {NULL, false, NULL},
	    {NULL, true, "true"},
	    {"off", true, "false"},
	    {"none", false, "false"},
	    {"minimal", false, "\"low\""},
	    {"low", true, "\"low\""},
	    {"medium", false, "\"medium\""},
	    {"high", false, "\"high\""},
	    {"xhigh", false, "\"max\""},
	    {"max", false, "\"max\""},
	};
	struct heard h;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct chat_request *c = hello();
		json_t *body;

		c->want_reasoning = rows[i].want;
		c->options.reasoning_effort = xstrdup(rows[i].effort);
		body = encode(c, &h);
		assert_json(body, "think", rows[i].think);
		assert_json(body, "options", NULL);
		json_decref(body);
		chat_request_free(c);
		heard_clear(&h);
	}
}

static void
test_ollama__tool_choice_by_what_is_sent(void **state)
{
	static const struct {
		enum tool_choice choice;
		unsigned tools, warnings;
	} rows[] = {
		{ TOOL_CHOICE_UNSET, 2, 0 }, { TOOL_CHOICE_AUTO, 2, 0 }, { TOOL_CHOICE_NONE, 0, 0 },
		{ TOOL_CHOICE_REQUIRED, 2, 1 }, { TOOL_CHOICE_ONE, 1, 1 },
	};
	struct heard h;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct chat_request *c = hello();
		json_t *body, *tools;

		add_tool(c, "one");
		add_tool(c, "two");
		c->options.tool_choice = rows[i].choice;
		c->options.tool_choice_name = xstrdup("two");
		body = encode(c, &h);
		tools = json_object_get(body, "tools");
		assert_int_equal(json_array_size(tools), rows[i].tools);
		assert_int_equal(h.warning_count, rows[i].warnings);
		assert_json(body, "tool_choice", NULL);
		if (rows[i].tools == 1)
			assert_string_equal(json_string_value(json_object_get(json_object_get(
			    json_array_get(tools, 0), "function"), "name")), "two");
		if (rows[i].tools == 1)
			assert_json(json_object_get(json_array_get(tools, 0), "function"),
			    "parameters", "{\"type\":\"object\",\"properties\":{}}");
		json_decref(body);
		chat_request_free(c);
		heard_clear(&h);
	}
}

static void
test_ollama__members_of_the_users_own(void **state)
{
	struct chat_request *c = hello();
	struct heard h;
	json_t *body;

	(void)state;
	c->options.max_tokens = 10;
	c->options.top_k = 5;
	set_extra(c,
	    "{\"options\":{\"num_predict\":20,\"new_word\":1},\"num_ctx\":8192,\"think\":\"max\","
	    "\"truncate\":false,\"keep_alive\":-1}");
	c->want_reasoning = true;
	c->options.stream = 0;
	body = encode(c, &h);
	assert_json(body, "options",
	    "{\"num_predict\":20,\"new_word\":1,\"num_ctx\":8192,\"top_k\":5}");
	assert_json(body, "think", "\"max\"");
	assert_json(body, "truncate", "false");
	assert_json(body, "keep_alive", "-1");
	assert_json(body, "num_ctx", NULL);
	assert_json(body, "stream", "false");
	json_decref(body);
	chat_request_free(c);
	heard_clear(&h);
}

static void
test_ollama__what_cannot_be_said_is_refused(void **state)
{
	static const char *const extras[] = { "{\"messages\":[]}", "{\"model\":\"x\"}",
		"{\"stream\":true}", "{\"options\":1}", "{\"options\":{\"seed\":1},\"seed\":2}" };
	struct chat_request *c;
	struct part *p;

	(void)state;
	for (size_t i = 0; i < sizeof extras / sizeof extras[0]; i++) {
		c = hello();
		set_extra(c, extras[i]);
		assert_refused(c, "extra");
		chat_request_free(c);
	}
	c = hello();
	p = chat_add_part(&c->messages[0], PART_IMAGE);
	p->url = xstrdup("https://x.example/a.png");
	assert_refused(c, "attachments");
	chat_request_free(c);
	c = hello();
	add_file(&c->messages[0], PART_DOCUMENT, "application/pdf", "a.pdf", "%PDF-", 5);
	assert_refused(c, "attachments");
	chat_request_free(c);
	c = hello();
	add_tool(c, "one");
	set_extra(c, "{\"tools\":[]}");
	assert_refused(c, "extra");
	chat_request_free(c);
	c = hello();
	c->options.format = FORMAT_JSON;
	set_extra(c, "{\"format\":\"json\"}");
	assert_refused(c, "extra");
	chat_request_free(c);
}

static void
test_ollama__history(void **state)
{
	struct chat_request *c = chat_request_new();
	struct chat_message *m = say(c, ROLE_USER, "one");
	struct heard h;
	json_t *body;

	(void)state;
	chat_add_text(m, "two", 3);
	add_file(m, PART_DOCUMENT, "text/plain", "n.txt", "note", 4);
	m = say(c, ROLE_ASSISTANT, "Let me see.");
	add_thinking(m, "secret", "ollama:other");
	add_call(m, "c1", "f", "{\"n\":90071992547409930}");
	add_call(m, "c2", "g", "not json");
	add_call(m, "c3", "h", "");
	m = say(c, ROLE_USER, "and?");
	add_result(m, "c1", "3")->is_error = true;
	body = encode(c, &h);
	assert_json(body, "messages",
	    "[{\"role\":\"user\",\"content\":\"one\\ntwo\\nFile n.txt:\\n\\nnote\"},"
	    "{\"role\":\"assistant\",\"content\":\"Let me see.\",\"tool_calls\":["
	    "{\"id\":\"c1\",\"function\":{\"index\":0,\"name\":\"f\",\"arguments\":{\"n\":"
	    "90071992547409930}}},"
	    "{\"id\":\"c2\",\"function\":{\"index\":1,\"name\":\"g\",\"arguments\":{\"_raw\":\"not "
	    "json\"}}},"
	    "{\"id\":\"c3\",\"function\":{\"index\":2,\"name\":\"h\",\"arguments\":{}}}]},"
	    "{\"role\":\"tool\",\"tool_name\":\"f\",\"tool_call_id\":\"c1\",\"content\":\"Error: "
	    "3\"},"
	    "{\"role\":\"user\",\"content\":\"and?\"}]");
	assert_int_equal(h.warning_count, 2);
	json_decref(body);
	chat_request_free(c);
	heard_clear(&h);
}

static void
test_ollama__numbers_of_arguments_keep_their_digits(void **state)
{
	struct chat_request *c = hello();
	struct error err = ERROR_INIT;
	struct wire_request req;
	struct heard h;

	(void)state;
	add_call(
	    say(c, ROLE_ASSISTANT, NULL), "c1", "f", "{\"n\":12345678901234567890,\"x\":1e400}");
	assert_int_equal(encode_raw("http://127.0.0.1:11434", c, &h, &req, &err), 0);
	assert_non_null(strstr(req.body.data, "{\"n\":12345678901234567890,\"x\":1e400}"));
	wire_request_clear(&req);
	chat_request_free(c);
	heard_clear(&h);
}

/* ---- the answer ---- */

static void
test_ollama__whole_replies(void **state)
{
	static const struct {
		const char *file, *text;
		enum stop_reason stop;
	} rows[] = {
	    {FOLDER "/reply.json", "Oslo has snow, Rome sun.", STOP_END},
	    {FOLDER "/reply-load.json", "", STOP_OTHER},
	    {FOLDER "/reply-unload.json", "", STOP_OTHER},
	    /* lines that a proxy called one JSON */
	    {FOLDER "/stream-text.ndjson", "Oslo has snow, Rome sun. \xf0\x9f\x8c\x8d", STOP_END},
	};
	struct heard h;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		size_t n;
		char *body = file_read(rows[i].file, &n);

		read_reply_of("ollama", body, n, &h);
		assert_string_equal(buf_str(&h.text), rows[i].text);
		assert_int_equal(h.finishes, 1);
		assert_int_equal(h.stop, rows[i].stop);
		assert_string_equal(h.model, "qwen3:8b");
		heard_clear(&h);
		free(body);
	}
}

static void
test_ollama__no_answer(void **state)
{
	static const struct {
		const char *body, *class;
	} rows[] = {
	    {"", "protocol"},
	    {"{}", "protocol"},
	    {"[]", "protocol"},
	    {"hi", "protocol"},
	    {"{\"message\":{\"content\":\"x\"},\"done\":false}", "protocol"},
	    {"{\"error\":\"boom\"}", "server"},
	    {"{\"error\":\"server busy, please try again.\"}", "overloaded"},
	    {"{\"error\":{\"message\":\"x\"}}", "server"},
	};
	struct heard h;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		read_reply_of("ollama", rows[i].body, strlen(rows[i].body), &h);
		assert_int_equal(h.errors, 1);
		assert_string_equal(failure_class_name(h.failure.class), rows[i].class);
		assert_string_not_equal(h.failure.message, "");
		heard_clear(&h);
	}
}

static void
test_ollama__odd_calls(void **state)
{
	static const char *const lines[] = {
	    "{\"message\":{\"thinking\":\"a\\ud83d\"}}",
	    "{\"message\":{\"thinking\":\"\\ude00\",\"tool_calls\":[{\"function\":{\"name\":\"f\","
	    "\"arguments\":\"{\\\"a\\\":1}\"}},{\"function\":{}},{\"function\":{\"name\":\"g\"}}]}"
	    "}",
	    "{\"done\":true,\"done_reason\":\"length\"}",
	    "{\"message\":{\"content\":\"too late\"}}",
	    NULL,
	};
	struct heard h;

	(void)state;
	read_frames_of("ollama", lines, &h);
	assert_string_equal(buf_str(&h.reasoning), "a\xf0\x9f\x98\x80");
	assert_int_equal(h.reasoning_ends, 1);
	assert_int_equal(h.call_count, 2);
	assert_string_equal(buf_str(&h.calls[0].arguments), "{\"a\":1}");
	assert_string_equal(buf_str(&h.calls[1].arguments), "{}");
	assert_int_equal(h.warning_count, 1);
	assert_int_equal(h.stop, STOP_TOOL_CALL);
	assert_int_equal(h.usages, 0);
	assert_int_equal(h.text.len, 0);
	heard_clear(&h);
}

/* ---- refusals ---- */

static void
refuse(int status, const char *body, struct failure *out)
{
	struct wire_head head = { status, NULL, 0 };

	dialect_find("ollama")->refuse(NULL, &head, slice_of(body), 1795330000000, out);
}

static void
test_ollama__every_recorded_error(void **state)
{
	DIR *dir = opendir(FOLDER);
	struct dirent *entry;
	unsigned files = 0;

	(void)state;
	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		char path[512], *body;
		struct failure f;
		json_t *file;

		if (strncmp(entry->d_name, "error-", 6) != 0)
			continue;
		snprintf(path, sizeof path, "%s/%s", FOLDER, entry->d_name);
		file = expected_read(path);
		body = json_dumps(json_object_get(file, "body"), 0);
		refuse((int)json_integer_value(json_object_get(file, "status")), body, &f);
		assert_string_equal(failure_class_name(f.class),
		    json_string_value(json_object_get(file, "class")));
		assert_string_not_equal(f.message, "");
		free(body);
		json_decref(file);
		files++;
	}
	closedir(dir);
	assert_int_equal(files, 7);
}

static void
test_ollama__refusals_say_what_to_do(void **state)
{
	static const struct {
		int status;
		const char *body, *class, *message;
	} rows[] = {
	    {404, "{\"error\":\"model 'nope:1b' not found\"}", "not_found",
		"model 'nope:1b' not found; get it on the server: ollama pull nope:1b"},
	    {404, "{\"error\":\"model \\\"x\\\" not found, try pulling it first\"}", "not_found",
		"model \"x\" not found, try pulling it first"},
	    {404, "{\"error\":\"model '-x; rm' not found\"}", "not_found",
		"model '-x; rm' not found"},
	    {404, "404 page not found", "not_found", "404 page not found"},
	    {401,
		"{\"error\":\"unauthorized\",\"signin_url\":\"https://ollama.com/"
		"connect?name=h&key=c3No\"}",
		"auth",
		"unauthorized; sign in on the server (ollama signin) or at "
		"https://ollama.com/connect?name=h&%6Bey=c3No"},
	    {401, "{\"error\":\"unauthorized\",\"signin_url\":\"javascript:x\"}", "auth",
		"unauthorized"},
	    {403, "{\"error\":\"cloud is off\"}", "permission", "cloud is off"},
	    {429, "{\"error\":\"you have reached your hourly usage limit\"}", "quota",
		"you have reached your hourly usage limit"},
	    {429, "{\"error\":\"too many\"}", "rate_limit", "too many"},
	    {400, "{\"error\":\"x does not support tools\"}", "unsupported",
		"x does not support tools"},
	    {502, "", "server", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct failure f;

		refuse(rows[i].status, rows[i].body, &f);
		assert_string_equal(failure_class_name(f.class), rows[i].class);
		assert_string_equal(f.message, rows[i].message);
		assert_int_equal(f.http_status, rows[i].status);
	}
}

static void
test_ollama__no_memory_is_not_tried_again(void **state)
{
	struct failure f;

	(void)state;
	refuse(
	    500, "{\"error\":\"model requires more system memory (9 GiB) than is available\"}", &f);
	assert_int_equal(f.class, FAILURE_SERVER);
	assert_int_equal(f.retry_said, 0);
}

/* ---- models ---- */

struct models {
	struct buf text;
};

static void
on_model(void *arg, const struct listed_model *m)
{
	struct models *l = arg;

	buf_addf(&l->text, "%.*s %lld %u;", (int)m->id.len, m->id.data,
	    (long long)m->context_tokens, m->abilities);
}

static void
test_ollama__the_model_list(void **state)
{
	static const struct {
		const char *json, *models;
		int r;
	} rows[] = {
	    {"{\"models\":null}", "", 0},
	    {"{\"models\":[]}", "", 0},
	    {"{\"models\":[{\"name\":\"a\",\"details\":{\"context_length\":40960},"
	     "\"capabilities\":[\"completion\",\"vision\"]},{\"model\":\"\"},{}]}",
		"a 40960 2;", 0},
	    {"{\"data\":[]}", "", MP_E_INVALID_PARAMS},
	    {"[]", "", MP_E_INVALID_PARAMS},
	    {"<html>", "", MP_E_INVALID_PARAMS},
	};
	struct models l = { BUF_INIT };
	struct wire_request req;
	struct provider *p = ollama_at("http://127.0.0.1:11434/v1");
	const struct dialect *d = dialect_find("ollama");
	size_t n;
	char *tags = file_read(FOLDER "/tags.json", &n);

	(void)state;
	assert_int_equal(d->list_reply((struct slice){ tags, n }, on_model, &l), 0);
	assert_string_equal(buf_str(&l.text), "qwen3:8b 0 5;gpt-oss:120b-cloud 0 0;");
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		buf_reset(&l.text, 0);
		assert_int_equal(d->list_reply(slice_of(rows[i].json), on_model, &l), rows[i].r);
		assert_string_equal(buf_str(&l.text), rows[i].models);
	}
	assert_int_equal(d->list_request(p, &req), 0);
	assert_string_equal(req.method, "GET");
	assert_string_equal(req.path, "/api/tags");
	assert_true(req.at_origin);
	wire_request_clear(&req);
	provider_free(p);
	buf_clear(&l.text);
	free(tags);
}

static void
test_ollama__what_show_tells(void **state)
{
	static const struct {
		const char *json;
		int64_t context;
		unsigned abilities;
		int r;
	} rows[] = {
	    {"{\"model_info\":{\"general.architecture\":\"a.b\",\"a.b.context_length\":4096}}",
		4096, 0, 0},
	    {"{\"parameters\":\"stop \\\"x\\\"\\nnum_ctx    "
	     "8192\",\"model_info\":{\"general.architecture\":"
	     "\"a\",\"a.context_length\":40960}}",
		8192, 0, 0},
	    {"{\"capabilities\":[\"completion\",\"vision\",\"audio\"]}", 0, 2, 0},
	    {"{\"capabilities\":[\"embedding\"]}", 0, 0, MP_E_NOT_FOUND},
	    {"{\"model_info\":{\"general.architecture\":\"a\",\"a.context_length\":-1}}", 0, 0, 0},
	    {"{}", 0, 0, 0},
	    {"[]", 0, 0, MP_E_INVALID_PARAMS},
	};
	const struct dialect *d = dialect_find("ollama");
	struct provider *p = ollama_at("http://127.0.0.1:11434");
	struct listed_model m = LISTED_MODEL_INIT;
	struct wire_request req;
	size_t n;
	char *show = file_read(FOLDER "/show.json", &n);

	(void)state;
	assert_int_equal(d->show_reply((struct slice){ show, n }, &m), 0);
	assert_int_equal(m.context_tokens, 40960);
	assert_int_equal(m.abilities, ABILITY_TOOLS | ABILITY_REASONING);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		m = (struct listed_model)LISTED_MODEL_INIT;
		assert_int_equal(d->show_reply(slice_of(rows[i].json), &m), rows[i].r);
		assert_int_equal(m.context_tokens, rows[i].context);
		assert_int_equal(m.abilities, rows[i].abilities);
	}
	assert_int_equal(d->show_request(p, SLICE("a\"b"), &req), 0);
	assert_string_equal(req.method, "POST");
	assert_string_equal(req.path, "/api/show");
	assert_string_equal(req.body.data, "{\"model\":\"a\\\"b\"}");
	wire_request_clear(&req);
	provider_free(p);
	free(show);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ollama__the_full_request),
		cmocka_unit_test(test_ollama__the_address_below_any_base_url),
		cmocka_unit_test(test_ollama__think_only_when_asked),
		cmocka_unit_test(test_ollama__tool_choice_by_what_is_sent),
		cmocka_unit_test(test_ollama__members_of_the_users_own),
		cmocka_unit_test(test_ollama__what_cannot_be_said_is_refused),
		cmocka_unit_test(test_ollama__history),
		cmocka_unit_test(test_ollama__numbers_of_arguments_keep_their_digits),
		cmocka_unit_test(test_ollama__whole_replies),
		cmocka_unit_test(test_ollama__no_answer),
		cmocka_unit_test(test_ollama__odd_calls),
		cmocka_unit_test(test_ollama__every_recorded_error),
		cmocka_unit_test(test_ollama__refusals_say_what_to_do),
		cmocka_unit_test(test_ollama__no_memory_is_not_tried_again),
		cmocka_unit_test(test_ollama__the_model_list),
		cmocka_unit_test(test_ollama__what_show_tells),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

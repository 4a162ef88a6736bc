/* The claude-cli dialect: what the program is asked, and its login. */
#include "tests/unit/dialect/listener.h"

#define FOLDER MPD_SOURCE_DIR "/tests/transcripts/claude-cli"

/* ---- the request ---- */

static int
encode_for(const char *model, const struct chat_request *c, struct heard *h, struct wire_request *req,
    struct error *err)
{
	struct provider *p = provider_new();
	struct dialect_target to = { p, model };
	struct event_sink sink = { hear, h };
	int r;

	memset(h, 0, sizeof *h);
	r = dialect_find("claude-cli")->encode(c, &to, req, &sink, err);
	provider_free(p);
	return r;
}

/* The content of the one line. */
static json_t *
content_of(const struct wire_request *req)
{
	json_t *line, *content;

	assert_true(req->body.len > 0 && req->body.data[req->body.len - 1] == '\n');
	assert_null(memchr(req->body.data, '\n', req->body.len - 1));
	line = json_loadb(req->body.data, req->body.len, JSON_ALLOW_NUL, NULL);
	assert_non_null(line);
	assert_string_equal(json_string_value(json_object_get(line, "type")), "user");
	content = json_object_get(json_object_get(line, "message"), "content");
	assert_int_equal(json_typeof(content), JANSSON_ARRAY);
	json_incref(content);
	json_decref(line);
	return content;
}

static const char *
block_text(const json_t *content, size_t i)
{
	return json_string_value(json_object_get(json_array_get(content, i), "text"));
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
assert_refused(struct chat_request *c, const char *field)
{
	struct error err = ERROR_INIT;
	struct wire_request req;
	struct heard h;

	assert_int_equal(encode_for("sonnet", c, &h, &req, &err), MP_E_INVALID_PARAMS);
	assert_string_equal(err.field, field);
	assert_non_null(strstr(err.message, "claude-cli"));
	assert_int_equal(req.argument_count + req.body.len + req.file.len, 0);
	wire_request_clear(&req);
	heard_clear(&h);
	chat_request_free(c);
}

static void
test_claude_cli__a_question(void **state)
{
	struct chat_request *c = chat_request_new();
	struct error err = ERROR_INIT;
	struct wire_request req;
	struct heard h;
	json_t *content;

	(void)state;
	say(c, ROLE_SYSTEM, "Be brief.");
	say(c, ROLE_SYSTEM, "Be kind.");
	say(c, ROLE_USER, "--help $(id)\n");
	c->options.reasoning_effort = xstrdup("minimal");
	assert_int_equal(encode_for("opus", c, &h, &req, &err), 0);
	content = content_of(&req);
	assert_int_equal(json_array_size(content), 1);
	assert_string_equal(block_text(content, 0), "--help $(id)\n");
	assert_string_equal(buf_str(&req.file), "Be brief.\n\nBe kind.");
	assert_string_equal(req.file_option, "--system-prompt-file");
	assert_string_equal(req.program, "claude");
	assert_true(req.stream);
	assert_string_equal(req.arguments[0], "-p");
	assert_string_equal(req.arguments[req.argument_count - 3], "opus");
	assert_string_equal(req.arguments[req.argument_count - 2], "--effort");
	assert_string_equal(req.arguments[req.argument_count - 1], "low");
	assert_int_equal(h.warning_count, 0);
	json_decref(content);
	wire_request_clear(&req);
	heard_clear(&h);
	chat_request_free(c);
}

static void
test_claude_cli__no_text_of_the_user_is_an_argument(void **state)
{
	struct chat_request *c = chat_request_new();
	struct error err = ERROR_INIT;
	struct wire_request req;
	struct heard h;

	(void)state;
	say(c, ROLE_SYSTEM, "canary");
	say(c, ROLE_USER, "canary");
	say(c, ROLE_ASSISTANT, "canary");
	say(c, ROLE_USER, "canary");
	assert_int_equal(encode_for("opus", c, &h, &req, &err), 0);
	for (size_t i = 0; i < req.argument_count; i++)
		assert_null(strstr(req.arguments[i], "canary"));
	for (size_t i = 0; req.environment[i] != NULL; i++)
		assert_null(strstr(req.environment[i], "ANTHROPIC"));
	wire_request_clear(&req);
	heard_clear(&h);
	chat_request_free(c);
}

static void
test_claude_cli__a_conversation_with_an_image(void **state)
{
	struct chat_request *c = chat_request_new();
	struct error err = ERROR_INIT;
	struct wire_request req;
	struct chat_message *m;
	struct part *p;
	struct heard h;
	json_t *content, *source;

	(void)state;
	m = say(c, ROLE_USER, "one");
	p = chat_add_part(m, PART_IMAGE);
	p->media_type = xstrdup("image/png");
	text_set(&p->bytes, "\x89PNG\r\n\x1a\n", 8);
	m = say(c, ROLE_ASSISTANT, NULL);
	p = chat_add_part(m, PART_REASONING);
	text_set(&p->text, "hmm", 3);
	chat_add_text(m, "two", 3);
	say(c, ROLE_USER, "three");
	assert_int_equal(encode_for("opus", c, &h, &req, &err), 0);
	content = content_of(&req);
	assert_int_equal(json_array_size(content), 3);
	assert_non_null(strstr(block_text(content, 0), "oldest message first"));
	assert_non_null(strstr(block_text(content, 0), "[User]\n\none"));
	source = json_object_get(json_array_get(content, 1), "source");
	assert_string_equal(json_string_value(json_object_get(source, "data")), "iVBORw0KGgo=");
	assert_string_equal(json_string_value(json_object_get(source, "media_type")), "image/png");
	assert_string_equal(block_text(content, 2), "[Assistant]\n\ntwo\n\n[User]\n\nthree");
	/* without rules of the user's own the program would act as the agent it is */
	assert_true(req.file.len > 0);
	json_decref(content);
	wire_request_clear(&req);
	heard_clear(&h);
	chat_request_free(c);
}

static void
test_claude_cli__what_cannot_be_said_is_refused(void **state)
{
	struct chat_request *c = hello();
	struct part *p;

	(void)state;
	chat_add_tool(c, "f");
	assert_refused(c, "tools");

	c = hello();
	p = chat_add_part(say(c, ROLE_ASSISTANT, NULL), PART_TOOL_CALL);
	p->call_id = xstrdup("1");
	p->name = xstrdup("f");
	p = chat_add_part(say(c, ROLE_TOOL, NULL), PART_TOOL_RESULT);
	p->call_id = xstrdup("1");
	assert_refused(c, "tools");

	c = hello();
	c->options.stop = xcalloc(2, sizeof *c->options.stop);
	c->options.stop[0] = xstrdup("x");
	assert_refused(c, "stop");

	c = hello();
	c->options.format = FORMAT_JSON;
	assert_refused(c, "response_format");

	c = hello();
	text_set(&c->options.extra, "{\"a\":1}", 7);
	assert_refused(c, "extra");

	c = hello();
	say(c, ROLE_ASSISTANT, "I think");
	assert_refused(c, "messages");

	c = hello();
	p = chat_add_part(&c->messages[0], PART_DOCUMENT);
	p->media_type = xstrdup("application/pdf");
	text_set(&p->bytes, "%PDF", 4);
	assert_refused(c, "messages");

	c = hello();
	p = chat_add_part(&c->messages[0], PART_IMAGE);
	p->url = xstrdup("https://example.com/a.png");
	assert_refused(c, "messages");
}

static void
test_claude_cli__a_model_must_not_look_like_an_option(void **state)
{
	static const char *const bad[] = { "-p", "--dangerously-skip-permissions", "", "a b", "a\nb" };
	struct chat_request *c = hello();
	struct error err = ERROR_INIT;
	struct wire_request req;
	struct heard h;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(encode_for(bad[i], c, &h, &req, &err), MP_E_INVALID_PARAMS);
		assert_string_equal(err.field, "model");
	}
	chat_request_free(c);
}

static void
test_claude_cli__what_is_left_out_is_told(void **state)
{
	struct chat_request *c = hello();
	struct error err = ERROR_INIT;
	struct wire_request req;
	struct heard h;

	(void)state;
	c->options.temperature = 0;
	c->options.seed = 1;
	c->options.reasoning_effort = xstrdup("off");
	assert_int_equal(encode_for("opus", c, &h, &req, &err), 0);
	assert_int_equal(h.warning_count, 2);
	assert_non_null(strstr(buf_str(&h.warnings), "temperature, seed left out"));
	assert_non_null(strstr(buf_str(&h.warnings), "cannot turn it off"));
	wire_request_clear(&req);
	heard_clear(&h);
	chat_request_free(c);
}

/* ---- the login ---- */

static enum failure_class
login(const char *file)
{
	struct failure f;
	char path[512];
	size_t n;
	char *bytes;

	snprintf(path, sizeof path, "%s/%s", FOLDER, file);
	bytes = file_read(path, &n);
	dialect_find("claude-cli")->login_reply((struct slice){ bytes, n }, &f);
	free(bytes);
	return f.class;
}

static void
test_claude_cli__logged_in_or_not(void **state)
{
	struct wire_request req;
	struct failure f;

	(void)state;
	assert_int_equal(login("auth-status-logged-in.json"), FAILURE_NONE);
	assert_int_equal(login("auth-status-api-key.json"), FAILURE_NONE);
	assert_int_equal(login("auth-status-logged-out.json"), FAILURE_AUTH);
	dialect_find("claude-cli")->login_reply(SLICE("Not logged in"), &f);
	assert_int_equal(f.class, FAILURE_PROTOCOL);
	assert_int_equal(dialect_find("claude-cli")->login_request(NULL, &req), 0);
	assert_int_equal(req.argument_count, 2);
	assert_string_equal(req.arguments[0], "auth");
	assert_string_equal(req.arguments[1], "status");
	assert_false(req.stream);
	wire_request_clear(&req);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_claude_cli__a_question),
		cmocka_unit_test(test_claude_cli__no_text_of_the_user_is_an_argument),
		cmocka_unit_test(test_claude_cli__a_conversation_with_an_image),
		cmocka_unit_test(test_claude_cli__what_cannot_be_said_is_refused),
		cmocka_unit_test(test_claude_cli__a_model_must_not_look_like_an_option),
		cmocka_unit_test(test_claude_cli__what_is_left_out_is_told),
		cmocka_unit_test(test_claude_cli__logged_in_or_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

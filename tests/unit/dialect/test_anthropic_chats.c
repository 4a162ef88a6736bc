/* Whatever passes chat_check becomes JSON that obeys this API's rules of turns. */
#include "tests/unit/dialect/chats.h"

#define CHATS 4000

/* ---- the rules ---- */

static const char *
word(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s != NULL ? s : "";
}

static void
broken(const json_t *body, const char *rule)
{
	fail_msg("%s: %s", rule, json_dumps(body, JSON_COMPACT));
}

static bool
is_blank(const char *s)
{
	return s[strspn(s, " \t\r\n\f\v")] == '\0';
}

/* The calls of the turn before are answered first, each once, in one turn. */
static void
check_results(const json_t *body, const json_t *before, const json_t *content)
{
	const json_t *block;
	size_t i, answered = 0, calls = 0;
	bool other = false;

	json_array_foreach(before, i, block)
		calls += strcmp(word(block, "type"), "tool_use") == 0;
	json_array_foreach(content, i, block) {
		const json_t *call;
		size_t k, found = 0;

		if (strcmp(word(block, "type"), "tool_result") != 0) {
			other = true;
			continue;
		}
		if (other)
			broken(body, "results come first");
		json_array_foreach(before, k, call)
			found += strcmp(word(call, "type"), "tool_use") == 0 &&
			    strcmp(word(call, "id"), word(block, "tool_use_id")) == 0;
		if (found != 1)
			broken(body, "a result answers one call of the turn before");
		answered++;
	}
	if (answered != calls)
		broken(body, "every call is answered once");
}

static void
check_block(const json_t *body, const json_t *block, bool assistant)
{
	const char *type = word(block, "type"), *name = word(block, "name");

	if (strcmp(type, "text") == 0 && is_blank(word(block, "text")))
		broken(body, "no blank text");
	if ((strcmp(type, "tool_use") == 0 || strstr(type, "thinking") != NULL) && !assistant)
		broken(body, "calls and reasoning are the assistant's");
	if (strcmp(type, "tool_use") != 0)
		return;
	if (json_typeof(json_object_get(block, "input")) != JANSSON_OBJECT)
		broken(body, "input is an object");
	if (strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != strlen(name))
		broken(body, "names fit");
}

static void
check_unique_ids(const json_t *body, const json_t *messages)
{
	json_t *seen = json_object();
	const json_t *message, *block;
	size_t i, k;

	json_array_foreach(messages, i, message) {
		json_array_foreach(json_object_get(message, "content"), k, block) {
			const char *id = word(block, "id");

			if (strcmp(word(block, "type"), "tool_use") != 0)
				continue;
			if (*id == '\0' || json_object_get(seen, id) != NULL ||
			    strpbrk(id, ":/. ") != NULL)
				broken(body, "ids fit and are used once");
			json_object_set_new(seen, id, json_integer(1));
		}
	}
	json_decref(seen);
}

static void
check_body(const json_t *body)
{
	const json_t *messages = json_object_get(body, "messages"), *message, *block;
	const json_t *thinking = json_object_get(body, "thinking"), *before = NULL;
	int64_t budget = json_integer_value(json_object_get(thinking, "budget_tokens"));
	int64_t max = json_integer_value(json_object_get(body, "max_tokens"));
	size_t i, k;

	if (json_array_size(messages) == 0)
		broken(body, "there is a message");
	json_array_foreach(messages, i, message) {
		const json_t *content = json_object_get(message, "content");
		bool assistant = i % 2 == 1;

		if (strcmp(word(message, "role"), assistant ? "assistant" : "user") != 0)
			broken(body, "turns alternate, the user first");
		if (json_array_size(content) == 0)
			broken(body, "no empty turn");
		json_array_foreach(content, k, block)
			check_block(body, block, assistant);
		block = json_array_get(content, json_array_size(content) - 1);
		if (assistant && strstr(word(block, "type"), "thinking") != NULL)
			broken(body, "reasoning is not the last");
		if (!assistant)
			check_results(body, before, content);
		before = content;
	}
	block = json_array_get(before, json_array_size(before) - 1);
	if (strcmp(word(block, "type"), "tool_use") == 0)
		broken(body, "the last calls are answered too");
	check_unique_ids(body, messages);
	if (max < 1 || (budget != 0 && (budget < 1024 || budget >= max)))
		broken(body, "a budget lies within max_tokens");
}

static bool
encode(const struct chat_request *c, const char *model)
{
	struct provider *p = provider_new();
	struct dialect_target to = { p, model };
	struct error err = ERROR_INIT;
	struct event_sink sink = { hear, NULL };
	struct heard h = { 0 };
	struct wire_request req;
	json_error_t problem;
	json_t *body;
	bool sent;

	free(p->name);
	p->name = xstrdup("p");
	sink.arg = &h;
	sent = dialect_find("anthropic-messages")->encode(c, &to, &req, &sink, &err) == 0;
	if (sent) {
		body = json_loadb(req.body.data, req.body.len, JSON_REJECT_DUPLICATES, &problem);
		if (body == NULL)
			fail_msg("%s in %s", problem.text, req.body.data);
		check_body(body);
		json_decref(body);
	} else {
		assert_string_not_equal(err.field, "");
	}
	heard_clear(&h);
	wire_request_clear(&req);
	provider_free(p);
	return sent;
}

static void
test_chats__every_chat_obeys_the_rules(void **state)
{
	static const char *const models[] = { "claude-opus-5", "claude-haiku-4-5", "qwen3" };
	uint64_t seed = dice_seed();
	unsigned checked = 0, sent = 0;

	(void)state;
	for (unsigned i = 0; i < CHATS; i++) {
		struct error err = ERROR_INIT;
		struct chat_request *c;

		dice_start(seed, i);
		c = some_chat();
		/* results without a call, images of the assistant and such never come this far */
		if (chat_check(c, &err) == 0) {
			checked++;
			sent += encode(c, models[i % 3]);
		}
		chat_request_free(c);
	}
	/* the generator is no use when nearly all is refused */
	assert_true(checked > CHATS / 8);
	assert_true(sent > checked / 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chats__every_chat_obeys_the_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

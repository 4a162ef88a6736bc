/* openai-chat as OpenRouter speaks it: state that goes back, and errors that come late. */
#include "tests/unit/dialect/listener.h"

#define THINK_1 "{\"type\":\"reasoning.text\",\"text\":\"Hm\",\"index\":0}"
#define THINK_2 "{\"type\":\"reasoning.text\",\"signature\":\"c2ln\",\"index\":0}"
#define DETAILS "[" THINK_1 "," THINK_2 "]"

static struct provider *
provider_named(const char *name)
{
	struct provider *p = provider_new();

	free(p->name);
	free(p->base_url);
	p->name = xstrdup(name);
	p->base_url = xstrdup("http://127.0.0.1:9/v1");
	return p;
}

/* The frames as an answer of a provider with that name. */
static void
read_from(const char *name, const char *const *frames, struct heard *h)
{
	struct provider *p = provider_named(name);
	struct dialect_target to = { p, "a/model" };
	struct reading r;

	memset(h, 0, sizeof *h);
	reading_begin(&r, "openai-chat", h);
	r.dialect->begin(r.state, NULL, &to);
	for (; *frames != NULL; frames++)
		reading_event(&r, (struct slice){ NULL, 0 }, slice_of(*frames));
	reading_finish(&r);
	provider_free(p);
}

static json_t *
assistant_sent(const char *name, const char *model, const char *signature, const char *signed_by,
    struct heard *h)
{
	struct provider *p = provider_named(name);
	struct dialect_target to = { p, model };
	struct event_sink sink = { hear, h };
	struct chat_request *c = chat_request_new();
	struct error err = ERROR_INIT;
	struct chat_message *m;
	struct wire_request req;
	struct part *part;
	json_t *body, *message;

	memset(h, 0, sizeof *h);
	chat_add_text(chat_add_message(c, ROLE_USER), "hi", 2);
	m = chat_add_message(c, ROLE_ASSISTANT);
	part = chat_add_part(m, PART_REASONING);
	text_set(&part->signature, signature, strlen(signature));
	part->signed_by = xstrdup(signed_by);
	chat_add_text(m, "well", 4);
	chat_add_text(chat_add_message(c, ROLE_USER), "so?", 3);
	assert_int_equal(dialect_find("openai-chat")->encode(c, &to, &req, &sink, &err), 0);
	body = json_loadb(req.body.data, req.body.len, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(body);
	message = json_incref(json_array_get(json_object_get(body, "messages"), 1));
	json_decref(body);
	wire_request_clear(&req);
	chat_request_free(c);
	provider_free(p);
	return message;
}

static const char *const thoughts[] = {
	"{\"id\":\"1\",\"choices\":[{\"delta\":{\"reasoning\":\"Hm\",\"reasoning_details\":[" THINK_1
	"]}}]}",
	"{\"choices\":[{\"delta\":{\"content\":\"\",\"reasoning_details\":[" THINK_2 "]}}]}",
	"{\"choices\":[{\"delta\":{\"content\":\"well\",\"reasoning_details\":[]}}]}",
	"{\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}",
	"[DONE]",
	NULL,
};

static void
assert_details(const struct heard *h, const char *expected)
{
	json_t *want = json_loads(expected, JSON_ALLOW_NUL, NULL);
	json_t *have = json_loads(buf_str(&h->signature), JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL,
	    NULL);

	assert_non_null(want);
	if (have == NULL || !json_equal(want, have))
		fail_msg("%s", buf_str(&h->signature));
	json_decref(want);
	json_decref(have);
}

static void
test_openrouter__only_pieces_of_one_block_are_joined(void **state)
{
#define PIECE(member) "{\"choices\":[{\"delta\":{\"reasoning_details\":[" member "]}}]}"
	static const char *const frames[] = {
		PIECE("{\"type\":\"t\",\"index\":0,\"text\":\"a\\ud83c\",\"signature\":null}"),
		PIECE("{\"type\":\"t\",\"index\":0,\"text\":\"\\udf0d\\u0000\",\"format\":\"f\"}"),
		PIECE("{\"type\":\"t\",\"index\":0,\"signature\":\"s\"}"),
		PIECE("{\"type\":\"t\",\"index\":1,\"text\":\"b\"},7,null"),
		PIECE("{\"type\":\"e\",\"index\":1,\"data\":\"c\",\"own\":{\"x\":[1]}}"),
		PIECE("{\"type\":\"e\",\"data\":\"d\"}"),
		PIECE("{\"type\":\"e\",\"data\":\"e\"}"),
		"{\"choices\":[{\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}",
		"[DONE]",
		NULL,
	};
	struct heard h;

	(void)state;
	read_from("openrouter", frames, &h);
	assert_details(&h, "[{\"type\":\"t\",\"index\":0,\"text\":\"a\\ud83c\\udf0d\\u0000\","
	    "\"format\":\"f\",\"signature\":\"s\"},"
	    "{\"type\":\"t\",\"index\":1,\"text\":\"b\"},"
	    "{\"type\":\"e\",\"index\":1,\"data\":\"c\",\"own\":{\"x\":[1]}},"
	    "{\"type\":\"e\",\"data\":\"d\"},{\"type\":\"e\",\"data\":\"e\"}]");
	heard_clear(&h);
#undef PIECE
}

static void
test_openrouter__details_are_the_signature(void **state)
{
	struct heard h;

	(void)state;
	read_from("openrouter", thoughts, &h);
	/* the signature is one of the whole text: the pieces became a block */
	assert_details(&h, "[{\"type\":\"reasoning.text\",\"text\":\"Hm\",\"index\":0,"
	    "\"signature\":\"c2ln\"}]");
	assert_int_equal(h.reasoning_ends, 1);
	assert_string_equal(buf_str(&h.reasoning), "Hm");
	assert_int_equal(h.finishes, 1);
	heard_clear(&h);
	read_from("other", thoughts, &h);
	assert_int_equal(h.reasoning_ends, 0);
	assert_string_equal(buf_str(&h.text), "well");
	heard_clear(&h);
}

static void
test_openrouter__a_cut_answer_signs_nothing(void **state)
{
	const char *const cut[] = { thoughts[0], thoughts[1], NULL };
	struct heard h;

	(void)state;
	read_from("openrouter", cut, &h);
	assert_int_equal(h.reasoning_ends, 0);
	assert_int_equal(h.errors, 1);
	heard_clear(&h);
}

static void
test_openrouter__details_go_back_to_whom_made_them(void **state)
{
	struct heard h;
	json_t *want = json_loads(DETAILS, 0, NULL);
	json_t *m = assistant_sent("openrouter", "a/model", DETAILS, "openrouter:a/model", &h);

	(void)state;
	assert_true(json_equal(json_object_get(m, "reasoning_details"), want));
	assert_string_equal(json_string_value(json_object_get(m, "content")), "well");
	assert_int_equal(h.warning_count, 0);
	json_decref(want);
	json_decref(m);
	heard_clear(&h);
}

static void
test_openrouter__details_go_to_nobody_else(void **state)
{
	static const struct {
		const char *name, *model, *signature, *signed_by;
	} rows[] = {
		{ "openrouter", "b/model", DETAILS, "openrouter:a/model" },
		{ "other", "a/model", DETAILS, "openrouter:a/model" },
		{ "other", "a/model", DETAILS, "other:a/model" },
		{ "openrouter", "a/model", "no json", "openrouter:a/model" },
		{ "openrouter", "a/model", "{\"a\":1}", "openrouter:a/model" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct heard h;
		json_t *m = assistant_sent(rows[i].name, rows[i].model, rows[i].signature,
		    rows[i].signed_by, &h);

		assert_null(json_object_get(m, "reasoning_details"));
		assert_int_equal(h.warning_count, 1);
		json_decref(m);
		heard_clear(&h);
	}
}

/* The same words in the middle of an answer mean other things at another provider. */
static void
test_openrouter__late_errors_depend_on_the_house(void **state)
{
	static const char *const late[] = {
		"{\"id\":\"1\",\"choices\":[{\"delta\":{\"content\":\"a\"}}]}",
		"{\"error\":{\"message\":\"You exceeded your current quota.\","
		"\"type\":\"insufficient_quota\",\"code\":\"insufficient_quota\"}}",
		NULL,
	};
	static const struct {
		const char *name;
		enum failure_class class;
	} rows[] = {
		{ "qwen", FAILURE_RATE_LIMIT },
		{ "openai", FAILURE_QUOTA },
		{ "other", FAILURE_QUOTA },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct heard h;

		read_from(rows[i].name, late, &h);
		assert_int_equal(h.errors, 1);
		if (h.failure.class != rows[i].class)
			fail_msg("%s: %s", rows[i].name, failure_class_name(h.failure.class));
		heard_clear(&h);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_openrouter__details_are_the_signature),
		cmocka_unit_test(test_openrouter__only_pieces_of_one_block_are_joined),
		cmocka_unit_test(test_openrouter__a_cut_answer_signs_nothing),
		cmocka_unit_test(test_openrouter__details_go_back_to_whom_made_them),
		cmocka_unit_test(test_openrouter__details_go_to_nobody_else),
		cmocka_unit_test(test_openrouter__late_errors_depend_on_the_house),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

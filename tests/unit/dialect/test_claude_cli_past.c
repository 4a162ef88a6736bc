/* The claude-cli dialect: what a program knows that has answered, and who goes on with it. */
#include "tests/unit/dialect/listener.h"

#define INIT(source) "{\"type\":\"system\",\"subtype\":\"init\",\"apiKeySource\":\"" source "\"}"
#define SAYS(id, text)                                                                             \
	"{\"type\":\"assistant\",\"message\":{\"id\":\"" id "\",\"content\":[{\"type\":\"text\","          \
	"\"text\":\"" text "\"}]}}"
#define RESULT(members) "{\"type\":\"result\",\"subtype\":\"success\"," members "}"
#define DONE "\"is_error\":false,\"stop_reason\":\"end_turn\",\"result\":"

static const struct dialect *
claude(void)
{
	return dialect_find("claude-cli");
}

/* ---- conversations ---- */

static struct chat_message *
say(struct chat_request *c, enum role role, const char *text)
{
	struct chat_message *m = chat_add_message(c, role);

	if (text != NULL)
		chat_add_text(m, text, strlen(text));
	return m;
}

static struct part *
show(struct chat_message *m, const char *bytes)
{
	struct part *p = chat_add_part(m, PART_IMAGE);

	p->media_type = xstrdup("image/png");
	text_set(&p->bytes, bytes, strlen(bytes));
	return p;
}

static struct chat_request *
first_turn(void)
{
	struct chat_request *c = chat_request_new();

	say(c, ROLE_SYSTEM, "rules");
	show(say(c, ROLE_USER, "one"), "PNG");
	return c;
}

static struct chat_request *
second_turn(void)
{
	struct chat_request *c = first_turn();

	say(c, ROLE_ASSISTANT, "two");
	say(c, ROLE_USER, "three");
	return c;
}

/* Encodes c and frees it. */
static void
encode(struct chat_request *c, struct wire_request *req)
{
	struct provider *p = provider_new();
	struct dialect_target to = { p, "sonnet" };
	struct error err = ERROR_INIT;
	struct heard h;
	struct event_sink sink = { hear, &h };

	memset(&h, 0, sizeof h);
	assert_int_equal(claude()->encode(c, &to, req, &sink, &err), 0);
	assert_true(req->stays);
	heard_clear(&h);
	provider_free(p);
	chat_request_free(c);
}

/* ---- an answer ---- */

/* What the program knows that was asked c (freed) and wrote these lines. False when it is not asked again. */
static bool
answered(struct chat_request *c, const char *const *lines, const struct wire_memory *before,
    struct heard *h, struct wire_memory *known)
{
	void *state = calloc(1, claude()->state_size);
	struct event_sink sink = { hear, h };
	bool kept;

	memset(h, 0, sizeof *h);
	wire_memory_init(known);
	claude()->begin(state, c, NULL);
	if (c != NULL)
		chat_request_free(c);
	if (before != NULL)
		claude()->resume(state, before);
	for (; *lines != NULL; lines++) {
		struct frame f = { { NULL, 0 }, slice_of(*lines) };

		claude()->frame(state, &f, &sink);
	}
	claude()->end(state, &sink);
	assert_int_equal(h->finishes + h->errors, 1);
	kept = claude()->remember(state, known);
	claude()->clear(state);
	free(state);
	return kept;
}

static const char *const two[] = { INIT("none"), SAYS("m", "two"), RESULT(DONE "\"two\""), NULL };

static void
know_two(struct wire_memory *known)
{
	struct heard h;

	assert_true(answered(first_turn(), two, NULL, &h, known));
	assert_int_equal(known->spent_microusd, -1);
	heard_clear(&h);
}

static bool
goes_on(const struct wire_request *req, const struct wire_memory *known)
{
	return req->past.len == known->past.len &&
	    memcmp(req->past.data, known->past.data, known->past.len) == 0;
}

static void
assert_asked(const struct wire_request *req, const char *content)
{
	struct buf line = BUF_INIT;

	buf_addf(&line, "{\"type\":\"user\",\"message\":{\"role\":\"user\",\"content\":[%s]}}\n", content);
	assert_string_equal(buf_str(&req->more), buf_str(&line));
	buf_clear(&line);
}

static void
test_claude_cli_past__the_next_turn_is_asked_alone(void **state)
{
	struct wire_memory known;
	struct wire_request req;
	struct chat_request *c;
	struct part *p;

	(void)state;
	know_two(&known);
	encode(second_turn(), &req);
	assert_true(goes_on(&req, &known));
	assert_asked(&req, "{\"type\":\"text\",\"text\":\"three\"}");
	/* who does not know it is asked everything */
	assert_non_null(strstr(buf_str(&req.body), "oldest message first"));
	assert_string_equal(buf_str(&req.file), "rules");
	wire_request_clear(&req);

	/* the answer comes back in pieces, with the reasoning, and two messages follow */
	c = first_turn();
	p = chat_add_part(say(c, ROLE_ASSISTANT, NULL), PART_REASONING);
	text_set(&p->text, "hmm", 3);
	chat_add_text(&c->messages[2], "t", 1);
	chat_add_text(&c->messages[2], "wo", 2);
	show(say(c, ROLE_USER, "three"), "x");
	say(c, ROLE_USER, "four");
	encode(c, &req);
	assert_true(goes_on(&req, &known));
	assert_asked(&req, "{\"type\":\"text\",\"text\":\"three\"},{\"type\":\"image\",\"source\":"
	    "{\"type\":\"base64\",\"media_type\":\"image/png\",\"data\":\"eA==\"}},"
	    "{\"type\":\"text\",\"text\":\"four\"}");
	wire_request_clear(&req);
	wire_memory_clear(&known);
}

static void
test_claude_cli_past__it_grows_turn_by_turn(void **state)
{
	static const char *const four[] = { INIT("none"), SAYS("m", "four"), RESULT(DONE "\"four\""), NULL };
	struct chat_request *c;
	struct wire_memory known;
	struct wire_request req;
	struct heard h;

	(void)state;
	assert_true(answered(second_turn(), four, NULL, &h, &known));
	heard_clear(&h);
	c = second_turn();
	say(c, ROLE_ASSISTANT, "four");
	say(c, ROLE_USER, "five");
	encode(c, &req);
	assert_true(goes_on(&req, &known));
	assert_asked(&req, "{\"type\":\"text\",\"text\":\"five\"}");
	wire_request_clear(&req);
	wire_memory_clear(&known);
}

enum change {
	OTHER_RULES, NO_RULES, OTHER_WORDS, OTHER_IMAGE, OTHER_TYPE, OTHER_ANSWER, LONGER_ANSWER, NO_ANSWER,
	AN_OLDER_TURN, SHORTER, SYSTEM_LATER, PARTS_ELSEWHERE, TWO_MESSAGES, CHANGES
};

static struct chat_request *
changed(enum change how)
{
	struct chat_request *c = chat_request_new();
	struct chat_message *m;
	struct part *p;

	if (how == AN_OLDER_TURN) {
		say(c, ROLE_USER, "zero");
		say(c, ROLE_ASSISTANT, "zero");
	}
	if (how != NO_RULES)
		say(c, ROLE_SYSTEM, how == OTHER_RULES ? "rule" : "rules");
	m = say(c, ROLE_USER, how == OTHER_WORDS ? "One" : how == PARTS_ELSEWHERE ? "on" : "one");
	if (how == PARTS_ELSEWHERE)
		chat_add_text(m, "e", 1);
	if (how == TWO_MESSAGES)
		m = say(c, ROLE_USER, NULL);
	if (how != SHORTER) {
		p = show(m, how == OTHER_IMAGE ? "PNg" : "PNG");
		if (how == OTHER_TYPE)
			memcpy(p->media_type, "image/gif", sizeof "image/gif");
	}
	if (how != NO_ANSWER)
		say(c, ROLE_ASSISTANT, how == OTHER_ANSWER ? "Two" : how == LONGER_ANSWER ? "two " : "two");
	if (how == SYSTEM_LATER)
		say(c, ROLE_SYSTEM, "more rules");
	say(c, ROLE_USER, "three");
	return c;
}

static void
test_claude_cli_past__another_conversation_is_another(void **state)
{
	struct wire_memory known;
	struct wire_request req;

	(void)state;
	know_two(&known);
	for (unsigned how = 0; how < CHANGES; how++) {
		encode(changed(how), &req);
		if (goes_on(&req, &known))
			fail_msg("change %u is not seen", how);
		/* nobody can be asked the new turn alone */
		if (how == NO_ANSWER || how == SYSTEM_LATER)
			assert_int_equal(req.past.len + req.more.len, 0);
		wire_request_clear(&req);
	}
	encode(first_turn(), &req);
	assert_int_equal(req.past.len + req.more.len, 0);
	wire_request_clear(&req);
	wire_memory_clear(&known);
}

/* ---- who is not asked again ---- */

static void
test_claude_cli_past__only_a_whole_answer_goes_on(void **state)
{
	static const struct {
		const char *lines[5];
	} rows[] = {
		/* it remembers other words than were told */
		{ { SAYS("m", "two"), RESULT(DONE "\"two.\"") } },
		{ { SAYS("m", "two"), SAYS("n", "more"), RESULT(DONE "\"more\"") } },
		{ { SAYS("m", "two"), RESULT(DONE "null") } },
		{ { SAYS("m", "two"), RESULT("\"is_error\":false") } },
		{ { RESULT("\"is_error\":false,\"result\":7") } },
		/* it was cut */
		{ { SAYS("m", "two"), RESULT("\"is_error\":false,\"stop_reason\":\"max_tokens\","
		    "\"result\":\"two\"") } },
		{ { SAYS("m", "two"), RESULT("\"is_error\":true,\"stop_reason\":\"refusal\","
		    "\"result\":\"two\"") } },
		{ { SAYS("m", "two"), RESULT("\"is_error\":true,\"result\":\"two\"") } },
		{ { SAYS("m", "two") } },
		/* it has shortened what it knows */
		{ { "{\"type\":\"system\",\"subtype\":\"compact_boundary\"}", SAYS("m", "two"),
		    RESULT(DONE "\"two\"") } },
	};
	struct wire_memory known;
	struct heard h;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (answered(first_turn(), rows[i].lines, NULL, &h, &known))
			fail_msg("row %zu goes on", i);
		assert_int_equal(known.past.len, 0);
		heard_clear(&h);
	}
	/* a recorded answer belongs to no conversation */
	assert_false(answered(NULL, two, NULL, &h, &known));
	heard_clear(&h);
}

static void
test_claude_cli_past__nobody_waits_for_the_longest_ones(void **state)
{
	char *long_text = xcalloc(1, WIRE_PAST_MAX + 1);
	struct chat_request *c = chat_request_new();
	struct wire_memory known;
	struct wire_request req;
	struct heard h;

	(void)state;
	memset(long_text, 'x', WIRE_PAST_MAX);
	say(c, ROLE_USER, long_text);
	assert_false(answered(c, two, NULL, &h, &known));
	heard_clear(&h);
	c = chat_request_new();
	say(c, ROLE_USER, long_text);
	say(c, ROLE_ASSISTANT, "two");
	say(c, ROLE_USER, "three");
	encode(c, &req);
	assert_true(req.past.failed);
	assert_true(req.body.len > WIRE_PAST_MAX);
	wire_request_clear(&req);
	free(long_text);
}

/* ---- money ---- */

static void
test_claude_cli_past__each_turn_costs_its_own(void **state)
{
	static const char *const lines[] = { INIT("ANTHROPIC_API_KEY"), SAYS("m", "two"),
		RESULT(DONE "\"two\",\"total_cost_usd\":0.25,\"usage\":{\"output_tokens\":3}"), NULL };
	static const struct {
		int64_t before, cost;
	} rows[] = { { 200000, 50000 }, { 250000, 0 }, { 250001, -1 }, { -1, -1 } };
	struct wire_memory before, known;
	struct heard h;

	(void)state;
	wire_memory_init(&before);
	assert_true(answered(first_turn(), lines, NULL, &h, &known));
	assert_int_equal(h.usage.cost_microusd, 250000);
	assert_int_equal(known.spent_microusd, 250000);
	heard_clear(&h);
	wire_memory_clear(&known);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		before.spent_microusd = rows[i].before;
		assert_true(answered(first_turn(), lines, &before, &h, &known));
		assert_int_equal(h.usage.cost_microusd, rows[i].cost);
		assert_int_equal(known.spent_microusd, 250000);
		heard_clear(&h);
		wire_memory_clear(&known);
	}
	/* a plan pays nothing, whatever the sum */
	assert_true(answered(first_turn(), two, &before, &h, &known));
	assert_int_equal(known.spent_microusd, -1);
	heard_clear(&h);
	wire_memory_clear(&known);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_claude_cli_past__the_next_turn_is_asked_alone),
		cmocka_unit_test(test_claude_cli_past__it_grows_turn_by_turn),
		cmocka_unit_test(test_claude_cli_past__another_conversation_is_another),
		cmocka_unit_test(test_claude_cli_past__only_a_whole_answer_goes_on),
		cmocka_unit_test(test_claude_cli_past__nobody_waits_for_the_longest_ones),
		cmocka_unit_test(test_claude_cli_past__each_turn_costs_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

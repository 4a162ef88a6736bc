/* What an answer has told of its usage when it breaks off: at any place, in every language. */
#include "tests/unit/dialect/answers.h"

#define CHUNK(more) \
	"{\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hel\"}}]" more "}"
#define PART(more) \
	"{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Hel\"}]},\"index\":0}],\"responseId\":\"r\"" \
	more "}"
#define GEMINI(counts) PART(",\"usageMetadata\":{" counts "}")
#define MESSAGE(usage) \
	"{\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"model\":\"m\",\"usage\":{" usage "}}}"
#define PIECE \
	"{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hel\"}}"
#define DELTA(n) \
	"{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}," \
	"\"usage\":{\"output_tokens\":" #n "}}"
#define CLI(event) "{\"type\":\"stream_event\",\"event\":" event ",\"parent_tool_use_id\":null}"
#define RESPONSE(type, usage) \
	"{\"type\":\"response." type "\",\"response\":{\"id\":\"r\",\"model\":\"m\",\"usage\":" usage "}}"
#define IN(n) "\"input_tokens\":" #n
#define OUT(n) "\"output_tokens\":" #n
#define READ(n) "\"cache_read_input_tokens\":" #n

struct told_case {
	const char *dialect;
	const char *frames[6]; /* then it breaks off */
	int64_t input, output, cache_read;
};

static const struct told_case cases[] = {
	{ "openai-chat", { CHUNK("") }, -1, -1, -1 },
	{ "openai-chat", { CHUNK(",\"usage\":{\"prompt_tokens\":7}") }, 7, -1, -1 },
	/* servers that count as they go: the last word counts */
	{ "openai-chat", { CHUNK(",\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":1}"),
	    CHUNK(",\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2}"), CHUNK(",\"usage\":null") },
	    7, 2, -1 },
	{ "openai-responses", { RESPONSE("created", "null") }, -1, -1, -1 },
	{ "openai-responses", { RESPONSE("created", "null"),
	    RESPONSE("in_progress", "{" IN(9) ",\"input_tokens_details\":{\"cached_tokens\":4}}") },
	    9, -1, 4 },
	/* the output that comes with the beginning is a placeholder */
	{ "anthropic-messages", { MESSAGE(IN(20) "," READ(5) "," OUT(1)) }, 25, -1, 5 },
	{ "anthropic-messages", { MESSAGE(IN(20) "," OUT(1)), PIECE }, 20, -1, -1 },
	{ "anthropic-messages", { MESSAGE(IN(20)), PIECE, DELTA(30) }, 20, 30, -1 },
	{ "anthropic-messages", { MESSAGE(""), PIECE }, -1, -1, -1 },
	{ "anthropic-messages", { MESSAGE(IN(-3)), PIECE }, -1, -1, -1 },
	{ "claude-cli", { "{\"type\":\"system\",\"subtype\":\"init\"}" }, -1, -1, -1 },
	{ "claude-cli", { CLI(MESSAGE(IN(3) "," READ(50) "," OUT(1))), CLI(PIECE) }, 53, -1, 50 },
	{ "claude-cli", { CLI(MESSAGE(IN(3))), CLI(DELTA(8)) }, 3, 8, -1 },
	/* a second message of the same turn */
	{ "claude-cli", { CLI(MESSAGE(IN(3) "," READ(1))), CLI(DELTA(8)), CLI(MESSAGE(IN(4))),
	    CLI(DELTA(2)) }, 8, 10, 1 },
	/* messages that did not come in pieces; those that did only repeat themselves */
	{ "claude-cli", { "{\"type\":\"assistant\",\"message\":{\"id\":\"w\",\"model\":\"m\",\"content\":[],"
	    "\"usage\":{" IN(6) "," OUT(2) "}}}" }, 6, 2, -1 },
	{ "claude-cli", { CLI(MESSAGE(IN(3))), "{\"type\":\"assistant\",\"message\":{\"id\":\"m\","
	    "\"model\":\"m\",\"content\":[],\"usage\":{" IN(3) "," OUT(1) "}}}" }, 3, -1, -1 },
	/* a subagent's are not ours */
	{ "claude-cli", { "{\"type\":\"stream_event\",\"event\":" MESSAGE(IN(3))
	    ",\"parent_tool_use_id\":\"t\"}" }, -1, -1, -1 },
	{ "gemini", { PART("") }, -1, -1, -1 },
	{ "gemini", { GEMINI("\"promptTokenCount\":11,\"totalTokenCount\":11") }, 11, 0, -1 },
	{ "gemini", { GEMINI("\"promptTokenCount\":11"),
	    GEMINI("\"promptTokenCount\":11,\"candidatesTokenCount\":4"), PART("") }, 11, 4, -1 },
};

static struct usage
told_by(const struct reading *r)
{
	struct usage u = USAGE_INIT;

	if (r->dialect->told != NULL)
		r->dialect->told(r->state, &u);
	return u;
}

static void
test_told__an_answer_that_breaks_off_keeps_its_counts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct told_case *c = &cases[i];
		struct heard h = { .usages = 0 };
		struct reading r;
		struct usage u;

		reading_begin(&r, c->dialect, &h);
		for (size_t n = 0; c->frames[n] != NULL; n++)
			reading_event(&r, (struct slice){ NULL, 0 }, slice_of(c->frames[n]));
		assert_int_equal(h.errors + h.finishes + h.usages, 0);
		u = told_by(&r);
		reading_finish(&r);
		heard_clear(&h);
		if (u.input_tokens != c->input || u.output_tokens != c->output ||
		    u.cache_read_tokens != c->cache_read)
			fail_msg("case %zu, %s: %lld in, %lld out, %lld cached", i, c->dialect,
			    (long long)u.input_tokens, (long long)u.output_tokens,
			    (long long)u.cache_read_tokens);
		assert_false(usage_estimated(&u));
	}
}

/* Nothing told is different from a count of nothing, and nobody tells before he knows. */
static void
test_told__before_the_first_byte_there_is_nothing(void **state)
{
	(void)state;
	for (const struct dialect *const *d = dialect_list(); *d != NULL; d++) {
		struct heard h = { .usages = 0 };
		struct reading r;
		struct usage u;

		reading_begin(&r, (*d)->name, &h);
		u = told_by(&r);
		assert_false(usage_known(&u));
		reading_finish(&r);
		heard_clear(&h);
	}
}

/* At the end both ways say the same; where there is one way only, it is at the end. */
static void
test_told__is_what_the_end_reports(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof writers / sizeof *writers; i++) {
		struct answer a = { .input = 40 + (int)i, .output = 3 + (int)i };
		struct buf wire = BUF_INIT;
		struct heard h = { .usages = 0 };
		struct reading r;
		struct usage u;

		buf_adds(&a.text, "Hello");
		writers[i].write(&a, &wire);
		reading_begin(&r, writers[i].dialect, &h);
		reading_feed(&r, wire.data, wire.len);
		u = told_by(&r);
		reading_finish(&r);
		assert_int_equal(h.finishes, 1);
		assert_int_equal(h.usage.input_tokens, a.input);
		assert_int_equal(h.usage.output_tokens, a.output);
		if (strcmp(writers[i].dialect, "ollama") == 0) {
			assert_false(usage_known(&u));
		} else {
			assert_int_equal(u.input_tokens, a.input);
			assert_int_equal(u.output_tokens, a.output);
		}
		heard_clear(&h);
		buf_clear(&a.text);
		buf_clear(&wire);
	}
}

/* A response that failed as a whole was counted all the same. */
static void
test_told__a_failed_response_in_one_piece(void **state)
{
	static const char body[] = "{\"id\":\"r\",\"status\":\"failed\",\"error\":{\"code\":\"server_error\","
				   "\"message\":\"oops\"},\"usage\":{" IN(12) "," OUT(5) "}}";
	struct heard h = { .usages = 0 };
	struct reading r;
	struct usage u;

	(void)state;
	reading_begin(&r, "openai-responses", &h);
	r.dialect->body(r.state, (struct slice){ body, sizeof body - 1 }, &r.sink);
	u = told_by(&r);
	assert_int_equal(h.errors, 1);
	assert_int_equal(u.input_tokens, 12);
	assert_int_equal(u.output_tokens, 5);
	reading_finish(&r);
	heard_clear(&h);
}

/* The result of a turn counts all of it: what its messages told before is not added to it. */
static void
test_told__the_result_of_a_turn_wins(void **state)
{
	static const char *const frames[] = { CLI(MESSAGE(IN(3))), CLI(DELTA(8)),
		CLI(MESSAGE(IN(4))),
		"{\"type\":\"result\",\"is_error\":true,\"subtype\":\"error\",\"result\":\"Overloaded\","
		"\"usage\":{\"input_tokens\":7,\"output_tokens\":11}}" };
	struct heard h = { .usages = 0 };
	struct reading r;
	struct usage u;

	(void)state;
	reading_begin(&r, "claude-cli", &h);
	for (size_t n = 0; n < sizeof frames / sizeof *frames; n++)
		reading_event(&r, (struct slice){ NULL, 0 }, slice_of(frames[n]));
	u = told_by(&r);
	assert_int_equal(h.errors, 1);
	assert_int_equal(u.input_tokens, 7);
	assert_int_equal(u.output_tokens, 11);
	reading_finish(&r);
	heard_clear(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_told__an_answer_that_breaks_off_keeps_its_counts),
		cmocka_unit_test(test_told__before_the_first_byte_there_is_nothing),
		cmocka_unit_test(test_told__is_what_the_end_reports),
		cmocka_unit_test(test_told__a_failed_response_in_one_piece),
		cmocka_unit_test(test_told__the_result_of_a_turn_wins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

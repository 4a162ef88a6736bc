/* Answers of the messages API: by the book, and as other servers send them. */
#include "tests/unit/dialect/listener.h"

#define SAMPLES MPD_SOURCE_DIR "/tests/transcripts/anthropic"
#define START(i, block) "{\"type\":\"content_block_start\",\"index\":" #i ",\"content_block\":" block "}"
#define DELTA(i, delta) "{\"type\":\"content_block_delta\",\"index\":" #i ",\"delta\":" delta "}"
#define STOP(i) "{\"type\":\"content_block_stop\",\"index\":" #i "}"
#define TEXT(i, text) DELTA(i, "{\"type\":\"text_delta\",\"text\":\"" text "\"}")
#define ARGS(i, text) DELTA(i, "{\"type\":\"input_json_delta\",\"partial_json\":\"" text "\"}")
#define END(why) "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"" why "\"}}"
#define DONE "{\"type\":\"message_stop\"}"
#define CALL(i, id, name) START(i, "{\"type\":\"tool_use\",\"id\":\"" id "\",\"name\":" \
	"\"" name "\",\"input\":{}}")

static void
read_events(const char *const *frames, struct heard *h)
{
	struct reading r;

	memset(h, 0, sizeof *h);
	reading_begin(&r, "anthropic-messages", h);
	for (; *frames != NULL; frames++)
		reading_event(&r, (struct slice){ NULL, 0 }, slice_of(*frames));
	reading_finish(&r);
	assert_false(h->after_end);
	assert_false(h->bad_utf8);
	assert_int_equal(h->finishes + h->errors, 1);
}
#define READ(h, ...) read_events((const char *const[]){ __VA_ARGS__, NULL }, (h))

static void
read_whole(const char *body, size_t n, struct heard *h)
{
	struct reading r;

	memset(h, 0, sizeof *h);
	reading_begin(&r, "anthropic-messages", h);
	r.dialect->body(r.state, (struct slice){ body, n }, &r.sink);
	reading_finish(&r);
	assert_false(h->after_end);
}

static void
read_file(const char *name, struct heard *h)
{
	char path[512];
	size_t n;
	char *body;

	snprintf(path, sizeof path, SAMPLES "/%s", name);
	body = file_read(path, &n);
	read_whole(body, n, h);
	free(body);
}

static void
test_decode__whole_replies(void **state)
{
	struct heard h;

	(void)state;
	read_file("reply.json", &h);
	assert_string_equal(buf_str(&h.text), "Oslo has snow at 3 °C; Rome is unknown.");
	assert_string_equal(h.model, "claude-sonnet-5-5");
	assert_int_equal(h.stop, STOP_END);
	assert_int_equal(h.usage.input_tokens, 1219);
	assert_int_equal(h.usage.cache_read_tokens, 1024);
	assert_int_equal(h.usage.reasoning_tokens, 40);
	heard_clear(&h);

	read_file("reply-tool-use.json", &h);
	assert_int_equal(h.call_count, 2);
	assert_string_equal(buf_str(&h.calls[1].id), "toolu_b2");
	assert_true(h.calls[1].ended);
	assert_int_equal(h.stop, STOP_TOOL_CALL);
	heard_clear(&h);

	read_file("reply-stop-sequence.json", &h);
	assert_string_equal(buf_str(&h.text), "1, 2, 3, ");
	assert_int_equal(h.stop, STOP_END);
	heard_clear(&h);

	read_file("reply-refusal.json", &h);
	assert_int_equal(h.stop, STOP_CONTENT_FILTER);
	assert_string_equal(buf_str(&h.warnings), "the provider declined: The request could "
	    "enable harm.\n");
	heard_clear(&h);
}

static void
test_decode__stop_reasons(void **state)
{
	static const struct {
		const char *word;
		enum stop_reason stop;
	} rows[] = {
		{ "end_turn", STOP_END }, { "stop_sequence", STOP_END }, { "pause_turn", STOP_END },
		{ "max_tokens", STOP_LENGTH }, { "model_context_window_exceeded", STOP_LENGTH },
		{ "refusal", STOP_CONTENT_FILTER }, { "something_new", STOP_END }, { "tool_use", STOP_END },
	};
	char frame[128];
	struct heard h;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		snprintf(frame, sizeof frame, END("%s"), rows[i].word);
		READ(&h, TEXT(0, "x"), frame, DONE);
		assert_int_equal(h.stop, rows[i].stop);
		heard_clear(&h);
	}
}

static void
test_decode__blocks_are_keyed_by_their_number(void **state)
{
	struct heard h;

	(void)state;
	READ(&h, CALL(1, "a", "one"), CALL(2, "b", "two"), ARGS(2, "{\\\"x\\\":"), ARGS(1, "{\\\"y\\\":1}"),
	    ARGS(2, "2}"), STOP(2), STOP(1), END("tool_use"), DONE);
	assert_string_equal(buf_str(&h.calls[0].arguments), "{\"y\":1}");
	assert_string_equal(buf_str(&h.calls[1].arguments), "{\"x\":2}");
	assert_true(h.calls[0].ended && h.calls[1].ended);
	assert_int_equal(h.stop, STOP_TOOL_CALL);
	heard_clear(&h);
}

static void
test_decode__no_arguments_are_an_empty_object(void **state)
{
	struct heard h;

	(void)state;
	READ(&h, CALL(0, "a", "one"), ARGS(0, ""), STOP(0), END("tool_use"), DONE);
	assert_string_equal(buf_str(&h.calls[0].arguments), "{}");
	assert_true(h.calls[0].ended);
	heard_clear(&h);
	/* but not where the answer was cut */
	READ(&h, CALL(0, "a", "one"), STOP(0), CALL(1, "b", "two"), STOP(1), END("max_tokens"), DONE);
	assert_true(h.calls[0].ended);
	assert_false(h.calls[1].ended);
	assert_int_equal(h.stop, STOP_LENGTH);
	heard_clear(&h);
}

static void
test_decode__input_given_at_once(void **state)
{
	struct heard h;

	(void)state;
	READ(&h, START(0, "{\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"one\",\"input\":{\"x\": "
	    "1}}"), STOP(0),
	    END("tool_use"), DONE);
	assert_string_equal(buf_str(&h.calls[0].arguments), "{\"x\": 1}");
	assert_true(h.calls[0].ended);
	heard_clear(&h);
}

static void
test_decode__F80_arguments_that_are_no_json_are_passed_on(void **state)
{
	struct heard h;

	(void)state;
	READ(&h, CALL(0, "a", "one"), ARGS(0, "{oops"), STOP(0), END("tool_use"), DONE);
	assert_string_equal(buf_str(&h.calls[0].arguments), "{oops");
	assert_true(h.calls[0].ended);
	assert_int_equal(h.stop, STOP_TOOL_CALL);
	heard_clear(&h);
}

static void
test_decode__a_signature_ends_its_reasoning(void **state)
{
	struct heard h;

	(void)state;
	READ(&h, START(0, "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}"),
	    DELTA(0, "{\"type\":\"thinking_delta\",\"thinking\":\"hm\"}"),
	    DELTA(0, "{\"type\":\"signature_delta\",\"signature\":\"ab\"}"),
	    DELTA(0, "{\"type\":\"signature_delta\",\"signature\":\"cd\"}"), STOP(0),
	    START(1, "{\"type\":\"redacted_thinking\",\"data\":\"ef\"}"), STOP(1), TEXT(2, "x"),
	    END("end_turn"), DONE);
	assert_string_equal(buf_str(&h.reasoning), "hm");
	assert_string_equal(buf_str(&h.signature), "abcd ef");
	assert_int_equal(h.reasoning_ends, 2);
	assert_int_equal(h.redacted, 1);
	heard_clear(&h);
}

static void
test_decode__server_tools_and_what_is_new_are_skipped(void **state)
{
	struct heard h;

	(void)state;
	READ(&h, START(0, "{\"type\":\"server_tool_use\",\"id\":\"s\",\"name\":\"web_search\","
	    "\"input\":{}}"),
	    ARGS(0, "{}"), STOP(0), START(1, "{\"type\":\"web_search_tool_result\",\"content\":"
	    "[]}"), STOP(1),
	    DELTA(2, "{\"type\":\"citations_delta\",\"citation\":{}}"), TEXT(2, "ok"), STOP(2), STOP(9),
	    "{\"type\":\"new\"}", "{}", END("end_turn"), DONE);
	assert_int_equal(h.call_count, 0);
	assert_string_equal(buf_str(&h.text), "ok");
	assert_int_equal(h.stop, STOP_END);
	heard_clear(&h);
}

static void
test_decode__surrogates_split_over_pieces(void **state)
{
	struct heard h;

	(void)state;
	READ(&h, START(0, "{\"type\":\"text\",\"text\":\"\"}"), TEXT(0, "\\ud83d"), TEXT(0, "\\ude00"),
	    TEXT(0, "\\ud83d"), STOP(0), CALL(1, "a", "one"), ARGS(1, "{\\\"x\\\":\\\"\\ud83d"),
	    ARGS(1, "\\ude00\\\"}"), STOP(1), END("tool_use"), DONE);
	assert_string_equal(buf_str(&h.text), "\U0001f600\ufffd");
	assert_string_equal(buf_str(&h.calls[0].arguments), "{\"x\":\"\U0001f600\"}");
	heard_clear(&h);
}

static void
test_decode__counts_are_replaced_not_added(void **state)
{
	struct heard h;

	(void)state;
	READ(&h, "{\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":5,"
	    "\"output_tokens\":1}}}",
	    TEXT(0, "x"), "{\"type\":\"message_delta\",\"delta\":{},\"usage\":{\"output_tokens\":3}}",
	    "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{"
	    "\"output_tokens\":9,"
	    "\"cache_read_input_tokens\":100,\"cache_creation_input_tokens\":null}}",
	    DONE);
	assert_int_equal(h.usages, 1);
	assert_int_equal(h.usage.output_tokens, 9);
	assert_int_equal(h.usage.input_tokens, 105);
	assert_int_equal(h.usage.cache_read_tokens, 100);
	assert_int_equal(h.usage.cache_write_tokens, -1);
	heard_clear(&h);
}

static void
test_decode__F80_absurd_counts_are_ignored(void **state)
{
	struct heard h;

	(void)state;
	READ(&h, TEXT(0, "x"),
	    "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{"
	    "\"output_tokens\":-9,"
	    "\"input_tokens\":1e300,\"cache_read_input_tokens\":\"7\"}}",
	    DONE);
	assert_int_equal(h.usages, 0);
	heard_clear(&h);
}

static void
test_decode__F74_a_cut_stream_is_no_success(void **state)
{
	struct heard h;

	(void)state;
	READ(&h, TEXT(0, "half"));
	assert_int_equal(h.failure.class, FAILURE_PROTOCOL);
	assert_string_equal(h.failure.kind, "cut");
	heard_clear(&h);
	/* all that matters came */
	READ(&h, TEXT(0, "x"), END("end_turn"));
	assert_int_equal(h.finishes, 1);
	heard_clear(&h);
	READ(&h, "{\"type\":\"ping\"}");
	assert_string_equal(h.failure.kind, "empty");
	heard_clear(&h);
}

static void
test_decode__errors_in_the_stream(void **state)
{
	static const struct {
		const char *type;
		enum failure_class class;
	} rows[] = {
		{ "overloaded_error", FAILURE_OVERLOADED }, { "api_error", FAILURE_SERVER },
		{ "rate_limit_error", FAILURE_RATE_LIMIT }, { "timeout_error", FAILURE_TIMEOUT },
		{ "invalid_request_error", FAILURE_BAD_REQUEST }, { "brand_new", FAILURE_SERVER },
	};
	char frame[160];
	struct heard h;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		snprintf(frame, sizeof frame,
		    "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":\"so sorry\"},"
		    "\"request_id\":\"req_1\"}",
		    rows[i].type);
		READ(&h, TEXT(0, "x"), frame, TEXT(0, "late"));
		assert_int_equal(h.failure.class, rows[i].class);
		assert_string_equal(h.failure.message, "so sorry");
		assert_string_equal(h.failure.request_id, "req_1");
		assert_string_equal(buf_str(&h.text), "x");
		heard_clear(&h);
	}
	READ(&h, "{\"error\":{\"message\":\"exceeds the available context size\",\"code\":400}}");
	assert_int_equal(h.failure.class, FAILURE_CONTEXT_LENGTH);
	heard_clear(&h);
	READ(&h, "<html>");
	assert_int_equal(h.failure.class, FAILURE_PROTOCOL);
	heard_clear(&h);
}

static void
test_decode__servers_that_leave_things_out(void **state)
{
	struct heard h;

	(void)state;
	/* no start, no end of blocks, no id, the other language's last word */
	READ(&h, TEXT(0, "hi"), START(1, "{\"type\":\"tool_use\",\"name\":\"one\"}"), ARGS(1, "{}"),
	    START(2, "{\"type\":\"tool_use\",\"id\":\"x\"}"), "[DONE]");
	assert_int_equal(h.starts, 1);
	assert_string_equal(buf_str(&h.text), "hi");
	assert_int_equal(h.call_count, 1);
	assert_int_equal(h.calls[0].id.len, 21);
	assert_true(h.calls[0].ended);
	assert_int_equal(h.stop, STOP_TOOL_CALL);
	assert_non_null(strstr(buf_str(&h.warnings), "without a name"));
	heard_clear(&h);
}

static void
test_decode__renamed_tools_get_their_names_back(void **state)
{
	struct chat_request *c = chat_request_new();
	struct dialect_target to = { NULL, "claude-opus-5" };
	struct reading r;
	struct heard h;
	char frame[200];

	(void)state;
	chat_add_tool(c, "fs.read");
	memset(&h, 0, sizeof h);
	reading_begin(&r, "anthropic-messages", &h);
	r.dialect->clear(r.state);
	memset(r.state, 0, r.dialect->state_size);
	r.dialect->begin(r.state, c, &to);
	snprintf(frame, sizeof frame, CALL(0, "a", "%s"), "fs_read_d154e2a4");
	reading_event(&r, (struct slice){ NULL, 0 }, slice_of(frame));
	reading_event(&r, (struct slice){ NULL, 0 }, SLICE(END("tool_use")));
	reading_finish(&r);
	assert_string_equal(buf_str(&h.calls[0].name), "fs.read");
	heard_clear(&h);
	chat_request_free(c);
}

static void
test_decode__F73_bodies_that_are_no_message(void **state)
{
	static const struct {
		const char *body;
		enum failure_class class;
	} rows[] = {
		{ "", FAILURE_PROTOCOL },
		{ "<html><title>Hello</title>", FAILURE_PROTOCOL },
		{ "{}", FAILURE_PROTOCOL },
		{ "[]", FAILURE_PROTOCOL },
		{ "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}", FAILURE_OVERLOADED },
		{ "{\"error\":\"model is loading\"}", FAILURE_SERVER },
	};
	struct heard h;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		read_whole(rows[i].body, strlen(rows[i].body), &h);
		assert_int_equal(h.errors, 1);
		assert_int_equal(h.failure.class, rows[i].class);
		assert_string_not_equal(h.failure.message, "");
		heard_clear(&h);
	}
}

static void
test_decode__F78_broken_utf8_is_repaired(void **state)
{
	struct heard h;

	(void)state;
	READ(&h, TEXT(0, "a\xff"), TEXT(0, "\xc3"), END("end_turn"), DONE);
	assert_string_equal(buf_str(&h.text), "a\ufffd\ufffd");
	assert_int_equal(h.warning_count, 1);
	heard_clear(&h);
}

/* ---- the list of models ---- */

struct listed {
	unsigned count;
	struct {
		char id[64], title[64];
		int64_t context, output;
		unsigned abilities;
	} of[8];
};

static void
on_model(void *arg, const struct listed_model *m)
{
	struct listed *l = arg;

	assert_true(l->count < 8);
	snprintf(l->of[l->count].id, 64, "%.*s", (int)m->id.len, m->id.data);
	snprintf(l->of[l->count].title, 64, "%.*s", (int)m->title.len,
	    m->title.len > 0 ? m->title.data : "");
	l->of[l->count].context = m->context_tokens;
	l->of[l->count].output = m->output_tokens;
	l->of[l->count++].abilities = m->abilities;
}

static void
test_models__the_sample(void **state)
{
	const struct dialect *d = dialect_find("anthropic-messages");
	struct listed l = { 0 };
	struct wire_request req;
	size_t n;
	char *text = file_read(SAMPLES "/models.json", &n);

	(void)state;
	assert_int_equal(d->list_reply((struct slice){ text, n }, on_model, &l), 0);
	free(text);
	assert_int_equal(l.count, 2);
	assert_string_equal(l.of[0].id, "claude-sonnet-5-5");
	assert_string_equal(l.of[0].title, "Claude Sonnet 5.5");
	assert_int_equal(l.of[0].context, 1000000);
	assert_int_equal(l.of[0].output, 128000);
	assert_int_equal(l.of[0].abilities,
	    ABILITY_TOOLS | ABILITY_IMAGES | ABILITY_DOCUMENTS | ABILITY_REASONING);
	assert_int_equal(l.of[1].abilities, ABILITY_TOOLS);

	assert_int_equal(d->list_request(NULL, &req), 0);
	assert_string_equal(req.path, "/v1/models?limit=1000");
	assert_string_equal(req.headers[0].name, "anthropic-version");
	wire_request_clear(&req);
}

static void
test_models__other_servers(void **state)
{
	const struct dialect *d = dialect_find("anthropic-messages");
	struct listed l = { 0 };

	(void)state;
	assert_int_equal(d->list_reply(SLICE("{\"object\":\"list\",\"data\":[{\"id\":\"qwen3:"
	    "8b\"},{\"id\":7},{},"
	                                     "{\"id\":\"old\",\"lifecycle\":\"retired\"}]}"),
	                     on_model, &l), 0);
	assert_int_equal(l.count, 1);
	assert_string_equal(l.of[0].id, "qwen3:8b");
	assert_int_equal(l.of[0].abilities, 0);
	assert_int_equal(d->list_reply(SLICE("{\"data\":null}"), on_model, &l), 0);
	assert_int_equal(d->list_reply(SLICE("{\"models\":[]}"), on_model, &l), MP_E_INVALID_PARAMS);
	assert_int_equal(d->list_reply(SLICE("<html>"), on_model, &l), MP_E_INVALID_PARAMS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decode__whole_replies),
		cmocka_unit_test(test_decode__stop_reasons),
		cmocka_unit_test(test_decode__blocks_are_keyed_by_their_number),
		cmocka_unit_test(test_decode__no_arguments_are_an_empty_object),
		cmocka_unit_test(test_decode__input_given_at_once),
		cmocka_unit_test(test_decode__F80_arguments_that_are_no_json_are_passed_on),
		cmocka_unit_test(test_decode__a_signature_ends_its_reasoning),
		cmocka_unit_test(test_decode__server_tools_and_what_is_new_are_skipped),
		cmocka_unit_test(test_decode__surrogates_split_over_pieces),
		cmocka_unit_test(test_decode__counts_are_replaced_not_added),
		cmocka_unit_test(test_decode__F80_absurd_counts_are_ignored),
		cmocka_unit_test(test_decode__F74_a_cut_stream_is_no_success),
		cmocka_unit_test(test_decode__errors_in_the_stream),
		cmocka_unit_test(test_decode__servers_that_leave_things_out),
		cmocka_unit_test(test_decode__renamed_tools_get_their_names_back),
		cmocka_unit_test(test_decode__F73_bodies_that_are_no_message),
		cmocka_unit_test(test_decode__F78_broken_utf8_is_repaired),
		cmocka_unit_test(test_models__the_sample),
		cmocka_unit_test(test_models__other_servers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

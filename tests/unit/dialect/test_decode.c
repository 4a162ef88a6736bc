/* What servers really send, beyond the recorded answers. */
#include "tests/unit/dialect/listener.h"

#define CHUNK(delta) "{\"choices\":[{\"index\":0,\"delta\":" delta "}]}"
#define END(word) "{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"" word "\"}]}"
#define READ(h, ...) read_frames((const char *const[]){ __VA_ARGS__, NULL }, (h))

static void
test_decode__surrogates_split_over_deltas(void **state)
{
	struct heard h;

	(void)state;
	READ(&h, CHUNK("{\"content\":\"a\\ud83d\"}"), CHUNK("{\"content\":\"\\ude00b\"}"), END("stop"));
	assert_string_equal(buf_str(&h.text), "a\xf0\x9f\x98\x80"
	                                      "b");
	assert_false(h.bad_utf8);
	heard_clear(&h);
	READ(&h, CHUNK("{\"content\":\"a\\ud83d\"}"), END("stop"));
	assert_string_equal(buf_str(&h.text), "a\xef\xbf\xbd");
	assert_false(h.after_end);
	heard_clear(&h);
}

static void
test_decode__surrogates_split_in_arguments(void **state)
{
	struct heard h;

	(void)state;
	READ(&h,
	    CHUNK("{\"tool_calls\":[{\"index\":0,\"id\":\"c\",\"function\":{\"name\":\"f\","
	          "\"arguments\":\"{\\\"a\\\":\\\"\\ud83d\"}}]}"),
	    CHUNK("{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"\\ude00\\\"}\"}}]}"),
	    END("tool_calls"));
	assert_string_equal(buf_str(&h.calls[0].arguments), "{\"a\":\"\xf0\x9f\x98\x80\"}");
	heard_clear(&h);
}

static void
test_decode__F78_broken_utf8_is_replaced_and_told_once(void **state)
{
	struct heard h;

	(void)state;
	READ(&h, CHUNK("{\"content\":\"a\xc3\"}"), CHUNK("{\"content\":\"\xed\xa0\x80|\xc0\xaf\"}"),
	    CHUNK("{\"content\":\"\xf5z\"}"), END("stop"));
	assert_int_equal(h.warning_count, 1);
	assert_int_equal(h.finishes, 1);
	assert_false(h.bad_utf8);
	assert_non_null(strstr(buf_str(&h.text), "\xef\xbf\xbd"));
	assert_non_null(strstr(buf_str(&h.text), "z"));
	heard_clear(&h);
}

static void
test_decode__a_stream_without_finish_is_cut(void **state)
{
	struct heard h;

	(void)state;
	READ(&h, CHUNK("{\"content\":\"half\"}"));
	assert_int_equal(h.errors, 1);
	assert_int_equal(h.failure.class, FAILURE_PROTOCOL);
	assert_string_equal(h.failure.kind, "cut");
	heard_clear(&h);
}

static void
test_decode__F73_an_empty_answer_is_an_error(void **state)
{
	struct heard h;

	(void)state;
	read_frames((const char *const[]){ NULL }, &h);
	assert_int_equal(h.errors, 1);
	assert_string_equal(h.failure.kind, "empty");
	heard_clear(&h);
	READ(&h, "[DONE]");
	assert_int_equal(h.errors, 1);
	heard_clear(&h);
	read_reply("", 0, &h);
	assert_int_equal(h.errors, 1);
	heard_clear(&h);
	read_reply("{}", 2, &h);
	assert_int_equal(h.errors, 1);
	heard_clear(&h);
	read_reply("<html><title>Login</title>", 26, &h);
	assert_int_equal(h.failure.class, FAILURE_PROTOCOL);
	assert_string_equal(h.failure.message, "Login");
	heard_clear(&h);
}

static void
test_decode__done_without_finish_ends_what_was_said(void **state)
{
	struct heard h;

	(void)state;
	READ(&h, CHUNK("{\"content\":\"x\"}"), "[DONE]");
	assert_int_equal(h.finishes, 1);
	assert_int_equal(h.stop, STOP_OTHER);
	heard_clear(&h);
}

static void
test_decode__nothing_after_done(void **state)
{
	struct heard h;

	(void)state;
	READ(&h, CHUNK("{\"content\":\"x\"}"), END("stop"), "[DONE]", CHUNK("{\"content\":\"y\"}"),
	    "{\"error\":{\"message\":\"late\"}}", "rubbish");
	assert_string_equal(buf_str(&h.text), "x");
	assert_int_equal(h.finishes + h.errors, 1);
	assert_false(h.after_end);
	heard_clear(&h);
}

static void
test_decode__usage_in_every_chunk_counts_once(void **state)
{
	struct heard h;

	(void)state;
	READ(&h, "{\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}",
	    "{\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}", END("stop"),
	    "{\"choices\":[],\"usage\":null}", "[DONE]");
	assert_int_equal(h.usages, 1);
	assert_int_equal(h.usage.output_tokens, 2);
	heard_clear(&h);
}

static void
test_decode__F80_absurd_counts_are_unknown(void **state)
{
	struct heard h;

	(void)state;
	READ(&h,
	    "{\"choices\":[],\"usage\":{\"prompt_tokens\":-5,\"completion_tokens\":1e30,"
	    "\"cost\":-1,\"prompt_tokens_details\":{\"cached_tokens\":\"7\"}}}",
	    END("stop"));
	assert_int_equal(h.usages, 0);
	assert_int_equal(h.finishes, 1);
	heard_clear(&h);
	READ(&h,
	    "{\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":4,"
	    "\"prompt_tokens_details\":{\"cached_tokens\":11,\"cache_write_tokens\":12},"
	    "\"completion_tokens_details\":{\"reasoning_tokens\":5}}}",
	    END("stop"));
	assert_int_equal(h.usage.input_tokens, 10);
	assert_int_equal(h.usage.cache_read_tokens, -1);
	assert_int_equal(h.usage.cache_write_tokens, -1);
	assert_int_equal(h.usage.reasoning_tokens, -1);
	assert_int_equal(h.usage.cost_microusd, -1);
	heard_clear(&h);
}

static void
test_decode__F80_wrong_types_and_duplicate_keys(void **state)
{
	struct heard h;

	(void)state;
	READ(&h, "{\"id\":7,\"model\":[],\"choices\":{}}", "{\"choices\":[1,null,[],{}]}",
	    CHUNK("[]"), CHUNK("{\"content\":{},\"tool_calls\":{},\"refusal\":0}"),
	    CHUNK("{\"tool_calls\":[0,{\"index\":\"x\"}]}"),
	    CHUNK("{\"content\":\"no\",\"content\":\"yes\"}"), END("stop"));
	assert_string_equal(buf_str(&h.text), "yes");
	assert_int_equal(h.finishes, 1);
	assert_int_equal(h.call_count, 0);
	heard_clear(&h);
}

static void
test_decode__F80_deep_nesting_is_an_error(void **state)
{
	struct buf deep = BUF_INIT;
	struct heard h;

	(void)state;
	for (int i = 0; i < 100000; i++)
		buf_addc(&deep, '[');
	READ(&h, buf_str(&deep));
	assert_int_equal(h.errors, 1);
	assert_int_equal(h.failure.class, FAILURE_PROTOCOL);
	assert_true(strlen(h.failure.message) < 512);
	buf_clear(&deep);
	heard_clear(&h);
}

static void
test_decode__a_call_cut_by_length_has_no_end(void **state)
{
	struct heard h;

	(void)state;
	READ(&h,
	    CHUNK("{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\","
	          "\"arguments\":\"{}\"}},{\"index\":1,\"id\":\"b\",\"function\":{\"name\":\"g\","
	          "\"arguments\":\"{\\\"x\\\":\"}}]}"),
	    END("length"));
	assert_int_equal(h.call_count, 2);
	assert_true(h.calls[0].ended);
	assert_false(h.calls[1].ended);
	assert_int_equal(h.stop, STOP_LENGTH);
	assert_int_equal(h.warning_count, 1);
	heard_clear(&h);
}

static void
test_decode__arguments_before_the_name_wait(void **state)
{
	struct heard h;

	(void)state;
	READ(&h, CHUNK("{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"a\\\":\"}}]}"),
	    CHUNK("{\"tool_calls\":[{\"index\":0,\"id\":\"c\",\"function\":{\"name\":\"f\"}}]}"),
	    CHUNK("{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"1}\"}}]}"), END("stop"));
	assert_int_equal(h.call_count, 1);
	assert_string_equal(buf_str(&h.calls[0].arguments), "{\"a\":1}");
	assert_string_equal(buf_str(&h.calls[0].id), "c");
	assert_int_equal(h.stop, STOP_TOOL_CALL);
	heard_clear(&h);
}

static void
test_decode__a_call_without_a_name_is_dropped(void **state)
{
	struct heard h;

	(void)state;
	READ(&h,
	    CHUNK("{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{}\"}},"
	          "{\"index\":1,\"id\":\"b\",\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}}]}"),
	    END("tool_calls"));
	assert_int_equal(h.call_count, 1);
	assert_string_equal(buf_str(&h.calls[0].name), "g");
	assert_int_equal(h.warning_count, 1);
	heard_clear(&h);
}

static void
test_decode__every_call_numbered_zero(void **state)
{
	struct heard h;

	(void)state;
	READ(&h,
	    CHUNK("{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\","
	          "\"arguments\":\"{}\"}}]}"),
	    CHUNK("{\"tool_calls\":[{\"index\":0,\"id\":\"b\",\"function\":{\"name\":\"f\","
	          "\"arguments\":\"[]\"}}]}"),
	    END("stop"));
	assert_int_equal(h.call_count, 2);
	assert_string_equal(buf_str(&h.calls[1].id), "b");
	assert_string_equal(buf_str(&h.calls[1].arguments), "[]");
	heard_clear(&h);
}

static void
test_decode__an_id_repeated_in_each_piece(void **state)
{
	struct heard h;

	(void)state;
	READ(&h,
	    CHUNK("{\"tool_calls\":[{\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"[\"}}]}"),
	    CHUNK("{\"tool_calls\":[{\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"1\"}}]}"),
	    CHUNK("{\"tool_calls\":[{\"id\":\"a\",\"function\":{\"name\":\"\",\"arguments\":\"]\"}}]}"),
	    END("stop"));
	assert_int_equal(h.call_count, 1);
	assert_string_equal(buf_str(&h.calls[0].arguments), "[1]");
	heard_clear(&h);
}

static void
test_decode__the_legacy_function_call(void **state)
{
	struct heard h;

	(void)state;
	READ(&h, CHUNK("{\"function_call\":{\"name\":\"f\",\"arguments\":\"{\"}}"),
	    CHUNK("{\"function_call\":{\"arguments\":\"}\"}}"), END("function_call"));
	assert_int_equal(h.call_count, 1);
	assert_string_equal(buf_str(&h.calls[0].arguments), "{}");
	assert_int_equal(h.stop, STOP_TOOL_CALL);
	heard_clear(&h);
}

static void
test_decode__too_many_calls_are_an_error(void **state)
{
	struct reading r;
	char frame[160];
	struct heard h;

	(void)state;
	memset(&h, 0, sizeof h);
	reading_begin(&r, "openai-chat", &h);
	for (int i = 0; i < 200; i++) {
		/* nameless: they wait, so nothing is heard of them */
		snprintf(frame, sizeof frame, CHUNK("{\"tool_calls\":[{\"index\":%d}]}"), i);
		reading_event(&r, (struct slice){ NULL, 0 }, slice_of(frame));
	}
	reading_finish(&r);
	assert_int_equal(h.errors, 1);
	assert_string_equal(h.failure.kind, "too_many");
	heard_clear(&h);
}

static void
test_decode__only_the_first_choice_counts(void **state)
{
	struct heard h;

	(void)state;
	READ(&h,
	    "{\"choices\":[{\"index\":1,\"delta\":{\"content\":\"no\"},\"finish_reason\":\"length\"},"
	    "{\"index\":0,\"delta\":{\"content\":\"yes\"}}]}",
	    END("stop"));
	assert_string_equal(buf_str(&h.text), "yes");
	assert_int_equal(h.stop, STOP_END);
	heard_clear(&h);
}

static void
test_decode__finish_words(void **state)
{
	static const struct {
		const char *frame;
		enum stop_reason stop;
	} rows[] = {
		{ END("stop"), STOP_END }, { END("length"), STOP_LENGTH },
		{ END("content_filter"), STOP_CONTENT_FILTER }, { END("tool_calls"), STOP_END },
		{ END("eos"), STOP_OTHER },
	};
	struct heard h;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		READ(&h, CHUNK("{\"content\":\"x\"}"), END(""), END("null"), rows[i].frame);
		assert_int_equal(h.finishes, 1);
		assert_int_equal(h.stop, rows[i].stop);
		heard_clear(&h);
	}
	READ(&h, CHUNK("{\"content\":\"x\"}"), END("error"));
	assert_int_equal(h.failure.class, FAILURE_SERVER);
	heard_clear(&h);
}

static void
test_decode__errors_inside_a_stream(void **state)
{
	static const struct {
		const char *frame;
		enum failure_class class;
	} rows[] = {
		{ "{\"error\":{\"message\":\"m\",\"code\":401}}", FAILURE_AUTH },
		{ "{\"error\":{\"message\":\"m\",\"code\":\"context_length_exceeded\"}}",
		    FAILURE_CONTEXT_LENGTH },
		{ "{\"error\":\"plain words\"}", FAILURE_SERVER },
		{ "{\"code\":\"Throttling.RateQuota\",\"message\":\"m\",\"request_id\":\"r\"}",
		    FAILURE_RATE_LIMIT },
		{ "{\"choices\":[{\"index\":0,\"error\":{\"code\":503,\"message\":\"m\"}}]}",
		    FAILURE_OVERLOADED },
		{ "[{\"error\":{\"code\":429,\"message\":\"m\",\"status\":\"RESOURCE_EXHAUSTED\"}}]",
		    FAILURE_RATE_LIMIT },
	};
	struct heard h;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		READ(&h, rows[i].frame);
		assert_int_equal(h.errors, 1);
		if (h.failure.class != rows[i].class)
			fail_msg("%s is %s", rows[i].frame, failure_class_name(h.failure.class));
		heard_clear(&h);
	}
}

static void
test_decode__an_error_event_need_not_be_json(void **state)
{
	struct frame f = { SLICE("error"), SLICE("out of memory") };
	struct reading r;
	struct heard h;

	(void)state;
	memset(&h, 0, sizeof h);
	reading_begin(&r, "openai-chat", &h);
	r.dialect->frame(r.state, &f, &r.sink);
	reading_finish(&r);
	assert_int_equal(h.failure.class, FAILURE_SERVER);
	assert_string_equal(h.failure.message, "out of memory");
	heard_clear(&h);
}

static void
test_decode__reasoning_details_and_content_parts(void **state)
{
	struct heard h;

	(void)state;
	READ(&h,
	    CHUNK("{\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":\"a\"},"
	          "{\"type\":\"reasoning.summary\",\"summary\":\"b\"},"
	          "{\"type\":\"reasoning.encrypted\",\"data\":\"zz\"}]}"),
	    CHUNK("{\"reasoning\":\"c\",\"reasoning_details\":[{\"text\":\"c\"}]}"),
	    CHUNK("{\"content\":[{\"type\":\"text\",\"text\":\"d\"},{\"type\":\"x\"}]}"), END("stop"));
	assert_string_equal(buf_str(&h.reasoning), "abc");
	assert_string_equal(buf_str(&h.text), "d");
	heard_clear(&h);
}

static void
test_decode__byok_adds_the_upstream_cost(void **state)
{
	struct heard h;

	(void)state;
	READ(&h,
	    "{\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"cost\":0.000001,\"is_byok\":true,"
	    "\"cost_details\":{\"upstream_inference_cost\":0.002}}}",
	    END("stop"));
	assert_int_equal(h.usage.cost_microusd, 2001);
	heard_clear(&h);
}

static void
add_id(void *arg, const struct listed_model *m)
{
	buf_add(arg, m->id.data, m->id.len);
	buf_addc(arg, '|');
}

static void
test_decode__model_lists(void **state)
{
	const struct dialect *d = dialect_find("openai-chat");
	struct wire_request req;
	struct buf ids = BUF_INIT;
	size_t n;
	char *text;

	(void)state;
	assert_int_equal(d->list_request(NULL, &req), 0);
	assert_string_equal(req.method, "GET");
	assert_string_equal(req.path, "/models");
	wire_request_clear(&req);
	text = file_read(MPD_SOURCE_DIR "/tests/transcripts/openai-chat/models.json", &n);
	assert_int_equal(d->list_reply((struct slice){ text, n }, add_id, &ids), 0);
	assert_non_null(strstr(buf_str(&ids), "gpt-6.2-sol|"));
	free(text);
	buf_reset(&ids, 0);
	assert_int_equal(d->list_reply(slice_of("[{\"id\":\"a\\u0062\"},{},{\"id\":3}]"), add_id, &ids), 0);
	assert_string_equal(buf_str(&ids), "ab|");
	assert_int_equal(d->list_reply(slice_of("{\"data\":null}"), add_id, &ids), 0);
	assert_true(d->list_reply(slice_of("{}"), add_id, &ids) < 0);
	assert_true(d->list_reply(slice_of("<html>"), add_id, &ids) < 0);
	buf_clear(&ids);
}

static void
test_decode__the_table_knows_its_words(void **state)
{
	(void)state;
	assert_non_null(dialect_find("openai-chat"));
	assert_non_null(dialect_find("echo"));
	assert_null(dialect_find("morse"));
	assert_null(dialect_find(NULL));
	assert_true(dialect_name_known("gemini"));
	assert_true(dialect_name_known("echo"));
	assert_false(dialect_name_known("morse"));
	assert_non_null(dialect_list()[0]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decode__surrogates_split_over_deltas),
		cmocka_unit_test(test_decode__surrogates_split_in_arguments),
		cmocka_unit_test(test_decode__F78_broken_utf8_is_replaced_and_told_once),
		cmocka_unit_test(test_decode__a_stream_without_finish_is_cut),
		cmocka_unit_test(test_decode__F73_an_empty_answer_is_an_error),
		cmocka_unit_test(test_decode__done_without_finish_ends_what_was_said),
		cmocka_unit_test(test_decode__nothing_after_done),
		cmocka_unit_test(test_decode__usage_in_every_chunk_counts_once),
		cmocka_unit_test(test_decode__F80_absurd_counts_are_unknown),
		cmocka_unit_test(test_decode__F80_wrong_types_and_duplicate_keys),
		cmocka_unit_test(test_decode__F80_deep_nesting_is_an_error),
		cmocka_unit_test(test_decode__a_call_cut_by_length_has_no_end),
		cmocka_unit_test(test_decode__arguments_before_the_name_wait),
		cmocka_unit_test(test_decode__a_call_without_a_name_is_dropped),
		cmocka_unit_test(test_decode__every_call_numbered_zero),
		cmocka_unit_test(test_decode__an_id_repeated_in_each_piece),
		cmocka_unit_test(test_decode__the_legacy_function_call),
		cmocka_unit_test(test_decode__too_many_calls_are_an_error),
		cmocka_unit_test(test_decode__only_the_first_choice_counts),
		cmocka_unit_test(test_decode__finish_words),
		cmocka_unit_test(test_decode__errors_inside_a_stream),
		cmocka_unit_test(test_decode__an_error_event_need_not_be_json),
		cmocka_unit_test(test_decode__reasoning_details_and_content_parts),
		cmocka_unit_test(test_decode__byok_adds_the_upstream_cost),
		cmocka_unit_test(test_decode__model_lists),
		cmocka_unit_test(test_decode__the_table_knows_its_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

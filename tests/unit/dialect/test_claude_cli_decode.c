/* The claude-cli dialect: the program's lines, and the last one. */
#include "tests/unit/dialect/listener.h"

#define FOLDER MPD_SOURCE_DIR "/tests/transcripts/claude-cli"
#define RESULT_ERROR "{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":true,"
#define MESSAGE(id, text)                                                                          \
	"{\"type\":\"assistant\",\"message\":{\"id\":\"" id "\",\"content\":[{\"type\":\"text\","          \
	"\"text\":\"" text "\"}]}}"
#define WINDOW(members) "{\"type\":\"rate_limit_event\",\"rate_limit_info\":{" members "}}"

static void
read_lines(const char *const *lines, struct heard *h)
{
	read_frames_of("claude-cli", lines, h);
}

static void
test_claude_cli_decode__pieces_are_not_said_twice(void **state)
{
	json_t *expected = expected_read(FOLDER "/stream-partial.expected.json");
	struct heard h;
	struct reading r;
	size_t n;
	char *bytes = file_read(FOLDER "/stream-partial.ndjson", &n);

	(void)state;
	memset(&h, 0, sizeof h);
	reading_begin(&r, "claude-cli", &h);
	reading_feed(&r, bytes, n);
	reading_finish(&r);
	free(bytes);
	assert_string_equal(buf_str(&h.text), "Hello");
	assert_int_equal(h.texts, json_array_size(json_object_get(expected, "deltas")));
	assert_int_equal(h.starts, 1);
	assert_string_equal(h.model, "claude-sonnet-5-5");
	assert_int_equal(h.usage.cost_microusd, 0);
	assert_int_equal(h.usage.list_microusd, 185); /* of 0.0001846 */
	heard_clear(&h);
	json_decref(expected);
}

static void
test_claude_cli_decode__a_message_that_did_not_stream_is_taken_whole(void **state)
{
	static const char *const lines[] = {
		"{\"type\":\"stream_event\",\"event\":{\"type\":\"message_start\","
		"\"message\":{\"id\":\"m1\"}}}",
		"{\"type\":\"stream_event\",\"event\":{\"type\":\"content_block_start\",\"content_block\":"
		"{\"type\":\"text\",\"text\":\"a\"}}}",
		MESSAGE("m1", "a"), MESSAGE("m2", "b"),
		"{\"type\":\"assistant\",\"parent_tool_use_id\":\"t\",\"message\":{\"id\":\"m3\",\"content\":"
		"[{\"type\":\"text\",\"text\":\"c\"}]}}",
		"{\"type\":\"result\",\"is_error\":false,\"stop_reason\":\"max_tokens\"}", NULL
	};
	struct heard h;

	(void)state;
	read_lines(lines, &h);
	assert_string_equal(buf_str(&h.text), "ab");
	assert_int_equal(h.stop, STOP_LENGTH);
	heard_clear(&h);
}

static void
test_claude_cli_decode__a_key_instead_of_the_plan_is_told(void **state)
{
	static const char *const lines[] = {
		"{\"type\":\"system\",\"subtype\":\"init\",\"apiKeySource\":\"ANTHROPIC_API_KEY\"}",
		"{\"type\":\"system\",\"subtype\":\"init\",\"apiKeySource\":\"ANTHROPIC_API_KEY\"}",
		"{\"type\":\"result\",\"is_error\":false,\"total_cost_usd\":0.5,"
		"\"usage\":{\"output_tokens\":7}}", NULL
	};
	struct heard h;

	(void)state;
	read_lines(lines, &h);
	assert_int_equal(h.warning_count, 1);
	assert_non_null(strstr(buf_str(&h.warnings), "billed per token"));
	assert_int_equal(h.usage.cost_microusd, 500000);
	heard_clear(&h);
}

/* providers/claude-cli.md section 5. */
static void
test_claude_cli_decode__every_failure_has_its_class(void **state)
{
	static const struct {
		const char *line;
		enum failure_class class;
	} rows[] = {
		{ "\"api_error_status\":null,\"result\":\"Not logged in · Please run /login\"}",
		  FAILURE_AUTH },
		{ "\"api_error_status\":401,\"api_error_type\":\"authentication_error\"}", FAILURE_AUTH },
		{ "\"api_error_status\":403,\"api_error_type\":\"permission_error\",\"result\":"
		  "\"Failed to authenticate. API Error: 403\"}", FAILURE_PERMISSION },
		{ "\"api_error_status\":400,\"api_error_type\":\"invalid_request_error\",\"result\":"
		  "\"Credit balance is too low\"}", FAILURE_QUOTA },
		{ "\"api_error_status\":402,\"api_error_type\":\"billing_error\"}", FAILURE_QUOTA },
		{ "\"api_error_status\":404,\"api_error_type\":\"not_found_error\"}", FAILURE_NOT_FOUND },
		{ "\"api_error_status\":400,\"terminal_reason\":\"prompt_too_long\"}",
		  FAILURE_CONTEXT_LENGTH },
		{ "\"api_error_status\":429,\"api_error_type\":\"rate_limit_error\"}", FAILURE_RATE_LIMIT },
		{ "\"api_error_status\":429,\"api_error_type\":\"rate_limit_error\",\"api_error\":"
		  "\"usage_limit_reached\"}", FAILURE_QUOTA },
		{ "\"api_error_status\":529,\"api_error_type\":\"overloaded_error\"}", FAILURE_OVERLOADED },
		{ "\"api_error_status\":500}", FAILURE_SERVER },
		{ "\"api_error_status\":503}", FAILURE_OVERLOADED },
		{ "\"api_error_status\":null,\"stop_reason\":\"refusal\"}", FAILURE_CONTENT_POLICY },
		{ "\"api_error_status\":null,\"api_error\":\"max_output_tokens\"}", FAILURE_SERVER },
		{ "\"errors\":[\"Reached maximum number of turns (1)\"]}", FAILURE_SERVER },
		{ "\"api_error_status\":-7}", FAILURE_SERVER },
	};
	char line[512];
	const char *const lines[] = { line, NULL };
	struct heard h;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		snprintf(line, sizeof line, RESULT_ERROR "%s", rows[i].line);
		read_lines(lines, &h);
		if (h.errors != 1 || h.failure.class != rows[i].class)
			fail_msg("%s: %s", line, failure_class_name(h.failure.class));
		assert_string_not_equal(h.failure.message, "");
		heard_clear(&h);
	}
}

static void
test_claude_cli_decode__a_refusal_in_the_middle_is_an_end(void **state)
{
	static const char said[] = MESSAGE("m", "half");
	static const char *const refused[] = { said,
		RESULT_ERROR "\"stop_reason\":\"refusal\"}", NULL };
	static const char *const cut[] = { said,
		RESULT_ERROR "\"api_error\":\"max_output_tokens\"}", NULL };
	struct heard h;

	(void)state;
	read_lines(refused, &h);
	assert_int_equal(h.finishes, 1);
	assert_int_equal(h.stop, STOP_CONTENT_FILTER);
	heard_clear(&h);
	read_lines(cut, &h);
	assert_int_equal(h.stop, STOP_LENGTH);
	heard_clear(&h);
}

static void
test_claude_cli_decode__windows(void **state)
{
	static const char *const lines[] = {
		WINDOW("\"status\":\"allowed\",\"rateLimitType\":\"seven_day_opus\",\"utilization\":0.5,"
		       "\"resetsAt\":1795334969,\"isUsingOverage\":true"),
		WINDOW("\"rateLimitType\":\"new_one\",\"utilization\":\"x\",\"resetsAt\":-1,"
		       "\"isUsingOverage\":true"),
		"{\"type\":\"rate_limit_event\",\"rate_limit_info\":7}", "{\"type\":\"rate_limit_event\"}",
		"{\"type\":\"result\",\"is_error\":false}", NULL
	};
	struct heard h;

	(void)state;
	read_lines(lines, &h);
	assert_int_equal(h.limits.count, 2);
	assert_string_equal(h.limits.of[0].name, "7d-opus");
	assert_int_equal(h.limits.of[0].used_permille, 500);
	assert_int_equal(h.limits.of[0].resets_ms, 1795334969000);
	assert_string_equal(h.limits.of[1].name, "new_one");
	assert_int_equal(h.limits.of[1].used_permille, -1);
	assert_int_equal(h.limits.of[1].resets_ms, 0);
	/* money is being spent: told once */
	assert_int_equal(h.warning_count, 1);
	assert_int_equal(h.finishes, 1);
	heard_clear(&h);
}

static void
test_claude_cli_decode__F80_numbers_that_cannot_be(void **state)
{
	static const char *const lines[] = {
		"{\"type\":\"result\",\"is_error\":false,\"usage\":{\"input_tokens\":-5,"
		"\"output_tokens\":1e30,\"cache_read_input_tokens\":\"x\"}}", NULL
	};
	static const char *const odd[] = {
		"{\"type\":\"result\",\"is_error\":false,\"usage\":{\"input_tokens\":5,\"output_tokens\":7,"
		"\"output_tokens_details\":{\"thinking_tokens\":9}}}", NULL
	};
	struct heard h;

	(void)state;
	read_lines(lines, &h);
	assert_int_equal(h.usages, 0);
	assert_int_equal(h.finishes, 1);
	heard_clear(&h);
	read_lines(odd, &h);
	assert_int_equal(h.usage.reasoning_tokens, -1);
	assert_int_equal(h.usage.input_tokens, 5);
	heard_clear(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_claude_cli_decode__pieces_are_not_said_twice),
		cmocka_unit_test(test_claude_cli_decode__a_message_that_did_not_stream_is_taken_whole),
		cmocka_unit_test(test_claude_cli_decode__a_key_instead_of_the_plan_is_told),
		cmocka_unit_test(test_claude_cli_decode__every_failure_has_its_class),
		cmocka_unit_test(test_claude_cli_decode__a_refusal_in_the_middle_is_an_end),
		cmocka_unit_test(test_claude_cli_decode__windows),
		cmocka_unit_test(test_claude_cli_decode__F80_numbers_that_cannot_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Refusals of the messages API: classes, waits, and what the headers say is left. */
#include "tests/unit/dialect/listener.h"

#include <dirent.h>

#define FOLDER MPD_SOURCE_DIR "/tests/transcripts/anthropic"
#define NOW_MS 1795334400000 /* 2026-11-22T08:00:00Z */
#define BODY(type, message) "{\"type\":\"error\",\"error\":{\"type\":\"" type "\",\"message\":" \
	"\"" message "\"}}"

static void
refuse(int status, const struct header *headers, size_t n, const char *body, struct failure *f)
{
	struct wire_head head = { status, headers, n };

	dialect_find("anthropic-messages")->refuse(NULL, &head, slice_of(body), NOW_MS, f);
	assert_int_equal(f->http_status, status);
}

static void
test_refuse__every_recorded_error(void **state)
{
	struct dirent *entry;
	DIR *dir = opendir(FOLDER);
	unsigned files = 0;

	(void)state;
	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		char path[512], *body;
		struct failure f;
		json_t *file;

		if (strncmp(entry->d_name, "error-", 6) != 0)
			continue;
		snprintf(path, sizeof path, FOLDER "/%s", entry->d_name);
		file = expected_read(path);
		body = json_dumps(json_object_get(file, "body"), JSON_COMPACT);
		refuse((int)json_integer_value(json_object_get(file, "status")), NULL, 0, body, &f);
		if (strcmp(failure_class_name(f.class),
		        json_string_value(json_object_get(file, "class"))) != 0)
			fail_msg("%s: %s", entry->d_name, failure_class_name(f.class));
		assert_string_not_equal(f.message, "");
		assert_false(f.unsigned_may_pass);
		assert_string_equal(f.request_id, "req_ex01");
		free(body);
		json_decref(file);
		files++;
	}
	closedir(dir);
	assert_int_equal(files, 16);
}

static void
test_refuse__classes(void **state)
{
	static const struct {
		int status;
		const char *body;
		enum failure_class class;
	} rows[] = {
		{ 529, "", FAILURE_OVERLOADED },
		{ 503, BODY("api_error", "unavailable"), FAILURE_SERVER },
		{ 503, "", FAILURE_OVERLOADED },
		{ 409, BODY("conflict_error", "again"), FAILURE_SERVER },
		{ 413, "<html><title>413</title></html>", FAILURE_CONTEXT_LENGTH },
		{ 400, BODY("invalid_request_error",
		           "input length and `max_tokens` exceed context limit: 1 + 2 > 2"),
		    FAILURE_CONTEXT_LENGTH },
		{ 400, BODY("invalid_request_error",
		    "You have reached your specified workspace API usage limits."),
		    FAILURE_QUOTA },
		{ 403, "{\"type\":\"error\",\"error\":{\"type\":\"permission_error\",\"message\":"
		    "\"x\",\"details\":"
		       "{\"error_code\":\"organization_on_hold\"}}}",
		    FAILURE_AUTH },
		{ 429, "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":"
		    "\"x\",\"details\":"
		       "{\"error_code\":\"contract_spend_limit_reached\"}}}",
		    FAILURE_QUOTA },
		{ 401, BODY("invalid_request_error", "prompt is too long"), FAILURE_AUTH },
		{ 302, "", FAILURE_CONFIG },
		/* other servers */
		{ 404, "{\"error\":\"model 'x' not found\"}", FAILURE_NOT_FOUND },
		{ 400, "{\"error\":{\"message\":\"x does not support tools\"}}", FAILURE_UNSUPPORTED },
		{ 400, BODY("invalid_request_error", "x does not support thinking"), FAILURE_UNSUPPORTED },
		{ 400, "{\"error\":{\"code\":400,\"message\":\"exceeds the available context size\"}}",
		    FAILURE_CONTEXT_LENGTH },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct failure f;

		refuse(rows[i].status, NULL, 0, rows[i].body, &f);
		if (f.class != rows[i].class)
			fail_msg("%d %s: %s", rows[i].status, rows[i].body, failure_class_name(f.class));
	}
}

/* Reads a recorded head into headers that borrow from *text. */
static size_t
head_read(const char *path, char **text, struct header *headers, size_t max)
{
	size_t size, n = 0;
	char *line, *save, *colon;

	*text = file_read(path, &size);
	for (line = strtok_r(*text, "\r\n", &save); line != NULL; line = strtok_r(NULL, "\r\n", &save)) {
		if ((colon = strstr(line, ": ")) == NULL)
			continue;
		assert_true(n < max);
		headers[n].name = (struct slice){ line, (size_t)(colon - line) };
		headers[n++].value = slice_of(colon + 2);
	}
	return n;
}

static void
test_refuse__F81_waits(void **state)
{
#define H(n, v) { SLICE(n), SLICE(v) }
#define RATE "anthropic-ratelimit-"
	static const struct {
		struct header headers[6];
		enum failure_class class;
		int64_t wait_ms;
	} rows[] = {
		{ { H("retry-after", "21"), H(RATE "requests-remaining", "0"),
		      H(RATE "requests-reset", "2026-11-22T08:00:50Z") },
		    FAILURE_RATE_LIMIT, 21000 },
		{ { H("retry-after-ms", "350"), H("retry-after", "21") }, FAILURE_RATE_LIMIT, 350 },
		{ { H(RATE "requests-remaining", "0"), H(RATE "requests-reset", "2026-11-22T08:00:10Z"),
		      H(RATE "tokens-remaining", "0"), H(RATE "tokens-reset", "2026-11-22T08:00:20Z"),
		      H(RATE "output-tokens-remaining", "5"),
		      H(RATE "output-tokens-reset", "2026-11-22T09:00:00Z") },
		    FAILURE_RATE_LIMIT, 20000 },
		{ { H(RATE "unified-status", "rejected"), H(RATE "unified-5h-status", "rejected"),
		      H(RATE "unified-5h-reset", "1795334460"), H(RATE "unified-7d-status", "rejected"),
		      H(RATE "unified-7d-reset", "2026-11-22T09:00:00Z") },
		    FAILURE_QUOTA, 3600000 },
		{ { H(RATE "unified-status", "rejected"), H(RATE "unified-reset", "1795334460") },
		    FAILURE_QUOTA, 60000 },
		{ { H(RATE "unified-status", "rejected"), H(RATE "unified-reset", "1795334460"),
		      H("date", "Sun, 22 Nov 2026 08:00:30 GMT") },
		    FAILURE_QUOTA, 30000 },
		{ { H(RATE "unified-status", "rejected"), H(RATE "unified-reset", "1899999999") },
		    FAILURE_QUOTA, 86400000 },
		{ { H(RATE "unified-status", "rejected"), H(RATE "unified-reset", "1795334399") },
		    FAILURE_QUOTA, -1 },
		{ { H(RATE "tokens-remaining", "0"), H(RATE "tokens-reset", "soon") },
		    FAILURE_RATE_LIMIT, -1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct failure f;

		refuse(429, rows[i].headers, 6, BODY("rate_limit_error", "slow"), &f);
		if (f.wait_ms != rows[i].wait_ms || f.class != rows[i].class)
			fail_msg("row %zu: %lld %s", i, (long long)f.wait_ms, failure_class_name(f.class));
	}
}

static void
test_refuse__a_day_in_the_message(void **state)
{
	struct failure f;

	(void)state;
	refuse(400, NULL, 0, BODY("invalid_request_error",
	    "You have reached your specified API usage limits. "
	                          "You will regain access on 2026-11-22 at 10:00 UTC."), &f);
	assert_int_equal(f.class, FAILURE_QUOTA);
	assert_int_equal(f.wait_ms, 7200000);
}

static void
test_refuse__the_recorded_429(void **state)
{
	struct header headers[32];
	struct failure f;
	char *text;
	size_t n = head_read(FOLDER "/headers-429.txt", &text, headers, 32);

	(void)state;
	refuse(429, headers, n, BODY("rate_limit_error", "slow"), &f);
	assert_int_equal(f.wait_ms, 21000);
	assert_int_equal(f.retry_said, 1);
	assert_string_equal(f.request_id, "req_ex01");
	free(text);
}

/* ---- what is left ---- */

static const struct limit *
find(const struct limits *l, const char *name)
{
	for (size_t i = 0; i < l->count; i++)
		if (strcmp(l->of[i].name, name) == 0)
			return &l->of[i];
	fail_msg("no limit %s", name);
	return NULL;
}

static void
limits_of(int status, const struct header *headers, size_t n, struct limits *out)
{
	struct wire_head head = { status, headers, n };

	dialect_find("anthropic-messages")->limits(NULL, &head, NOW_MS, out);
	assert_int_equal(out->at_ms, NOW_MS);
}

static void
test_limits__per_minute(void **state)
{
	struct header headers[32];
	struct limits l;
	char *text;
	size_t n = head_read(FOLDER "/headers-429.txt", &text, headers, 32);

	(void)state;
	limits_of(429, headers, n, &l);
	assert_int_equal(l.count, 4);
	assert_int_equal(find(&l, "requests")->limit, 1000);
	assert_int_equal(find(&l, "requests")->remaining, 998);
	assert_int_equal(find(&l, "requests")->resets_ms, NOW_MS + 1000);
	assert_false(find(&l, "requests")->rejected);
	assert_int_equal(find(&l, "input-tokens")->remaining, 0);
	assert_int_equal(find(&l, "input-tokens")->resets_ms, NOW_MS + 21000);
	assert_true(find(&l, "input-tokens")->rejected);
	assert_int_equal(find(&l, "tokens")->limit, 56000);
	free(text);
}

static void
test_limits__windows_of_a_plan(void **state)
{
	struct header headers[32];
	struct limits l;
	char *text;
	size_t n = head_read(FOLDER "/headers-unified-warning.txt", &text, headers, 32);

	(void)state;
	limits_of(200, headers, n, &l);
	assert_int_equal(l.count, 2);
	assert_int_equal(find(&l, "5h")->used_permille, 930);
	assert_int_equal(find(&l, "5h")->resets_ms, 1795334969000);
	assert_false(find(&l, "5h")->rejected);
	assert_int_equal(find(&l, "7d")->used_permille, 300);
	assert_int_equal(find(&l, "7d")->resets_ms, 1795590569000);
	assert_int_equal(find(&l, "7d")->limit, -1);
	free(text);
}

static void
test_limits__the_claim_names_the_window(void **state)
{
	static const struct header headers[] = { H(RATE "unified-status", "rejected"),
		H(RATE "unified-representative-claim", "seven_day_opus"),
		H(RATE "unified-reset", "1795334460"), H(RATE "unified-5h-utilization", "1.07") };
	struct limits l;

	(void)state;
	limits_of(429, headers, 4, &l);
	assert_true(find(&l, "7d_opus")->rejected);
	assert_int_equal(find(&l, "7d_opus")->resets_ms, 1795334460000);
	assert_int_equal(find(&l, "5h")->used_permille, 1070);
}

static void
test_limits__garbage_is_not_known(void **state)
{
	static const struct header headers[] = { H(RATE "requests-limit", "many"),
		H(RATE "requests-remaining", "-4"), H(RATE "tokens-limit", "99999999999999999999999"),
		H(RATE "unified-5h-utilization", "1e9"), H(RATE "unified-status", "allowed") };
	struct limits l;

	(void)state;
	limits_of(200, headers, 5, &l);
	assert_int_equal(l.count, 0);
	limits_of(200, NULL, 0, &l);
	assert_int_equal(l.count, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refuse__every_recorded_error),
		cmocka_unit_test(test_refuse__classes),
		cmocka_unit_test(test_refuse__F81_waits),
		cmocka_unit_test(test_refuse__a_day_in_the_message),
		cmocka_unit_test(test_refuse__the_recorded_429),
		cmocka_unit_test(test_limits__per_minute),
		cmocka_unit_test(test_limits__windows_of_a_plan),
		cmocka_unit_test(test_limits__the_claim_names_the_window),
		cmocka_unit_test(test_limits__garbage_is_not_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Refusals: every error of tests/transcripts becomes its class; waits out of headers and bodies. */
#include "tests/unit/dialect/listener.h"

#include <dirent.h>

#include "server/dialect/refusal.h"

#define FOLDER MPD_SOURCE_DIR "/tests/transcripts"
#define NOW_MS 1795330000000

static const struct {
	const char *folder, *name, *base_url, *files_begin;
	unsigned files;
} houses[] = {
	{ "openai-chat", "openai", "https://api.openai.com/v1", "error-", 15 },
	{ "openrouter", "openrouter", "https://openrouter.ai/api/v1", "error-", 13 },
	{ "qwen", "qwen", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "error-", 13 },
	{ "lmstudio", "lmstudio", "http://127.0.0.1:1234/v1", "error-", 3 },
	{ "ollama", "ollama", "http://127.0.0.1:11434/v1", "openai-error-", 1 },
	{ "gemini", "gemini", "https://generativelanguage.googleapis.com/v1beta/openai", "error-openai-", 1 },
};

static struct provider *
provider_at(const char *name, const char *base_url)
{
	struct provider *p = provider_new();

	free(p->name);
	free(p->base_url);
	p->name = xstrdup(name);
	p->base_url = xstrdup(base_url);
	return p;
}

static size_t
headers_from(const json_t *file, struct header *headers, size_t max)
{
	json_t *object = json_object_get(file, "headers"), *value;
	const char *name;
	size_t n = 0;

	json_object_foreach(object, name, value) {
		assert_true(n < max);
		headers[n].name = slice_of(name);
		headers[n++].value = slice_of(json_string_value(value));
	}
	return n;
}

static void
refuse(const struct provider *p, int status, const struct header *headers, size_t n,
    const char *body, struct failure *out)
{
	struct wire_head head = { status, headers, n };

	dialect_find("openai-chat")->refuse(p, &head, slice_of(body), NOW_MS, out);
}

static void
run_error(const char *path, const struct provider *p)
{
	json_t *file = expected_read(path), *body = json_object_get(file, "body");
	const json_t *wait = json_object_get(file, "wait_ms");
	struct header headers[8];
	size_t n = headers_from(file, headers, 8);
	char *text = NULL;
	struct failure f;
	const char *class = json_string_value(json_object_get(file, "class"));
	int status = (int)json_integer_value(json_object_get(file, "status"));

	if (body != NULL)
		text = json_dumps(body, JSON_COMPACT);
	refuse(p, status, headers, n,
	    text != NULL ? text : json_string_value(json_object_get(file, "body_text")), &f);
	if (strcmp(failure_class_name(f.class), class) != 0)
		fail_msg("%s: %s instead of %s", path, failure_class_name(f.class), class);
	assert_int_equal(f.http_status, status);
	assert_false(f.unsigned_may_pass);
	if (wait != NULL)
		assert_int_equal(f.wait_ms, json_integer_value(wait));
	if (body != NULL)
		assert_string_not_equal(f.message, "");
	free(text);
	json_decref(file);
}

/* The sentences are all there is; they reach us through gateways, too. */
static void
test_refuse__signatures_that_are_not_taken_back(void **state)
{
	static const struct {
		const char *dialect;
		int status;
		const char *body;
		bool unsigned_may_pass;
	} rows[] = {
		{ "gemini", 400, "{\"error\":{\"status\":\"INVALID_ARGUMENT\",\"message\":"
		    "\"Corrupted thought signature.\"}}", true },
		{ "gemini", 400, "{\"error\":{\"status\":\"INVALID_ARGUMENT\",\"message\":\"Unable to "
		    "submit request because Thought signature is not valid..\"}}", true },
		{ "gemini", 400, "{\"error\":{\"status\":\"INVALID_ARGUMENT\",\"message\":"
		    "\"Unknown name: signature\"}}", false },
		{ "gemini", 503, "{\"error\":{\"status\":\"UNAVAILABLE\",\"message\":"
		    "\"thought signature service\"}}", false },
		{ "anthropic-messages", 400, "{\"type\":\"error\",\"error\":{\"type\":"
		    "\"invalid_request_error\",\"message\":\"messages.1.content.0: Invalid `signature` in "
		    "`thinking` block\"}}", true },
		{ "anthropic-messages", 400, "{\"type\":\"error\",\"error\":{\"type\":"
		    "\"invalid_request_error\",\"message\":\"messages.3.content.1: "
		    "`thinking` or `redacted_thinking` blocks in the latest assistant message cannot be "
		    "modified.\"}}", true },
		{ "anthropic-messages", 400, "{\"type\":\"error\",\"error\":{\"type\":"
		    "\"invalid_request_error\",\"message\":\"thinking.budget_tokens: too small\"}}", false },
		{ "openai-chat", 400, "{\"error\":{\"code\":400,\"message\":\"Provider returned error\","
		    "\"metadata\":{\"raw\":\"Corrupted thought signature.\"}}}", true },
		{ "openai-chat", 400, "{\"error\":{\"message\":\"no thought given\"}}", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct wire_head head = { rows[i].status, NULL, 0 };
		struct failure f;

		dialect_find(rows[i].dialect)->refuse(NULL, &head, slice_of(rows[i].body), NOW_MS, &f);
		if (f.unsigned_may_pass != rows[i].unsigned_may_pass)
			fail_msg("%s", rows[i].body);
	}
}

static void
test_refuse__every_recorded_error(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof houses / sizeof houses[0]; i++) {
		struct provider *p = provider_at(houses[i].name, houses[i].base_url);
		char path[512];
		struct dirent *entry;
		unsigned files = 0;
		DIR *dir;

		snprintf(path, sizeof path, "%s/%s", FOLDER, houses[i].folder);
		dir = opendir(path);
		assert_non_null(dir);
		while ((entry = readdir(dir)) != NULL) {
			/* some houses speak a language of their own, too */
			if (strncmp(entry->d_name, houses[i].files_begin,
			        strlen(houses[i].files_begin)) != 0)
				continue;
			snprintf(path, sizeof path, "%s/%s/%s", FOLDER, houses[i].folder,
			    entry->d_name);
			run_error(path, p);
			files++;
		}
		closedir(dir);
		assert_int_equal(files, houses[i].files);
		provider_free(p);
	}
}

/* The same words mean other things at another provider. */
static void
test_refuse__insufficient_quota_depends_on_the_house(void **state)
{
	static const char body[] = "{\"error\":{\"message\":\"You exceeded your current quota.\","
	    "\"type\":\"insufficient_quota\",\"code\":\"insufficient_quota\"}}";
	struct provider *openai = provider_at("openai", "https://api.openai.com/v1");
	struct provider *qwen = provider_at("mine", "https://dashscope.aliyuncs.com/compatible-mode/v1");
	struct failure f;

	(void)state;
	refuse(openai, 429, NULL, 0, body, &f);
	assert_int_equal(f.class, FAILURE_QUOTA);
	refuse(qwen, 429, NULL, 0, body, &f);
	assert_int_equal(f.class, FAILURE_RATE_LIMIT);
	provider_free(openai);
	provider_free(qwen);
}

static void
test_refuse__statuses_without_a_body(void **state)
{
	static const struct {
		int status;
		enum failure_class class;
	} rows[] = {
		{ 302, FAILURE_CONFIG }, { 400, FAILURE_BAD_REQUEST }, { 401, FAILURE_AUTH },
		{ 402, FAILURE_QUOTA }, { 403, FAILURE_PERMISSION }, { 404, FAILURE_NOT_FOUND },
		{ 408, FAILURE_TIMEOUT }, { 409, FAILURE_SERVER }, { 415, FAILURE_BAD_REQUEST },
		{ 422, FAILURE_BAD_REQUEST }, { 425, FAILURE_SERVER },
		{ 429, FAILURE_RATE_LIMIT }, { 451, FAILURE_CONTENT_POLICY },
		{ 499, FAILURE_CANCELLED }, { 500, FAILURE_SERVER }, { 502, FAILURE_SERVER },
		{ 503, FAILURE_OVERLOADED }, { 504, FAILURE_TIMEOUT }, { 520, FAILURE_SERVER },
		{ 524, FAILURE_TIMEOUT }, { 527, FAILURE_SERVER }, { 529, FAILURE_OVERLOADED },
	};
	struct provider *p = provider_at("x", "https://x.example/v1");
	struct failure f;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		refuse(p, rows[i].status, NULL, 0, "", &f);
		if (f.class != rows[i].class)
			fail_msg("%d is %s", rows[i].status, failure_class_name(f.class));
	}
	provider_free(p);
}

static void
test_refuse__the_recorded_429_head(void **state)
{
	struct header headers[16];
	struct wire_head head = { 429, headers, 0 };
	size_t size;
	char *text = file_read(FOLDER "/openai-chat/headers-429.txt", &size), *line, *colon, *save;

	(void)state;
	for (line = strtok_r(text, "\r\n", &save); line != NULL; line = strtok_r(NULL, "\r\n", &save)) {
		if ((colon = strstr(line, ": ")) == NULL)
			continue;
		*colon = '\0';
		headers[head.header_count].name = slice_of(line);
		headers[head.header_count++].value = slice_of(colon + 2);
	}
	assert_int_equal(head.header_count, 9);
	/* retry-after-ms comes before retry-after */
	assert_int_equal(refusal_wait_ms(&head, NULL, NOW_MS), 1434);
	/* without both: the reset of the dimension that has nothing left */
	headers[1].name = headers[2].name = slice_of("x-nothing");
	assert_int_equal(refusal_wait_ms(&head, NULL, NOW_MS), 72500);
	free(text);
}

static int64_t
wait_of(int status, const char *name, const char *value, const char *body)
{
	struct header h = { slice_of(name), slice_of(value) };
	struct wire_head head = { status, &h, name != NULL ? 1 : 0 };
	struct json j = JSON_INIT;
	int64_t wait;

	if (body != NULL)
		assert_int_equal(json_read(&j, body, strlen(body), JSON_LAST_KEY_WINS), 0);
	wait = refusal_wait_ms(&head, body != NULL ? &j : NULL, NOW_MS);
	json_clear(&j);
	return wait;
}

static void
test_refuse__F81_waits_in_all_forms(void **state)
{
	static const struct {
		const char *name, *value;
		int64_t wait;
	} rows[] = {
		{ "retry-after", "12", 12000 },
		{ "retry-after", "0.5", 500 },
		{ "retry-after", "0", 1000 },
		{ "retry-after", "-5", -1 },
		{ "retry-after", "soon", -1 },
		{ "retry-after", "", -1 },
		{ "retry-after", "999999999999", 86400000 },
		{ "retry-after", "1e9", -1 },
		/* NOW_MS is 2026-11-22 06:46:40 UTC */
		{ "retry-after", "Sun, 22 Nov 2026 06:47:00 GMT", 20000 },
		{ "retry-after", "Sunday, 22-Nov-26 06:47:00 GMT", 20000 },
		{ "retry-after", "Sun Nov 22 06:47:00 2026", 20000 },
		{ "retry-after", "Sun, 22 Nov 2020 06:47:00 GMT", -1 },
		{ "retry-after-ms", "1434.2", 1435 },
		{ "x-ratelimit-reset", "30", 30000 },
		{ "x-ratelimit-reset", "1795330030", 30000 },
		{ "x-ratelimit-reset", "1795330030000", 30000 },
		{ "x-ratelimit-reset", "5000000", -1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int64_t wait = wait_of(429, rows[i].name, rows[i].value, NULL);

		if (wait != rows[i].wait)
			fail_msg("%s: %s gives %lld", rows[i].name, rows[i].value, (long long)wait);
	}
}

static void
test_refuse__waits_in_bodies(void **state)
{
	static const struct {
		const char *body;
		int64_t wait;
	} rows[] = {
		{ "{\"error\":{\"message\":\"Please try again in 7.66s.\"}}", 7660 },
		{ "{\"error\":{\"message\":\"Please try again in 1m12s\"}}", 72000 },
		{ "{\"error\":{\"message\":\"Please try again in 20ms. Thanks\"}}", 20 },
		{ "{\"error\":{\"message\":\"Please try again in a while\"}}", -1 },
		{ "{\"error\":{\"availability\":{\"retry_after\":8}}}", 8000 },
		{ "{\"error\":{\"availability\":{\"retry_after\":-8}}}", -1 },
		{ "{\"error\":{\"metadata\":{\"resets_at\":\"2026-11-22T06:47:00Z\"}}}", 20000 },
		{ "{\"error\":\"text\"}", -1 },
		{ "[]", -1 },
		{ "null", -1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int64_t wait = wait_of(429, NULL, NULL, rows[i].body);

		if (wait != rows[i].wait)
			fail_msg("%s gives %lld", rows[i].body, (long long)wait);
	}
}

static void
test_refuse__of_a_doubled_header_the_larger_wait(void **state)
{
	struct header headers[] = { { SLICE("retry-after"), SLICE("3") },
		{ SLICE("retry-after"), SLICE("9") }, { SLICE("retry-after"), SLICE("rubbish") } };
	struct wire_head head = { 429, headers, 3 };

	(void)state;
	assert_int_equal(refusal_wait_ms(&head, NULL, NOW_MS), 9000);
}

static void
test_refuse__the_providers_clock_judges_its_dates(void **state)
{
	struct header headers[] = { { SLICE("date"), SLICE("Sun, 22 Nov 2026 08:00:00 GMT") },
		{ SLICE("retry-after"), SLICE("Sun, 22 Nov 2026 08:00:30 GMT") } };
	struct wire_head head = { 429, headers, 2 };

	(void)state;
	assert_int_equal(refusal_wait_ms(&head, NULL, 0), 30000);
}

static void
test_refuse__a_page_leaves_its_title(void **state)
{
	struct provider *p = provider_at("x", "https://x.example/v1");
	struct failure f;

	(void)state;
	refuse(p, 502, NULL, 0, "<html><head><TITLE lang=\"en\">\n 502\tBad\n Gateway </title>secret", &f);
	assert_string_equal(f.message, "502 Bad Gateway");
	refuse(p, 502, NULL, 0, "<html><body>nothing to see", &f);
	assert_string_equal(f.message, "an HTML page without a title");
	refuse(p, 500, NULL, 0, "upstream  connect\r\nerror", &f);
	assert_string_equal(f.message, "upstream connect error");
	refuse(p, 500, NULL, 0, "bad \xff\x1b[31m bytes", &f);
	assert_true(utf8_valid(f.message, strlen(f.message)));
	assert_null(strchr(f.message, 0x1b));
	provider_free(p);
}

static void
test_refuse__long_messages_are_cut_between_characters(void **state)
{
	struct provider *p = provider_at("x", "https://x.example/v1");
	struct buf body = BUF_INIT;
	struct failure f;

	(void)state;
	buf_adds(&body, "{\"error\":{\"message\":\"");
	for (int i = 0; i < 3000; i++)
		buf_adds(&body, "ü");
	buf_adds(&body, "\"}}");
	refuse(p, 500, NULL, 0, buf_str(&body), &f);
	assert_true(strlen(f.message) < sizeof f.message);
	assert_true(utf8_valid(f.message, strlen(f.message)));
	assert_string_equal(f.message + strlen(f.message) - 3, "...");
	buf_clear(&body);
	provider_free(p);
}

static void
test_refuse__what_the_provider_says_about_retrying(void **state)
{
	struct header no = { SLICE("x-should-retry"), SLICE("false") };
	struct header id = { SLICE("x-request-id"), SLICE("req_ex02") };
	struct provider *p = provider_at("x", "https://x.example/v1");
	struct failure f;

	(void)state;
	refuse(p, 500, &no, 1, "", &f);
	assert_int_equal(f.retry_said, 0);
	refuse(p, 500, &id, 1, "{\"error\":{\"availability\":{\"retryable\":true}}}", &f);
	assert_int_equal(f.retry_said, 1);
	assert_string_equal(f.request_id, "req_ex02");
	refuse(p, 500, NULL, 0, "", &f);
	assert_int_equal(f.retry_said, -1);
	provider_free(p);
}

static void
test_refuse__F80_odd_json_is_no_trouble(void **state)
{
	static const char *const bodies[] = { "null", "[]", "[[]]", "{}", "{\"error\":null}",
		"{\"error\":[]}", "{\"error\":{\"code\":1e999}}", "{\"error\":{\"code\":[1]}}",
		"{\"error\":{\"message\":5,\"type\":{}}}", "{\"error\":{\"message\":\"\\ud800\"}}",
		"{\"error\":{\"message\":\"a\\u0000b\",\"code\":\"a\\u0000b\"}}", "{\"error\":\"\"}",
		"{\"choices\":[{\"error\":{\"message\":\"m\"}}]}", "{\"detail\":\"Not Found\"}" };
	struct provider *p = provider_at("x", "https://x.example/v1");
	struct failure f;

	(void)state;
	for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
		refuse(p, 404, NULL, 0, bodies[i], &f);
		assert_int_equal(f.class, FAILURE_NOT_FOUND);
		assert_true(utf8_valid(f.message, strlen(f.message)));
	}
	assert_string_equal(f.message, "Not Found");
	provider_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refuse__every_recorded_error),
		cmocka_unit_test(test_refuse__signatures_that_are_not_taken_back),
		cmocka_unit_test(test_refuse__insufficient_quota_depends_on_the_house),
		cmocka_unit_test(test_refuse__statuses_without_a_body),
		cmocka_unit_test(test_refuse__the_recorded_429_head),
		cmocka_unit_test(test_refuse__F81_waits_in_all_forms),
		cmocka_unit_test(test_refuse__waits_in_bodies),
		cmocka_unit_test(test_refuse__of_a_doubled_header_the_larger_wait),
		cmocka_unit_test(test_refuse__the_providers_clock_judges_its_dates),
		cmocka_unit_test(test_refuse__a_page_leaves_its_title),
		cmocka_unit_test(test_refuse__long_messages_are_cut_between_characters),
		cmocka_unit_test(test_refuse__what_the_provider_says_about_retrying),
		cmocka_unit_test(test_refuse__F80_odd_json_is_no_trouble),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

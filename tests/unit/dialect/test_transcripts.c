/* Every answer in tests/transcripts, read in every way it can be cut, against its expected file. */
#include "tests/unit/dialect/listener.h"

#include <dirent.h>

#define FOLDER MPD_SOURCE_DIR "/tests/transcripts"
/* Beyond this a file is not cut at every byte but at every 97th. */
#define EVERY_BYTE_MAX 16384

/* The dialect of the folder that is being read. */
static const char *speaking = "openai-chat";

/* ---- reading ---- */

static void
read_cut(const char *bytes, size_t n, size_t cut, struct heard *h)
{
	struct reading r;

	memset(h, 0, sizeof *h);
	reading_begin(&r, speaking, h);
	reading_feed(&r, bytes, cut);
	reading_feed(&r, bytes + cut, n - cut);
	reading_finish(&r);
}

static void
read_bytewise(const char *bytes, size_t n, struct heard *h)
{
	struct reading r;

	memset(h, 0, sizeof *h);
	reading_begin(&r, speaking, h);
	for (size_t i = 0; i < n; i++)
		reading_feed(&r, bytes + i, 1);
	reading_finish(&r);
}

static void
assert_same(struct heard *h, const struct buf *whole, const char *path, size_t cut)
{
	struct buf now = BUF_INIT;

	heard_print(h, &now);
	if (now.len != whole->len || memcmp(now.data, whole->data, now.len) != 0)
		fail_msg("%s cut at %zu:\n%s\ninstead of\n%s", path, cut, now.data, whole->data);
	buf_clear(&now);
	heard_clear(h);
}

/* ---- comparing ---- */

static void
check_text(const json_t *expected, const char *key, const struct buf *heard, const char *path)
{
	const json_t *v = json_object_get(expected, key);

	if (v == NULL)
		return;
	if (json_string_length(v) != heard->len ||
	    memcmp(json_string_value(v), buf_str(heard), heard->len) != 0)
		fail_msg("%s: %s is \"%s\"", path, key, buf_str(heard));
}

static void
check_finish(const json_t *expected, const struct heard *h, const char *path)
{
	static const char *const words[] = {
		[STOP_END] = "stop",
		[STOP_LENGTH] = "length",
		[STOP_TOOL_CALL] = "tool_calls",
		[STOP_CONTENT_FILTER] = "content_filter",
	};
	const char *finish = json_string_value(json_object_get(expected, "finish"));

	if (finish == NULL)
		return;
	if (h->finishes != 1 || h->errors != 0 || h->stop > STOP_CONTENT_FILTER)
		fail_msg("%s: no finish, but %s", path, h->failure.message);
	assert_string_equal(words[h->stop], finish);
}

static void
check_count(const json_t *usage, const char *key, int64_t value)
{
	const json_t *v = json_object_get(usage, key);

	if (v != NULL)
		assert_int_equal(value, json_integer_value(v));
}

static void
check_usage(const json_t *expected, const struct heard *h)
{
	const json_t *u = json_object_get(expected, "usage");
	const char *cost;

	if (u == NULL)
		return;
	if (json_typeof(u) == JANSSON_NULL) {
		assert_int_equal(h->usages, 0);
		return;
	}
	assert_int_equal(h->usages, 1);
	check_count(u, "input_total", h->usage.input_tokens);
	check_count(u, "output_total", h->usage.output_tokens);
	check_count(u, "cache_read", h->usage.cache_read_tokens);
	check_count(u, "cache_write", h->usage.cache_write_tokens);
	check_count(u, "reasoning", h->usage.reasoning_tokens);
	cost = json_string_value(json_object_get(u, "cost_usd"));
	if (cost != NULL)
		assert_int_equal(h->usage.cost_microusd, (int64_t)(strtod(cost, NULL) * 1e6 + 0.5));
}

static void
check_id(const char *expected, const struct heard *h, unsigned i)
{
	const char *id = buf_str(&h->calls[i].id);

	if (strcmp(expected, "<generated>") != 0) {
		assert_string_equal(id, expected);
		return;
	}
	assert_int_equal(strlen(id), 21);
	assert_int_equal(strncmp(id, "call_", 5), 0);
	assert_int_equal(strspn(id + 5, "0123456789abcdef"), 16);
	for (unsigned k = 0; k < i; k++)
		assert_string_not_equal(id, buf_str(&h->calls[k].id));
}

static void
check_arguments(const json_t *call, const struct heard *h, unsigned i, const char *path)
{
	json_t *arguments = json_loads(buf_str(&h->calls[i].arguments), 0, NULL);

	if (arguments == NULL)
		fail_msg("%s: arguments %s", path, buf_str(&h->calls[i].arguments));
	assert_true(json_equal(arguments, json_object_get(call, "arguments")));
	json_decref(arguments);
}

/* The calls that became whole, or those that were cut off. */
static void
check_calls(const json_t *expected, const char *key, bool ended, const struct heard *h,
    const char *path)
{
	const json_t *calls = json_object_get(expected, key), *call, *cut;
	unsigned i, n = 0;

	if (calls == NULL)
		return;
	for (i = 0; i < h->call_count; i++) {
		if (h->calls[i].ended != ended)
			continue;
		call = json_array_get(calls, n++);
		if (call == NULL)
			fail_msg("%s: more %s than expected", path, key);
		check_id(json_string_value(json_object_get(call, "id")), h, i);
		assert_string_equal(buf_str(&h->calls[i].name),
		    json_string_value(json_object_get(call, "name")));
		cut = json_object_get(call, "arguments_text");
		if (cut != NULL)
			assert_string_equal(buf_str(&h->calls[i].arguments), json_string_value(cut));
		else
			check_arguments(call, h, i, path);
	}
	if (json_array_size(calls) != n)
		fail_msg("%s: %u %s", path, n, key);
}

/* "signature" of the reasoning and what stands for "redacted" reasoning, in their order. */
static void
check_signatures(const json_t *expected, const struct heard *h)
{
	const json_t *signature = json_object_get(expected, "signature");
	const json_t *redacted = json_object_get(expected, "redacted"), *one;
	struct buf want = BUF_INIT;
	size_t i;

	if (signature == NULL && redacted == NULL)
		return;
	if (signature != NULL)
		buf_adds(&want, json_string_value(signature));
	json_array_foreach(redacted, i, one) {
		buf_adds(&want, want.len > 0 ? " " : "");
		buf_adds(&want, json_string_value(one));
	}
	assert_string_equal(buf_str(&h->signature), buf_str(&want));
	assert_int_equal(h->redacted, json_array_size(redacted));
	buf_clear(&want);
}

/* "limits": the spent part of each window; "resets_at": when the one that refuses is empty again. */
static void
check_limits(const json_t *expected, const struct heard *h, const char *path)
{
	json_t *limits = json_object_get(expected, "limits"), *spent;
	json_int_t resets = json_integer_value(json_object_get(expected, "resets_at"));
	const char *name;
	bool refused = false;

	json_object_foreach(limits, name, spent) {
		struct limits l = h->limits;
		size_t known = l.count;
		const struct limit *one = limits_name(&l, name);

		if (l.count != known || one == NULL)
			fail_msg("%s: no limit %s", path, name);
		assert_int_equal(one->used_permille, (int)(json_number_value(spent) * 1000 + 0.5));
	}
	for (size_t i = 0; i < h->limits.count; i++)
		refused |= h->limits.of[i].rejected && h->limits.of[i].resets_ms == resets * 1000;
	assert_true(resets == 0 || refused);
}

static void
check_error(const json_t *expected, const struct heard *h, const char *path)
{
	const char *class = json_string_value(json_object_get(expected, "error_class"));
	const json_t *recoverable = json_object_get(expected, "recoverable");

	if (class == NULL)
		return;
	if (h->errors != 1 || h->finishes != 0)
		fail_msg("%s: no error", path);
	assert_string_equal(failure_class_name(h->failure.class), class);
	assert_string_not_equal(h->failure.message, "");
	if (recoverable != NULL)
		assert_int_equal(h->texts + h->call_count == 0, json_typeof(recoverable) == JANSSON_TRUE);
}

static void
check(const json_t *expected, const struct heard *h, const char *path)
{
	const json_t *length = json_object_get(expected, "text_length");

	assert_false(h->after_end);
	assert_false(h->bad_utf8);
	assert_int_equal(h->finishes + h->errors, 1);
	check_text(expected, "text", &h->text, path);
	check_text(expected, "thinking", &h->reasoning, path);
	check_text(expected, "refusal", &h->refusal, path);
	check_text(expected, "encrypted_content", &h->signature, path);
	check_finish(expected, h, path);
	check_usage(expected, h);
	check_calls(expected, "tool_calls", true, h, path);
	check_calls(expected, "incomplete_tool_calls", false, h, path);
	check_signatures(expected, h);
	check_error(expected, h, path);
	check_limits(expected, h, path);
	if (length != NULL)
		assert_int_equal(h->text.len, json_integer_value(length));
}

static void
run_file(const char *path, const json_t *expected)
{
	struct buf whole = BUF_INIT;
	struct heard h;
	size_t n, step;
	char *bytes = file_read(path, &n);

	read_cut(bytes, n, n, &h);
	check(expected, &h, path);
	heard_print(&h, &whole);
	heard_clear(&h);
	step = n > EVERY_BYTE_MAX ? 97 : 1;
	for (size_t cut = 0; cut < n; cut += step) {
		read_cut(bytes, n, cut, &h);
		assert_same(&h, &whole, path, cut);
	}
	read_bytewise(bytes, n, &h);
	assert_same(&h, &whole, path, 0);
	buf_clear(&whole);
	free(bytes);
}

/* ---- the tests ---- */

/* Returns how many pairs the folder has of answers whose file ends so. */
static unsigned
run_files(const char *name, const char *suffix)
{
	char path[512], expected_path[512];
	unsigned files = 0;
	struct dirent *entry;
	json_t *expected;
	DIR *dir;

	snprintf(path, sizeof path, "%s/%s", FOLDER, name);
	dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		char *end = strstr(entry->d_name, suffix);

		if (end == NULL || strcmp(end, suffix) != 0)
			continue;
		/* a house with two languages: the names tell which files are OpenAI's */
		if (strncmp(entry->d_name, "stream-", 7) == 0 && strcmp(name, "gemini") == 0 &&
		    strcmp(speaking, "gemini") != 0)
			continue;
		if (strncmp(entry->d_name, "openai-", 7) == 0 && strcmp(speaking, "gemini") == 0)
			continue;
		/* tags in the text are left alone: its expected file is about an option */
		if (strcmp(entry->d_name, "stream-think-tags.sse") == 0)
			continue;
		snprintf(path, sizeof path, "%s/%s/%s", FOLDER, name, entry->d_name);
		snprintf(expected_path, sizeof expected_path, "%s/%s/%.*s.expected.json", FOLDER,
		    name, (int)(end - entry->d_name), entry->d_name);
		expected = expected_read(expected_path);
		run_file(path, expected);
		json_decref(expected);
		files++;
	}
	closedir(dir);
	return files;
}

static unsigned
run_folder(const char *name)
{
	return run_files(name, ".sse");
}

static void
test_transcripts__openai_chat(void **state)
{
	(void)state;
	assert_int_equal(run_folder("openai-chat"), 9);
}

static void
test_transcripts__openrouter(void **state)
{
	(void)state;
	assert_int_equal(run_folder("openrouter"), 3);
}

static void
test_transcripts__qwen(void **state)
{
	(void)state;
	assert_int_equal(run_folder("qwen"), 2);
}

static void
test_transcripts__lmstudio(void **state)
{
	(void)state;
	assert_int_equal(run_folder("lmstudio"), 2);
}

static void
test_transcripts__ollama(void **state)
{
	(void)state;
	assert_int_equal(run_folder("ollama"), 2);
	speaking = "ollama";
	assert_int_equal(run_files("ollama", ".ndjson"), 6);
	speaking = "openai-chat";
}

static void
test_transcripts__openai_responses(void **state)
{
	(void)state;
	speaking = "openai-responses";
	assert_int_equal(run_folder("openai-responses"), 6);
	speaking = "openai-chat";
}

static void
test_transcripts__gemini(void **state)
{
	(void)state;
	assert_int_equal(run_folder("gemini"), 1);
	speaking = "gemini";
	assert_int_equal(run_folder("gemini"), 5);
	speaking = "openai-chat";
}

static void
test_transcripts__anthropic(void **state)
{
	(void)state;
	speaking = "anthropic-messages";
	assert_int_equal(run_folder("anthropic"), 8);
	speaking = "openai-chat";
}

static void
test_transcripts__claude_cli(void **state)
{
	(void)state;
	speaking = "claude-cli";
	assert_int_equal(run_files("claude-cli", ".ndjson"), 9);
	speaking = "openai-chat";
}

/* Recorded from llama.cpp's server, which has three languages with manners of its own: call ids without a
 * prefix, items without an index that end together. */
static void
test_transcripts__llamacpp(void **state)
{
	static const char *const dialects[] = { "openai-chat", "openai-responses", "anthropic-messages" };
	static const char *const replies[] = { "text", "tool-calls" };
	char folder[64], path[512];

	(void)state;
	for (size_t i = 0; i < sizeof dialects / sizeof dialects[0]; i++) {
		speaking = dialects[i];
		snprintf(folder, sizeof folder, "llamacpp/%s", speaking);
		assert_int_equal(run_files(folder, ".sse"), i == 1 ? 2 : 3);
		for (size_t k = 0; k < sizeof replies / sizeof replies[0]; k++) {
			json_t *expected;
			struct heard h;
			size_t n;
			char *body;

			snprintf(path, sizeof path, "%s/%s/reply-%s.json", FOLDER, folder, replies[k]);
			body = file_read(path, &n);
			read_reply_of(speaking, body, n, &h);
			free(body);
			snprintf(path, sizeof path, "%s/%s/reply-%s.expected.json", FOLDER, folder,
			    replies[k]);
			expected = expected_read(path);
			check(expected, &h, path);
			json_decref(expected);
			heard_clear(&h);
		}
	}
	speaking = "openai-chat";
}

static void
test_transcripts__F77_every_framing_at_every_split(void **state)
{
	json_t *expected = expected_read(FOLDER "/framing/expected.json");
	json_t *files = json_object_get(expected, "files"), *one;
	const char *name;
	char path[512];
	unsigned count = 0;

	(void)state;
	json_object_foreach(files, name, one) {
		snprintf(path, sizeof path, "%s/framing/%s", FOLDER, name);
		run_file(path, one);
		count++;
	}
	assert_int_equal(count, 18);
	json_decref(expected);
}

static void
test_transcripts__F77_the_documented_cuts(void **state)
{
	json_t *splits = expected_read(FOLDER "/framing/splits.json");
	json_t *runs = json_object_get(splits, "runs"), *run, *at;
	struct buf whole = BUF_INIT;
	struct heard h;
	const char *name;
	size_t n, i, from;
	char *bytes = file_read(FOLDER "/framing/crlf.sse", &n);

	(void)state;
	read_cut(bytes, n, n, &h);
	heard_print(&h, &whole);
	heard_clear(&h);
	json_object_foreach(runs, name, run) {
		struct reading r;

		memset(&h, 0, sizeof h);
		reading_begin(&r, speaking, &h);
		from = 0;
		json_array_foreach(run, i, at) {
			reading_feed(&r, bytes + from, (size_t)json_integer_value(at) - from);
			from = (size_t)json_integer_value(at);
		}
		reading_feed(&r, bytes + from, n - from);
		reading_finish(&r);
		assert_same(&h, &whole, name, 0);
	}
	buf_clear(&whole);
	free(bytes);
	json_decref(splits);
}

static void
test_transcripts__think_tags_stay_text(void **state)
{
	struct heard h;
	size_t n;
	char *bytes = file_read(FOLDER "/lmstudio/stream-think-tags.sse", &n);

	(void)state;
	read_cut(bytes, n, n / 2, &h);
	assert_string_equal(buf_str(&h.text), "<think>Two cities.</think>\n\nOslo snow.");
	assert_int_equal(h.reasoning.len, 0);
	heard_clear(&h);
	free(bytes);
}

static void
test_transcripts__whole_replies(void **state)
{
	struct heard h;
	size_t n;
	char *body;

	(void)state;
	body = file_read(FOLDER "/openai-chat/reply.json", &n);
	read_reply(body, n, &h);
	free(body);
	assert_string_equal(buf_str(&h.text), "Oslo has snow at 3 °C, Rome sun at 21 °C.");
	assert_string_equal(h.model, "gpt-6.2-sol");
	assert_int_equal(h.stop, STOP_END);
	assert_int_equal(h.usage.input_tokens, 1219);
	heard_clear(&h);

	body = file_read(FOLDER "/openai-chat/reply-tool-calls.json", &n);
	read_reply(body, n, &h);
	free(body);
	assert_int_equal(h.call_count, 2);
	assert_string_equal(buf_str(&h.calls[1].arguments), "{}");
	assert_int_equal(h.stop, STOP_TOOL_CALL);
	heard_clear(&h);

	body = file_read(FOLDER "/openrouter/reply.json", &n);
	read_reply(body, n, &h);
	free(body);
	assert_string_equal(buf_str(&h.reasoning), "Two cities.");
	assert_int_equal(h.usage.cost_microusd, 902);
	heard_clear(&h);
}

static void
test_transcripts__F73_an_error_inside_a_200(void **state)
{
	struct heard h;
	size_t n;
	char *body = file_read(FOLDER "/openrouter/reply-200-error.json", &n);

	(void)state;
	read_reply(body, n, &h);
	free(body);
	assert_int_equal(h.errors, 1);
	assert_int_equal(h.failure.class, FAILURE_SERVER);
	assert_int_equal(h.failure.http_status, 502);
	assert_string_equal(h.failure.message, "Provider returned error");
	heard_clear(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_transcripts__openai_chat),
		cmocka_unit_test(test_transcripts__openrouter),
		cmocka_unit_test(test_transcripts__qwen),
		cmocka_unit_test(test_transcripts__lmstudio),
		cmocka_unit_test(test_transcripts__ollama),
		cmocka_unit_test(test_transcripts__openai_responses),
		cmocka_unit_test(test_transcripts__gemini),
		cmocka_unit_test(test_transcripts__anthropic),
		cmocka_unit_test(test_transcripts__claude_cli),
		cmocka_unit_test(test_transcripts__llamacpp),
		cmocka_unit_test(test_transcripts__F77_every_framing_at_every_split),
		cmocka_unit_test(test_transcripts__F77_the_documented_cuts),
		cmocka_unit_test(test_transcripts__think_tags_stay_text),
		cmocka_unit_test(test_transcripts__whole_replies),
		cmocka_unit_test(test_transcripts__F73_an_error_inside_a_200),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

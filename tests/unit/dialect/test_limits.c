/* Headers that say what is left: the recorded ones, every form of a number, and nonsense. */
#include "tests/unit/dialect/listener.h"

#define FOLDER MPD_SOURCE_DIR "/tests/transcripts"
#define NOW_MS 1795330000000
#define HEADERS_MAX 40

struct answer {
	char *text; /* the headers lie in it */
	struct header headers[HEADERS_MAX];
	struct wire_head head;
};

static void
answer_read(const char *file, struct answer *a)
{
	char path[512], *line, *next, *colon;
	size_t n;

	memset(a, 0, sizeof *a);
	snprintf(path, sizeof path, "%s/%s", FOLDER, file);
	a->text = file_read(path, &n);
	a->text = xrealloc(a->text, n + 1);
	a->text[n] = '\0';
	a->head.status = atoi(a->text + strlen("HTTP/1.1 "));
	a->head.headers = a->headers;
	for (line = strchr(a->text, '\n') + 1; *line > ' '; line = next) {
		next = strchr(line, '\n');
		*next++ = '\0';
		line[strcspn(line, "\r")] = '\0';
		colon = strstr(line, ": ");
		assert_non_null(colon);
		assert_true(a->head.header_count < HEADERS_MAX);
		a->headers[a->head.header_count].name =
		    (struct slice){ line, (size_t)(colon - line) };
		a->headers[a->head.header_count++].value = slice_of(colon + 2);
	}
}

static void
limits_of(const char *dialect, const struct wire_head *head, struct limits *out)
{
	struct provider *p = provider_new();

	memset(out, 0, sizeof *out);
	dialect_find(dialect)->limits(p, head, NOW_MS, out);
	assert_int_equal(out->at_ms, NOW_MS);
	provider_free(p);
}

static void
limits_of_file(const char *dialect, const char *file, struct limits *out)
{
	struct answer a;

	answer_read(file, &a);
	limits_of(dialect, &a.head, out);
	free(a.text);
}

static const struct limit *
find(const struct limits *l, const char *name)
{
	for (size_t i = 0; i < l->count; i++)
		if (strcmp(l->of[i].name, name) == 0)
			return &l->of[i];
	fail_msg("no %s", name);
	return NULL;
}

static void
assert_limit(const struct limits *l, const char *name, int64_t limit, int64_t remaining,
    int64_t resets_ms)
{
	const struct limit *at = find(l, name);

	assert_int_equal(at->limit, limit);
	assert_int_equal(at->remaining, remaining);
	assert_int_equal(at->resets_ms, resets_ms);
}

/* ---- recorded ---- */

static void
test_limits__openai_headers_of_an_answer(void **state)
{
	struct limits l;

	(void)state;
	limits_of_file("openai-chat", "openai-chat/headers-ok.txt", &l);
	assert_int_equal(l.count, 2);
	assert_limit(&l, "requests", 10000, 9999, NOW_MS + 6);
	assert_limit(&l, "tokens", 2000000, 1999984, NOW_MS);
	assert_null(limits_wall(&l, NOW_MS));
}

static void
test_limits__openai_headers_of_a_refusal(void **state)
{
	struct limits l;

	(void)state;
	limits_of_file("openai-chat", "openai-chat/headers-429.txt", &l);
	assert_int_equal(l.count, 2);
	assert_limit(&l, "requests", -1, 12, NOW_MS + 360000);
	assert_limit(&l, "tokens", 30000, 0, NOW_MS + 72500);
	assert_string_equal(limits_wall(&l, NOW_MS)->name, "tokens");
}

static void
test_limits__anthropic_headers_of_a_refusal(void **state)
{
	const int64_t second_0 = 1795334400000; /* 2026-11-22T08:00:00Z */
	struct limits l;

	(void)state;
	limits_of_file("anthropic-messages", "anthropic/headers-429.txt", &l);
	assert_int_equal(l.count, 4);
	assert_limit(&l, "requests", 1000, 998, second_0 + 1000);
	assert_limit(&l, "input-tokens", 40000, 0, second_0 + 21000);
	assert_limit(&l, "output-tokens", 16000, 16000, second_0);
	assert_limit(&l, "tokens", 56000, 0, second_0 + 21000);
	assert_true(find(&l, "input-tokens")->rejected);
	assert_false(find(&l, "requests")->rejected);
	assert_int_equal(limit_resets_ms(&l, limits_wall(&l, NOW_MS)), second_0 + 21000);
}

static void
test_limits__anthropic_windows_of_a_plan(void **state)
{
	struct limits l;

	(void)state;
	limits_of_file("anthropic-messages", "anthropic/headers-unified-warning.txt", &l);
	assert_int_equal(l.count, 2);
	assert_limit(&l, "5h", -1, -1, 1795334969000);
	assert_limit(&l, "7d", -1, -1, 1795590569000);
	assert_int_equal(find(&l, "5h")->used_permille, 930);
	assert_int_equal(find(&l, "7d")->used_permille, 300);
	assert_null(limits_wall(&l, NOW_MS));
}

/* ---- forms of a number ---- */

static void
test_limits__every_form_of_a_reset(void **state)
{
	static const struct {
		const char *text;
		int64_t resets_ms; /* 0 = unknown */
	} rows[] = {
		{ "0", NOW_MS },
		{ "7", NOW_MS + 7000 },
		{ "999999", NOW_MS + 999999000 },
		{ "1795330007", 1795330007000 },
		{ "1795330007123", 1795330007123 },
		{ "20ms", NOW_MS + 20 },
		{ "1m12.5s", NOW_MS + 72500 },
		{ "24h0m0s", NOW_MS + 86400000 },
		{ "2026-11-22T08:00:00Z", 1795334400000 },
		{ "2026-11-22t09:00:00.5+01:00", 1795334400500 },
		{ "1000000", 0 }, /* neither a wait nor a date */
		{ "99999999999", 0 },
		{ "99999999999999999999999999", 0 },
		{ "-5", 0 },
		{ "-5s", 0 },
		{ "1e9", 0 },
		{ "0x10", 0 },
		{ "soon", 0 },
		{ "", 0 },
		{ "1960-01-01T00:00:00Z", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct header headers[] = {
			{ SLICE("x-ratelimit-remaining-requests"), SLICE("0") },
			{ SLICE("x-ratelimit-reset-requests"), slice_of(rows[i].text) },
		};
		struct wire_head head = { 200, headers, 2 };
		struct limits l;

		limits_of("openai-chat", &head, &l);
		assert_int_equal(l.count, 1);
		if (l.of[0].resets_ms != rows[i].resets_ms)
			fail_msg("%s gives %lld", rows[i].text, (long long)l.of[0].resets_ms);
	}
}

static void
test_limits__openrouter_has_no_dimension_in_its_names(void **state)
{
	struct header headers[] = {
		{ SLICE("x-ratelimit-limit"), SLICE("50") },
		{ SLICE("x-ratelimit-remaining"), SLICE("0") },
		{ SLICE("x-ratelimit-reset"), SLICE("1795334400000") },
	};
	struct wire_head head = { 429, headers, 3 };
	struct limits l;

	(void)state;
	limits_of("openai-chat", &head, &l);
	assert_int_equal(l.count, 1);
	assert_limit(&l, "requests", 50, 0, 1795334400000);
}

static void
test_limits__a_rejected_plan_names_its_window(void **state)
{
	struct header headers[] = {
		{ SLICE("anthropic-ratelimit-unified-status"), SLICE("rejected") },
		{ SLICE("anthropic-ratelimit-unified-representative-claim"), SLICE("seven_day") },
		{ SLICE("anthropic-ratelimit-unified-reset"), SLICE("1795334969") },
	};
	struct wire_head head = { 429, headers, 3 };
	struct limits l;

	(void)state;
	limits_of("anthropic-messages", &head, &l);
	assert_int_equal(l.count, 1);
	assert_limit(&l, "7d", -1, -1, 1795334969000);
	assert_true(find(&l, "7d")->rejected);
	assert_non_null(limits_wall(&l, NOW_MS));
	assert_null(limits_wall(&l, 1795334969000));
}

/* ---- nonsense ---- */

static void
test_limits__absurd_counts_are_ignored(void **state)
{
	static const char *const absurd[] = { "", "-1", "+1", " 1", "1 ", "0x7", "1e3", "NaN", "many",
		"1,000", "99999999999999999999", "9223372036854775808", "\xff" };

	(void)state;
	for (size_t i = 0; i < sizeof absurd / sizeof absurd[0]; i++) {
		struct header headers[] = {
			{ SLICE("x-ratelimit-limit-requests"), slice_of(absurd[i]) },
			{ SLICE("x-ratelimit-remaining-tokens"), slice_of(absurd[i]) },
			{ SLICE("anthropic-ratelimit-requests-limit"), slice_of(absurd[i]) },
			{ SLICE("anthropic-ratelimit-tokens-remaining"), slice_of(absurd[i]) },
			{ SLICE("anthropic-ratelimit-unified-5h-utilization"), slice_of(absurd[i]) },
		};
		struct wire_head head = { 200, headers, 5 };
		struct limits l;

		limits_of("openai-chat", &head, &l);
		if (l.count != 0)
			fail_msg("openai-chat believes \"%s\"", absurd[i]);
		limits_of("anthropic-messages", &head, &l);
		if (l.count != 0)
			fail_msg("anthropic-messages believes \"%s\"", absurd[i]);
	}
}

static void
test_limits__many_windows_do_not_overflow(void **state)
{
	static char names[HEADERS_MAX][80];
	struct header headers[HEADERS_MAX];
	struct wire_head head = { 200, headers, HEADERS_MAX };
	struct limits l;

	(void)state;
	for (int i = 0; i < HEADERS_MAX; i++) {
		snprintf(names[i], sizeof names[i], "anthropic-ratelimit-unified-w%d-reset", i);
		headers[i].name = slice_of(names[i]);
		headers[i].value = SLICE("1795334969");
	}
	limits_of("anthropic-messages", &head, &l);
	assert_int_equal(l.count, LIMITS_MAX);
}

static void
test_limits__no_headers_say_nothing(void **state)
{
	struct wire_head head = { 200, NULL, 0 };
	struct limits l;

	(void)state;
	limits_of("openai-chat", &head, &l);
	assert_int_equal(l.count, 0);
	limits_of("anthropic-messages", &head, &l);
	assert_int_equal(l.count, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limits__openai_headers_of_an_answer),
		cmocka_unit_test(test_limits__openai_headers_of_a_refusal),
		cmocka_unit_test(test_limits__anthropic_headers_of_a_refusal),
		cmocka_unit_test(test_limits__anthropic_windows_of_a_plan),
		cmocka_unit_test(test_limits__every_form_of_a_reset),
		cmocka_unit_test(test_limits__openrouter_has_no_dimension_in_its_names),
		cmocka_unit_test(test_limits__a_rejected_plan_names_its_window),
		cmocka_unit_test(test_limits__absurd_counts_are_ignored),
		cmocka_unit_test(test_limits__many_windows_do_not_overflow),
		cmocka_unit_test(test_limits__no_headers_say_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

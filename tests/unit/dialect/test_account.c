/* What a gateway tells of a key, and lists that come in pages. */
#include "tests/unit/dialect/listener.h"

#include "server/dialect/account.h"
#include "server/dialect/pages.h"

#define FOLDER MPD_SOURCE_DIR "/tests/transcripts"
#define NOW_MS 1795334400000 /* Sunday, 2026-11-22T08:00:00Z */
#define MIDNIGHT_MS 1795392000000
#define DECEMBER_MS 1796083200000

static const struct limit *
find(const struct account *a, const char *name)
{
	for (size_t i = 0; i < a->limits.count; i++)
		if (strcmp(a->limits.of[i].name, name) == 0)
			return &a->limits.of[i];
	fail_msg("no dimension %s", name);
	return NULL;
}

static int
key_reply(const char *json, struct account *a)
{
	memset(a, 0, sizeof *a);
	return account_key_reply(slice_of(json), NOW_MS, a);
}

static void
test_account__the_recorded_key(void **state)
{
	struct account a = { .key_expires_ms = 0 };
	const struct limit *l;
	size_t n;
	char *text = file_read(FOLDER "/openrouter/key.json", &n);

	(void)state;
	assert_int_equal(account_key_reply((struct slice){ text, n }, NOW_MS, &a), 0);
	free(text);
	assert_int_equal(a.limits.count, 2);
	assert_int_equal(a.limits.at_ms, NOW_MS);
	assert_int_equal(a.key_expires_ms, 0);
	l = find(&a, "credit");
	assert_true(l->microusd && !l->partial);
	assert_int_equal(l->limit, 10000000);
	assert_int_equal(l->remaining, 7500000);
	assert_int_equal(l->resets_ms, DECEMBER_MS);
	l = find(&a, "free-requests");
	assert_true(l->partial && !l->microusd);
	assert_int_equal(l->limit, 1000);
	assert_int_equal(l->remaining, 988);
	assert_int_equal(l->resets_ms, MIDNIGHT_MS);
}

static void
test_account__the_recorded_credits(void **state)
{
	struct account a = { .key_expires_ms = 0 };
	const struct limit *l;
	size_t n;
	char *text = file_read(FOLDER "/openrouter/credits.json", &n);

	(void)state;
	assert_int_equal(account_credits_reply((struct slice){ text, n }, NOW_MS, &a), 0);
	free(text);
	l = find(&a, "balance");
	assert_true(l->microusd && !l->partial);
	assert_int_equal(l->limit, -1);
	assert_int_equal(l->remaining, 7654400);
	assert_int_equal(l->resets_ms, 0);
}

static void
test_account__resets_at_midnight_utc(void **state)
{
	static const struct {
		const char *word;
		int64_t now_ms, resets_ms;
	} rows[] = {
		{ "\"daily\"", NOW_MS, MIDNIGHT_MS },
		{ "\"weekly\"", NOW_MS, MIDNIGHT_MS },             /* Monday follows Sunday */
		{ "\"weekly\"", MIDNIGHT_MS, MIDNIGHT_MS + (int64_t)7 * 86400000 },
		{ "\"weekly\"", MIDNIGHT_MS - 1, MIDNIGHT_MS },
		{ "\"monthly\"", DECEMBER_MS - 1, DECEMBER_MS },
		{ "\"monthly\"", DECEMBER_MS, 1798761600000 },     /* a year ends */
		{ "null", NOW_MS, 0 },
		{ "\"hourly\"", NOW_MS, 0 },
		{ "7", NOW_MS, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct account a = { .key_expires_ms = 0 };
		char json[200];

		snprintf(json, sizeof json, "{\"data\":{\"usage\":0,\"limit\":1,\"limit_remaining\":1,"
		    "\"limit_reset\":%s}}", rows[i].word);
		assert_int_equal(account_key_reply(slice_of(json), rows[i].now_ms, &a), 0);
		assert_int_equal(find(&a, "credit")->resets_ms, rows[i].resets_ms);
	}
}

/* A key without a limit of its own takes away what was known of one. */
static void
test_account__no_limit_is_not_zero(void **state)
{
	struct limits kept = { .count = 0 };
	struct account a;

	(void)state;
	limits_name(&kept, "credit")->remaining = 5;
	assert_int_equal(key_reply("{\"data\":{\"limit\":null,\"limit_remaining\":null,\"limit_reset\":"
	    "\"daily\",\"usage\":2.5,\"expires_at\":\"2026-12-24T00:00:00Z\"}}", &a), 0);
	assert_int_equal(find(&a, "credit")->limit, -1);
	assert_int_equal(find(&a, "credit")->remaining, -1);
	assert_int_equal(a.key_expires_ms, 1798070400000);
	limits_merge(&kept, &a.limits);
	assert_int_equal(kept.count, 0);
}

static void
test_account__what_cannot_be_true(void **state)
{
	struct account a;

	(void)state;
	assert_int_equal(key_reply("{\"data\":{\"usage\":1,\"limit\":\"10\",\"limit_remaining\":-0.25,"
	    "\"free_model_daily_requests\":{\"limit\":-1,\"remaining\":1e99},\"expires_at\":7}}", &a), 0);
	assert_int_equal(find(&a, "credit")->limit, 10000000);
	assert_int_equal(find(&a, "credit")->remaining, 0); /* overdrawn */
	assert_int_equal(find(&a, "free-requests")->limit, 0);
	assert_int_equal(find(&a, "free-requests")->remaining, -1);
	assert_int_equal(a.key_expires_ms, 0);
	assert_int_equal(key_reply("{\"data\":{\"usage\":1,\"limit\":1e300,\"limit_remaining\":{}}}", &a), 0);
	assert_int_equal(find(&a, "credit")->limit, -1);
	/* other things have "data", too */
	assert_true(key_reply("{\"data\":[]}", &a) < 0);
	assert_true(key_reply("{\"data\":{\"id\":\"m\"}}", &a) < 0);
	assert_true(key_reply("{\"error\":{}}", &a) < 0);
	assert_true(key_reply("<html>", &a) < 0);
	assert_int_equal(a.limits.count, 0);
}

static void
test_account__credits_of_others(void **state)
{
	struct account a = { .key_expires_ms = 0 };

	(void)state;
	assert_int_equal(account_credits_reply(slice_of("{\"data\":{\"total_credits\":5,"
	    "\"total_usage\":7.5}}"), NOW_MS, &a), 0);
	assert_int_equal(find(&a, "balance")->remaining, 0);
	assert_false(find(&a, "balance")->partial);
	memset(&a, 0, sizeof a);
	/* nothing was ever bought: free models go on */
	assert_int_equal(account_credits_reply(slice_of("{\"data\":{\"total_credits\":0,"
	    "\"total_usage\":0}}"), NOW_MS, &a), 0);
	assert_true(find(&a, "balance")->partial);
	memset(&a, 0, sizeof a);
	assert_true(account_credits_reply(slice_of("{\"data\":{\"total_credits\":5}}"), NOW_MS, &a) < 0);
	assert_true(account_credits_reply(slice_of("[]"), NOW_MS, &a) < 0);
	assert_int_equal(a.limits.count, 0);
}

/* ---- pages ---- */

static void
test_pages__where_a_list_goes_on(void **state)
{
	static const struct {
		const char *dialect, *json;
		int r;
		const char *cursor;
	} rows[] = {
		{ "anthropic-messages", "{\"data\":[],\"has_more\":true,\"last_id\":\"m-1\"}", 1, "m-1" },
		{ "anthropic-messages", "{\"data\":[],\"has_more\":false,\"last_id\":\"m-1\"}", 0, "" },
		{ "anthropic-messages", "{\"data\":[],\"last_id\":\"m-1\"}", 0, "" },
		{ "anthropic-messages", "{\"data\":[],\"has_more\":\"true\",\"last_id\":\"m-1\"}", 0, "" },
		{ "anthropic-messages", "{\"data\":[],\"has_more\":true}", MP_E_INVALID_PARAMS, "" },
		{ "anthropic-messages", "{\"has_more\":true,\"last_id\":null}", MP_E_INVALID_PARAMS, "" },
		{ "anthropic-messages", "{\"has_more\":true,\"last_id\":\"\"}", MP_E_INVALID_PARAMS, "" },
		{ "gemini", "{\"models\":[],\"nextPageToken\":\"Ch9t\"}", 1, "Ch9t" },
		{ "gemini", "{\"models\":[],\"nextPageToken\":\"\"}", 0, "" },
		{ "gemini", "{\"models\":[],\"nextPageToken\":null}", 0, "" },
		{ "gemini", "{\"models\":[]}", 0, "" },
		{ "gemini", "{\"models\":[],\"nextPageToken\":5}", MP_E_INVALID_PARAMS, "" },
		{ "openai-chat", "{\"data\":[],\"has_more\":true,\"last_id\":\"m-1\"}", 0, "" },
		{ "ollama", "{\"models\":[],\"nextPageToken\":\"x\"}", 0, "" },
		{ "gemini", "<html>", 0, "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char cursor[PAGE_CURSOR_SIZE] = "";

		if (list_next_page(dialect_find(rows[i].dialect), slice_of(rows[i].json), cursor) !=
		        rows[i].r || strcmp(cursor, rows[i].cursor) != 0)
			fail_msg("%s: %s", rows[i].json, cursor);
	}
}

static void
test_pages__a_cursor_is_data(void **state)
{
	const struct dialect *claude = dialect_find("anthropic-messages"), *gemini = dialect_find("gemini");
	char json[2000], cursor[PAGE_CURSOR_SIZE] = "", *big = json + 200;
	struct wire_request wire;

	(void)state;
	wire_request_init(&wire);
	assert_int_equal(list_page_request(claude, NULL, "a b&limit=1#\n/..%", &wire), 0);
	assert_string_equal(wire.path, "/v1/models?limit=1000&after_id=a%20b%26limit%3D1%23%0A%2F..%25");
	wire_request_clear(&wire);
	wire_request_init(&wire);
	assert_int_equal(list_page_request(gemini, NULL, "Ch9t-_~", &wire), 0);
	assert_string_equal(wire.path, "/v1beta/models?pageSize=1000&pageToken=Ch9t-_~");
	wire_request_clear(&wire);

	memset(big, '&', PAGE_CURSOR_SIZE - 1);
	big[PAGE_CURSOR_SIZE - 1] = '\0';
	wire_request_init(&wire);
	assert_int_equal(list_page_request(gemini, NULL, big, &wire), MP_E_TOO_LARGE);
	wire_request_clear(&wire);
	/* one byte more is no cursor */
	snprintf(json, 200, "{\"nextPageToken\":\"");
	memmove(json + strlen(json), big, PAGE_CURSOR_SIZE);
	strcat(json, "&\"}");
	assert_int_equal(list_next_page(gemini, slice_of(json), cursor), MP_E_INVALID_PARAMS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_account__the_recorded_key),
		cmocka_unit_test(test_account__the_recorded_credits),
		cmocka_unit_test(test_account__resets_at_midnight_utc),
		cmocka_unit_test(test_account__no_limit_is_not_zero),
		cmocka_unit_test(test_account__what_cannot_be_true),
		cmocka_unit_test(test_account__credits_of_others),
		cmocka_unit_test(test_pages__where_a_list_goes_on),
		cmocka_unit_test(test_pages__a_cursor_is_data),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What a provider says is left, in words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "client/app.h"
#include "client/limits.h"
#include "protocol/base/json.h"
#include "protocol/message.h"
#include "protocol/pack.h"

#define NOW 1000000000000LL

typedef const char *words_fn(struct app *a, const struct value *v, int64_t now_ms);

/* text, as it comes over the wire, must give these words. */
static void
check_words(words_fn *words, const char *text, const char *want)
{
	struct message_reader *r = message_reader_new(1 << 16);
	struct json j = JSON_INIT;
	struct buf wire = BUF_INIT;
	struct error err = ERROR_INIT;
	struct app a = {.utf8 = true};
	struct message m;
	struct pack p;
	size_t room;
	bool known;

	assert_int_equal(json_read(&j, text, strlen(text), JSON_STRICT), 0);
	pack_init(&p, &wire);
	pack_array_begin(&p);
	pack_int(&p, 2);
	pack_str(&p, "x");
	pack_array_begin(&p);
	pack_json(&p, &j, 0);
	pack_array_end(&p);
	pack_array_end(&p);
	memcpy(message_reader_room(r, wire.len, &room), wire.data, wire.len);
	message_reader_fed(r, wire.len);
	assert_int_equal(message_reader_next(r, &m, &known, &err), 1);
	assert_string_equal(words(&a, value_at(m.params, 0), NOW), want);
	message_release(r, false);
	message_reader_free(r);
	json_clear(&j);
	buf_clear(&wire);
	app_clear(&a);
}

static void
test_limits__what_is_left(void **state)
{
	(void)state;
	check_words(limits_words, "[]", "");
	check_words(limits_words, "[{\"name\":\"requests\",\"limit\":60,\"remaining\":59}]",
	    "requests 59 of 60");
	check_words(limits_words, "[{\"name\":\"tokens\",\"remaining\":149000}]",
	    "tokens 149 k left");
	check_words(limits_words, "[{\"name\":\"5h\",\"used_permille\":424}]", "5h 42 % used");
	check_words(limits_words, "[{\"name\":\"requests\",\"limit\":60}]", "requests at most 60");
	check_words(limits_words, "[{\"name\":\"7d\"}]", "7d");
	check_words(limits_words,
	    "[{\"name\":\"5h\",\"limit\":50,\"remaining\":38,\"estimated\":true}]", "5h about 38 of 50");
}

/* NOW is 1000000000000. */
static void
test_limits__what_resets_together_says_so_once(void **state)
{
	(void)state;
	check_words(limits_words,
	    "[{\"name\":\"requests\",\"limit\":60,\"remaining\":59,\"resets_ms\":1000000350000},"
	    "{\"name\":\"tokens\",\"limit\":150000,\"remaining\":149000,"
	    "\"resets_ms\":1000000359999}]",
	    "requests 59 of 60, tokens 149 k of 150 k (resets in 6 min)");
	check_words(limits_words,
	    "[{\"name\":\"5h\",\"used_permille\":1000,\"resets_ms\":1000000012300,"
	    "\"rejected\":true},{\"name\":\"7d\",\"used_permille\":5,\"resets_ms\":1000007200000}]",
	    "5h 100 % used, used up (resets in 13 s), 7d 1 % used (resets in 2 h)");
}

static void
test_limits__old_numbers_say_that_they_are(void **state)
{
	(void)state;
	check_words(limits_words,
	    "[{\"name\":\"5h\",\"used_permille\":1000,\"resets_ms\":999999999999,"
	    "\"rejected\":true}]",
	    "5h 100 % used (has reset since)");
}

static void
test_limits__names_cannot_control_the_terminal(void **state)
{
	(void)state;
	check_words(limits_words, "[{\"name\":\"a\\u001b[2J\"}]", "a\\x1b[2J");
}

static void
test_limits__status(void **state)
{
	(void)state;
	check_words(limits_status, "{\"status\":\"available\"}", "available");
	check_words(limits_status,
	    "{\"status\":\"rate-limited\",\"status_message\":\"slow\","
	    "\"status_until_ms\":1000000700000}",
	    "rate-limited, 12 min left");
	check_words(limits_status,
	    "{\"status\":\"rate-limited\",\"status_message\":\"slow\","
	    "\"status_until_ms\":999999999999}",
	    "rate-limited: slow");
	check_words(limits_status,
	    "{\"status\":\"error\",\"status_message\":\"cannot use lab: nothing listens\"}",
	    "error: nothing listens");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_limits__what_is_left),
	    cmocka_unit_test(test_limits__what_resets_together_says_so_once),
	    cmocka_unit_test(test_limits__old_numbers_say_that_they_are),
	    cmocka_unit_test(test_limits__names_cannot_control_the_terminal),
	    cmocka_unit_test(test_limits__status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

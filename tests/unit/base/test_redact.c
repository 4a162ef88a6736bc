#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <string.h>

#include "protocol/base/str.h"
#include "server/base/log.h"

static void
check(const char *in, const char *want)
{
	char *text = xstrdup(in);

	log_redact(text, strlen(text));
	assert_string_equal(text, want);
	free(text);
}

static void
test_redact__what_looks_like_a_key_is_blanked(void **state)
{
	(void)state;
	check("Incorrect API key provided: sk-proj-Ab12.", "Incorrect API key provided: *************");
	check("sk-ant-api03-xyz_12", "*******************");
	check("(sk-or-v1-0011aabb)", "(*****************)");
	check("use AIzaSyA1234567890 now", "use ***************** now");
	check("token mpd_AbCdEfGhIj", "token **************");
	check("\\nsk-abcdef", "\\n*********"); /* the n belongs to the escape */
	check("xxsk-0123456789abcdef", "xx*******************");
}

static void
test_redact__values_after_telling_words_are_blanked(void **state)
{
	(void)state;
	check("Authorization: Bearer abc.DEF-123", "Authorization: Bearer ***********");
	check("authorization: bearer aaaaaaaaaaaaaaaaaaaa",
	    "authorization: bearer ********************");
	check("Authorization: Basic dXNlcjpwdw==", "Authorization: Basic ************");
	check("GET /v1/models?key=abc&x=1", "GET /v1/models?key=***&x=1");
	check("x-api-key: 12ab", "x-api-key: ****");
	check("X-Api-Key=12ab;", "X-Api-Key=****;");
	check("{\"api_key\": \"hunter2\"}", "{\"api_key\": \"*******\"}");
	check("{\\\"api_key\\\":\\\"hunter2\\\"}", "{\\\"api_key\\\":\\\"*******\\\"}");
	check("token=xyz password=abc", "token=*** password=***");
}

static void
test_redact__ordinary_words_stay(void **state)
{
	static const char *const plain[] = { "the task-queue is full", "disk-full", "risk-free choice",
		"Bearer token required", "a basic idea", "no key: set one", "model gpt-4o-mini", "sk-",
		"mpd_x", "monkey business", "" };

	(void)state;
	for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
		check(plain[i], plain[i]);
}

static void
test_redact__open_secrets_never_appear(void **state)
{
	struct secret *a = secret_new("Zx(9!~weird}key", 15), *b = secret_new("another-one-7", 13);

	(void)state;
	log_secret_register(a);
	log_secret_register(b);
	check("1Zx(9!~weird}keyZx(9!~weird}key2", "1******************************2");
	check("<another-one-7>", "<*************>");
	log_secret_unregister(a);
	check("Zx(9!~weird}key another-one-7", "Zx(9!~weird}key *************");
	log_secret_unregister(b);
	log_secret_unregister(b);
	check("another-one-7", "another-one-7");
	secret_free(a);
	secret_free(b);
}

static void
test_redact__placeholder_keys_do_not_blank_the_log(void **state)
{
	struct secret *s = secret_new("ollama", 6);

	(void)state;
	log_secret_register(s);
	check("provider ollama answered", "provider ollama answered");
	log_secret_unregister(s);
	secret_free(s);
}

static void
test_redact__bytes_that_are_no_text_are_fine(void **state)
{
	char bytes[512];

	(void)state;
	for (int seed = 1; seed < 200; seed++) {
		srand((unsigned)seed);
		for (size_t i = 0; i < sizeof bytes; i++)
			bytes[i] = (char)(rand() >> 7);
		log_redact(bytes, sizeof bytes);
	}
	log_redact(bytes, 0);
}

static void
test_redact__buf_keeps_its_length(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	log_redact_buf(&b);
	buf_adds(&b, "key=abc");
	log_redact_buf(&b);
	assert_string_equal(buf_str(&b), "key=***");
	buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_redact__what_looks_like_a_key_is_blanked),
		cmocka_unit_test(test_redact__values_after_telling_words_are_blanked),
		cmocka_unit_test(test_redact__ordinary_words_stay),
		cmocka_unit_test(test_redact__open_secrets_never_appear),
		cmocka_unit_test(test_redact__placeholder_keys_do_not_blank_the_log),
		cmocka_unit_test(test_redact__bytes_that_are_no_text_are_fine),
		cmocka_unit_test(test_redact__buf_keeps_its_length),
	};

	if (secret_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "common.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "protocol/base/secret.h"

static void
test_secret__keeps_the_bytes_and_ends_with_nul(void **state)
{
	struct secret *s = secret_new("sk-\0key", 7);

	(void)state;
	assert_non_null(s);
	assert_int_equal(secret_len(s), 7);
	assert_memory_equal(secret_bytes(s), "sk-\0key", 8);
	secret_free(s);
	secret_free(NULL);
}

static void
test_secret__take_wipes_the_source(void **state)
{
	char source[] = "sk-key";
	struct secret *s = secret_take(source, 6);

	(void)state;
	assert_memory_equal(source, "\0\0\0\0\0\0\0", 7);
	assert_string_equal(secret_bytes(s), "sk-key");
	secret_free(s);
}

static void
test_secret__take_wipes_even_what_it_refuses(void **state)
{
	char *source = malloc(SECRET_MAX_BYTES + 1);
	size_t i;

	(void)state;
	memset(source, 'x', SECRET_MAX_BYTES + 1);
	assert_null(secret_take(source, SECRET_MAX_BYTES + 1));
	for (i = 0; i <= SECRET_MAX_BYTES; i++)
		assert_int_equal(source[i], 0);
	free(source);
}

static void
test_secret__zero_bytes_to_fill(void **state)
{
	struct secret *s = secret_new(NULL, SECRET_MAX_BYTES);
	size_t i;

	(void)state;
	for (i = 0; i <= SECRET_MAX_BYTES; i++)
		assert_int_equal(secret_bytes(s)[i], 0);
	memset(secret_mutable(s), 'x', SECRET_MAX_BYTES);
	assert_int_equal(secret_bytes(s)[SECRET_MAX_BYTES], 0);
	secret_free(s);
	s = secret_new(NULL, 0);
	assert_string_equal(secret_bytes(s), "");
	secret_free(s);
}

static void
test_secret__comparison(void **state)
{
	struct secret *a = secret_new("abc", 3), *b = secret_new("abc", 3), *c = secret_new("abd", 3);
	struct secret *d = secret_new("ab", 2);

	(void)state;
	assert_true(secret_equals(a, b));
	assert_false(secret_equals(a, c));
	assert_false(secret_equals(a, d));
	secret_free(a);
	secret_free(b);
	secret_free(c);
	secret_free(d);
}

static void
test_secret__F115_only_visible_ascii_is_a_key(void **state)
{
	char text[SECRET_MAX_BYTES];

	(void)state;
	memset(text, '~', sizeof text);
	assert_true(secret_text_valid("sk-or-v1_!~", 11));
	assert_true(secret_text_valid(text, SECRET_MAX_BYTES / 2));
	assert_false(secret_text_valid(text, SECRET_MAX_BYTES / 2 + 1));
	assert_false(secret_text_valid("", 0));
	assert_false(secret_text_valid("a b", 3));
	assert_false(secret_text_valid("a\r", 2));
	assert_false(secret_text_valid("a\nX: y", 6));
	assert_false(secret_text_valid("a\0b", 3));
	assert_false(secret_text_valid("a\x7f", 2));
	assert_false(secret_text_valid("\xc3\xa9", 2));
}

static void
test_secret__wipe(void **state)
{
	char text[4] = "abc";

	(void)state;
	secret_wipe(text, 2);
	assert_memory_equal(text, "\0\0c", 4);
	secret_wipe(NULL, 0);
}

/* In a child that gave up its privileges, since root may lock beyond the limit. */
static int
use_secret_without_locked_memory(void)
{
	struct rlimit none = { 0, 0 };
	struct secret *s;
	int result;

	if (setrlimit(RLIMIT_MEMLOCK, &none) != 0 || (geteuid() == 0 && setuid(65534) != 0))
		return 1;
#ifndef MPD_SANITIZED /* the sanitizers make mlock a no-op that succeeds */
	if (secret_memory_is_locked())
		return 2;
#endif
	if ((s = secret_new("abc", 3)) == NULL)
		return 3;
	result = strcmp(secret_bytes(s), "abc") == 0 ? 0 : 4;
	secret_free(s);
	return result;
}

static void
test_secret__F30_works_without_locked_memory(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	if ((pid = fork()) == 0)
		_exit(use_secret_without_locked_memory());
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* Whether the bytes can be read: the kernel is asked, so that a refusal is no crash. */
static bool
is_readable(const struct secret *s)
{
	int ends[2];
	ssize_t n;

	assert_int_equal(pipe(ends), 0);
	n = write(ends[1], secret_bytes(s), 1);
	close(ends[0]);
	close(ends[1]);
	return n == 1;
}

static void
test_secret__hidden_bytes_are_out_of_reach(void **state)
{
	struct secret *s = secret_new("sk-key", 6);

	(void)state;
	assert_true(is_readable(s));
	secret_hide(s);
	assert_false(is_readable(s));
	secret_show(s);
	assert_true(is_readable(s));
	assert_string_equal(secret_bytes(s), "sk-key");
	secret_hide(s);
	secret_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_secret__keeps_the_bytes_and_ends_with_nul),
		cmocka_unit_test(test_secret__take_wipes_the_source),
		cmocka_unit_test(test_secret__take_wipes_even_what_it_refuses),
		cmocka_unit_test(test_secret__zero_bytes_to_fill),
		cmocka_unit_test(test_secret__comparison),
		cmocka_unit_test(test_secret__F115_only_visible_ascii_is_a_key),
		cmocka_unit_test(test_secret__wipe),
		cmocka_unit_test(test_secret__hidden_bytes_are_out_of_reach),
		cmocka_unit_test(test_secret__F30_works_without_locked_memory),
	};

	return secret_init() != 0 || cmocka_run_group_tests(tests, NULL, NULL);
}

#include "common.h"

#include "protocol/base/err.h"

static void
test_buf__all_zero_is_empty(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	assert_string_equal(buf_str(&b), "");
	buf_truncate(&b, 0);
	buf_drain(&b, 0);
	buf_reset(&b, 0);
	buf_clear(&b);
	assert_null(b.data);
}

static void
test_buf__adds_in_order_and_ends_with_nul(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	assert_int_equal(buf_adds(&b, "one "), 0);
	assert_int_equal(buf_addc(&b, '2'), 0);
	assert_int_equal(buf_add(&b, "\0x", 2), 0);
	assert_int_equal(buf_addf(&b, " %d %s", 3, "four"), 0);
	assert_buf(&b, "one 2\0x 3 four", 14);
	buf_clear(&b);
}

static void
test_buf__adding_nothing_allocates(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	assert_int_equal(buf_add(&b, NULL, 0), 0);
	assert_non_null(b.data);
	assert_buf(&b, "", 0);
	buf_clear(&b);
}

static void
test_buf__fills_up_to_the_ceiling_and_no_further(void **state)
{
	struct buf b;
	size_t i;

	(void)state;
	buf_init(&b, 1000);
	for (i = 0; i < 1000; i++)
		assert_int_equal(buf_addc(&b, 'x'), 0);
	assert_false(b.failed);
	assert_true(b.cap <= 1001);
	assert_int_equal(buf_addc(&b, 'x'), MP_E_TOO_LARGE);
	assert_true(b.failed);
	assert_int_equal(b.len, 1000);
	buf_clear(&b);
	assert_false(b.failed);
	assert_int_equal(b.max, 1000);
}

static void
test_buf__a_failed_add_leaves_the_content(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 8);
	buf_adds(&b, "12345");
	assert_int_equal(buf_adds(&b, "6789"), MP_E_TOO_LARGE);
	assert_int_equal(buf_addf(&b, "%s", "6789"), MP_E_TOO_LARGE);
	assert_int_equal(buf_reserve(&b, SIZE_MAX), MP_E_TOO_LARGE);
	assert_true(b.failed);
	assert_buf_text(&b, "12345");
	assert_false(b.failed);
	assert_int_equal(buf_adds(&b, "12345678"), 0);
	buf_clear(&b);
}

static void
test_buf__default_ceiling_holds(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	assert_int_equal(buf_reserve(&b, BUF_DEFAULT_MAX + 1), MP_E_TOO_LARGE);
	assert_null(b.data);
	buf_clear(&b);
}

static void
test_buf__formats_longer_than_the_room(void **state)
{
	char *text = malloc(5001);
	struct buf b = BUF_INIT;

	(void)state;
	memset(text, 'y', 5000);
	text[5000] = '\0';
	buf_adds(&b, "a");
	assert_int_equal(buf_addf(&b, "%s%d", text, 7), 0);
	assert_int_equal(b.len, 5002);
	assert_int_equal(b.data[5001], '7');
	assert_memory_equal(b.data + 1, text, 5000);
	free(text);
	buf_clear(&b);
}

static void
test_buf__drain_and_truncate(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	buf_adds(&b, "abcdef");
	buf_drain(&b, 2);
	assert_string_equal(buf_str(&b), "cdef");
	buf_truncate(&b, 3);
	assert_string_equal(buf_str(&b), "cde");
	buf_drain(&b, 3);
	assert_buf(&b, "", 0);
	buf_clear(&b);
}

static void
test_buf__reset_keeps_little_and_gives_back_much(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	buf_adds(&b, "text");
	buf_reset(&b, 4096);
	assert_non_null(b.data);
	assert_buf(&b, "", 0);
	buf_reserve(&b, 10000);
	buf_reset(&b, 4096);
	assert_null(b.data);
	buf_clear(&b);
}

static void
test_buf__steal_gives_the_bytes_away(void **state)
{
	struct buf b = BUF_INIT;
	size_t len = 99;
	char *text;

	(void)state;
	text = buf_steal(&b, &len);
	assert_string_equal(text, "");
	assert_int_equal(len, 0);
	free(text);
	buf_adds(&b, "mine");
	text = buf_steal(&b, &len);
	assert_string_equal(text, "mine");
	assert_int_equal(len, 4);
	assert_null(b.data);
	free(text);
	buf_clear(&b);
}

static void
assert_zero(const char *p, size_t n)
{
	while (n-- > 0)
		assert_int_equal(p[n], 0);
}

static void
test_buf__secret_is_wiped_where_it_was(void **state)
{
	struct buf b;

	(void)state;
	buf_init_secret(&b, 4096);
	buf_adds(&b, "password");
	buf_drain(&b, 4);
	assert_string_equal(buf_str(&b), "word");
	assert_zero(b.data + 4, b.cap - 4);
	buf_truncate(&b, 1);
	assert_zero(b.data + 1, b.cap - 1);
	buf_adds(&b, "again");
	buf_reset(&b, SIZE_MAX);
	assert_zero(b.data, b.cap);
	buf_clear(&b);
	assert_true(b.wipe);
}

#ifndef _FORTIFY_SOURCE
/* In place of the C library's: what was wiped last before its memory was given back. */
static const void *wiped;
static size_t wiped_bytes;

void
explicit_bzero(void *p, size_t n)
{
	volatile char *bytes = p;

	wiped = p;
	wiped_bytes = n;
	while (n > 0)
		bytes[--n] = 0;
}

static void
test_buf__secret_leaves_nothing_where_it_grew_from(void **state)
{
	const void *old;
	size_t old_cap;
	struct buf b;

	(void)state;
	buf_init_secret(&b, 1 << 20);
	buf_adds(&b, "password");
	old = b.data;
	old_cap = b.cap;
	assert_int_equal(buf_reserve(&b, 4096), 0);
	assert_ptr_equal(wiped, old);
	assert_int_equal(wiped_bytes, old_cap);
	assert_string_equal(buf_str(&b), "password");
	old = b.data;
	old_cap = b.cap;
	buf_clear(&b);
	assert_ptr_equal(wiped, old);
	assert_int_equal(wiped_bytes, old_cap);
}
#endif

static void
test_buf__secret_keeps_content_when_it_grows(void **state)
{
	struct buf b;
	int i;

	(void)state;
	buf_init_secret(&b, 1 << 20);
	for (i = 0; i < 5000; i++)
		assert_int_equal(buf_addf(&b, "%04d", i), 0);
	assert_int_equal(b.len, 20000);
	assert_memory_equal(b.data, "000000010002", 12);
	assert_memory_equal(b.data + 19996, "4999", 5);
	buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buf__all_zero_is_empty),
		cmocka_unit_test(test_buf__adds_in_order_and_ends_with_nul),
		cmocka_unit_test(test_buf__adding_nothing_allocates),
		cmocka_unit_test(test_buf__fills_up_to_the_ceiling_and_no_further),
		cmocka_unit_test(test_buf__a_failed_add_leaves_the_content),
		cmocka_unit_test(test_buf__default_ceiling_holds),
		cmocka_unit_test(test_buf__formats_longer_than_the_room),
		cmocka_unit_test(test_buf__drain_and_truncate),
		cmocka_unit_test(test_buf__reset_keeps_little_and_gives_back_much),
		cmocka_unit_test(test_buf__steal_gives_the_bytes_away),
		cmocka_unit_test(test_buf__secret_is_wiped_where_it_was),
#ifndef _FORTIFY_SOURCE
		cmocka_unit_test(test_buf__secret_leaves_nothing_where_it_grew_from),
#endif
		cmocka_unit_test(test_buf__secret_keeps_content_when_it_grows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

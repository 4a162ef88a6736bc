#include "common.h"

#include "protocol/base/err.h"
#include "protocol/base/str.h"

static void
test_base64__vectors_of_rfc4648(void **state)
{
	static const char *const rows[][2] = {
		{ "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" },
	};
	struct buf b = BUF_INIT;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		base64_encode(&b, rows[i][0], strlen(rows[i][0]));
		assert_buf_text(&b, rows[i][1]);
		assert_int_equal(base64_decode(&b, rows[i][1], strlen(rows[i][1])), 0);
		assert_buf_text(&b, rows[i][0]);
	}
	buf_clear(&b);
}

static void
test_base64__all_bytes_come_back(void **state)
{
	unsigned char bytes[256];
	struct buf text = BUF_INIT, back = BUF_INIT;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof bytes; i++)
		bytes[i] = (unsigned char)i;
	for (i = 0; i <= sizeof bytes; i++) {
		base64_encode(&text, bytes, i);
		assert_int_equal(base64_decode(&back, text.data, text.len), 0);
		assert_buf(&back, bytes, i);
		buf_reset(&text, SIZE_MAX);
	}
	buf_clear(&text);
	buf_clear(&back);
}

static void
test_base64__lenient_spellings(void **state)
{
	static const char *const rows[][2] = {
		{ "Zg", "f" }, { "Zm8", "fo" }, { " Z m\n9\tv\r\n", "foo" }, { "Zg= =\n", "f" },
		{ "--__", "\xfb\xef\xff" }, { "++//", "\xfb\xef\xff" },
	};
	struct buf b = BUF_INIT;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		assert_int_equal(base64_decode(&b, rows[i][0], strlen(rows[i][0])), 0);
		assert_buf_text(&b, rows[i][1]);
	}
	buf_clear(&b);
}

static void
test_base64__bad_text_leaves_the_buffer(void **state)
{
	static const char *const bad[] = { "Z", "Zm9vY", "Z===", "Zg=", "Zg===", "Zg==Zg==", "=",
		"Zm9v=",
		"Zm9v====", "Zh==", "Zm9=", "Zm9v!", "Zm\x80v", "Z=g=", "Zg==x" };
	struct buf b = BUF_INIT;
	size_t i;

	(void)state;
	buf_adds(&b, "kept");
	for (i = 0; i < COUNT(bad); i++)
		assert_int_equal(base64_decode(&b, bad[i], strlen(bad[i])), MP_E_INVALID_PARAMS);
	assert_int_equal(base64_decode(&b, "Zg\0=", 4), MP_E_INVALID_PARAMS);
	assert_buf_text(&b, "kept");
	buf_clear(&b);
}

static void
test_base64__over_the_ceiling_fails(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 7);
	base64_encode(&b, "foobar", 6);
	assert_true(b.failed);
	assert_int_equal(b.len, 0);
	assert_int_equal(base64_decode(&b, "Zm9vYmFyZm9vYmFy", 16), MP_E_TOO_LARGE);
	buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_base64__vectors_of_rfc4648),
		cmocka_unit_test(test_base64__all_bytes_come_back),
		cmocka_unit_test(test_base64__lenient_spellings),
		cmocka_unit_test(test_base64__bad_text_leaves_the_buffer),
		cmocka_unit_test(test_base64__over_the_ceiling_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

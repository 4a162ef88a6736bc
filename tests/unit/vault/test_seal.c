#include "server/vault/seal.h"
#include "server/vault/vault.h"
#include "tests/unit/store/scratch.h"

static struct store *store;
static struct vault *v;

static const struct seal_binding binding = { .table = "credential",
	.row_id = "7b1de4c0-0000-4000-8000-000000000001", .field = "secret",
	.origin = "https://api.example:443", .session_id = 3, .expires_ms = 1000 };
static const char key[] = "sk-test-0123456789-abcdefghij";

static int
setup(void **state)
{
	struct error err;
	bool created;

	return scratch_setup(state) != 0 || store_open(scratch, &store, &err) != 0 ||
	    vault_open(store, scratch, &v, &created, &err) != 0;
}

static int
teardown(void **state)
{
	vault_free(v);
	store_close(store);
	return scratch_teardown(state);
}

static void
seal_text(const struct seal_binding *b, const char *text, size_t n, struct buf *out)
{
	struct secret *plain = secret_new(text, n);

	assert_int_equal(vault_seal(v, b, plain, out), 0);
	secret_free(plain);
}

/* What opening says; a secret comes out only with 0. */
static int
open_as(const struct seal_binding *b, const void *sealed, size_t n, int64_t generation)
{
	struct secret *plain = NULL;
	int r = vault_open_sealed(v, b, sealed, n, generation, &plain);

	assert_int_equal(r == 0, plain != NULL);
	secret_free(plain);
	return r;
}

static void
test_seal__opens_to_what_was_sealed(void **state)
{
	static const size_t sizes[] = { 0, 1, 15, 16, 17, 200, SECRET_MAX_BYTES };
	char *text = malloc(SECRET_MAX_BYTES);

	(void)state;
	memset(text, 'k', SECRET_MAX_BYTES);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct buf sealed = BUF_INIT;
		struct secret *plain = NULL;

		seal_text(&binding, text, sizes[i], &sealed);
		assert_int_equal(sealed.len, sizes[i] + SEAL_EXTRA_BYTES);
		assert_int_equal(sealed.data[0], SEAL_VERSION);
		assert_int_equal(vault_open_sealed(v, &binding, sealed.data, sealed.len,
				     vault_generation(v), &plain), 0);
		assert_int_equal(secret_len(plain), sizes[i]);
		assert_memory_equal(secret_bytes(plain), text, sizes[i]);
		secret_free(plain);
		buf_clear(&sealed);
	}
	free(text);
}

static void
test_seal__same_key_twice_gives_different_bytes(void **state)
{
	struct buf a = BUF_INIT, b = BUF_INIT;

	(void)state;
	seal_text(&binding, key, sizeof key - 1, &a);
	seal_text(&binding, key, sizeof key - 1, &b);
	assert_int_equal(a.len, b.len);
	assert_memory_not_equal(a.data + 1, b.data + 1, 24);
	assert_memory_not_equal(a.data + 25, b.data + 25, sizeof key - 1);
	assert_null(memmem(a.data, a.len, key, 8));
	buf_clear(&a);
	buf_clear(&b);
}

static void
test_seal__appends_to_what_is_there(void **state)
{
	struct buf out = BUF_INIT;

	(void)state;
	buf_adds(&out, "before");
	seal_text(&binding, key, sizeof key - 1, &out);
	assert_memory_equal(out.data, "before", 6);
	assert_int_equal(open_as(&binding, out.data + 6, out.len - 6, vault_generation(v)), 0);
	buf_clear(&out);
}

/* ---- F105 ---- */

static void
F105_test_seal__every_byte_in_every_bit(void **state)
{
	struct buf sealed = BUF_INIT;

	(void)state;
	seal_text(&binding, key, sizeof key - 1, &sealed);
	for (size_t i = 0; i < sealed.len; i++)
		for (int bit = 0; bit < 8; bit++) {
			sealed.data[i] ^= (char)(1 << bit);
			assert_int_equal(open_as(&binding, sealed.data, sealed.len, vault_generation(v)),
			    MP_E_TAMPERED);
			sealed.data[i] ^= (char)(1 << bit);
		}
	assert_int_equal(open_as(&binding, sealed.data, sealed.len, vault_generation(v)), 0);
	buf_clear(&sealed);
}

static void
F105_test_seal__version_nonce_and_length(void **state)
{
	struct buf sealed = BUF_INIT;
	char nonce[24];

	(void)state;
	seal_text(&binding, key, sizeof key - 1, &sealed);
	for (int version = 0; version < 256; version++) {
		sealed.data[0] = (char)version;
		assert_int_equal(open_as(&binding, sealed.data, sealed.len, vault_generation(v)),
		    version == SEAL_VERSION ? 0 : MP_E_TAMPERED);
	}
	sealed.data[0] = SEAL_VERSION;
	for (size_t n = 0; n < sealed.len; n++) {
		char *exact = malloc(n + 1); /* so that a read past the end is seen */

		memcpy(exact, sealed.data, n);
		assert_int_equal(open_as(&binding, exact, n, vault_generation(v)), MP_E_TAMPERED);
		free(exact);
	}
	memcpy(nonce, sealed.data + 1, sizeof nonce);
	memset(sealed.data + 1, 0, sizeof nonce);
	assert_int_equal(open_as(&binding, sealed.data, sealed.len, vault_generation(v)), MP_E_TAMPERED);
	memcpy(sealed.data + 1, nonce, sizeof nonce);
	buf_addc(&sealed, 'x');
	assert_int_equal(open_as(&binding, sealed.data, sealed.len, vault_generation(v)), MP_E_TAMPERED);
	buf_clear(&sealed);
}

static void
F105_test_seal__absurd_length(void **state)
{
	size_t n = (size_t)1 << 20;
	char *bytes = calloc(1, n);

	(void)state;
	bytes[0] = SEAL_VERSION;
	assert_int_equal(open_as(&binding, bytes, n, vault_generation(v)), MP_E_TAMPERED);
	assert_int_equal(open_as(&binding, NULL, 0, vault_generation(v)), MP_E_TAMPERED);
	free(bytes);
}

/* ---- F106 ---- */

static void
F106_test_seal__moved_aimed_elsewhere_or_made_to_last(void **state)
{
	struct seal_binding other[] = { binding, binding, binding, binding, binding, binding, binding };
	struct buf sealed = BUF_INIT;

	(void)state;
	other[0].table = "session";
	other[1].row_id = "7b1de4c0-0000-4000-8000-000000000002";
	other[2].field = "refresh";
	other[3].origin = "https://evil.example:443";
	other[4].session_id = 4;
	other[5].expires_ms = 1001;
	other[6].expires_ms = 0;
	seal_text(&binding, key, sizeof key - 1, &sealed);
	for (size_t i = 0; i < sizeof other / sizeof *other; i++)
		assert_int_equal(open_as(&other[i], sealed.data, sealed.len, vault_generation(v)),
		    MP_E_TAMPERED);
	assert_int_equal(open_as(&binding, sealed.data, sealed.len, vault_generation(v) + 1),
	    MP_E_TAMPERED);
	assert_int_equal(open_as(&binding, sealed.data, sealed.len, 0), MP_E_TAMPERED);
	assert_int_equal(open_as(&binding, sealed.data, sealed.len, vault_generation(v)), 0);
	buf_clear(&sealed);
}

static void
F106_test_seal__swapped_rows(void **state)
{
	struct seal_binding a = binding, b = binding;
	struct buf sealed_a = BUF_INIT, sealed_b = BUF_INIT;

	(void)state;
	b.row_id = "7b1de4c0-0000-4000-8000-000000000002";
	b.origin = "https://other.example:443";
	seal_text(&a, "first-key-1", 11, &sealed_a);
	seal_text(&b, "other-key-2", 11, &sealed_b);
	assert_int_equal(open_as(&a, sealed_b.data, sealed_b.len, vault_generation(v)), MP_E_TAMPERED);
	assert_int_equal(open_as(&b, sealed_a.data, sealed_a.len, vault_generation(v)), MP_E_TAMPERED);
	buf_clear(&sealed_a);
	buf_clear(&sealed_b);
}

/* Without lengths "ab"+"c" and "a"+"bc" would be covered alike. */
static void
F106_test_seal__text_moved_between_neighbours(void **state)
{
	struct seal_binding a = binding, b = binding;
	struct buf sealed = BUF_INIT;

	(void)state;
	a.table = "credential";
	a.row_id = "s1";
	b.table = "credentials";
	b.row_id = "1";
	seal_text(&a, key, sizeof key - 1, &sealed);
	assert_int_equal(open_as(&b, sealed.data, sealed.len, vault_generation(v)), MP_E_TAMPERED);
	buf_clear(&sealed);
}

static void
F106_test_seal__value_of_another_vault(void **state)
{
	struct buf sealed = BUF_INIT;

	(void)state;
	seal_text(&binding, key, sizeof key - 1, &sealed);
	teardown(state);
	assert_int_equal(setup(state), 0);
	assert_int_equal(open_as(&binding, sealed.data, sealed.len, vault_generation(v)), MP_E_TAMPERED);
	buf_clear(&sealed);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_seal__opens_to_what_was_sealed),
		T(test_seal__same_key_twice_gives_different_bytes),
		T(test_seal__appends_to_what_is_there),
		T(F105_test_seal__every_byte_in_every_bit),
		T(F105_test_seal__version_nonce_and_length),
		T(F105_test_seal__absurd_length),
		T(F106_test_seal__moved_aimed_elsewhere_or_made_to_last),
		T(F106_test_seal__swapped_rows),
		T(F106_test_seal__text_moved_between_neighbours),
		T(F106_test_seal__value_of_another_vault),
	};

	if (secret_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

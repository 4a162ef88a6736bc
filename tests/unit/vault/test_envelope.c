/* Team keys, ids and signed envelopes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/vault/envelope.h"

#define CONTENT "bundle: 1\nteam: acme\nversion: 1\n"

static struct secret *seed;
static struct buf text;

static int
set_up(void **state)
{
	(void)state;
	if (secret_init() != 0 || (seed = team_seed_new()) == NULL)
		return -1;
	return envelope_write(seed, SLICE(CONTENT), &text);
}

static int
tear_down(void **state)
{
	(void)state;
	secret_free(seed);
	buf_clear(&text);
	return 0;
}

static int
read_back(const char *bytes, size_t n)
{
	struct error err = ERROR_INIT;
	struct envelope e;
	int r = envelope_read(bytes, n, &e, &err);

	assert_int_equal(r, err.code);
	assert_true(r == 0 || err.message[0] != '\0');
	return r;
}

static void
test_envelope__what_was_signed_is_read(void **state)
{
	unsigned char digest[TEAM_DIGEST_BYTES];
	struct error err = ERROR_INIT;
	struct team_member me;
	struct envelope e;

	(void)state;
	assert_int_equal(text.len, ENVELOPE_HEAD_BYTES + strlen(CONTENT));
	assert_int_equal(envelope_read(text.data, text.len, &e, &err), 0);
	assert_true(slice_eq(e.content, CONTENT));
	assert_int_equal(team_seed_member(seed, &me), 0);
	assert_memory_equal(e.signer, me.sign, TEAM_KEY_BYTES);
	team_digest(CONTENT, strlen(CONTENT), digest);
	assert_memory_equal(e.digest, digest, sizeof digest);
}

/* Every bit of every byte, the head's, too. */
static void
test_envelope__no_bit_can_be_another(void **state)
{
	char *copy = malloc(text.len);

	(void)state;
	memcpy(copy, text.data, text.len);
	for (size_t i = 0; i < text.len; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			copy[i] = (char)((unsigned char)copy[i] ^ (1u << bit));
			assert_int_not_equal(read_back(copy, text.len), 0);
			copy[i] = text.data[i];
		}
	}
	assert_int_equal(read_back(copy, text.len), 0);
	free(copy);
}

static void
test_envelope__no_byte_can_be_missing_or_more(void **state)
{
	struct buf longer = BUF_INIT;

	(void)state;
	for (size_t n = 0; n < text.len; n++)
		assert_int_not_equal(read_back(text.data, n), 0);
	for (size_t i = 0; i <= text.len; i++) {
		buf_reset(&longer, 4096);
		buf_add(&longer, text.data, i);
		buf_addc(&longer, 'A');
		buf_add(&longer, text.data + i, text.len - i);
		assert_int_not_equal(read_back(longer.data, longer.len), 0);
	}
	buf_clear(&longer);
}

static void
test_envelope__sizes_have_a_ceiling(void **state)
{
	char *big = calloc(1, ENVELOPE_MAX_BYTES + 1);
	struct buf out = BUF_INIT;

	(void)state;
	memset(big, 'x', ENVELOPE_MAX_BYTES + 1);
	assert_int_equal(envelope_write(seed, (struct slice){ big, ENVELOPE_CONTENT_MAX + 1 }, &out),
	    MP_E_TOO_LARGE);
	assert_int_equal(out.len, 0);
	assert_int_equal(envelope_write(seed, (struct slice){ big, ENVELOPE_CONTENT_MAX }, &out), 0);
	assert_int_equal(out.len, ENVELOPE_MAX_BYTES);
	assert_int_equal(read_back(out.data, out.len), 0);
	assert_int_equal(read_back(big, ENVELOPE_MAX_BYTES + 1), MP_E_TOO_LARGE);
	buf_clear(&out);
	/* nothing at all can be signed, too */
	assert_int_equal(envelope_write(seed, (struct slice){ "", 0 }, &out), 0);
	assert_int_equal(read_back(out.data, out.len), 0);
	buf_clear(&out);
	free(big);
}

static void
test_envelope__a_newer_kind_says_so(void **state)
{
	char *copy = malloc(text.len);

	(void)state;
	memcpy(copy, text.data, text.len);
	copy[strlen("modelpd-team-bundle ")] = '2';
	assert_int_equal(read_back(copy, text.len), MP_E_VERSION_MISMATCH);
	free(copy);
}

static void
test_team_id__texts_go_there_and_back(void **state)
{
	char id[TEAM_ID_BYTES], fingerprint[TEAM_FINGERPRINT_BYTES], other[TEAM_ID_BYTES + 2];
	struct team_member me, again;

	(void)state;
	assert_int_equal(team_seed_member(seed, &me), 0);
	team_id_text(&me, id);
	assert_int_equal(strlen(id), TEAM_ID_BYTES - 1);
	assert_int_equal(team_id_parse(id, strlen(id), &again), 0);
	assert_memory_equal(&me, &again, sizeof me);
	snprintf(other, sizeof other, " %s\n", id);
	assert_int_equal(team_id_parse(other, strlen(other), &again), 0);
	team_fingerprint(me.sign, fingerprint);
	assert_true(team_fingerprint_is(me.sign, fingerprint));
	assert_true(team_fingerprint_is(me.sign, id));
	fingerprint[0] = fingerprint[0] == 'a' ? 'b' : 'a';
	assert_false(team_fingerprint_is(me.sign, fingerprint));
	fingerprint[10] = '\0';
	assert_false(team_fingerprint_is(me.sign, fingerprint));
	assert_false(team_fingerprint_is(me.sign, ""));
	/* one wrong character anywhere is noticed */
	for (size_t i = 0; i < TEAM_ID_BYTES - 1; i++) {
		char was = id[i];

		id[i] = was == 'A' ? 'B' : 'A';
		assert_int_equal(team_id_parse(id, strlen(id), &again), MP_E_INVALID_PARAMS);
		id[i] = was;
		assert_int_equal(team_id_parse(id, i, &again), MP_E_INVALID_PARAMS);
	}
}

static void
test_team_box__opens_for_one_only(void **state)
{
	struct secret *plain = secret_new("sk-0123456789", 13), *opened = NULL, *other = team_seed_new();
	struct buf sealed = BUF_INIT;
	struct team_member me;

	(void)state;
	assert_int_equal(team_seed_member(seed, &me), 0);
	assert_int_equal(team_box_seal(&me, plain, &sealed), 0);
	assert_int_equal(sealed.len, 13 + TEAM_BOX_EXTRA_BYTES);
	assert_int_equal(team_box_open(other, sealed.data, sealed.len, &opened), MP_E_TAMPERED);
	for (size_t i = 0; i < sealed.len; i++) {
		sealed.data[i] ^= 1;
		assert_int_equal(team_box_open(seed, sealed.data, sealed.len, &opened), MP_E_TAMPERED);
		sealed.data[i] ^= 1;
		assert_int_equal(team_box_open(seed, sealed.data, i, &opened), MP_E_TAMPERED);
	}
	assert_null(opened);
	assert_int_equal(team_box_open(seed, sealed.data, sealed.len, &opened), 0);
	assert_true(secret_equals(plain, opened));
	/* a key of the member's that is no point of the curve */
	memset(me.box, 0, sizeof me.box);
	assert_int_equal(team_box_seal(&me, plain, &sealed), MP_E_INVALID_PARAMS);
	secret_free(opened);
	secret_free(other);
	secret_free(plain);
	buf_clear(&sealed);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_envelope__what_was_signed_is_read),
		cmocka_unit_test(test_envelope__no_bit_can_be_another),
		cmocka_unit_test(test_envelope__no_byte_can_be_missing_or_more),
		cmocka_unit_test(test_envelope__sizes_have_a_ceiling),
		cmocka_unit_test(test_envelope__a_newer_kind_says_so),
		cmocka_unit_test(test_team_id__texts_go_there_and_back),
		cmocka_unit_test(test_team_box__opens_for_one_only),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

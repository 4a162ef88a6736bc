#include "server/vault/team_key.h"

#include <ctype.h>
#include <string.h>

#include <sodium.h>

#include "protocol/base/err.h"

#define ID_PREFIX "team1-"
#define CHECK_BYTES 4
#define ID_RAW_BYTES (2 * TEAM_KEY_BYTES + CHECK_BYTES)
#define HALF_FINGERPRINT 16

_Static_assert(TEAM_KEY_BYTES == crypto_sign_PUBLICKEYBYTES, "signing key size");
_Static_assert(TEAM_KEY_BYTES == crypto_box_PUBLICKEYBYTES, "box key size");
_Static_assert(TEAM_SIGNATURE_BYTES == crypto_sign_BYTES, "signature size");
_Static_assert(TEAM_SEED_BYTES == crypto_sign_SEEDBYTES + crypto_box_SEEDBYTES, "seed size");
_Static_assert(TEAM_BOX_EXTRA_BYTES == crypto_box_SEALBYTES, "sealed box size");

/* ---- the seed ---- */

struct secret *
team_seed_new(void)
{
	struct secret *seed = secret_new(NULL, TEAM_SEED_BYTES);

	if (seed != NULL)
		randombytes_buf(secret_mutable(seed), TEAM_SEED_BYTES);
	return seed;
}

/* The private halves are made of the seed when they are needed, and wiped. */
struct private_keys {
	unsigned char sign[crypto_sign_SECRETKEYBYTES];
	unsigned char box[crypto_box_SECRETKEYBYTES];
};

/* In locked memory; NULL when there is none or the seed is none. Free with sodium_free. */
static struct private_keys *
unfold(const struct secret *seed, struct team_member *public)
{
	const unsigned char *at = (const unsigned char *)secret_bytes(seed);
	struct private_keys *k;

	if (secret_len(seed) != TEAM_SEED_BYTES || (k = sodium_malloc(sizeof *k)) == NULL)
		return NULL;
	crypto_sign_seed_keypair(public->sign, k->sign, at);
	crypto_box_seed_keypair(public->box, k->box, at + crypto_sign_SEEDBYTES);
	return k;
}

int
team_seed_member(const struct secret *seed, struct team_member *out)
{
	struct private_keys *k = unfold(seed, out);

	if (k == NULL)
		return MP_E_TAMPERED;
	sodium_free(k);
	return 0;
}

/* ---- ids ---- */

static void
check_sum(const struct team_member *m, unsigned char out[CHECK_BYTES])
{
	static const unsigned char what[] = "modelpd team id 1";
	unsigned char hash[crypto_generichash_BYTES];
	crypto_generichash_state s;

	crypto_generichash_init(&s, NULL, 0, sizeof hash);
	crypto_generichash_update(&s, what, sizeof what);
	crypto_generichash_update(&s, m->sign, sizeof m->sign);
	crypto_generichash_update(&s, m->box, sizeof m->box);
	crypto_generichash_final(&s, hash, sizeof hash);
	memcpy(out, hash, CHECK_BYTES);
}

void
team_id_text(const struct team_member *m, char out[TEAM_ID_BYTES])
{
	unsigned char raw[ID_RAW_BYTES];

	memcpy(raw, m->sign, TEAM_KEY_BYTES);
	memcpy(raw + TEAM_KEY_BYTES, m->box, TEAM_KEY_BYTES);
	check_sum(m, raw + ID_RAW_BYTES - CHECK_BYTES);
	memcpy(out, ID_PREFIX, sizeof ID_PREFIX - 1);
	sodium_bin2base64(out + sizeof ID_PREFIX - 1, TEAM_ID_BYTES - (sizeof ID_PREFIX - 1), raw, sizeof raw,
	    sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

int
team_id_parse(const char *text, size_t n, struct team_member *out)
{
	size_t prefix = sizeof ID_PREFIX - 1, got = 0;
	unsigned char raw[ID_RAW_BYTES], check[CHECK_BYTES];
	struct team_member m;

	while (n > 0 && isspace((unsigned char)text[0]))
		text++, n--;
	while (n > 0 && isspace((unsigned char)text[n - 1]))
		n--;
	if (n != TEAM_ID_BYTES - 1 || memcmp(text, ID_PREFIX, prefix) != 0 ||
	    sodium_base642bin(raw, sizeof raw, text + prefix, n - prefix, NULL, &got, NULL,
		sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
	    got != sizeof raw)
		return MP_E_INVALID_PARAMS;
	memcpy(m.sign, raw, TEAM_KEY_BYTES);
	memcpy(m.box, raw + TEAM_KEY_BYTES, TEAM_KEY_BYTES);
	check_sum(&m, check);
	if (memcmp(check, raw + ID_RAW_BYTES - CHECK_BYTES, CHECK_BYTES) != 0)
		return MP_E_INVALID_PARAMS;
	*out = m;
	return 0;
}

void
team_fingerprint(const unsigned char sign[TEAM_KEY_BYTES], char out[TEAM_FINGERPRINT_BYTES])
{
	static const unsigned char what[] = "modelpd team signer 1";
	static const char digits[] = "0123456789abcdef";
	unsigned char hash[HALF_FINGERPRINT];
	crypto_generichash_state s;
	size_t at = 0;

	crypto_generichash_init(&s, NULL, 0, sizeof hash);
	crypto_generichash_update(&s, what, sizeof what);
	crypto_generichash_update(&s, sign, TEAM_KEY_BYTES);
	crypto_generichash_final(&s, hash, sizeof hash);
	for (size_t i = 0; i < sizeof hash; i++) {
		if (i > 0 && i % 2 == 0)
			out[at++] = '-';
		out[at++] = digits[hash[i] >> 4];
		out[at++] = digits[hash[i] & 15];
	}
	out[at] = '\0';
}

/* The next character that counts, in lower case; 0 at the end. */
static char
next_digit(const char **at)
{
	while (**at == '-' || **at == ' ' || **at == ':')
		++*at;
	return **at != '\0' ? (char)tolower((unsigned char)*(*at)++) : '\0';
}

bool
team_fingerprint_is(const unsigned char sign[TEAM_KEY_BYTES], const char *text)
{
	char right[TEAM_FINGERPRINT_BYTES];
	const char *a = right, *b = text;
	struct team_member m;
	char c;

	if (team_id_parse(text, strlen(text), &m) == 0)
		return memcmp(m.sign, sign, TEAM_KEY_BYTES) == 0;
	team_fingerprint(sign, right);
	do {
		c = next_digit(&a);
		if (c != next_digit(&b))
			return false;
	} while (c != '\0');
	return true;
}

/* ---- signing ---- */

int
team_sign(const struct secret *seed, const void *bytes, size_t n,
    unsigned char out[TEAM_SIGNATURE_BYTES])
{
	struct team_member public;
	struct private_keys *k = unfold(seed, &public);

	if (k == NULL)
		return MP_E_TAMPERED;
	crypto_sign_detached(out, NULL, bytes, n, k->sign);
	sodium_free(k);
	return 0;
}

bool
team_signed(const unsigned char sign[TEAM_KEY_BYTES], const void *bytes, size_t n,
    const unsigned char signature[TEAM_SIGNATURE_BYTES])
{
	return crypto_sign_verify_detached(signature, bytes, n, sign) == 0;
}

void
team_digest(const void *bytes, size_t n, unsigned char out[TEAM_DIGEST_BYTES])
{
	crypto_generichash(out, TEAM_DIGEST_BYTES, bytes, n, NULL, 0);
}

/* ---- sealing ---- */

int
team_box_seal(const struct team_member *to, const struct secret *plain, struct buf *out)
{
	size_t n = secret_len(plain) + TEAM_BOX_EXTRA_BYTES;

	if (buf_reserve(out, n) != 0)
		return MP_E_INTERNAL;
	/* it fails for a key that is no point of the curve to speak of */
	if (crypto_box_seal((unsigned char *)out->data + out->len,
		(const unsigned char *)secret_bytes(plain), secret_len(plain), to->box) != 0)
		return MP_E_INVALID_PARAMS;
	out->len += n;
	out->data[out->len] = '\0';
	return 0;
}

int
team_box_open(const struct secret *seed, const void *sealed, size_t n, struct secret **out)
{
	struct team_member public;
	struct private_keys *k;
	struct secret *plain;
	int r = MP_E_TAMPERED;

	if (n <= TEAM_BOX_EXTRA_BYTES || n > TEAM_BOX_EXTRA_BYTES + SECRET_MAX_BYTES)
		return MP_E_TAMPERED;
	if ((plain = secret_new(NULL, n - TEAM_BOX_EXTRA_BYTES)) == NULL)
		return MP_E_INTERNAL;
	if ((k = unfold(seed, &public)) != NULL &&
	    crypto_box_seal_open((unsigned char *)secret_mutable(plain), sealed, n, public.box, k->box) == 0)
		r = 0;
	sodium_free(k);
	if (r != 0) {
		secret_free(plain);
		return r;
	}
	*out = plain;
	return 0;
}

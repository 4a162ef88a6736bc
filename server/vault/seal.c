#include "server/vault/seal.h"

#include <assert.h>
#include <string.h>

#include <sodium.h>

#include "protocol/base/err.h"

#define NONCE_BYTES crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG_BYTES crypto_aead_xchacha20poly1305_ietf_ABYTES

_Static_assert(SEAL_KEY_BYTES == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "key size");
_Static_assert(SEAL_EXTRA_BYTES == 1 + NONCE_BYTES + TAG_BYTES, "sealed size");

static void
add_le64(struct buf *b, uint64_t v)
{
	unsigned char bytes[8];

	for (int i = 0; i < 8; i++)
		bytes[i] = (unsigned char)(v >> (8 * i));
	buf_add(b, bytes, sizeof bytes);
}

void
aad_init(struct buf *aad)
{
	buf_init(aad, 0);
	aad_int(aad, SEAL_VERSION);
}

void
aad_bytes(struct buf *aad, const void *data, size_t n)
{
	add_le64(aad, n);
	buf_add(aad, n > 0 ? data : "", n);
}

void
aad_text(struct buf *aad, const char *text)
{
	aad_bytes(aad, text, text != NULL ? strlen(text) : 0);
}

void
aad_int(struct buf *aad, int64_t v)
{
	add_le64(aad, 8);
	add_le64(aad, (uint64_t)v);
}

static const unsigned char *
key_bytes(const struct secret *key)
{
	assert(secret_len(key) == SEAL_KEY_BYTES);
	return (const unsigned char *)secret_bytes(key);
}

int
seal_make(const struct secret *key, const struct buf *aad, const struct secret *plain,
    struct buf *out)
{
	size_t n = secret_len(plain), start = out->len;
	unsigned char *at;

	if (aad->failed || buf_reserve(out, SEAL_EXTRA_BYTES + n) != 0)
		return MP_E_INTERNAL;
	at = (unsigned char *)out->data + start;
	at[0] = SEAL_VERSION;
	randombytes_buf(at + 1, NONCE_BYTES);
	crypto_aead_xchacha20poly1305_ietf_encrypt(at + 1 + NONCE_BYTES, NULL,
	    (const unsigned char *)secret_bytes(plain), n, (const unsigned char *)aad->data, aad->len,
	    NULL, at + 1, key_bytes(key));
	out->len = start + SEAL_EXTRA_BYTES + n;
	out->data[out->len] = '\0';
	return 0;
}

int
seal_open(const struct secret *key, const struct buf *aad, const void *sealed, size_t n,
    struct secret **out)
{
	const unsigned char *at = sealed;
	struct secret *plain;

	if (n < SEAL_EXTRA_BYTES || n > SEAL_EXTRA_BYTES + SECRET_MAX_BYTES || at[0] != SEAL_VERSION)
		return MP_E_TAMPERED;
	if (aad->failed || (plain = secret_new(NULL, n - SEAL_EXTRA_BYTES)) == NULL)
		return MP_E_INTERNAL;
	if (crypto_aead_xchacha20poly1305_ietf_decrypt((unsigned char *)secret_mutable(plain), NULL, NULL,
		at + 1 + NONCE_BYTES, n - 1 - NONCE_BYTES, (const unsigned char *)aad->data, aad->len,
		at + 1, key_bytes(key)) != 0) {
		secret_free(plain);
		return MP_E_TAMPERED;
	}
	*out = plain;
	return 0;
}

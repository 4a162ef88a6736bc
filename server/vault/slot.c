#include "server/vault/slot.h"

#include <assert.h>
#include <string.h>

#include <sodium.h>

#include "protocol/base/err.h"
#include "server/vault/seal.h"

#define CHECK_BYTES 16
#define MASTER_BYTES 32

_Static_assert(CHECK_BYTES >= crypto_generichash_BYTES_MIN, "check size");
_Static_assert(MASTER_BYTES == crypto_kdf_KEYBYTES, "master key size");

static void
cover_slot(struct buf *aad, const struct key_slot_row *slot)
{
	aad_init(aad);
	aad_text(aad, slot->type);
	aad_bytes(aad, slot->salt, slot->salt_len);
	aad_int(aad, slot->ops);
	aad_int(aad, slot->mem_bytes);
	aad_int(aad, slot->id);
	aad_int(aad, slot->generation); /* a row sealed under another one would look forged */
	if (slot->source != NULL && slot->source[0] != '\0')
		aad_text(aad, slot->source); /* which most slots do not have, and the first ones never had */
}

static void
check_of(const struct secret *kek, unsigned char out[CHECK_BYTES])
{
	static const char what[] = "modelpd key slot check";

	crypto_generichash(out, CHECK_BYTES, (const unsigned char *)what, sizeof what - 1,
	    (const unsigned char *)secret_bytes(kek), secret_len(kek));
}

int
slot_wrap(const struct key_slot_row *slot, const struct secret *kek, const struct secret *master,
    struct buf *wrapped)
{
	unsigned char check[CHECK_BYTES];
	struct buf aad;
	int r;

	assert(secret_len(master) == MASTER_BYTES);
	check_of(kek, check);
	cover_slot(&aad, slot);
	if ((r = buf_add(wrapped, check, sizeof check)) == 0)
		r = seal_make(kek, &aad, master, wrapped);
	buf_clear(&aad);
	return r;
}

int
slot_unwrap(const struct key_slot_row *slot, const struct secret *kek, struct secret **master)
{
	unsigned char check[CHECK_BYTES];
	struct secret *key = NULL;
	struct buf aad;
	int r;

	if (slot->wrapped_len != CHECK_BYTES + SEAL_EXTRA_BYTES + MASTER_BYTES)
		return MP_E_TAMPERED;
	check_of(kek, check);
	if (sodium_memcmp(check, slot->wrapped, sizeof check) != 0)
		return MP_E_NO_CREDENTIAL;
	cover_slot(&aad, slot);
	r = seal_open(kek, &aad, (const char *)slot->wrapped + CHECK_BYTES,
	    slot->wrapped_len - CHECK_BYTES, &key);
	buf_clear(&aad);
	if (r == 0)
		*master = key;
	return r;
}

#include "server/vault/derive.h"

#include <sodium.h>

#include "server/vault/seal.h"

#define MIB (INT64_C(1) << 20)
#define OPS_MAX 10
#define MEM_MIN (64 * MIB)
#define MEM_MAX (1024 * MIB)

_Static_assert(DERIVE_SALT_BYTES == crypto_pwhash_SALTBYTES, "salt size");

static unsigned long long test_ops;
static size_t test_mem;

void
derive_test_cost(unsigned long long ops, size_t mem_bytes)
{
	test_ops = ops;
	test_mem = mem_bytes;
}

void
derivation_new(struct derivation *d)
{
	randombytes_buf(d->salt, sizeof d->salt);
	d->ops = crypto_pwhash_OPSLIMIT_MODERATE;
	d->mem_bytes = crypto_pwhash_MEMLIMIT_MODERATE;
}

bool
derivation_allowed(int64_t ops, int64_t mem_bytes)
{
	return ops >= 1 && ops <= OPS_MAX && mem_bytes >= MEM_MIN && mem_bytes <= MEM_MAX;
}

int
derive_key(const struct derivation *d, const struct secret *passphrase, struct secret **key,
    struct error *err)
{
	unsigned long long ops = test_ops != 0 ? test_ops : (unsigned long long)d->ops;
	size_t mem = test_mem != 0 ? test_mem : (size_t)d->mem_bytes;
	struct secret *made;

	if (!derivation_allowed(d->ops, d->mem_bytes)) {
		error_set(err, MP_E_TAMPERED, "the slot of the passphrase was changed: its strength is none");
		error_hint(err, "put back a copy of the database from before that");
		return MP_E_TAMPERED;
	}
	if ((made = secret_new(NULL, SEAL_KEY_BYTES)) == NULL)
		return error_set(err, MP_E_INTERNAL, "no locked memory for the key");
	if (crypto_pwhash((unsigned char *)secret_mutable(made), SEAL_KEY_BYTES, secret_bytes(passphrase),
		secret_len(passphrase), d->salt, ops, mem, crypto_pwhash_ALG_ARGON2ID13) != 0) {
		secret_free(made);
		error_set(err, MP_E_INVALID_STATE,
		    "the passphrase needs %lld MiB of memory for a moment, and the system refuses it",
		    (long long)(d->mem_bytes / MIB));
		error_hint(err,
		    "raise the daemon's limit (ulimit -v, MemoryMax=) or free memory, then try again");
		return MP_E_INVALID_STATE;
	}
	*key = made;
	return 0;
}

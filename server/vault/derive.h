/* derive.h - a key out of a passphrase: Argon2id, at the strength of THREATS.md section 3.1.
 *
 * Takes about a second and 256 MiB: derive_key is for the worker, never for the loop. */
#ifndef SERVER_VAULT_DERIVE_H
#define SERVER_VAULT_DERIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/err.h"
#include "protocol/base/secret.h"

#define PASSPHRASE_MIN_BYTES 8 /* of a new one */
#define PASSPHRASE_MAX_BYTES 1024
#define DERIVE_SALT_BYTES 16

struct derivation {
	unsigned char salt[DERIVE_SALT_BYTES];
	int64_t ops, mem_bytes;
};

/* A new salt, and the strength that new passphrases get. */
void derivation_new(struct derivation *d);
/* An edited slot must not cost minutes or terabytes: false outside of ops 1..10, 64 MiB..1 GiB. */
bool derivation_allowed(int64_t ops, int64_t mem_bytes);

/* 0 and a key of 32 bytes. MP_E_TAMPERED outside of what is allowed, before anything is computed;
 * MP_E_INVALID_STATE when the system refuses the memory (err says how much is needed; it is never done
 * with less). */
int derive_key(const struct derivation *d, const struct secret *passphrase, struct secret **key,
    struct error *err);

/* For unit tests that derive by the dozen: from now on this is what is computed, whatever the (checked)
 * parameters say. Nothing outside of this process can reach it. */
void derive_test_cost(unsigned long long ops, size_t mem_bytes);

#endif

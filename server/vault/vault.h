/* vault.h - the master key, what wraps it, and sealing (THREATS.md sections 3 and 4).
 *
 * A random master key seals every credential through a subkey; key slots in state.db wrap the master key.
 * This version enrols one slot: a key file in a folder of its own below the data folder. Others join
 * as rows of the same table. The master key and every opened secret live in locked memory. */
#ifndef SERVER_VAULT_VAULT_H
#define SERVER_VAULT_VAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/base/buf.h"
#include "protocol/base/err.h"
#include "protocol/base/secret.h"
#include "server/store/store.h"

struct vault;

/* Opens the vault of a store: with no slots yet, makes the master key and a key file
 * (<data_dir>/key/master.key, 0600, its folder 0700) and commits the slot; else unwraps with the key file.
 * A missing, foreign, short or unsafe key file leaves the vault locked (err says why; returns 0);
 * a slot that was edited is MP_E_TAMPERED. *created tells that a new key file was made, so that the
 * caller can say honestly what it protects. */
int vault_open(struct store *store, const char *data_dir, struct vault **out, bool *created,
    struct error *err);
void vault_free(struct vault *v); /* wipes */
bool vault_is_locked(const struct vault *v);
/* Why it is locked, for status; "" when it is not. */
const char *vault_locked_why(const struct vault *v);

/* What a seal covers besides the bytes: a row cannot be moved, aimed elsewhere or made to last. */
struct seal_binding {
	const char *table;  /* "credential" */
	const char *row_id; /* UUID */
	const char *field;  /* "secret" */
	const char *origin; /* scheme://host:port */
	int64_t session_id;
	int64_t expires_ms;
};

/* version | nonce | ciphertext, appended to out. MP_E_LOCKED or MP_E_INTERNAL. */
int vault_seal(struct vault *v, const struct seal_binding *b, const struct secret *plain,
    struct buf *out);
/* 0 and a new secret; MP_E_LOCKED; MP_E_TAMPERED when anything does not fit. */
int vault_open_sealed(struct vault *v, const struct seal_binding *b, const void *sealed, size_t n,
    int64_t generation, struct secret **out);
int64_t vault_generation(const struct vault *v);

/* 8 hex digits + NUL: keyed hash of the secret, the same for the same key (THREATS.md 3.4). */
int vault_fingerprint(struct vault *v, const struct secret *s, char out[9]);
/* What is kept of a token that is handed out (a test session's, the gateway's): a keyed hash of n bytes, the
 * same for the same token as long as the vault exists. 0 or MP_E_LOCKED. */
#define VAULT_HASH_BYTES 32
int vault_token_hash(struct vault *v, const void *token, size_t n,
    unsigned char out[VAULT_HASH_BYTES]);
/* In constant time. */
bool vault_hash_equals(const unsigned char a[VAULT_HASH_BYTES],
    const unsigned char b[VAULT_HASH_BYTES]);

struct vault_slot {
	int64_t id;
	const char *type;
	const char *where; /* path of the key file; "" otherwise */
	int64_t created_ms;
};
void vault_slots(struct vault *v, void (*each)(void *arg, const struct vault_slot *slot), void *arg);

#endif

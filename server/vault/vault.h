/* vault.h - the master key, what wraps it, and sealing (THREATS.md sections 3 and 4).
 *
 * A random master key seals every credential through a subkey; key slots in state.db wrap the master key,
 * each with a key of its own source: a key file in a folder of its own below the data folder, a passphrase,
 * a command of the user's.
 * Whoever opens one slot has the master key. It, its subkeys and every opened secret live in locked memory;
 * locking wipes them. */
#ifndef SERVER_VAULT_VAULT_H
#define SERVER_VAULT_VAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/base/buf.h"
#include "protocol/base/err.h"
#include "protocol/base/secret.h"
#include "server/store/store.h"
#include "server/vault/derive.h"
#include "server/vault/slot.h"

struct vault;

/* Opens the vault of a store: with no slots yet, makes the master key and a key file
 * (<data_dir>/key/master.key, 0600, its folder 0700) and commits the slot; else unwraps with what opens
 * without a person. When nothing does (a missing, foreign, short or unsafe key file; a passphrase is
 * needed) it is locked (err says why; returns 0); a slot that was edited is MP_E_TAMPERED when there is no
 * other. *created tells that a new key file was made, so that the caller can say honestly what it
 * protects. */
int vault_open(struct store *store, const char *data_dir, struct vault **out, bool *created,
    struct error *err);
void vault_free(struct vault *v); /* wipes */

/* ---- open or locked ---- */

bool vault_is_locked(const struct vault *v);
/* Why it is locked, for status; "" when it is not. */
const char *vault_locked_why(const struct vault *v);
/* Wipes the keys at once. */
void vault_lock(struct vault *v, const char *why);
/* Opens it with the key of a source of that kind. MP_E_NOT_FOUND: no slot of that kind; MP_E_NOT_PERMITTED:
 * another key; MP_E_TAMPERED. Harmless when it is open already: then the key is only checked. */
int vault_unlock(struct vault *v, const char *type, const struct secret *kek, struct error *err);
/* The same with everything that opens without a person and without waiting; err says why nothing does. */
int vault_unlock_unattended(struct vault *v, struct error *err);
/* The same with the line that the slot's command wrote: MP_E_NOT_PERMITTED, too, when no key can be made of
 * it. */
int vault_unlock_command(struct vault *v, const struct secret *line, struct error *err);
/* Why it is locked, said better: without effect while it is open. */
void vault_stay_locked(struct vault *v, const struct error *why);
/* The kind of slot that opened it; "" while locked. */
const char *vault_opened_by(const struct vault *v);

/* How long it stays open when a person opened it: so long without use, and so long in any case, in the time
 * that counts suspend. 0 = for ever. It counts as locked from that moment on; somebody must wipe it then. */
void vault_set_lease(struct vault *v, int64_t idle_ms, int64_t absolute_ms);
/* Milliseconds until the lease ends: 0 or less = it is over, INT64_MAX = never. */
int64_t vault_lease_left_ms(const struct vault *v);
/* Whether it ended, or will, for want of use. */
bool vault_lease_idle(const struct vault *v);
/* A key was used for a person. */
void vault_used(struct vault *v);

/* ---- sealing ---- */

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
int64_t vault_generation(const struct vault *v); /* 0 while locked */

/* 8 hex digits + NUL: keyed hash of the secret, the same for the same key (THREATS.md 3.4). */
int vault_fingerprint(struct vault *v, const struct secret *s, char out[9]);
/* What is kept of a token that is handed out (a test session's, the gateway's): a keyed hash of n bytes, the
 * same for the same token as long as the vault exists. 0 or MP_E_LOCKED. */
#define VAULT_HASH_BYTES 32
int vault_token_hash(struct vault *v, const void *token, size_t n,
    unsigned char out[VAULT_HASH_BYTES]);
/* Over what the database says of itself, so that nobody else writes it. 0 or MP_E_LOCKED. */
int vault_metadata_mac(struct vault *v, const void *data, size_t n,
    unsigned char out[VAULT_HASH_BYTES]);
/* In constant time. */
bool vault_hash_equals(const unsigned char a[VAULT_HASH_BYTES],
    const unsigned char b[VAULT_HASH_BYTES]);

/* ---- slots ---- */

struct vault_slot {
	int64_t id;
	const char *type;
	const char *where; /* path of the key file, the command; "" otherwise */
	int64_t created_ms;
};
void vault_slots(struct vault *v, void (*each)(void *arg, const struct vault_slot *slot), void *arg);
bool vault_has_slot(struct vault *v, const char *type);
/* How the key of the passphrase is derived. MP_E_NOT_FOUND without such a slot, MP_E_TAMPERED when its
 * parameters are out of bounds. */
int vault_passphrase(struct vault *v, struct derivation *out, struct error *err);
/* Whether that key opens a slot of that kind, without opening the vault: errors as of vault_unlock. *master
 * may be NULL. */
int vault_check(struct vault *v, const char *type, const struct secret *kek, struct secret **master,
    struct error *err);

/* Inside a transaction of the caller: the slot of that kind, new or in place of the one there is. */
struct slot_spec {
	const char *type;
	const struct derivation *derivation; /* its salt, and how the key is derived; NULL = not */
	const struct secret *kek;
	const struct secret *master; /* NULL = that of the open vault */
	const char *source;          /* of SLOT_COMMAND, else NULL */
};
int vault_put_slot(struct vault *v, const struct slot_spec *spec, struct error *err);
/* Inside a transaction of the caller. MP_E_NOT_FOUND; MP_E_INVALID_STATE for the last one that can open the
 * vault after a reboot. *type (static): what kind it was. */
int vault_remove_slot(struct vault *v, int64_t id, const char **type, struct error *err);
/* A slot that needs no person: SLOT_KEY_FILE, SLOT_CREDENTIAL, SLOT_KEYRING. Inside a transaction of the
 * caller; vault_add_taken follows after its commit. MP_E_CONFLICT when there is one, MP_E_INVALID_PARAMS for
 * another kind, MP_E_NOT_FOUND and others when the source gives nothing. */
int vault_add_slot(struct vault *v, const char *type, struct error *err);
/* Whether the vault is open and has no slot of that kind: 0, MP_E_LOCKED, MP_E_CONFLICT. */
int vault_may_add(struct vault *v, const char *type, struct error *err);
int vault_add_taken(struct vault *v, const char *type, struct error *err);
/* The command of the command's slot; the caller frees it. MP_E_NOT_FOUND without such a slot. */
int vault_command(struct vault *v, char **command, struct error *err);
/* That slot, for a command that wrote this line. Inside a transaction of the caller. Errors as of
 * vault_add_slot; MP_E_NOT_PERMITTED when no key can be made of the line. */
int vault_add_command(struct vault *v, const char *command, const struct secret *line, struct error *err);
/* The keyring forgets with a lock, a reboot, its time: when a person has opened the vault it gets a new key.
 * Commits by itself. Harmless without such a slot. */
void vault_renew_keyring(struct vault *v);
/* After the commit: what lies outside of the database goes as well (the key file). */
int vault_forget_source(struct vault *v, const char *type, struct error *err);
/* ---- another master key (vault_rekey.c). Begin; inside a transaction of the caller seal every row anew and
 * write the slots; after its commit take, else drop. ---- */

int vault_next_begin(struct vault *v, struct error *err); /* the vault must be open */
/* derivation, kek: of the passphrase's new slot; NULL when there is none. line: what the slot's command wrote
 * just now; NULL when there is no such slot. MP_E_INVALID_STATE names a slot that cannot be written now. */
int vault_next_write_slots(struct vault *v, const struct derivation *derivation, const struct secret *kek,
    const struct secret *line, struct error *err);
int vault_next_seal(struct vault *v, const struct seal_binding *b, const struct secret *plain,
    struct buf *out);
void vault_next_fingerprint(struct vault *v, const struct secret *s, char out[9]);
int64_t vault_next_generation(const struct vault *v);
void vault_next_take(struct vault *v);
/* Harmless when there is none. */
void vault_next_drop(struct vault *v);
/* The same when a commit failed, and may yet turn out to have reached the disk: a new key file stays until
 * the next start has seen which one fits. */
void vault_next_leave(struct vault *v);

#endif

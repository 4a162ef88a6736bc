#include "server/vault/vault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "protocol/base/str.h"
#include "server/base/clock.h"
#include "server/store/rows.h"
#include "server/vault/keyfile.h"
#include "server/vault/seal.h"
#include "server/vault/slot.h"

#define MASTER_BYTES crypto_kdf_KEYBYTES

/* Numbers of the subkeys (THREATS.md section 3.1): never given to another use. */
enum { SUBKEY_ROWS = 1, SUBKEY_TOKENS = 2, SUBKEY_FINGERPRINTS = 3 };

/* The master key itself is only needed while a slot is made or read: what stays are its subkeys. */
struct vault {
	struct store *store;
	char *key_path;
	struct secret *row_key;         /* NULL while locked */
	struct secret *token_key;       /* NULL while locked */
	struct secret *fingerprint_key; /* NULL while locked */
	int64_t generation;
	char why[600]; /* "" = not locked */
};

/* ---- the master key ---- */

static struct secret *
subkey(const struct secret *master, uint64_t number)
{
	struct secret *key = secret_new(NULL, SEAL_KEY_BYTES);

	if (key != NULL)
		crypto_kdf_derive_from_key((unsigned char *)secret_mutable(key), SEAL_KEY_BYTES, number,
		    "mpd.v1__", (const unsigned char *)secret_bytes(master));
	return key;
}

static int
unlock(struct vault *v, const struct secret *master, int64_t generation)
{
	v->row_key = subkey(master, SUBKEY_ROWS);
	v->token_key = subkey(master, SUBKEY_TOKENS);
	v->fingerprint_key = subkey(master, SUBKEY_FINGERPRINTS);
	v->generation = generation;
	v->why[0] = '\0';
	if (v->row_key == NULL || v->token_key == NULL || v->fingerprint_key == NULL)
		return MP_E_INTERNAL;
	/* idle keys are out of reach, of our own mistakes too (THREATS.md section 4) */
	secret_hide(v->row_key);
	secret_hide(v->token_key);
	secret_hide(v->fingerprint_key);
	return 0;
}

static void
stay_locked(struct vault *v, const struct error *why)
{
	snprintf(v->why, sizeof v->why, "%s%s%s", why->message, why->hint[0] != '\0' ? "; " : "",
	    why->hint);
}

/* ---- the first start ---- */

static void
count_credential(void *arg, const struct credential_row *row)
{
	(void)row;
	++*(int *)arg;
}

/* A vault without slots is new only when nothing is sealed yet. */
static int
check_new(struct vault *v, struct error *err)
{
	int sealed = 0, r = store_credential_each(v->store, count_credential, &sealed);

	if (r != 0)
		return error_set(err, r, "cannot read the sealed keys in %s", store_path(v->store));
	if (sealed == 0)
		return 0;
	error_set(err, MP_E_TAMPERED, "the key slots are gone from %s, but %d sealed keys are there",
	    store_path(v->store), sealed);
	error_hint(err, "put back a copy of the database, or remove the keys and set them again");
	return MP_E_TAMPERED;
}

static int
commit_slot(struct vault *v, const struct key_slot_row *slot)
{
	int r = store_begin(v->store);

	if (r != 0)
		return r;
	if ((r = store_key_slot_put(v->store, slot, NULL)) != 0) {
		store_rollback(v->store);
		return r;
	}
	return store_commit(v->store);
}

/* A master key of its own in a first slot; the key file is already on the disk. */
static int
enrol(struct vault *v, const struct secret *kek, struct error *err)
{
	struct secret *master = secret_new(NULL, MASTER_BYTES);
	unsigned char salt[SLOT_SALT_BYTES];
	struct buf wrapped = BUF_INIT;
	struct key_slot_row slot = { .id = 1, .type = SLOT_KEY_FILE, .salt = salt,
		.salt_len = sizeof salt, .generation = 1 };
	int r = MP_E_INTERNAL;

	if (master == NULL)
		goto out;
	randombytes_buf(secret_mutable(master), MASTER_BYTES);
	randombytes_buf(salt, sizeof salt);
	slot.created_ms = clock_wall_ms();
	if ((r = slot_wrap(&slot, kek, master, &wrapped)) != 0)
		goto out;
	slot.wrapped = wrapped.data;
	slot.wrapped_len = wrapped.len;
	if ((r = commit_slot(v, &slot)) != 0)
		goto out;
	r = unlock(v, master, slot.generation);
out:
	if (r != 0)
		error_set(err, r, "cannot make the first key slot in %s", store_path(v->store));
	secret_free(master);
	buf_clear(&wrapped);
	return r;
}

static int
open_new(struct vault *v, const char *data_dir, bool *created, struct error *err)
{
	struct secret *kek = NULL;
	struct error why = ERROR_INIT;
	int r;

	if ((r = check_new(v, err)) != 0)
		return r;
	/* a start that was killed between key file and slot left a key file: it is as good as a new one */
	r = keyfile_read(data_dir, &kek, &why);
	if (r == MP_E_NOT_FOUND && (r = keyfile_create(data_dir, &kek, err)) != 0)
		return r;
	if (r != 0) {
		stay_locked(v, &why);
		if (err != NULL)
			*err = why;
		return 0;
	}
	if ((r = enrol(v, kek, err)) == 0)
		*created = true;
	secret_free(kek);
	return r;
}

/* ---- every other start ---- */

/* One pass over the slots: how many there are, and what the key file makes of its own. */
struct attempt {
	const struct secret *kek; /* NULL: only count */
	struct secret *master;
	int64_t generation;
	int slots, r;
	bool fits; /* a slot for a key file was seen */
};

static void
try_slot(void *arg, const struct key_slot_row *slot)
{
	struct attempt *a = arg;
	int r;

	a->slots++;
	if (a->kek == NULL || a->master != NULL || strcmp(slot->type, SLOT_KEY_FILE) != 0)
		return;
	a->fits = true;
	r = slot_unwrap(slot, a->kek, &a->master);
	if (r == 0)
		a->generation = slot->generation;
	if (a->r != MP_E_TAMPERED || r == 0)
		a->r = r;
}

static int
read_slots(struct vault *v, struct attempt *a, struct error *err)
{
	int r = store_key_slot_each(v->store, try_slot, a);

	return r == 0 ? 0 : error_set(err, r, "cannot read the key slots in %s", store_path(v->store));
}

static int
judge(struct vault *v, struct attempt *a, struct error *why)
{
	if (a->master != NULL)
		return unlock(v, a->master, a->generation);
	if (a->r == MP_E_TAMPERED) {
		error_set(why, MP_E_TAMPERED, "a key slot in %s was changed", store_path(v->store));
		error_hint(why, "put back a copy of the database from before that");
		return MP_E_TAMPERED;
	}
	if (a->r == MP_E_INTERNAL)
		return error_set(why, MP_E_INTERNAL, "no memory for the key");
	if (!a->fits) {
		error_set(why, MP_E_LOCKED, "no key slot opens with a key file");
		return 0;
	}
	error_set(why, MP_E_LOCKED, "the key file %s does not belong to this database", v->key_path);
	error_hint(why, "put back the key file that was made together with it");
	return 0;
}

static int
open_existing(struct vault *v, const char *data_dir, struct error *err)
{
	struct attempt a = { 0 };
	struct error why = ERROR_INIT;
	struct secret *kek = NULL;
	int r;

	/* whatever is wrong with the key file keeps the vault locked, and the rest working */
	if (keyfile_read(data_dir, &kek, &why) == 0) {
		a.kek = kek;
		if ((r = read_slots(v, &a, &why)) == 0)
			r = judge(v, &a, &why);
	} else {
		r = 0;
	}
	if (r == 0 && v->row_key == NULL)
		stay_locked(v, &why);
	if (err != NULL && why.code != 0)
		*err = why;
	secret_free(a.master);
	secret_free(kek);
	return r;
}

int
vault_open(struct store *store, const char *data_dir, struct vault **out, bool *created,
    struct error *err)
{
	struct vault *v = xcalloc(1, sizeof *v);
	struct attempt count = { 0 };
	bool made = false;
	int r;

	v->store = store;
	v->key_path = keyfile_path(data_dir);
	if ((r = read_slots(v, &count, err)) == 0)
		r = count.slots == 0 ? open_new(v, data_dir, &made, err) : open_existing(v, data_dir, err);
	if (r != 0) {
		vault_free(v);
		return r;
	}
	if (created != NULL)
		*created = made;
	*out = v;
	return 0;
}

void
vault_free(struct vault *v)
{
	if (v == NULL)
		return;
	secret_free(v->row_key);
	secret_free(v->token_key);
	secret_free(v->fingerprint_key);
	free(v->key_path);
	free(v);
}

bool
vault_is_locked(const struct vault *v)
{
	return v->row_key == NULL;
}

const char *
vault_locked_why(const struct vault *v)
{
	return v->why;
}

int64_t
vault_generation(const struct vault *v)
{
	return v->generation;
}

/* ---- sealing ---- */

static void
cover_row(struct buf *aad, const struct seal_binding *b, int64_t generation)
{
	aad_init(aad);
	aad_text(aad, b->table);
	aad_text(aad, b->row_id);
	aad_text(aad, b->field);
	aad_int(aad, generation);
	aad_text(aad, b->origin);
	aad_int(aad, b->session_id);
	aad_int(aad, b->expires_ms);
}

int
vault_seal(struct vault *v, const struct seal_binding *b, const struct secret *plain,
    struct buf *out)
{
	struct buf aad;
	int r;

	if (vault_is_locked(v))
		return MP_E_LOCKED;
	cover_row(&aad, b, v->generation);
	secret_show(v->row_key);
	r = seal_make(v->row_key, &aad, plain, out);
	secret_hide(v->row_key);
	buf_clear(&aad);
	return r;
}

int
vault_open_sealed(struct vault *v, const struct seal_binding *b, const void *sealed, size_t n,
    int64_t generation, struct secret **out)
{
	struct buf aad;
	int r;

	if (vault_is_locked(v))
		return MP_E_LOCKED;
	if (generation != v->generation)
		return MP_E_TAMPERED;
	cover_row(&aad, b, generation);
	secret_show(v->row_key);
	r = seal_open(v->row_key, &aad, sealed, n, out);
	secret_hide(v->row_key);
	buf_clear(&aad);
	return r;
}

/* ---- hashes ---- */

static void
keyed_hash(struct secret *key, const void *data, size_t n, unsigned char *out, size_t size)
{
	secret_show(key);
	crypto_generichash(out, size, data, n, (const unsigned char *)secret_bytes(key), secret_len(key));
	secret_hide(key);
}

int
vault_fingerprint(struct vault *v, const struct secret *s, char out[9])
{
	unsigned char hash[crypto_generichash_BYTES_MIN];

	if (vault_is_locked(v))
		return MP_E_LOCKED;
	keyed_hash(v->fingerprint_key, secret_bytes(s), secret_len(s), hash, sizeof hash);
	sodium_bin2hex(out, 9, hash, 4);
	return 0;
}

int
vault_token_hash(struct vault *v, const void *token, size_t n, unsigned char out[VAULT_HASH_BYTES])
{
	if (vault_is_locked(v))
		return MP_E_LOCKED;
	keyed_hash(v->token_key, token, n, out, VAULT_HASH_BYTES);
	return 0;
}

bool
vault_hash_equals(const unsigned char a[VAULT_HASH_BYTES], const unsigned char b[VAULT_HASH_BYTES])
{
	return sodium_memcmp(a, b, VAULT_HASH_BYTES) == 0;
}

/* ---- listing ---- */

struct listing {
	const struct vault *v;
	void (*each)(void *arg, const struct vault_slot *slot);
	void *arg;
};

static void
list_slot(void *arg, const struct key_slot_row *row)
{
	struct listing *l = arg;
	bool file = strcmp(row->type, SLOT_KEY_FILE) == 0;
	struct vault_slot slot = { row->id, row->type, file ? l->v->key_path : "", row->created_ms };

	l->each(l->arg, &slot);
}

void
vault_slots(struct vault *v, void (*each)(void *arg, const struct vault_slot *slot), void *arg)
{
	struct listing l = { v, each, arg };

	store_key_slot_each(v->store, list_slot, &l);
}

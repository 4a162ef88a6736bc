#include "server/vault/vault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "protocol/base/str.h"
#include "server/base/clock.h"
#include "server/vault/keyring.h"
#include "server/vault/seal.h"
#include "server/vault/vault_inside.h"

/* Numbers of the subkeys (THREATS.md section 3.1): never given to another use. */
enum { SUBKEY_ROWS = 1, SUBKEY_TOKENS = 2, SUBKEY_FINGERPRINTS = 3, SUBKEY_METADATA = 4 };

/* ---- keys ---- */

static struct secret *
subkey(const struct secret *master, uint64_t number)
{
	struct secret *key = secret_new(NULL, SEAL_KEY_BYTES);

	if (key != NULL)
		crypto_kdf_derive_from_key((unsigned char *)secret_mutable(key), SEAL_KEY_BYTES, number,
		    "mpd.v1__", (const unsigned char *)secret_bytes(master));
	return key;
}

void
vault_keys_free(struct vault_keys *k)
{
	if (k == NULL)
		return;
	secret_free(k->master);
	secret_free(k->row);
	secret_free(k->token);
	secret_free(k->fingerprint);
	secret_free(k->metadata);
	free(k);
}

struct vault_keys *
vault_keys_new(const struct secret *master, int64_t generation)
{
	struct vault_keys *k = xcalloc(1, sizeof *k);

	k->master = secret_new(secret_bytes(master), secret_len(master));
	k->row = subkey(master, SUBKEY_ROWS);
	k->token = subkey(master, SUBKEY_TOKENS);
	k->fingerprint = subkey(master, SUBKEY_FINGERPRINTS);
	k->metadata = subkey(master, SUBKEY_METADATA);
	k->generation = generation;
	if (k->master == NULL || k->row == NULL || k->token == NULL || k->fingerprint == NULL ||
	    k->metadata == NULL) {
		vault_keys_free(k);
		return NULL;
	}
	/* idle keys are out of reach, of our own mistakes too (THREATS.md section 4) */
	secret_hide(k->master);
	secret_hide(k->row);
	secret_hide(k->token);
	secret_hide(k->fingerprint);
	secret_hide(k->metadata);
	return k;
}

/* ---- open or locked ---- */

void
vault_take_keys(struct vault *v, struct vault_keys *keys, const char *opened_by)
{
	vault_keys_free(v->keys);
	v->keys = keys;
	v->opened_by = opened_by;
	v->opened_ms = v->used_ms = clock_boot_ms();
	v->why[0] = '\0';
	vault_token_key_load(v);
}

void
vault_stay_locked(struct vault *v, const struct error *why)
{
	if (v->keys != NULL)
		return;
	snprintf(v->why, sizeof v->why, "%s%s%s", why->message, why->hint[0] != '\0' ? "; " : "",
	    why->hint);
}

void
vault_lock(struct vault *v, const char *why)
{
	vault_keys_free(v->keys);
	v->keys = NULL;
	v->opened_by = "";
	vault_next_drop(v);
	snprintf(v->why, sizeof v->why, "%s", why);
	/* or the next start would open it again */
	if (vault_has_slot(v, SLOT_KEYRING))
		keyring_forget(v->data_dir);
}

void
vault_free(struct vault *v)
{
	if (v == NULL)
		return;
	vault_keys_free(v->keys);
	vault_next_drop(v);
	free(v->data_dir);
	free(v->key_path);
	free(v);
}

bool
vault_is_locked(const struct vault *v)
{
	return v->keys == NULL || vault_lease_left_ms(v) <= 0;
}

const char *
vault_locked_why(const struct vault *v)
{
	if (v->keys == NULL || !vault_is_locked(v))
		return v->why;
	return vault_lease_idle(v) ? "they were not used for long" : "they were open for long";
}

const char *
vault_opened_by(const struct vault *v)
{
	return v->opened_by;
}

int64_t
vault_generation(const struct vault *v)
{
	return v->keys != NULL ? v->keys->generation : 0;
}

/* ---- the lease ---- */

void
vault_set_lease(struct vault *v, int64_t idle_ms, int64_t absolute_ms)
{
	v->idle_ms = idle_ms;
	v->absolute_ms = absolute_ms;
}

static int64_t
left_of(int64_t span_ms, int64_t since_ms, int64_t now_ms)
{
	return span_ms > 0 ? since_ms + span_ms - now_ms : INT64_MAX;
}

int64_t
vault_lease_left_ms(const struct vault *v)
{
	int64_t now = clock_boot_ms(), idle, absolute;

	if (v->keys == NULL || slot_is_unattended(v->opened_by))
		return INT64_MAX;
	idle = left_of(v->idle_ms, v->used_ms, now);
	absolute = left_of(v->absolute_ms, v->opened_ms, now);
	return idle < absolute ? idle : absolute;
}

bool
vault_lease_idle(const struct vault *v)
{
	return left_of(v->idle_ms, v->used_ms, 0) <= left_of(v->absolute_ms, v->opened_ms, 0);
}

void
vault_used(struct vault *v)
{
	if (!vault_is_locked(v)) /* one that is over does not begin again */
		v->used_ms = clock_boot_ms();
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
vault_keys_seal(const struct vault_keys *k, const struct seal_binding *b, const struct secret *plain,
    struct buf *out)
{
	struct buf aad;
	int r;

	cover_row(&aad, b, k->generation);
	secret_show(k->row);
	r = seal_make(k->row, &aad, plain, out);
	secret_hide(k->row);
	buf_clear(&aad);
	return r;
}

int
vault_keys_open(const struct vault_keys *k, const struct seal_binding *b, const void *sealed, size_t n,
    struct secret **out)
{
	struct buf aad;
	int r;

	cover_row(&aad, b, k->generation);
	secret_show(k->row);
	r = seal_open(k->row, &aad, sealed, n, out);
	secret_hide(k->row);
	buf_clear(&aad);
	return r;
}

int
vault_seal(struct vault *v, const struct seal_binding *b, const struct secret *plain,
    struct buf *out)
{
	return vault_is_locked(v) ? MP_E_LOCKED : vault_keys_seal(v->keys, b, plain, out);
}

int
vault_open_sealed(struct vault *v, const struct seal_binding *b, const void *sealed, size_t n,
    int64_t generation, struct secret **out)
{
	if (vault_is_locked(v))
		return MP_E_LOCKED;
	if (generation != v->keys->generation)
		return MP_E_TAMPERED;
	return vault_keys_open(v->keys, b, sealed, n, out);
}

/* ---- hashes ---- */

static void
keyed_hash(struct secret *key, const void *data, size_t n, unsigned char *out, size_t size)
{
	secret_show(key);
	crypto_generichash(out, size, data, n, (const unsigned char *)secret_bytes(key), secret_len(key));
	secret_hide(key);
}

void
vault_keys_fingerprint(const struct vault_keys *k, const struct secret *s, char out[9])
{
	unsigned char hash[crypto_generichash_BYTES_MIN];

	keyed_hash(k->fingerprint, secret_bytes(s), secret_len(s), hash, sizeof hash);
	sodium_bin2hex(out, 9, hash, 4);
}

int
vault_fingerprint(struct vault *v, const struct secret *s, char out[9])
{
	if (vault_is_locked(v))
		return MP_E_LOCKED;
	vault_keys_fingerprint(v->keys, s, out);
	return 0;
}

int
vault_metadata_mac(struct vault *v, const void *data, size_t n, unsigned char out[VAULT_HASH_BYTES])
{
	if (vault_is_locked(v))
		return MP_E_LOCKED;
	keyed_hash(v->keys->metadata, data, n, out, VAULT_HASH_BYTES);
	return 0;
}

int
vault_token_hash(struct vault *v, const void *token, size_t n, unsigned char out[VAULT_HASH_BYTES])
{
	if (vault_is_locked(v))
		return MP_E_LOCKED;
	keyed_hash(v->keys->token, token, n, out, VAULT_HASH_BYTES);
	return 0;
}

bool
vault_hash_equals(const unsigned char a[VAULT_HASH_BYTES], const unsigned char b[VAULT_HASH_BYTES])
{
	return sodium_memcmp(a, b, VAULT_HASH_BYTES) == 0;
}

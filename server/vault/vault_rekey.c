/* vault_rekey.c - another master key: everything is sealed and wrapped anew, in one transaction. */
#include <stdlib.h>
#include <string.h>

#include "protocol/base/buf.h"
#include "protocol/base/str.h"
#include "server/base/log.h"
#include "server/store/rows.h"
#include "server/vault/keyfile.h"
#include "server/vault/keyring.h"
#include "server/vault/source.h"
#include "server/vault/vault_inside.h"

#define TOKEN_KEY "vault_token_key" /* in the table of small facts */

/* ---- the key of tokens ----
 *
 * Nobody but who holds a token knows it, so what is kept of it cannot be hashed anew. The key that it was
 * hashed with goes along, sealed: tokens are 32 random bytes, and knowing that key gives none of them
 * away. */

static const struct seal_binding token_binding = {
	.table = "vault", .row_id = TOKEN_KEY, .field = "key", .origin = "" };

void
vault_token_key_load(struct vault *v)
{
	struct secret *key = NULL;
	struct buf sealed = BUF_INIT;
	char *text = NULL;
	int r = store_meta_get(v->store, TOKEN_KEY, &text);

	if (r == MP_E_NOT_FOUND)
		return; /* never rekeyed: it is the subkey */
	if (r != 0 || base64_decode(&sealed, text, strlen(text)) != 0 ||
	    vault_keys_open(v->keys, &token_binding, sealed.data, sealed.len, &key) != 0) {
		log_error("the key of tokens was changed: those of open test sessions are not known",
		    LOG_TEXT("file", store_path(v->store)));
	} else {
		secret_hide(key);
		secret_free(v->keys->token);
		v->keys->token = key;
	}
	free(text);
	buf_clear(&sealed);
}

static int
store_token_key(struct vault *v)
{
	struct buf sealed = BUF_INIT, text = BUF_INIT;
	int r;

	secret_show(v->keys->token);
	r = vault_keys_seal(v->next, &token_binding, v->keys->token, &sealed);
	secret_hide(v->keys->token);
	if (r == 0) {
		base64_encode(&text, sealed.data, sealed.len);
		r = text.failed ? MP_E_INTERNAL : store_meta_set(v->store, TOKEN_KEY, buf_str(&text));
	}
	buf_clear(&sealed);
	buf_clear(&text);
	return r;
}

/* ---- the keys ---- */

int
vault_next_begin(struct vault *v, struct error *err)
{
	struct secret *master;

	vault_next_drop(v);
	if (vault_is_locked(v))
		return error_set(err, MP_E_LOCKED, "the keys are locked: %s", vault_locked_why(v));
	if ((master = vault_random_key()) != NULL)
		v->next = vault_keys_new(master, v->keys->generation + 1);
	secret_free(master);
	return v->next != NULL ? 0 : error_set(err, MP_E_INTERNAL, "no locked memory for the key");
}

int
vault_next_seal(struct vault *v, const struct seal_binding *b, const struct secret *plain,
    struct buf *out)
{
	return vault_keys_seal(v->next, b, plain, out);
}

void
vault_next_fingerprint(struct vault *v, const struct secret *s, char out[9])
{
	vault_keys_fingerprint(v->next, s, out);
}

int64_t
vault_next_generation(const struct vault *v)
{
	return v->next->generation;
}

/* ---- the slots ---- */

struct slot_entry {
	int64_t id;
	char *type, *source;
};

struct slot_list {
	struct slot_entry of[16];
	size_t count;
	bool more;
};

static void
note_slot(void *arg, const struct key_slot_row *row)
{
	struct slot_list *l = arg;

	if (l->count == sizeof l->of / sizeof l->of[0]) {
		l->more = true;
		return;
	}
	l->of[l->count].id = row->id;
	l->of[l->count].source = xstrdup(row->source);
	l->of[l->count++].type = xstrdup(row->type);
}

static int
kek_of(const char *type, const struct derivation *d, const struct secret *line, struct secret **kek,
    struct error *err)
{
	if (strcmp(type, SLOT_CREDENTIAL) == 0)
		return source_credential(d->salt, kek, err);
	if (strcmp(type, SLOT_COMMAND) != 0)
		return error_set(err, MP_E_INVALID_STATE, "it is of a kind that this version does not know");
	if (line == NULL)
		return error_set(err, MP_E_INVALID_STATE, "its command was not asked");
	return vault_command_key(d, line, kek, err);
}

/* The key that wraps the slot from now on. A source that cannot change gives the same secret under another
 * salt, once it is proven to be the one. */
static int
next_kek(struct vault *v, const char *type, struct derivation *d, const struct secret *line,
    struct secret **kek, struct error *err)
{
	struct secret *now = NULL;
	struct derivation old;
	int r;

	if (strcmp(type, SLOT_KEY_FILE) == 0) {
		r = keyfile_next_create(v->data_dir, kek, err);
		v->next_key_file = r == 0;
		return r;
	}
	if (strcmp(type, SLOT_KEYRING) == 0) {
		if ((*kek = vault_random_key()) != NULL)
			v->next_keyring = secret_new(secret_bytes(*kek), secret_len(*kek));
		return v->next_keyring != NULL ? 0 : error_set(err, MP_E_INTERNAL, "no locked memory");
	}
	if ((r = vault_salt(v, type, &old, err)) == 0 && (r = kek_of(type, &old, line, &now, err)) == 0 &&
	    (r = vault_check(v, type, now, NULL, err)) == 0)
		r = kek_of(type, d, line, kek, err);
	secret_free(now);
	return r;
}

static int
write_slot(struct vault *v, const struct slot_entry *slot, const struct derivation *derivation,
    const struct secret *passphrase, const struct secret *line, struct error *err)
{
	const char *type = slot->type;
	struct slot_spec spec = { .type = type, .source = slot->source };
	struct secret *kek = NULL;
	struct error why = ERROR_INIT;
	struct derivation d;
	int r;

	derivation_new(&d);
	d.ops = d.mem_bytes = 0;
	spec.derivation = &d;
	if (strcmp(type, SLOT_PASSPHRASE) == 0) {
		if (passphrase == NULL)
			return error_field(err, "passphrase", "the passphrase is needed for its slot");
		spec.derivation = derivation;
	} else if (next_kek(v, type, &d, line, &kek, &why) != 0) {
		error_set(err, MP_E_INVALID_STATE, "slot %lld (%s) cannot follow: %s", (long long)slot->id,
		    type, why.message);
		error_hint(err, "make what opens it available, or remove it: mpc vault remove %lld",
		    (long long)slot->id);
		return MP_E_INVALID_STATE;
	}
	spec.kek = kek != NULL ? kek : passphrase;
	secret_show(v->next->master);
	r = vault_write_slot(v, &spec, v->next->master, slot->id, v->next->generation);
	secret_hide(v->next->master);
	secret_free(kek);
	return r == 0 ? 0 : error_set(err, r, "the key slots cannot be stored in %s", store_path(v->store));
}

int
vault_next_write_slots(struct vault *v, const struct derivation *derivation, const struct secret *kek,
    const struct secret *line, struct error *err)
{
	struct slot_list l = { .count = 0 };
	int r = store_key_slot_each(v->store, note_slot, &l);

	if (r != 0)
		error_set(err, r, "cannot read the key slots in %s", store_path(v->store));
	else if (l.more)
		r = error_set(err, MP_E_TOO_MANY, "there are too many key slots in %s",
		    store_path(v->store));
	for (size_t i = 0; i < l.count && r == 0; i++)
		r = write_slot(v, &l.of[i], derivation, kek, line, err);
	if (r == 0 && (r = store_token_key(v)) != 0)
		error_set(err, r, "the key of tokens cannot be stored in %s", store_path(v->store));
	for (size_t i = 0; i < l.count; i++) {
		free(l.of[i].type);
		free(l.of[i].source);
	}
	return r;
}

/* ---- the end ---- */

void
vault_next_take(struct vault *v)
{
	struct error err = ERROR_INIT;

	/* until that is done, the next start takes it */
	if (v->next_key_file && keyfile_next_take(v->data_dir, &err) != 0)
		log_warn("the new key file stays beside the old one", LOG_TEXT("why", err.message));
	if (v->next_keyring != NULL &&
	    keyring_put(v->data_dir, v->next_keyring, v->opened_ms, v->absolute_ms, &err) != 0)
		log_warn("the keyring does not hold the key over the next restart",
		    LOG_TEXT("why", err.message));
	v->next_key_file = false;
	vault_keys_free(v->keys);
	v->keys = v->next;
	v->next = NULL;
	vault_token_key_load(v);
	vault_next_drop(v);
}

void
vault_next_drop(struct vault *v)
{
	if (v->next_key_file)
		keyfile_next_drop(v->data_dir);
	vault_next_leave(v);
}

void
vault_next_leave(struct vault *v)
{
	v->next_key_file = false;
	secret_free(v->next_keyring);
	v->next_keyring = NULL;
	vault_keys_free(v->next);
	v->next = NULL;
}

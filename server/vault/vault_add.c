/* vault_add.c - slots that need no person: made, and the keyring's made anew. */
#include <string.h>

#include "server/base/log.h"
#include "server/store/rows.h"
#include "server/vault/keyfile.h"
#include "server/vault/keyring.h"
#include "server/vault/source.h"
#include "server/vault/vault_inside.h"

/* The key of a slot to be, and the salt it hangs on. */
static int
make_key(struct vault *v, const char *type, struct derivation *d, struct secret **kek, struct error *err)
{
	if (strcmp(type, SLOT_KEY_FILE) == 0)
		return keyfile_next_create(v->data_dir, kek, err);
	if (strcmp(type, SLOT_CREDENTIAL) == 0)
		return source_credential(d->salt, kek, err);
	if ((*kek = vault_random_key()) == NULL)
		return error_set(err, MP_E_INTERNAL, "no locked memory for the key");
	return keyring_put(v->data_dir, *kek, v->opened_ms, v->absolute_ms, err);
}

int
vault_may_add(struct vault *v, const char *type, struct error *err)
{
	if (vault_is_locked(v))
		return error_set(err, MP_E_LOCKED, "the keys are locked: %s", vault_locked_why(v));
	if (!vault_has_slot(v, type))
		return 0;
	error_set(err, MP_E_CONFLICT, "there is a slot of the kind %s already", type);
	error_hint(err, "mpc vault shows it");
	return MP_E_CONFLICT;
}

int
vault_add_slot(struct vault *v, const char *type, struct error *err)
{
	struct derivation d;
	struct slot_spec spec = { .type = type, .derivation = &d };
	struct secret *kek = NULL;
	int r;

	if (slot_kind(type) == NULL || strcmp(type, SLOT_PASSPHRASE) == 0 || strcmp(type, SLOT_COMMAND) == 0)
		return error_field(err, "type",
		    "no slot of the kind \"%.32s\" can be added; there are %s, %s, %s and %s", type,
		    SLOT_KEY_FILE, SLOT_CREDENTIAL, SLOT_KEYRING, SLOT_COMMAND);
	if ((r = vault_may_add(v, type, err)) != 0)
		return r;
	derivation_new(&d);
	d.ops = d.mem_bytes = 0;
	if ((r = make_key(v, type, &d, &kek, err)) == 0) {
		spec.kek = kek;
		r = vault_put_slot(v, &spec, err);
	}
	secret_free(kek);
	return r;
}

int
vault_command_key(const struct derivation *d, const struct secret *line, struct secret **kek,
    struct error *err)
{
	return source_key(d->salt, secret_bytes(line), secret_len(line), "it", kek, err);
}

int
vault_add_command(struct vault *v, const char *command, const struct secret *line, struct error *err)
{
	struct derivation d;
	struct slot_spec spec = { .type = SLOT_COMMAND, .derivation = &d, .source = command };
	struct secret *kek = NULL;
	int r;

	derivation_new(&d);
	d.ops = d.mem_bytes = 0;
	if ((r = vault_may_add(v, SLOT_COMMAND, err)) != 0 ||
	    (r = vault_command_key(&d, line, &kek, err)) != 0)
		return r;
	spec.kek = kek;
	r = vault_put_slot(v, &spec, err);
	secret_free(kek);
	return r;
}

int
vault_add_taken(struct vault *v, const char *type, struct error *err)
{
	return strcmp(type, SLOT_KEY_FILE) == 0 ? keyfile_next_take(v->data_dir, err) : 0;
}

static int
renew(struct vault *v, const struct secret *kek, struct error *err)
{
	const struct slot_spec spec = { .type = SLOT_KEYRING, .kek = kek };
	int r;

	if ((r = keyring_put(v->data_dir, kek, v->opened_ms, v->absolute_ms, err)) != 0)
		return r;
	if ((r = store_begin(v->store)) == 0 && (r = vault_put_slot(v, &spec, err)) != 0)
		store_rollback(v->store);
	else if (r == 0)
		r = store_commit(v->store);
	if (r != 0)
		keyring_forget(v->data_dir);
	return r;
}

void
vault_renew_keyring(struct vault *v)
{
	struct error err = ERROR_INIT;
	struct secret *kek;

	if (vault_is_locked(v) || strcmp(v->opened_by, SLOT_KEYRING) == 0 ||
	    !vault_has_slot(v, SLOT_KEYRING) || store_read_only(v->store))
		return;
	kek = vault_random_key();
	if (kek == NULL || renew(v, kek, &err) != 0)
		log_warn("the keyring does not hold the key over the next restart",
		    LOG_TEXT("why", err.message));
	secret_free(kek);
}

/* vault_open.c - the start: a new vault, or one that opens without a person. */
#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/base/log.h"
#include "server/store/rows.h"
#include "server/vault/keyfile.h"
#include "server/vault/keyring.h"
#include "server/vault/source.h"
#include "server/vault/vault_inside.h"

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
open_new(struct vault *v, bool *created, struct error *err)
{
	struct secret *kek = NULL;
	struct error why = ERROR_INIT;
	int r;

	if ((r = check_new(v, err)) != 0)
		return r;
	/* a start that was killed between key file and slot left a key file: it is as good as a new one */
	r = keyfile_read(v->data_dir, &kek, &why);
	if (r == MP_E_NOT_FOUND && (r = keyfile_create(v->data_dir, &kek, err)) != 0)
		return r;
	if (r != 0) {
		vault_stay_locked(v, &why);
		if (err != NULL)
			*err = why;
		return 0;
	}
	if ((r = vault_enrol_first(v, kek, err)) == 0)
		*created = true;
	secret_free(kek);
	return r;
}

/* ---- every other start ---- */

/* A change of the slot that was cut off leaves two key files: the one that fits is the one. */
static int
unlock_next_key_file(struct vault *v)
{
	struct secret *kek = NULL;
	struct error ignored = ERROR_INIT;
	int r = keyfile_next_read(v->data_dir, &kek, &ignored);

	if (r == 0)
		r = vault_unlock(v, SLOT_KEY_FILE, kek, &ignored);
	secret_free(kek);
	if (r == 0 && keyfile_next_take(v->data_dir, &ignored) != 0)
		log_warn("the new key file stays beside the old one", LOG_TEXT("why", ignored.message));
	return r;
}

static int
unlock_key_file(struct vault *v, struct error *err)
{
	struct secret *kek = NULL;
	int r = keyfile_read(v->data_dir, &kek, err);

	if (r == 0 && (r = vault_unlock(v, SLOT_KEY_FILE, kek, err)) == 0)
		keyfile_next_drop(v->data_dir);
	else if (r == MP_E_NOT_PERMITTED && kek != NULL) {
		error_set(err, r, "the key file %s does not belong to this database", v->key_path);
		error_hint(err, "put back the key file that was made together with it");
	}
	secret_free(kek);
	if (r != 0 && r != MP_E_TAMPERED && unlock_next_key_file(v) == 0)
		return 0;
	return r;
}

static int
unlock_credential(struct vault *v, struct error *err)
{
	struct secret *kek = NULL;
	struct derivation d;
	int r;

	if ((r = vault_salt(v, SLOT_CREDENTIAL, &d, err)) == 0 &&
	    (r = source_credential(d.salt, &kek, err)) == 0)
		r = vault_unlock(v, SLOT_CREDENTIAL, kek, err);
	secret_free(kek);
	return r;
}

static int
unlock_keyring(struct vault *v, struct error *err)
{
	struct secret *kek = NULL;
	int64_t opened_ms = 0;
	int r;

	if ((r = keyring_get(v->data_dir, &kek, &opened_ms, err)) == 0 &&
	    (r = vault_unlock(v, SLOT_KEYRING, kek, err)) == 0)
		v->opened_ms = opened_ms < v->opened_ms ? opened_ms : v->opened_ms;
	secret_free(kek);
	return r;
}

int
vault_unlock_command(struct vault *v, const struct secret *line, struct error *err)
{
	struct secret *kek = NULL;
	struct derivation d;
	int r;

	if ((r = vault_salt(v, SLOT_COMMAND, &d, err)) == 0 &&
	    (r = vault_command_key(&d, line, &kek, err)) == 0 &&
	    (r = vault_unlock(v, SLOT_COMMAND, kek, err)) == MP_E_NOT_PERMITTED)
		error_set(err, r, "it gives another key than it did when its slot was made");
	secret_free(kek);
	return r;
}

static int
needs_person(struct vault *v, struct error *err)
{
	if (vault_has_slot(v, SLOT_PASSPHRASE)) {
		error_set(err, MP_E_LOCKED, "a passphrase opens them");
		error_hint(err, "mpc unlock");
	} else if (vault_has_slot(v, SLOT_COMMAND)) {
		error_set(err, MP_E_LOCKED, "the command that opens them was not asked");
		error_hint(err, "mpc unlock");
	} else {
		error_set(err, MP_E_LOCKED, "no key slot is of a kind that this version knows");
	}
	return MP_E_LOCKED;
}

int
vault_unlock_unattended(struct vault *v, struct error *err)
{
	static const struct {
		const char *type;
		int (*unlock)(struct vault *v, struct error *err);
	} ways[] = {
		{ SLOT_KEY_FILE, unlock_key_file },
		{ SLOT_CREDENTIAL, unlock_credential },
		{ SLOT_KEYRING, unlock_keyring },
	};
	struct error why = ERROR_INIT, story = ERROR_INIT;

	for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
		if (!vault_has_slot(v, ways[i].type))
			continue;
		if (ways[i].unlock(v, &why) == 0)
			return 0;
		/* the first that fails tells the story; a keyring forgets, that is its nature */
		if (story.code == 0 && strcmp(ways[i].type, SLOT_KEYRING) != 0)
			story = why;
	}
	if (story.code == 0)
		return needs_person(v, err);
	if (err != NULL)
		*err = story;
	return story.code;
}

/* Whatever keeps it from opening keeps it locked, and the rest working; but when its only slot was edited
 * somebody has to look. */
static int
open_existing(struct vault *v, int slots, struct error *err)
{
	struct error why = ERROR_INIT;
	int r = vault_unlock_unattended(v, &why);

	if (r == 0)
		return 0;
	if (err != NULL)
		*err = why;
	if (r == MP_E_INTERNAL || (r == MP_E_TAMPERED && slots == 1))
		return r;
	if (r != MP_E_LOCKED && vault_has_slot(v, SLOT_PASSPHRASE)) {
		log_warn("the keys do not open by themselves", LOG_TEXT("why", why.message));
		needs_person(v, &why);
	}
	vault_stay_locked(v, &why);
	return 0;
}

int
vault_open(struct store *store, const char *data_dir, struct vault **out, bool *created,
    struct error *err)
{
	struct vault *v = xcalloc(1, sizeof *v);
	bool made = false;
	int slots, r;

	v->store = store;
	v->data_dir = xstrdup(data_dir);
	v->key_path = keyfile_path(data_dir);
	v->opened_by = "";
	if ((r = vault_count_slots(v, &slots, err)) == 0)
		r = slots == 0 ? open_new(v, &made, err) : open_existing(v, slots, err);
	if (r != 0) {
		vault_free(v);
		return r;
	}
	if (created != NULL)
		*created = made;
	*out = v;
	return 0;
}

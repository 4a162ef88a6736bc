/* vault_slots.c - the slots: what opens the master key, and how that changes. */
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "protocol/base/str.h"
#include "server/base/clock.h"
#include "server/store/rows.h"
#include "server/vault/keyfile.h"
#include "server/vault/keyring.h"
#include "server/vault/vault_inside.h"

/* ---- kinds ---- */

static const struct {
	const char *name;
	bool unattended; /* no person is needed */
	bool durable;    /* still there after a reboot */
} kinds[] = {
	{ SLOT_KEY_FILE, true, true },
	{ SLOT_PASSPHRASE, false, true },
	{ SLOT_CREDENTIAL, true, true },
	{ SLOT_COMMAND, true, true },
	{ SLOT_KEYRING, false, false }, /* what a person opened, over a restart */
};
#define KINDS (sizeof kinds / sizeof kinds[0])

static size_t
kind_find(const char *type)
{
	size_t i = 0;

	while (i < KINDS && strcmp(kinds[i].name, type) != 0)
		i++;
	return i;
}

const char *
slot_kind(const char *type)
{
	size_t i = kind_find(type);

	return i < KINDS ? kinds[i].name : NULL;
}

bool
slot_is_unattended(const char *type)
{
	size_t i = kind_find(type);

	return i < KINDS && kinds[i].unattended;
}

static bool
is_durable(const char *type)
{
	size_t i = kind_find(type);

	return i < KINDS && kinds[i].durable;
}

/* ---- looking ---- */

static int
unreadable(struct vault *v, int r, struct error *err)
{
	if (r == 0)
		return 0;
	return error_set(err, r, "cannot read the key slots in %s", store_path(v->store));
}

static void
count_slot(void *arg, const struct key_slot_row *row)
{
	(void)row;
	++*(int *)arg;
}

int
vault_count_slots(struct vault *v, int *count, struct error *err)
{
	*count = 0;
	return unreadable(v, store_key_slot_each(v->store, count_slot, count), err);
}

/* One pass over the slots, looking at those of one kind. */
struct look {
	const char *type;
	const struct secret *kek;      /* NULL: only look */
	struct derivation *derivation; /* NULL: not wanted */
	struct secret *master;
	int64_t id, generation;
	int r; /* of the kek */
	bool found, allowed;
};

static void
look_at(void *arg, const struct key_slot_row *row)
{
	struct look *l = arg;
	int r;

	if (strcmp(row->type, l->type) != 0 || l->master != NULL)
		return;
	l->found = true;
	l->id = row->id;
	l->allowed = row->salt_len == DERIVE_SALT_BYTES && derivation_allowed(row->ops, row->mem_bytes);
	if (l->derivation != NULL && row->salt_len == DERIVE_SALT_BYTES) {
		memcpy(l->derivation->salt, row->salt, DERIVE_SALT_BYTES);
		l->derivation->ops = row->ops;
		l->derivation->mem_bytes = row->mem_bytes;
	}
	if (l->kek == NULL)
		return;
	r = slot_unwrap(row, l->kek, &l->master);
	if (r == 0)
		l->generation = row->generation;
	/* a second row of the kind is not ours, but one that fits counts */
	if (l->r == 0 || r == 0 || r == MP_E_TAMPERED)
		l->r = r;
}

static int
look(struct vault *v, struct look *l, struct error *err)
{
	return unreadable(v, store_key_slot_each(v->store, look_at, l), err);
}

bool
vault_has_slot(struct vault *v, const char *type)
{
	struct look l = { .type = type };

	return look(v, &l, NULL) == 0 && l.found;
}

static int
tampered(struct vault *v, struct error *err)
{
	error_set(err, MP_E_TAMPERED, "a key slot in %s was changed", store_path(v->store));
	error_hint(err, "put back a copy of the database from before that");
	return MP_E_TAMPERED;
}

int
vault_salt(struct vault *v, const char *type, struct derivation *out, struct error *err)
{
	struct look l = { .type = type, .derivation = out };
	int r = look(v, &l, err);

	if (r != 0)
		return r;
	return l.found ? 0 : error_set(err, MP_E_NOT_FOUND, "the vault has no slot of the kind %s", type);
}

static void
take_command(void *arg, const struct key_slot_row *row)
{
	char **command = arg;

	if (strcmp(row->type, SLOT_COMMAND) == 0 && *command == NULL)
		*command = xstrdup(row->source);
}

int
vault_command(struct vault *v, char **command, struct error *err)
{
	char *found = NULL;
	int r = unreadable(v, store_key_slot_each(v->store, take_command, &found), err);

	if (r == 0 && found == NULL)
		r = error_set(err, MP_E_NOT_FOUND, "no command opens the keys");
	if (r == 0)
		*command = found;
	else
		free(found);
	return r;
}

int
vault_passphrase(struct vault *v, struct derivation *out, struct error *err)
{
	struct look l = { .type = SLOT_PASSPHRASE, .derivation = out };
	int r;

	if ((r = look(v, &l, err)) != 0)
		return r;
	if (!l.found) {
		error_set(err, MP_E_NOT_FOUND, "no passphrase was set");
		error_hint(err, "set one: mpc passwd");
		return MP_E_NOT_FOUND;
	}
	return l.allowed ? 0 : tampered(v, err);
}

/* ---- opening ---- */

static int
try_kek(struct vault *v, struct look *l, struct error *err)
{
	int r;

	if ((r = look(v, l, err)) != 0)
		return r;
	if (!l->found)
		return error_set(err, MP_E_NOT_FOUND, "the vault has no slot of the kind %s", l->type);
	if (l->master != NULL)
		return 0;
	if (l->r == MP_E_NO_CREDENTIAL)
		return error_set(err, MP_E_NOT_PERMITTED, "the %s is not the right one", l->type);
	if (l->r == MP_E_TAMPERED)
		return tampered(v, err);
	return error_set(err, MP_E_INTERNAL, "no memory for the key");
}

int
vault_check(struct vault *v, const char *type, const struct secret *kek, struct secret **master,
    struct error *err)
{
	struct look l = { .type = type, .kek = kek };
	int r = try_kek(v, &l, err);

	if (r == 0 && master != NULL) {
		*master = l.master;
		l.master = NULL;
	}
	secret_free(l.master);
	return r;
}

int
vault_unlock(struct vault *v, const char *type, const struct secret *kek, struct error *err)
{
	struct look l = { .type = type, .kek = kek };
	struct vault_keys *keys;
	int r = try_kek(v, &l, err);

	if (r == 0 && vault_is_locked(v)) {
		if ((keys = vault_keys_new(l.master, l.generation)) != NULL)
			vault_take_keys(v, keys, slot_kind(type));
		else
			r = error_set(err, MP_E_INTERNAL, "no locked memory for the key");
	}
	secret_free(l.master);
	return r;
}

/* ---- changing ---- */

/* The generation that the slots there are have: the master key's. */
static void
take_generation(void *arg, const struct key_slot_row *row)
{
	int64_t *generation = arg;

	if (row->generation > *generation)
		*generation = row->generation;
}

int
vault_write_slot(struct vault *v, const struct slot_spec *spec, const struct secret *master, int64_t id,
    int64_t generation)
{
	unsigned char salt[SLOT_SALT_BYTES];
	struct buf wrapped = BUF_INIT;
	struct key_slot_row row = { .id = id, .type = spec->type, .salt = salt, .salt_len = sizeof salt,
		.generation = generation, .source = spec->source, .created_ms = clock_wall_ms() };
	int r;

	/* the seal covers its id, which the store would give only afterwards */
	randombytes_buf(salt, sizeof salt);
	if (spec->derivation != NULL) {
		memcpy(salt, spec->derivation->salt, sizeof salt);
		row.ops = spec->derivation->ops;
		row.mem_bytes = spec->derivation->mem_bytes;
	}
	if ((r = slot_wrap(&row, spec->kek, master, &wrapped)) == 0) {
		row.wrapped = wrapped.data;
		row.wrapped_len = wrapped.len;
		r = store_key_slot_put(v->store, &row, NULL);
	}
	buf_clear(&wrapped);
	return r;
}

static void
take_id(void *arg, const struct key_slot_row *row)
{
	int64_t *id = arg;

	if (row->id >= *id)
		*id = row->id + 1;
}

int
vault_put_slot(struct vault *v, const struct slot_spec *spec, struct error *err)
{
	struct look l = { .type = spec->type };
	const struct secret *master = spec->master;
	int64_t generation = 0, id = 1;
	int r;

	if (master == NULL && vault_is_locked(v))
		return error_set(err, MP_E_LOCKED, "the keys are locked: %s", vault_locked_why(v));
	if ((r = look(v, &l, err)) != 0 ||
	    (r = unreadable(v, store_key_slot_each(v->store, take_generation, &generation), err)) != 0 ||
	    (r = unreadable(v, store_key_slot_each(v->store, take_id, &id), err)) != 0)
		return r;
	if (master == NULL) {
		secret_show(v->keys->master);
		r = vault_write_slot(v, spec, v->keys->master, l.found ? l.id : id, generation);
		secret_hide(v->keys->master);
	} else {
		r = vault_write_slot(v, spec, master, l.found ? l.id : id, generation);
	}
	return r == 0 ? 0 : error_set(err, r, "the key slot cannot be stored in %s", store_path(v->store));
}

struct removal {
	int64_t id;
	const char *type; /* NULL = not found, "" = of a kind we do not know */
	int durable_others;
};

static void
weigh(void *arg, const struct key_slot_row *row)
{
	struct removal *m = arg;

	if (row->id != m->id)
		m->durable_others += is_durable(row->type);
	else
		m->type = slot_kind(row->type) != NULL ? slot_kind(row->type) : "";
}

int
vault_remove_slot(struct vault *v, int64_t id, const char **type, struct error *err)
{
	struct removal m = { .id = id };
	int r;

	if ((r = unreadable(v, store_key_slot_each(v->store, weigh, &m), err)) != 0)
		return r;
	if (m.type == NULL)
		return error_set(err, MP_E_NOT_FOUND, "there is no key slot %lld", (long long)id);
	if (m.durable_others == 0) {
		error_set(err, MP_E_INVALID_STATE, "nothing else would open the keys after the next reboot");
		error_hint(err, "give them another slot first: mpc passwd");
		return MP_E_INVALID_STATE;
	}
	*type = m.type;
	r = store_key_slot_delete(v->store, id);
	return r == 0 ? 0 : error_set(err, r, "the key slot cannot be deleted in %s", store_path(v->store));
}

int
vault_forget_source(struct vault *v, const char *type, struct error *err)
{
	if (strcmp(type, SLOT_KEYRING) == 0)
		keyring_forget(v->data_dir);
	return strcmp(type, SLOT_KEY_FILE) == 0 ? keyfile_remove(v->data_dir, err) : 0;
}

struct secret *
vault_random_key(void)
{
	struct secret *key = secret_new(NULL, crypto_kdf_KEYBYTES);

	if (key != NULL)
		randombytes_buf(secret_mutable(key), crypto_kdf_KEYBYTES);
	return key;
}

int
vault_enrol_first(struct vault *v, const struct secret *kek, struct error *err)
{
	struct secret *master = vault_random_key();
	struct slot_spec spec = { .type = SLOT_KEY_FILE, .kek = kek };
	struct vault_keys *keys = NULL;
	int r = MP_E_INTERNAL;

	if (master == NULL)
		goto out;
	if ((keys = vault_keys_new(master, 1)) == NULL || (r = store_begin(v->store)) != 0)
		goto out;
	if ((r = vault_write_slot(v, &spec, master, 1, keys->generation)) != 0) {
		store_rollback(v->store);
		goto out;
	}
	if ((r = store_commit(v->store)) != 0)
		goto out;
	vault_take_keys(v, keys, SLOT_KEY_FILE);
	keys = NULL;
out:
	if (r != 0)
		error_set(err, r, "cannot make the first key slot in %s", store_path(v->store));
	vault_keys_free(keys);
	secret_free(master);
	return r;
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
	bool command = strcmp(row->type, SLOT_COMMAND) == 0;
	struct vault_slot slot = { row->id, row->type, file ? l->v->key_path : command ? row->source : "",
		row->created_ms };

	l->each(l->arg, &slot);
}

void
vault_slots(struct vault *v, void (*each)(void *arg, const struct vault_slot *slot), void *arg)
{
	struct listing l = { v, each, arg };

	store_key_slot_each(v->store, list_slot, &l);
}

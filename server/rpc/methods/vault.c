/* vault.c - locking and unlocking the stored keys, and what opens them. No key and no passphrase comes
 * back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/secret.h"
#include "protocol/base/str.h"
#include "server/call/call.h"
#include "server/call/key_command.h"
#include "server/rpc/conn.h"
#include "server/rpc/request.h"
#include "server/state/keeper.h"
#include "server/vault/vault.h"

/* ---- what there is ---- */

static void
pack_slot(void *arg, const struct vault_slot *slot)
{
	struct pack *p = arg;

	pack_map_begin(p);
	pack_kv_int(p, "id", slot->id);
	pack_kv_str(p, "type", slot->type);
	if (slot->where != NULL && slot->where[0] != '\0')
		pack_kv_str(p, "where", slot->where);
	pack_kv_int(p, "created_ms", slot->created_ms);
	pack_map_end(p);
}

/* What a person may not think of. */
static void
pack_notes(struct pack *p, struct vault *v)
{
	bool file = vault_has_slot(v, SLOT_KEY_FILE), passphrase = vault_has_slot(v, SLOT_PASSPHRASE);

	if (!file)
		return;
	pack_str(p, "notes");
	pack_array_begin(p);
	pack_str(p, passphrase
	    ? "the key file opens the keys without the passphrase: whoever copies the home directory has "
	      "both; remove its slot to need the passphrase"
	    : "the key file protects a copied database, not a copied home directory; a passphrase "
	      "protects both");
	pack_array_end(p);
}

static void
pack_slots(struct pack *p, const struct rpc_parts *parts)
{
	pack_str(p, "slots");
	pack_array_begin(p);
	vault_slots(parts->vault, pack_slot, p);
	pack_array_end(p);
	pack_notes(p, parts->vault);
}

struct rpc_answer
rpc_vault_status(struct rpc_request *req)
{
	const struct rpc_parts *parts = rpc_parts(req);
	struct vault *v = parts->vault;
	int64_t left = vault_lease_left_ms(v), wait = keeper_wait_ms(parts->keeper);
	struct pack *p = rpc_result(req);

	pack_kv_bool(p, "locked", vault_is_locked(v));
	if (vault_is_locked(v))
		pack_kv_str(p, "why", vault_locked_why(v));
	else
		pack_kv_str(p, "opened_by", vault_opened_by(v));
	pack_kv_str(p, "kdf", vault_has_slot(v, SLOT_PASSPHRASE) ? "argon2id" : "none");
	if (!vault_is_locked(v) && left != INT64_MAX)
		pack_kv_int(p, "locks_in_ms", left);
	if (wait > 0)
		pack_kv_int(p, "wait_ms", wait);
	pack_slots(p, parts);
	pack_kv_bool(p, "memory_locked", secret_memory_is_locked());
	return rpc_ok(req);
}

/* ---- passphrases, that take their time ---- */

struct asking {
	struct rpc_request *req;
	struct keeper_ask *ask;
	void (*pack)(struct pack *p, const struct rpc_parts *parts);
};

static void
on_done(void *arg, const struct error *err)
{
	struct asking *a = arg;
	struct conn *conn = rpc_conn(a->req);

	conn_hold(conn);
	if (err->code != 0) {
		rpc_finish_error(a->req, err);
	} else {
		a->pack(rpc_result(a->req), rpc_parts(a->req));
		rpc_finish(a->req);
	}
	conn_release(conn);
	free(a);
}

static void
on_cancelled(void *arg)
{
	struct asking *a = arg;

	keeper_ask_cancel(a->ask);
	free(a);
}

/* The answer comes when the keeper is done; or it would not begin. Takes a. */
static struct rpc_answer
answer_later(struct rpc_request *req, struct asking *a, const struct error *err)
{
	if (a->ask != NULL)
		return rpc_pending(req, on_cancelled, a);
	free(a);
	return rpc_fail_err(req, err);
}

/* 0, *out NULL when there is none. */
static int
read_passphrase(const struct rpc_request *req, const char *name, struct secret **out, struct error *err)
{
	struct slice s = rpc_slice(req, name);

	if (!rpc_has(req, name))
		return 0;
	if (s.len == 0 || s.len > PASSPHRASE_MAX_BYTES)
		return error_field(err, name, "a passphrase has 1 to %d bytes", PASSPHRASE_MAX_BYTES);
	*out = secret_new(s.data, s.len);
	return *out != NULL ? 0 : error_set(err, MP_E_INTERNAL, "no locked memory for the passphrase");
}

static void
pack_opened(struct pack *p, const struct rpc_parts *parts)
{
	pack_kv_bool(p, "locked", vault_is_locked(parts->vault));
	pack_kv_str(p, "opened_by", vault_opened_by(parts->vault));
}

static struct rpc_answer
unlock_unattended(struct rpc_request *req)
{
	const struct rpc_parts *parts = rpc_parts(req);
	const struct keeper_cause cause = { "vault.unlock", rpc_client(req) };
	struct error err = ERROR_INIT;
	struct asking *a;

	if (keeper_unlock_unattended(parts->keeper, &err) == 0) {
		pack_opened(rpc_result(req), parts);
		return rpc_ok(req);
	}
	if (!vault_has_slot(parts->vault, SLOT_COMMAND))
		return rpc_fail_err(req, &err);
	a = xcalloc(1, sizeof *a);
	a->req = req;
	a->pack = pack_opened;
	a->ask = keeper_unlock_command(parts->keeper, &cause, on_done, a, &err);
	return answer_later(req, a, &err);
}

struct rpc_answer
rpc_vault_unlock(struct rpc_request *req)
{
	const struct keeper_cause cause = { "vault.unlock", rpc_client(req) };
	struct secret *passphrase = NULL;
	struct error err = ERROR_INIT;
	struct asking *a;

	if (read_passphrase(req, "passphrase", &passphrase, &err) != 0)
		return rpc_fail_err(req, &err);
	if (passphrase == NULL)
		return unlock_unattended(req);
	a = xcalloc(1, sizeof *a);
	a->req = req;
	a->pack = pack_opened;
	a->ask = keeper_unlock(rpc_parts(req)->keeper, passphrase, &cause, on_done, a, &err);
	secret_free(passphrase);
	return answer_later(req, a, &err);
}

struct rpc_answer
rpc_vault_passwd(struct rpc_request *req)
{
	const struct keeper_cause cause = { "vault.passwd", rpc_client(req) };
	struct secret *old = NULL, *fresh = NULL;
	struct asking *a = xcalloc(1, sizeof *a);
	struct error err = ERROR_INIT;

	a->req = req;
	a->pack = pack_slots;
	if (read_passphrase(req, "old", &old, &err) == 0 && read_passphrase(req, "new", &fresh, &err) == 0)
		a->ask = keeper_passwd(rpc_parts(req)->keeper, old, fresh, &cause, on_done, a, &err);
	secret_free(old);
	secret_free(fresh);
	return answer_later(req, a, &err);
}

static void
pack_rekeyed(struct pack *p, const struct rpc_parts *parts)
{
	pack_kv_int(p, "generation", vault_generation(parts->vault));
	pack_kv_int(p, "unreadable", (int64_t)keeper_unreadable(parts->keeper));
	pack_slots(p, parts);
}

struct rpc_answer
rpc_vault_rekey(struct rpc_request *req)
{
	const struct keeper_cause cause = { "vault.rekey", rpc_client(req) };
	struct asking *a = xcalloc(1, sizeof *a);
	struct secret *passphrase = NULL;
	struct error err = ERROR_INIT;

	a->req = req;
	a->pack = pack_rekeyed;
	if (read_passphrase(req, "passphrase", &passphrase, &err) == 0)
		a->ask = keeper_rekey(rpc_parts(req)->keeper, passphrase, &cause, on_done, a, &err);
	secret_free(passphrase);
	return answer_later(req, a, &err);
}

/* ---- at once ---- */

struct rpc_answer
rpc_vault_lock(struct rpc_request *req)
{
	const struct rpc_parts *parts = rpc_parts(req);
	struct error err = ERROR_INIT;
	size_t ended = 0;
	struct pack *p;
	bool was_open;

	was_open = keeper_lock(parts->keeper, "somebody asked for it (mpc lock)", "locked");
	if (rpc_bool(req, "now", false)) {
		error_set(&err, MP_E_LOCKED, "the keys were locked");
		error_hint(&err, "mpc unlock");
		ended = calls_end_all(parts->calls, &err);
	}
	p = rpc_result(req);
	pack_kv_bool(p, "locked", true);
	pack_kv_bool(p, "was_open", was_open);
	pack_kv_int(p, "streams", rpc_bool(req, "now", false) ? 0 : (int64_t)calls_count(parts->calls));
	pack_kv_int(p, "cancelled", (int64_t)ended);
	return rpc_ok(req);
}

/* It is run before it becomes a slot. */
static struct rpc_answer
add_command(struct rpc_request *req, const struct keeper_cause *cause)
{
	struct asking *a = xcalloc(1, sizeof *a);
	struct error err = ERROR_INIT;
	char *command = NULL;

	a->req = req;
	a->pack = pack_slots;
	if (!rpc_has(req, "command"))
		error_field(&err, "command", "the command is missing");
	else if (key_command_prepare(rpc_str(req, "command"), &command, &err) != 0)
		snprintf(err.field, sizeof err.field, "command");
	else
		a->ask = keeper_add_command(rpc_parts(req)->keeper, command, cause, on_done, a, &err);
	free(command);
	return answer_later(req, a, &err);
}

struct rpc_answer
rpc_vault_add_slot(struct rpc_request *req)
{
	const struct keeper_cause cause = { "vault.add_slot", rpc_client(req) };
	const struct rpc_parts *parts = rpc_parts(req);
	const char *type = rpc_str(req, "type");
	struct error err = ERROR_INIT;

	if (type != NULL && strcmp(type, SLOT_COMMAND) == 0)
		return add_command(req, &cause);
	if (rpc_has(req, "command")) {
		error_field(&err, "command", "only a slot of the kind %s has one", SLOT_COMMAND);
		return rpc_fail_err(req, &err);
	}
	if (keeper_add_slot(parts->keeper, type != NULL ? type : "", &cause, &err) != 0)
		return rpc_fail_err(req, &err);
	pack_slots(rpc_result(req), parts);
	return rpc_ok(req);
}

struct rpc_answer
rpc_vault_remove_slot(struct rpc_request *req)
{
	const struct keeper_cause cause = { "vault.remove_slot", rpc_client(req) };
	const struct rpc_parts *parts = rpc_parts(req);
	struct error err = ERROR_INIT;

	if (keeper_remove_slot(parts->keeper, rpc_int(req, "id", 0), &cause, &err) != 0)
		return rpc_fail_err(req, &err);
	pack_slots(rpc_result(req), parts);
	return rpc_ok(req);
}

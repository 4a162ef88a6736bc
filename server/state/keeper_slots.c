/* keeper_slots.c - slots that come and go, and another master key for all of them. */
#include "server/base/log.h"
#include "server/state/keeper_inside.h"
#include "server/store/rows.h"

void
keeper_scrub(struct keeper *k)
{
	if (store_checkpoint(k->p.store) != 0)
		log_warn("the write-ahead log could not be emptied; the next checkpoint does it",
		    LOG_TEXT("file", store_path(k->p.store)));
}

int
keeper_add_slot(struct keeper *k, const char *type, const struct keeper_cause *cause, struct error *err)
{
	int r;

	if ((r = changes_begin(k->p.changes, err)) != 0)
		return r;
	changes_note(k->p.changes, TOPIC_DAEMON, CHANGE_SET, "daemon");
	if ((r = vault_add_slot(k->p.vault, type, err)) != 0) {
		changes_rollback(k->p.changes);
		return r;
	}
	if ((r = changes_commit(k->p.changes, cause->method, cause->client, "slot", err)) != 0)
		return r;
	log_info("a key slot was added", LOG_TEXT("type", type));
	return vault_add_taken(k->p.vault, type, err);
}

int
keeper_remove_slot(struct keeper *k, int64_t id, const struct keeper_cause *cause, struct error *err)
{
	struct error why = ERROR_INIT;
	const char *type;
	int r;

	if ((r = changes_begin(k->p.changes, err)) != 0)
		return r;
	changes_note(k->p.changes, TOPIC_DAEMON, CHANGE_SET, "daemon");
	if ((r = vault_remove_slot(k->p.vault, id, &type, err)) != 0) {
		changes_rollback(k->p.changes);
		return r;
	}
	if ((r = changes_commit(k->p.changes, cause->method, cause->client, "slot", err)) != 0)
		return r;
	log_info("a key slot was removed", LOG_TEXT("type", type));
	keeper_scrub(k);
	/* without its slot it opens nothing any more */
	if (vault_forget_source(k->p.vault, type, &why) != 0)
		log_warn("what opened a removed key slot is still there", LOG_TEXT("why", why.message));
	return 0;
}

void
keeper_rekey_now(struct keeper_ask *ask)
{
	struct keeper *k = ask->keeper;
	struct vault *v = k->p.vault;
	bool passphrase = ask->step == STEP_FRESH;
	struct error *err = &ask->err;

	if (vault_next_begin(v, err) != 0)
		return;
	if (changes_begin(k->p.changes, err) != 0) {
		vault_next_drop(v);
		return;
	}
	changes_note(k->p.changes, TOPIC_DAEMON, CHANGE_SET, "daemon");
	if (credentials_rekey(k->p.credentials, &k->unreadable, err) != 0 ||
	    team_rekey(k->p.team, err) != 0 ||
	    vault_next_write_slots(v, passphrase ? &ask->derivation : NULL, passphrase ? ask->key : NULL,
	        ask->line, err) != 0) {
		changes_rollback(k->p.changes);
		vault_next_drop(v);
		return;
	}
	if (changes_commit(k->p.changes, ask->method, ask->client, "rekey", err) != 0) {
		vault_next_leave(v);
		return;
	}
	credentials_rekeyed(k->p.credentials);
	vault_next_take(v);
	log_info("everything is sealed under another master key",
	    LOG_INT("generation", vault_generation(v)), LOG_INT("unreadable", (int64_t)k->unreadable));
	keeper_scrub(k);
}

size_t
keeper_unreadable(const struct keeper *k)
{
	return k->unreadable;
}

/* keeper.h - who opens and locks the vault, and when: passphrases, the automatic lock, changes of slots
 * (THREATS.md sections 3.1 and 4).
 *
 * Deriving a key from a passphrase is the worker's; one is derived at a time, and four requests may wait. A
 * wrong passphrase makes the next try wait: 1 second, doubling to 30, for everybody, by a timer.
 *
 * A request ends with one call of `done` (err->code 0: it was done), from the loop, unless it was
 * cancelled. */
#ifndef SERVER_STATE_KEEPER_H
#define SERVER_STATE_KEEPER_H

#include "protocol/base/err.h"
#include "protocol/base/secret.h"
#include "server/base/loop.h"
#include "server/base/worker.h"
#include "server/state/changes.h"
#include "server/state/credentials.h"
#include "server/state/providers.h"
#include "server/state/settings.h"
#include "server/state/team.h"
#include "server/vault/vault.h"

struct keeper;
struct keeper_ask;

/* All outlive the keeper. */
struct keeper_parts {
	struct loop *loop;
	struct worker *worker;
	struct store *store;
	struct vault *vault;
	struct changes *changes;
	struct settings *settings;
	struct providers *providers;
	struct credentials *credentials;
	struct team *team;
};

struct keeper *keeper_new(const struct keeper_parts *parts);
/* Cancels what runs. The worker must be freed first: it calls back. NULL is harmless. */
void keeper_free(struct keeper *k);

/* Runs commands whose first line is a key: what programs need lies above of here. The functions are those of
 * server/call/key_command.h. */
struct key_command;
struct command_runner {
	struct key_command *(*start)(void *arg, const char *command,
	    void (*ended)(void *ended_arg, struct secret *line, const struct error *err), void *ended_arg,
	    struct error *err);
	void (*cancel)(struct key_command *command);
	void *arg;
};
/* Commands are run by it from now on; with NULL none is, and those that run are ended. */
void keeper_use_commands(struct keeper *k, const struct command_runner *runner);
/* Asks the command that opens the keys, when there is one and nothing else has opened them. */
void keeper_start(struct keeper *k);

/* Called whenever the keys were wiped. */
void keeper_on_lock(struct keeper *k, void (*locked)(void *arg), void *arg);

/* Wipes the master key and every key that was opened, now; requests that are under way end with MP_E_LOCKED.
 * why: a sentence's end for people ("... are locked: WHY"); reason: a word for events. False when it was
 * locked already. */
bool keeper_lock(struct keeper *k, const char *why, const char *reason);

/* ---- requests; NULL with err when one is refused at once. Secrets are copied. ---- */

typedef void keeper_done(void *arg, const struct error *err);
struct keeper_cause {
	const char *method, *client; /* for the news of it; client NULL = none */
};

/* MP_E_NOT_PERMITTED: a wrong passphrase; MP_E_NOT_FOUND: there is none; MP_E_INVALID_STATE: no memory for
 * it; MP_E_TAMPERED; MP_E_LOCKED: somebody locked meanwhile; MP_E_BUSY. */
struct keeper_ask *keeper_unlock(struct keeper *k, const struct secret *passphrase,
    const struct keeper_cause *cause, keeper_done *done, void *arg, struct error *err);
/* Sets another passphrase, or the first one (old NULL; the vault must be open). */
struct keeper_ask *keeper_passwd(struct keeper *k, const struct secret *old, const struct secret *fresh,
    const struct keeper_cause *cause, keeper_done *done, void *arg, struct error *err);
/* Another master key, under which everything is sealed and wrapped anew, in one transaction; the key file is
 * another one, too. The vault must be open; passphrase: of its slot, NULL when there is none.
 * MP_E_INVALID_STATE names a slot that cannot follow now; the rest as of keeper_unlock. */
struct keeper_ask *keeper_rekey(struct keeper *k, const struct secret *passphrase,
    const struct keeper_cause *cause, keeper_done *done, void *arg, struct error *err);
/* With the command of its slot; all that ask meanwhile share its run. MP_E_LOCKED: it failed;
 * MP_E_NOT_PERMITTED: it gives another key; MP_E_NOT_FOUND: there is no such slot; MP_E_TAMPERED;
 * MP_E_BUSY. */
struct keeper_ask *keeper_unlock_command(struct keeper *k, const struct keeper_cause *cause,
    keeper_done *done, void *arg, struct error *err);
/* A slot for a command whose program is a full path. It is run twice: what differs is refused
 * (MP_E_INVALID_PARAMS, as when it fails). The rest as of vault_add_slot. */
struct keeper_ask *keeper_add_command(struct keeper *k, const char *command,
    const struct keeper_cause *cause, keeper_done *done, void *arg, struct error *err);
/* Keys that the last rekey left as they were, because they do not open. */
size_t keeper_unreadable(const struct keeper *k);
void keeper_ask_cancel(struct keeper_ask *ask); /* done is not called */

/* ---- at once ---- */

/* With what needs no person. */
int keeper_unlock_unattended(struct keeper *k, struct error *err);
/* A slot that needs no person: errors of vault_add_slot. */
int keeper_add_slot(struct keeper *k, const char *type, const struct keeper_cause *cause,
    struct error *err);
int keeper_remove_slot(struct keeper *k, int64_t id, const struct keeper_cause *cause, struct error *err);
/* How long the next try of a passphrase has to wait. */
int64_t keeper_wait_ms(const struct keeper *k);

#endif

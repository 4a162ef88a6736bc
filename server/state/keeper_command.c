/* keeper_command.c - the slot that a command of the user's opens. Its program may ask a person, or hang: what
 * waits for it stands apart from the line of passphrases. */
#include <stdlib.h>

#include "protocol/base/str.h"
#include "server/base/log.h"
#include "server/state/keeper_inside.h"

#define APART_MAX 5
#define SHOWN 120 /* characters of a command in a sentence */

/* ---- those that wait for a command ---- */

static bool
somebody_opens(const struct keeper *k)
{
	const struct keeper_ask *a = k->apart;

	while (a != NULL && a->kind != ASK_OPEN)
		a = a->next;
	return a != NULL;
}

static void
leave(struct keeper_ask *ask)
{
	struct keeper_ask **at = &ask->keeper->apart;

	while (*at != ask)
		at = &(*at)->next;
	*at = ask->next;
	ask->next = NULL;
	ask->apart = false;
}

static void
stop_opening(struct keeper *k)
{
	if (k->opening != NULL)
		k->runner.cancel(k->opening);
	k->opening = NULL;
}

void
keeper_apart_end(struct keeper_ask *ask)
{
	struct keeper *k = ask->keeper;

	leave(ask);
	if (ask->command != NULL)
		k->runner.cancel(ask->command);
	if (ask->kind == ASK_OPEN && !somebody_opens(k))
		stop_opening(k);
	if (!ask->cancelled)
		ask->done(ask->arg, &ask->err);
	keeper_ask_free(ask);
}

void
keeper_apart_overtake(struct keeper *k)
{
	stop_opening(k);
	for (struct keeper_ask *a = k->apart; a != NULL; a = a->next) {
		a->overtaken = true;
		if (a->command != NULL)
			k->runner.cancel(a->command);
		a->command = NULL;
		secret_free(a->line);
		a->line = NULL;
	}
}

static int
check_room(const struct keeper *k, struct error *err)
{
	size_t n = 0;

	if (k->runner.start == NULL)
		return error_set(err, MP_E_INVALID_STATE, "no command can be run now");
	for (const struct keeper_ask *a = k->apart; a != NULL; a = a->next)
		n++;
	return n < APART_MAX ? 0
	                     : error_set(err, MP_E_BUSY, "%d requests wait for commands already", APART_MAX);
}

static struct keeper_ask *
stand_apart(struct keeper_ask *ask, keeper_done *done, void *arg)
{
	ask->done = done;
	ask->arg = arg;
	ask->apart = true;
	ask->next = ask->keeper->apart;
	ask->keeper->apart = ask;
	return ask;
}

/* ---- opening ---- */

/* Those who ask from inside of `done` ask anew. */
static void
end_opening(struct keeper *k, const struct error *err)
{
	struct keeper_ask *a;

	for (a = k->apart; a != NULL; a = a->next) {
		a->settled = a->kind == ASK_OPEN;
		if (a->settled)
			a->err = *err;
	}
	for (;;) {
		for (a = k->apart; a != NULL && !a->settled;)
			a = a->next;
		if (a == NULL)
			return;
		keeper_apart_end(a);
	}
}

static void
on_opening(void *arg, struct secret *line, const struct error *why)
{
	struct keeper *k = arg;
	struct vault *v = k->p.vault;
	struct error err = ERROR_INIT, story = ERROR_INIT;
	bool was_locked = vault_is_locked(v);
	char *command = NULL;

	k->opening = NULL;
	if (line != NULL)
		vault_unlock_command(v, line, &err);
	else
		error_set(&err, MP_E_LOCKED, "%s", why->message);
	secret_free(line);
	if (!vault_is_locked(v)) { /* perhaps by somebody else meanwhile */
		if (was_locked)
			keeper_opened(k);
		end_opening(k, &story);
		return;
	}
	if (vault_command(v, &command, &story) == 0) {
		error_set(&story, err.code, "the command \"%.*s\" does not open them: %s", SHOWN, command,
		    err.message);
		error_hint(&story, "%s", err.hint[0] != '\0' ? err.hint : "when it works again: mpc unlock");
	}
	free(command);
	log_warn("a command does not open the keys", LOG_TEXT("why", story.message));
	vault_stay_locked(v, &story);
	end_opening(k, &story);
}

static int
open_begin(struct keeper *k, struct error *err)
{
	char *command = NULL;
	int r;

	if (k->opening != NULL)
		return 0; /* one run for all */
	if ((r = vault_command(k->p.vault, &command, err)) != 0)
		return r;
	k->opening = k->runner.start(k->runner.arg, command, on_opening, k, err);
	free(command);
	return k->opening != NULL ? 0 : err->code;
}

struct keeper_ask *
keeper_unlock_command(struct keeper *k, const struct keeper_cause *cause, keeper_done *done, void *arg,
    struct error *err)
{
	struct keeper_ask *ask;

	if (check_room(k, err) != 0 || open_begin(k, err) != 0)
		return NULL;
	if ((ask = keeper_ask_new(k, NULL, NULL, cause, err)) == NULL) {
		if (!somebody_opens(k))
			stop_opening(k);
		return NULL;
	}
	ask->kind = ASK_OPEN;
	return stand_apart(ask, done, arg);
}

static void
on_started(void *arg, const struct error *err)
{
	(void)arg;
	(void)err; /* logged, and in the status */
}

void
keeper_start(struct keeper *k)
{
	struct error err = ERROR_INIT;

	if (!vault_is_locked(k->p.vault) || !vault_has_slot(k->p.vault, SLOT_COMMAND))
		return;
	if (keeper_unlock_command(k, &(struct keeper_cause){ "start", NULL }, on_started, k, &err) == NULL)
		log_warn("the command that opens the keys does not start", LOG_TEXT("why", err.message));
	else
		error_set(&err, MP_E_LOCKED, "the command that opens them is being asked");
	vault_stay_locked(k->p.vault, &err);
}

/* ---- a new slot, another master key ---- */

static void
add_now(struct keeper_ask *ask)
{
	struct keeper *k = ask->keeper;
	struct error *err = &ask->err, why;

	if (changes_begin(k->p.changes, err) != 0)
		return;
	changes_note(k->p.changes, TOPIC_DAEMON, CHANGE_SET, "daemon");
	if (vault_add_command(k->p.vault, ask->text, ask->line, err) != 0) {
		changes_rollback(k->p.changes);
		why = *err;
		if (why.code == MP_E_NOT_PERMITTED) {
			error_field(err, "command", "the command \"%.*s\" gives no key: %s", SHOWN, ask->text,
			    why.message);
			error_hint(err, "%s", why.hint);
		}
	} else if (changes_commit(k->p.changes, ask->method, ask->client, "slot", err) == 0) {
		log_info("a key slot was added", LOG_TEXT("type", SLOT_COMMAND));
	}
}

static void on_line(void *arg, struct secret *line, const struct error *why);

static int
ask_begin(struct keeper_ask *ask, struct error *err)
{
	struct keeper *k = ask->keeper;

	ask->command = k->runner.start(k->runner.arg, ask->text, on_line, ask, err);
	return ask->command != NULL ? 0 : err->code;
}

/* What differs from run to run would never open the slot again. */
static void
add_line(struct keeper_ask *ask, struct secret *line)
{
	bool again = ask->line != NULL, same;

	if (!again) {
		ask->line = line;
		if (ask_begin(ask, &ask->err) != 0)
			keeper_apart_end(ask);
		return;
	}
	same = secret_equals(line, ask->line);
	secret_free(line);
	if (same)
		add_now(ask);
	else
		error_field(&ask->err, "command",
		    "the command \"%.*s\" wrote something else when it was run again", SHOWN, ask->text);
	keeper_apart_end(ask);
}

static void
on_line(void *arg, struct secret *line, const struct error *why)
{
	struct keeper_ask *ask = arg;

	ask->command = NULL;
	if (line != NULL && ask->kind == ASK_ADD) {
		add_line(ask, line);
	} else if (line != NULL) {
		ask->line = line;
		leave(ask);
		keeper_ask_enqueue(ask, ask->done, ask->arg);
	} else {
		if (ask->kind == ASK_ADD)
			error_field(&ask->err, "command", "the command \"%.*s\" gives no key: %s", SHOWN,
			    ask->text, why->message);
		else
			error_set(&ask->err, MP_E_INVALID_STATE,
			    "the slot of the command \"%.*s\" cannot follow: %s", SHOWN, ask->text,
			    why->message);
		error_hint(&ask->err, "%s", ask->kind == ASK_ADD ? "try it in a terminal"
		    : "make it work, or remove its slot: mpc vault remove");
		keeper_apart_end(ask);
	}
}

struct keeper_ask *
keeper_ask_command_first(struct keeper_ask *ask, keeper_done *done, void *arg, struct error *err)
{
	if (check_room(ask->keeper, err) == 0 && vault_command(ask->keeper->p.vault, &ask->text, err) == 0 &&
	    ask_begin(ask, err) == 0)
		return stand_apart(ask, done, arg);
	keeper_ask_free(ask);
	return NULL;
}

struct keeper_ask *
keeper_add_command(struct keeper *k, const char *command, const struct keeper_cause *cause,
    keeper_done *done, void *arg, struct error *err)
{
	struct keeper_ask *ask;

	if (vault_may_add(k->p.vault, SLOT_COMMAND, err) != 0 || check_room(k, err) != 0 ||
	    (ask = keeper_ask_new(k, NULL, NULL, cause, err)) == NULL)
		return NULL;
	ask->kind = ASK_ADD;
	ask->text = xstrdup(command);
	if (ask_begin(ask, err) == 0)
		return stand_apart(ask, done, arg);
	keeper_ask_free(ask);
	return NULL;
}

void
keeper_use_commands(struct keeper *k, const struct command_runner *runner)
{
	if (k == NULL)
		return;
	while (k->apart != NULL)
		keeper_ask_cancel(k->apart);
	k->runner = runner != NULL ? *runner : (struct command_runner){ NULL, NULL, NULL };
}

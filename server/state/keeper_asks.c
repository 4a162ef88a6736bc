/* keeper_asks.c - requests with a passphrase: one after the other, the derivation in the worker. */
#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/state/keeper_inside.h"

#define ASKS_MAX 5 /* one that runs, four that wait */
#define WAIT_FIRST_MS 1000
#define WAIT_MOST_MS 30000

void
keeper_ask_free(struct keeper_ask *ask)
{
	secret_free(ask->line);
	free(ask->text);
	secret_free(ask->old);
	secret_free(ask->fresh);
	secret_free(ask->master);
	secret_free(ask->key);
	free(ask->method);
	free(ask->client);
	free(ask);
}

static void
unlink_ask(struct keeper_ask *ask)
{
	struct keeper *k = ask->keeper;
	struct keeper_ask **at = &k->first;

	while (*at != ask)
		at = &(*at)->next;
	if ((*at = ask->next) == NULL)
		k->last = at;
	k->count--;
	loop_timer_start(k->turn, 0);
}

/* The end of it: who asked may ask for more from here. */
static void
finish(struct keeper_ask *ask)
{
	unlink_ask(ask);
	if (!ask->cancelled)
		ask->done(ask->arg, &ask->err);
	keeper_ask_free(ask);
}

static void
throttle(struct keeper *k)
{
	int64_t wait = WAIT_FIRST_MS;

	for (unsigned i = 0; i < k->failures && wait < WAIT_MOST_MS; i++)
		wait *= 2;
	if (wait > WAIT_MOST_MS)
		wait = WAIT_MOST_MS;
	k->failures++;
	k->not_before_ms = clock_monotonic_ms() + wait;
	log_warn("a wrong passphrase", LOG_INT("in_a_row", (int64_t)k->failures),
	    LOG_INT("next_try_after_ms", wait));
}

static void on_derived(void *arg);

static void
derive(void *arg)
{
	struct keeper_ask *ask = arg;

	derive_key(&ask->derivation, ask->step == STEP_OLD ? ask->old : ask->fresh, &ask->key,
	    &ask->err);
}

static void
run(struct keeper_ask *ask)
{
	int r = worker_add(ask->keeper->p.worker, derive, on_derived, ask);

	ask->running = r == 0;
	if (r == 0)
		return;
	error_set(&ask->err, r, r == MP_E_BUSY ? "too much is under way; try again in a moment"
	                                       : "no thread for the derivation of the key");
	finish(ask);
}

/* ---- what is done with a key ---- */

/* Whether the old passphrase is right; counts. */
static bool
proven(struct keeper_ask *ask)
{
	struct keeper *k = ask->keeper;
	int r = vault_check(k->p.vault, SLOT_PASSPHRASE, ask->key, &ask->master, &ask->err);

	if (r == MP_E_NOT_PERMITTED) {
		throttle(k);
		error_set(&ask->err, r, "the passphrase is wrong");
		ask->err.retry_after_ms = keeper_wait_ms(k);
	}
	if (r == 0) {
		k->failures = 0;
		k->not_before_ms = 0;
	}
	return r == 0;
}

static void
unlock(struct keeper_ask *ask)
{
	struct keeper *k = ask->keeper;
	bool was_locked = vault_is_locked(k->p.vault);

	if (vault_unlock(k->p.vault, SLOT_PASSPHRASE, ask->key, &ask->err) == 0 && was_locked)
		keeper_opened(k);
}

static int
put_passphrase(struct keeper_ask *ask)
{
	struct keeper *k = ask->keeper;
	const struct slot_spec spec = { SLOT_PASSPHRASE, &ask->derivation, ask->key, ask->master, NULL };
	int r;

	if ((r = changes_begin(k->p.changes, &ask->err)) != 0)
		return r;
	changes_note(k->p.changes, TOPIC_DAEMON, CHANGE_SET, "daemon");
	if ((r = vault_put_slot(k->p.vault, &spec, &ask->err)) != 0) {
		changes_rollback(k->p.changes);
		return r;
	}
	r = changes_commit(k->p.changes, ask->method, ask->client, "passphrase", &ask->err);
	if (r == 0)
		keeper_scrub(k);
	return r;
}

static void
fresh_begin(struct keeper_ask *ask)
{
	secret_free(ask->key);
	ask->key = NULL;
	ask->step = STEP_FRESH;
	derivation_new(&ask->derivation);
	run(ask);
}

static void
on_derived(void *arg)
{
	struct keeper_ask *ask = arg;

	ask->running = false;
	if (ask->cancelled || ask->err.code != 0) {
		finish(ask);
		return;
	}
	if (ask->overtaken) {
		error_set(&ask->err, MP_E_LOCKED, "the keys were locked meanwhile");
	} else if (ask->step == STEP_OLD && proven(ask)) {
		if (ask->kind != ASK_UNLOCK) {
			fresh_begin(ask);
			return;
		}
		unlock(ask);
	} else if (ask->step == STEP_FRESH && ask->kind == ASK_PASSWD) {
		put_passphrase(ask);
	} else if (ask->step == STEP_FRESH) {
		keeper_rekey_now(ask);
	}
	finish(ask);
}

/* ---- one after the other ---- */

static void
begin(struct keeper_ask *ask)
{
	struct keeper *k = ask->keeper;

	if (ask->step == STEP_AT_ONCE) {
		keeper_rekey_now(ask);
		finish(ask);
		return;
	}
	if (ask->step == STEP_FRESH) {
		if (vault_has_slot(k->p.vault, SLOT_PASSPHRASE)) {
			error_field(&ask->err, "old", "the old passphrase is needed to set another one");
			finish(ask);
		} else {
			fresh_begin(ask);
		}
		return;
	}
	if (vault_passphrase(k->p.vault, &ask->derivation, &ask->err) != 0)
		finish(ask);
	else
		run(ask);
}

void
keeper_turn(void *arg)
{
	struct keeper *k = arg;
	struct keeper_ask *ask = k->first;
	int64_t wait = keeper_wait_ms(k);

	/* those that a lock has overtaken do not wait for their turn */
	for (struct keeper_ask *a = k->apart; a != NULL; a = a->next) {
		if (!a->overtaken)
			continue;
		error_set(&a->err, MP_E_LOCKED, "the keys were locked meanwhile");
		loop_timer_start(k->turn, 0);
		keeper_apart_end(a);
		return; /* the turn comes again */
	}
	for (struct keeper_ask *a = k->first, *next; a != NULL; a = next) {
		next = a->next;
		if (!a->overtaken || a->running)
			continue;
		error_set(&a->err, MP_E_LOCKED, "the keys were locked meanwhile");
		finish(a);
		return; /* the turn comes again */
	}
	if (ask == NULL || ask->running)
		return;
	if (ask->step == STEP_OLD && wait > 0)
		loop_timer_start(k->turn, wait);
	else
		begin(ask);
}

static struct secret *
copy(const struct secret *s)
{
	return s != NULL ? secret_new(secret_bytes(s), secret_len(s)) : NULL;
}

struct keeper_ask *
keeper_ask_new(struct keeper *k, const struct secret *old, const struct secret *fresh,
    const struct keeper_cause *cause, struct error *err)
{
	struct keeper_ask *ask;

	if (k->count >= ASKS_MAX) {
		error_set(err, MP_E_BUSY, "%d passphrases are being tried already", ASKS_MAX);
		err->retry_after_ms = keeper_wait_ms(k) + WAIT_FIRST_MS;
		return NULL;
	}
	ask = xcalloc(1, sizeof *ask);
	ask->keeper = k;
	ask->old = copy(old);
	ask->fresh = copy(fresh);
	ask->method = xstrdup(cause->method);
	ask->client = xstrdup(cause->client);
	if ((old != NULL && ask->old == NULL) || (fresh != NULL && ask->fresh == NULL)) {
		keeper_ask_free(ask);
		error_set(err, MP_E_INTERNAL, "no locked memory for the passphrase");
		return NULL;
	}
	return ask;
}

struct keeper_ask *
keeper_ask_enqueue(struct keeper_ask *ask, keeper_done *done, void *arg)
{
	struct keeper *k = ask->keeper;

	ask->done = done;
	ask->arg = arg;
	*k->last = ask;
	k->last = &ask->next;
	k->count++;
	/* a wait that counts already is not begun anew */
	if (k->count == 1)
		loop_timer_start(k->turn, 0);
	return ask;
}

struct keeper_ask *
keeper_unlock(struct keeper *k, const struct secret *passphrase, const struct keeper_cause *cause,
    keeper_done *done, void *arg, struct error *err)
{
	struct derivation ignored;
	struct keeper_ask *ask;

	if (vault_passphrase(k->p.vault, &ignored, err) != 0 ||
	    (ask = keeper_ask_new(k, passphrase, NULL, cause, err)) == NULL)
		return NULL;
	ask->kind = ASK_UNLOCK;
	return keeper_ask_enqueue(ask, done, arg);
}

struct keeper_ask *
keeper_passwd(struct keeper *k, const struct secret *old, const struct secret *fresh,
    const struct keeper_cause *cause, keeper_done *done, void *arg, struct error *err)
{
	size_t n = secret_len(fresh);
	struct derivation ignored;
	struct keeper_ask *ask;

	if (n < PASSPHRASE_MIN_BYTES || n > PASSPHRASE_MAX_BYTES) {
		error_field(err, "new", "a passphrase has %d to %d bytes", PASSPHRASE_MIN_BYTES,
		    PASSPHRASE_MAX_BYTES);
		return NULL;
	}
	if (old == NULL && vault_is_locked(k->p.vault)) {
		error_set(err, MP_E_LOCKED, "the keys are locked: %s", vault_locked_why(k->p.vault));
		return NULL;
	}
	if ((old != NULL && vault_passphrase(k->p.vault, &ignored, err) != 0) ||
	    (ask = keeper_ask_new(k, old, fresh, cause, err)) == NULL)
		return NULL;
	ask->kind = ASK_PASSWD;
	ask->step = old != NULL ? STEP_OLD : STEP_FRESH;
	return keeper_ask_enqueue(ask, done, arg);
}

struct keeper_ask *
keeper_rekey(struct keeper *k, const struct secret *passphrase, const struct keeper_cause *cause,
    keeper_done *done, void *arg, struct error *err)
{
	bool needed = vault_has_slot(k->p.vault, SLOT_PASSPHRASE);
	struct derivation ignored;
	struct keeper_ask *ask;

	if (vault_is_locked(k->p.vault)) {
		error_set(err, MP_E_LOCKED, "the keys are locked: %s", vault_locked_why(k->p.vault));
		error_hint(err, "mpc unlock");
		return NULL;
	}
	if (needed && passphrase == NULL) {
		error_field(err, "passphrase", "the passphrase is needed: its slot gets the new key, too");
		return NULL;
	}
	if ((passphrase != NULL && vault_passphrase(k->p.vault, &ignored, err) != 0) ||
	    (ask = keeper_ask_new(k, passphrase, passphrase, cause, err)) == NULL)
		return NULL;
	ask->kind = ASK_REKEY;
	ask->step = needed ? STEP_OLD : STEP_AT_ONCE;
	if (vault_has_slot(k->p.vault, SLOT_COMMAND))
		return keeper_ask_command_first(ask, done, arg, err);
	return keeper_ask_enqueue(ask, done, arg);
}

void
keeper_ask_cancel(struct keeper_ask *ask)
{
	ask->cancelled = true;
	if (ask->apart)
		keeper_apart_end(ask);
	else if (!ask->running)
		finish(ask);
}

int64_t
keeper_wait_ms(const struct keeper *k)
{
	int64_t wait = k->not_before_ms - clock_monotonic_ms();

	return wait > 0 ? wait : 0;
}

void
keeper_overtake(struct keeper *k)
{
	for (struct keeper_ask *a = k->first; a != NULL; a = a->next) {
		a->overtaken = true;
		secret_free(a->master);
		a->master = NULL;
		secret_free(a->line);
		a->line = NULL;
	}
	keeper_apart_overtake(k);
	loop_timer_start(k->turn, 0);
}

#include "server/state/sessions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/state/session_list.h"
#include "server/store/rows.h"
#include "server/vault/vault.h"

/* While a session is open we look this often: a timer stands still in suspend and does not see the clock
 * being set, and a second after its end nothing of a session may be left. */
#define TICK_MS 500

int
sessions_stored(struct sessions *ss, int r, struct error *err)
{
	if (r == 0)
		return 0;
	return error_set(err, r, "the test session cannot be stored: %s", store_path(ss->list.store));
}

static void
session_key(const struct session_item *i, char out[24])
{
	snprintf(out, 24, "%lld", (long long)i->s.id);
}

void
sessions_note(struct sessions *ss, enum change_op op, const struct session_item *i)
{
	const struct provider *p = providers_find_id(ss->providers, i->s.provider_id);
	char key[24];

	session_key(i, key);
	changes_note(ss->changes, TOPIC_SESSIONS, op, key);
	if (p != NULL) /* who is active, and whose test that is */
		changes_note(ss->changes, TOPIC_PROVIDERS, CHANGE_UPDATE, p->name);
	changes_note(ss->changes, TOPIC_ROUTE, CHANGE_SET, "");
}

/* ---- the end of time ---- */

void
sessions_arm(struct sessions *ss)
{
	int64_t next = TICK_MS;

	for (size_t k = 0; k < ss->list.count; k++) {
		struct session_item *i = ss->list.items[k];
		int64_t ms = session_item_left_ms(i);

		if (session_alive(i) && ms < next)
			next = ms;
	}
	if (ss->list.count > 0)
		loop_timer_start(ss->timer, next);
	else
		loop_timer_stop(ss->timer);
}

int
sessions_end(struct sessions *ss, struct session_item *i, const char *why, struct error *err)
{
	int r;

	sessions_note(ss, CHANGE_REMOVE, i);
	if (i->s.has_key && (r = credentials_end_session(ss->credentials, i->s.provider_id, i->s.id,
	                         err)) != 0)
		return r;
	ss->scrub = true;
	log_info("test session ended", LOG_INT("session", i->s.id), LOG_TEXT("why", why));
	return sessions_stored(ss, session_list_end(&ss->list, i, why), err);
}

int
sessions_sweep(struct sessions *ss, struct error *err)
{
	int r;

	for (size_t k = ss->list.count; k-- > 0;) {
		struct session_item *i = ss->list.items[k];

		if (session_alive(i))
			continue;
		if ((r = sessions_end(ss, i, "expired", err)) != 0)
			return r;
	}
	return 0;
}

static bool
any_dead(const struct sessions *ss)
{
	for (size_t k = 0; k < ss->list.count; k++)
		if (!session_alive(ss->list.items[k]))
			return true;
	return false;
}

static int
sweep_and_commit(struct sessions *ss, struct error *err)
{
	int r;

	if ((r = changes_begin(ss->changes, err)) != 0)
		return r;
	if ((r = sessions_sweep(ss, err)) != 0) {
		changes_rollback(ss->changes);
		return r;
	}
	if ((r = changes_commit(ss->changes, NULL, NULL, "expired", err)) == 0)
		sessions_scrub(ss);
	return r;
}

/* The store refuses writes: the rows stay, but they are out of force, and that is news. */
static void
tell_expired(struct sessions *ss)
{
	for (size_t k = 0; k < ss->list.count; k++) {
		struct session_item *i = ss->list.items[k];
		char key[24];

		if (session_alive(i))
			continue;
		session_key(i, key);
		changes_tell(ss->changes, TOPIC_SESSIONS, CHANGE_REMOVE, key, "expired");
		changes_tell(ss->changes, TOPIC_ROUTE, CHANGE_SET, "", "expired");
	}
}

static void
expire(struct sessions *ss)
{
	struct error err = ERROR_INIT;

	if (!any_dead(ss))
		return;
	/* the keys leave memory now, whatever the disk says */
	for (size_t k = 0; k < ss->list.count; k++)
		if (!session_alive(ss->list.items[k]))
			credentials_close_session(ss->credentials, ss->list.items[k]->s.id);
	if (sweep_and_commit(ss, &err) == 0) {
		ss->expiry_told = false;
		return;
	}
	if (ss->expiry_told)
		return;
	log_warn("an ended test session cannot be deleted from the store; it is out of force all the same",
	    LOG_TEXT("why", err.message));
	ss->expiry_told = true;
	tell_expired(ss);
}

static void
on_timer(void *arg)
{
	struct sessions *ss = arg;

	expire(ss);
	sessions_arm(ss);
}

/* ---- life ---- */

static void
reload(void *arg)
{
	struct sessions *ss = arg;

	if (session_list_load(&ss->list, ss->list.store) != 0)
		log_error("test sessions cannot be read back",
		    LOG_TEXT("file", store_path(ss->list.store)));
	sessions_arm(ss);
}

static bool
id_alive(void *arg, int64_t id)
{
	return sessions_find(arg, id) != NULL;
}

/* Asked by credentials at every use of a session's key. */
static int
judge(void *arg, int64_t id, int64_t expires_ms, struct error *err)
{
	struct sessions *ss = arg;
	const struct session *s = sessions_find(ss, id);

	if (s == NULL) {
		error_set(err, MP_E_NO_CREDENTIAL, "test session %lld has ended, and its key with it",
		    (long long)id);
		error_hint(err, "start another one: mpc test PROVIDER MODEL --key");
		return MP_E_NO_CREDENTIAL;
	}
	if (s->expires_ms == expires_ms)
		return 0;
	log_error("a test session's end is not the one its key was sealed for; it is refused",
	    LOG_INT("session", id));
	error_set(err, MP_E_TAMPERED, "test session %lld was changed outside of this program",
	    (long long)id);
	error_hint(err, "end it: mpc test stop %lld", (long long)id);
	return MP_E_TAMPERED;
}

/* A session without its key, a key without its session: nothing of ours leaves them, so somebody edited the
 * file. Both go. */
static int
end_halves(struct sessions *ss, struct error *err)
{
	int r;

	for (size_t k = 0; k < ss->list.count; k++) {
		struct session_item *i = ss->list.items[k];

		i->over = i->s.has_key && !credentials_has_session(ss->credentials, i->s.id);
	}
	expire(ss);
	if (!credentials_any_orphan(ss->credentials, id_alive, ss))
		return 0;
	if ((r = changes_begin(ss->changes, err)) != 0)
		return r;
	if ((r = credentials_end_orphans(ss->credentials, id_alive, ss, err)) != 0) {
		changes_rollback(ss->changes);
		return r;
	}
	if ((r = changes_commit(ss->changes, NULL, NULL, "expired", err)) == 0)
		credentials_scrub(ss->credentials);
	return r;
}

int
sessions_new(struct store *store, struct vault *vault, struct providers *providers,
    struct credentials *credentials, struct changes *changes, struct loop *loop,
    struct sessions **out, struct error *err)
{
	struct sessions *ss = xcalloc(1, sizeof *ss);
	struct error why = ERROR_INIT;
	int r;

	ss->vault = vault;
	ss->providers = providers;
	ss->credentials = credentials;
	ss->changes = changes;
	ss->timer = loop_timer_new(loop, on_timer, ss);
	if ((r = session_list_load(&ss->list, store)) != 0) {
		sessions_free(ss);
		return error_set(err, r, "the test sessions cannot be read from %s", store_path(store));
	}
	changes_on_rollback(changes, reload, ss);
	credentials_judge_sessions(credentials, judge, ss);
	/* also those that ended while nobody ran */
	if (end_halves(ss, &why) != 0)
		log_warn("keys of ended test sessions cannot be deleted", LOG_TEXT("why", why.message));
	sessions_arm(ss);
	*out = ss;
	return 0;
}

void
sessions_free(struct sessions *ss)
{
	if (ss == NULL)
		return;
	credentials_judge_sessions(ss->credentials, NULL, NULL);
	loop_timer_free(ss->timer);
	session_list_clear(&ss->list);
	free(ss);
}

/* ---- looking ---- */

/* One that is seen to have ended leaves the store at once: neither a crash nor a clock that is set back
 * revives it. */
static bool
alive(const struct sessions *ss, struct session_item *i)
{
	if (session_alive(i))
		return true;
	if (!ss->expiry_told)
		loop_timer_start(ss->timer, 0);
	return false;
}

const struct session *
sessions_find(const struct sessions *ss, int64_t id)
{
	struct session_item *i = session_list_find(&ss->list, id);

	return i != NULL && alive(ss, i) ? &i->s : NULL;
}

const struct session *
sessions_activated(const struct sessions *ss)
{
	for (size_t k = 0; k < ss->list.count; k++)
		if (ss->list.items[k]->s.activated && alive(ss, ss->list.items[k]))
			return &ss->list.items[k]->s;
	return NULL;
}

int64_t
session_left_ms(const struct session *s)
{
	const struct session_item *i = (const struct session_item *)s; /* its first member */
	int64_t ms = session_item_left_ms(i);

	return ms > 0 && !i->over ? ms : 0;
}

void
sessions_each(const struct sessions *ss, void (*each)(void *arg, const struct session *s), void *arg)
{
	for (size_t k = 0; k < ss->list.count; k++)
		if (alive(ss, ss->list.items[k]))
			each(arg, &ss->list.items[k]->s);
}

size_t
sessions_count(const struct sessions *ss)
{
	size_t n = 0;

	for (size_t k = 0; k < ss->list.count; k++)
		n += alive(ss, ss->list.items[k]);
	return n;
}

const struct session *
sessions_ended(const struct sessions *ss, int64_t id)
{
	const struct session_item *i = session_list_ended(&ss->list, id);

	return i != NULL ? &i->s : NULL;
}

int
sessions_unknown(const struct sessions *ss, int64_t id, struct error *err)
{
	const struct session_item *i = session_list_ended(&ss->list, id);
	const struct session_item *here = session_list_find(&ss->list, id);

	if (i != NULL || here != NULL)
		error_set(err, MP_E_NOT_FOUND, "test session %lld has ended (%s)", (long long)id,
		    i != NULL ? i->s.ended_why : "expired");
	else
		error_set(err, MP_E_NOT_FOUND, "there is no test session %lld", (long long)id);
	error_hint(err, "mpc test list shows those that are open");
	return MP_E_NOT_FOUND;
}

int
sessions_find_token(const struct sessions *ss, struct slice token, const struct session **out,
    struct error *err)
{
	unsigned char hash[VAULT_HASH_BYTES];

	if (vault_token_hash(ss->vault, token.data, token.len, hash) != 0) {
		error_set(err, MP_E_LOCKED, "the keys are locked: %s", vault_locked_why(ss->vault));
		error_hint(err, "mpc unlock");
		return MP_E_LOCKED;
	}
	for (size_t k = 0; k < ss->list.count; k++) {
		struct session_item *i = ss->list.items[k];

		if (!vault_hash_equals(hash, i->token_hash))
			continue;
		if (!alive(ss, i))
			return sessions_unknown(ss, i->s.id, err);
		*out = &i->s;
		return 0;
	}
	for (size_t k = 0; k < ENDED_MAX; k++)
		if (ss->list.ended[k] != NULL && vault_hash_equals(hash, ss->list.ended[k]->token_hash))
			return sessions_unknown(ss, ss->list.ended[k]->s.id, err);
	error_set(err, MP_E_NOT_FOUND, "there is no test session with this token; it may have ended");
	error_hint(err, "mpc test list shows those that are open");
	return MP_E_NOT_FOUND;
}

bool
sessions_uses_provider(const struct sessions *ss, const struct provider *p)
{
	for (size_t k = 0; k < ss->list.count; k++)
		if (strcmp(ss->list.items[k]->s.provider_id, p->id) == 0 &&
		    alive(ss, ss->list.items[k]))
			return true;
	return false;
}

void
sessions_scrub(struct sessions *ss)
{
	if (!ss->scrub || changes_open(ss->changes))
		return;
	ss->scrub = false;
	credentials_scrub(ss->credentials);
	if (store_checkpoint(ss->list.store) != 0)
		log_warn("the write-ahead log could not be emptied; the next checkpoint does it",
		    LOG_TEXT("file", store_path(ss->list.store)));
}

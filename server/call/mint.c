/* mint.c - making a key. Deleting is in unmint.c. */
#include "server/call/mint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/clock.h"
#include "server/call/mint_list.h"
#include "server/call/story.h"
#include "server/dialect/openrouter_keys.h"

#define FEATURE "mint-keys"

struct mint {
	struct mints *owner;
	struct mint *prev, *next;
	struct provider *provider; /* as it was asked */
	struct management m;
	int64_t id;
	void (*on_done)(void *arg, const struct mint_result *r);
	void *arg;
	struct secret *key;
	struct error err; /* what went wrong with an answer that came */
	bool dead;
	struct loop_deferred reaper;
};

bool
mint_possible(const struct provider *p)
{
	return provider_has_feature(p, FEATURE);
}

/* ---- the life of one ---- */

static void
mint_free(struct mint *m)
{
	struct mints *ms = m->owner;

	if (m->prev != NULL)
		m->prev->next = m->next;
	else
		ms->making = m->next;
	if (m->next != NULL)
		m->next->prev = m->prev;
	loop_defer_cancel(ms->parts.loop, &m->reaper);
	management_stop(&m->m);
	management_clear(&m->m);
	secret_free(m->key);
	provider_free(m->provider);
	free(m);
}

static void
mint_reap(void *arg)
{
	mint_free(arg);
}

void
mints_stop_making(struct mints *ms)
{
	for (struct mint *m = ms->making, *next; m != NULL; m = next) {
		next = m->next;
		mint_free(m);
	}
}

static void
bury(struct mint *m)
{
	m->dead = true;
	management_stop(&m->m);
	loop_defer(m->owner->parts.loop, &m->reaper, mint_reap, m);
}

void
mint_cancel(struct mint *m)
{
	if (m->dead)
		return;
	bury(m);
	mint_settle(m->owner, m->id);
}

static void
finish(struct mint *m, const struct error *err)
{
	struct mint_result r = { err != NULL ? err->code : 0, err, m->id, err != NULL ? NULL : m->key };

	if (m->dead)
		return;
	bury(m);
	if (err != NULL)
		mint_settle(m->owner, m->id);
	m->on_done(m->arg, &r);
}

/* ---- what the provider says ---- */

/* Its hash is on disk before anybody has the key. */
static int
note_hash(struct mints *ms, int64_t id, const char *hash, struct error *err)
{
	int r;

	if ((r = changes_begin(ms->changes, err)) != 0)
		return r;
	if ((r = minted_set_hash(ms->minted, id, hash, err)) != 0) {
		changes_rollback(ms->changes);
		return r;
	}
	return changes_commit(ms->changes, NULL, NULL, "minted", err);
}

static void
on_body(void *arg, struct slice body)
{
	struct mint *m = arg;
	char hash[OPENROUTER_HASH_BYTES];
	struct slice key = { NULL, 0 };

	if (m->m.head.head.status >= 300) {
		management_refused(&m->m, body);
		return;
	}
	if (openrouter_keys_created(body, hash, &key) != 0) {
		error_set(&m->err, MP_E_UPSTREAM, "%s answered without a key", m->provider->name);
		return;
	}
	if (note_hash(m->owner, m->id, hash, &m->err) != 0)
		return;
	m->key = secret_text_valid(key.data, key.len) ? secret_new(key.data, key.len) : NULL;
	if (m->key == NULL)
		error_set(&m->err, MP_E_UPSTREAM, "%s answered with a key that is none", m->provider->name);
	/* nobody reads the answer after us */
	secret_wipe((char *)key.data, key.len);
}

static void
on_end(void *arg, const struct failure *failure)
{
	struct mint *m = arg;
	struct error err = ERROR_INIT;

	if (m->dead)
		return;
	if (m->err.code != 0) {
		finish(m, &m->err);
	} else if (m->key == NULL) {
		management_story(&m->m, m->provider, failure, "cannot mint a key at", &err);
		finish(m, &err);
	} else {
		finish(m, NULL);
	}
}

static const struct management_watch watch = { on_body, on_end };

/* ---- the beginning ---- */

static int
note_wish(struct mints *ms, const struct provider *p, int64_t expires_ms, int64_t *id,
    struct error *err)
{
	int r;

	if ((r = changes_begin(ms->changes, err)) != 0)
		return r;
	if ((r = minted_add(ms->minted, p, expires_ms, id, err)) != 0) {
		changes_rollback(ms->changes);
		return r;
	}
	return changes_commit(ms->changes, NULL, NULL, "minting", err);
}

static int
ready(struct mints *ms, const struct provider *p, struct error *err)
{
	const struct secret *key;
	int r;

	if (!mint_possible(p)) {
		error_set(err, MP_E_INVALID_STATE, "%s has no way to mint keys", p->name);
		error_hint(err, "give the test a key of its own: --key");
		return MP_E_INVALID_STATE;
	}
	r = credentials_open(ms->parts.credentials, p, MINT_LABEL, &key, err);
	if (r == MP_E_NO_CREDENTIAL) {
		error_set(err, r, "minting needs a management key of %s", p->name);
		error_hint(err, "make one at the provider, then: mpc key set %s --label %s --no-check",
		    p->name, MINT_LABEL);
	}
	return r;
}

struct mint *
mint_start(struct mints *ms, const struct provider *p, int64_t limit_microusd, int64_t expires_ms,
    int64_t timeout_ms, void (*on_done)(void *arg, const struct mint_result *r), void *arg,
    struct error *err)
{
	struct wire_request wire;
	struct mint *m;
	int64_t id = 0;

	if (ready(ms, p, err) != 0 || note_wish(ms, p, expires_ms, &id, err) != 0)
		return NULL;
	m = xcalloc(1, sizeof *m);
	m->owner = ms;
	m->provider = provider_copy(p);
	m->id = id;
	m->on_done = on_done;
	m->arg = arg;
	m->next = ms->making;
	if (m->next != NULL)
		m->next->prev = m;
	ms->making = m;
	mints_hold(ms, id);
	openrouter_keys_create(minted_find(ms->minted, id)->name, limit_microusd, expires_ms, &wire);
	if (management_ask(&m->m, ms, m->provider, &wire, timeout_ms, &watch, m, err) == 0)
		return m;
	mint_settle(ms, id);
	mint_free(m);
	return NULL;
}

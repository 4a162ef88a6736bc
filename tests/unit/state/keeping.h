/* keeping.h - a world with a keeper: passphrases are derived at once here, in the worker all the same. */
#ifndef TESTS_UNIT_STATE_KEEPING_H
#define TESTS_UNIT_STATE_KEEPING_H

#include "server/base/worker.h"
#include "server/state/keeper.h"
#include "tests/unit/state/world.h"

struct keeping {
	struct world w;
	struct worker *worker;
	struct keeper *keeper;
	bool done;
	struct error end; /* of the last request */
};

static const struct keeper_cause keeping_cause = { "test", NULL };

/* A keeper for a world that is open. */
static inline void
keeping_begin(struct keeping *k)
{
	k->worker = worker_new(k->w.loop);
	assert_non_null(k->worker);
	k->keeper = keeper_new(&(struct keeper_parts){ k->w.loop, k->worker, k->w.store, k->w.vault,
	    k->w.changes, k->w.settings, k->w.ps, k->w.cs, k->w.team });
}

static inline void
keeping_open(struct keeping *k)
{
	derive_test_cost(1, 8192);
	world_open(&k->w);
	keeping_begin(k);
}

static inline void
keeping_end(struct keeping *k)
{
	worker_free(k->worker);
	keeper_free(k->keeper);
}

static inline void
keeping_close(struct keeping *k)
{
	keeping_end(k);
	world_close(&k->w);
}

static inline void
keeping_reopen(struct keeping *k)
{
	keeping_close(k);
	keeping_open(k);
}

static inline void
keeping_done(void *arg, const struct error *err)
{
	struct keeping *k = arg;

	k->done = true;
	k->end = *err;
}

/* Waits for the end of a request: 0 or MP_E_... */
static inline int
keeping_wait(struct keeping *k, const struct keeper_ask *ask)
{
	int64_t until = clock_monotonic_ms() + 60000;

	if (ask == NULL)
		return k->end.code;
	while (!k->done && clock_monotonic_ms() < until)
		loop_once(k->w.loop, 100);
	assert_true(k->done);
	return k->end.code;
}

static inline struct secret *
keeping_secret(const char *text)
{
	return text != NULL ? secret_new(text, strlen(text)) : NULL;
}

static inline int
keeping_unlock(struct keeping *k, const char *passphrase)
{
	struct secret *s = keeping_secret(passphrase);
	struct keeper_ask *ask;

	k->done = false;
	ask = keeper_unlock(k->keeper, s, &keeping_cause, keeping_done, k, &k->end);
	secret_free(s);
	return keeping_wait(k, ask);
}

static inline int
keeping_passwd(struct keeping *k, const char *old, const char *fresh)
{
	struct secret *a = keeping_secret(old), *b = keeping_secret(fresh);
	struct keeper_ask *ask;

	k->done = false;
	ask = keeper_passwd(k->keeper, a, b, &keeping_cause, keeping_done, k, &k->end);
	secret_free(a);
	secret_free(b);
	return keeping_wait(k, ask);
}

static inline int
keeping_rekey(struct keeping *k, const char *passphrase)
{
	struct secret *s = keeping_secret(passphrase);
	struct keeper_ask *ask;

	k->done = false;
	ask = keeper_rekey(k->keeper, s, &keeping_cause, keeping_done, k, &k->end);
	secret_free(s);
	return keeping_wait(k, ask);
}

struct keeping_slot {
	const char *type;
	int64_t id;
};

static inline void
keeping_see_slot(void *arg, const struct vault_slot *slot)
{
	struct keeping_slot *s = arg;

	if (strcmp(slot->type, s->type) == 0)
		s->id = slot->id;
}

/* 0 = none. */
static inline int64_t
keeping_slot_id(struct keeping *k, const char *type)
{
	struct keeping_slot s = { type, 0 };

	vault_slots(k->w.vault, keeping_see_slot, &s);
	return s.id;
}

static inline void
keeping_remove(struct keeping *k, const char *type)
{
	assert_int_equal(keeper_remove_slot(k->keeper, keeping_slot_id(k, type), &keeping_cause, &k->end), 0);
}

/* Whether openai's key opens and is this one. */
static inline bool
keeping_has_key(struct keeping *k, const char *key)
{
	const struct secret *opened = NULL;
	struct error err = ERROR_INIT;

	return credentials_open(k->w.cs, world_provider(&k->w, "openai"), NULL, &opened, &err) == 0 &&
	    strcmp(secret_bytes(opened), key) == 0;
}

#endif

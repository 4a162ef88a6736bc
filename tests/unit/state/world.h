/* world.h - everything below the front doors on a folder of its own: a real store, vault and loop. */
#ifndef TESTS_UNIT_STATE_WORLD_H
#define TESTS_UNIT_STATE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "protocol/base/secret.h"
#include "protocol/base/str.h"
#include "server/base/clock.h"
#include "server/base/loop.h"
#include "server/state/budgets.h"
#include "server/state/chains.h"
#include "server/state/changes.h"
#include "server/state/credentials.h"
#include "server/state/models.h"
#include "server/state/overrides.h"
#include "server/state/own_prices.h"
#include "server/state/providers.h"
#include "server/state/sessions.h"
#include "server/state/settings.h"
#include "server/state/team.h"
#include "server/store/store.h"
#include "server/vault/vault.h"

#define HEARD_MAX 64

struct heard {
	int64_t rev, prev_rev;
	enum topic topic;
	enum change_op op;
	char key[400], reason[32], method[32];
};

struct world {
	char dir[64];
	struct loop *loop;
	struct store *store;
	struct vault *vault;
	struct changes *changes;
	struct settings *settings;
	struct providers *ps;
	struct models *ms;
	struct chains *chains;
	struct budgets *budgets;
	struct own_prices *own_prices;
	struct overrides *os;
	struct credentials *cs;
	struct sessions *ss;
	struct team *team;
	struct error err;
	struct heard heard[HEARD_MAX];
	size_t heard_count;
};

static void
world_hear(void *arg, const struct change *ch)
{
	struct world *w = arg;
	struct heard *h = &w->heard[w->heard_count];

	assert_true(w->heard_count < HEARD_MAX);
	w->heard_count++;
	h->rev = ch->rev;
	h->prev_rev = ch->prev_rev;
	h->topic = ch->topic;
	h->op = ch->op;
	snprintf(h->key, sizeof h->key, "%s", ch->key);
	snprintf(h->reason, sizeof h->reason, "%s", ch->reason != NULL ? ch->reason : "");
	snprintf(h->method, sizeof h->method, "%s", ch->method != NULL ? ch->method : "");
}

static inline void
world_close(struct world *w)
{
	team_free(w->team);
	sessions_free(w->ss);
	overrides_free(w->os);
	own_prices_free(w->own_prices);
	budgets_free(w->budgets);
	chains_free(w->chains);
	models_free(w->ms);
	credentials_free(w->cs);
	providers_free(w->ps);
	settings_free(w->settings);
	changes_free(w->changes);
	vault_free(w->vault);
	store_close(w->store);
	loop_free(w->loop);
}

/* 0, or why the state on the disk could not be opened (then nothing is open). */
static inline int
world_try_open(struct world *w)
{
	bool created;
	int r;

	w->store = NULL;
	w->vault = NULL;
	w->changes = NULL;
	w->settings = NULL;
	w->ps = NULL;
	w->cs = NULL;
	w->ms = NULL;
	w->chains = NULL;
	w->budgets = NULL;
	w->own_prices = NULL;
	w->os = NULL;
	w->ss = NULL;
	w->team = NULL;
	w->loop = loop_new();
	assert_non_null(w->loop);
	if ((r = store_open(w->dir, &w->store, &w->err)) == 0 &&
	    (r = vault_open(w->store, w->dir, &w->vault, &created, &w->err)) == 0 &&
	    (w->changes = changes_new(w->store)) == NULL)
		r = MP_E_STORAGE;
	if (r == 0 && (r = settings_new(w->store, w->changes, &w->settings, &w->err)) == 0 &&
	    (r = providers_new(w->store, w->changes, &w->ps, &w->err)) == 0 &&
	    (r = credentials_new(w->store, w->vault, w->ps, w->changes, &w->cs, &w->err)) == 0 &&
	    (r = chains_new(w->store, w->changes, &w->chains, &w->err)) == 0 &&
	    (r = budgets_new(w->store, w->changes, &w->budgets, &w->err)) == 0 &&
	    (r = own_prices_new(w->store, w->changes, &w->own_prices, &w->err)) == 0 &&
	    (r = models_new(w->store, w->ps, w->changes, w->loop, &w->ms, &w->err)) == 0)
		r = overrides_new(w->store, w->ps, w->changes, w->loop, &w->os, &w->err);
	if (r == 0)
		r = sessions_new(w->store, w->vault, w->ps, w->cs, w->changes, w->loop, &w->ss, &w->err);
	if (r == 0)
		r = team_new(w->store, w->vault, w->changes, &w->team, &w->err);
	if (r != 0) {
		world_close(w);
		return r;
	}
	w->heard_count = 0;
	changes_subscribe(w->changes, world_hear, w);
	return 0;
}

static inline void
world_open(struct world *w)
{
	if (world_try_open(w) != 0)
		fail_msg("%s", w->err.message);
}

static inline void
world_reopen(struct world *w)
{
	world_close(w);
	world_open(w);
}

/* Where files may be synced by the thousand without a disk that turns. */
static inline const char *
fast_folder(void)
{
	return access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp";
}

static inline void
world_folder_in(struct world *w, const char *parent)
{
	memset(w, 0, sizeof *w);
	snprintf(w->dir, sizeof w->dir, "%s/modelpd-unit-XXXXXX", parent);
	assert_int_equal(secret_init(), 0);
	assert_non_null(mkdtemp(w->dir));
}

static inline void
world_folder(struct world *w)
{
	world_folder_in(w, "/tmp");
}

static inline void
world_remove_folder(struct world *w)
{
	char command[128];

	snprintf(command, sizeof command, "rm -rf '%s'", w->dir);
	assert_int_equal(system(command), 0);
}

static inline int
world_setup(void **state)
{
	struct world *w = malloc(sizeof *w);

	assert_non_null(w);
	world_folder(w);
	world_open(w);
	*state = w;
	return 0;
}

static inline int
world_teardown(void **state)
{
	struct world *w = *state;

	world_close(w);
	world_remove_folder(w);
	free(w);
	return 0;
}

/* Somebody else's hand in the file while nobody has it open. */
static inline void
world_sql(struct world *w, const char *sql)
{
	char path[128];
	char *problem = NULL;
	sqlite3 *db;

	world_close(w);
	snprintf(path, sizeof path, "%s/state.db", w->dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, &problem) != SQLITE_OK)
		fail_msg("%s: %s", sql, problem);
	assert_true(sqlite3_total_changes(db) > 0);
	sqlite3_close(db);
	world_open(w);
}

/* The number a query gives, from a connection of its own. */
static inline int64_t
world_count(struct world *w, const char *sql)
{
	char path[128];
	sqlite3_stmt *q;
	int64_t n;
	sqlite3 *db;

	world_close(w);
	snprintf(path, sizeof path, "%s/state.db", w->dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &q, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(q), SQLITE_ROW);
	n = sqlite3_column_int64(q, 0);
	sqlite3_finalize(q);
	sqlite3_close(db);
	world_open(w);
	return n;
}

/* One mutation around `expression`, which must give `expected`; a failure rolls back. */
#define CHANGE_GIVES(w, expected, expression)                                                      \
	do {                                                                                       \
		int change_r;                                                                      \
		assert_int_equal(changes_begin((w)->changes, &(w)->err), 0);                       \
		change_r = (expression);                                                           \
		if (change_r != (expected))                                                        \
			fail_msg("%s gave %d: %s", #expression, change_r, (w)->err.message);       \
		if (change_r == 0)                                                                 \
			assert_int_equal(                                                          \
			    changes_commit((w)->changes, "test", NULL, NULL, &(w)->err), 0);       \
		else                                                                               \
			changes_rollback((w)->changes);                                            \
	} while (0)
#define CHANGE(w, expression) CHANGE_GIVES(w, 0, expression)

static inline const struct provider *
world_provider(struct world *w, const char *name)
{
	const struct provider *p = providers_find(w->ps, name);

	assert_non_null(p);
	return p;
}

/* Adds an openai-chat provider. */
static inline void
world_add(struct world *w, const char *name, const char *url, enum provider_type type,
    enum auth_type auth)
{
	struct provider *p = provider_new();

	p->name = xstrdup(name);
	p->dialect = xstrdup("openai-chat");
	p->base_url = xstrdup(url);
	p->type = type;
	p->auth = auth;
	CHANGE(w, providers_add(w->ps, p, &w->err));
	provider_free(p);
}

static inline void
world_key(struct world *w, const char *provider, const char *label, const char *key)
{
	struct secret *s = secret_new(key, strlen(key));

	CHANGE(w, credentials_set(w->cs, world_provider(w, provider), label, s, NULL, &w->err));
	secret_free(s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

#endif

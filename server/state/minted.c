#include "server/state/minted.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/model/uuid.h"
#include "server/store/rows.h"

#define MINTED_MAX 1024

struct minted {
	struct store *store;
	struct changes *changes;
	struct minted_key **keys;
	size_t count;
};

/* ---- the rows in memory ---- */

static void
key_free(struct minted_key *k)
{
	free((char *)k->provider_id);
	free((char *)k->name);
	free((char *)k->hash);
	free((char *)k->last_code);
	free(k);
}

static void
clear(struct minted *m)
{
	for (size_t i = 0; i < m->count; i++)
		key_free(m->keys[i]);
	free(m->keys);
	m->keys = NULL;
	m->count = 0;
}

static struct minted_key *
append(struct minted *m)
{
	m->keys = xrealloc(m->keys, (m->count + 1) * sizeof(struct minted_key *));
	return m->keys[m->count++] = xcalloc(1, sizeof(struct minted_key));
}

static void
load_row(void *arg, const struct minted_row *row)
{
	struct minted_key *k = append(arg);

	k->id = row->id;
	k->provider_id = xstrdup(row->provider_id);
	k->name = xstrdup(row->name);
	k->hash = xstrdup(row->hash);
	k->session_id = row->session_id;
	k->created_ms = row->created_ms;
	k->expires_ms = row->expires_ms;
	k->tries = row->tries;
	k->last_code = xstrdup(row->last_code);
}

static int
load(struct minted *m)
{
	clear(m);
	return store_minted_each(m->store, load_row, m);
}

static int
put(struct minted *m, struct minted_key *k)
{
	struct minted_row row = {
		.id = k->id,
		.provider_id = k->provider_id,
		.name = k->name,
		.hash = k->hash,
		.session_id = k->session_id,
		.created_ms = k->created_ms,
		.expires_ms = k->expires_ms,
		.tries = k->tries,
		.last_code = k->last_code,
		.rev = changes_next_rev(m->changes),
	};

	return store_minted_put(m->store, &row, &k->id);
}

static int
stored(struct minted *m, int r, struct error *err)
{
	if (r == 0)
		return 0;
	return error_set(err, r, "the minted key cannot be noted: %s", store_path(m->store));
}

/* ---- life ---- */

static void
reload(void *arg)
{
	struct minted *m = arg;

	if (load(m) != 0)
		log_error("minted keys cannot be read back", LOG_TEXT("file", store_path(m->store)));
}

int
minted_new(struct store *store, struct changes *changes, struct minted **out, struct error *err)
{
	struct minted *m = xcalloc(1, sizeof *m);
	int r;

	m->store = store;
	m->changes = changes;
	if ((r = load(m)) != 0) {
		minted_free(m);
		return error_set(err, r, "the minted keys cannot be read from %s", store_path(store));
	}
	changes_on_rollback(changes, reload, m);
	*out = m;
	return 0;
}

void
minted_free(struct minted *m)
{
	if (m == NULL)
		return;
	clear(m);
	free(m);
}

/* ---- looking ---- */

size_t
minted_count(const struct minted *m)
{
	return m->count;
}

const struct minted_key *
minted_at(const struct minted *m, size_t i)
{
	return m->keys[i];
}

static struct minted_key *
find(const struct minted *m, int64_t id)
{
	for (size_t i = 0; i < m->count; i++)
		if (m->keys[i]->id == id)
			return m->keys[i];
	return NULL;
}

const struct minted_key *
minted_find(const struct minted *m, int64_t id)
{
	return find(m, id);
}

const struct minted_key *
minted_of(const struct minted *m, int64_t session_id)
{
	for (size_t i = 0; i < m->count; i++)
		if (session_id != 0 && m->keys[i]->session_id == session_id)
			return m->keys[i];
	return NULL;
}

/* ---- changing ---- */

int
minted_add(struct minted *m, const struct provider *p, int64_t expires_ms, int64_t *id,
    struct error *err)
{
	char uuid[UUID_SIZE], name[64];
	struct minted_key *k;
	int r;

	if (m->count >= MINTED_MAX) {
		error_set(err, MP_E_TOO_MANY, "%d minted keys wait to be deleted already", MINTED_MAX);
		error_hint(err, "see which: mpc test list");
		return MP_E_TOO_MANY;
	}
	uuid_new(uuid);
	snprintf(name, sizeof name, "modelpd test %s", uuid);
	k = append(m);
	k->provider_id = xstrdup(p->id);
	k->name = xstrdup(name);
	k->hash = xstrdup("");
	k->last_code = xstrdup("");
	k->created_ms = clock_wall_ms();
	k->expires_ms = expires_ms;
	r = stored(m, put(m, k), err);
	*id = k->id;
	return r;
}

static int
gone(int64_t id, struct error *err)
{
	return error_set(err, MP_E_NOT_FOUND, "there is no minted key %lld", (long long)id);
}

int
minted_set_hash(struct minted *m, int64_t id, const char *hash, struct error *err)
{
	struct minted_key *k = find(m, id);

	if (k == NULL)
		return gone(id, err);
	free((char *)k->hash);
	k->hash = xstrdup(hash);
	return stored(m, put(m, k), err);
}

int
minted_set_session(struct minted *m, int64_t id, int64_t session_id, struct error *err)
{
	struct minted_key *k = find(m, id);

	if (k == NULL)
		return gone(id, err);
	k->session_id = session_id;
	return stored(m, put(m, k), err);
}

int
minted_forget(struct minted *m, int64_t id, struct error *err)
{
	int r = store_minted_delete(m->store, id);

	if (r != 0 && r != MP_E_NOT_FOUND)
		return stored(m, r, err);
	for (size_t i = 0; i < m->count; i++) {
		if (m->keys[i]->id != id)
			continue;
		key_free(m->keys[i]);
		memmove(&m->keys[i], &m->keys[i + 1], (m->count - i - 1) * sizeof(struct minted_key *));
		m->count--;
		break;
	}
	return 0;
}

void
minted_report(struct minted *m, int64_t id, const char *code)
{
	struct minted_key *k = find(m, id);
	bool own = !changes_open(m->changes);

	if (k == NULL)
		return;
	k->tries++;
	free((char *)k->last_code);
	k->last_code = xstrdup(code);
	if (store_read_only(m->store) || (own && store_begin(m->store) != 0))
		return;
	put(m, k);
	if (own)
		store_commit(m->store);
}

#include "server/state/session_list.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/base/clock.h"
#include "server/store/rows.h"

struct session_item *
session_item_new(const struct session_start *start, const char *label)
{
	struct session_item *i = xcalloc(1, sizeof *i);

	i->s.provider_id = xstrdup(start->provider->id);
	i->s.model = xstrdup(start->model);
	i->s.label = xstrdup(label);
	i->s.has_key = start->key != NULL;
	i->s.activated = start->activate;
	i->s.started_ms = clock_wall_ms();
	i->s.expires_ms = i->s.started_ms + start->duration_ms;
	i->s.ended_why = "";
	i->expires_boot_ms = clock_boot_ms() + start->duration_ms;
	i->boot_id = xstrdup(clock_boot_id());
	return i;
}

void
session_item_free(struct session_item *i)
{
	if (i == NULL)
		return;
	free((char *)i->s.provider_id);
	free((char *)i->s.model);
	free((char *)i->s.label);
	free(i->boot_id);
	free(i);
}

int64_t
session_item_left_ms(const struct session_item *i)
{
	int64_t wall = i->s.expires_ms - clock_wall_ms(), boot = i->expires_boot_ms - clock_boot_ms();

	return wall < boot ? wall : boot;
}

static bool
ended(const struct session_item *i)
{
	int64_t lasts = i->s.expires_ms - i->s.started_ms;

	if (strcmp(i->boot_id, clock_boot_id()) != 0)
		return true;
	/* a time since boot before its own beginning is that of another boot, whatever its id */
	if (clock_boot_ms() < i->expires_boot_ms - lasts)
		return true;
	return session_item_left_ms(i) <= 0;
}

bool
session_alive(struct session_item *i)
{
	i->over = i->over || i->s.ended_ms != 0 || ended(i);
	return !i->over;
}

/* ---- the table ---- */

static void
append(struct session_list *l, struct session_item *i)
{
	l->items = xrealloc(l->items, (l->count + 1) * sizeof(struct session_item *));
	l->items[l->count++] = i;
}

static void
load_row(void *arg, const struct session_row *row)
{
	struct session_list *l = arg;
	struct session_item *i = xcalloc(1, sizeof *i);

	i->s.id = row->id;
	i->s.provider_id = xstrdup(row->provider_id);
	i->s.model = xstrdup(row->model);
	i->s.label = xstrdup(row->label);
	i->s.has_key = row->has_key;
	i->s.activated = row->activated;
	i->s.started_ms = row->started_ms;
	i->s.expires_ms = row->expires_ms;
	i->s.ended_why = "";
	i->s.rev = row->rev;
	i->expires_boot_ms = row->expires_boot_ms;
	i->boot_id = xstrdup(row->boot_id);
	if (row->token_hash_len == sizeof i->token_hash)
		memcpy(i->token_hash, row->token_hash, sizeof i->token_hash);
	append(l, i);
}

int
session_list_load(struct session_list *l, struct store *store)
{
	struct session_list old = *l;
	int r;

	l->items = NULL;
	l->count = 0;
	l->store = store;
	r = store_session_each(store, load_row, l);
	for (size_t k = 0; k < old.count; k++)
		session_item_free(old.items[k]);
	free(old.items);
	for (size_t k = 0; k < ENDED_MAX; k++) {
		/* its end was taken back */
		if (l->ended[k] == NULL || session_list_find(l, l->ended[k]->s.id) == NULL)
			continue;
		session_item_free(l->ended[k]);
		l->ended[k] = NULL;
	}
	return r;
}

void
session_list_clear(struct session_list *l)
{
	for (size_t k = 0; k < l->count; k++)
		session_item_free(l->items[k]);
	for (size_t k = 0; k < ENDED_MAX; k++)
		session_item_free(l->ended[k]);
	free(l->items);
	*l = (struct session_list){ .store = l->store };
}

struct session_item *
session_list_find(const struct session_list *l, int64_t id)
{
	for (size_t k = 0; k < l->count; k++)
		if (l->items[k]->s.id == id)
			return l->items[k];
	return NULL;
}

struct session_item *
session_list_ended(const struct session_list *l, int64_t id)
{
	for (size_t k = 0; k < ENDED_MAX; k++)
		if (l->ended[k] != NULL && l->ended[k]->s.id == id)
			return l->ended[k];
	return NULL;
}

int
session_list_put(struct session_list *l, struct session_item *i, int64_t rev)
{
	struct session_row row = {
		.id = i->s.id,
		.token_hash = i->token_hash,
		.token_hash_len = sizeof i->token_hash,
		.provider_id = i->s.provider_id,
		.model = i->s.model,
		.label = i->s.label,
		.has_key = i->s.has_key,
		.activated = i->s.activated,
		.started_ms = i->s.started_ms,
		.expires_ms = i->s.expires_ms,
		.expires_boot_ms = i->expires_boot_ms,
		.boot_id = i->boot_id,
		.rev = rev,
	};

	i->s.rev = rev;
	return store_session_put(l->store, &row, &i->s.id);
}

int
session_list_add(struct session_list *l, struct session_item *i, int64_t rev)
{
	append(l, i);
	return session_list_put(l, i, rev);
}

int
session_list_end(struct session_list *l, struct session_item *i, const char *why)
{
	int r = store_session_delete(l->store, i->s.id);
	size_t at = l->ended_count % ENDED_MAX;

	/* gone already is what we want */
	if (r != 0 && r != MP_E_NOT_FOUND)
		return r;
	for (size_t k = 0; k < l->count; k++) {
		if (l->items[k] != i)
			continue;
		memmove(&l->items[k], &l->items[k + 1], (l->count - k - 1) * sizeof(struct session_item *));
		l->count--;
		break;
	}
	i->s.ended_ms = clock_wall_ms();
	i->s.ended_why = why;
	i->s.activated = false;
	session_item_free(l->ended[at]);
	l->ended[at] = i;
	l->ended_count++;
	return 0;
}

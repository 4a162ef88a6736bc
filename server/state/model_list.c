#include "server/state/model_list.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/base/clock.h"
#include "server/store/rows.h"

static void
item_clear(struct model_item *i)
{
	free((char *)i->e.provider);
	free((char *)i->e.model);
	free((char *)i->e.nick);
	free(i->provider_id);
}

bool
model_item_ended(const struct model_item *i)
{
	return i->e.expires_ms != 0 && clock_wall_ms() >= i->e.expires_ms;
}

void
model_item_set_nick(struct model_item *i, const char *nick)
{
	char *fresh = xstrdup(nick);

	free((char *)i->e.nick);
	i->e.nick = fresh;
}

const char *
model_item_ref(const struct model_item *i, char out[MODEL_REF_BYTES])
{
	struct slice parts[] = { slice_of(i->e.provider), SLICE(":"), slice_of(i->e.model) };
	size_t at = 0;

	for (size_t k = 0; k < sizeof parts / sizeof parts[0]; k++) {
		size_t room = MODEL_REF_BYTES - 1 - at;
		size_t n = parts[k].len < room ? parts[k].len : room;

		memcpy(out + at, parts[k].data, n);
		at += n;
	}
	out[at] = '\0';
	return out;
}

static int
compare(const void *a, const void *b)
{
	const struct model_entry *x = &((const struct model_item *)a)->e;
	const struct model_entry *y = &((const struct model_item *)b)->e;
	int r = strcmp(x->provider, y->provider);

	return r != 0 ? r : strcmp(x->model, y->model);
}

static void
sort(struct model_list *l)
{
	if (l->count > 0)
		qsort(l->items, l->count, sizeof *l->items, compare);
}

static struct model_item *
append(struct model_list *l, const struct provider *p, const char *model)
{
	struct model_item *i;

	l->items = xrealloc(l->items, (l->count + 1) * sizeof *l->items);
	i = &l->items[l->count++];
	memset(i, 0, sizeof *i);
	i->provider_id = xstrdup(p->id);
	i->e.provider = xstrdup(p->name);
	i->e.model = xstrdup(model);
	return i;
}

struct model_item *
model_list_add(struct model_list *l, const struct provider *p, const char *model)
{
	struct model_item *last = append(l, p, model), fresh = *last;
	size_t at = l->count - 1;

	while (at > 0 && compare(&l->items[at - 1], &fresh) > 0)
		at--;
	memmove(&l->items[at + 1], &l->items[at], (l->count - 1 - at) * sizeof fresh);
	l->items[at] = fresh;
	return &l->items[at];
}

void
model_list_drop(struct model_list *l, struct model_item *i)
{
	size_t at = (size_t)(i - l->items);

	item_clear(i);
	memmove(i, i + 1, (l->count - at - 1) * sizeof *i);
	l->count--;
}

void
model_list_clear(struct model_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		item_clear(&l->items[i]);
	free(l->items);
	l->items = NULL;
	l->count = 0;
}

struct loading {
	struct model_list *list;
	const struct providers *ps;
};

static void
load_row(void *arg, const struct model_row *row)
{
	struct loading *to = arg;
	const struct provider *p = providers_find_id(to->ps, row->provider_id);
	struct model_item *i;

	if (p == NULL)
		return;
	i = append(to->list, p, row->model);
	i->e.nick = xstrdup(row->nick);
	i->e.added_ms = row->added_ms;
	i->e.expires_ms = row->expires_ms;
	i->e.listed = row->listed;
	i->e.rev = row->rev;
}

int
model_list_load(struct model_list *l, struct store *store, const struct providers *ps)
{
	struct loading to = { l, ps };
	int r;

	model_list_clear(l);
	l->store = store;
	r = store_model_each(store, load_row, &to);
	sort(l);
	return r;
}

struct model_item *
model_list_find(const struct model_list *l, const char *provider_id, const char *model)
{
	for (size_t i = 0; i < l->count; i++)
		if (strcmp(l->items[i].provider_id, provider_id) == 0
		    && strcmp(l->items[i].e.model, model) == 0)
			return &l->items[i];
	return NULL;
}

struct model_item *
model_list_find_nick(const struct model_list *l, const char *nick)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->items[i].e.nick != NULL && strcmp(l->items[i].e.nick, nick) == 0)
			return &l->items[i];
	return NULL;
}

int
model_list_put(struct model_list *l, struct model_item *i, int64_t rev)
{
	struct model_row row = {
		.provider_id = i->provider_id,
		.model = i->e.model,
		.nick = i->e.nick,
		.added_ms = i->e.added_ms,
		.expires_ms = i->e.expires_ms,
		.listed = i->e.listed,
		.rev = rev,
	};

	i->e.rev = rev;
	return store_model_put(l->store, &row);
}

int
model_list_delete(struct model_list *l, struct model_item *i)
{
	int r = store_model_delete(l->store, i->provider_id, i->e.model);

	/* gone already is what we want */
	if (r != 0 && r != MP_E_NOT_FOUND)
		return r;
	model_list_drop(l, i);
	return 0;
}

void
model_list_follow(struct model_list *l, const struct providers *ps)
{
	for (size_t i = l->count; i-- > 0;) {
		struct model_item *it = &l->items[i];
		const struct provider *p = providers_find_id(ps, it->provider_id);

		if (p == NULL) {
			model_list_drop(l, it);
		} else if (strcmp(p->name, it->e.provider) != 0) {
			free((char *)it->e.provider);
			it->e.provider = xstrdup(p->name);
		}
	}
	sort(l);
}

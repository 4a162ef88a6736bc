#include "server/state/discovered.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/base/log.h"
#include "server/store/rows.h"

#define ROWS_PER_STEP 1000

struct cached {
	struct discovered_list list;
	char *provider_id, *base_url;
	bool *unsaved; /* per model: not on the disk as it is here */
	bool head_unsaved;
	size_t next; /* models before it are saved */
	char **gone; /* ids that are still on the disk */
	size_t gone_count;
};

struct discovered {
	struct store *store;
	struct providers *providers;
	struct changes *changes;
	struct loop_timer *timer;
	struct cached *lists;
	size_t count;
	char **dropped; /* providers whose whole list leaves the disk */
	size_t dropped_count;
};

static const char *
address(const struct provider *p)
{
	return p->base_url != NULL ? p->base_url : "";
}

static void
forget_gone(struct cached *c)
{
	for (size_t i = 0; i < c->gone_count; i++)
		free(c->gone[i]);
	free(c->gone);
	c->gone = NULL;
	c->gone_count = 0;
}

static void
cached_clear(struct cached *c)
{
	forget_gone(c);
	roster_clear(&c->list.models);
	free(c->unsaved);
	free(c->provider_id);
	free(c->base_url);
}

static struct cached *
find(const struct discovered *d, const char *provider_id)
{
	for (size_t i = 0; i < d->count; i++)
		if (strcmp(d->lists[i].provider_id, provider_id) == 0)
			return &d->lists[i];
	return NULL;
}

static void
words_add(char ***list, size_t *count, char *word)
{
	*list = xrealloc(*list, (*count + 1) * sizeof **list);
	(*list)[(*count)++] = word;
}

/* ---- to the disk, a step at a time ---- */

static int
save_model(struct discovered *d, const struct cached *c, const struct roster_model *m)
{
	const struct discovered_model_row row = { c->provider_id, m->id, m->title, m->context_tokens,
		m->output_tokens, m->abilities, m->loaded };

	return store_discovered_model_put(d->store, &row);
}

static int
save_list(struct discovered *d, struct cached *c, int *room)
{
	const struct discovered_list_row head = { c->provider_id, c->base_url, c->list.fetched_ms };
	int r = 0;

	while (r == 0 && c->gone_count > 0 && *room > 0) {
		char *id = c->gone[--c->gone_count];

		r = store_discovered_model_delete(d->store, c->provider_id, id);
		free(id);
		--*room;
	}
	for (; r == 0 && c->next < c->list.models.count && *room > 0; c->next++) {
		if (!c->unsaved[c->next])
			continue;
		r = save_model(d, c, &c->list.models.models[c->next]);
		c->unsaved[c->next] = false;
		--*room;
	}
	/* the time last: rows without it are not believed */
	if (r == 0 && *room > 0 && c->head_unsaved) {
		r = store_discovered_list_put(d->store, &head);
		c->head_unsaved = false;
	}
	return r;
}

static int
save_step(struct discovered *d, int *room)
{
	int r = 0;

	while (r == 0 && d->dropped_count > 0 && *room > 0) {
		char *id = d->dropped[--d->dropped_count];

		r = store_discovered_delete(d->store, id);
		free(id);
		*room -= ROWS_PER_STEP / 10;
	}
	for (size_t i = 0; i < d->count && r == 0 && *room > 0; i++)
		r = save_list(d, &d->lists[i], room);
	return r;
}

/* Nothing is known of what is on the disk: all of it is written again when there is a reason to. */
static void
doubt_all(struct discovered *d)
{
	for (size_t i = 0; i < d->dropped_count; i++)
		free(d->dropped[i]);
	d->dropped_count = 0;
	for (size_t i = 0; i < d->count; i++) {
		struct cached *c = &d->lists[i];

		words_add(&d->dropped, &d->dropped_count, xstrdup(c->provider_id));
		forget_gone(c);
		c->next = 0;
		c->head_unsaved = true;
		for (size_t k = 0; k < c->list.models.count; k++)
			c->unsaved[k] = true;
	}
}

/* 1: there is more to do. */
static int
save(struct discovered *d)
{
	int room = ROWS_PER_STEP, r;

	if (store_read_only(d->store))
		return 0;
	if ((r = store_begin(d->store)) == 0) {
		if ((r = save_step(d, &room)) == 0)
			r = store_commit(d->store);
		else
			store_rollback(d->store);
	}
	if (r == 0)
		return room <= 0;
	doubt_all(d);
	log_warn("the lists of models cannot be stored; they are kept in memory",
	    LOG_TEXT("file", store_path(d->store)), LOG_TEXT("code", error_code(r)));
	return 0;
}

static void
on_timer(void *arg)
{
	struct discovered *d = arg;

	if (save(d) == 1)
		loop_timer_start(d->timer, 0);
}

static void
drop_from_disk(struct discovered *d, const char *provider_id)
{
	for (size_t i = 0; i < d->dropped_count; i++)
		if (strcmp(d->dropped[i], provider_id) == 0)
			return;
	words_add(&d->dropped, &d->dropped_count, xstrdup(provider_id));
	loop_timer_start(d->timer, 0);
}

/* ---- from the disk ---- */

/* Somebody else's list: the provider is gone or lives elsewhere now. */
static bool
stale(const struct discovered *d, const char *provider_id, const char *base_url)
{
	const struct provider *p = providers_find_id(d->providers, provider_id);

	return p == NULL || strcmp(address(p), base_url) != 0;
}

static struct cached *
add(struct discovered *d, const char *provider_id, const char *base_url)
{
	struct cached *c;

	d->lists = xrealloc(d->lists, (d->count + 1) * sizeof *d->lists);
	c = &d->lists[d->count++];
	*c = (struct cached){ .provider_id = xstrdup(provider_id), .base_url = xstrdup(base_url) };
	return c;
}

static void
load_list(void *arg, const struct discovered_list_row *row)
{
	struct discovered *d = arg;

	if (stale(d, row->provider_id, row->base_url))
		drop_from_disk(d, row->provider_id);
	else
		add(d, row->provider_id, row->base_url)->list.fetched_ms = row->fetched_ms;
}

static void
load_model(void *arg, const struct discovered_model_row *row)
{
	struct discovered *d = arg;
	struct cached *c = find(d, row->provider_id);
	const struct listed_model m = { slice_of(row->model), slice_of(row->title),
		row->context_tokens, row->output_tokens, row->abilities, row->loaded };

	if (c != NULL)
		roster_add(&c->list.models, &m);
	else
		drop_from_disk(d, row->provider_id);
}

static void
settle(struct cached *c)
{
	roster_sort(&c->list.models);
	c->next = c->list.models.count;
	c->unsaved = xcalloc(c->next + 1, sizeof *c->unsaved);
}

static void
on_change(void *arg, const struct change *ch)
{
	struct discovered *d = arg;

	if (ch->topic != TOPIC_PROVIDERS || ch->method == NULL)
		return;
	for (size_t i = d->count; i-- > 0;) {
		struct cached *c = &d->lists[i];

		if (!stale(d, c->provider_id, c->base_url))
			continue;
		drop_from_disk(d, c->provider_id);
		cached_clear(c);
		*c = d->lists[--d->count];
	}
}

int
discovered_new(struct store *store, struct providers *providers, struct changes *changes,
    struct loop *loop, struct discovered **out, struct error *err)
{
	struct discovered *d = xcalloc(1, sizeof *d);
	int r;

	d->store = store;
	d->providers = providers;
	d->changes = changes;
	d->timer = loop_timer_new(loop, on_timer, d);
	if ((r = store_discovered_list_each(store, load_list, d)) == 0)
		r = store_discovered_model_each(store, load_model, d);
	for (size_t i = 0; i < d->count; i++)
		settle(&d->lists[i]);
	changes_subscribe(changes, on_change, d);
	if (r != 0) {
		discovered_free(d);
		return error_set(err, r, "the lists of models cannot be read from %s",
		    store_path(store));
	}
	*out = d;
	return 0;
}

void
discovered_free(struct discovered *d)
{
	if (d == NULL)
		return;
	if (loop_timer_running(d->timer))
		while (save(d) == 1)
			continue;
	changes_unsubscribe(d->changes, d);
	loop_timer_free(d->timer);
	for (size_t i = 0; i < d->count; i++)
		cached_clear(&d->lists[i]);
	for (size_t i = 0; i < d->dropped_count; i++)
		free(d->dropped[i]);
	free(d->dropped);
	free(d->lists);
	free(d);
}

/* ---- looking, and a new list ---- */

const struct discovered_list *
discovered_list(const struct discovered *d, const struct provider *p)
{
	const struct cached *c = find(d, p->id);

	return c != NULL ? &c->list : NULL;
}

const struct roster_model *
discovered_find(const struct discovered *d, const struct provider *p, const char *id)
{
	const struct cached *c = find(d, p->id);

	return c != NULL ? roster_find(&c->list.models, id) : NULL;
}

/* What differs from the old list is to be written; what only the old one has is to go. */
static void
compare(struct cached *c, const struct roster *old, const bool *old_unsaved, bool *unsaved)
{
	const struct roster *now = &c->list.models;
	size_t i = 0, k = 0;

	while (i < old->count || k < now->count) {
		int order = i == old->count ? 1
		    : k == now->count ? -1 : strcmp(old->models[i].id, now->models[k].id);

		if (order < 0) {
			words_add(&c->gone, &c->gone_count, xstrdup(old->models[i++].id));
		} else if (order > 0) {
			unsaved[k++] = true;
		} else {
			unsaved[k] = old_unsaved[i] ||
			    !roster_model_same(&old->models[i], &now->models[k]);
			i++;
			k++;
		}
	}
}

void
discovered_set(struct discovered *d, const struct provider *p, struct roster *models,
    int64_t now_ms)
{
	struct cached *c = find(d, p->id);
	struct roster old = { NULL, 0, 0 };
	bool *unsaved;

	if (c == NULL)
		c = add(d, p->id, address(p));
	free(c->base_url);
	c->base_url = xstrdup(address(p));
	roster_sort(models);
	unsaved = xcalloc(models->count + 1, sizeof *unsaved);
	roster_move(&old, &c->list.models);
	roster_move(&c->list.models, models);
	compare(c, &old, c->unsaved, unsaved);
	roster_clear(&old);
	free(c->unsaved);
	c->unsaved = unsaved;
	c->next = 0;
	c->head_unsaved = true;
	c->list.fetched_ms = now_ms;
	loop_timer_start(d->timer, 0);
}

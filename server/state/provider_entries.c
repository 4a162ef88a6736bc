#include "server/state/provider_entries.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/base/log.h"
#include "server/state/catalogue.h"
#include "server/state/provider_members.h"
#include "server/store/rows.h"

static int
compare(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->p->name, ((const struct entry *)b)->p->name);
}

void
entries_sort(struct entries *es)
{
	qsort(es->list, es->count, sizeof *es->list, compare);
}

static void
entry_clear(struct entry *e)
{
	provider_free(e->p);
	free(e->changed);
	health_clear(&e->health);
}

struct entry *
entries_add(struct entries *es, struct provider *p, size_t catalogue,
    const char *changed)
{
	struct entry *e;

	es->list = xrealloc(es->list, (es->count + 1) * sizeof *es->list);
	e = &es->list[es->count++];
	e->p = p;
	e->catalogue = catalogue;
	e->changed = xstrdup(changed);
	health_init(&e->health);
	return e;
}

void
entries_remove(struct entries *es, struct entry *e)
{
	size_t at = (size_t)(e - es->list);

	entry_clear(e);
	memmove(e, e + 1, (es->count - at - 1) * sizeof *e);
	es->count--;
}

struct entry *
entries_by_id(const struct entries *es, const char *id)
{
	for (size_t i = 0; i < es->count; i++)
		if (strcmp(es->list[i].p->id, id) == 0)
			return &es->list[i];
	return NULL;
}

struct entry *
entries_by_name(const struct entries *es, const char *name)
{
	for (size_t i = 0; i < es->count; i++)
		if (strcmp(es->list[i].p->name, name) == 0)
			return &es->list[i];
	for (size_t i = 0; i < es->count; i++)
		if (es->list[i].catalogue != NOT_SHIPPED
		    && word_listed(catalogue_also_known_as(es->list[i].catalogue), slice_of(name)))
			return &es->list[i];
	return NULL;
}

void
entry_forget_name(size_t catalogue, const char *name, char **changed)
{
	char *rest;

	if (catalogue == NOT_SHIPPED || strcmp(catalogue_name_at(catalogue), name) != 0 ||
	    !provider_members_has(*changed, "name"))
		return;
	rest = provider_members_without(*changed, "name");
	free(*changed);
	*changed = rest;
}

/* ---- loading ---- */

/* A user's row over the catalogue: only the members it names, so a newer catalogue improves the rest. */
static void
load_row(void *arg, const struct provider_row *row)
{
	struct entries *es = arg;
	struct entry *e = entries_by_id(es, row->provider->id);

	if (e == NULL) {
		/* the user's own, or a change to a provider that is no longer shipped */
		struct provider *p = provider_copy(row->provider);

		p->origin = ORIGIN_USER;
		entries_add(es, p, NOT_SHIPPED, "*");
		return;
	}
	provider_members_copy(e->p, row->provider, row->changed);
	e->p->rev = row->provider->rev;
	e->p->origin = ORIGIN_USER;
	free(e->changed);
	e->changed = xstrdup(row->changed);
	entry_forget_name(e->catalogue, e->p->name, &e->changed);
}

/* A catalogue that grew may ship a name the user already gave away: the user's provider keeps it. */
static void
settle_names(struct entries *es)
{
	for (size_t i = 0; i < es->count; i++) {
		struct entry *own = &es->list[i], *e;

		if (own->catalogue != NOT_SHIPPED)
			continue;
		for (size_t k = 0; k < es->count; k++) {
			e = &es->list[k];
			if (e != own && strcmp(e->p->name, own->p->name) == 0) {
				log_warn("a built-in provider is hidden by one of the user's",
				    LOG_TEXT("name", own->p->name));
				entries_remove(es, e);
				settle_names(es);
				return;
			}
		}
	}
}

int
entries_load(struct entries *es, struct store *store)
{
	int r;

	for (size_t i = 0; i < catalogue_provider_count(); i++)
		entries_add(es, catalogue_provider(i), i, NULL);
	r = store_provider_each(store, load_row, es);
	settle_names(es);
	entries_sort(es);
	return r;
}

void
entries_clear(struct entries *es)
{
	for (size_t i = 0; i < es->count; i++)
		entry_clear(&es->list[i]);
	free(es->list);
	es->list = NULL;
	es->count = 0;
}

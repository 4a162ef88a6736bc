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
	provider_free(e->below);
	free(e->team);
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
	e->below = NULL;
	e->team = NULL;
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

bool
entry_is_shipped(const struct entry *e)
{
	return e->below != NULL || e->catalogue != NOT_SHIPPED;
}

struct provider *
entry_shipped(const struct entry *e)
{
	if (e->below != NULL)
		return provider_copy(e->below);
	return e->catalogue != NOT_SHIPPED ? catalogue_provider(e->catalogue) : NULL;
}

void
entry_forget_name(const struct entry *e, const char *name, char **changed)
{
	const char *shipped = e->below != NULL               ? e->below->name
			      : e->catalogue != NOT_SHIPPED ? catalogue_name_at(e->catalogue)
							    : NULL;
	char *rest;

	if (shipped == NULL || strcmp(shipped, name) != 0 || !provider_members_has(*changed, "name"))
		return;
	rest = provider_members_without(*changed, "name");
	free(*changed);
	*changed = rest;
}

/* ---- loading ---- */

static bool
is_of_a_bundle(const struct provider_row *row)
{
	return strncmp(row->provider->id, BUNDLE_ROW_PREFIX, sizeof BUNDLE_ROW_PREFIX - 1) == 0;
}

/* A bundle's row: over the catalogue, only the members it names; else a provider of its own. */
static void
load_bundle_row(void *arg, const struct provider_row *row)
{
	const char *team = row->provider->id + sizeof BUNDLE_ROW_PREFIX - 1, *id;
	struct entries *es = arg;
	struct entry *e;

	if (!is_of_a_bundle(row) || (id = strchr(team, '/')) == NULL)
		return;
	if ((e = entries_by_id(es, id + 1)) == NULL) {
		struct provider *p;

		if (strncmp(id + 1, BUNDLE_ID_PREFIX, sizeof BUNDLE_ID_PREFIX - 1) != 0)
			return; /* a change to a provider that is no longer shipped */
		p = provider_copy(row->provider);
		free(p->id);
		p->id = xstrdup(id + 1);
		e = entries_add(es, p, NOT_SHIPPED, NULL);
	} else if (e->team == NULL) {
		provider_members_copy(e->p, row->provider, row->changed);
	} else {
		return; /* two teams, one provider: the first in the order of names has it */
	}
	e->p->rev = row->provider->rev;
	e->p->origin = ORIGIN_BUNDLE;
	e->team = slice_dup((struct slice){ team, (size_t)(id - team) });
	e->below = provider_copy(e->p);
}

/* A user's row over what is shipped: only the members it names, so that newer ones improve the rest. */
static void
load_row(void *arg, const struct provider_row *row)
{
	struct entries *es = arg;
	struct entry *e;

	if (is_of_a_bundle(row))
		return;
	if ((e = entries_by_id(es, row->provider->id)) == NULL) {
		/* the user's own, or a change to a provider that is no longer shipped */
		struct provider *p = provider_copy(row->provider);

		p->origin = ORIGIN_USER;
		entries_add(es, p, NOT_SHIPPED, "*");
		return;
	}
	provider_members_copy(e->p, row->provider, row->changed);
	if (row->provider->rev > e->p->rev)
		e->p->rev = row->provider->rev;
	e->p->origin = ORIGIN_USER;
	free(e->changed);
	e->changed = xstrdup(row->changed);
	entry_forget_name(e, e->p->name, &e->changed);
}

/* Who keeps a name that two have: the user's own, then a bundle's, then the catalogue's. */
static int
rank(const struct entry *e)
{
	if (e->catalogue != NOT_SHIPPED)
		return 0;
	return e->below != NULL ? 1 : 2;
}

/* A catalogue that grew, or a bundle, may ship a name that was given away already. */
static void
settle_names(struct entries *es)
{
	for (size_t i = 0; i < es->count; i++) {
		struct entry *own = &es->list[i], *e;

		if (rank(own) == 0)
			continue;
		for (size_t k = 0; k < es->count; k++) {
			e = &es->list[k];
			if (rank(e) < rank(own) && strcmp(e->p->name, own->p->name) == 0) {
				log_warn("a provider that is shipped is hidden by another of its name",
				    LOG_TEXT("name", own->p->name));
				entries_remove(es, e);
				es->hidden++;
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
	if ((r = store_provider_each(store, load_bundle_row, es)) == 0)
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
	es->count = es->hidden = 0;
}

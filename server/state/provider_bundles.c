/* provider_bundles.c - what the bundles of teams say about providers. */
#include <stdlib.h>
#include <string.h>

#include "protocol/base/buf.h"
#include "protocol/base/str.h"
#include "server/state/provider_members.h"
#include "server/state/providers_inside.h"
#include "server/store/rows.h"

#define BUNDLE_PROVIDERS_MAX 500

const char *
providers_team(const struct providers *ps, const struct provider *p)
{
	const struct entry *e = entries_by_id(&ps->entries, p->id);

	return e != NULL ? e->team : NULL;
}

const char *
providers_bundle_name(const struct provider *p, const char *team)
{
	size_t prefix = sizeof BUNDLE_ID_PREFIX - 1, n = strlen(team);

	if (strncmp(p->id, BUNDLE_ID_PREFIX, prefix) != 0 || strncmp(p->id + prefix, team, n) != 0 ||
	    p->id[prefix + n] != '/')
		return NULL;
	return p->id + prefix + n + 1;
}

/* "team:acme/lab", "bundle:acme/team:acme/lab" */
static char *
joined(const char *prefix, const char *team, const char *rest)
{
	struct buf b = BUF_INIT;

	buf_addf(&b, "%s%s/%s", prefix, team, rest);
	return buf_steal(&b, NULL);
}

/* ---- checks ---- */

static int
claim(const struct providers *ps, const char *team, const struct bundle_provider *b, struct error *err)
{
	const struct entry *other = entries_by_name(&ps->entries, b->p->name);
	bool own = other != NULL && !entry_is_shipped(other), ours;

	/* the user's own provider of that name stays and hides it */
	if (other == NULL || own)
		return 0;
	ours = other->team != NULL && strcmp(other->team, team) == 0;
	if (ours && strcmp(other->below->name, b->p->name) == 0)
		return 0;
	if (other->team != NULL && !ours)
		error_set(err, MP_E_CONFLICT, "the bundle of team %s has a provider %s, too", other->team,
		    b->p->name);
	else
		error_set(err, MP_E_CONFLICT, "%s is a name of the provider %s here", b->p->name,
		    other->p->name);
	return MP_E_CONFLICT;
}

static int
check(const struct providers *ps, const char *team, const struct bundle_provider *b, struct error *err)
{
	const struct entry *e;
	int r;

	if ((r = provider_check(b->p, err)) != 0)
		return r;
	if (strcmp(b->members, "*") == 0)
		return claim(ps, team, b, err);
	e = entries_by_id(&ps->entries, b->p->id);
	if (e != NULL && e->team != NULL && strcmp(e->team, team) != 0)
		return error_set(err, MP_E_CONFLICT, "the bundle of team %s says something about %s, too",
		    e->team, b->p->name);
	return 0;
}

/* ---- rows ---- */

struct rows {
	const char *prefix;
	char **ids;
	size_t count;
};

static void
collect(void *arg, const struct provider_row *row)
{
	struct rows *found = arg;

	if (strncmp(row->provider->id, found->prefix, strlen(found->prefix)) != 0)
		return;
	found->ids = xrealloc(found->ids, (found->count + 1) * sizeof *found->ids);
	found->ids[found->count++] = xstrdup(row->provider->id);
}

static void
rows_clear(struct rows *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->ids[i]);
	free(l->ids);
}

static bool
brings(const struct bundle_provider *list, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i].members, "*") == 0 && strcmp(list[i].p->name, name) == 0)
			return true;
	return false;
}

/* The rows whose id begins with prefix, but for those about a provider that the list brings. */
static int
delete_rows(struct providers *ps, const char *prefix, const struct bundle_provider *list, size_t count)
{
	struct rows found = { prefix, NULL, 0 };
	int r = store_provider_each(ps->store, collect, &found);

	for (size_t i = 0; i < found.count && r == 0; i++)
		if (list == NULL || !brings(list, count, found.ids[i] + strlen(prefix)))
			r = store_provider_delete(ps->store, found.ids[i]);
	rows_clear(&found);
	return r;
}

static int
put(struct providers *ps, const char *team, const struct bundle_provider *b)
{
	struct provider *copy = provider_copy(b->p);
	struct provider_row row = { copy, b->members };
	char *own;
	int r;

	if (strcmp(b->members, "*") == 0) {
		own = joined(BUNDLE_ID_PREFIX, team, copy->name);
		free(copy->id);
		copy->id = own;
	}
	own = joined(BUNDLE_ROW_PREFIX, team, copy->id);
	free(copy->id);
	copy->id = own;
	copy->origin = ORIGIN_BUNDLE;
	copy->rev = changes_next_rev(ps->changes);
	r = store_provider_put(ps->store, &row);
	provider_free(copy);
	return r;
}

static int
write_rows(struct providers *ps, const char *team, const struct bundle_provider *list, size_t count)
{
	char *prefix = joined(BUNDLE_ROW_PREFIX, team, "");
	int r = delete_rows(ps, prefix, NULL, 0);

	for (size_t i = 0; i < count && r == 0; i++)
		r = put(ps, team, &list[i]);
	free(prefix);
	prefix = joined(BUNDLE_ID_PREFIX, team, "");
	if (r == 0)
		r = delete_rows(ps, prefix, list, count);
	free(prefix);
	return r;
}

/* ---- news ---- */

static struct provider **
copies(const struct providers *ps, size_t *count)
{
	struct provider **list = xcalloc(ps->entries.count + 1, sizeof(struct provider *));

	*count = ps->entries.count;
	for (size_t i = 0; i < *count; i++)
		list[i] = provider_copy(ps->entries.list[i].p);
	return list;
}

static const struct provider *
with_id(struct provider *const *list, size_t count, const char *id)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i]->id, id) == 0)
			return list[i];
	return NULL;
}

/* Tells what is another now; frees the list. */
static void
tell(struct providers *ps, struct provider **before, size_t count)
{
	bool any = false;

	for (size_t i = 0; i < ps->entries.count; i++) {
		const struct provider *now = ps->entries.list[i].p, *was = with_id(before, count, now->id);

		if (was != NULL && was->origin == now->origin && provider_members_same(was, now, "*"))
			continue;
		changes_note(ps->changes, TOPIC_PROVIDERS,
		    was == NULL ? CHANGE_ADD : CHANGE_UPDATE, now->name);
		any = true;
	}
	for (size_t i = 0; i < count; i++) {
		if (providers_find_id(ps, before[i]->id) == NULL) {
			changes_note(ps->changes, TOPIC_PROVIDERS, CHANGE_REMOVE, before[i]->name);
			any = true;
		}
		provider_free(before[i]);
	}
	free(before);
	if (any)
		changes_note(ps->changes, TOPIC_ROUTE, CHANGE_SET, "");
}

int
providers_bundle(struct providers *ps, const char *team, const struct bundle_provider *list,
    size_t count, size_t *at, struct error *err)
{
	struct provider **before;
	size_t before_count;
	int r;

	*at = 0;
	if (count > BUNDLE_PROVIDERS_MAX)
		return error_set(err, MP_E_TOO_MANY, "a bundle has at most %d providers",
		    BUNDLE_PROVIDERS_MAX);
	for (; *at < count; ++*at)
		if ((r = check(ps, team, &list[*at], err)) != 0)
			return r;
	before = copies(ps, &before_count);
	if ((r = write_rows(ps, team, list, count)) != 0)
		error_set(err, r, "the providers of team %s cannot be stored: %s", team,
		    store_path(ps->store));
	providers_reload(ps);
	tell(ps, before, before_count);
	return r;
}

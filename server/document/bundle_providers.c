/* bundle_providers.c - the providers of a bundle: read into the layer below the user's rows, and written from
 * those. */
#include <stdlib.h>
#include <string.h>

#include "protocol/base/buf.h"
#include "protocol/base/str.h"
#include "server/dialect/dialect.h"
#include "server/document/bundle_inside.h"
#include "server/document/provider_node.h"
#include "server/state/catalogue.h"
#include "server/state/provider_members.h"
#include "server/state/provider_users.h"

/* What is of one machine, or would have a program of somebody else's choice run. */
#define OF_A_MACHINE "ca_file proxy program login_command"

struct provider *
bundle_catalogue_provider(const char *name)
{
	for (size_t i = 0; i < catalogue_provider_count(); i++)
		if (strcmp(catalogue_name_at(i), name) == 0)
			return catalogue_provider(i);
	return NULL;
}

bool
bundle_is_plan(const struct provider *p)
{
	const struct dialect *d = dialect_find(p->dialect);

	return p->type == PROVIDER_PLAN_BASED || p->auth == AUTH_OAUTH_PERSONAL ||
	       (d != NULL && d->terms != NULL);
}

/* ---- reading ---- */

struct wanted {
	struct bundle_provider *items;
	const struct node **nodes;
	size_t count;
};

static void
wanted_clear(struct wanted *l)
{
	for (size_t i = 0; i < l->count; i++) {
		provider_free(l->items[i].p);
		free((char *)l->items[i].members);
	}
	free(l->items);
	free(l->nodes);
}

static bool
check_members(const struct node *m, struct problems *ps)
{
	bool good = true;

	for (const struct node *k = m->first; k != NULL; k = k->next) {
		if (!word_listed(OF_A_MACHINE, slice_of(k->key)))
			continue;
		problem_add(ps, k->key_line, k->key_column,
		    "a bundle does not say %s: that is for each member's own machine", k->key);
		good = false;
	}
	return good;
}

static bool
check_plan(const struct node *m, const struct provider *shipped, const struct provider *p,
    struct problems *ps)
{
	if (!bundle_is_plan(p) && (shipped == NULL || !bundle_is_plan(shipped)))
		return true;
	problem_add(ps, m->key_line, m->key_column,
	    "%.64s is one that each member logs in to himself: a bundle says nothing about it", m->key);
	return false;
}

/* One entry; false when something was reported. */
static bool
read_one(struct bundle_change *b, const struct node *m, struct bundle_provider *out)
{
	struct provider *shipped = bundle_catalogue_provider(m->key);
	struct problems *ps = b->c.problems;
	struct buf members = BUF_INIT;
	struct error err = ERROR_INIT;
	bool good;

	out->p = shipped != NULL ? provider_copy(shipped) : provider_new();
	if (shipped == NULL)
		out->p->name = xstrdup(m->key);
	good = check_members(m, ps) && provider_node_read(m, "", out->p, &members, ps);
	if (good && shipped == NULL &&
	    dialect_complete(out->p, node_get(m, "type") != NULL, node_get(m, "auth_type") != NULL,
	    &err) != 0) {
		node_problem(node_get(m, "base_url") != NULL ? node_get(m, "base_url") : m, &err, ps);
		good = false;
	}
	good = good && check_plan(m, shipped, out->p, ps);
	out->members = shipped == NULL ? xstrdup("*") : buf_steal(&members, NULL);
	if (out->members == NULL)
		out->members = xstrdup("");
	buf_clear(&members);
	provider_free(shipped);
	if (!good) {
		provider_free(out->p);
		free((char *)out->members);
	}
	return good;
}

static void
read_all(struct bundle_change *b, struct wanted *l)
{
	const struct node *n = b->content != NULL ? node_get(b->content->root, "providers") : NULL;

	if (!node_is_map(n, "providers", b->c.problems) || n == NULL)
		return;
	l->items = xcalloc(n->count + 1, sizeof *l->items);
	l->nodes = xcalloc(n->count + 1, sizeof(const struct node *));
	for (const struct node *m = n->first; m != NULL; m = m->next) {
		if (!node_is_map(m, m->key, b->c.problems) || !read_one(b, m, &l->items[l->count]))
			continue;
		l->nodes[l->count++] = m;
	}
}

/* ---- what goes ---- */

static struct provider_house
house_of(const struct document_parts *parts)
{
	return (struct provider_house){ parts->chains, parts->overrides, parts->sessions, parts->models,
		parts->credentials, parts->own_prices };
}

static bool
is_brought(const struct wanted *l, const char *name)
{
	for (size_t i = 0; i < l->count; i++)
		if (strcmp(l->items[i].members, "*") == 0 && strcmp(l->items[i].p->name, name) == 0)
			return true;
	return false;
}

/* A provider of this bundle that it has no more: what hangs on it goes, too. */
static int
drop_one(struct bundle_change *b, const struct provider *p, struct error *err)
{
	const struct provider_house h = house_of(b->c.parts);
	unsigned users = provider_users(&h, p);
	bool changed = *providers_members_set(b->c.parts->providers, p) != '\0';
	struct buf text = BUF_INIT;

	provider_users_text(users, &text);
	if (changed)
		buf_addf(&text, "%syour changes to it", text.len > 0 ? ", " : "");
	if (text.len > 0)
		sentence_add(b->c.losses, "provider %s goes, and with it %s", p->name, buf_str(&text));
	buf_clear(&text);
	return provider_users_remove(&h, p, err);
}

static int
drop_others(struct bundle_change *b, const struct wanted *l, struct error *err)
{
	const struct providers *ps = b->c.parts->providers;
	int r = 0;

	for (size_t i = 0; i < providers_count(ps) && r == 0; i++) {
		const struct provider *p = providers_at(ps, i);
		const char *name = providers_bundle_name(p, b->team);

		if (name != NULL && !is_brought(l, name))
			r = drop_one(b, p, err);
	}
	return r;
}

/* ---- making it so ---- */

/* Providers as they were, to see which of them are somewhere else afterwards. */
struct addresses {
	struct provider **list;
	size_t count;
};

static void
addresses_note(const struct providers *ps, struct addresses *a)
{
	a->count = providers_count(ps);
	a->list = xcalloc(a->count + 1, sizeof(struct provider *));
	for (size_t i = 0; i < a->count; i++)
		a->list[i] = provider_copy(providers_at(ps, i));
}

static void
addresses_clear(struct addresses *a)
{
	for (size_t i = 0; i < a->count; i++)
		provider_free(a->list[i]);
	free(a->list);
}

/* The user's keys stay where they were stored for. */
static int
follow_origins(struct bundle_change *b, const struct addresses *before, struct error *err)
{
	const struct provider_house h = house_of(b->c.parts);
	int r = 0;

	for (size_t i = 0; i < before->count && r == 0; i++) {
		const struct provider *after =
		    providers_find_id(b->c.parts->providers, before->list[i]->id);

		if (after == NULL || !provider_origin_differs(before->list[i], after) ||
		    (provider_users(&h, after) & PROVIDER_HAS_KEY) == 0)
			continue;
		sentence_add(b->c.notes,
		    "%s has another address: your stored key is kept but not sent there; set "
		    "one for it to use "
		    "it",
		    after->name);
		r = credentials_origin_moved(b->c.parts->credentials, after, err);
	}
	return r;
}

static void
note_hidden(struct bundle_change *b, const struct wanted *l)
{
	const struct providers *ps = b->c.parts->providers;

	for (size_t i = 0; i < l->count; i++) {
		const struct provider *p = providers_find(ps, l->items[i].p->name);

		if (strcmp(l->items[i].members, "*") == 0 && p != NULL && providers_team(ps, p) == NULL)
			sentence_add(b->c.notes,
			    "you have a provider %s of your own: the team's is hidden by it",
			    p->name);
	}
}

static int
put(struct bundle_change *b, const struct wanted *l, struct error *err)
{
	size_t at;
	int r = providers_bundle(b->c.parts->providers, b->team, l->items, l->count, &at, err);
	const struct node *n = at < l->count ? l->nodes[at] : NULL;
	const struct node *member = n != NULL ? node_get(n, err->field) : NULL;

	if (r == 0 || n == NULL)
		return r;
	return section_blame(&b->c, member != NULL ? member : n, member == NULL, r, err);
}

int
bundle_providers_apply(struct bundle_change *b, struct error *err)
{
	struct wanted l = { NULL, NULL, 0 };
	struct addresses before;
	size_t problems = b->c.problems->count;
	int r = 0;

	read_all(b, &l);
	if (b->c.problems->count == problems) {
		addresses_note(b->c.parts->providers, &before);
		if ((r = drop_others(b, &l, err)) == 0 && (r = put(b, &l, err)) == 0)
			r = follow_origins(b, &before, err);
		models_follow(b->c.parts->models);
		note_hidden(b, &l);
		addresses_clear(&before);
	}
	wanted_clear(&l);
	return r;
}

/* ---- writing ---- */

/* What of p the user said and a bundle may; "" = nothing. The caller frees it. */
static char *
members_to_write(const struct document_parts *parts, const struct provider *p)
{
	static const char of_a_machine[][16] = { "name", "ca_file", "proxy", "program", "login_command" };
	char *members = provider_members_join(providers_members_set(parts->providers, p), "");

	for (size_t i = 0; i < sizeof of_a_machine / sizeof of_a_machine[0]; i++) {
		char *rest = provider_members_without(members, of_a_machine[i]);

		free(members);
		members = rest;
	}
	return members;
}

/* Why it stays out, or NULL. */
static const char *
why_not(const struct document_parts *parts, const struct provider *p, const struct provider *shipped)
{
	struct provider *hidden;

	if (providers_team(parts->providers, p) != NULL)
		return "it comes from a team's bundle itself";
	if (bundle_is_plan(p) || (shipped != NULL && bundle_is_plan(shipped)))
		return "everybody logs in to it himself";
	if (shipped != NULL)
		return NULL;
	if ((hidden = bundle_catalogue_provider(p->name)) == NULL)
		return NULL;
	provider_free(hidden);
	return "it has the name of a built-in provider";
}

static void
write_one(const struct document_parts *parts, struct writer *w, const struct provider *p,
    struct sentences *notes)
{
	const char *name = catalogue_name(p->id), *why;
	struct provider *shipped = name != NULL ? bundle_catalogue_provider(name) : NULL, *clean;
	char *members = members_to_write(parts, p);

	if ((why = why_not(parts, p, shipped)) != NULL) {
		sentence_add(notes, "%s is left out: %s", p->name, why);
	} else if (*members != '\0') {
		clean = provider_copy(p);
		if (shipped == NULL)
			provider_members_copy(clean, &(struct provider){ .name = NULL },
			    OF_A_MACHINE);
		write_begin(w, shipped != NULL ? name : p->name);
		provider_node_write(w, clean, shipped != NULL ? members : "*");
		write_end(w);
		provider_free(clean);
	}
	free(members);
	provider_free(shipped);
}

void
bundle_providers_write(const struct document_parts *parts, struct writer *w,
    struct sentences *notes)
{
	const struct providers *ps = parts->providers;
	struct buf inner = BUF_INIT;
	struct writer into;

	/* whether there is any is known only afterwards */
	writer_init(&into, &inner, false);
	into.depth = 1;
	for (size_t i = 0; i < providers_count(ps); i++)
		if (*providers_members_set(ps, providers_at(ps, i)) != '\0')
			write_one(parts, &into, providers_at(ps, i), notes);
	if (inner.len > 0) {
		write_begin(w, "providers");
		buf_add(w->out, inner.data, inner.len);
		write_end(w);
	}
	buf_clear(&inner);
}

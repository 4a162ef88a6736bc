/* section_providers.c - providers: NAME: {MEMBER: VALUE}.
 *
 * A built-in provider is there with the members that the user set; his own are there whole. Which
 * of the two a name means is plain from the name, unless one was renamed or hides the other: then
 * `built_in` says it (the name the catalogue has for it, or false). */
#include <stdlib.h>
#include <string.h>

#include "protocol/base/buf.h"
#include "protocol/base/str.h"
#include "server/dialect/dialect.h"
#include "server/document/provider_node.h"
#include "server/document/section.h"
#include "server/model/uuid.h"
#include "server/state/catalogue.h"
#include "server/state/provider_users.h"

#define BUILT_IN "built_in"
#define NAME_MAX_BYTES 64

/* ---- export ---- */

/* The name of a built-in provider in the catalogue; NULL for the user's own. */
static const char *
shipped_name(const struct document_parts *parts, const struct provider *p)
{
	const char *name = catalogue_name(p->id);

	/* a provider that is no longer shipped has become the user's own */
	return name != NULL && providers_find_shipped(parts->providers, name) == p ? name : NULL;
}

static bool
name_is_shipped(const char *name)
{
	for (size_t i = 0; i < catalogue_provider_count(); i++)
		if (strcmp(catalogue_name_at(i), name) == 0)
			return true;
	return false;
}

static void
export_one(const struct document_parts *parts, struct writer *w, const struct provider *p)
{
	const char *members = providers_members_set(parts->providers, p);
	const char *shipped = shipped_name(parts, p);
	bool renamed = shipped != NULL && strcmp(shipped, p->name) != 0;
	bool hides = shipped == NULL && name_is_shipped(p->name);

	if (!renamed && !hides && provider_node_is_bare(p, members)) {
		write_empty_map(w, p->name);
		return;
	}
	write_begin(w, p->name);
	if (renamed)
		write_text(w, BUILT_IN, shipped);
	else if (hides)
		write_bool(w, BUILT_IN, false);
	provider_node_write(w, p, members);
	write_end(w);
}

void
section_providers_export(const struct document_parts *parts, struct writer *w)
{
	const struct providers *ps = parts->providers;
	bool any = false;

	for (size_t i = 0; i < providers_count(ps); i++) {
		if (*providers_members_set(ps, providers_at(ps, i)) == '\0')
			continue;
		if (!any)
			write_begin(w, "providers");
		any = true;
		export_one(parts, w, providers_at(ps, i));
	}
	if (any)
		write_end(w);
	else
		write_empty_map(w, "providers");
}

/* ---- what the document wants ---- */

struct wanted {
	const struct node *node; /* NULL: built in and not in the document */
	struct provider *p;      /* with the id it has or will have */
	char *members;
	bool shipped;
	bool done;
};

struct wanted_list {
	struct wanted *items;
	size_t count;
};

static void
wanted_clear(struct wanted_list *l)
{
	for (size_t i = 0; i < l->count; i++) {
		provider_free(l->items[i].p);
		free(l->items[i].members);
	}
	free(l->items);
}

static void
wanted_add(struct wanted_list *l, struct wanted w)
{
	l->items = xrealloc(l->items, (l->count + 1) * sizeof *l->items);
	l->items[l->count++] = w;
}

static const struct wanted *
wanted_id(const struct wanted_list *l, const char *id)
{
	for (size_t i = 0; i < l->count; i++)
		if (strcmp(l->items[i].p->id, id) == 0)
			return &l->items[i];
	return NULL;
}

/* Which provider the entry is about: *shipped NULL = one of the user's own. False when that was reported. */
static bool
find_shipped(struct document_change *c, const struct node *m, const struct provider **shipped)
{
	const struct node *said = node_get(m, BUILT_IN);
	const char *name = m->key;
	struct error err = ERROR_INIT;

	*shipped = NULL;
	if (said != NULL && said->kind == NODE_SCALAR && !said->quoted && strcmp(said->text, "false") == 0)
		return true;
	if (said != NULL && (name = node_text(said, BUILT_IN, NAME_MAX_BYTES, c->problems)) == NULL)
		return false;
	*shipped = providers_find_shipped(c->parts->providers, name);
	if (*shipped != NULL || (said == NULL && !name_is_shipped(name)))
		return true;
	if (name_is_shipped(name))
		error_set(&err, MP_E_CONFLICT,
		    "a provider of your own hides the built-in %s: say built_in: false", name);
	else
		error_set(&err, MP_E_NOT_FOUND, "no built-in provider is called \"%.80s\"", name);
	node_problem(said != NULL ? said : m, &err, c->problems);
	return false;
}

/* The user's own provider of that name, or a new one. */
static struct provider *
own_or_new(const struct document_parts *parts, const char *name)
{
	const struct provider *now = providers_find(parts->providers, name);
	struct provider *p = provider_new();

	if (now != NULL && shipped_name(parts, now) == NULL) {
		free(p->id);
		p->id = xstrdup(now->id);
	}
	p->name = xstrdup(name);
	return p;
}

static bool
read_own(struct document_change *c, const struct node *m, struct wanted *w)
{
	struct buf members = BUF_INIT;
	struct error err = ERROR_INIT;
	bool good;

	w->p = own_or_new(c->parts, m->key);
	w->members = xstrdup("*");
	good = provider_node_read(m, BUILT_IN, w->p, &members, c->problems);
	if (good && dialect_complete(w->p, node_get(m, "type") != NULL, node_get(m, "auth_type") != NULL,
	    &err) != 0) {
		node_problem(node_get(m, "base_url") != NULL ? node_get(m, "base_url") : m, &err,
		    c->problems);
		good = false;
	}
	buf_clear(&members);
	return good;
}

static bool
read_shipped(struct document_change *c, const struct node *m, const struct provider *now,
    struct wanted *w)
{
	struct buf members = BUF_INIT;
	bool good;

	w->shipped = true;
	w->p = providers_shipped(c->parts->providers, now);
	good = provider_node_read(m, BUILT_IN, w->p, &members, c->problems);
	if (strcmp(w->p->name, m->key) != 0) {
		free(w->p->name);
		w->p->name = xstrdup(m->key);
		buf_addf(&members, " name");
	}
	w->members = buf_steal(&members, NULL);
	if (w->members == NULL)
		w->members = xstrdup("");
	return good;
}

static void
read_one(struct document_change *c, const struct node *m, struct wanted_list *l)
{
	struct wanted w = { .node = m };
	const struct provider *shipped;
	bool good;

	if (!node_is_map(m, m->key, c->problems) || !find_shipped(c, m, &shipped))
		return;
	good = shipped != NULL ? read_shipped(c, m, shipped, &w) : read_own(c, m, &w);
	if (good && wanted_id(l, w.p->id) != NULL) {
		problem_add(c->problems, m->key_line, m->key_column,
		    "\"%.80s\" is the same provider as \"%.80s\"", m->key,
		    wanted_id(l, w.p->id)->node->key);
		good = false;
	}
	if (!good) {
		provider_free(w.p);
		free(w.members);
		return;
	}
	wanted_add(l, w);
}

/* ---- making it so ---- */

static struct provider_house
house_of(const struct document_parts *parts)
{
	return (struct provider_house){ parts->chains, parts->overrides, parts->sessions, parts->models,
		parts->credentials, parts->own_prices };
}

/* Keys that would go to somebody else now are kept, but not sent. */
static int
follow_origin(struct document_change *c, const struct provider *before, struct error *err)
{
	const struct provider_house h = house_of(c->parts);
	const struct provider *after = providers_find_id(c->parts->providers, before->id);

	if (after == NULL || !provider_origin_differs(before, after) ||
	    (provider_users(&h, after) & PROVIDER_HAS_KEY) == 0)
		return 0;
	sentence_add(c->notes,
	    "%s has another address: its stored key is kept but not sent there; set it again to "
	    "use it",
	    after->name);
	return credentials_origin_moved(c->parts->credentials, after, err);
}

static void
note_terms(struct document_change *c, const struct provider *before, const struct provider *after)
{
	const struct dialect *d = dialect_find(after->dialect);

	if (d != NULL && d->terms != NULL && after->enabled && (before == NULL || !before->enabled))
		sentence_add(c->notes, "%s", d->terms);
}

/* The place of what err is about. */
static int
blame(struct document_change *c, const struct wanted *w, int r, const struct error *err)
{
	static const struct node nowhere = { .kind = NODE_MAP };
	const struct node *member = w->node != NULL ? node_get(w->node, err->field) : NULL;

	if (r == MP_E_INVALID_PARAMS && member != NULL)
		return section_blame(c, member, false, r, err);
	return section_blame(c, w->node != NULL ? w->node : &nowhere, true, r, err);
}

static int
define(struct document_change *c, const struct wanted *w, struct error *err)
{
	const struct provider *now = providers_find_id(c->parts->providers, w->p->id);
	struct provider *before = now != NULL ? provider_copy(now) : NULL;
	int r;

	r = before == NULL ? providers_add(c->parts->providers, w->p, err)
	                   : providers_define(c->parts->providers, w->p, w->members, err);
	if (r == 0)
		note_terms(c, before, providers_find_id(c->parts->providers, w->p->id));
	if (r == 0 && before != NULL)
		r = follow_origin(c, before, err);
	provider_free(before);
	return blame(c, w, r, err);
}

static int
remove_own(struct document_change *c, const struct provider *p, struct error *err)
{
	const struct provider_house h = house_of(c->parts);
	/* what the document says itself is no loss */
	const unsigned said =
	    PROVIDER_HAS_MODEL | PROVIDER_HAS_MODELS | PROVIDER_HAS_CHAIN | PROVIDER_HAS_PRICE;
	unsigned users = provider_users(&h, p) & ~said;
	struct buf text = BUF_INIT;
	bool reverted;
	int r;

	if (users != 0) {
		provider_users_text(users, &text);
		sentence_add(c->losses, "provider %s goes, and with it %s", p->name, buf_str(&text));
		buf_clear(&text);
	}
	if ((r = provider_users_remove(&h, p, err)) != 0)
		return r;
	return providers_remove(c->parts->providers, p->name, &reverted, err);
}

/* What the document does not name: the user's own go; a built-in one is wanted as it is shipped. */
static int
drop_or_revert(struct document_change *c, const struct provider *p, struct wanted_list *l,
    struct error *err)
{
	if (shipped_name(c->parts, p) == NULL)
		return remove_own(c, p, err);
	wanted_add(l, (struct wanted){NULL, providers_shipped(c->parts->providers, p), xstrdup(""),
			  true, false});
	return 0;
}

static int
drop_others(struct document_change *c, struct wanted_list *l, struct error *err)
{
	const struct providers *ps = c->parts->providers;
	size_t count = providers_count(ps), n = 0;
	char **ids = xcalloc(count + 1, sizeof *ids); /* the list changes below */
	int r = 0;

	for (size_t i = 0; i < count; i++) {
		const struct provider *p = providers_at(ps, i);

		if (*providers_members_set(ps, p) != '\0' && wanted_id(l, p->id) == NULL)
			ids[n++] = xstrdup(p->id);
	}
	for (size_t i = 0; i < n; i++) {
		const struct provider *p = providers_find_id(ps, ids[i]);

		if (r == 0 && p != NULL)
			r = drop_or_revert(c, p, l, err);
		free(ids[i]);
	}
	free(ids);
	return r;
}

/* A built-in provider that still has the name that w wants, and will give it up. */
static const struct wanted *
holder_of_name(const struct document_change *c, const struct wanted_list *l, const struct wanted *w)
{
	const struct provider *p = providers_find(c->parts->providers, w->p->name);
	const struct wanted *holder = p != NULL && strcmp(p->id, w->p->id) != 0 ? wanted_id(l, p->id) : NULL;

	return holder != NULL && holder->shipped && !holder->done ? holder : NULL;
}

/* Names that go round in a ring: one steps aside. */
static int
step_aside(struct document_change *c, const struct wanted *w, struct error *err)
{
	const struct provider *now = providers_find_id(c->parts->providers, w->p->id);
	struct provider *aside = provider_copy(now);
	char id[UUID_SIZE];
	int r;

	uuid_new(id);
	free(aside->name);
	aside->name = xstrdup(id);
	r = providers_update(c->parts->providers, now->name, aside, "name", err);
	provider_free(aside);
	return r;
}

/* Built-in ones, in an order in which a name is given up before it is taken. */
static int
define_shipped(struct document_change *c, struct wanted_list *l, struct error *err)
{
	int r = 0;

	for (bool any = true; any && r == 0;) {
		const struct wanted *waits = NULL;

		any = false;
		for (size_t i = 0; i < l->count && r == 0; i++) {
			struct wanted *w = &l->items[i];

			if (!w->shipped || w->done)
				continue;
			if (holder_of_name(c, l, w) != NULL) {
				waits = w;
				continue;
			}
			r = define(c, w, err);
			w->done = any = true;
		}
		if (!any && waits != NULL && r == 0) {
			r = step_aside(c, holder_of_name(c, l, waits), err);
			any = true;
		}
	}
	return r;
}

int
section_providers_apply(struct document_change *c, const struct node *n, struct error *err)
{
	struct wanted_list l = { NULL, 0 };
	size_t before = c->problems->count;
	int r = 0;

	if (!node_is_map(n, "providers", c->problems))
		return 0;
	for (const struct node *m = n != NULL ? n->first : NULL; m != NULL; m = m->next)
		read_one(c, m, &l);
	/* an entry with a mistake in it is no entry that is missing */
	if (c->problems->count == before)
		r = drop_others(c, &l, err);
	/* built-in ones first: one that gives up its name makes room for one of the user's own */
	if (r == 0)
		r = define_shipped(c, &l, err);
	for (size_t i = 0; i < l.count && r == 0; i++)
		if (!l.items[i].shipped)
			r = define(c, &l.items[i], err);
	models_follow(c->parts->models); /* the next sections look by name */
	wanted_clear(&l);
	return r;
}

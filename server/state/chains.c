#include "server/state/chains.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/base/log.h"
#include "server/state/chain_codes.h"
#include "server/store/rows.h"

struct chains {
	struct store *store;
	struct changes *changes;
	struct chain **items; /* sorted by name; their strings and links are owned here */
	size_t count;
};

/* ---- the rows in memory ---- */

static void
links_free(const struct chain_link *links, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free((char *)links[i].provider_id);
		free((char *)links[i].model);
	}
	free((struct chain_link *)links);
}

static void
item_free(struct chain *i)
{
	links_free(i->links, i->count);
	free((char *)i->name);
	free(i);
}

static void
clear(struct chains *cs)
{
	for (size_t i = 0; i < cs->count; i++)
		item_free(cs->items[i]);
	free(cs->items);
	cs->items = NULL;
	cs->count = 0;
}

static struct chain *
find(const struct chains *cs, const char *name)
{
	for (size_t i = 0; i < cs->count; i++)
		if (strcmp(cs->items[i]->name, name) == 0)
			return cs->items[i];
	return NULL;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp((*(struct chain *const *)a)->name, (*(struct chain *const *)b)->name);
}

static struct chain *
append(struct chains *cs, const char *name)
{
	struct chain *i = xcalloc(1, sizeof *i);

	i->name = xstrdup(name);
	cs->items = xrealloc(cs->items, (cs->count + 1) * sizeof(struct chain *));
	cs->items[cs->count++] = i;
	return i;
}

static void
add_link(struct chain *i, const char *provider_id, const char *model)
{
	struct chain_link *links = (struct chain_link *)i->links;

	links = xrealloc(links, (i->count + 1) * sizeof *links);
	links[i->count++] = (struct chain_link){ xstrdup(provider_id), xstrdup(model) };
	i->links = links;
}

static void
load_row(void *arg, const struct chain_row *row)
{
	struct chain *i = append(arg, row->name);

	i->fall_on = chain_codes_read(row->fall_on);
	i->rev = row->rev;
}

static void
load_link(void *arg, const struct chain_link_row *row)
{
	struct chain *i = find(arg, row->chain);

	if (i != NULL && i->count < CHAIN_LINKS_MAX)
		add_link(i, row->provider_id, row->model);
}

static int
load(struct chains *cs)
{
	int r;

	clear(cs);
	if ((r = store_chain_each(cs->store, load_row, cs)) == 0)
		r = store_chain_link_each(cs->store, load_link, cs);
	if (cs->count > 0)
		qsort(cs->items, cs->count, sizeof(struct chain *), by_name);
	return r;
}

static void
reload(void *arg)
{
	struct chains *cs = arg;

	if (load(cs) != 0)
		log_error("chains cannot be read back", LOG_TEXT("file", store_path(cs->store)));
}

int
chains_new(struct store *store, struct changes *changes, struct chains **out, struct error *err)
{
	struct chains *cs = xcalloc(1, sizeof *cs);
	int r;

	cs->store = store;
	cs->changes = changes;
	if ((r = load(cs)) != 0) {
		chains_free(cs);
		return error_set(err, r, "the chains cannot be read from %s", store_path(store));
	}
	changes_on_rollback(changes, reload, cs);
	*out = cs;
	return 0;
}

void
chains_free(struct chains *cs)
{
	if (cs == NULL)
		return;
	clear(cs);
	free(cs);
}

/* ---- looking ---- */

size_t
chains_count(const struct chains *cs)
{
	return cs->count;
}

const struct chain *
chains_at(const struct chains *cs, size_t i)
{
	assert(i < cs->count);
	return cs->items[i];
}

const struct chain *
chains_find(const struct chains *cs, const char *name)
{
	return find(cs, name);
}

static const char *
name_at(const void *arg, size_t i)
{
	const struct chains *cs = arg;

	return cs->items[i]->name;
}

int
chains_unknown(const struct chains *cs, const char *name, struct error *err)
{
	error_set(err, MP_E_NOT_FOUND, "there is no chain @%.64s", name);
	if (cs->count == 0)
		error_hint(err, "define it: mpc chain set %.64s PROVIDER:MODEL...", name);
	else
		error_hint(err, "what there is: mpc chain");
	error_suggest(err, name, name_at, cs, cs->count);
	return MP_E_NOT_FOUND;
}

static bool
is_to_chain(const struct chain_link *l, const char *name)
{
	return l->provider_id[0] == '\0' && strcmp(l->model, name) == 0;
}

const struct chain *
chains_user(const struct chains *cs, const char *name)
{
	for (size_t i = 0; i < cs->count; i++)
		for (size_t k = 0; k < cs->items[i]->count; k++)
			if (is_to_chain(&cs->items[i]->links[k], name))
				return cs->items[i];
	return NULL;
}

bool
chains_uses_provider(const struct chains *cs, const struct provider *p)
{
	for (size_t i = 0; i < cs->count; i++)
		for (size_t k = 0; k < cs->items[i]->count; k++)
			if (strcmp(cs->items[i]->links[k].provider_id, p->id) == 0)
				return true;
	return false;
}

/* ---- changing ---- */

static int
stored(struct chains *cs, int r, struct error *err)
{
	if (r == 0)
		return 0;
	return error_set(err, r, "the chain cannot be stored: %s", store_path(cs->store));
}

/* The route of whoever uses it may be another now. */
static void
note(struct chains *cs, enum change_op op, const char *name)
{
	changes_note(cs->changes, TOPIC_CHAINS, op, name);
	changes_note(cs->changes, TOPIC_ROUTE, CHANGE_SET, "");
}

static int
put(struct chains *cs, struct chain *i)
{
	struct buf text = BUF_INIT;
	struct chain_row row;
	int r;

	chain_codes_format(i->fall_on, &text);
	i->rev = changes_next_rev(cs->changes);
	row = (struct chain_row){ i->name, buf_str(&text), i->rev };
	if ((r = store_chain_put(cs->store, &row)) == 0)
		r = store_chain_links_delete(cs->store, i->name);
	for (size_t k = 0; k < i->count && r == 0; k++) {
		struct chain_link_row link = { i->name, (int64_t)k + 1, i->links[k].provider_id,
			i->links[k].model };

		r = store_chain_link_put(cs->store, &link);
	}
	buf_clear(&text);
	return r;
}

/* How deep the chains within a chain go, itself counted; CHAIN_DEPTH_MAX + 1 stands for all that is more. */
static unsigned
depth_of(const struct chains *cs, const struct chain_link *links, size_t count, unsigned so_far)
{
	unsigned deepest = so_far;

	for (size_t i = 0; i < count && deepest <= CHAIN_DEPTH_MAX; i++) {
		const struct chain *in = links[i].provider_id[0] == '\0' ? find(cs, links[i].model) : NULL;
		unsigned d = in != NULL ? depth_of(cs, in->links, in->count, so_far + 1) : so_far;

		if (d > deepest)
			deepest = d;
	}
	return deepest;
}

/* Whether these links lead to `name`, however far away. What is stored has no cycle; the bound is for a file
 * that somebody edited. */
static bool
leads_to(const struct chains *cs, const struct chain_link *links, size_t count, const char *name,
    unsigned depth)
{
	for (size_t i = 0; i < count && depth <= CHAIN_DEPTH_MAX; i++) {
		const struct chain *in;

		if (links[i].provider_id[0] != '\0')
			continue;
		if (strcmp(links[i].model, name) == 0)
			return true;
		in = find(cs, links[i].model);
		if (in != NULL && leads_to(cs, in->links, in->count, name, depth + 1))
			return true;
	}
	return false;
}

static bool
links_equal(const struct chain_link *a, const struct chain_link *b)
{
	return strcmp(a->provider_id, b->provider_id) == 0 && strcmp(a->model, b->model) == 0;
}

static int
check_links(const struct chains *cs, const char *name, const struct chain_link *links, size_t count,
    struct error *err)
{
	if (count == 0 || count > CHAIN_LINKS_MAX)
		return error_field(err, "refs", "a chain has 1 to %d targets", CHAIN_LINKS_MAX);
	for (size_t i = 0; i < count; i++) {
		const struct chain_link *l = &links[i];

		if (l->provider_id[0] == '\0' && strcmp(l->model, name) != 0 && find(cs, l->model) == NULL)
			return chains_unknown(cs, l->model, err);
		for (size_t k = 0; k < i; k++)
			if (links_equal(&links[k], l))
				return error_field(err, "refs", "targets %zu and %zu are the same", k + 1,
				    i + 1);
	}
	if (leads_to(cs, links, count, name, 1))
		return error_field(err, "refs", "chain @%s would lead back to itself", name);
	if (depth_of(cs, links, count, 1) > CHAIN_DEPTH_MAX)
		return error_field(err, "refs", "chains lie more than %d deep in each other",
		    CHAIN_DEPTH_MAX);
	return 0;
}

static bool
is_the_same(const struct chain *c, const struct chain_link *links, size_t count, uint64_t fall_on)
{
	if (c->count != count || c->fall_on != fall_on)
		return false;
	for (size_t i = 0; i < count; i++)
		if (!links_equal(&c->links[i], &links[i]))
			return false;
	return true;
}

/* links is not of the item itself. */
static int
replace(struct chains *cs, struct chain *i, const struct chain_link *links, size_t count)
{
	links_free(i->links, i->count);
	i->links = NULL;
	i->count = 0;
	for (size_t k = 0; k < count; k++)
		add_link(i, links[k].provider_id, links[k].model);
	return put(cs, i);
}

int
chains_set(struct chains *cs, const char *name, const struct chain_link *links, size_t count,
    uint64_t fall_on, struct error *err)
{
	struct chain *i = find(cs, name);
	bool fresh = i == NULL;
	int r;

	if (!name_valid(name)) {
		error_field(err, "name", "\"%.80s\" is not a valid name of a chain", name);
		error_hint(err, "lower-case letters, digits, '.', '_' and '-'; up to 64");
		return MP_E_INVALID_PARAMS;
	}
	if ((r = check_links(cs, name, links, count, err)) != 0)
		return r;
	if (!fresh && is_the_same(i, links, count, fall_on))
		return 0;
	if (fresh && cs->count >= CHAINS_MAX) {
		error_set(err, MP_E_TOO_MANY, "there are %d chains already", CHAINS_MAX);
		error_hint(err, "remove some: mpc chain remove NAME");
		return MP_E_TOO_MANY;
	}
	if (fresh)
		i = append(cs, name);
	i->fall_on = fall_on;
	note(cs, fresh ? CHANGE_ADD : CHANGE_UPDATE, name);
	r = replace(cs, i, links, count);
	qsort(cs->items, cs->count, sizeof(struct chain *), by_name);
	return stored(cs, r, err);
}

static int
delete(struct chains *cs, struct chain *i, struct error *err)
{
	int r = store_chain_delete(cs->store, i->name);

	if (r != 0 && r != MP_E_NOT_FOUND)
		return stored(cs, r, err);
	note(cs, CHANGE_REMOVE, i->name);
	for (size_t k = 0; k < cs->count; k++) {
		if (cs->items[k] != i)
			continue;
		memmove(&cs->items[k], &cs->items[k + 1], (cs->count - k - 1) * sizeof(struct chain *));
		cs->count--;
		break;
	}
	item_free(i);
	return 0;
}

int
chains_remove(struct chains *cs, const char *name, struct error *err)
{
	struct chain *i = find(cs, name);
	const struct chain *user = chains_user(cs, name);

	if (i == NULL)
		return chains_unknown(cs, name, err);
	if (user != NULL) {
		error_set(err, MP_E_CONFLICT, "chain @%s is part of chain @%s", name, user->name);
		error_hint(err, "define that one without it: mpc chain set %s ...", user->name);
		return MP_E_CONFLICT;
	}
	return delete(cs, i, err);
}

/* Takes the links out that is_gone names; true when one was there. */
static bool
drop_links(struct chain *i, bool (*is_gone)(const struct chain_link *l, const char *what),
    const char *what)
{
	struct chain_link *links = (struct chain_link *)i->links;
	size_t kept = 0, before = i->count;

	for (size_t k = 0; k < before; k++) {
		if (is_gone(&links[k], what)) {
			free((char *)links[k].provider_id);
			free((char *)links[k].model);
		} else {
			links[kept++] = links[k];
		}
	}
	i->count = kept;
	return kept < before;
}

static bool
is_of_provider(const struct chain_link *l, const char *id)
{
	return strcmp(l->provider_id, id) == 0;
}

/* Without these links; a chain that was emptied waits with no links for its turn. */
static int
drop_everywhere(struct chains *cs, bool (*is_gone)(const struct chain_link *l, const char *what),
    const char *what, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < cs->count && r == 0; i++) {
		if (!drop_links(cs->items[i], is_gone, what))
			continue;
		note(cs, CHANGE_UPDATE, cs->items[i]->name);
		r = stored(cs, put(cs, cs->items[i]), err);
	}
	return r;
}

static struct chain *
find_empty(const struct chains *cs)
{
	for (size_t i = 0; i < cs->count; i++)
		if (cs->items[i]->count == 0)
			return cs->items[i];
	return NULL;
}

int
chains_remove_provider(struct chains *cs, const struct provider *p,
    int (*emptied)(void *arg, const char *name, struct error *err), void *arg, struct error *err)
{
	struct chain *i;
	int r = drop_everywhere(cs, is_of_provider, p->id, err);

	while (r == 0 && (i = find_empty(cs)) != NULL) {
		if (emptied != NULL && (r = emptied(arg, i->name, err)) != 0)
			break;
		if ((r = drop_everywhere(cs, is_to_chain, i->name, err)) == 0)
			r = delete(cs, i, err);
	}
	return r;
}

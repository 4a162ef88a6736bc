/* model.c - models the user added, the catalogue's, nicknames, and what a selector means. */
#include <stdlib.h>
#include <string.h>

#include "server/base/clock.h"
#include "server/call/route.h"
#include "server/rpc/methods/refresh.h"
#include "server/rpc/objects.h"
#include "server/rpc/request.h"
#include "server/state/catalogue.h"
#include "server/state/changes.h"

#define MODELS_LIMIT 1500 /* a reply has at most 65 536 elements */

/* ---- model.list ---- */

/* One line of the list before it is packed; borrowed. */
struct item {
	const struct provider *provider;
	const char *model;
	const struct model_entry *entry; /* NULL: the catalogue's, or the provider's own list */
};

struct list {
	struct item *items;
	size_t count, cap;
};

static void
list_add(struct list *l, const struct provider *pr, const char *model,
    const struct model_entry *entry)
{
	if (l->count == l->cap) {
		l->cap = l->cap == 0 ? 64 : 2 * l->cap;
		l->items = xrealloc(l->items, l->cap * sizeof *l->items);
	}
	l->items[l->count++] = (struct item){ pr, model, entry };
}

static int
item_compare(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	int r = strcmp(x->provider->name, y->provider->name);

	if (r == 0)
		r = strcmp(x->model, y->model);
	if (r == 0) /* the user's own goes first and hides the other */
		r = (x->entry == NULL) - (y->entry == NULL);
	return r;
}

static void
collect_listed(const struct rpc_parts *parts, struct list *l)
{
	for (size_t i = 0; i < providers_count(parts->providers); i++) {
		const struct provider *pr = providers_at(parts->providers, i);
		const struct discovered_list *own;

		own = discovered_list(models_discovered(parts->models), pr);
		for (size_t k = 0; own != NULL && k < own->models.count; k++)
			list_add(l, pr, own->models.models[k].id, NULL);
	}
}

static void
collect(const struct rpc_parts *parts, bool catalog, struct list *l)
{
	for (size_t i = 0; i < models_count(parts->models); i++) {
		const struct model_entry *e = models_at(parts->models, i);
		const struct provider *pr = providers_find(parts->providers, e->provider);

		if (pr != NULL && (e->listed || e->nick != NULL || catalog))
			list_add(l, pr, e->model, e);
	}
	for (size_t i = 0; catalog && i < providers_count(parts->providers); i++) {
		const struct provider *pr = providers_at(parts->providers, i);

		for (size_t k = 0; k < pr->alias_count; k++)
			list_add(l, pr, pr->aliases[k].alias, NULL);
	}
	for (size_t i = 0; catalog && i < catalogue_model_count(); i++) {
		const struct catalogue_model *m = catalogue_model(i);
		const struct provider *pr = providers_find(parts->providers, m->provider);

		if (pr != NULL)
			list_add(l, pr, m->model, NULL);
	}
	if (catalog)
		collect_listed(parts, l);
	if (l->count > 0)
		qsort(l->items, l->count, sizeof *l->items, item_compare);
}

static bool
item_matches(const struct item *it, const struct provider *only, const char *query)
{
	const char *upstream;

	if (only != NULL && it->provider != only)
		return false;
	if (query == NULL || query[0] == '\0')
		return true;
	upstream = provider_alias_model(it->provider, it->model);
	return strcasestr(it->model, query) != NULL ||
	    strcasestr(it->provider->name, query) != NULL ||
	    (upstream != NULL && strcasestr(upstream, query) != NULL) ||
	    (it->entry != NULL && it->entry->nick != NULL &&
	    strcasestr(it->entry->nick, query) != NULL);
}

/* A cursor is the ref of the last model of the page before. */
static bool
item_after(const struct item *it, const char *cursor)
{
	const char *colon = cursor != NULL ? strchr(cursor, ':') : NULL;
	size_t n;
	int r;

	if (colon == NULL)
		return true;
	n = (size_t)(colon - cursor);
	r = strncmp(it->provider->name, cursor, n);
	if (r == 0 && it->provider->name[n] != '\0')
		r = 1;
	return r > 0 || (r == 0 && strcmp(it->model, colon + 1) > 0);
}

static bool
item_repeats(const struct list *l, size_t i)
{
	return i > 0 && l->items[i].provider == l->items[i - 1].provider &&
	    strcmp(l->items[i].model, l->items[i - 1].model) == 0;
}

static void
pack_page(struct pack *p, const struct rpc_parts *parts, const struct list *l,
    const struct provider *only, const char *query, const char *cursor, int64_t limit)
{
	const struct item *last = NULL;
	struct buf next = BUF_INIT;
	bool more = false;
	int64_t n = 0;

	pack_str(p, "models");
	pack_array_begin(p);
	for (size_t i = 0; i < l->count; i++) {
		const struct item *it = &l->items[i];

		if (item_repeats(l, i) || !item_after(it, cursor) || !item_matches(it, only, query))
			continue;
		if (n == limit) {
			more = true;
			break;
		}
		pack_model(p, parts, it->provider, it->model, it->entry);
		last = it;
		n++;
	}
	pack_array_end(p);
	if (more && last != NULL) {
		buf_addf(&next, "%s:%s", last->provider->name, last->model);
		pack_kv_str(p, "next", buf_str(&next));
		buf_clear(&next);
	}
}

static struct rpc_answer
unknown_provider(struct rpc_request *req, const char *name)
{
	struct error err = ERROR_INIT;

	error_set(&err, MP_E_NOT_FOUND, "unknown provider \"%s\"", name);
	providers_suggest(rpc_parts(req)->providers, name, &err);
	return rpc_fail_err(req, &err);
}

/* What was asked, kept while the providers answer. The texts live as long as the request. */
struct asked {
	struct rpc_request *req;
	struct refresh *refresh;
	const char *name, *query, *cursor;
	bool catalog;
	int64_t limit;
};

static void
pack_list(const struct asked *a, struct pack *p)
{
	const struct rpc_parts *parts = rpc_parts(a->req);
	struct list l = { NULL, 0, 0 };

	collect(parts, a->catalog, &l);
	pack_page(p, parts, &l, a->name != NULL ? providers_find(parts->providers, a->name) : NULL,
	    a->query, a->cursor, a->limit);
	free(l.items);
}

static void
refreshed(void *arg, const struct buf *warnings)
{
	struct asked *a = arg;
	struct pack *p = rpc_result(a->req);

	pack_list(a, p);
	pack_str(p, "warnings");
	pack_raw(p, warnings->data, warnings->len);
	rpc_finish(a->req);
	free(a);
}

static void
refresh_unwanted(void *arg)
{
	struct asked *a = arg;

	refresh_cancel(a->refresh);
	free(a);
}

struct rpc_answer
rpc_model_list(struct rpc_request *req)
{
	const struct rpc_parts *parts = rpc_parts(req);
	int64_t limit = rpc_int(req, "limit", MODELS_LIMIT);
	const struct provider *only = NULL;
	struct asked now, *later;

	now = (struct asked){ req, NULL, rpc_str(req, "provider"), rpc_str(req, "query"),
		rpc_str(req, "cursor"), rpc_bool(req, "catalog", false),
		limit < MODELS_LIMIT ? limit : MODELS_LIMIT };
	if (now.name != NULL && (only = providers_find(parts->providers, now.name)) == NULL)
		return unknown_provider(req, now.name);
	if (!rpc_bool(req, "refresh", false)) {
		pack_list(&now, rpc_result(req));
		return rpc_ok(req);
	}
	later = xcalloc(1, sizeof *later);
	*later = now;
	later->refresh = refresh_start(parts, only, refreshed, later);
	return rpc_pending(req, refresh_unwanted, later);
}

/* ---- changes ---- */

/* The Model object is the result itself; rpc_ok writes `rev`. */
static struct rpc_answer
model_result(struct rpc_request *req, const char *provider, const char *model)
{
	const struct rpc_parts *parts = rpc_parts(req);
	const struct provider *pr = providers_find(parts->providers, provider);

	if (pr == NULL)
		return rpc_fail(req, MP_E_NOT_FOUND, "unknown provider \"%s\"", provider);
	pack_model_members(rpc_result(req), parts, pr, model,
	    models_find(parts->models, provider, model), false);
	return rpc_ok(req);
}

struct rpc_answer
rpc_model_add(struct rpc_request *req)
{
	const struct rpc_parts *parts = rpc_parts(req);
	const char *name = rpc_str(req, "provider"), *model = rpc_str(req, "model");
	const struct provider *pr = providers_find(parts->providers, name);
	int64_t ttl_ms = rpc_int(req, "ttl_ms", 0);
	struct error err = ERROR_INIT;
	int r;

	if (pr == NULL)
		return unknown_provider(req, name);
	if (model == NULL || model[0] == '\0') {
		error_field(&err, "model", "model must be a model id");
		return rpc_fail_err(req, &err);
	}
	if (changes_begin(parts->changes, &err) != 0)
		return rpc_fail_err(req, &err);
	r = models_add(parts->models, pr, model, rpc_str(req, "nick"),
	    ttl_ms > 0 ? clock_wall_ms() + ttl_ms : 0, &err);
	if (rpc_change_end(req, r, &err) != 0)
		return rpc_fail_err(req, &err);
	return model_result(req, pr->name, model);
}

/* The target a ref names, looked up before a change begins. */
static int
resolve(struct rpc_request *req, const char *ref, struct target *out, struct error *err)
{
	char *why = NULL;
	int r = routes_resolve(rpc_parts(req)->routes, ref, out, &why, err);

	free(why);
	return r;
}

struct rpc_answer
rpc_model_remove(struct rpc_request *req)
{
	const struct rpc_parts *parts = rpc_parts(req);
	struct error err = ERROR_INIT;
	struct rpc_answer a;
	struct target t;
	int r;

	target_init(&t);
	if (resolve(req, rpc_str(req, "ref"), &t, &err) != 0) {
		a = rpc_fail_err(req, &err);
		goto out;
	}
	if ((r = changes_begin(parts->changes, &err)) == 0) {
		r = models_remove(parts->models, providers_find(parts->providers, t.provider), t.model,
		    &err);
		r = rpc_change_end(req, r, &err);
	}
	a = r == 0 ? rpc_ok(req) : rpc_fail_err(req, &err);
out:
	target_clear(&t);
	return a;
}

struct rpc_answer
rpc_model_nick(struct rpc_request *req)
{
	const struct rpc_parts *parts = rpc_parts(req);
	const char *nick = rpc_str(req, "nick");
	struct error err = ERROR_INIT;
	struct rpc_answer a;
	struct target t;
	int r;

	target_init(&t);
	if (nick == NULL || (nick[0] != '\0' && !name_valid(nick))) {
		error_field(&err, "nick", "a nickname is 1 to 64 of a-z, 0-9, \".\", \"_\", \"-\", "
		    "beginning with a letter or digit");
		a = rpc_fail_err(req, &err);
		goto out;
	}
	if (resolve(req, rpc_str(req, "ref"), &t, &err) != 0) {
		a = rpc_fail_err(req, &err);
		goto out;
	}
	if ((r = changes_begin(parts->changes, &err)) == 0) {
		r = models_nick(parts->models, providers_find(parts->providers, t.provider), t.model,
		    nick, &err);
		r = rpc_change_end(req, r, &err);
	}
	a = r == 0 ? model_result(req, t.provider, t.model) : rpc_fail_err(req, &err);
out:
	target_clear(&t);
	return a;
}

struct rpc_answer
rpc_model_resolve(struct rpc_request *req)
{
	const struct rpc_parts *parts = rpc_parts(req);
	struct error err = ERROR_INIT;
	char ref[400], chain[65], *why = NULL;
	struct rpc_answer a;
	struct target t;
	struct pack *p;

	target_init(&t);
	if (routes_choose(parts->routes, rpc_str(req, "text"), &t, chain, &why, &err) != 0) {
		a = rpc_fail_err(req, &err);
	} else {
		p = rpc_result(req);
		pack_kv_str(p, "ref", target_ref(&t, ref, sizeof ref));
		pack_kv_str(p, "provider", t.provider);
		pack_kv_str(p, "model", t.model);
		pack_kv_str(p, "upstream", t.upstream);
		pack_kv_str(p, "chain", chain[0] != '\0' ? chain : NULL);
		pack_kv_str(p, "why", why != NULL ? why : "");
		a = rpc_ok(req);
	}
	free(why);
	target_clear(&t);
	return a;
}

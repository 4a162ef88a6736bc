#include "server/rpc/objects.h"

#include <stdio.h>
#include <string.h>

#include "server/base/clock.h"
#include "server/state/catalogue.h"
#include "server/usage/price_book.h"

#define CONTEXT_SMALL 16384

/* ---- models ---- */

static void
pack_ref(struct pack *p, const char *provider, const char *model)
{
	struct buf ref = BUF_INIT;

	buf_addf(&ref, "%s:%s", provider, model);
	pack_kv_str(p, "ref", buf_str(&ref));
	pack_kv_str(p, "provider", provider);
	pack_kv_str(p, "model", model);
	buf_clear(&ref);
}

static const struct catalogue_model *
find_catalogue_model(const char *provider, const char *model)
{
	for (size_t i = 0; i < catalogue_model_count(); i++) {
		const struct catalogue_model *m = catalogue_model(i);

		if (strcmp(m->provider, provider) == 0 && strcmp(m->model, model) == 0)
			return m;
	}
	return NULL;
}

static const struct roster_model *
find_listed(const struct rpc_parts *parts, const struct provider *pr, const char *model)
{
	const char *upstream = provider_alias_model(pr, model);

	return discovered_find(models_discovered(parts->models), pr,
	    upstream != NULL ? upstream : model);
}

bool
context_warning(const struct rpc_parts *parts, const struct provider *pr, const char *model,
    char *text, size_t size)
{
	const struct roster_model *m = find_listed(parts, pr, model);

	if (m == NULL || pr->type != PROVIDER_LOCAL || m->context_tokens == 0 ||
	    m->context_tokens >= CONTEXT_SMALL)
		return false;
	snprintf(text, size, "%.120s has only %lld tokens of context: long chats and files will not "
	    "fit; give it more in the server's settings", model, (long long)m->context_tokens);
	return true;
}

/* What the provider said of it, and when. */
static void
pack_listed(struct pack *p, const struct rpc_parts *parts, const struct provider *pr,
    const struct roster_model *m)
{
	const struct discovered_list *l = discovered_list(models_discovered(parts->models), pr);
	int64_t age_ms = clock_wall_ms() - l->fetched_ms;

	pack_kv_str(p, "title", m->title);
	pack_str(p, "abilities");
	pack_array_begin(p);
	for (unsigned i = 0; i < MODEL_ABILITIES; i++)
		if (m->abilities & (1u << i))
			pack_str(p, model_ability_name((enum model_ability)(1u << i)));
	pack_array_end(p);
	if (m->loaded >= 0)
		pack_kv_bool(p, "loaded", m->loaded == 1);
	pack_kv_int(p, "age_ms", age_ms > 0 ? age_ms : 0);
}

static void
pack_size(struct pack *p, const char *key, int64_t listed, int64_t known)
{
	if (listed > 0 || known > 0)
		pack_kv_int(p, key, listed > 0 ? listed : known);
}

/* Who added a model to the list. */
static const char *
adder_of(const struct rpc_parts *parts, const struct provider *pr, const char *model)
{
	char ref[400];

	snprintf(ref, sizeof ref, "%s:%s", pr->name, model);
	return team_item(parts->team, "models", ref) != NULL ? "bundle" : "user";
}

void
pack_tariff_members(struct pack *p, const struct tariff *t)
{
	pack_kv_int(p, "input", t->input);
	pack_kv_int(p, "cache_read", t->cache_read);
	pack_kv_int(p, "cache_write", t->cache_write);
	pack_kv_int(p, "output", t->output);
}

static void
pack_model_price(struct pack *p, const struct rpc_parts *parts, const struct provider *pr,
    const char *upstream)
{
	const struct price_ask ask = { pr->id, catalogue_name(pr->id), upstream, -1, clock_wall_ms() };
	enum price_layer layer;
	const struct price_row *row = price_book_find(parts->prices, &ask, &layer);

	if (row == NULL)
		return;
	pack_str(p, "price");
	pack_map_begin(p);
	pack_tariff_members(p, &row->tariff);
	pack_map_end(p);
	pack_kv_str(p, "price_source", price_layer_name(layer));
}

void
pack_model_members(struct pack *p, const struct rpc_parts *parts, const struct provider *pr,
    const char *model, const struct model_entry *entry, bool with_rev)
{
	const char *upstream = provider_alias_model(pr, model);
	const struct roster_model *listed = find_listed(parts, pr, model);
	const struct catalogue_model *known;
	char warning[320];

	pack_ref(p, pr->name, model);
	if (upstream != NULL && strcmp(upstream, model) != 0)
		pack_kv_str(p, "upstream", upstream);
	known = find_catalogue_model(pr->name, upstream != NULL ? upstream : model);
	/* the provider knows better than what we were shipped with */
	pack_size(p, "context_tokens", listed != NULL ? listed->context_tokens : 0,
	    known != NULL ? known->context_tokens : 0);
	pack_size(p, "output_tokens", listed != NULL ? listed->output_tokens : 0,
	    known != NULL ? known->output_tokens : 0);
	pack_kv_str(p, "source", entry != NULL && entry->listed ? adder_of(parts, pr, model)
	    : known == NULL && upstream == NULL && listed != NULL ? "discovered" : "catalog");
	pack_model_price(p, parts, pr, upstream != NULL ? upstream : model);
	if (listed != NULL)
		pack_listed(p, parts, pr, listed);
	if (context_warning(parts, pr, model, warning, sizeof warning))
		pack_kv_str(p, "warning", warning);
	if (entry == NULL)
		return;
	pack_kv_str(p, "nick", entry->nick);
	pack_kv_int(p, "added_ms", entry->added_ms);
	if (entry->expires_ms > 0)
		pack_kv_int(p, "expires_ms", entry->expires_ms);
	if (with_rev)
		pack_kv_int(p, "rev", entry->rev);
}

void
pack_model(struct pack *p, const struct rpc_parts *parts, const struct provider *pr,
    const char *model, const struct model_entry *entry)
{
	pack_map_begin(p);
	pack_model_members(p, parts, pr, model, entry, true);
	pack_map_end(p);
}

void
pack_models(struct pack *p, const struct rpc_parts *parts)
{
	pack_array_begin(p);
	for (size_t i = 0; i < models_count(parts->models); i++) {
		const struct model_entry *e = models_at(parts->models, i);
		const struct provider *pr = providers_find(parts->providers, e->provider);

		if (pr != NULL)
			pack_model(p, parts, pr, e->model, e);
	}
	pack_array_end(p);
}

/* ---- routes ---- */

void
pack_target(struct pack *p, const struct target *t)
{
	pack_ref(p, t->provider, t->model);
	if (t->upstream != NULL && strcmp(t->upstream, t->model) != 0)
		pack_kv_str(p, "upstream", t->upstream);
	if (t->label != NULL && strcmp(t->label, "default") != 0 &&
	    !credentials_label_reserved(t->label))
		pack_kv_str(p, "label", t->label);
}

static void
pack_layer_facts(struct pack *p, const struct layer *l)
{
	pack_kv_str(p, "scope", l->scope);
	pack_kv_str(p, "kind", layer_kind_name(l->kind));
	if (l->since_ms > 0)
		pack_kv_int(p, "since_ms", l->since_ms);
	if (l->expires_ms > 0)
		pack_kv_int(p, "expires_ms", l->expires_ms);
	if (l->id > 0)
		pack_kv_int(p, "id", l->id);
	pack_kv_int(p, "rev", l->rev);
}

void
pack_route(struct pack *p, const struct route *r)
{
	const struct layer *winner = &r->layers[r->winner];

	pack_map_begin(p);
	pack_target(p, &r->target);
	if (r->nick[0] != '\0')
		pack_kv_str(p, "nick", r->nick);
	if (r->chain[0] != '\0') {
		pack_kv_str(p, "chain", r->chain);
		pack_kv_int(p, "position", (int64_t)r->at + 1);
		if (r->behind)
			pack_kv_bool(p, "behind", true);
	}
	pack_layer_facts(p, winner);
	pack_map_end(p);
}

static const char *
layer_word(enum layer_kind k)
{
	switch (k) {
	case LAYER_REQUEST:
		return "request";
	case LAYER_NAMED_SESSION:
		return "session";
	case LAYER_ACTIVATED_SESSION:
		return "activated-session";
	case LAYER_SCOPE_TEMPORARY:
		return "scope-temporary";
	case LAYER_SCOPE_PERSISTENT:
		return "scope-persistent";
	case LAYER_GLOBAL_TEMPORARY:
		return "global-temporary";
	case LAYER_GLOBAL_PERSISTENT:
		return "global-persistent";
	case LAYER_DEFAULT:
		return "default";
	}
	return "default";
}

void
pack_layer(struct pack *p, const struct layer *l)
{
	pack_map_begin(p);
	pack_kv_str(p, "layer", layer_word(l->kind));
	pack_kv_bool(p, "set", l->set);
	pack_kv_bool(p, "won", l->won);
	if (l->set)
		pack_target(p, &l->target);
	if (l->chain[0] != '\0')
		pack_kv_str(p, "chain", l->chain);
	pack_layer_facts(p, l);
	pack_map_end(p);
}

/* The target in force of a chain, and its name. */
static void
pack_chosen_chain(struct pack *p, const struct rpc_parts *parts, const char *name)
{
	const struct chain *c = chains_find(parts->chains, name);
	struct route route;

	route_init(&route);
	if (c != NULL && routes_chain(parts->routes, c, &route))
		pack_target(p, &route.target);
	else
		pack_ref(p, "", "");
	pack_kv_str(p, "chain", name);
	route_clear(&route);
}

void
pack_override(struct pack *p, const struct rpc_parts *parts, const struct override *o)
{
	const struct provider *pr = providers_find_id(parts->providers, o->provider_id);
	const struct model_entry *e;

	pack_map_begin(p);
	if (o->chain != NULL)
		pack_chosen_chain(p, parts, o->chain);
	else
		pack_ref(p, pr != NULL ? pr->name : "", o->model);
	if (pr != NULL && (e = models_find(parts->models, pr->name, o->model)) != NULL)
		pack_kv_str(p, "nick", e->nick);
	if (o->label != NULL && o->label[0] != '\0' && strcmp(o->label, "default") != 0)
		pack_kv_str(p, "label", o->label);
	pack_kv_str(p, "scope", o->scope);
	pack_kv_str(p, "kind", o->temporary ? "temporary" : "persistent");
	pack_kv_int(p, "since_ms", o->since_ms);
	if (o->expires_ms > 0)
		pack_kv_int(p, "expires_ms", o->expires_ms);
	pack_kv_int(p, "id", o->id);
	pack_kv_int(p, "rev", o->rev);
	pack_map_end(p);
}

struct each {
	struct pack *p;
	const struct rpc_parts *parts;
	bool scoped_only;
};

static void
each_override(void *arg, const struct override *o)
{
	struct each *e = arg;

	if (!e->scoped_only || o->scope[0] != '\0')
		pack_override(e->p, e->parts, o);
}

void
pack_overrides(struct pack *p, const struct rpc_parts *parts, bool scoped_only)
{
	struct each e = { p, parts, scoped_only };

	pack_array_begin(p);
	overrides_each(parts->overrides, each_override, &e);
	pack_array_end(p);
}

/* ---- keys ---- */

void
pack_key_members(struct pack *p, const struct rpc_parts *parts, const struct credential *c)
{
	const struct provider *pr = providers_find(parts->providers, c->provider);
	const char *row = pr != NULL ? credentials_row_id(parts->credentials, pr, c->label) : NULL;
	const char *team = team_of_key(parts->team, row);
	int64_t now = clock_wall_ms();

	pack_kv_str(p, "provider", c->provider);
	pack_kv_str(p, "label", c->label);
	pack_kv_str(p, "source", team != NULL ? "bundle" : key_source_name(c->source));
	pack_kv_str(p, "team", team);
	if (c->source != KEY_STORED)
		pack_kv_str(p, "from", c->source_text);
	if (c->fingerprint[0] != '\0')
		pack_kv_str(p, "fingerprint", c->fingerprint);
	if (c->last4 != NULL && c->last4[0] != '\0')
		pack_kv_str(p, "last4", c->last4);
	pack_kv_str(p, "origin", c->origin);
	pack_kv_int(p, "weight", (int64_t)c->weight);
	pack_kv_int(p, "created_ms", c->created_ms);
	pack_kv_int(p, "age_ms", now > c->created_ms ? now - c->created_ms : 0);
	if (c->last_ok_ms > 0)
		pack_kv_int(p, "last_ok_ms", c->last_ok_ms);
	if (c->last_fail_ms > 0)
		pack_kv_int(p, "last_fail_ms", c->last_fail_ms);
	if (c->last_code != NULL && c->last_code[0] != '\0')
		pack_kv_str(p, "code", c->last_code);
	if (c->ends_ms > 0)
		pack_kv_int(p, "expires_ms", c->ends_ms);
}

void
pack_key(struct pack *p, const struct rpc_parts *parts, const struct credential *c)
{
	pack_map_begin(p);
	pack_key_members(p, parts, c);
	/* those of the usual one are its provider's, and told with it */
	pack_limits(p, c->limits.count > 0 ? &c->limits : NULL);
	pack_map_end(p);
}

static void
each_key(void *arg, const struct credential *c)
{
	struct each *e = arg;

	pack_key(e->p, e->parts, c);
}

void
pack_keys(struct pack *p, const struct rpc_parts *parts, const char *provider)
{
	struct each e = { p, parts, false };

	pack_array_begin(p);
	credentials_each(parts->credentials, provider, each_key, &e);
	pack_array_end(p);
}

/* chain_object.c - fallback chains as clients see them. */
#include "server/rpc/objects.h"

#include <string.h>

#include "server/state/chain_codes.h"

static void
pack_codes(struct pack *p, uint64_t set)
{
	const char *code;
	uint64_t bit;

	pack_str(p, "on");
	pack_array_begin(p);
	for (size_t i = 0; (code = chain_code_at(i)) != NULL; i++)
		if (chain_code_parse(code, &bit) && (set & bit) != 0)
			pack_str(p, code);
	pack_array_end(p);
}

static void
pack_steps(struct pack *p, const struct rpc_parts *parts, const struct route *r)
{
	pack_str(p, "targets");
	pack_array_begin(p);
	for (size_t i = 0; i < r->step_count; i++) {
		const struct route_step *s = &r->steps[i];
		const struct model_entry *e = models_find(parts->models, s->target.provider, s->target.model);

		pack_map_begin(p);
		pack_target(p, &s->target);
		pack_kv_str(p, "nick", e != NULL ? e->nick : NULL);
		if (s->passed != 0) {
			pack_kv_str(p, "code", error_code(s->passed));
			pack_kv_str(p, "message", s->why);
			if (s->until_ms > 0)
				pack_kv_int(p, "until_ms", s->until_ms);
		}
		pack_map_end(p);
	}
	pack_array_end(p);
}

void
pack_route_chain(struct pack *p, const struct rpc_parts *parts, const struct route *r)
{
	if (r->chain[0] == '\0')
		return;
	pack_str(p, "chain");
	pack_map_begin(p);
	pack_kv_str(p, "name", r->chain);
	pack_kv_bool(p, "behind", r->behind);
	pack_codes(p, r->fall_on);
	pack_steps(p, parts, r);
	pack_map_end(p);
}

void
pack_route_keys(struct pack *p, const struct rpc_parts *parts, const struct target *t)
{
	struct route_keys keys;

	if (!routes_keys(parts->routes, t, &keys))
		return;
	pack_str(p, "keys");
	pack_map_begin(p);
	pack_kv_str(p, "sharing", key_sharing_name(keys.how));
	pack_str(p, "of");
	pack_array_begin(p);
	for (size_t i = 0; i < keys.count; i++) {
		int64_t until_ms;
		bool fits = routes_key_fits(parts->routes, t, keys.of[i]->label, &until_ms);

		pack_map_begin(p);
		pack_kv_str(p, "label", keys.of[i]->label);
		pack_kv_int(p, "weight", (int64_t)keys.of[i]->weight);
		pack_kv_bool(p, "ready", fits);
		if (until_ms > 0)
			pack_kv_int(p, "until_ms", until_ms);
		pack_map_end(p);
	}
	pack_array_end(p);
	pack_map_end(p);
}

/* As they were defined: a chain within it as @name. */
static void
pack_links(struct pack *p, const struct rpc_parts *parts, const struct chain *c)
{
	struct buf text = BUF_INIT;

	pack_str(p, "refs");
	pack_array_begin(p);
	for (size_t i = 0; i < c->count; i++) {
		const struct chain_link *l = &c->links[i];
		const struct provider *pr = providers_find_id(parts->providers, l->provider_id);

		buf_reset(&text, 0);
		if (l->provider_id[0] == '\0')
			buf_addf(&text, "@%s", l->model);
		else
			buf_addf(&text, "%s:%s", pr != NULL ? pr->name : "", l->model);
		pack_str(p, buf_str(&text));
	}
	pack_array_end(p);
	buf_clear(&text);
}

void
pack_chain_members(struct pack *p, const struct rpc_parts *parts, const struct chain *c, bool with_rev)
{
	struct route route;

	route_init(&route);
	routes_chain(parts->routes, c, &route);
	pack_kv_str(p, "name", c->name);
	pack_links(p, parts, c);
	pack_codes(p, c->fall_on);
	pack_steps(p, parts, &route);
	if (strcmp(c->name, CHAIN_DEFAULT) == 0)
		pack_kv_bool(p, "behind", true);
	if (with_rev)
		pack_kv_int(p, "rev", c->rev);
	route_clear(&route);
}

void
pack_chain(struct pack *p, const struct rpc_parts *parts, const struct chain *c)
{
	pack_map_begin(p);
	pack_chain_members(p, parts, c, true);
	pack_map_end(p);
}

void
pack_chains(struct pack *p, const struct rpc_parts *parts)
{
	pack_array_begin(p);
	for (size_t i = 0; i < chains_count(parts->chains); i++)
		pack_chain(p, parts, chains_at(parts->chains, i));
	pack_array_end(p);
}

/* bundle_object.c - a team's bundle as a msgpack map (PROTOCOL.md section 5). */
#include <string.h>

#include "server/rpc/objects.h"

static void
count_key(void *arg, const char *row_id)
{
	(void)row_id;
	++*(int64_t *)arg;
}

static void
pack_team_providers(struct pack *p, const struct rpc_parts *parts, const char *team)
{
	pack_str(p, "providers");
	pack_array_begin(p);
	for (size_t i = 0; i < providers_count(parts->providers); i++) {
		const struct provider *pr = providers_at(parts->providers, i);
		const char *whose = providers_team(parts->providers, pr);

		if (whose != NULL && strcmp(whose, team) == 0)
			pack_str(p, pr->name);
	}
	pack_array_end(p);
}

void
pack_bundle(struct pack *p, const struct rpc_parts *parts, const struct bundle_held *h)
{
	char fingerprint[TEAM_FINGERPRINT_BYTES];
	struct team_member me;
	int64_t keys = 0;

	team_fingerprint(h->signer, fingerprint);
	team_each_key(parts->team, h->team, count_key, &keys);
	pack_map_begin(p);
	pack_kv_str(p, "team", h->team);
	pack_kv_int(p, "version", h->version);
	pack_kv_str(p, "signer", fingerprint);
	pack_kv_bool(p, "ours", team_me(parts->team, &me) && memcmp(me.sign, h->signer, TEAM_KEY_BYTES) == 0);
	pack_kv_str(p, "source", h->source[0] != '\0' ? h->source : NULL);
	pack_kv_str(p, "ca_file", h->ca_file[0] != '\0' ? h->ca_file : NULL);
	pack_kv_bool(p, "local", h->local);
	pack_team_providers(p, parts, h->team);
	pack_kv_int(p, "keys", keys);
	pack_kv_int(p, "added_ms", h->added_ms);
	pack_kv_int(p, "updated_ms", h->updated_ms);
	pack_map_end(p);
}

void
pack_changed_bundle(struct pack *p, const struct rpc_parts *parts, const char *team)
{
	const struct bundle_held *h = team_find(parts->team, team);

	if (h != NULL)
		pack_bundle(p, parts, h);
}

void
pack_bundles(struct pack *p, const struct rpc_parts *parts)
{
	pack_array_begin(p);
	for (size_t i = 0; i < team_count(parts->team); i++)
		pack_bundle(p, parts, team_at(parts->team, i));
	pack_array_end(p);
}

/* session_object.c - a test session as clients see it: never its key, and its token once, when it starts. */
#include "server/rpc/objects.h"

#include <string.h>

#include "server/state/minted.h"
#include "server/usage/ledger.h"

const struct session *
session_of(const struct rpc_parts *parts, const struct provider *pr)
{
	const struct session *s = sessions_activated(parts->sessions);

	return s != NULL && strcmp(s->provider_id, pr->id) == 0 ? s : NULL;
}

/* What calls used of it, as the ledger knows. */
static void
pack_used(struct pack *p, const struct rpc_parts *parts, const struct session *s)
{
	int64_t calls = 0, cost_microusd = -1;

	ledger_session(parts->ledger, s->id, s->started_ms, &calls, &cost_microusd);
	pack_kv_int(p, "requests", calls);
	if (cost_microusd >= 0)
		pack_kv_int(p, "cost_microusd", cost_microusd);
}

void
pack_session_members(struct pack *p, const struct rpc_parts *parts, const struct session *s, bool with_rev)
{
	const struct provider *pr = providers_find_id(parts->providers, s->provider_id);
	struct buf ref = BUF_INIT;

	buf_addf(&ref, "%s:%s", pr != NULL ? pr->name : "", s->model);
	pack_kv_int(p, "id", s->id);
	pack_kv_str(p, "ref", buf_str(&ref));
	pack_kv_str(p, "provider", pr != NULL ? pr->name : "");
	pack_kv_str(p, "model", s->model);
	buf_clear(&ref);
	pack_kv_bool(p, "has_key", s->has_key);
	if (!s->has_key && strcmp(s->label, "default") != 0)
		pack_kv_str(p, "label", s->label);
	if (minted_of(parts->minted, s->id) != NULL)
		pack_kv_bool(p, "minted", true);
	pack_kv_bool(p, "activated", s->activated);
	pack_kv_int(p, "started_ms", s->started_ms);
	pack_kv_int(p, "expires_ms", s->expires_ms);
	pack_kv_int(p, "left_ms", session_left_ms(s));
	pack_used(p, parts, s);
	pack_kv_str(p, "state", s->ended_ms == 0 ? "open" : "ended");
	if (s->ended_ms != 0) {
		pack_kv_int(p, "ended_ms", s->ended_ms);
		pack_kv_str(p, "ended_why", s->ended_why);
	}
	if (with_rev)
		pack_kv_int(p, "rev", s->rev);
}

void
pack_session(struct pack *p, const struct rpc_parts *parts, const struct session *s)
{
	pack_map_begin(p);
	pack_session_members(p, parts, s, true);
	pack_map_end(p);
}

struct each {
	struct pack *p;
	const struct rpc_parts *parts;
};

static void
each_session(void *arg, const struct session *s)
{
	struct each *e = arg;

	pack_session(e->p, e->parts, s);
}

void
pack_sessions(struct pack *p, const struct rpc_parts *parts)
{
	struct each e = { p, parts };

	pack_array_begin(p);
	sessions_each(parts->sessions, each_session, &e);
	pack_array_end(p);
}

static bool
left_over(const struct rpc_parts *parts, const struct minted_key *k)
{
	return sessions_find(parts->sessions, k->session_id) == NULL;
}

static void
pack_minted(struct pack *p, const struct rpc_parts *parts, const struct minted_key *k)
{
	const struct provider *pr = providers_find_id(parts->providers, k->provider_id);

	pack_map_begin(p);
	pack_kv_str(p, "provider", pr != NULL ? pr->name : "");
	pack_kv_str(p, "name", k->name);
	if (k->hash[0] != '\0')
		pack_kv_str(p, "hash", k->hash);
	pack_kv_int(p, "expires_ms", k->expires_ms);
	pack_kv_int(p, "tries", k->tries);
	if (k->last_code[0] != '\0')
		pack_kv_str(p, "code", k->last_code);
	pack_map_end(p);
}

void
pack_minted_left(struct pack *p, const struct rpc_parts *parts)
{
	size_t n = minted_count(parts->minted), left = 0;

	for (size_t i = 0; i < n; i++)
		left += left_over(parts, minted_at(parts->minted, i));
	if (left == 0)
		return;
	pack_str(p, "minted");
	pack_array_begin(p);
	for (size_t i = 0; i < n; i++)
		if (left_over(parts, minted_at(parts->minted, i)))
			pack_minted(p, parts, minted_at(parts->minted, i));
	pack_array_end(p);
}

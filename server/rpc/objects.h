/* objects.h - the objects of PROTOCOL.md section 5 as msgpack maps. */
#ifndef SERVER_RPC_OBJECTS_H
#define SERVER_RPC_OBJECTS_H

#include "protocol/pack.h"
#include "server/call/route.h"
#include "server/model/price.h"
#include "server/rpc/request.h"
#include "server/state/credentials.h"
#include "server/state/models.h"
#include "server/state/overrides.h"
#include "server/state/providers.h"
#include "server/state/sessions.h"
#include "server/state/settings.h"
#include "server/state/team.h"

/* How a provider stands, as seen from outside. */
struct provider_view {
	enum provider_status status;
	bool active;      /* the global effective route uses it */
	bool supported;   /* this version speaks its dialect */
	int code;         /* MP_E_... behind error and rate-limited; 0 = none */
	char message[256];
	int64_t since_ms; /* 0 = unknown */
	int64_t until_ms; /* rate-limited until then; 0 = unknown */
};
void provider_view(const struct rpc_parts *parts, const struct provider *p, const char *active,
    struct provider_view *out);

/* Name of the provider of the global effective route, into out (65 bytes); "" = none. */
void active_provider(const struct rpc_parts *parts, char *out, size_t size);

/* The members into a map that is open; `rev` is left out where rpc_ok writes it. */
void pack_provider_members(struct pack *p, const struct rpc_parts *parts, const struct provider *pr,
    const char *active, bool with_rev);
void pack_provider(struct pack *p, const struct rpc_parts *parts, const struct provider *pr,
    const char *active);
/* How many prices each list has, as `counts`, into a map that is open. */
void pack_price_counts(struct pack *p, const struct rpc_parts *parts);
/* What a model costs, into a map that is open. */
void pack_tariff_members(struct pack *p, const struct tariff *t);
/* entry NULL: a catalogue model, an alias, or one that the provider listed. */
void pack_model_members(struct pack *p, const struct rpc_parts *parts, const struct provider *pr,
    const char *model, const struct model_entry *entry, bool with_rev);
void pack_model(struct pack *p, const struct rpc_parts *parts, const struct provider *pr,
    const char *model, const struct model_entry *entry);
/* A local model whose usable context is too small for serious work: the sentence, else false. */
bool context_warning(const struct rpc_parts *parts, const struct provider *pr, const char *model,
    char *text, size_t size);
/* "chain" and what its list is: the name, the codes it falls back on, the targets in their order, each with
 * the reason when it is passed over. Nothing for a route without a chain. */
void pack_route_chain(struct pack *p, const struct rpc_parts *parts, const struct route *r);
/* The member keys, where several share the calls of that target. */
void pack_route_keys(struct pack *p, const struct rpc_parts *parts, const struct target *t);
/* The members into a map that is open; `rev` is left out where rpc_ok writes it. */
void pack_chain_members(struct pack *p, const struct rpc_parts *parts, const struct chain *c, bool with_rev);
void pack_chain(struct pack *p, const struct rpc_parts *parts, const struct chain *c);
void pack_chains(struct pack *p, const struct rpc_parts *parts);
/* ref, provider, model and what else a target is. */
void pack_target(struct pack *p, const struct target *t);
/* The winner of a route. */
void pack_route(struct pack *p, const struct route *r);
void pack_layer(struct pack *p, const struct layer *l);
/* An override in force, in the shape of a Route. */
void pack_override(struct pack *p, const struct rpc_parts *parts, const struct override *o);
void pack_key(struct pack *p, const struct rpc_parts *parts, const struct credential *c);
/* The members into a map that is open; `rev` is left out where rpc_ok writes it. */
void pack_session_members(struct pack *p, const struct rpc_parts *parts, const struct session *s,
    bool with_rev);
void pack_session(struct pack *p, const struct rpc_parts *parts, const struct session *s);
/* The activated session if that is one of this provider; NULL = none. */
const struct session *session_of(const struct rpc_parts *parts, const struct provider *pr);
/* The members into a map that is open. */
void pack_setting_members(struct pack *p, const struct rpc_parts *parts, enum setting which);
void pack_setting(struct pack *p, const struct rpc_parts *parts, enum setting which);
/* Into an open map. */
void pack_key_members(struct pack *p, const struct rpc_parts *parts, const struct credential *c);
void pack_bundle(struct pack *p, const struct rpc_parts *parts, const struct bundle_held *h);
void pack_changed_bundle(struct pack *p, const struct rpc_parts *parts, const char *team);
/* "limits" and the list; nothing when l is NULL. */
void pack_limits(struct pack *p, const struct limits *l);

struct budget;
/* The members into a map that is open; `rev` is left out where rpc_ok writes it. */
void pack_budget_members(struct pack *p, const struct rpc_parts *parts, const struct budget *b,
    bool with_rev);

/* Whole topics, as arrays. */
void pack_providers(struct pack *p, const struct rpc_parts *parts, const char *filter);
void pack_models(struct pack *p, const struct rpc_parts *parts);
void pack_overrides(struct pack *p, const struct rpc_parts *parts, bool scoped_only);
void pack_keys(struct pack *p, const struct rpc_parts *parts, const char *provider);
void pack_budgets(struct pack *p, const struct rpc_parts *parts);
void pack_sessions(struct pack *p, const struct rpc_parts *parts);
void pack_settings(struct pack *p, const struct rpc_parts *parts);
void pack_bundles(struct pack *p, const struct rpc_parts *parts);
/* "minted": the keys that wait to be deleted at their provider; nothing when there are none. */
void pack_minted_left(struct pack *p, const struct rpc_parts *parts);

#endif

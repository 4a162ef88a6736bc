/* provider_object.c - a provider as clients see it: its definition, key and status. */
#include "server/rpc/objects.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/clock.h"
#include "server/dialect/dialect.h"
#include "server/state/catalogue.h"
#include "server/state/provider_activity.h"

void
active_provider(const struct rpc_parts *parts, char *out, size_t size)
{
	struct error err = ERROR_INIT;
	struct route r;

	out[0] = '\0';
	route_init(&r);
	if (routes_effective(parts->routes, NULL, NULL, &r, &err) == 0)
		snprintf(out, size, "%s", r.target.provider);
	route_clear(&r);
}

static void
view_error(struct provider_view *v, enum provider_status status, int code, const char *message,
    int64_t since_ms)
{
	v->status = status;
	v->code = code;
	v->since_ms = since_ms;
	snprintf(v->message, sizeof v->message, "%s", message);
}

/* A key is only sent to the origin it was stored for (THREATS.md section 3.4). */
static bool
key_fits(const struct provider *p, const struct credential *c)
{
	char *origin = NULL;
	bool loopback, fits;

	fits = p->base_url == NULL || (url_origin(p->base_url, &origin, &loopback) == 0 &&
	    strcmp(origin, c->origin) == 0);
	free(origin);
	return fits;
}

/* The usual key; where keys share the calls and that one is missing, any of them. */
static const struct credential *
key_of(const struct rpc_parts *parts, const struct provider *p, const char *label)
{
	const struct credential *c = credentials_find(parts->credentials, p->name, label);
	const struct target t = { .provider = p->name };
	struct route_keys keys;

	return c == NULL && label == NULL && routes_keys(parts->routes, &t, &keys) ? keys.of[0] : c;
}

/* What stands in the way of the key; true when something does. */
static bool
view_key(const struct rpc_parts *parts, const struct provider *p, struct provider_view *v)
{
	const struct session *test = session_of(parts, p);
	const struct credential *c = key_of(parts, p, test != NULL ? test->label : NULL);

	if (p->auth != AUTH_API_KEY && p->auth != AUTH_OPTIONAL_KEY)
		return false;
	if (c == NULL) {
		if (p->auth == AUTH_OPTIONAL_KEY)
			return false;
		v->status = STATUS_NO_CREDENTIAL;
		return true;
	}
	if (vault_is_locked(parts->vault)) {
		view_error(v, STATUS_LOCKED, MP_E_LOCKED, vault_locked_why(parts->vault), 0);
		return true;
	}
	if (!key_fits(p, c)) {
		view_error(v, STATUS_ERROR, MP_E_ORIGIN,
		    "the address is not the one the key was stored for", 0);
		return true;
	}
	return false;
}

/* Where keys share the calls, one of them that can serve is enough. */
static bool
other_key_serves(const struct rpc_parts *parts, const struct provider *p)
{
	char none[] = "";
	const struct target t = { .provider = p->name, .model = none, .upstream = none };
	int64_t soonest_ms;

	return routes_any_key_fits(parts->routes, &t, &soonest_ms);
}

/* A wall that the provider announced: nothing gets through until it resets. */
static bool
view_limits(const struct rpc_parts *parts, const struct provider *p, struct provider_view *v)
{
	const struct limits *l = providers_limits(parts->providers, p->name);
	const struct limit *wall = l != NULL ? limits_wall(l, clock_wall_ms()) : NULL;
	char why[96];

	if (wall == NULL || other_key_serves(parts, p))
		return false;
	snprintf(why, sizeof why, wall->microusd ? "the %s is used up"
	    : "the limit of %s is used up", wall->name);
	view_error(v, STATUS_RATE_LIMITED,
	    wall->microusd ? MP_E_QUOTA_EXCEEDED : MP_E_RATE_LIMITED, why, l->at_ms);
	v->until_ms = limit_resets_ms(l, wall);
	return true;
}

static void
view_health(const struct rpc_parts *parts, const struct provider *p, struct provider_view *v)
{
	struct provider_health h;

	providers_health(parts->providers, p->name, &h);
	v->since_ms = h.since_ms;
	/* nobody installed a server by having it in the catalogue: it has to be seen first */
	if (h.since_ms == 0 && p->auto_detect && p->type == PROVIDER_LOCAL) {
		view_error(v, STATUS_ERROR, MP_E_PROVIDER_UNAVAILABLE, "not seen yet", 0);
		return;
	}
	if (view_limits(parts, p, v) || h.code == 0)
		return;
	v->until_ms = h.until_ms;
	if (h.code == MP_E_RATE_LIMITED || h.code == MP_E_QUOTA_EXCEEDED) {
		if (h.until_ms > 0 && h.until_ms <= clock_wall_ms())
			return; /* the wait is over */
		view_error(v, STATUS_RATE_LIMITED, h.code, h.message, h.since_ms);
		return;
	}
	view_error(v, STATUS_ERROR, h.code, h.message, h.since_ms);
}

void
provider_view(const struct rpc_parts *parts, const struct provider *p, const char *active,
    struct provider_view *out)
{
	char why[160];

	memset(out, 0, sizeof *out);
	out->status = STATUS_AVAILABLE;
	out->active = strcmp(p->name, active) == 0;
	out->supported = dialect_find(p->dialect) != NULL;
	if (!p->enabled) {
		out->status = STATUS_DISABLED;
		return;
	}
	if (view_key(parts, p, out))
		return;
	if (!out->supported) {
		snprintf(why, sizeof why, "this version does not speak %s yet", p->dialect);
		view_error(out, STATUS_ERROR, MP_E_INVALID_STATE, why, 0);
		return;
	}
	view_health(parts, p, out);
	if (out->active && out->status == STATUS_AVAILABLE)
		out->status = STATUS_ACTIVE;
}

/* A proxy URL may hold a password: its user part is not shown. */
static void
pack_proxy(struct pack *p, const char *proxy)
{
	const char *scheme_end, *at;
	char shown[512];

	if (proxy == NULL)
		return;
	scheme_end = strstr(proxy, "://");
	at = strrchr(proxy, '@');
	if (at == NULL) {
		pack_kv_str(p, "proxy", proxy);
		return;
	}
	snprintf(shown, sizeof shown, "%.*s***%s",
	    scheme_end != NULL ? (int)(scheme_end + 3 - proxy) : 0, proxy, at);
	pack_kv_str(p, "proxy", shown);
}

static size_t
models_known(const struct rpc_parts *parts, const struct provider *pr)
{
	const struct discovered_list *l = discovered_list(models_discovered(parts->models), pr);
	size_t n = pr->alias_count;

	if (l != NULL)
		return l->models.count;
	for (size_t i = 0; i < catalogue_model_count(); i++)
		if (strcmp(catalogue_model(i)->provider, pr->name) == 0)
			n++;
	for (size_t i = 0; i < models_count(parts->models); i++) {
		const struct model_entry *e = models_at(parts->models, i);

		if (e->listed && strcmp(e->provider, pr->name) == 0 &&
		    provider_alias_model(pr, e->model) == NULL)
			n++;
	}
	return n;
}

static void
pack_definition(struct pack *p, const struct provider *pr)
{
	const struct dialect *dialect = dialect_find(pr->dialect);

	pack_kv_str(p, "name", pr->name);
	pack_kv_str(p, "display_name", pr->display_name);
	pack_kv_str(p, "type", provider_type_name(pr->type));
	pack_kv_str(p, "dialect", pr->dialect);
	pack_kv_str(p, "auth_type", auth_type_name(pr->auth));
	pack_kv_str(p, "base_url", pr->base_url);
	pack_kv_bool(p, "enabled", pr->enabled);
	pack_kv_str(p, "origin", provider_origin_name(pr->origin));
	pack_kv_str(p, "key_env", pr->key_env);
	pack_kv_str(p, "key_sharing", key_sharing_name(pr->key_sharing));
	pack_kv_str(p, "login_command", pr->login_command);
	pack_kv_bool(p, "auto_detect", pr->auto_detect);
	pack_kv_str(p, "health_check", pr->health_check);
	pack_kv_str(p, "ca_file", pr->ca_file);
	pack_proxy(p, pr->proxy);
	pack_kv_str(p, "program", pr->program);
	if (dialect != NULL)
		pack_kv_str(p, "terms", dialect->terms);
	pack_str(p, "features");
	pack_array_begin(p);
	for (char **f = pr->features; *f != NULL; f++)
		pack_str(p, *f);
	pack_array_end(p);
	pack_str(p, "models");
	pack_map_begin(p);
	for (size_t i = 0; i < pr->alias_count; i++)
		pack_kv_str(p, pr->aliases[i].alias, pr->aliases[i].model);
	pack_map_end(p);
}

static void
pack_limit(struct pack *p, const struct limits *of, const struct limit *l)
{
	pack_map_begin(p);
	pack_kv_str(p, "name", l->name);
	if (l->limit >= 0)
		pack_kv_int(p, l->microusd ? "limit_microusd" : "limit", l->limit);
	if (l->remaining >= 0)
		pack_kv_int(p, l->microusd ? "remaining_microusd" : "remaining", l->remaining);
	if (l->used_permille >= 0)
		pack_kv_int(p, "used_permille", l->used_permille);
	if (l->resets_ms > 0)
		pack_kv_int(p, "resets_ms", l->resets_ms);
	if (l->rejected)
		pack_kv_bool(p, "rejected", true);
	if (l->estimated)
		pack_kv_bool(p, "estimated", true);
	if (l->partial)
		pack_kv_bool(p, "partial", true);
	pack_kv_int(p, "at_ms", of->at_ms);
	pack_map_end(p);
}

void
pack_limits(struct pack *p, const struct limits *l)
{
	if (l == NULL)
		return;
	pack_str(p, "limits");
	pack_array_begin(p);
	for (size_t i = 0; i < l->count; i++)
		pack_limit(p, l, &l->of[i]);
	pack_array_end(p);
}

/* The same service elsewhere, and which of them is in use. */
static void
pack_regions(struct pack *p, const struct provider *pr)
{
	const char *name = catalogue_name(pr->id);
	const struct catalogue_region *r = name != NULL ? catalogue_region(name, 0) : NULL;
	const char *here = NULL;

	if (r == NULL)
		return;
	pack_str(p, "regions");
	pack_map_begin(p);
	for (size_t i = 1; r != NULL; r = catalogue_region(name, i++)) {
		pack_kv_str(p, r->word, r->url);
		if (pr->base_url != NULL && strcmp(pr->base_url, r->url) == 0)
			here = r->word;
	}
	pack_map_end(p);
	pack_kv_str(p, "region", here);
}

static void
pack_rate_limits(struct pack *p, const struct provider *pr)
{
	if (pr->rate_limits.weekly == 0 && pr->rate_limits.rolling == 0 &&
	    pr->rate_limits.window_hours == 0)
		return;
	pack_str(p, "rate_limits");
	pack_map_begin(p);
	if (pr->rate_limits.weekly > 0)
		pack_kv_int(p, "weekly", pr->rate_limits.weekly);
	if (pr->rate_limits.rolling > 0)
		pack_kv_int(p, "rolling", pr->rate_limits.rolling);
	if (pr->rate_limits.window_hours > 0)
		pack_kv_int(p, "window_hours", pr->rate_limits.window_hours);
	pack_map_end(p);
}

/* Nothing where nobody asked. */
static void
pack_activity(struct pack *p, const struct activity *activity)
{
	uint32_t minutes[ACTIVITY_MINUTES], asked = 0, failed = 0;

	if (activity != NULL)
		activity_read(activity, clock_wall_ms(), minutes, &asked, &failed);
	if (asked == 0)
		return;
	pack_str(p, "activity");
	pack_map_begin(p);
	pack_kv_int(p, "requests", asked);
	pack_kv_int(p, "errors", failed);
	pack_str(p, "minutes");
	pack_array_begin(p);
	for (size_t i = 0; i < ACTIVITY_MINUTES; i++)
		pack_int(p, minutes[i]);
	pack_array_end(p);
	pack_map_end(p);
}

static void
pack_status(struct pack *p, const struct rpc_parts *parts, const struct provider *pr,
    const char *active)
{
	struct provider_health h;
	struct provider_view v;

	provider_view(parts, pr, active, &v);
	providers_health(parts->providers, pr->name, &h);
	pack_kv_str(p, "status", provider_status_name(v.status));
	pack_kv_bool(p, "active", v.active);
	pack_kv_bool(p, "supported", v.supported);
	if (v.code != 0) {
		pack_kv_str(p, "status_code", error_code(v.code));
		pack_kv_str(p, "status_message", v.message);
	}
	if (v.since_ms > 0)
		pack_kv_int(p, "status_since_ms", v.since_ms);
	if (v.until_ms > 0 && v.status == STATUS_RATE_LIMITED)
		pack_kv_int(p, "status_until_ms", v.until_ms);
	if (h.last_used_ms > 0)
		pack_kv_int(p, "last_used_ms", h.last_used_ms);
	if (h.latency_p50_ms >= 0)
		pack_kv_int(p, "latency_p50_ms", h.latency_p50_ms);
	if (h.latency_p95_ms >= 0)
		pack_kv_int(p, "latency_p95_ms", h.latency_p95_ms);
	pack_activity(p, h.activity);
	pack_kv_int(p, "models_count",
	    h.models_count >= 0 ? h.models_count : (int64_t)models_known(parts, pr));
}

void
pack_provider_members(struct pack *p, const struct rpc_parts *parts, const struct provider *pr,
    const char *active, bool with_rev)
{
	const struct credential *c = credentials_find(parts->credentials, pr->name, NULL);
	const struct session *test = session_of(parts, pr);

	pack_definition(p, pr);
	pack_kv_str(p, "team", providers_team(parts->providers, pr));
	pack_regions(p, pr);
	pack_rate_limits(p, pr);
	pack_limits(p, providers_limits(parts->providers, pr->name));
	if (c != NULL) {
		pack_str(p, "key");
		pack_key(p, parts, c);
	}
	pack_status(p, parts, pr, active);
	if (test != NULL) {
		pack_str(p, "session");
		pack_session(p, parts, test);
	}
	if (with_rev)
		pack_kv_int(p, "rev", pr->rev);
}

void
pack_provider(struct pack *p, const struct rpc_parts *parts, const struct provider *pr,
    const char *active)
{
	pack_map_begin(p);
	pack_provider_members(p, parts, pr, active, true);
	pack_map_end(p);
}

static bool
provider_matches(const struct provider *pr, const char *filter)
{
	return filter == NULL || filter[0] == '\0' || strstr(pr->name, filter) != NULL ||
	    strcmp(provider_type_name(pr->type), filter) == 0 ||
	    (pr->display_name != NULL && strcasestr(pr->display_name, filter) != NULL);
}

void
pack_providers(struct pack *p, const struct rpc_parts *parts, const char *filter)
{
	char active[65];

	active_provider(parts, active, sizeof active);
	pack_array_begin(p);
	for (size_t i = 0; i < providers_count(parts->providers); i++) {
		const struct provider *pr = providers_at(parts->providers, i);

		if (provider_matches(pr, filter))
			pack_provider(p, parts, pr, active);
	}
	pack_array_end(p);
}

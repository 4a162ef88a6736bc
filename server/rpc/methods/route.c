/* route.c - the live choice: asking for it, switching it. */
#include <stdlib.h>
#include <string.h>

#include "protocol/message.h"
#include "server/call/route.h"
#include "server/rpc/methods/switching.h"
#include "server/rpc/objects.h"
#include "server/rpc/request.h"
#include "server/state/changes.h"

/* The scope parameter where none means everywhere; "" for global. */
static const char *
scope_or_global(struct rpc_request *req)
{
	const char *scope = rpc_str(req, "scope");

	return scope != NULL ? scope : "";
}

struct rpc_answer
rpc_route_get(struct rpc_request *req)
{
	const struct rpc_parts *parts = rpc_parts(req);
	const struct route_wish wish = { rpc_str(req, "ref"), NULL, rpc_slice(req, "session"),
	    rpc_scope(req) };
	struct error err = ERROR_INIT, why = ERROR_INIT;
	struct rpc_answer a;
	struct route route;
	struct pack *p;
	int ready;

	route_init(&route);
	if (routes_find(parts->routes, &wish, &route, &err) != 0) {
		a = rpc_fail_err(req, &err);
		goto out;
	}
	ready = routes_ready(parts->routes, &route.target, &why);
	p = rpc_result(req);
	pack_str(p, "active");
	pack_route(p, &route);
	pack_str(p, "why");
	pack_array_begin(p);
	for (size_t i = 0; i < route.layer_count; i++)
		pack_layer(p, &route.layers[i]);
	pack_array_end(p);
	pack_route_chain(p, parts, &route);
	pack_route_keys(p, parts, &route.target);
	pack_kv_bool(p, "ready", ready == 0);
	if (ready != 0) {
		pack_str(p, "problem");
		message_pack_error(p, &why);
	}
	a = rpc_ok(req);
out:
	route_clear(&route);
	return a;
}

/* The scope's choice is not the one the client knew: says what it is now. */
static struct rpc_answer
changed_meanwhile(struct rpc_request *req, const char *scope, int64_t rev)
{
	const struct rpc_parts *parts = rpc_parts(req);
	struct error err = ERROR_INIT, ignored = ERROR_INIT;
	struct buf extra = BUF_INIT;
	struct rpc_answer a;
	unsigned count = 1;
	struct route now;
	struct pack p;

	error_set(&err, MP_E_PRECONDITION_FAILED, "the choice was changed meanwhile");
	pack_init(&p, &extra);
	pack_str(&p, "rev");
	pack_int(&p, rev);
	route_init(&now);
	if (routes_effective(parts->routes, NULL, scope, &now, &ignored) == 0) {
		pack_str(&p, "current");
		pack_route(&p, &now);
		count++;
	}
	route_clear(&now);
	a = rpc_fail_data(req, &err, &extra, count);
	buf_clear(&extra);
	return a;
}

/* What the choice means that one may not have thought of. */
static void
pack_choice_warnings(struct pack *p, const struct rpc_parts *parts, const struct target *t)
{
	const struct provider *pr = providers_find(parts->providers, t->provider);
	char text[320];

	if (pr == NULL || !context_warning(parts, pr, t->model, text, sizeof text))
		return;
	pack_str(p, "warnings");
	pack_array_begin(p);
	pack_str(p, text);
	pack_array_end(p);
}

static int
store_choice(struct rpc_request *req, const char *scope, const struct target *t, const char *chain,
    struct error *err)
{
	const struct rpc_parts *parts = rpc_parts(req);
	int64_t ttl_ms = rpc_int(req, "ttl_ms", 0);
	const struct provider *pr = providers_find(parts->providers, t->provider);
	bool temporary = rpc_bool(req, "temporary", false) || ttl_ms > 0;
	int r;

	if (pr == NULL)
		return error_set(err, MP_E_NOT_FOUND, "unknown provider \"%s\"", t->provider);
	if ((r = changes_begin(parts->changes, err)) != 0)
		return r;
	if (chain[0] != '\0')
		r = overrides_set_chain(parts->overrides, scope, chain, temporary, ttl_ms, err);
	else
		r = overrides_set(parts->overrides, scope, pr, t->model, t->label, temporary, ttl_ms, err);
	/* a switch everywhere takes effect at once, so it steps over an activated test session */
	if (r == 0 && scope[0] == '\0' && !rpc_bool(req, "keep_session", false))
		sessions_deactivate(parts->sessions, &r, err);
	return rpc_change_end(req, r, err);
}

static int
choose(struct rpc_request *req, struct target *out, char chain[65], char **meaning, struct error *err)
{
	struct routes *routes = rpc_parts(req)->routes;
	const char *label = rpc_str(req, "label");
	int r = routes_choose(routes, rpc_str(req, "ref"), out, chain, meaning, err);

	if (r != 0 || label == NULL)
		return r;
	if (chain[0] != '\0')
		return error_field(err, "label", "a chain has several targets, each with its own key");
	return routes_label(routes, out, label, err);
}

struct rpc_answer
rpc_route_set(struct rpc_request *req)
{
	const struct rpc_parts *parts = rpc_parts(req);
	struct error err = ERROR_INIT, why = ERROR_INIT;
	const char *scope = scope_or_global(req);
	int64_t rev = overrides_scope_rev(parts->overrides, scope);
	struct switching s;
	struct rpc_answer a;
	struct target target;
	char *meaning = NULL, chain[65];
	struct pack *p;

	if (rpc_has(req, "if_rev") && rpc_int(req, "if_rev", -1) != rev)
		return changed_meanwhile(req, scope, rev);
	target_init(&target);
	switching_begin(&s, req, scope);
	if (choose(req, &target, chain, &meaning, &err) != 0 ||
	    store_choice(req, scope, &target, chain, &err) != 0 ||
	    (p = switching_result(&s, &err)) == NULL) {
		a = rpc_fail_err(req, &err);
		goto out;
	}
	if (scope[0] == '\0')
		pack_keeping(p, parts);
	pack_choice_warnings(p, parts, &target);
	if (routes_ready(parts->routes, &s.active.target, &why) != 0) {
		pack_str(p, "problem");
		message_pack_error(p, &why);
	}
	a = rpc_ok(req);
out:
	switching_clear(&s);
	target_clear(&target);
	free(meaning);
	return a;
}

struct rpc_answer
rpc_route_clear(struct rpc_request *req)
{
	const struct rpc_parts *parts = rpc_parts(req);
	const char *scope = scope_or_global(req);
	struct error err = ERROR_INIT;
	struct switching s;
	struct rpc_answer a;
	int r;

	switching_begin(&s, req, scope);
	if ((r = changes_begin(parts->changes, &err)) == 0) {
		if (rpc_has(req, "id"))
			r = overrides_clear_id(parts->overrides, rpc_int(req, "id", 0), &err);
		else
			r = overrides_clear(parts->overrides, scope, &err);
		r = rpc_change_end(req, r, &err);
	}
	a = r == 0 && switching_result(&s, &err) != NULL ? rpc_ok(req) : rpc_fail_err(req, &err);
	switching_clear(&s);
	return a;
}

struct rpc_answer
rpc_route_undo(struct rpc_request *req)
{
	const struct rpc_parts *parts = rpc_parts(req);
	const char *scope = scope_or_global(req);
	struct error err = ERROR_INIT;
	struct switching s;
	struct rpc_answer a;
	int r;

	switching_begin(&s, req, scope);
	if ((r = changes_begin(parts->changes, &err)) == 0) {
		/* what came before an activated test session is what lies below it */
		if (scope[0] != '\0' || !sessions_deactivate(parts->sessions, &r, &err))
			r = overrides_undo(parts->overrides, scope, &err);
		r = rpc_change_end(req, r, &err);
	}
	a = r == 0 && switching_result(&s, &err) != NULL ? rpc_ok(req) : rpc_fail_err(req, &err);
	switching_clear(&s);
	return a;
}

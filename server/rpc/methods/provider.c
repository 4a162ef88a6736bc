/* provider.c - providers: listing, adding, changing, removing. */
#include <stdlib.h>
#include <string.h>

#include "server/call/route.h"
#include "server/dialect/dialect.h"
#include "server/rpc/methods/provider_fields.h"
#include "server/rpc/objects.h"
#include "server/rpc/request.h"
#include "server/state/changes.h"
#include "server/state/provider_users.h"

#define CATALOGUE_ID "catalogue:" /* ids of providers that are shipped begin so */

struct rpc_answer
rpc_provider_list(struct rpc_request *req)
{
	const char *filter = rpc_str(req, "filter");
	struct pack *p = rpc_result(req);

	pack_str(p, "providers");
	pack_providers(p, rpc_parts(req), filter);
	return rpc_ok(req);
}

static struct rpc_answer
unknown_provider(struct rpc_request *req, const char *name)
{
	struct error err = ERROR_INIT;

	error_set(&err, MP_E_NOT_FOUND, "unknown provider \"%s\"", name);
	providers_suggest(rpc_parts(req)->providers, name, &err);
	return rpc_fail_err(req, &err);
}

/* The Provider object is the result itself; rpc_ok writes `rev` where the method changes state. */
static struct pack *
provider_result(struct rpc_request *req, const struct provider *pr)
{
	const struct rpc_parts *parts = rpc_parts(req);
	struct pack *p = rpc_result(req);
	char active[65];

	active_provider(parts, active, sizeof active);
	pack_provider_members(p, parts, pr, active,
	    (rpc_method(req)->flags & RPC_MUTATES) == 0);
	return p;
}

struct rpc_answer
rpc_provider_get(struct rpc_request *req)
{
	const char *name = rpc_str(req, "name");
	const struct provider *pr = providers_find(rpc_parts(req)->providers, name);

	if (pr == NULL)
		return unknown_provider(req, name);
	provider_result(req, pr);
	return rpc_ok(req);
}

/* What a change means that one may not have thought of. enabled: the dialect that was turned on, or NULL. */
static void
pack_warnings(struct pack *p, bool moved, const char *enabled)
{
	const struct dialect *d = dialect_find(enabled);
	bool terms = d != NULL && d->terms != NULL;

	if (!moved && !terms)
		return;
	pack_str(p, "warnings");
	pack_array_begin(p);
	if (moved)
		pack_str(p, "the address belongs to another server now: the stored key is kept but "
		    "not sent there; set it again to use it");
	if (terms)
		pack_str(p, d->terms);
	pack_array_end(p);
}

/* ---- add ---- */

static int
store_new(struct rpc_request *req, struct provider *p, struct error *err)
{
	const struct rpc_parts *parts = rpc_parts(req);
	int r;

	if ((r = changes_begin(parts->changes, err)) != 0)
		return r;
	p->rev = changes_next_rev(parts->changes);
	r = providers_add(parts->providers, p, err);
	return rpc_change_end(req, r, err);
}

struct rpc_answer
rpc_provider_add(struct rpc_request *req)
{
	const struct rpc_parts *parts = rpc_parts(req);
	struct provider *p = provider_new();
	const char *name = rpc_str(req, "name");
	struct buf fields = BUF_INIT;
	struct error err = ERROR_INIT;
	const struct value *params = rpc_params(req);
	struct rpc_answer a;

	p->origin = ORIGIN_USER;
	free(p->dialect);
	p->dialect = NULL;
	if (provider_fields_set(p, params, "", "request_key", &fields, &err) != 0 ||
	    dialect_complete(p, rpc_has(req, "type"), rpc_has(req, "auth_type"), &err) != 0 ||
	    store_new(req, p, &err) != 0) {
		a = rpc_fail_err(req, &err);
	} else {
		pack_warnings(provider_result(req, providers_find(parts->providers, name)), false,
		    p->enabled ? p->dialect : NULL);
		a = rpc_ok(req);
	}
	buf_clear(&fields);
	provider_free(p);
	return a;
}

/* ---- update ---- */

static struct rpc_answer
changed_meanwhile(struct rpc_request *req, const struct provider *pr)
{
	struct error err = ERROR_INIT;
	struct buf extra = BUF_INIT;
	struct rpc_answer a;
	char active[65];
	struct pack p;

	error_set(&err, MP_E_PRECONDITION_FAILED, "provider %s was changed meanwhile", pr->name);
	active_provider(rpc_parts(req), active, sizeof active);
	pack_init(&p, &extra);
	pack_str(&p, "current");
	pack_provider(&p, rpc_parts(req), pr, active);
	a = rpc_fail_data(req, &err, &extra, 1);
	buf_clear(&extra);
	return a;
}

static struct provider_house
house_of(const struct rpc_parts *parts)
{
	return (struct provider_house){ parts->chains, parts->overrides, parts->sessions, parts->models,
		parts->credentials, parts->own_prices };
}

static bool
has_keys(const struct rpc_parts *parts, const struct provider *pr)
{
	const struct provider_house h = house_of(parts);

	return (provider_users(&h, pr) & PROVIDER_HAS_KEY) != 0;
}

/* Stores the change; *moved: keys are kept but will not be sent to the new address. */
static int
store_changed(struct rpc_request *req, const char *name, const struct provider *before,
    const struct provider *changed, const char *fields, bool *moved, struct error *err)
{
	const struct rpc_parts *parts = rpc_parts(req);
	int r;

	*moved = has_keys(parts, before) && provider_origin_differs(before, changed);
	if ((r = changes_begin(parts->changes, err)) != 0)
		return r;
	if ((r = providers_update(parts->providers, name, changed, fields, err)) == 0 && *moved)
		r = credentials_origin_moved(parts->credentials,
		    providers_find(parts->providers, changed->name), err);
	return rpc_change_end(req, r, err);
}

struct rpc_answer
rpc_provider_update(struct rpc_request *req)
{
	const struct rpc_parts *parts = rpc_parts(req);
	const char *name = rpc_str(req, "name");
	const struct provider *before = providers_find(parts->providers, name);
	struct buf fields = BUF_INIT;
	struct error err = ERROR_INIT;
	struct provider *changed;
	struct rpc_answer a;
	bool moved = false, before_enabled;
	struct pack *p;

	if (before == NULL)
		return unknown_provider(req, name);
	before_enabled = before->enabled; /* it is replaced by the change */
	if (rpc_has(req, "if_rev") && rpc_int(req, "if_rev", -1) != before->rev)
		return changed_meanwhile(req, before);
	changed = provider_copy(before);
	changed->rev = changes_next_rev(parts->changes);
	if (provider_fields_set(changed, rpc_param(req, "set"), "set.", "", &fields, &err) != 0 ||
	    (fields.len > 0 &&
	    store_changed(req, before->name, before, changed, buf_str(&fields), &moved, &err) != 0)) {
		a = rpc_fail_err(req, &err);
		goto out;
	}
	p = provider_result(req, providers_find(parts->providers, changed->name));
	pack_warnings(p, moved, !before_enabled && changed->enabled ? changed->dialect : NULL);
	a = rpc_ok(req);
out:
	buf_clear(&fields);
	provider_free(changed);
	return a;
}

/* ---- remove ---- */

/* A catalogue provider only loses the user's changes: what uses it goes on. */
static int
remove_stored(struct rpc_request *req, const struct provider *pr, bool own, bool *reverted,
    struct error *err)
{
	const struct rpc_parts *parts = rpc_parts(req);
	const struct provider_house h = house_of(parts);
	struct provider *before = provider_copy(pr);
	const struct provider *after;
	int r;

	if ((r = changes_begin(parts->changes, err)) != 0)
		goto out;
	if (own)
		r = provider_users_remove(&h, pr, err);
	if (r == 0)
		r = providers_remove(parts->providers, before->name, reverted, err);
	after = providers_find_id(parts->providers, before->id);
	if (r == 0 && after != NULL && provider_origin_differs(before, after))
		r = credentials_origin_moved(parts->credentials, after, err);
	if ((r = rpc_change_end(req, r, err)) == 0)
		provider_users_scrub(&h);
out:
	provider_free(before);
	return r;
}

struct rpc_answer
rpc_provider_remove(struct rpc_request *req)
{
	const struct rpc_parts *parts = rpc_parts(req);
	const struct provider_house h = house_of(parts);
	const char *name = rpc_str(req, "name");
	const struct provider *pr = providers_find(parts->providers, name);
	struct error err = ERROR_INIT;
	struct buf users = BUF_INIT;
	bool reverted = false, own;
	struct rpc_answer a;
	struct pack *p;

	if (pr == NULL)
		return unknown_provider(req, name);
	own = strncmp(pr->id, CATALOGUE_ID, sizeof CATALOGUE_ID - 1) != 0 &&
	      providers_team(parts->providers, pr) == NULL;
	if (own)
		provider_users_text(provider_users(&h, pr), &users);
	if (users.len > 0 && !rpc_bool(req, "cascade", false)) {
		error_set(&err, MP_E_CONFLICT, "provider %s is in use: %s", pr->name, buf_str(&users));
		error_hint(&err, "mpc provider remove %s --cascade removes these too", pr->name);
		a = rpc_fail_err(req, &err);
	} else if (remove_stored(req, pr, own, &reverted, &err) != 0) {
		a = rpc_fail_err(req, &err);
	} else {
		p = rpc_result(req);
		pack_kv_bool(p, "removed", true);
		pack_kv_bool(p, "reverted", reverted);
		a = rpc_ok(req);
	}
	buf_clear(&users);
	return a;
}

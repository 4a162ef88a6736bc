#include "server/call/route.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/call/plan.h"
#include "server/call/resolve.h"
#include "server/call/route_inside.h"

#define DEFAULT_PROVIDER_ID "catalogue:echo"
#define DEFAULT_MODEL "echo"

struct routes *
routes_new(struct providers *ps, struct models *ms, struct overrides *os, struct credentials *cs)
{
	struct routes *r = xcalloc(1, sizeof *r);

	r->ps = ps;
	r->ms = ms;
	r->os = os;
	r->cs = cs;
	return r;
}

void
routes_free(struct routes *r)
{
	free(r);
}

void
routes_use_sessions(struct routes *r, struct sessions *ss)
{
	r->ss = ss;
}

void
routes_use_cooldowns(struct routes *r, struct cooldowns *cs)
{
	r->cooldowns = cs;
}

struct cooldowns *
routes_cooldowns(const struct routes *r)
{
	return r->cooldowns;
}

void
routes_use_purses(struct routes *r, struct purses *ps)
{
	r->purses = ps;
}

struct purses *
routes_purses(const struct routes *r)
{
	return r->purses;
}

void
routes_use_chains(struct routes *r, struct chains *cs)
{
	r->chains = cs;
}

void
route_init(struct route *r)
{
	memset(r, 0, sizeof *r);
}

void
route_clear(struct route *r)
{
	target_clear(&r->target);
	for (size_t i = 0; i < ROUTE_LAYERS; i++)
		target_clear(&r->layers[i].target);
	plan_clear(r);
	route_init(r);
}

static struct layer *
layer_add(struct route *out, enum layer_kind kind, const char *scope)
{
	struct layer *l = &out->layers[out->layer_count++];

	l->kind = kind;
	snprintf(l->scope, sizeof l->scope, "%s", scope);
	return l;
}

/* The first target of a chain; false when the chain, or all it leads to, is gone. */
static bool
chain_first(struct routes *r, const char *name, struct target *out)
{
	const struct chain *c = r->chains != NULL ? chains_find(r->chains, name) : NULL;
	struct route route;
	bool found;

	route_init(&route);
	if (c != NULL)
		plan_add_chain(&route, r->chains, r->ps, c);
	found = route.step_count > 0;
	if (found)
		target_copy(out, &route.steps[0].target);
	route_clear(&route);
	return found;
}

/* The layer of an override; empty when none is in force or its provider is gone for now. */
static void
layer_override(struct routes *r, struct route *out, enum layer_kind kind, const char *scope,
    bool temporary)
{
	const struct override *o = overrides_find(r->os, scope, temporary);
	struct layer *l = layer_add(out, kind, scope);
	const struct provider *p;

	if (o == NULL)
		return;
	if (o->chain != NULL) {
		if (!chain_first(r, o->chain, &l->target))
			return;
		snprintf(l->chain, sizeof l->chain, "%s", o->chain);
	} else {
		if ((p = providers_find_id(r->ps, o->provider_id)) == NULL)
			return;
		resolve_model(p, o->model, o->label, &l->target);
	}
	l->set = true;
	l->id = o->id;
	l->since_ms = o->since_ms;
	l->expires_ms = o->expires_ms;
	l->rev = o->rev;
}

/* The layer of a test session; empty when its provider is gone for now. */
static void
layer_session(struct routes *r, struct route *out, enum layer_kind kind, const struct session *s)
{
	const struct provider *p = providers_find_id(r->ps, s->provider_id);
	struct layer *l = layer_add(out, kind, "");

	if (p == NULL)
		return;
	resolve_model(p, s->model, s->label, &l->target);
	l->set = true;
	l->id = s->id;
	l->since_ms = s->started_ms;
	l->expires_ms = s->expires_ms;
	l->rev = s->rev;
}

static void
layer_default(struct routes *r, struct route *out)
{
	const struct provider *p = providers_find_id(r->ps, DEFAULT_PROVIDER_ID);
	struct layer *l = layer_add(out, LAYER_DEFAULT, "");

	if (p == NULL)
		return;
	resolve_model(p, DEFAULT_MODEL, NULL, &l->target);
	l->set = true;
}

/* An ordinary prompt falls back; who named a target, or tests one, means that one. */
static bool
may_fall_back(enum layer_kind k)
{
	switch (k) {
	case LAYER_SCOPE_TEMPORARY:
	case LAYER_SCOPE_PERSISTENT:
	case LAYER_GLOBAL_TEMPORARY:
	case LAYER_GLOBAL_PERSISTENT:
		return true;
	case LAYER_REQUEST:
	case LAYER_NAMED_SESSION:
	case LAYER_ACTIVATED_SESSION:
	case LAYER_DEFAULT:
		return false;
	}
	return false;
}

/* The targets that the winner stands for. */
static void
plan(struct routes *r, const struct layer *winner, struct route *out)
{
	const char *name = winner->chain[0] != '\0' ? winner->chain : CHAIN_DEFAULT;
	const struct chain *c = r->chains != NULL ? chains_find(r->chains, name) : NULL;

	out->behind = winner->chain[0] == '\0';
	if (out->behind)
		plan_add(out, &winner->target);
	if (c != NULL && (!out->behind || may_fall_back(winner->kind))) {
		plan_add_chain(out, r->chains, r->ps, c);
		out->fall_on = c->fall_on;
		if (!out->behind || out->step_count > 1)
			snprintf(out->chain, sizeof out->chain, "%s", name);
	}
	plan_settle(r, out);
}

static int
elect(struct routes *r, struct route *out, struct error *err)
{
	for (size_t i = 0; i < out->layer_count; i++) {
		const struct model_entry *e;

		if (!out->layers[i].set)
			continue;
		out->winner = i;
		out->layers[i].won = true;
		plan(r, &out->layers[i], out);
		e = models_find(r->ms, out->target.provider, out->target.model);
		if (e != NULL && e->nick != NULL)
			snprintf(out->nick, sizeof out->nick, "%s", e->nick);
		return 0;
	}
	error_set(err, MP_E_NOT_FOUND, "no provider is chosen");
	error_hint(err, "choose one: mpc switch PROVIDER:MODEL");
	return MP_E_NOT_FOUND;
}

static int
elsewhere(const struct session *s, const struct provider *own, const struct target *t,
    struct error *err)
{
	error_set(err, MP_E_ORIGIN, "test session %lld is for %s; it does not speak for %s",
	    (long long)s->id, own != NULL ? own->name : "a provider that is gone", t->provider);
	error_hint(err, "leave the session out to use %s", t->provider);
	return MP_E_ORIGIN;
}

int
routes_label(struct routes *r, struct target *t, const char *label, struct error *err)
{
	if (credentials_label_reserved(label))
		return error_field(err, "label", "\"%s\" is the key of a test session", label);
	if (credentials_find(r->cs, t->provider, label) == NULL) {
		error_set(err, MP_E_NO_CREDENTIAL, "%s has no key \"%s\"", t->provider, label);
		error_hint(err, "mpc key list; mpc key set %s --label %s", t->provider, label);
		return MP_E_NO_CREDENTIAL;
	}
	target_set(t, t->provider, t->model, t->upstream, label);
	return 0;
}

static int
request_label(struct routes *r, struct layer *l, const char *label, const struct session *s,
    struct error *err)
{
	if (s != NULL)
		return error_field(err, "label", "a test session has its own key");
	if (l->chain[0] != '\0')
		return error_field(err, "label", "a chain has several targets, each with its own key");
	return routes_label(r, &l->target, label, err);
}

/* The request's own selector. With a session, what more than one provider has is the session's, and the
 * session's key goes with it. */
static int
layer_request(struct routes *r, struct route *out, const struct route_wish *wish,
    const struct session *s, struct error *err)
{
	const char *selector = wish->selector;
	const struct provider *own = s != NULL ? providers_find_id(r->ps, s->provider_id) : NULL;
	struct layer *l = layer_add(out, LAYER_REQUEST, "");
	struct error ignored = ERROR_INIT;
	char ref[330];
	int rc = routes_choose(r, selector, &l->target, l->chain, NULL, err);

	if (rc == MP_E_AMBIGUOUS && own != NULL) {
		snprintf(ref, sizeof ref, "%s:%.256s", own->name, selector);
		rc = resolve_selector(r->ps, r->ms, ref, &l->target, NULL, &ignored);
		if (rc != 0)
			rc = err->code;
	}
	if (rc != 0)
		return rc;
	l->set = true;
	if (wish->label != NULL)
		return request_label(r, l, wish->label, s, err);
	if (s == NULL)
		return 0;
	if (l->chain[0] != '\0')
		return error_set(err, MP_E_ORIGIN, "a test session tries one target; @%s is a chain",
		    l->chain);
	if (own == NULL || strcmp(own->name, l->target.provider) != 0)
		return elsewhere(s, own, &l->target, err);
	target_set(&l->target, l->target.provider, l->target.model, l->target.upstream, s->label);
	return 0;
}

static int
named_session(struct routes *r, struct slice token, const struct session **out, struct error *err)
{
	*out = NULL;
	if (token.data == NULL)
		return 0;
	if (r->ss == NULL)
		return error_set(err, MP_E_NOT_FOUND, "there are no test sessions here");
	return sessions_find_token(r->ss, token, out, err);
}

int
routes_find(struct routes *r, const struct route_wish *wish, struct route *out, struct error *err)
{
	const struct session *named, *activated = r->ss != NULL ? sessions_activated(r->ss) : NULL;
	const char *scope = wish->scope;
	struct route found;
	int rc;

	route_init(&found);
	if ((rc = named_session(r, wish->session, &named, err)) != 0)
		goto out;
	if (wish->selector != NULL && *wish->selector != '\0' &&
	    (rc = layer_request(r, &found, wish, named, err)) != 0)
		goto out;
	if (wish->label != NULL && (wish->selector == NULL || *wish->selector == '\0')) {
		rc = error_field(err, "label", "a label needs a ref");
		goto out;
	}
	if (named != NULL)
		layer_session(r, &found, LAYER_NAMED_SESSION, named);
	if (scope != NULL && *scope != '\0') {
		layer_override(r, &found, LAYER_SCOPE_TEMPORARY, scope, true);
		layer_override(r, &found, LAYER_SCOPE_PERSISTENT, scope, false);
	}
	if (activated != NULL)
		layer_session(r, &found, LAYER_ACTIVATED_SESSION, activated);
	layer_override(r, &found, LAYER_GLOBAL_TEMPORARY, "", true);
	layer_override(r, &found, LAYER_GLOBAL_PERSISTENT, "", false);
	layer_default(r, &found);
	snprintf(found.scope, sizeof found.scope, "%s", scope != NULL ? scope : "");
	if ((rc = elect(r, &found, err)) != 0)
		goto out;
	if (named != NULL)
		found.session = named->id;
	else if (activated != NULL && found.layers[found.winner].kind == LAYER_ACTIVATED_SESSION)
		found.session = activated->id;
out:
	if (rc != 0) {
		route_clear(&found);
		return rc;
	}
	route_clear(out);
	*out = found;
	return 0;
}

int
routes_effective(struct routes *r, const char *selector, const char *scope, struct route *out,
    struct error *err)
{
	const struct route_wish wish = { .selector = selector, .scope = scope };

	return routes_find(r, &wish, out, err);
}

static int
choose_chain(struct routes *r, const char *name, struct target *out, char chain[65], char **why,
    struct error *err)
{
	const struct chain *c = r->chains != NULL ? chains_find(r->chains, name) : NULL;
	struct buf text = BUF_INIT;

	if (c == NULL && r->chains != NULL)
		return chains_unknown(r->chains, name, err);
	if (c == NULL)
		return error_set(err, MP_E_NOT_FOUND, "there is no chain @%.64s", name);
	if (!chain_first(r, name, out))
		return error_set(err, MP_E_NOT_FOUND, "no provider of chain @%s is there now", name);
	snprintf(chain, 65, "%s", c->name);
	if (why != NULL) {
		buf_addf(&text, "chain of %zu", c->count);
		*why = buf_steal(&text, NULL);
	}
	return 0;
}

int
routes_choose(struct routes *r, const char *selector, struct target *out, char chain[65], char **why,
    struct error *err)
{
	chain[0] = '\0';
	if (selector[0] == '@' && name_valid(selector + 1))
		return choose_chain(r, selector + 1, out, chain, why, err);
	return resolve_selector(r->ps, r->ms, selector, out, why, err);
}

bool
routes_chain(struct routes *r, const struct chain *c, struct route *out)
{
	route_clear(out);
	plan_add_chain(out, r->chains, r->ps, c);
	if (out->step_count == 0)
		return false;
	snprintf(out->chain, sizeof out->chain, "%s", c->name);
	out->fall_on = c->fall_on;
	plan_settle(r, out);
	return true;
}

int
routes_resolve(struct routes *r, const char *selector, struct target *out, char **why,
    struct error *err)
{
	char chain[65];

	if (selector[0] != '@' || r->chains == NULL)
		return resolve_selector(r->ps, r->ms, selector, out, why, err);
	if (!name_valid(selector + 1) || chains_find(r->chains, selector + 1) == NULL)
		return routes_choose(r, selector, out, chain, why, err);
	error_field(err, "ref", "%.65s is a chain; this is about one target", selector);
	error_hint(err, "name one of it: mpc chain show %.64s", selector + 1);
	return MP_E_INVALID_PARAMS;
}

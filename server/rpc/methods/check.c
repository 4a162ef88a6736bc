/* check.c - provider.check and provider.detect: look without touching the route. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/base/clock.h"
#include "server/call/probe.h"
#include "server/rpc/objects.h"
#include "server/rpc/request.h"

#define CHECK_MS 20000
#define WARNINGS_MAX 4
#define KEY_ENDS_SOON_MS ((int64_t)7 * 24 * 3600 * 1000)
#define MODELS_MAX 2000 /* of one server in a reply; models_count tells of all */

/* ---- provider.check ---- */

struct check {
	struct rpc_request *req;
	struct probe *probe;
};

/* The key that went along, or would have. */
static const struct credential *
check_key(const struct rpc_parts *parts, const struct target *t)
{
	const struct provider *p = providers_find(parts->providers, t->provider);

	if (p == NULL || (p->auth != AUTH_API_KEY && p->auth != AUTH_OPTIONAL_KEY))
		return NULL;
	return credentials_find(parts->credentials, t->provider, t->label);
}

static void
warn_about_key(struct pack *p, const struct credential *c)
{
	int64_t left = c != NULL && c->ends_ms > 0 ? c->ends_ms - clock_wall_ms() : KEY_ENDS_SOON_MS;
	char text[160], span[32];

	if (left >= KEY_ENDS_SOON_MS)
		return;
	duration_format(left, span, sizeof span);
	if (left > 0)
		snprintf(text, sizeof text, "the key expires in %s", span);
	else
		snprintf(text, sizeof text, "the key has expired, as the provider says");
	pack_str(p, text);
}

static void
warn_about_context(struct pack *p, const struct rpc_parts *parts, const struct target *t)
{
	const struct provider *pr = providers_find(parts->providers, t->provider);
	const struct discovered_list *l;
	char text[320];
	size_t n = 0;

	l = pr != NULL ? discovered_list(models_discovered(parts->models), pr) : NULL;
	if (l == NULL)
		return;
	if (t->model[0] != '\0' && context_warning(parts, pr, t->model, text, sizeof text))
		pack_str(p, text);
	/* nothing was named: those in memory are the ones that are used */
	for (size_t i = 0; t->model[0] == '\0' && i < l->models.count && n < WARNINGS_MAX; i++) {
		const struct roster_model *m = &l->models.models[i];

		if (m->loaded == 1 && context_warning(parts, pr, m->id, text, sizeof text)) {
			pack_str(p, text);
			n++;
		}
	}
}

static void
pack_check_warnings(struct pack *p, const struct rpc_parts *parts, const struct probe_result *r)
{
	pack_str(p, "warnings");
	pack_array_begin(p);
	if (r->warning != NULL)
		pack_str(p, r->warning);
	warn_about_key(p, check_key(parts, r->target));
	if (r->code == 0)
		warn_about_context(p, parts, r->target);
	pack_array_end(p);
}

static void
kv_known_bool(struct pack *p, const char *key, int v)
{
	if (v >= 0)
		pack_kv_bool(p, key, v != 0);
}

static void
pack_check_key(struct pack *p, const struct rpc_parts *parts, const struct credential *c, int valid)
{
	if (c == NULL)
		return;
	pack_str(p, "key");
	pack_map_begin(p);
	pack_key_members(p, parts, c);
	kv_known_bool(p, "valid", valid);
	pack_map_end(p);
}

/* Of a stored key all that is known; of a test session's, what was said just now. */
static const struct limits *
check_limits(const struct rpc_parts *parts, const struct probe_result *r)
{
	const struct target *t = r->target;

	if (credentials_label_reserved(t->label))
		return r->limits->count > 0 ? r->limits : NULL;
	return credentials_limits(parts->credentials, t->provider, t->label);
}

static void
check_done(void *arg, const struct probe_result *r)
{
	struct check *c = arg;
	const struct rpc_parts *parts = rpc_parts(c->req);
	struct pack *p = rpc_result(c->req);
	char ref[400];

	pack_kv_bool(p, "ok", r->code == 0);
	pack_kv_str(p, "ref", r->target->model[0] != '\0'
	        ? target_ref(r->target, ref, sizeof(ref))
	        : r->target->provider);
	if (r->code != 0) {
		pack_kv_str(p, "code", error_code(r->code));
		pack_kv_str(p, "message", r->error->message);
		if (r->error->hint[0] != '\0')
			pack_kv_str(p, "hint", r->error->hint);
	}
	pack_check_key(p, parts, check_key(parts, r->target), r->key_valid);
	kv_known_bool(p, "reachable", r->reachable);
	if (r->latency_ms >= 0)
		pack_kv_int(p, "latency_ms", r->latency_ms);
	if (r->models >= 0)
		pack_kv_int(p, "models", r->models);
	kv_known_bool(p, "answers", r->answers);
	if (r->first_token_ms >= 0)
		pack_kv_int(p, "first_token_ms", r->first_token_ms);
	pack_limits(p, check_limits(parts, r));
	pack_check_warnings(p, parts, r);
	rpc_finish(c->req);
	free(c);
}

static void
check_cancelled(void *arg)
{
	struct check *c = arg;

	probe_cancel(c->probe);
	free(c);
}

/* A provider's name is enough, even when no model of it is known: the list needs none. */
static int
check_target(struct rpc_request *req, const char *name, struct target *out, struct error *err)
{
	const struct rpc_parts *parts = rpc_parts(req);
	const struct provider *p = providers_find(parts->providers, name);
	struct error ignored = ERROR_INIT;
	char *why = NULL;
	int r;

	r = routes_resolve(parts->routes, name, out, &why, p != NULL ? &ignored : err);
	free(why);
	if (r != 0 && p != NULL) {
		target_set(out, p->name, "", NULL, NULL);
		r = 0;
	}
	return r;
}

/* With another key than the usual one. */
static int
check_label(const struct rpc_parts *parts, const char *label, struct target *t, struct error *err)
{
	struct target with;

	if (label == NULL)
		return 0;
	if (credentials_label_reserved(label) ||
	    credentials_find(parts->credentials, t->provider, label) == NULL) {
		error_set(err, MP_E_NO_CREDENTIAL, "%s has no key \"%s\"", t->provider, label);
		error_hint(err, "mpc key set %s --label %s", t->provider, label);
		return err->code;
	}
	target_init(&with);
	target_set(&with, t->provider, t->model, t->upstream, label);
	target_clear(t);
	*t = with;
	return 0;
}

struct rpc_answer
rpc_provider_check(struct rpc_request *req)
{
	const struct rpc_parts *parts = rpc_parts(req);
	struct check *c = xcalloc(1, sizeof(*c));
	struct error err = ERROR_INIT;
	struct target target;

	target_init(&target);
	if (check_target(req, rpc_str(req, "name"), &target, &err) != 0 ||
	    check_label(parts, rpc_str(req, "label"), &target, &err) != 0)
		goto fail;
	c->req = req;
	c->probe = probe_start(parts->probes, &target, rpc_bool(req, "deep", false), CHECK_MS,
	    check_done, c, &err);
	if (c->probe == NULL)
		goto fail;
	target_clear(&target);
	return rpc_pending(req, check_cancelled, c);

fail:
	target_clear(&target);
	free(c);
	return rpc_fail_err(req, &err);
}

/* ---- provider.detect ---- */

struct detecting {
	struct rpc_request *req;
	struct detection *detection;
	const struct rpc_parts *parts;
	struct buf found; /* an array of maps, open until the end */
	struct pack pack;
};

static void
detecting_free(struct detecting *d)
{
	buf_clear(&d->found);
	free(d);
}

static void
detect_found(void *arg, const struct found_server *f)
{
	struct detecting *d = arg;
	const struct provider *pr = f->provider;
	size_t count = f->models != NULL ? f->models->count : 0;
	struct pack *p = &d->pack;

	pack_map_begin(p);
	pack_kv_str(p, "name", pr->name);
	pack_kv_str(p, "type", provider_type_name(pr->type));
	pack_kv_str(p, "dialect", pr->dialect);
	pack_kv_str(p, "base_url", pr->base_url);
	pack_kv_bool(p, "moved", f->moved);
	pack_kv_bool(p, "wants_key", f->models == NULL);
	pack_kv_int(p, "models_count", (int64_t)count);
	pack_str(p, "models");
	pack_array_begin(p);
	for (size_t i = 0; i < count && i < MODELS_MAX; i++)
		pack_str(p, f->models->models[i].id);
	pack_array_end(p);
	pack_map_end(p);
}

static void
detect_done(void *arg)
{
	struct detecting *d = arg;
	struct pack *p = rpc_result(d->req);

	pack_array_end(&d->pack);
	pack_str(p, "found");
	pack_raw(p, buf_str(&d->found), d->found.len);
	rpc_finish(d->req);
	detecting_free(d);
}

static void
detect_cancelled(void *arg)
{
	struct detecting *d = arg;

	detect_cancel(d->detection);
	detecting_free(d);
}

struct rpc_answer
rpc_provider_detect(struct rpc_request *req)
{
	struct detecting *d = xcalloc(1, sizeof(*d));

	d->req = req;
	d->parts = rpc_parts(req);
	pack_init(&d->pack, &d->found);
	pack_array_begin(&d->pack);
	d->detection = detect_start(d->parts->probes, rpc_str(req, "ollama_host"),
	    detect_found, detect_done, d);
	return rpc_pending(req, detect_cancelled, d);
}

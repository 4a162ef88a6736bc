/* session.c - test sessions that are open: list, activate, extend, keep, stop. */
#include <stdio.h>
#include <string.h>

#include "server/rpc/methods/switching.h"
#include "server/rpc/objects.h"
#include "server/state/changes.h"
#include "server/state/minted.h"

struct rpc_answer
rpc_session_list(struct rpc_request *req)
{
	struct pack *p = rpc_result(req);

	pack_str(p, "sessions");
	pack_sessions(p, rpc_parts(req));
	pack_minted_left(p, rpc_parts(req));
	return rpc_ok(req);
}

/* ---- which one ---- */

struct picking {
	int64_t id;
	size_t count;
	struct error *err;
};

static void
pick_open(void *arg, const struct session *s)
{
	struct picking *k = arg;

	k->id = s->id;
	k->count++;
}

/* The one that is named, else the activated one, else the only one there is. */
static int
pick(struct rpc_request *req, int64_t *id, struct error *err)
{
	const struct sessions *ss = rpc_parts(req)->sessions;
	const struct session *activated = sessions_activated(ss);
	struct picking k = { 0, 0, err };

	if (rpc_has(req, "id")) {
		*id = rpc_int(req, "id", 0);
		return 0;
	}
	if (activated != NULL) {
		*id = activated->id;
		return 0;
	}
	sessions_each(ss, pick_open, &k);
	if (k.count == 1) {
		*id = k.id;
		return 0;
	}
	if (k.count == 0) {
		error_set(err, MP_E_NOT_FOUND, "no test session is open");
		error_hint(err, "start one: mpc test PROVIDER MODEL");
		return MP_E_NOT_FOUND;
	}
	error_set(err, MP_E_AMBIGUOUS, "%zu test sessions are open, and none is active", k.count);
	error_hint(err, "say which, by its id: mpc test list");
	return MP_E_AMBIGUOUS;
}

/* ---- one change ---- */

/* Begins a change, does it, commits. */
static int
change(struct rpc_request *req, int (*act)(struct rpc_request *req, int64_t id, struct error *err),
    int64_t id, struct error *err)
{
	const struct rpc_parts *parts = rpc_parts(req);
	int r;

	if ((r = changes_begin(parts->changes, err)) != 0)
		return r;
	if ((r = rpc_change_end(req, act(req, id, err), err)) == 0)
		sessions_scrub(parts->sessions);
	return r;
}

static void
pack_named(struct pack *p, const struct rpc_parts *parts, int64_t id)
{
	const struct session *s = sessions_find(parts->sessions, id);

	if (s == NULL)
		s = sessions_ended(parts->sessions, id);
	if (s == NULL)
		return;
	pack_str(p, "session");
	pack_session(p, parts, s);
}

static int
activate(struct rpc_request *req, int64_t id, struct error *err)
{
	return sessions_activate(rpc_parts(req)->sessions, id, err);
}

struct rpc_answer
rpc_session_activate(struct rpc_request *req)
{
	const struct rpc_parts *parts = rpc_parts(req);
	int64_t id = rpc_int(req, "id", 0);
	struct error err = ERROR_INIT;
	struct switching s;
	struct rpc_answer a;
	struct pack *p;

	switching_begin(&s, req, "");
	if (change(req, activate, id, &err) != 0 ||
	    (p = switching_result(&s, &err)) == NULL) {
		a = rpc_fail_err(req, &err);
	} else {
		pack_named(p, parts, id);
		pack_keeping(p, parts);
		a = rpc_ok(req);
	}
	switching_clear(&s);
	return a;
}

/* A key that was minted ends at the provider, and nothing moves that end. */
static int
refuse_minted(const struct rpc_parts *parts, int64_t id, const char *what, struct error *err)
{
	if (minted_of(parts->minted, id) == NULL || sessions_find(parts->sessions, id) == NULL)
		return 0;
	error_set(err, MP_E_INVALID_STATE,
	    "the key of test session %lld was minted with an end, it cannot be %s", (long long)id, what);
	error_hint(err, "start another test, or store a key of your own: mpc key set");
	return MP_E_INVALID_STATE;
}

static int
extend(struct rpc_request *req, int64_t id, struct error *err)
{
	int r;

	if ((r = refuse_minted(rpc_parts(req), id, "extended", err)) != 0)
		return r;
	return sessions_extend(rpc_parts(req)->sessions, id, rpc_int(req, "duration_ms", 0), err);
}

struct rpc_answer
rpc_session_extend(struct rpc_request *req)
{
	const struct rpc_parts *parts = rpc_parts(req);
	const struct session *s;
	struct error err = ERROR_INIT;
	int64_t id;

	if (pick(req, &id, &err) != 0 || change(req, extend, id, &err) != 0)
		return rpc_fail_err(req, &err);
	if ((s = sessions_find(parts->sessions, id)) == NULL) {
		sessions_unknown(parts->sessions, id, &err);
		return rpc_fail_err(req, &err);
	}
	pack_session_members(rpc_result(req), parts, s, false);
	return rpc_ok(req);
}

static int
stop(struct rpc_request *req, int64_t id, struct error *err)
{
	return sessions_stop(rpc_parts(req)->sessions, id, "stopped", err);
}

struct rpc_answer
rpc_session_stop(struct rpc_request *req)
{
	struct error err = ERROR_INIT;
	struct switching s;
	struct rpc_answer a;
	struct pack *p;
	int64_t id;

	switching_begin(&s, req, "");
	if (pick(req, &id, &err) != 0 || change(req, stop, id, &err) != 0 ||
	    (p = switching_result(&s, &err)) == NULL) {
		a = rpc_fail_err(req, &err);
	} else {
		pack_named(p, rpc_parts(req), id);
		a = rpc_ok(req);
	}
	switching_clear(&s);
	return a;
}

/* ---- keep ---- */

static const char *
keep_label(struct rpc_request *req)
{
	const char *label = rpc_str(req, "label");

	return label != NULL ? label : "default";
}

static int
keep_key(struct rpc_request *req, const struct provider *pr, const struct session *s, struct error *err)
{
	const struct rpc_parts *parts = rpc_parts(req);
	const char *label = keep_label(req);

	if (!s->has_key)
		return 0;
	if (credentials_find(parts->credentials, pr->name, label) != NULL &&
	    !rpc_bool(req, "replace", false)) {
		error_set(err, MP_E_CONFLICT, "%s has a key%s%s already", pr->name,
		    strcmp(label, "default") != 0 ? " with label " : "",
		    strcmp(label, "default") != 0 ? label : "");
		snprintf(err->field, sizeof err->field, "label");
		error_hint(err, "replace it: --yes; keep both: --label NAME");
		return MP_E_CONFLICT;
	}
	return credentials_keep_session(parts->credentials, pr, s->id, label, err);
}

static int
keep_model(const struct rpc_parts *parts, const struct provider *pr, const char *model, struct error *err)
{
	const struct model_entry *e = models_find(parts->models, pr->name, model);

	if (e != NULL && e->listed && e->expires_ms == 0)
		return 0;
	return models_add(parts->models, pr, model, NULL, 0, err);
}

static int
keep(struct rpc_request *req, int64_t id, struct error *err)
{
	const struct rpc_parts *parts = rpc_parts(req);
	const struct session *s = sessions_find(parts->sessions, id);
	const struct provider *pr = s != NULL ? providers_find_id(parts->providers, s->provider_id) : NULL;
	int r;

	if (s == NULL)
		return sessions_unknown(parts->sessions, id, err);
	if ((r = refuse_minted(parts, id, "kept", err)) != 0)
		return r;
	if (pr == NULL)
		return error_set(err, MP_E_NOT_FOUND, "the provider of test session %lld is gone",
		    (long long)id);
	if ((r = keep_key(req, pr, s, err)) != 0 || (r = keep_model(parts, pr, s->model, err)) != 0)
		return r;
	/* a session that is not the live choice is no choice of anybody */
	if (s->activated && (r = overrides_set(parts->overrides, "", pr, s->model,
	                         s->has_key ? keep_label(req) : s->label, false, 0, err)) != 0)
		return r;
	return sessions_stop(parts->sessions, id, "kept", err);
}

static void
pack_kept_key(struct pack *p, struct rpc_request *req, int64_t id)
{
	const struct rpc_parts *parts = rpc_parts(req);
	const struct session *s = sessions_ended(parts->sessions, id);
	const struct provider *pr = s != NULL ? providers_find_id(parts->providers, s->provider_id) : NULL;
	const struct credential *c;

	if (pr == NULL || !s->has_key ||
	    (c = credentials_find(parts->credentials, pr->name, keep_label(req))) == NULL)
		return;
	pack_str(p, "key");
	pack_key(p, parts, c);
}

struct rpc_answer
rpc_session_keep(struct rpc_request *req)
{
	const struct rpc_parts *parts = rpc_parts(req);
	struct error err = ERROR_INIT;
	struct switching s;
	struct rpc_answer a;
	struct pack *p;
	int64_t id;

	switching_begin(&s, req, "");
	if (pick(req, &id, &err) != 0 || change(req, keep, id, &err) != 0 ||
	    (p = switching_result(&s, &err)) == NULL) {
		a = rpc_fail_err(req, &err);
	} else {
		pack_named(p, parts, id);
		pack_kept_key(p, req, id);
		pack_keeping(p, parts);
		a = rpc_ok(req);
	}
	switching_clear(&s);
	return a;
}

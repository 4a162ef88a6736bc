/* session_start.c - session.start: try the target first, with the key it will have; only when it answers is
 * anything stored. A client that goes away meanwhile leaves nothing behind. */
#include <stdlib.h>
#include <string.h>

#include "protocol/base/secret.h"
#include "protocol/base/str.h"
#include "server/base/clock.h"
#include "server/call/mint.h"
#include "server/call/probe.h"
#include "server/rpc/conn.h"
#include "server/rpc/methods/switching.h"
#include "server/rpc/objects.h"
#include "server/state/changes.h"
#include "server/state/settings.h"

#define CHECK_MS 30000
#define CHECK_LOCAL_MS 120000 /* a local server may have to load the model first */
#define MINT_LIMIT_MICROUSD 1000000
#define MINT_SLACK_MS (INT64_C(5) * 60 * 1000) /* clocks differ, and the probe takes its time */

struct starting {
	struct rpc_request *req;
	struct mint *mint;   /* while its key is made */
	struct probe *probe; /* while it is tried */
	int64_t minted;      /* its key; 0 = it was not minted */
	char *provider_id;
	struct target target; /* label: the key's for the time of the probe */
	struct secret *key;   /* its own; NULL = a stored one */
	char *label;          /* of the stored one; NULL = the usual one */
	char trial[CREDENTIAL_LABEL_BYTES]; /* "" = no key of its own */
	int64_t duration_ms;
	bool activate, check;
};

static void
starting_free(struct starting *st)
{
	if (st->trial[0] != '\0')
		credentials_try_end(rpc_parts(st->req)->credentials, st->trial);
	/* a minted key that no session has is deleted now */
	if (st->minted != 0)
		mint_settle(rpc_parts(st->req)->mints, st->minted);
	secret_free(st->key);
	target_clear(&st->target);
	free(st->provider_id);
	free(st->label);
	free(st);
}

/* ---- what is wanted ---- */

static int
read_key(struct starting *st, struct error *err)
{
	struct slice s = rpc_slice(st->req, "secret");

	if (!rpc_has(st->req, "secret"))
		return 0;
	if (!secret_text_valid(s.data, s.len))
		return error_field(err, "secret",
		    "a key is 1 to %d printable ASCII characters without spaces",
		    SECRET_MAX_BYTES / 2);
	if (rpc_bool(st->req, "mint", false))
		return error_field(err, "mint", "a test has a key of its own or a minted one, not both");
	st->key = secret_new(s.data, s.len);
	return st->key != NULL ? 0 : error_set(err, MP_E_INTERNAL, "no locked memory for the key");
}

static int
read_target(struct starting *st, const struct provider *pr, struct error *err)
{
	const char *model = rpc_str(st->req, "model");
	struct buf ref = BUF_INIT;
	int r;

	buf_adds(&ref, pr->name);
	if (model != NULL)
		buf_addf(&ref, ":%s", model);
	r = routes_resolve(rpc_parts(st->req)->routes, buf_str(&ref), &st->target, NULL, err);
	buf_clear(&ref);
	return r;
}

/* Which of the stored keys. */
static int
read_label(struct starting *st, struct error *err)
{
	const char *label = rpc_str(st->req, "label");

	if (label == NULL)
		return 0;
	if (st->key != NULL || rpc_bool(st->req, "mint", false))
		return error_field(err, "label", "a test has a key of its own or a stored one, not both");
	st->label = xstrdup(label);
	return routes_label(rpc_parts(st->req)->routes, &st->target, label, err);
}

/* Its own key is there for the probe, and nowhere else. */
static int
hold_key(struct starting *st, const struct provider *pr, struct error *err)
{
	int r = credentials_try(rpc_parts(st->req)->credentials, pr, st->key, st->trial, err);

	if (r == 0)
		target_set(&st->target, st->target.provider, st->target.model, st->target.upstream,
		    st->trial);
	return r;
}

static int
starting_read(struct starting *st, struct error *err)
{
	const struct rpc_parts *parts = rpc_parts(st->req);
	const char *name = rpc_str(st->req, "provider");
	const struct provider *pr = providers_find(parts->providers, name);
	int r;

	if (pr == NULL) {
		error_set(err, MP_E_NOT_FOUND, "unknown provider \"%s\"", name);
		providers_suggest(parts->providers, name, err);
		return MP_E_NOT_FOUND;
	}
	st->provider_id = xstrdup(pr->id);
	st->duration_ms = rpc_int(st->req, "duration_ms",
	    settings_ms(parts->settings, SETTING_session_duration));
	st->activate = rpc_bool(st->req, "activate", true);
	st->check = rpc_bool(st->req, "check", true);
	if ((r = read_key(st, err)) != 0 || (r = read_target(st, pr, err)) != 0 ||
	    (r = read_label(st, err)) != 0)
		return r;
	return st->key != NULL ? hold_key(st, pr, err) : 0;
}

/* ---- what is done ---- */

/* 0 with the session and its token, stored and told. */
static int
starting_store(struct starting *st, struct secret **token, int64_t *id, struct error *err)
{
	const struct rpc_parts *parts = rpc_parts(st->req);
	const struct session_start start = {
		.provider = providers_find_id(parts->providers, st->provider_id),
		.model = st->target.model,
		.label = st->label,
		.key = st->key,
		.duration_ms = st->duration_ms,
		.activate = st->activate,
	};
	const struct session *s;
	int r;

	if (start.provider == NULL)
		return error_set(err, MP_E_NOT_FOUND, "%s was removed meanwhile", st->target.provider);
	if ((r = changes_begin(parts->changes, err)) != 0)
		return r;
	r = sessions_start(parts->sessions, &start, token, &s, err);
	if (r == 0 && st->minted != 0)
		r = minted_set_session(parts->minted, st->minted, s->id, err);
	if (r != 0) {
		changes_rollback(parts->changes);
		secret_free(*token);
		*token = NULL;
		return r;
	}
	*id = s->id;
	if ((r = changes_commit(parts->changes, "session.start", rpc_client(st->req), NULL, err)) == 0) {
		sessions_scrub(parts->sessions);
		return 0;
	}
	secret_free(*token);
	*token = NULL;
	return r;
}

static void
pack_checked(struct pack *p, const struct starting *st, const struct probe_result *r)
{
	const struct rpc_parts *parts = rpc_parts(st->req);
	const struct provider *pr = providers_find_id(parts->providers, st->provider_id);

	pack_str(p, "checked");
	pack_map_begin(p);
	pack_kv_bool(p, "key", st->key != NULL || (pr != NULL &&
	    credentials_find(parts->credentials, pr->name, st->label) != NULL));
	if (r->latency_ms >= 0)
		pack_kv_int(p, "latency_ms", r->latency_ms);
	if (r->models >= 0)
		pack_kv_int(p, "models", r->models);
	if (r->first_token_ms >= 0)
		pack_kv_int(p, "first_token_ms", r->first_token_ms);
	pack_map_end(p);
}

/* r NULL: it was not tried. Opens the result, or says why there is none. */
static int
starting_finish(struct starting *st, const struct probe_result *r, struct error *err)
{
	const struct rpc_parts *parts = rpc_parts(st->req);
	struct secret *token = NULL;
	struct switching sw;
	int64_t id = 0;
	struct pack *p;
	int rc;

	switching_begin(&sw, st->req, "");
	if ((rc = starting_store(st, &token, &id, err)) != 0 || (rc = switching_end(&sw, err)) != 0)
		goto out;
	p = rpc_result(st->req);
	pack_session_members(p, parts, sessions_find(parts->sessions, id), false);
	pack_str(p, "token");
	pack_str_n(p, secret_bytes(token), secret_len(token));
	if (r != NULL)
		pack_checked(p, st, r);
	switching_pack(&sw, p);
	pack_keeping(p, parts);
out:
	secret_free(token);
	switching_clear(&sw);
	return rc;
}

/* The end of all that took its time. r: what the probe found, NULL = it was not tried. */
static void
complete(struct starting *st, const struct probe_result *r, struct error *err)
{
	struct rpc_request *req = st->req;
	struct conn *conn = rpc_conn(req);
	int rc = err->code;

	conn_hold(conn); /* the news of it follows the reply */
	if (rc == 0)
		rc = starting_finish(st, r, err);
	starting_free(st);
	if (rc != 0)
		rpc_finish_error(req, err);
	else
		rpc_finish(req);
	conn_release(conn);
}

static void
on_checked(void *arg, const struct probe_result *r)
{
	struct starting *st = arg;
	struct error err = ERROR_INIT;

	st->probe = NULL;
	if (r->code != 0)
		err = *r->error;
	complete(st, r, &err);
}

static int64_t
patience_ms(const struct starting *st)
{
	const struct provider *pr = providers_find_id(rpc_parts(st->req)->providers, st->provider_id);

	return pr != NULL && pr->type == PROVIDER_LOCAL ? CHECK_LOCAL_MS : CHECK_MS;
}

/* 0: its end comes from the loop. */
static int
try_target(struct starting *st, struct error *err)
{
	st->probe = probe_start(rpc_parts(st->req)->probes, &st->target, true, patience_ms(st), on_checked,
	    st, err);
	return st->probe != NULL ? 0 : err->code;
}

static void
on_minted(void *arg, const struct mint_result *r)
{
	struct starting *st = arg;
	const struct provider *pr = providers_find_id(rpc_parts(st->req)->providers, st->provider_id);
	struct error err = ERROR_INIT;

	st->mint = NULL;
	if (r->code != 0) {
		err = *r->error;
		complete(st, NULL, &err);
		return;
	}
	st->minted = r->id;
	st->key = secret_new(secret_bytes(r->key), secret_len(r->key));
	if (st->key == NULL)
		error_set(&err, MP_E_INTERNAL, "no locked memory for the key");
	else if (pr == NULL)
		error_set(&err, MP_E_NOT_FOUND, "%s was removed meanwhile", st->target.provider);
	else if (hold_key(st, pr, &err) == 0 && st->check && try_target(st, &err) == 0)
		return;
	complete(st, NULL, &err);
}

static int
mint_key(struct starting *st, struct error *err)
{
	const struct rpc_parts *parts = rpc_parts(st->req);

	st->mint = mint_start(parts->mints, providers_find_id(parts->providers, st->provider_id),
	    rpc_int(st->req, "limit_microusd", MINT_LIMIT_MICROUSD),
	    clock_wall_ms() + st->duration_ms + MINT_SLACK_MS, CHECK_MS, on_minted, st, err);
	return st->mint != NULL ? 0 : err->code;
}

static void
on_cancelled(void *arg)
{
	struct starting *st = arg;

	if (st->mint != NULL)
		mint_cancel(st->mint);
	if (st->probe != NULL)
		probe_cancel(st->probe);
	starting_free(st);
}

/* Before anything is asked of anybody. */
static int
check_ready(struct starting *st, bool mint, struct error *err)
{
	const struct rpc_parts *parts = rpc_parts(st->req);
	struct target t;
	int r;

	if (st->duration_ms < SESSION_MIN_MS)
		return error_field(err, "duration_ms", "a test session lasts from 1 second to 24 hours");
	if (!mint)
		return routes_ready(parts->routes, &st->target, err);
	target_init(&t);
	target_set(&t, st->target.provider, st->target.model, NULL, MINT_LABEL);
	r = routes_ready(parts->routes, &t, err);
	target_clear(&t);
	/* that the management key is missing is for minting to say */
	return r == MP_E_NO_CREDENTIAL ? 0 : r;
}

struct rpc_answer
rpc_session_start(struct rpc_request *req)
{
	struct starting *st = xcalloc(1, sizeof *st);
	bool mint = rpc_bool(req, "mint", false);
	struct error err = ERROR_INIT;

	st->req = req;
	target_init(&st->target);
	if (starting_read(st, &err) != 0 || check_ready(st, mint, &err) != 0)
		goto fail;
	if (mint || st->check) {
		if ((mint ? mint_key(st, &err) : try_target(st, &err)) != 0)
			goto fail;
		return rpc_pending(req, on_cancelled, st);
	}
	if (starting_finish(st, NULL, &err) != 0)
		goto fail;
	starting_free(st);
	return rpc_ok(req);
fail:
	if (err.code == MP_E_NO_CREDENTIAL && st->key == NULL && st->label == NULL && !mint)
		error_hint(&err, "give the test one of its own: --key; or store one: mpc key set %s",
		    st->target.provider);
	starting_free(st);
	return rpc_fail_err(req, &err);
}

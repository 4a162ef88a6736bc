/* key.c - keys go in and are never handed out again (THREATS.md section 3.4). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/secret.h"
#include "server/call/key_reader.h"
#include "server/rpc/objects.h"
#include "server/rpc/request.h"
#include "server/state/changes.h"

static const struct provider *
find_provider(struct rpc_request *req, const char *name, struct error *err)
{
	const struct rpc_parts *parts = rpc_parts(req);
	const struct provider *pr = providers_find(parts->providers, name);

	if (pr == NULL) {
		error_set(err, MP_E_NOT_FOUND, "unknown provider \"%s\"", name);
		providers_suggest(parts->providers, name, err);
	}
	return pr;
}

/* ---- what is to be stored: a key, or where it is read from ---- */

struct wish {
	bool weight_only;   /* what is there stays */
	struct secret *key; /* NULL = from a source */
	enum key_source_kind kind;
	char *text;
};

static void
wish_clear(struct wish *w)
{
	secret_free(w->key);
	free(w->text);
}

/* THREATS.md section 3.4: what cannot travel in a header is refused before anything is stored. */
static int
read_key(const struct rpc_request *req, struct secret **out, struct error *err)
{
	struct slice s = rpc_slice(req, "secret");

	if (!secret_text_valid(s.data, s.len))
		return error_field(err, "secret",
		    "a key is 1 to %d printable ASCII characters without spaces",
		    SECRET_MAX_BYTES / 2);
	*out = secret_new(s.data, s.len);
	return *out != NULL ? 0 : error_set(err, MP_E_INTERNAL, "no locked memory for the key");
}

/* {command: "pass show x"}, {env: "NAME"} or {file: "/path"}. */
static int
read_source(const struct value *map, struct wish *w, struct error *err)
{
	const struct value *v = NULL;
	struct slice name = { NULL, 0 };
	char *text;
	int r;

	if (value_size(map) == 1)
		name = value_pair(map, 0, &v);
	for (int k = KEY_COMMAND; k <= KEY_FILE; k++)
		if (slice_eq(name, key_source_name((enum key_source_kind)k)))
			w->kind = (enum key_source_kind)k;
	if (w->kind == KEY_STORED || value_type(v) != VALUE_STR ||
	    memchr(value_slice(v).data, '\0', value_slice(v).len) != NULL)
		return error_field(err, "source", "source holds one text: command, env or file");
	text = value_strdup(v);
	r = key_reader_prepare(w->kind, text, &w->text, err);
	free(text);
	return r;
}

static int
read_wish(const struct rpc_request *req, struct wish *w, struct error *err)
{
	w->weight_only = rpc_has(req, "weight") && !rpc_has(req, "secret") && !rpc_has(req, "source");
	if (w->weight_only)
		return 0;
	if (rpc_has(req, "secret") == rpc_has(req, "source"))
		return error_field(err, rpc_has(req, "secret") ? "source" : "secret",
		    "key.set needs either secret or source, or else weight");
	if (rpc_has(req, "secret"))
		return read_key(req, &w->key, err);
	return read_source(rpc_param(req, "source"), w, err);
}

static int
store_wish(struct rpc_request *req, const struct provider *pr, const struct wish *w,
    struct error *err)
{
	const struct rpc_parts *parts = rpc_parts(req);
	const char *label = rpc_str(req, "label"), *origin = rpc_str(req, "origin");
	int r;

	if ((r = changes_begin(parts->changes, err)) != 0)
		return r;
	if (w->weight_only)
		r = 0;
	else if (w->key != NULL)
		r = credentials_set(parts->credentials, pr, label, w->key, origin, err);
	else
		r = credentials_set_source(parts->credentials, pr, label, w->kind, w->text, origin,
		    err);
	if (r == 0 && rpc_has(req, "weight"))
		r = credentials_weigh(parts->credentials, pr, label,
		    (unsigned)rpc_int(req, "weight", 1), err);
	if ((r = rpc_change_end(req, r, err)) != 0)
		return r;
	credentials_scrub(parts->credentials);
	if (w->kind == KEY_ENV)
		credentials_take_environment(parts->credentials);
	return 0;
}

static void
pack_warnings(struct pack *p, struct credentials *cs, const struct credential *c)
{
	char text[256];

	if (c->source != KEY_ENV || credentials_has_variable(cs, c->source_text))
		return;
	snprintf(text, sizeof text, "the daemon was started without %.128s; set it where the daemon is "
	    "started, then: mpc daemon restart", c->source_text);
	pack_str(p, "warnings");
	pack_array_begin(p);
	pack_str(p, text);
	pack_array_end(p);
}

struct rpc_answer
rpc_key_set(struct rpc_request *req)
{
	const struct rpc_parts *parts = rpc_parts(req);
	const char *label = rpc_str(req, "label");
	const struct credential *stored;
	const struct provider *pr;
	struct error err = ERROR_INIT;
	struct wish wish = { .kind = KEY_STORED };
	struct rpc_answer a;
	bool had;
	struct pack *p;

	if ((pr = find_provider(req, rpc_str(req, "provider"), &err)) == NULL)
		return rpc_fail_err(req, &err);
	had = credentials_find(parts->credentials, pr->name, label) != NULL;
	if (read_wish(req, &wish, &err) != 0 || store_wish(req, pr, &wish, &err) != 0 ||
	    (stored = credentials_find(parts->credentials, pr->name, label)) == NULL) {
		a = rpc_fail_err(req, &err);
	} else {
		p = rpc_result(req);
		pack_kv_str(p, "provider", stored->provider);
		pack_kv_str(p, "label", stored->label);
		pack_kv_int(p, "weight", (int64_t)stored->weight);
		pack_kv_str(p, "source", key_source_name(stored->source));
		if (stored->source != KEY_STORED)
			pack_kv_str(p, "from", stored->source_text);
		if (stored->fingerprint[0] != '\0')
			pack_kv_str(p, "fingerprint", stored->fingerprint);
		if (stored->last4 != NULL && stored->last4[0] != '\0')
			pack_kv_str(p, "last4", stored->last4);
		pack_kv_str(p, "origin", stored->origin);
		pack_kv_bool(p, "replaced", had && !wish.weight_only);
		pack_warnings(p, parts->credentials, stored);
		a = rpc_ok(req);
	}
	wish_clear(&wish);
	return a;
}

struct rpc_answer
rpc_key_status(struct rpc_request *req)
{
	const struct provider *pr = NULL;
	struct error err = ERROR_INIT;
	struct pack *p;

	if (rpc_has(req, "provider") &&
	    (pr = find_provider(req, rpc_str(req, "provider"), &err)) == NULL)
		return rpc_fail_err(req, &err);
	p = rpc_result(req);
	pack_str(p, "keys");
	pack_keys(p, rpc_parts(req), pr != NULL ? pr->name : NULL);
	return rpc_ok(req);
}

struct rpc_answer
rpc_key_delete(struct rpc_request *req)
{
	const struct rpc_parts *parts = rpc_parts(req);
	struct error err = ERROR_INIT;
	const struct provider *pr = find_provider(req, rpc_str(req, "provider"), &err);
	int r;

	if (pr == NULL)
		return rpc_fail_err(req, &err);
	if (changes_begin(parts->changes, &err) != 0)
		return rpc_fail_err(req, &err);
	r = credentials_delete(parts->credentials, pr, rpc_str(req, "label"), &err);
	if ((r = rpc_change_end(req, r, &err)) == 0)
		credentials_scrub(parts->credentials);
	return r == 0 ? rpc_ok(req) : rpc_fail_err(req, &err);
}

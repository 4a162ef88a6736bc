/* key.c - keys go in and are never handed out again (THREATS.md section 3.4). */
#include <string.h>

#include "protocol/base/secret.h"
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

static int
store_key(struct rpc_request *req, const struct provider *pr, const char *label,
    const struct secret *key, struct error *err)
{
	const struct rpc_parts *parts = rpc_parts(req);
	int r;

	if ((r = changes_begin(parts->changes, err)) != 0)
		return r;
	r = credentials_set(parts->credentials, pr, label, key, rpc_str(req, "origin"), err);
	if (r != 0) {
		changes_rollback(parts->changes);
		return r;
	}
	if ((r = changes_commit(parts->changes, "key.set", rpc_client(req), NULL, err)) == 0)
		credentials_scrub(parts->credentials);
	return r;
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

struct rpc_answer
rpc_key_set(struct rpc_request *req)
{
	const struct rpc_parts *parts = rpc_parts(req);
	const char *label = rpc_str(req, "label");
	const struct credential *stored;
	const struct provider *pr;
	struct error err = ERROR_INIT;
	struct secret *key = NULL;
	struct rpc_answer a;
	bool replaced;
	struct pack *p;

	if ((pr = find_provider(req, rpc_str(req, "provider"), &err)) == NULL)
		return rpc_fail_err(req, &err);
	replaced = credentials_find(parts->credentials, pr->name, label) != NULL;
	if (read_key(req, &key, &err) != 0 || store_key(req, pr, label, key, &err) != 0 ||
	    (stored = credentials_find(parts->credentials, pr->name, label)) == NULL) {
		a = rpc_fail_err(req, &err);
	} else {
		p = rpc_result(req);
		pack_kv_str(p, "provider", stored->provider);
		pack_kv_str(p, "label", stored->label);
		pack_kv_str(p, "fingerprint", stored->fingerprint);
		pack_kv_str(p, "source", "stored");
		if (stored->last4 != NULL && stored->last4[0] != '\0')
			pack_kv_str(p, "last4", stored->last4);
		pack_kv_str(p, "origin", stored->origin);
		pack_kv_bool(p, "replaced", replaced);
		a = rpc_ok(req);
	}
	secret_free(key);
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
	if (r != 0)
		changes_rollback(parts->changes);
	else if ((r = changes_commit(parts->changes, "key.delete", rpc_client(req), NULL, &err)) == 0)
		credentials_scrub(parts->credentials);
	return r == 0 ? rpc_ok(req) : rpc_fail_err(req, &err);
}

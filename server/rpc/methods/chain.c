/* chain.c - fallback chains: listing, defining, removing. */
#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/call/route.h"
#include "server/rpc/objects.h"
#include "server/rpc/request.h"
#include "server/state/chain_codes.h"
#include "server/state/chains.h"
#include "server/state/changes.h"

#define REF_MAX_BYTES 512

struct rpc_answer
rpc_chain_list(struct rpc_request *req)
{
	struct pack *p = rpc_result(req);

	pack_str(p, "chains");
	pack_chains(p, rpc_parts(req));
	return rpc_ok(req);
}

/* ---- set ---- */

/* What is asked; the texts of the links are owned. */
struct wanted {
	struct chain_link links[CHAIN_LINKS_MAX];
	size_t count;
	uint64_t fall_on;
};

static void
wanted_clear(struct wanted *w)
{
	for (size_t i = 0; i < w->count; i++) {
		free((char *)w->links[i].provider_id);
		free((char *)w->links[i].model);
	}
}

static int
read_ref(struct rpc_request *req, const char *ref, struct wanted *w, struct error *err)
{
	const struct rpc_parts *parts = rpc_parts(req);
	struct target t;
	int r = 0;

	if (ref[0] == '@') {
		w->links[w->count++] = (struct chain_link){ xstrdup(""), xstrdup(ref + 1) };
		return 0;
	}
	if (ref[0] == '\0')
		return error_field(err, "refs", "a target is empty");
	target_init(&t);
	if ((r = routes_resolve(parts->routes, ref, &t, NULL, err)) == 0)
		w->links[w->count++] = (struct chain_link){
			xstrdup(providers_find(parts->providers, t.provider)->id), xstrdup(t.model)
		};
	target_clear(&t);
	return r;
}

static int
read_refs(struct rpc_request *req, struct wanted *w, struct error *err)
{
	const struct value *list = rpc_param(req, "refs");
	int r = 0;

	if (value_size(list) == 0 || value_size(list) > CHAIN_LINKS_MAX)
		return error_field(err, "refs", "a chain has 1 to %d targets", CHAIN_LINKS_MAX);
	for (size_t i = 0; i < value_size(list) && r == 0; i++) {
		struct slice text = value_slice(value_at(list, i));
		char *ref;

		if (text.len > REF_MAX_BYTES)
			return error_field(err, "refs", "a target has at most %d bytes", REF_MAX_BYTES);
		ref = slice_dup(text);
		r = read_ref(req, ref, w, err);
		free(ref);
	}
	return r;
}

static int
read_on(struct rpc_request *req, struct wanted *w, struct error *err)
{
	const struct value *list = rpc_param(req, "on");
	struct buf all = BUF_INIT;
	int r = 0;

	if (list == NULL) {
		w->fall_on = chain_fall_on_default();
		return 0;
	}
	for (size_t i = 0; i < value_size(list) && r == 0; i++) {
		char *code = slice_dup(value_slice(value_at(list, i)));
		uint64_t bit;

		if (chain_code_parse(code, &bit)) {
			w->fall_on |= bit;
		} else {
			chain_codes_format(~UINT64_C(0), &all);
			r = error_field(err, "on", "\"%.40s\" is no failure to fall back on", code);
			error_hint(err, "those are: %s", buf_str(&all));
		}
		free(code);
	}
	buf_clear(&all);
	return r;
}

static int
store_chain(struct rpc_request *req, const char *name, const struct wanted *w, struct error *err)
{
	const struct rpc_parts *parts = rpc_parts(req);
	int r;

	if ((r = changes_begin(parts->changes, err)) != 0)
		return r;
	r = chains_set(parts->chains, name, w->links, w->count, w->fall_on, err);
	return rpc_change_end(req, r, err);
}

struct rpc_answer
rpc_chain_set(struct rpc_request *req)
{
	const struct rpc_parts *parts = rpc_parts(req);
	const char *name = rpc_str(req, "name");
	struct wanted w = { .count = 0 };
	struct error err = ERROR_INIT;
	struct rpc_answer a;

	if (read_refs(req, &w, &err) != 0 || read_on(req, &w, &err) != 0 ||
	    store_chain(req, name, &w, &err) != 0) {
		a = rpc_fail_err(req, &err);
	} else {
		pack_chain_members(rpc_result(req), parts, chains_find(parts->chains, name), false);
		a = rpc_ok(req);
	}
	wanted_clear(&w);
	return a;
}

/* ---- remove ---- */

static int
remove_chain(struct rpc_request *req, const char *name, struct error *err)
{
	const struct rpc_parts *parts = rpc_parts(req);
	int r;

	if ((r = chains_remove(parts->chains, name, err)) != 0)
		return r;
	/* what is left of it is only the way back: mpc switch - */
	return overrides_remove_chain(parts->overrides, name, err);
}

struct rpc_answer
rpc_chain_remove(struct rpc_request *req)
{
	const struct rpc_parts *parts = rpc_parts(req);
	const char *name = rpc_str(req, "name");
	struct error err = ERROR_INIT;
	int r;

	if (overrides_uses_chain(parts->overrides, name)) {
		error_set(&err, MP_E_CONFLICT, "chain @%s is the live choice", name);
		error_hint(&err, "switch to something else first: mpc switch REF (mpc -v: in which scope)");
		return rpc_fail_err(req, &err);
	}
	if ((r = changes_begin(parts->changes, &err)) == 0) {
		r = remove_chain(req, name, &err);
		r = rpc_change_end(req, r, &err);
	}
	return r == 0 ? rpc_ok(req) : rpc_fail_err(req, &err);
}

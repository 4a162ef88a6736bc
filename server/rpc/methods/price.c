/* price.c - what models cost: by the user's own word, or by the lists. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/clock.h"
#include "server/call/price_feed.h"
#include "server/call/purses.h"
#include "server/call/route.h"
#include "server/rpc/objects.h"
#include "server/rpc/request.h"
#include "server/state/catalogue.h"

/* ---- looking ---- */

/* One row into a map that is open. */
static void
pack_price_members(struct pack *p, const struct provider *pr, const struct price_row *row,
    enum price_layer layer)
{
	struct buf ref = BUF_INIT;

	buf_addf(&ref, "%s:%s", pr->name, row->model);
	pack_kv_str(p, "ref", buf_str(&ref));
	buf_clear(&ref);
	pack_kv_str(p, "source", price_layer_name(layer));
	if (row->from_ms > 0)
		pack_kv_int(p, "valid_from_ms", row->from_ms);
	if (row->above > 0)
		pack_kv_int(p, "above_tokens", row->above);
	pack_tariff_members(p, &row->tariff);
}

static void
pack_own(struct pack *p, const struct rpc_parts *parts, const struct provider *pr)
{
	for (size_t i = 0; i < own_prices_count(parts->own_prices); i++) {
		const struct price_row *row = own_prices_at(parts->own_prices, i);

		if (strcmp(row->provider, pr->id) != 0)
			continue;
		pack_map_begin(p);
		pack_price_members(p, pr, row,
		    price_is_bundled(parts->team, pr, row->model) ? PRICE_BUNDLE : PRICE_OWN);
		pack_map_end(p);
	}
}

/* All that is said of one model: the list that counts first. */
static void
pack_known(struct pack *p, const struct rpc_parts *parts, const struct provider *pr, const char *model)
{
	const struct price_ask ask = { pr->id, catalogue_name(pr->id), model, -1, clock_wall_ms() };
	enum price_layer counts;
	const struct price_row *now = price_book_find(parts->prices, &ask, &counts), *first;

	for (enum price_layer layer = PRICE_OWN; layer < PRICE_LAYERS; layer++) {
		size_t n = price_book_rows(parts->prices, layer, &ask, &first);

		/* the book has the latest first */
		for (size_t i = n; i-- > 0;) {
			pack_map_begin(p);
			pack_price_members(p, pr, &first[i], layer);
			pack_kv_bool(p, "holds",
			    now != NULL && layer == counts && first[i].from_ms == now->from_ms);
			pack_map_end(p);
		}
	}
}

void
pack_price_counts(struct pack *p, const struct rpc_parts *parts)
{
	pack_str(p, "counts");
	pack_map_begin(p);
	for (enum price_layer layer = PRICE_OWN; layer < PRICE_LAYERS; layer++) {
		int64_t n = 0;

		while (price_book_at(parts->prices, layer, (size_t)n) != NULL)
			n++;
		pack_kv_int(p, price_layer_name(layer), n);
	}
	pack_map_end(p);
}

/* What a call of it costs now, in a word: "own", "list", "unpriced", ... */
static const char *
kind_now(const struct rpc_parts *parts, const struct provider *pr, const char *model)
{
	const struct price_ask ask = { pr->id, catalogue_name(pr->id), model, -1, clock_wall_ms() };
	enum price_layer layer;

	if (pr->type == PROVIDER_PLAN_BASED)
		return cost_kind_name(COST_PLAN);
	if (price_book_find(parts->prices, &ask, &layer) != NULL)
		return cost_kind_name(price_layer_cost(layer));
	return cost_kind_name(purses_paid(parts->prices, pr) ? COST_UNPRICED : COST_FREE);
}

/* What a ref means: its provider; the model is t->upstream. NULL: err says why. */
static const struct provider *
find_model(struct rpc_request *req, struct target *t, struct error *err)
{
	const struct rpc_parts *parts = rpc_parts(req);
	const struct provider *pr;
	char *why = NULL;
	int r = routes_resolve(parts->routes, rpc_str(req, "ref"), t, &why, err);

	free(why);
	if (r != 0)
		return NULL;
	if ((pr = providers_find(parts->providers, t->provider)) == NULL)
		error_set(err, MP_E_NOT_FOUND, "unknown provider \"%s\"", t->provider);
	return pr;
}

struct rpc_answer
rpc_price_list(struct rpc_request *req)
{
	const struct rpc_parts *parts = rpc_parts(req);
	const char *name = rpc_str(req, "provider");
	const struct provider *only = NULL, *pr = NULL;
	struct error err = ERROR_INIT;
	struct target t;
	struct pack *p;
	char ref[400];

	target_init(&t);
	if ((name != NULL && (only = providers_find(parts->providers, name)) == NULL) ||
	    (rpc_str(req, "ref") != NULL && (pr = find_model(req, &t, &err)) == NULL)) {
		if (err.code == 0) {
			error_set(&err, MP_E_NOT_FOUND, "unknown provider \"%s\"", name);
			providers_suggest(parts->providers, name, &err);
		}
		target_clear(&t);
		return rpc_fail_err(req, &err);
	}
	p = rpc_result(req);
	pack_str(p, "prices");
	pack_array_begin(p);
	if (pr != NULL)
		pack_known(p, parts, pr, t.upstream);
	for (size_t i = 0; pr == NULL && i < providers_count(parts->providers); i++)
		if (only == NULL || only == providers_at(parts->providers, i))
			pack_own(p, parts, providers_at(parts->providers, i));
	pack_array_end(p);
	pack_price_counts(p, parts);
	if (pr != NULL) {
		snprintf(ref, sizeof ref, "%s:%s", pr->name, t.upstream);
		pack_kv_str(p, "ref", ref);
		pack_kv_str(p, "cost_kind", kind_now(parts, pr, t.upstream));
	}
	target_clear(&t);
	return rpc_ok(req);
}

/* ---- changing ---- */

/* Who changes a price that a bundle brought has made it his. */
static int
make_own(const struct rpc_parts *parts, const struct provider *pr, const char *model, struct error *err)
{
	struct buf ref = BUF_INIT;
	int r = 0;

	if (price_is_bundled(parts->team, pr, model)) {
		buf_addf(&ref, "%s:%s", pr->name, model);
		r = team_forget_item(parts->team, "prices", buf_str(&ref), err);
		buf_clear(&ref);
	}
	return r;
}

struct rpc_answer
rpc_price_set(struct rpc_request *req)
{
	const struct rpc_parts *parts = rpc_parts(req);
	int64_t input = rpc_int(req, "input", 0);
	struct price_row row = { .from_ms = rpc_int(req, "valid_from_ms", 0),
		.above = rpc_int(req, "above_tokens", 0),
		/* where there is no price of its own for a cache, it is what other input costs */
		.tariff = { input, rpc_int(req, "cache_read", input), rpc_int(req, "cache_write", input),
		    rpc_int(req, "output", 0) } };
	struct error err = ERROR_INIT;
	const struct provider *pr;
	struct rpc_answer a;
	struct target t;
	struct pack *p;
	int r;

	target_init(&t);
	if ((pr = find_model(req, &t, &err)) == NULL || changes_begin(parts->changes, &err) != 0) {
		a = rpc_fail_err(req, &err);
		goto out;
	}
	if ((r = own_prices_set(parts->own_prices, pr, t.upstream, &row, &err)) == 0)
		r = make_own(parts, pr, t.upstream, &err);
	if (rpc_change_end(req, r, &err) != 0) {
		a = rpc_fail_err(req, &err);
		goto out;
	}
	row.model = t.upstream;
	p = rpc_result(req);
	pack_str(p, "price");
	pack_map_begin(p);
	pack_price_members(p, pr, &row, PRICE_OWN);
	pack_map_end(p);
	a = rpc_ok(req);
out:
	target_clear(&t);
	return a;
}

struct rpc_answer
rpc_price_remove(struct rpc_request *req)
{
	const struct rpc_parts *parts = rpc_parts(req);
	struct error err = ERROR_INIT;
	const struct provider *pr;
	struct rpc_answer a;
	struct target t;
	struct pack *p;
	size_t before;
	char ref[400];
	int r;

	target_init(&t);
	before = own_prices_count(parts->own_prices);
	if ((pr = find_model(req, &t, &err)) == NULL || changes_begin(parts->changes, &err) != 0) {
		a = rpc_fail_err(req, &err);
		goto out;
	}
	r = own_prices_remove(parts->own_prices, pr, t.upstream, rpc_int(req, "valid_from_ms", -1),
	    rpc_int(req, "above_tokens", 0), &err);
	if (r == 0)
		r = make_own(parts, pr, t.upstream, &err);
	if (rpc_change_end(req, r, &err) != 0) {
		a = rpc_fail_err(req, &err);
		goto out;
	}
	p = rpc_result(req);
	snprintf(ref, sizeof ref, "%s:%s", t.provider, t.upstream);
	pack_kv_str(p, "ref", ref);
	pack_kv_int(p, "removed", (int64_t)(before - own_prices_count(parts->own_prices)));
	a = rpc_ok(req);
out:
	target_clear(&t);
	return a;
}

/* budget.c - what may be spent, and what was. */
#include <stdlib.h>

#include "server/call/purses.h"
#include "server/rpc/objects.h"
#include "server/rpc/request.h"
#include "server/state/budgets.h"

void
pack_budget_members(struct pack *p, const struct rpc_parts *parts, const struct budget *b, bool with_rev)
{
	struct purse_view v;
	char of[300];

	purses_look(parts->purses, b, &v);
	budget_for_write(parts->providers, b, of, sizeof of);
	pack_kv_str(p, "for", of);
	pack_kv_str(p, "period", b->period);
	pack_kv_int(p, "limit_microusd", b->limit_microusd);
	pack_kv_bool(p, "hard", b->hard);
	pack_kv_int(p, "spent_microusd", v.spent_microusd);
	pack_kv_int(p, "reserved_microusd", v.reserved_microusd);
	pack_kv_int(p, "used_permille",
	    (int64_t)((double)v.spent_microusd * 1000 / (double)b->limit_microusd));
	pack_kv_int(p, "since_ms", v.since_ms);
	pack_kv_int(p, "resets_ms", v.resets_ms);
	if (with_rev)
		pack_kv_int(p, "rev", b->rev);
}

void
pack_budgets(struct pack *p, const struct rpc_parts *parts)
{
	pack_array_begin(p);
	for (size_t i = 0; i < budgets_count(parts->budgets); i++) {
		pack_map_begin(p);
		pack_budget_members(p, parts, budgets_at(parts->budgets, i), true);
		pack_map_end(p);
	}
	pack_array_end(p);
}

struct rpc_answer
rpc_budget_get(struct rpc_request *req)
{
	struct pack *p = rpc_result(req);

	pack_str(p, "budgets");
	pack_budgets(p, rpc_parts(req));
	return rpc_ok(req);
}

static int
store_budget(struct rpc_request *req, const struct budget *b, struct error *err)
{
	const struct rpc_parts *parts = rpc_parts(req);
	int r;

	if ((r = changes_begin(parts->changes, err)) != 0)
		return r;
	r = budgets_set(parts->budgets, parts->providers, b, err);
	return rpc_change_end(req, r, err);
}

struct rpc_answer
rpc_budget_set(struct rpc_request *req)
{
	const struct rpc_parts *parts = rpc_parts(req);
	const char *of = rpc_str(req, "for"), *period = rpc_str(req, "period");
	struct budget b = { .period = period != NULL ? period : "month",
		.limit_microusd = rpc_int(req, "limit_microusd", 0), .hard = rpc_bool(req, "hard", false) };
	struct error err = ERROR_INIT;
	const struct budget *now;
	char *subject = NULL;
	struct rpc_answer a;
	struct pack *p;

	if (!budget_for_read(parts->providers, of, &b.kind, &subject)) {
		error_set(&err, MP_E_NOT_FOUND, "there is no provider \"%.100s\"", of);
		error_hint(&err, "a budget is for a provider, @CHAIN, scope:NAME, or everything");
		providers_suggest(parts->providers, of, &err);
		return rpc_fail_err(req, &err);
	}
	b.subject = subject;
	if (store_budget(req, &b, &err) != 0) {
		a = rpc_fail_err(req, &err);
	} else {
		now = budgets_find(parts->budgets, b.kind, b.subject, b.period);
		p = rpc_result(req);
		if (now != NULL)
			pack_budget_members(p, parts, now, false);
		a = rpc_ok(req);
	}
	free(subject);
	return a;
}

/* usage_prune.c - old usage goes. */
#include <stdlib.h>

#include "server/base/clock.h"
#include "server/rpc/request.h"
#include "server/usage/prune.h"

static void
not_wanted(void *arg)
{
	const struct rpc_request *req = arg;

	prune_forget(rpc_parts(req)->prune); /* what was begun goes on */
}

static void
pack_pruned(struct pack *p, const struct pruned *what)
{
	pack_kv_int(p, "before_ms", what->before_ms);
	pack_kv_int(p, "rows", what->rows);
	pack_kv_int(p, "days", what->days);
}

static void
on_done(void *arg, int code, const struct pruned *what)
{
	struct rpc_request *req = arg;
	struct error err = ERROR_INIT;
	struct pack *p;

	if (code != 0) {
		error_set(&err, code, "usage.db cannot be written; the rest goes when it can");
		rpc_finish_error(req, &err);
		return;
	}
	p = rpc_result(req);
	pack_pruned(p, what);
	pack_kv_int(p, "bytes", what->bytes);
	rpc_finish(req);
}

static int
read_plan(struct rpc_request *req, struct prune_plan *plan, struct error *err)
{
	int64_t now = clock_wall_ms(), at = rpc_int(req, "before_ms", now);

	if (rpc_has(req, "before_ms") == rpc_has(req, "keep_ms"))
		return error_field(err, "before_ms", "say either before_ms or keep_ms");
	if (rpc_has(req, "keep_ms"))
		at = now - rpc_int(req, "keep_ms", 0);
	if (at > now)
		return error_field(err, "before_ms", "before_ms is in the future");
	plan->before_ms = prune_day(at > 0 ? at : 0);
	plan->days = rpc_bool(req, "days", false);
	return 0;
}

struct rpc_answer
rpc_usage_prune(struct rpc_request *req)
{
	struct prune *prune = rpc_parts(req)->prune;
	struct error err = ERROR_INIT;
	struct prune_plan plan;
	struct pruned what;
	int r;

	if (read_plan(req, &plan, &err) != 0)
		return rpc_fail_err(req, &err);
	if (rpc_bool(req, "check", false)) {
		if ((r = prune_look(prune, &plan, &what)) != 0)
			return rpc_fail(req, r, "usage cannot be read");
		pack_pruned(rpc_result(req), &what);
		return rpc_ok(req);
	}
	if (prune_begin(prune, &plan, on_done, req, &err) != 0)
		return rpc_fail_err(req, &err);
	return rpc_pending(req, not_wanted, req);
}

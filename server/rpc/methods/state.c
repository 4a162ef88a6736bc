/* state.c - the current state, and news of it. */
#include "server/rpc/conn.h"
#include "server/rpc/notify.h"
#include "server/rpc/request.h"
#include "server/state/changes.h"

static void
pack_state(struct rpc_request *req, struct pack *p)
{
	pack_kv_int(p, "rev", changes_rev(rpc_parts(req)->changes));
	pack_kv_str(p, "instance", changes_instance(rpc_parts(req)->changes));
}

struct rpc_answer
rpc_state_get(struct rpc_request *req)
{
	struct error err = ERROR_INIT;
	unsigned topics;
	struct pack *p;

	if (topics_read(rpc_param(req, "topics"), &topics, &err) != 0)
		return rpc_fail_err(req, &err);
	p = rpc_result(req);
	pack_state(req, p);
	pack_str(p, "snapshot");
	snapshot_pack(rpc_conn(req), p, topics);
	return rpc_ok(req);
}

struct rpc_answer
rpc_state_subscribe(struct rpc_request *req)
{
	struct error err = ERROR_INIT;
	unsigned topics;
	struct pack *p;

	if (topics_read(rpc_param(req, "topics"), &topics, &err) != 0)
		return rpc_fail_err(req, &err);
	subscription_add(rpc_conn(req), topics);
	p = rpc_result(req);
	pack_state(req, p);
	if (rpc_bool(req, "snapshot", true)) {
		pack_str(p, "snapshot");
		snapshot_pack(rpc_conn(req), p, topics);
	}
	return rpc_ok(req);
}

struct rpc_answer
rpc_state_unsubscribe(struct rpc_request *req)
{
	struct error err = ERROR_INIT;
	unsigned topics;

	if (topics_read(rpc_param(req, "topics"), &topics, &err) != 0)
		return rpc_fail_err(req, &err);
	subscription_remove(rpc_conn(req), topics);
	return rpc_ok(req);
}

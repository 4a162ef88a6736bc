/* prompt.c - prompt.*: ask, stop, list. */
#include "server/rpc/methods/prompts.h"

struct rpc_answer
rpc_prompt_start(struct rpc_request *req)
{
	return stream_start(req);
}

struct rpc_answer
rpc_prompt_run(struct rpc_request *req)
{
	return run_start(req);
}

/* Any stream of this user: `mpc` stops from one terminal what was asked in another. The stream ends
 * with `done stop:"cancelled"`. */
struct rpc_answer
rpc_prompt_cancel(struct rpc_request *req)
{
	struct prompt *p = prompt_find(rpc_parts(req)->prompts, rpc_int(req, "stream", 0));
	bool running = p != NULL && p->call != NULL;

	if (running)
		call_cancel(p->call, false);
	pack_kv_bool(rpc_result(req), "cancelled", running);
	return rpc_ok(req);
}

static void
pack_prompt(struct pack *out, const struct prompt *p, const struct conn *asking)
{
	struct call_info info;

	call_info(p->call, &info);
	pack_map_begin(out);
	pack_kv_int(out, "stream", p->id);
	pack_kv_str(out, "ref", p->ref);
	pack_kv_str(out, "provider", info.target->provider);
	pack_kv_str(out, "model", info.target->model);
	pack_kv_str(out, "state", info.state);
	pack_kv_int(out, "started_ms", info.started_ms);
	pack_kv_int(out, "bytes", info.bytes);
	pack_usage_members(out, &info.usage);
	pack_kv_str(out, "client", info.client);
	pack_kv_str(out, "tag", p->tag);
	pack_kv_bool(out, "mine", p->conn == asking);
	pack_kv_bool(out, "detached", p->detached);
	pack_map_end(out);
}

struct rpc_answer
rpc_prompt_list(struct rpc_request *req)
{
	const struct prompts *ps = rpc_parts(req)->prompts;
	struct pack *out = rpc_result(req);

	pack_str(out, "streams");
	pack_array_begin(out);
	for (const struct prompt *p = ps->first; p != NULL; p = p->next)
		if (!p->dead && p->call != NULL)
			pack_prompt(out, p, rpc_conn(req));
	pack_array_end(out);
	return rpc_ok(req);
}

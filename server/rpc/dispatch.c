#include "server/rpc/dispatch.h"

#include <string.h>

#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/rpc/replay.h"

#define COST_MUTATION 64 /* a commit waits for the disk */

typedef struct rpc_answer rpc_handler(struct rpc_request *req);

static rpc_handler *const handlers[METHOD_COUNT] = {
#define METHOD(id, name, since, flags, params, result, help) [METHOD_##id] = rpc_##id,
#include "protocol/methods.def"
#undef METHOD
};

/* What the server refuses before the handler is asked. 0 or an error. */
static int
refuse_work(const struct conn *c, const struct method *m, struct error *err)
{
	const struct rpc_server *s = c->server;

	if (s->refusing && (m->flags & (RPC_MUTATES | RPC_LONG)) != 0)
		return error_set(err, MP_E_SHUTTING_DOWN, "the daemon is stopping");
	if ((m->flags & (RPC_MUTATES | RPC_LONG)) != 0 && s->out_total > LIMIT_OUT_TOTAL)
		return error_set(err, MP_E_BUSY, "too many bytes wait for slow clients");
	if (c->pending_count >= LIMIT_PENDING_REQUESTS)
		return error_set(err, MP_E_BUSY, "%d requests of this connection wait already",
		    LIMIT_PENDING_REQUESTS);
	return 0;
}

/* A request that carries a key may have been answered before. True: it is answered now. */
static bool
answer_again(struct rpc_request *req)
{
	struct slice key = rpc_slice(req, "request_key");
	struct error err = ERROR_INIT;
	struct slice result;
	int r;

	if (!rpc_has(req, "request_key"))
		return false;
	if (key.len == 0) {
		error_field(&err, "request_key", "request_key is empty");
		rpc_fail_err(req, &err);
		return true;
	}
	if ((req->method->flags & RPC_KEYED) != 0)
		return false;
	r = replays_begin(req->conn->server->replays, clock_monotonic_ms(), req->method, key,
	    req->params, &req->replay, &result, &err);
	if (r < 0) {
		rpc_fail_err(req, &err);
		return true;
	}
	if (r == 0)
		return false;
	message_begin_reply(&req->conn->reply, req->msgid);
	pack_raw(&req->conn->reply, result.data, result.len);
	message_end_reply(&req->conn->reply);
	return true;
}

static void
run(struct conn *c, const struct method *method, const struct message *m)
{
	struct rpc_request *req = request_new(c, method, m->msgid);
	struct error err = ERROR_INIT;
	bool changed = (method->flags & RPC_MUTATES) != 0;

	req->notification = m->kind == MESSAGE_NOTIFICATION;
	conn_hold(c);
	pack_init(&c->reply, &c->out);
	if (refuse_work(c, method, &err) != 0 ||
	    params_check(method, m->params, &req->params, &err) != 0)
		rpc_fail_err(req, &err);
	else if (!answer_again(req)) {
		if (changed)
			log_debug("change asked", LOG_TEXT("method", method->name),
			    LOG_INT("conn", (int64_t)c->id), LOG_TEXT("client", c->hello.name));
		handlers[method->id](req);
	}
	req->params = NULL;
	if (!req->pending)
		request_recycle(req);
	else if (c->state == CONN_DEAD)
		request_cancel(req); /* it closed while its handler ran */
	conn_release(c);
}

static void
dispatch_request(struct conn *c, const struct method *method, const struct message *m)
{
	struct error err = ERROR_INIT;

	c->server->requests++;
	if (c->pending != NULL && request_find_pending(c, m->msgid) != NULL) {
		error_set(&err, MP_E_PROTOCOL, "msgid %u is in flight already", (unsigned)m->msgid);
		conn_break(c, &m->msgid, &err);
		return;
	}
	if (method == NULL) {
		error_set(&err, MP_E_UNKNOWN_METHOD, "unknown method \"%.*s\"", (int)m->method.len,
		    m->method.data);
		error_hint(&err, "sys.methods lists what this daemon knows");
		conn_hold(c);
		pack_init(&c->reply, &c->out);
		message_error_reply(&c->reply, m->msgid, &err, c->hello.pair_errors);
		conn_release(c);
		return;
	}
	run(c, method, m);
}

bool
dispatch(struct conn *c, const struct message *m, unsigned *cost)
{
	const struct method *method = NULL;
	struct error err = ERROR_INIT;

	if (m->kind != MESSAGE_REPLY)
		method = method_find(m->method.data, m->method.len);
	*cost += method != NULL && (method->flags & RPC_MUTATES) != 0 ? COST_MUTATION : 1;
	switch (m->kind) {
	case MESSAGE_REQUEST:
		dispatch_request(c, method, m);
		break;
	case MESSAGE_NOTIFICATION:
		if (method != NULL && (method->flags & RPC_NOTIFY) != 0)
			run(c, method, m);
		else if (slice_eq(m->method, "nvim_error_event"))
			c->server->nvim_errors++;
		else
			c->server->ignored_notifications++;
		break;
	case MESSAGE_REPLY:
		error_set(&err, MP_E_PROTOCOL, "a reply was sent to the server");
		conn_break(c, NULL, &err);
		break;
	}
	/* a name nobody knows may be a misspelt one that carries a key */
	return method == NULL || (method->flags & RPC_SECRET) != 0;
}

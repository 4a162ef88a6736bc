#include "server/rpc/request.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/log.h"
#include "server/rpc/dispatch.h"
#include "server/rpc/replay.h"
#include "server/state/changes.h"

/* A string that did not fit into the request. */
struct scratch {
	struct scratch *next;
	char text[];
};

static const struct rpc_answer answered = { RPC_ANSWERED };
static const struct rpc_answer later = { RPC_LATER };

/* ---- life ---- */

struct rpc_request *
request_new(struct conn *c, const struct method *method, uint32_t msgid)
{
	struct rpc_server *s = c->server;
	struct rpc_request *req = s->spare;

	if (req != NULL)
		s->spare = req->next;
	else
		req = xcalloc(1, sizeof *req);
	/* all but the scratch space, which is large and needs no zeroes */
	memset(req, 0, offsetof(struct rpc_request, scratch));
	req->conn = c;
	req->method = method;
	req->msgid = msgid;
	return req;
}

static void
request_unlink(struct rpc_request *req)
{
	struct conn *c = req->conn;

	if (!req->pending)
		return;
	if (req->prev != NULL)
		req->prev->next = req->next;
	else
		c->pending = req->next;
	if (req->next != NULL)
		req->next->prev = req->prev;
	c->pending_count--;
	req->pending = false;
}

void
request_recycle(struct rpc_request *req)
{
	struct rpc_server *s = req->conn->server;
	struct scratch *t;

	request_unlink(req);
	if (req->replay != 0)
		replays_forget(s->replays, req->replay);
	while ((t = req->more) != NULL) {
		req->more = t->next;
		free(t);
	}
	req->prev = NULL;
	req->next = s->spare;
	s->spare = req;
}

void
requests_free_spare(struct rpc_server *s)
{
	struct rpc_request *req;

	while ((req = s->spare) != NULL) {
		s->spare = req->next;
		free(req);
	}
}

struct rpc_request *
request_find_pending(struct conn *c, uint32_t msgid)
{
	struct rpc_request *req;

	for (req = c->pending; req != NULL; req = req->next)
		if (!req->notification && req->msgid == msgid)
			return req;
	return NULL;
}

void
request_cancel(struct rpc_request *req)
{
	struct error err = ERROR_INIT;

	if (req->cancel != NULL) {
		void (*cancel)(void *arg) = req->cancel;

		req->cancel = NULL;
		cancel(req->arg);
	}
	error_set(&err, MP_E_CANCELLED, "cancelled");
	rpc_finish_error(req, &err);
}

/* ---- what is asked ---- */

const struct rpc_parts *
rpc_parts(const struct rpc_request *req)
{
	return req->conn->server->parts;
}

struct conn *
rpc_conn(const struct rpc_request *req)
{
	return req->conn;
}

const struct method *
rpc_method(const struct rpc_request *req)
{
	return req->method;
}

bool
rpc_is_notification(const struct rpc_request *req)
{
	return req->notification;
}

const struct value *
rpc_params(const struct rpc_request *req)
{
	return req->params;
}

const struct value *
rpc_param(const struct rpc_request *req, const char *name)
{
	return req->params != NULL ? value_get(req->params, name) : NULL;
}

bool
rpc_has(const struct rpc_request *req, const char *name)
{
	return rpc_param(req, name) != NULL;
}

struct slice
rpc_slice(const struct rpc_request *req, const char *name)
{
	return value_slice(rpc_param(req, name));
}

int64_t
rpc_int(const struct rpc_request *req, const char *name, int64_t otherwise)
{
	return value_int(rpc_param(req, name), otherwise);
}

bool
rpc_bool(const struct rpc_request *req, const char *name, bool otherwise)
{
	return value_bool(rpc_param(req, name), otherwise);
}

static char *
request_room(struct rpc_request *req, size_t n)
{
	struct scratch *t;
	char *text;

	if (n <= sizeof req->scratch - req->scratch_used) {
		text = req->scratch + req->scratch_used;
		req->scratch_used += n;
		return text;
	}
	t = malloc(sizeof *t + n);
	if (t == NULL)
		return NULL;
	t->next = req->more;
	req->more = t;
	return t->text;
}

const char *
rpc_str(struct rpc_request *req, const char *name)
{
	const struct value *v = rpc_param(req, name);
	struct slice s = value_slice(v);
	char *text;

	if (value_type(v) != VALUE_STR || (s.len > 0 && memchr(s.data, '\0', s.len) != NULL))
		return NULL;
	text = request_room(req, s.len + 1);
	if (text == NULL)
		return NULL;
	if (s.len > 0)
		memcpy(text, s.data, s.len);
	text[s.len] = '\0';
	return text;
}

const char *
rpc_scope(struct rpc_request *req)
{
	if (!rpc_has(req, "scope"))
		return req->conn->hello.scope;
	return rpc_str(req, "scope");
}

const char *
rpc_client(const struct rpc_request *req)
{
	return req->conn->hello.name;
}

/* ---- the answer ---- */

struct pack *
rpc_result(struct rpc_request *req)
{
	struct conn *c = req->conn;

	conn_hold(c);
	req->opened = true;
	req->reply_at = c->out.len;
	pack_init(&c->reply, &c->out);
	message_begin_reply(&c->reply, req->msgid);
	req->result_at = c->out.len;
	pack_map_begin(&c->reply);
	return &c->reply;
}

/* Takes back what rpc_result began. */
static void
result_drop(struct rpc_request *req)
{
	struct conn *c = req->conn;

	if (!req->opened)
		return;
	req->opened = false;
	c->out.failed = false;
	buf_truncate(&c->out, req->reply_at);
	conn_release(c);
}

static void
reply_error(struct rpc_request *req, const struct error *err)
{
	struct conn *c = req->conn;

	result_drop(req);
	if (req->replay != 0) {
		replays_forget(c->server->replays, req->replay);
		req->replay = 0;
	}
	if (req->notification)
		return;
	conn_hold(c);
	pack_init(&c->reply, &c->out);
	message_error_reply(&c->reply, req->msgid, err, c->hello.pair_errors);
	conn_release(c);
}

static void
reply_result(struct rpc_request *req)
{
	struct rpc_server *s = req->conn->server;
	struct buf *out = &req->conn->out;
	struct error err = ERROR_INIT;

	if (!req->opened)
		rpc_result(req);
	if ((req->method->flags & RPC_MUTATES) != 0)
		pack_kv_int(&req->conn->reply, "rev", changes_rev(s->parts->changes));
	pack_map_end(&req->conn->reply);
	if (out->failed) {
		error_set(&err, MP_E_TOO_LARGE, "the result is too large to send");
		reply_error(req, &err);
		return;
	}
	if (req->replay != 0) {
		replays_done(s->replays, req->replay, out->data + req->result_at,
		    out->len - req->result_at);
		req->replay = 0;
	}
	message_end_reply(&req->conn->reply);
	if (req->notification)
		result_drop(req);
	else {
		req->opened = false;
		conn_release(req->conn);
	}
}

struct rpc_answer
rpc_ok(struct rpc_request *req)
{
	reply_result(req);
	return answered;
}

struct rpc_answer
rpc_fail_err(struct rpc_request *req, const struct error *err)
{
	reply_error(req, err);
	return answered;
}

struct rpc_answer
rpc_fail(struct rpc_request *req, int code, const char *fmt, ...)
{
	struct error err = ERROR_INIT;
	char text[sizeof err.message];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	error_set(&err, code, "%s", text);
	reply_error(req, &err);
	return answered;
}

/* `extra` holds whole keys and values, so the map's header is all that is missing. */
static void
pack_extra_map(struct pack *p, const struct buf *extra, unsigned count, const char *field)
{
	struct buf map = BUF_INIT;
	struct pack q;

	if (field[0] != '\0')
		count++;
	/* fixmap: callers add a handful */
	buf_addc(&map, (char)(0x80 | (count & 0x0f)));
	buf_add(&map, extra->data, extra->len);
	pack_init(&q, &map);
	if (field[0] != '\0') {
		pack_str(&q, "field");
		pack_str(&q, field);
	}
	if (map.failed)
		pack_nil(p);
	else
		pack_raw(p, map.data, map.len);
	buf_clear(&map);
}

/* The error with members of its own in `data`; false where it cannot carry them. */
static bool
reply_data(struct rpc_request *req, const struct error *err, const struct buf *extra, unsigned count)
{
	struct conn *c = req->conn;
	struct pack *p = &c->reply;

	if (c->hello.pair_errors || req->notification || extra->failed || count == 0)
		return false;
	result_drop(req);
	if (req->replay != 0)
		replays_forget(c->server->replays, req->replay);
	req->replay = 0;
	conn_hold(c);
	pack_init(p, &c->out);
	/* [1, msgid, error, nil] with our own `data` */
	pack_array_begin(p);
	pack_int(p, MESSAGE_REPLY);
	pack_int(p, req->msgid);
	pack_map_begin(p);
	pack_kv_str(p, "code", error_code(err->code));
	pack_kv_int(p, "num", error_num(err->code));
	pack_kv_str(p, "message", err->message);
	pack_kv_bool(p, "retryable", error_retryable(err->code));
	if (err->hint[0] != '\0')
		pack_kv_str(p, "hint", err->hint);
	if (err->retry_after_ms > 0)
		pack_kv_int(p, "retry_after_ms", err->retry_after_ms);
	pack_str(p, "data");
	pack_extra_map(p, extra, count, err->field);
	pack_map_end(p);
	pack_nil(p);
	pack_array_end(p);
	conn_release(c);
	return true;
}

struct rpc_answer
rpc_fail_data(struct rpc_request *req, const struct error *err, const struct buf *extra,
    unsigned count)
{
	return reply_data(req, err, extra, count) ? answered : rpc_fail_err(req, err);
}

struct rpc_answer
rpc_pending(struct rpc_request *req, void (*cancel)(void *arg), void *arg)
{
	struct conn *c = req->conn;

	req->pending = true;
	req->cancel = cancel;
	req->arg = arg;
	req->prev = NULL;
	req->next = c->pending;
	if (req->next != NULL)
		req->next->prev = req;
	c->pending = req;
	c->pending_count++;
	return later;
}

void
rpc_finish(struct rpc_request *req)
{
	struct conn *c = req->conn;

	request_unlink(req); /* a reply may end the connection, and with it all that is pending */
	reply_result(req);
	request_recycle(req);
	conn_touched(c);
}

void
rpc_finish_data(struct rpc_request *req, const struct error *err, const struct buf *extra,
    unsigned count)
{
	struct conn *c = req->conn;

	request_unlink(req);
	if (!reply_data(req, err, extra, count))
		reply_error(req, err);
	request_recycle(req);
	conn_touched(c);
}

void
rpc_finish_error(struct rpc_request *req, const struct error *err)
{
	struct conn *c = req->conn;

	request_unlink(req);
	reply_error(req, err);
	request_recycle(req);
	conn_touched(c);
}

int
rpc_change_end(struct rpc_request *req, int r, struct error *err)
{
	struct changes *changes = rpc_parts(req)->changes;

	if (r != 0) {
		changes_rollback(changes);
		return r;
	}
	return changes_commit(changes, rpc_method(req)->name, rpc_client(req), NULL, err);
}

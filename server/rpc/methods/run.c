/* run.c - prompt.run: the whole answer as one reply. */
#include <stdlib.h>

#include "protocol/base/str.h"
#include "protocol/limits.h"
#include "server/rpc/methods/content.h"
#include "server/rpc/methods/prompts.h"

#define RUN_TEXT_MAX ((size_t)2 << 20)
#define RUN_CONTENT_MAX ((size_t)4 << 20)
/* The reply must fit the connection's out-queue beside whatever else waits there. */
#define RUN_REPLY_MAX (LIMIT_OUT_HARD - RUN_TEXT_MAX)

struct run {
	struct prompt prompt;
	struct rpc_request *req; /* NULL when it is answered */
	struct buf text, reasoning;
	bool wants_content; /* with reasoning: what of it goes back to whom signed it */
	struct content content;
};

static struct run *
run_of(struct prompt *p)
{
	return (struct run *)p; /* prompt is the first member */
}

static void
run_clear(struct prompt *p)
{
	struct run *r = run_of(p);

	buf_clear(&r->text);
	buf_clear(&r->reasoning);
	content_clear(&r->content);
}

/* tour: what happened on the way, NULL = nothing to tell of it. */
static void
run_fail(struct run *r, const struct error *err, const struct tour *tour)
{
	struct rpc_request *req = r->req;
	struct buf extra = BUF_INIT;
	struct pack p;

	r->req = NULL;
	prompt_bury(&r->prompt);
	if (req != NULL && err->code == MP_E_CHAIN_EXHAUSTED && tour != NULL) {
		pack_init(&p, &extra);
		pack_attempts(&p, tour);
		rpc_finish_data(req, err, &extra, 1);
	} else if (req != NULL) {
		rpc_finish_error(req, err);
	}
	buf_clear(&extra);
}

static void
give_up(struct run *r)
{
	struct error err = ERROR_INIT;

	error_set(&err, MP_E_TOO_LARGE, "the answer of %s is too large for one reply",
	    r->prompt.ref);
	error_hint(&err, "ask with prompt.start, which streams it");
	run_fail(r, &err, NULL);
}

static void
on_start(void *arg, const struct call_start *start)
{
	struct run *r = arg;

	prompt_started(&r->prompt, start);
}

static size_t
reply_bytes(const struct run *r)
{
	return r->text.len + r->reasoning.len + r->content.parts.len + r->prompt.tools.bytes;
}

static int
on_tool_event(struct run *r, const struct event *e)
{
	const struct tool_call *whole;
	int rc = tool_calls_event(&r->prompt.tools, e, &whole);

	if (rc == 0 && whole != NULL && r->wants_content)
		rc = content_tool_call(&r->content, whole, r->prompt.signed_by);
	return rc;
}

static void
on_event(void *arg, const struct event *e)
{
	struct run *r = arg;
	int rc = 0;

	switch (e->type) {
	case EVENT_TEXT:
		rc = buf_add(&r->text, e->text.data, e->text.len);
		break;
	case EVENT_REASONING:
		rc = buf_add(&r->reasoning, e->text.data, e->text.len);
		break;
	case EVENT_TOOL_CALL:
	case EVENT_TOOL_ARGS:
	case EVENT_TOOL_END:
		rc = on_tool_event(r, e);
		break;
	case EVENT_REASONING_END:
	case EVENT_LIMITS:
	case EVENT_START:
	case EVENT_USAGE:
	case EVENT_WARNING:
	case EVENT_FINISH:
	case EVENT_ERROR:
		break;
	}
	if (rc == 0 && r->wants_content)
		rc = content_event(&r->content, e, r->prompt.signed_by);
	if (rc != 0 || reply_bytes(r) > RUN_REPLY_MAX)
		give_up(r);
}

static void
run_finish(struct run *r, const struct call_end *e)
{
	struct pack *p = rpc_result(r->req);
	const struct tool_calls *tools = &r->prompt.tools;

	pack_str(p, "text");
	pack_str_n(p, buf_str(&r->text), r->text.len);
	if (r->reasoning.len > 0) {
		pack_str(p, "reasoning");
		pack_str_n(p, buf_str(&r->reasoning), r->reasoning.len);
	}
	if (tool_calls_whole(tools) > 0) {
		pack_str(p, "tool_calls");
		pack_array_begin(p);
		for (size_t i = 0; i < tools->count; i++) {
			if (!tools->items[i].whole)
				continue;
			pack_map_begin(p);
			pack_tool_call_members(p, &tools->items[i], r->prompt.signed_by);
			pack_map_end(p);
		}
		pack_array_end(p);
	}
	if (r->wants_content)
		content_pack(&r->content, p);
	pack_usage(p, &e->usage);
	pack_kv_str(p, "ref", r->prompt.ref);
	pack_kv_str(p, "stop", stop_reason_name(e->stop));
	rpc_finish(r->req);
	r->req = NULL;
}

static void
on_end(void *arg, const struct call_end *e)
{
	struct run *r = arg;

	r->prompt.call = NULL;
	if (e->code != 0) {
		run_fail(r, e->error, e->tour);
		return;
	}
	if (r->wants_content && content_end(&r->content) != 0) {
		give_up(r);
		return;
	}
	if (r->req != NULL)
		run_finish(r, e);
	prompt_bury(&r->prompt);
}

static const struct call_watch run_watch = { on_start, on_event, on_end, NULL };

static void
on_cancel(void *arg)
{
	struct run *r = arg;

	r->req = NULL;
	prompt_bury(&r->prompt);
}

struct rpc_answer
run_start(struct rpc_request *req)
{
	struct run *r = xcalloc(1, sizeof(*r));
	struct error err = ERROR_INIT;

	r->req = req;
	buf_init(&r->text, RUN_TEXT_MAX);
	buf_init(&r->reasoning, RUN_TEXT_MAX);
	r->wants_content = rpc_bool(req, "reasoning", false);
	content_init(&r->content, RUN_CONTENT_MAX);
	prompt_join(rpc_parts(req)->prompts, &r->prompt, rpc_conn(req), NULL, run_clear);
	if (prompt_open(&r->prompt, req, &run_watch, &err) != 0) {
		prompt_bury(&r->prompt);
		return rpc_fail_err(req, &err);
	}
	return rpc_pending(req, on_cancel, r);
}

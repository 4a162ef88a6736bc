/* stream.c - prompt.start: an answer as events (PROTOCOL.md section 4.1).
 *
 * Text that arrives within one tick of the loop goes out as one delta; the first piece never waits longer
 * than that. The terminal event comes exactly once, and after it the stream is gone. */
#include <stdlib.h>

#include "protocol/base/str.h"
#include "server/rpc/methods/prompts.h"

#define DELTA_MAX ((size_t)64 << 10)

struct stream {
	struct prompt prompt;
	struct conn_owned owned;
	int64_t seq;
	bool tool_deltas;
	struct buf text; /* not sent yet */
	bool text_is_reasoning;
	struct loop_deferred flush;
};

static struct stream *
stream_of(struct prompt *p)
{
	return (struct stream *)p; /* prompt is the first member */
}

static struct stream *
stream_of_owned(struct conn_owned *o)
{
	return (struct stream *)((char *)o - offsetof(struct stream, owned));
}

static void
stream_clear(struct prompt *p)
{
	struct stream *s = stream_of(p);

	loop_defer_cancel(p->owner->loop, &s->flush);
	conn_disown(&s->owned);
	buf_clear(&s->text);
}

/* ---- events ---- */

static struct pack *
event_begin(struct stream *s, const char *type)
{
	struct pack *p = rpc_event_begin(s->prompt.conn, "prompt.event");

	pack_kv_int(p, "stream", s->prompt.id);
	pack_kv_int(p, "seq", s->seq++);
	pack_kv_str(p, "type", type);
	pack_kv_str(p, "tag", s->prompt.tag);
	return p;
}

static void
event_end(struct stream *s)
{
	rpc_event_end(s->prompt.conn);
}

/* How much of text goes into one delta: whole code points. */
static size_t
delta_size(const char *text, size_t n)
{
	if (n <= DELTA_MAX)
		return n;
	return DELTA_MAX - utf8_incomplete_tail(text, DELTA_MAX);
}

static void
flush_text(struct stream *s)
{
	size_t at = 0, n;
	struct pack *p;

	/* Sending may end the connection, and with it the stream. */
	while (at < s->text.len && s->prompt.conn != NULL) {
		n = delta_size(s->text.data + at, s->text.len - at);
		p = event_begin(s, s->text_is_reasoning ? "reasoning" : "delta");
		pack_str(p, "text");
		pack_str_n(p, s->text.data + at, n);
		event_end(s);
		at += n;
	}
	buf_reset(&s->text, DELTA_MAX);
}

static void
flush_later(void *arg)
{
	flush_text(arg);
}

static void
add_text(struct stream *s, struct slice text, bool reasoning)
{
	if (s->text_is_reasoning != reasoning)
		flush_text(s);
	s->text_is_reasoning = reasoning;
	buf_add(&s->text, text.data, text.len);
	if (s->text.len >= DELTA_MAX)
		flush_text(s);
	else
		loop_defer(s->prompt.owner->loop, &s->flush, flush_later, s);
}

/* A block of reasoning is over. Its signature lets the provider take the block back with the next turn. */
static void
send_signature(struct stream *s, const struct event *e)
{
	struct pack *p;

	flush_text(s);
	if (e->signature.len == 0 || s->prompt.conn == NULL)
		return;
	p = event_begin(s, "reasoning");
	pack_kv_slice(p, "signature", e->signature);
	pack_kv_str(p, "signed_by", s->prompt.signed_by);
	if (e->redacted)
		pack_kv_bool(p, "redacted", true);
	event_end(s);
}

static void
send_tool_call(struct stream *s, const struct tool_call *c)
{
	struct pack *p;

	if (s->prompt.conn == NULL)
		return;
	p = event_begin(s, "tool_call");
	pack_tool_call_members(p, c, s->prompt.signed_by);
	event_end(s);
}

static void
send_error(struct stream *s, const struct error *err, bool partial, const struct usage *u,
    const struct tour *tour)
{
	struct pack *p;

	if (s->prompt.conn == NULL)
		return;
	p = event_begin(s, "error");
	pack_kv_str(p, "code", error_code(err->code));
	pack_kv_int(p, "num", error_num(err->code));
	pack_kv_str(p, "message", err->message);
	pack_kv_bool(p, "retryable", error_retryable(err->code));
	if (err->hint[0] != '\0')
		pack_kv_str(p, "hint", err->hint);
	if (err->retry_after_ms > 0)
		pack_kv_int(p, "retry_after_ms", err->retry_after_ms);
	pack_kv_bool(p, "partial", partial);
	if (u != NULL && usage_known(u))
		pack_usage(p, u);
	pack_str(p, "data");
	pack_map_begin(p);
	pack_kv_str(p, "ref", s->prompt.ref);
	if (err->provider[0] != '\0')
		pack_kv_str(p, "provider", err->provider);
	if (err->http_status > 0)
		pack_kv_int(p, "http_status", err->http_status);
	if (err->field[0] != '\0')
		pack_kv_str(p, "field", err->field);
	if (err->code == MP_E_CHAIN_EXHAUSTED && tour != NULL)
		pack_attempts(p, tour);
	pack_map_end(p);
	event_end(s);
}

/* ---- what the call says ---- */

/* Where nobody chose a key there is none to tell. */
static void
pack_label(struct pack *p, const char *name, const char *label)
{
	if (label[0] != '\0')
		pack_kv_str(p, name, label);
}

static void
on_start(void *arg, const struct call_start *start)
{
	struct stream *s = arg;
	struct pack *p;

	prompt_started(&s->prompt, start);
	if (s->prompt.conn == NULL)
		return;
	p = event_begin(s, "start");
	pack_kv_str(p, "ref", s->prompt.ref);
	pack_kv_str(p, "provider", start->target->provider);
	pack_kv_str(p, "model", start->target->model);
	pack_kv_int(p, "attempt", start->attempt);
	pack_kv_str(p, "why", start->why);
	pack_label(p, "key", start->key);
	if (start->chain[0] != '\0') {
		pack_kv_str(p, "chain", start->chain);
		pack_kv_int(p, "position", (int64_t)start->position);
	}
	event_end(s);
}

static void
on_fallback(void *arg, const struct call_fallback *f)
{
	struct stream *s = arg;
	char ref[400];
	struct pack *p;

	if (s->prompt.conn == NULL)
		return;
	p = event_begin(s, "fallback");
	pack_kv_str(p, "from", target_ref(f->from, ref, sizeof ref));
	pack_kv_str(p, "to", target_ref(f->to, ref, sizeof ref));
	pack_kv_str(p, "code", error_code(f->code));
	if (f->passed)
		pack_kv_bool(p, "passed", true);
	else
		pack_kv_str(p, "class", failure_class_name(f->class));
	if (f->chain[0] != '\0') {
		pack_kv_str(p, "chain", f->chain);
		pack_kv_int(p, "position", (int64_t)f->position);
	}
	pack_label(p, "from_key", f->from_key);
	pack_label(p, "to_key", f->to_key);
	if (f->wait_ms > 0)
		pack_kv_int(p, "wait_ms", f->wait_ms);
	event_end(s);
}

/* More than we can hand over in one piece: ends the stream with our own error. */
static void
give_up(struct stream *s)
{
	struct error err = ERROR_INIT;

	error_set(&err, MP_E_TOO_LARGE, "the tool calls of %s are larger than %zu MiB",
	    s->prompt.ref, TOOL_ARGUMENTS_MAX >> 20);
	error_hint(&err, "ask for less in one call");
	send_error(s, &err, true, NULL, NULL);
	prompt_bury(&s->prompt);
}

static void
on_tool_event(struct stream *s, const struct event *e)
{
	const struct tool_call *whole, *c;
	struct pack *p;

	flush_text(s);
	if (tool_calls_event(&s->prompt.tools, e, &whole) != 0) {
		give_up(s);
		return;
	}
	if (whole != NULL)
		send_tool_call(s, whole);
	if (e->type == EVENT_TOOL_END || !s->tool_deltas || s->prompt.conn == NULL)
		return;
	if ((c = tool_calls_at(&s->prompt.tools, e->index)) == NULL)
		return;
	p = event_begin(s, "tool_delta");
	pack_kv_str(p, "id", c->id);
	if (e->type == EVENT_TOOL_CALL)
		pack_kv_str(p, "name", c->name);
	pack_str(p, "arguments_delta");
	pack_str_n(p, e->text.data, e->text.len);
	event_end(s);
}

static void
on_event(void *arg, const struct event *e)
{
	struct stream *s = arg;
	struct pack *p;

	if (s->prompt.conn == NULL)
		return; /* detached and alone: nobody to tell */
	switch (e->type) {
	case EVENT_TEXT:
		add_text(s, e->text, false);
		return;
	case EVENT_REASONING:
		add_text(s, e->text, true);
		return;
	case EVENT_TOOL_CALL:
	case EVENT_TOOL_ARGS:
	case EVENT_TOOL_END:
		on_tool_event(s, e);
		return;
	case EVENT_USAGE:
		flush_text(s);
		if (s->prompt.conn == NULL)
			return; /* that was more than the connection takes */
		p = event_begin(s, "usage");
		pack_usage_members(p, e->usage);
		event_end(s);
		return;
	case EVENT_WARNING:
		flush_text(s);
		if (s->prompt.conn == NULL)
			return;
		p = event_begin(s, "warning");
		pack_str(p, "message");
		pack_str_n(p, e->text.data, e->text.len);
		event_end(s);
		return;
	case EVENT_REASONING_END:
		send_signature(s, e);
		return;
	case EVENT_LIMITS:
	case EVENT_START:
	case EVENT_FINISH:
	case EVENT_ERROR:
		return; /* the call keeps these to itself */
	}
}

static void
send_done(struct stream *s, const struct call_end *e)
{
	struct pack *p;

	p = event_begin(s, "done");
	pack_kv_str(p, "stop", stop_reason_name(e->stop));
	pack_usage(p, &e->usage);
	pack_kv_str(p, "ref", s->prompt.ref);
	pack_kv_int(p, "duration_ms", e->duration_ms);
	if (e->first_token_ms >= 0)
		pack_kv_int(p, "first_token_ms", e->first_token_ms);
	event_end(s);
}

static void
on_end(void *arg, const struct call_end *e)
{
	struct stream *s = arg;

	s->prompt.call = NULL;
	flush_text(s);
	if (s->prompt.conn != NULL && e->code == 0)
		send_done(s, e);
	else if (s->prompt.conn != NULL)
		send_error(s, e->error, e->partial, &e->usage, e->tour);
	conn_disown(&s->owned);
	prompt_bury(&s->prompt);
}

static const struct call_watch stream_watch = { on_start, on_event, on_end, on_fallback };

/* ---- what the connection says ---- */

static void
on_closed(struct conn_owned *o)
{
	struct stream *s = stream_of_owned(o);

	s->prompt.conn = NULL;
	if (!s->prompt.detached) {
		prompt_bury(&s->prompt);
	} else if (s->prompt.call != NULL) {
		call_pause(s->prompt.call, false); /* no slow reader holds it back any more */
	}
}

static void
on_pressure(struct conn_owned *o, bool full)
{
	struct stream *s = stream_of_owned(o);

	if (s->prompt.call != NULL)
		call_pause(s->prompt.call, full);
}

struct rpc_answer
stream_start(struct rpc_request *req)
{
	struct conn *conn = rpc_conn(req);
	struct stream *s = xcalloc(1, sizeof(*s));
	struct error err = ERROR_INIT;
	struct pack *p;

	s->owned.closed = on_closed;
	s->owned.pressure = on_pressure;
	s->tool_deltas = rpc_bool(req, "tool_deltas", false);
	s->prompt.detached = rpc_bool(req, "detach", false);
	prompt_join(rpc_parts(req)->prompts, &s->prompt, conn, rpc_str(req, "tag"), stream_clear);
	if (prompt_open(&s->prompt, req, &stream_watch, &err) != 0) {
		prompt_bury(&s->prompt);
		return rpc_fail_err(req, &err);
	}
	conn_own(conn, &s->owned);
	if (conn_is_full(conn))
		call_pause(s->prompt.call, true);
	p = rpc_result(req);
	pack_kv_int(p, "stream", s->prompt.id);
	pack_kv_str(p, "ref", s->prompt.ref);
	return rpc_ok(req);
}

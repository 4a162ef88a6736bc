/* echo.c - the built-in dialect without a network: the last thing the user said comes back.
 *
 * Model name "echo" (any name works). encode writes the answer's lines, CARRIER_LOOPBACK delivers them:
 *   {"text":"..."}                                       a piece
 *   {"done":true,"stop":"end"|"length","usage":{...}}    the end
 * max_tokens is honoured (a piece counts as a token). For tests, the option extra {"delay_ms": N} waits
 * N ms (0..10000) before each piece. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/json.h"
#include "server/dialect/dialect.h"
#include "server/dialect/emit.h"

#define DELAY_MAX_MS 10000
#define PIECES_MAX 4096
#define PIECE_MAX_BYTES 65536

struct echo_state {
	struct json json;
	struct buf text;
	bool started;
	bool over;
};

/* ---- encode ---- */

static const struct chat_message *
last_user(const struct chat_request *chat)
{
	size_t i;

	for (i = chat->message_count; i-- > 0;) {
		if (chat->messages[i].role == ROLE_USER)
			return &chat->messages[i];
	}
	return chat->message_count > 0 ? &chat->messages[chat->message_count - 1] : NULL;
}

/* What the message says; what cannot be said is named. */
static void
collect(struct buf *out, const struct chat_message *m)
{
	size_t i;

	for (i = 0; m != NULL && i < m->part_count; i++) {
		const struct part *p = &m->parts[i];
		const char *sep = out->len > 0 ? "\n" : "";

		if (p->type == PART_TEXT || p->type == PART_TOOL_RESULT) {
			(void)buf_adds(out, p->text.len > 0 ? sep : "");
			(void)buf_add(out, p->text.data, p->text.len);
		} else if (p->type == PART_IMAGE || p->type == PART_DOCUMENT) {
			(void)buf_addf(out, "%s[%s %s, %zu bytes]", sep,
			    p->type == PART_IMAGE ? "image" : "document",
			    p->name != NULL ? p->name : p->media_type != NULL ? p->media_type : "",
			    p->bytes.len);
		}
	}
	if (out->len == 0)
		(void)buf_adds(out, "(nothing was said)");
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\n' || c == '\t';
}

/* A word and the white space after it; longer pieces when there are many, so that a large text does not
 * become a flood of lines. Whole code points. */
static size_t
piece_length(const struct buf *text, size_t at, size_t at_least)
{
	size_t end = at;

	while (end < text->len && end - at < PIECE_MAX_BYTES &&
	    (end - at < at_least || !is_blank(text->data[end])))
		end++;
	while (end < text->len && end - at < PIECE_MAX_BYTES && is_blank(text->data[end]))
		end++;
	if (end < text->len)
		end -= utf8_incomplete_tail(text->data + at, end - at);
	return end - at;
}

static int64_t
estimate(size_t bytes)
{
	return (int64_t)(bytes + 3) / 4;
}

static void
put_end(struct buf *body, bool cut, size_t in, size_t out)
{
	struct json_writer w;

	json_writer_init(&w, body, false);
	json_begin_object(&w);
	json_kv_bool(&w, "done", true);
	json_kv_string(&w, "stop", cut ? "length" : "end");
	json_key(&w, "usage");
	json_begin_object(&w);
	json_kv_int(&w, "input_tokens", estimate(in));
	json_kv_int(&w, "output_tokens", estimate(out));
	json_end_object(&w);
	json_end_object(&w);
	(void)buf_addc(body, '\n');
}

static void
put_lines(struct buf *body, const struct buf *text, const struct chat_request *chat)
{
	size_t at_least = text->len / PIECES_MAX, at = 0, n;
	int64_t left = chat->options.max_tokens;
	struct json_writer w;

	while (at < text->len && left != 0 && !body->failed) {
		n = piece_length(text, at, at_least);
		json_writer_init(&w, body, false);
		json_begin_object(&w);
		json_key(&w, "text");
		json_put_string_n(&w, text->data + at, n);
		json_end_object(&w);
		(void)buf_addc(body, '\n');
		at += n;
		if (left > 0)
			left--;
	}
	put_end(body, at < text->len, chat_text_bytes(chat), at);
}

static int
read_delay(const struct chat_options *o, struct wire_request *out, struct error *err)
{
	struct json j = JSON_INIT;
	char value[24];
	int64_t ms;
	int r = 0;

	if (o->extra.data == NULL || o->extra.len == 0)
		return 0;
	if (json_read(&j, o->extra.data, o->extra.len, JSON_STRICT) != 0) {
		r = error_field(err, "extra", "it is no JSON object");
	} else if (json_get(&j, 0, "delay_ms") != JSON_NONE) {
		if (!json_int(&j, json_get(&j, 0, "delay_ms"), &ms) || ms < 0 || ms > DELAY_MAX_MS) {
			r = error_field(err, "extra", "delay_ms is a number from 0 to %d", DELAY_MAX_MS);
		} else {
			snprintf(value, sizeof value, "%d", (int)ms);
			r = wire_request_header(out, "x-loopback-delay-ms", value);
		}
	}
	json_clear(&j);
	return r;
}

static int
echo_encode(const struct chat_request *chat, const struct dialect_target *to,
    struct wire_request *out, const struct event_sink *sink, struct error *err)
{
	struct buf text = BUF_INIT;
	int r;

	(void)to;
	(void)sink;
	wire_request_init(out);
	out->method = "POST";
	snprintf(out->path, sizeof out->path, "/echo");
	out->stream = true;
	if ((r = read_delay(&chat->options, out, err)) != 0)
		goto out;
	collect(&text, last_user(chat));
	put_lines(&out->body, &text, chat);
	if (text.failed || out->body.failed)
		r = error_set(err, MP_E_TOO_LARGE, "the text is too large to be echoed");
out:
	if (r != 0)
		wire_request_clear(out);
	buf_clear(&text);
	return r;
}

/* ---- decode ---- */

static void
finish(struct echo_state *s, const struct event_sink *sink)
{
	struct usage u = USAGE_INIT;
	uint32_t usage = json_get(&s->json, 0, "usage");

	(void)json_int(&s->json, json_get(&s->json, usage, "input_tokens"), &u.input_tokens);
	(void)json_int(&s->json, json_get(&s->json, usage, "output_tokens"), &u.output_tokens);
	u.cost_microusd = 0;
	u.input_estimated = u.output_estimated = true;
	s->over = true;
	emit_usage(sink, &u);
	emit_finish(sink,
	    json_equals(&s->json, json_get(&s->json, 0, "stop"), "length") ? STOP_LENGTH : STOP_END);
}

static void
echo_frame(void *state, const struct frame *f, const struct event_sink *sink)
{
	struct echo_state *s = state;
	uint32_t text;
	bool done = false;

	if (s->over)
		return;
	if (json_read(&s->json, f->data.data, f->data.len, JSON_STRICT) != 0) {
		s->over = true;
		emit_protocol_error(sink, "json", "the echo's own line is no JSON");
		return;
	}
	if (!s->started) {
		s->started = true;
		emit_start(sink, SLICE("echo"), SLICE("echo"));
	}
	text = json_get(&s->json, 0, "text");
	buf_reset(&s->text, PIECE_MAX_BYTES);
	(void)json_string(&s->json, text, &s->text);
	emit_text(sink, EVENT_TEXT, (struct slice){ s->text.data, s->text.len }, false);
	if (json_bool(&s->json, json_get(&s->json, 0, "done"), &done) && done)
		finish(s, sink);
}

static void
echo_body(void *state, struct slice json, const struct event_sink *sink)
{
	struct frame f = { { NULL, 0 }, json };

	echo_frame(state, &f, sink);
}

static void
echo_end(void *state, const struct event_sink *sink)
{
	struct echo_state *s = state;

	if (s->over)
		return;
	s->over = true;
	emit_protocol_error(sink, "cut", "the echo ended early");
}

static void
echo_clear(void *state)
{
	struct echo_state *s = state;

	json_clear(&s->json);
	buf_clear(&s->text);
}

static void
echo_refuse(const struct provider *p, const struct wire_head *head, struct slice body, int64_t now_ms,
    struct failure *out)
{
	(void)p;
	(void)body;
	(void)now_ms;
	*out = (struct failure)FAILURE_INIT;
	out->class = FAILURE_SERVER;
	out->http_status = head->status;
}

const struct dialect dialect_echo = {
	.name = "echo",
	.carrier = CARRIER_LOOPBACK,
	.framing = FRAMING_NDJSON,
	.auth_style = AUTH_STYLE_NONE,
	.state_size = sizeof(struct echo_state),
	.encode = echo_encode,
	.frame = echo_frame,
	.body = echo_body,
	.end = echo_end,
	.clear = echo_clear,
	.refuse = echo_refuse,
};

/* ollama_decode.c - lines and whole replies in, events out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/dialect/emit.h"
#include "server/dialect/ollama.h"
#include "server/dialect/refusal.h"

#define KEEP_BYTES ((size_t)64 << 10)
#define PIECE_MAX ((size_t)64 << 20)
#define CALLS_MAX 128
#define NAME_MAX_BYTES 256

void
ollama_begin(void *state, const struct chat_request *chat, const struct dialect_target *to)
{
	struct ollama_state *s = state;

	(void)to; /* an answer reads the same wherever it comes from */
	buf_init(&s->text, PIECE_MAX);
	buf_init(&s->in.repaired, PIECE_MAX);
	s->seed = call_id_seed(chat);
}

void
ollama_clear(void *state)
{
	struct ollama_state *s = state;

	foreign_clear(&s->in);
	buf_clear(&s->text);
}

/* ---- text ---- */

static void
flush(
    struct ollama_state *s, uint32_t *pending, enum event_type type, const struct event_sink *sink)
{
	buf_reset(&s->text, KEEP_BYTES);
	(void)json_flush_pending(pending, &s->text);
	emit_text(sink, type, (struct slice){ s->text.data, s->text.len }, false);
}

/* Reasoning is over when something else comes. */
static void
end_thinking(struct ollama_state *s, const struct event_sink *sink)
{
	struct event e = { .type = EVENT_REASONING_END };

	if (!s->thinking)
		return;
	flush(s, &s->thinking_surrogate, EVENT_REASONING, sink);
	s->thinking = false;
	sink->event(sink->arg, &e);
}

static void
flush_all(struct ollama_state *s, const struct event_sink *sink)
{
	end_thinking(s, sink);
	flush(s, &s->text_surrogate, EVENT_TEXT, sink);
}

static void
take_text(struct ollama_state *s, uint32_t value, uint32_t *pending, enum event_type type,
    const struct event_sink *sink)
{
	const struct json *j = &s->in.json;
	struct slice piece;

	/* the common piece has no escapes: passed on where it lies */
	if (*pending != 0 || !json_plain(j, value, &piece)) {
		buf_reset(&s->text, KEEP_BYTES);
		(void)json_string_piece(j, value, pending, &s->text);
		piece = (struct slice){ s->text.data, s->text.len };
	}
	emit_text(sink, type, piece, false);
}

/* ---- tool calls: each comes whole ---- */

/* The JSON text as it came: numbers keep all their digits. */
static struct slice
arguments_of(struct ollama_state *s, uint32_t value)
{
	struct slice raw = json_raw(&s->in.json, value);

	if (json_is(&s->in.json, value, JSON_STRING)) {
		buf_reset(&s->text, KEEP_BYTES);
		(void)json_string(&s->in.json, value, &s->text);
		raw = (struct slice){ s->text.data, s->text.len };
	}
	if (raw.len == 0 || json_is(&s->in.json, value, JSON_NULL))
		raw = SLICE("{}");
	return raw;
}

static void
emit_call(struct ollama_state *s, const char *id, const char *name, uint32_t arguments,
    const struct event_sink *sink)
{
	struct event e = { .type = EVENT_TOOL_CALL, .index = s->calls };
	char made_up[CALL_ID_SIZE];

	call_id_make(s->seed, s->calls, made_up);
	e.id = slice_of(id != NULL ? id : made_up);
	e.name = slice_of(name);
	sink->event(sink->arg, &e);
	e = (struct event){ .type = EVENT_TOOL_ARGS, .index = s->calls };
	e.text = arguments_of(s, arguments);
	sink->event(sink->arg, &e);
	e = (struct event){ .type = EVENT_TOOL_END, .index = s->calls };
	sink->event(sink->arg, &e);
	s->calls++;
}

static void
take_call(struct ollama_state *s, uint32_t item, const struct event_sink *sink)
{
	const struct json *j = &s->in.json;
	uint32_t function = json_get(j, item, "function");
	char *name = foreign_word(j, json_get(j, function, "name"), NAME_MAX_BYTES);
	char *id = foreign_word(j, json_get(j, item, "id"), NAME_MAX_BYTES);

	if (name != NULL)
		emit_call(s, id, name, json_get(j, function, "arguments"), sink);
	else
		emit_warning(sink, "the provider sent a tool call without a name; it was dropped");
	free(name);
	free(id);
}

/* ---- the end ---- */

static void
fail(struct ollama_state *s, const struct failure *f, const struct event_sink *sink)
{
	flush_all(s, sink);
	s->over = true;
	emit_error(sink, f);
}

static void
fail_protocol(struct ollama_state *s, const char *kind, const char *message,
    const struct event_sink *sink)
{
	flush_all(s, sink);
	s->over = true;
	emit_protocol_error(sink, kind, message);
}

/* "load" and "unload" are answers to no question; no word at all means a closed runner. */
static enum stop_reason
stop_of(const struct ollama_state *s, uint32_t reason)
{
	const struct json *j = &s->in.json;

	if (s->calls > 0)
		return STOP_TOOL_CALL;
	if (json_equals(j, reason, "stop"))
		return STOP_END;
	return json_equals(j, reason, "length") ? STOP_LENGTH : STOP_OTHER;
}

static void
finish(struct ollama_state *s, const struct event_sink *sink)
{
	const struct json *j = &s->in.json;
	struct usage u = USAGE_INIT;

	flush_all(s, sink);
	s->over = true;
	u.input_tokens = foreign_count(j, json_get(j, 0, "prompt_eval_count"));
	u.output_tokens = foreign_count(j, json_get(j, 0, "eval_count"));
	emit_usage(sink, &u);
	emit_finish(sink, stop_of(s, json_get(j, 0, "done_reason")));
}

/* ---- lines ---- */

static void
take_start(struct ollama_state *s, const struct event_sink *sink)
{
	const struct json *j = &s->in.json;
	char *model;

	if (s->started)
		return;
	s->started = true;
	/* answers have no id, but a moment of their own */
	s->seed = call_id_mix(s->seed, json_raw(j, json_get(j, 0, "created_at")));
	model = json_strdup(j, json_get(j, 0, "model"), NAME_MAX_BYTES);
	emit_start(sink, (struct slice){ NULL, 0 }, slice_of(model));
	free(model);
}

static bool
take_message(struct ollama_state *s, uint32_t message, const struct event_sink *sink)
{
	const struct json *j = &s->in.json;
	uint32_t thinking = json_get(j, message, "thinking");
	uint32_t content = json_get(j, message, "content");
	uint32_t calls = json_get(j, message, "tool_calls"), item;

	if (json_is(j, thinking, JSON_STRING) && !json_equals(j, thinking, "")) {
		s->thinking = true;
		take_text(s, thinking, &s->thinking_surrogate, EVENT_REASONING, sink);
	}
	if (json_is(j, content, JSON_STRING) && !json_equals(j, content, "")) {
		end_thinking(s, sink);
		take_text(s, content, &s->text_surrogate, EVENT_TEXT, sink);
	}
	if (!json_is(j, calls, JSON_ARRAY))
		return true;
	for (item = json_first(j, calls); item != JSON_NONE; item = json_next(j, item)) {
		if (s->calls == CALLS_MAX)
			return false;
		end_thinking(s, sink);
		take_call(s, item, sink);
	}
	return true;
}

static void
take_object(struct ollama_state *s, const struct event_sink *sink)
{
	const struct json *j = &s->in.json;
	uint32_t error = json_get(j, 0, "error");
	bool done = false;

	if (json_is(j, error, JSON_STRING) || json_is(j, error, JSON_OBJECT)) {
		struct failure f = FAILURE_INIT;

		ollama_classify(0, j, &f);
		fail(s, &f, sink);
		return;
	}
	take_start(s, sink);
	if (!take_message(s, json_get(j, 0, "message"), sink))
		fail_protocol(s, "too_many", "the answer has more tool calls than fit here", sink);
	else if (json_bool(j, json_get(j, 0, "done"), &done) && done)
		finish(s, sink);
}

void
ollama_frame(void *state, const struct frame *frame, const struct event_sink *sink)
{
	struct ollama_state *s = state;
	struct slice line = foreign_trim(frame->data);
	struct failure f = FAILURE_INIT;

	if (s->over || line.len == 0)
		return;
	if (foreign_read(&s->in, line, sink) && json_is(&s->in.json, 0, JSON_OBJECT)) {
		take_object(s, sink);
		return;
	}
	foreign_unreadable(&s->in, line, &f);
	fail(s, &f, sink);
}

/* A stream that was called something else by a proxy on the way. */
static void
take_lines(struct ollama_state *s, struct slice text, const struct event_sink *sink)
{
	while (text.len > 0 && !s->over) {
		const char *lf = memchr(text.data, '\n', text.len);
		size_t n = lf != NULL ? (size_t)(lf - text.data) + 1 : text.len;
		struct frame f = { .data = { text.data, n } };

		ollama_frame(s, &f, sink);
		text.data += n;
		text.len -= n;
	}
	ollama_end(s, sink);
}

void
ollama_body(void *state, struct slice text, const struct event_sink *sink)
{
	struct ollama_state *s = state;
	struct failure f = FAILURE_INIT;

	if (s->over)
		return;
	text = foreign_trim(text);
	if (text.len == 0) {
		fail_protocol(s, "empty", "the provider answered with nothing", sink);
	} else if (foreign_read(&s->in, text, sink) && json_is(&s->in.json, 0, JSON_OBJECT)) {
		take_object(s, sink);
		if (!s->over)
			fail_protocol(
			    s, "empty", "the answer is JSON, but no whole chat answer", sink);
	} else if (*text.data == '{' && memchr(text.data, '\n', text.len) != NULL) {
		take_lines(s, text, sink);
	} else {
		failure_no_json(&f, text);
		fail(s, &f, sink);
	}
}

void
ollama_end(void *state, const struct event_sink *sink)
{
	struct ollama_state *s = state;

	if (s->over)
		return;
	if (s->started)
		fail_protocol(s, "cut", "the answer ended before it was complete", sink);
	else
		fail_protocol(s, "empty", "the provider answered with nothing", sink);
}

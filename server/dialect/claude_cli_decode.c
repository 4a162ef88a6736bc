/* claude_cli_decode.c - its lines in, events out. Pieces come as events of the messages API; a whole message
 * repeats them, unless the program did not stream it. Kinds of lines and of events that are not known are
 * skipped: they change often. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/dialect/claude_cli.h"
#include "server/dialect/emit.h"
#include "server/dialect/refusal.h"

#define KEEP_BYTES ((size_t)64 << 10)
#define PIECE_MAX ((size_t)32 << 20)
#define ANSWER_MAX ((size_t)1 << 20) /* of a longer one the program does not wait */

void
claude_cli_begin(void *state, const struct chat_request *chat, const struct dialect_target *to)
{
	struct claude_cli_state *s = state;

	(void)to;
	buf_init(&s->text, PIECE_MAX);
	buf_init(&s->answer, ANSWER_MAX);
	buf_init(&s->past, WIRE_PAST_MAX);
	if (chat != NULL)
		claude_cli_past(chat, chat->message_count, &s->past);
	s->counts = (struct anthropic_counts)ANTHROPIC_COUNTS_INIT;
	s->before = (struct usage)USAGE_INIT;
	s->spent = -1;
}

void
claude_cli_clear(void *state)
{
	struct claude_cli_state *s = state;

	foreign_clear(&s->in);
	buf_clear(&s->text);
	buf_clear(&s->past);
	buf_clear(&s->answer);
}

/* ---- pieces ---- */

static enum event_type
event_of(enum claude_block block)
{
	return block == CLAUDE_BLOCK_THINKING ? EVENT_REASONING : EVENT_TEXT;
}

static void
say(struct claude_cli_state *s, const struct event_sink *sink)
{
	s->said_anything |= s->text.len > 0;
	if (s->block == CLAUDE_BLOCK_TEXT)
		(void)buf_add(&s->answer, s->text.data, s->text.len);
	emit_text(sink, event_of(s->block), (struct slice){ s->text.data, s->text.len }, false);
}

static void
take_piece(struct claude_cli_state *s, uint32_t value, const struct event_sink *sink)
{
	buf_reset(&s->text, KEEP_BYTES);
	(void)json_string_piece(&s->in.json, value, &s->surrogate, &s->text);
	say(s, sink);
}

static void
end_block(struct claude_cli_state *s, const struct event_sink *sink)
{
	struct event e = { .type = EVENT_REASONING_END };

	if (s->block == CLAUDE_BLOCK_NONE)
		return;
	buf_reset(&s->text, KEEP_BYTES);
	(void)json_flush_pending(&s->surrogate, &s->text);
	say(s, sink);
	/* its signature can never go back in a document: it is not kept */
	if (s->block == CLAUDE_BLOCK_THINKING)
		sink->event(sink->arg, &e);
	s->block = CLAUDE_BLOCK_NONE;
}

static enum claude_block
kind_of(const struct json *j, uint32_t block)
{
	uint32_t type = json_get(j, block, "type");

	return json_equals(j, type, "text") ? CLAUDE_BLOCK_TEXT
	    : json_equals(j, type, "thinking") ? CLAUDE_BLOCK_THINKING : CLAUDE_BLOCK_NONE;
}

static void
start(struct claude_cli_state *s, uint32_t message, const struct event_sink *sink)
{
	const struct json *j = &s->in.json;
	char *id, *model;

	if (s->started)
		return;
	s->started = true;
	id = foreign_word(j, json_get(j, message, "id"), 200);
	model = foreign_word(j, json_get(j, message, "model"), 200);
	emit_start(sink, slice_of(id), slice_of(model));
	free(id);
	free(model);
}

/* ---- events of the messages API ---- */

static void
stream_event(struct claude_cli_state *s, const struct event_sink *sink)
{
	const struct json *j = &s->in.json;
	uint32_t event = json_get(j, 0, "event"), type = json_get(j, event, "type"), at;
	char *id;

	if (json_equals(j, type, "message_start")) {
		at = json_get(j, event, "message");
		end_block(s, sink);
		start(s, at, sink);
		id = foreign_word(j, json_get(j, at, "id"), sizeof s->streamed - 1);
		snprintf(s->streamed, sizeof s->streamed, "%s", id != NULL ? id : "");
		free(id);
		claude_cli_count_on(s);
		anthropic_counts_take(&s->counts, j, json_get(j, at, "usage"), true);
	} else if (json_equals(j, type, "message_delta")) {
		anthropic_counts_take(&s->counts, j, json_get(j, event, "usage"), false);
	} else if (json_equals(j, type, "content_block_start")) {
		at = json_get(j, event, "content_block");
		end_block(s, sink);
		s->block = kind_of(j, at);
		if (s->block != CLAUDE_BLOCK_NONE)
			take_piece(s, json_get(j, at,
			    s->block == CLAUDE_BLOCK_TEXT ? "text" : "thinking"), sink);
	} else if (json_equals(j, type, "content_block_delta")) {
		at = json_get(j, event, "delta");
		if (s->block == CLAUDE_BLOCK_TEXT)
			take_piece(s, json_get(j, at, "text"), sink);
		else if (s->block == CLAUDE_BLOCK_THINKING)
			take_piece(s, json_get(j, at, "thinking"), sink);
	} else if (json_equals(j, type, "content_block_stop") ||
	    json_equals(j, type, "message_stop")) {
		end_block(s, sink);
	}
}

/* ---- whole lines ---- */

/* An error's text comes as if the model had said it: the result line tells the same as an error. */
static bool
is_error_text(struct claude_cli_state *s, uint32_t message)
{
	const struct json *j = &s->in.json;
	char *class = foreign_word(j, json_get(j, 0, "error"), sizeof s->error_class - 1);
	char *code = foreign_word(j, json_get(j, 0, "api_error"), sizeof s->error_code - 1);
	bool marked = false, error;

	(void)json_bool(j, json_get(j, 0, "is_api_error_message"), &marked);
	error = class != NULL || marked ||
	    json_equals(j, json_get(j, message, "model"), "<synthetic>");
	if (class != NULL)
		snprintf(s->error_class, sizeof s->error_class, "%s", class);
	if (code != NULL)
		snprintf(s->error_code, sizeof s->error_code, "%s", code);
	free(class);
	free(code);
	return error;
}

static void
whole_message(struct claude_cli_state *s, const struct event_sink *sink)
{
	const struct json *j = &s->in.json;
	uint32_t message = json_get(j, 0, "message"), content = json_get(j, message, "content");

	if (is_error_text(s, message) ||
	    (s->streamed[0] != '\0' && json_equals(j, json_get(j, message, "id"), s->streamed)))
		return;
	end_block(s, sink);
	start(s, message, sink);
	claude_cli_count_on(s);
	anthropic_counts_take(&s->counts, j, json_get(j, message, "usage"), false);
	if (!json_is(j, content, JSON_ARRAY))
		return;
	for (uint32_t at = json_first(j, content); at != JSON_NONE; at = json_next(j, at)) {
		s->block = kind_of(j, at);
		if (s->block == CLAUDE_BLOCK_NONE)
			continue;
		take_piece(s, json_get(j, at, s->block == CLAUDE_BLOCK_TEXT ? "text" : "thinking"),
		    sink);
		end_block(s, sink);
	}
}

/* The plan's login shows as "none"; anything else is a key that the program found somewhere. */
static void
init_line(struct claude_cli_state *s, const struct event_sink *sink)
{
	const struct json *j = &s->in.json;
	char *source = foreign_word(j, json_get(j, 0, "apiKeySource"), 64);
	char shown[128];

	if (source != NULL && strcmp(source, "none") != 0 && !s->paid) {
		s->paid = true;
		failure_set_text(shown, sizeof shown, slice_of(source));
		emit_warning(sink, "claude uses an API key (%s), not the plan: this is billed per token",
		    shown);
	}
	free(source);
}

void
claude_cli_frame(void *state, const struct frame *f, const struct event_sink *sink)
{
	struct claude_cli_state *s = state;
	const struct json *j = &s->in.json;
	struct failure unreadable = FAILURE_INIT;
	uint32_t type;

	if (s->over)
		return;
	if (!foreign_read(&s->in, f->data, sink) || !json_is(j, 0, JSON_OBJECT)) {
		s->over = true;
		foreign_unreadable(&s->in, f->data, &unreadable);
		emit_error(sink, &unreadable);
		return;
	}
	/* what a subagent says is no part of the answer */
	if (json_is(j, json_get(j, 0, "parent_tool_use_id"), JSON_STRING))
		return;
	type = json_get(j, 0, "type");
	if (json_equals(j, type, "stream_event")) {
		stream_event(s, sink);
	} else if (json_equals(j, type, "assistant")) {
		whole_message(s, sink);
	} else if (json_equals(j, type, "rate_limit_event")) {
		claude_cli_windows(s, sink);
	} else if (json_equals(j, type, "result")) {
		end_block(s, sink);
		s->over = true;
		claude_cli_result(s, sink);
	} else if (json_equals(j, type, "system")) {
		if (json_equals(j, json_get(j, 0, "subtype"), "init"))
			init_line(s, sink);
		else if (json_equals(j, json_get(j, 0, "subtype"), "compact_boundary"))
			s->has_forgotten = true;
	}
}

void
claude_cli_body(void *state, struct slice json, const struct event_sink *sink)
{
	struct frame f = { { NULL, 0 }, json };

	claude_cli_frame(state, &f, sink);
}

void
claude_cli_end(void *state, const struct event_sink *sink)
{
	struct claude_cli_state *s = state;

	if (s->over)
		return;
	end_block(s, sink);
	s->over = true;
	emit_protocol_error(sink, "cut", "claude ended before its answer was whole");
}

/* anthropic_decode.c - stream events and whole replies in, events out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/dialect/anthropic_state.h"
#include "server/dialect/emit.h"
#include "server/dialect/refusal.h"

#define KEEP_BYTES ((size_t)64 << 10)
#define PIECE_MAX ((size_t)64 << 20)

static void
remember_names(struct anthropic_state *s, const struct chat_request *chat)
{
	for (size_t i = 0; i < chat->tool_count; i++) {
		char *sent = anthropic_fit_name(chat->tools[i].name);

		if (strcmp(sent, chat->tools[i].name) == 0) {
			free(sent);
			continue;
		}
		s->renames = xrealloc(s->renames, (s->rename_count + 1) * sizeof *s->renames);
		s->renames[s->rename_count++] =
		    (struct anthropic_rename){ sent, xstrdup(chat->tools[i].name) };
	}
}

void
anthropic_begin(void *state, const struct chat_request *chat, const struct dialect_target *to)
{
	struct anthropic_state *s = state;

	(void)to;
	buf_init(&s->text, PIECE_MAX);
	s->counts = (struct anthropic_counts)ANTHROPIC_COUNTS_INIT;
	s->stop = STOP_OTHER;
	if (chat == NULL)
		return;
	remember_names(s, chat);
	/* a conversation grows: made-up ids of this turn differ from those of the turns before */
	s->seed = call_id_seed(chat);
}

void
anthropic_clear(void *state)
{
	struct anthropic_state *s = state;

	anthropic_content_clear(s);
	for (size_t i = 0; i < s->rename_count; i++) {
		free(s->renames[i].sent);
		free(s->renames[i].real);
	}
	free(s->renames);
	foreign_clear(&s->in);
	buf_clear(&s->text);
}

/* ---- usage ---- */

void
anthropic_told(const void *state, struct usage *out)
{
	const struct anthropic_state *s = state;

	anthropic_counts_usage(&s->counts, out);
}

static void
report_usage(const struct anthropic_state *s, const struct event_sink *sink)
{
	struct usage u;

	anthropic_told(s, &u);
	emit_usage(sink, &u);
}

/* ---- the end ---- */

static void
fail(struct anthropic_state *s, const struct failure *f, const struct event_sink *sink)
{
	anthropic_content_flush(s, sink);
	s->over = true;
	report_usage(s, sink);
	emit_error(sink, f);
}

static void
fail_protocol(struct anthropic_state *s, const char *kind, const char *message,
    const struct event_sink *sink)
{
	struct failure f = FAILURE_INIT;

	failure_of_protocol(&f, kind, message);
	fail(s, &f, sink);
}

static void
fail_unreadable(struct anthropic_state *s, struct slice data, const struct event_sink *sink)
{
	struct failure f = FAILURE_INIT;

	foreign_unreadable(&s->in, data, &f);
	fail(s, &f, sink);
}

/* Calls count more than the word the provider chose; a refusal or a cut counts more than calls. */
static void
finish(struct anthropic_state *s, const struct event_sink *sink)
{
	bool whole = anthropic_content_end(s, sink);
	enum stop_reason stop = s->stop;

	if (stop != STOP_CONTENT_FILTER && s->call_count > 0)
		stop = whole ? STOP_TOOL_CALL : STOP_LENGTH;
	else if (stop == STOP_TOOL_CALL)
		stop = STOP_END;
	s->over = true;
	report_usage(s, sink);
	emit_finish(sink, stop);
}

/* "message_stop", or what stands for it. */
static void
finish_stream(struct anthropic_state *s, const struct event_sink *sink)
{
	if (!s->finish_seen && !s->said_anything)
		fail_protocol(s, "empty", "the provider answered with nothing", sink);
	else
		finish(s, sink);
}

/* ---- parts of a message ---- */

static void
take_start(struct anthropic_state *s, uint32_t message, const struct event_sink *sink)
{
	const struct json *j = &s->in.json;

	if (s->started)
		return;
	s->started = true;
	s->seed = foreign_start(j, json_get(j, message, "id"), json_get(j, message, "model"), s->seed, sink);
}

/* What is not here, pauses too, is an ordinary end. */
static const struct {
	const char *word;
	enum stop_reason stop;
} stop_words[] = {
	{ "max_tokens", STOP_LENGTH },
	{ "model_context_window_exceeded", STOP_LENGTH },
	{ "tool_use", STOP_TOOL_CALL },
	{ "refusal", STOP_CONTENT_FILTER },
};

static void
take_stop(struct anthropic_state *s, uint32_t of, const struct event_sink *sink)
{
	const struct json *j = &s->in.json;
	uint32_t word = json_get(j, of, "stop_reason");
	char *why;

	if (!json_is(j, word, JSON_STRING))
		return;
	s->finish_seen = true;
	s->stop = STOP_END;
	for (size_t i = 0; i < sizeof stop_words / sizeof stop_words[0]; i++)
		if (json_equals(j, word, stop_words[i].word))
			s->stop = stop_words[i].stop;
	if (s->stop != STOP_CONTENT_FILTER)
		return;
	why = json_strdup(j, json_path(j, of, "stop_details", "explanation"), 4096);
	if (why != NULL && *why != '\0')
		emit_warning(sink, "the provider declined: %s", why);
	free(why);
}

/* ---- events ---- */

static int64_t
index_of(const struct json *j)
{
	int64_t v;

	return json_int(j, json_get(j, 0, "index"), &v) ? v : -1;
}

static void
fail_too_many(struct anthropic_state *s, const struct event_sink *sink)
{
	fail_protocol(s, "too_many", "the answer has more parts than fit here", sink);
}

static void
on_message_start(struct anthropic_state *s, const struct event_sink *sink)
{
	uint32_t message = json_get(&s->in.json, 0, "message");

	take_start(s, message, sink);
	anthropic_counts_take(&s->counts, &s->in.json, json_get(&s->in.json, message, "usage"), true);
}

static void
on_block_start(struct anthropic_state *s, const struct event_sink *sink)
{
	const struct json *j = &s->in.json;

	take_start(s, JSON_NONE, sink);
	if (!anthropic_content_begin(s, index_of(j), json_get(j, 0, "content_block"), false, sink))
		fail_too_many(s, sink);
}

static void
on_block_delta(struct anthropic_state *s, const struct event_sink *sink)
{
	take_start(s, JSON_NONE, sink);
	if (!anthropic_content_delta(s, index_of(&s->in.json), json_get(&s->in.json, 0, "delta"), sink))
		fail_too_many(s, sink);
}

static void
on_block_stop(struct anthropic_state *s, const struct event_sink *sink)
{
	anthropic_content_stop(s, index_of(&s->in.json), sink);
}

static void
on_message_delta(struct anthropic_state *s, const struct event_sink *sink)
{
	take_start(s, JSON_NONE, sink);
	take_stop(s, json_get(&s->in.json, 0, "delta"), sink);
	anthropic_counts_take(&s->counts, &s->in.json, json_get(&s->in.json, 0, "usage"), false);
}

static void
on_error(struct anthropic_state *s, const struct event_sink *sink)
{
	const struct wire_head none = { 0, NULL, 0 };
	struct failure f = FAILURE_INIT;

	anthropic_classify(NULL, 0, &none, &s->in.json, &f);
	f.wait_ms = refusal_wait_ms(&none, &s->in.json, 0);
	fail(s, &f, sink);
}

/* "ping" and whatever comes later is not here, and skipped. */
static const struct {
	const char *type;
	void (*take)(struct anthropic_state *s, const struct event_sink *sink);
} events[] = {
	{ "content_block_delta", on_block_delta },
	{ "content_block_start", on_block_start },
	{ "content_block_stop", on_block_stop },
	{ "message_start", on_message_start },
	{ "message_delta", on_message_delta },
	{ "message_stop", finish_stream },
	{ "error", on_error },
};

static bool
is_error(const struct json *j)
{
	uint32_t error = json_get(j, 0, "error");

	return json_is(j, error, JSON_OBJECT) || json_is(j, error, JSON_STRING) ||
	    json_equals(j, json_get(j, 0, "type"), "error");
}

static bool
read_json(struct anthropic_state *s, struct slice text, const struct event_sink *sink)
{
	return foreign_read(&s->in, text, sink) && json_is(&s->in.json, 0, JSON_OBJECT);
}

/* An error that is no JSON: its words are all there is. */
static void
fail_in_words(struct anthropic_state *s, struct slice data, const struct event_sink *sink)
{
	struct failure f = FAILURE_INIT;

	f.class = FAILURE_SERVER;
	failure_set_from_page(&f, data);
	fail(s, &f, sink);
}

void
anthropic_frame(void *state, const struct frame *frame, const struct event_sink *sink)
{
	struct anthropic_state *s = state;
	struct slice data = foreign_trim(frame->data);
	uint32_t type;

	if (s->over || data.len == 0)
		return;
	if (slice_eq(data, "[DONE]")) { /* servers that grew up with the other language */
		finish_stream(s, sink);
		return;
	}
	if (!read_json(s, data, sink)) {
		if (slice_eq(frame->event, "error"))
			fail_in_words(s, data, sink);
		else
			fail_unreadable(s, data, sink);
		return;
	}
	if (is_error(&s->in.json)) {
		on_error(s, sink);
		return;
	}
	type = json_get(&s->in.json, 0, "type");
	for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
		/* the name of the frame counts where the object does not tell its own */
		if (type == JSON_NONE ? !slice_eq(frame->event, events[i].type)
		                      : !json_equals(&s->in.json, type, events[i].type))
			continue;
		events[i].take(s, sink);
		return;
	}
}

/* ---- a whole reply ---- */

static bool
take_contents(struct anthropic_state *s, uint32_t list, const struct event_sink *sink)
{
	uint32_t item = json_first(&s->in.json, list);

	for (int64_t index = 0; item != JSON_NONE; item = json_next(&s->in.json, item), index++) {
		if (!anthropic_content_begin(s, index, item, true, sink))
			return false;
		anthropic_content_stop(s, index, sink);
	}
	return true;
}

void
anthropic_body(void *state, struct slice text, const struct event_sink *sink)
{
	struct anthropic_state *s = state;
	struct failure f = FAILURE_INIT;
	uint32_t list;

	if (s->over)
		return;
	text = foreign_trim(text);
	if (text.len == 0) {
		fail_protocol(s, "empty", "the provider answered with nothing", sink);
		return;
	}
	if (!read_json(s, text, sink)) {
		failure_no_json(&f, text);
		fail(s, &f, sink);
		return;
	}
	if (is_error(&s->in.json)) {
		on_error(s, sink);
		return;
	}
	list = json_get(&s->in.json, 0, "content");
	if (!json_is(&s->in.json, list, JSON_ARRAY)) {
		fail_protocol(s, "empty", "the answer is JSON, but no message", sink);
		return;
	}
	take_start(s, 0, sink);
	anthropic_counts_take(&s->counts, &s->in.json, json_get(&s->in.json, 0, "usage"), false);
	if (!take_contents(s, list, sink)) {
		fail_too_many(s, sink);
		return;
	}
	take_stop(s, 0, sink);
	finish(s, sink);
}

void
anthropic_end(void *state, const struct event_sink *sink)
{
	struct anthropic_state *s = state;

	if (s->over)
		return;
	if (s->finish_seen)
		finish(s, sink);
	else if (s->started)
		fail_protocol(s, "cut", "the answer ended before it was complete", sink);
	else
		fail_protocol(s, "empty", "the provider answered with nothing", sink);
}

/* openai_chat_decode.c - chunks and whole replies in, events out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/dialect/emit.h"
#include "server/dialect/openai_chat.h"
#include "server/dialect/openai_chat_state.h"
#include "server/dialect/refusal.h"

#define KEEP_BYTES ((size_t)64 << 10)
#define PIECE_MAX ((size_t)64 << 20)
#define DETAILS_MAX ((size_t)16 << 20)

void
openai_chat_begin(void *state, const struct chat_request *chat, const struct dialect_target *to)
{
	struct openai_chat_state *s = state;

	s->flavour = to != NULL ? openai_flavour_of(to->provider) : FLAVOUR_OTHER;
	buf_init(&s->text, PIECE_MAX);
	buf_init(&s->details, DETAILS_MAX);
	s->usage = (struct usage)USAGE_INIT;
	/* a conversation grows: made-up ids of this turn differ from those of the turns before */
	s->seed = call_id_seed(chat);
}

void
openai_chat_clear(void *state)
{
	struct openai_chat_state *s = state;

	openai_calls_clear(s);
	foreign_clear(&s->in);
	buf_clear(&s->text);
	buf_clear(&s->details);
}

/* ---- the end ---- */

/* Halves of pairs whose other half never came. */
static void
flush_text(struct openai_chat_state *s, const struct event_sink *sink)
{
	static const struct {
		size_t offset;
		enum event_type type;
		bool refusal;
	} kinds[] = {
		{ offsetof(struct openai_chat_state, reasoning_surrogate), EVENT_REASONING, false },
		{ offsetof(struct openai_chat_state, text_surrogate), EVENT_TEXT, false },
		{ offsetof(struct openai_chat_state, refusal_surrogate), EVENT_TEXT, true },
	};
	size_t i;

	for (i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		uint32_t *pending = (uint32_t *)(void *)((char *)s + kinds[i].offset);

		buf_reset(&s->text, KEEP_BYTES);
		(void)json_flush_pending(pending, &s->text);
		emit_text(sink, kinds[i].type, (struct slice){ s->text.data, s->text.len },
		    kinds[i].refusal);
	}
}

void
openai_chat_told(const void *state, struct usage *out)
{
	const struct openai_chat_state *s = state;

	*out = s->usage;
}

static void
report_usage(struct openai_chat_state *s, const struct event_sink *sink)
{
	if (s->usage_seen)
		emit_usage(sink, &s->usage);
	s->usage_seen = false;
}

static void
fail(struct openai_chat_state *s, const struct failure *f, const struct event_sink *sink)
{
	s->over = true;
	report_usage(s, sink);
	emit_error(sink, f);
}

static void
fail_protocol(struct openai_chat_state *s, const char *kind, const char *message,
    const struct event_sink *sink)
{
	s->over = true;
	report_usage(s, sink);
	emit_protocol_error(sink, kind, message);
}

/* Calls count more than the word the provider chose; a filter or a cut counts more than calls. */
static enum stop_reason
final_stop(struct openai_chat_state *s, const struct event_sink *sink)
{
	bool whole = openai_calls_end(s, s->stop, sink);

	if (s->stop == STOP_CONTENT_FILTER)
		return s->stop;
	if (s->call_count > 0)
		return whole ? STOP_TOOL_CALL : STOP_LENGTH;
	return s->stop == STOP_TOOL_CALL ? STOP_END : s->stop;
}

static void
finish(struct openai_chat_state *s, const struct event_sink *sink)
{
	enum stop_reason stop;

	flush_text(s, sink);
	openai_details_end(s, sink);
	stop = final_stop(s, sink);
	s->over = true;
	report_usage(s, sink);
	emit_finish(sink, stop);
}

/* ---- pieces ---- */

static void
take_text(struct openai_chat_state *s, uint32_t value, uint32_t *pending, enum event_type type,
    bool refusal, const struct event_sink *sink)
{
	struct slice plain;

	if (!json_is(&s->in.json, value, JSON_STRING))
		return;
	/* the common piece has no escapes: passed on where it lies */
	if (*pending == 0 && json_plain(&s->in.json, value, &plain)) {
		s->said_anything |= plain.len > 0;
		emit_text(sink, type, plain, refusal);
		return;
	}
	buf_reset(&s->text, KEEP_BYTES);
	(void)json_string_piece(&s->in.json, value, pending, &s->text);
	s->said_anything |= s->text.len > 0;
	emit_text(sink, type, (struct slice){ s->text.data, s->text.len }, refusal);
}

/* Content as a list of parts, as some servers answer. */
static void
take_content(struct openai_chat_state *s, uint32_t value, const struct event_sink *sink)
{
	uint32_t part;

	if (!json_is(&s->in.json, value, JSON_ARRAY)) {
		take_text(s, value, &s->text_surrogate, EVENT_TEXT, false, sink);
		return;
	}
	for (part = json_first(&s->in.json, value); part != JSON_NONE;
	    part = json_next(&s->in.json, part)) {
		take_text(s, json_get(&s->in.json, part, "text"), &s->text_surrogate, EVENT_TEXT, false,
		    sink);
		take_text(s, json_get(&s->in.json, part, "refusal"), &s->refusal_surrogate, EVENT_TEXT,
		    true, sink);
	}
}

/* One of the three places where reasoning is put; some servers fill two with the same words. */
static void
take_reasoning(struct openai_chat_state *s, uint32_t delta, const struct event_sink *sink)
{
	const struct json *j = &s->in.json;
	uint32_t value = json_get(j, delta, "reasoning_content"), item;

	if (!json_is(j, value, JSON_STRING))
		value = json_get(j, delta, "reasoning");
	if (json_is(j, value, JSON_STRING)) {
		take_text(s, value, &s->reasoning_surrogate, EVENT_REASONING, false, sink);
		return;
	}
	value = json_get(j, delta, "reasoning_details");
	if (!json_is(j, value, JSON_ARRAY))
		return;
	for (item = json_first(j, value); item != JSON_NONE; item = json_next(j, item)) {
		uint32_t text = json_get(j, item, "text");

		if (!json_is(j, text, JSON_STRING))
			text = json_get(j, item, "summary");
		take_text(s, text, &s->reasoning_surrogate, EVENT_REASONING, false, sink);
	}
}

static const struct {
	const char *word;
	enum stop_reason stop;
} finish_words[] = {
	{ "stop", STOP_END },
	{ "length", STOP_LENGTH },
	{ "tool_calls", STOP_TOOL_CALL },
	{ "function_call", STOP_TOOL_CALL },
	{ "content_filter", STOP_CONTENT_FILTER },
};

static void
take_finish(struct openai_chat_state *s, uint32_t value)
{
	size_t i;

	/* old DashScope models say "" and "null" where null is meant */
	if (!json_is(&s->in.json, value, JSON_STRING) || json_equals(&s->in.json, value, "") ||
	    json_equals(&s->in.json, value, "null"))
		return;
	if (json_equals(&s->in.json, value, "error")) {
		s->error_finish = true;
		return;
	}
	if (s->finish_seen)
		return;
	s->finish_seen = true;
	s->stop = STOP_OTHER;
	for (i = 0; i < sizeof finish_words / sizeof finish_words[0]; i++) {
		if (json_equals(&s->in.json, value, finish_words[i].word))
			s->stop = finish_words[i].stop;
	}
}

/* False when the answer ended with an error here. */
static bool
take_choice(struct openai_chat_state *s, uint32_t choice, const struct event_sink *sink)
{
	const struct json *j = &s->in.json;
	uint32_t delta = json_get(j, choice, "delta");

	if (!json_is(j, delta, JSON_OBJECT))
		delta = json_get(j, choice, "message");
	take_reasoning(s, delta, sink);
	openai_details_take(s, json_get(j, delta, "reasoning_details"));
	take_content(s, json_get(j, delta, "content"), sink);
	take_text(s, json_get(j, delta, "refusal"), &s->refusal_surrogate, EVENT_TEXT, true, sink);
	if (!openai_calls_take(s, json_get(j, delta, "tool_calls"), sink)) {
		fail_protocol(s, "too_many", "the answer has more tool calls than fit here", sink);
		return false;
	}
	openai_calls_take_legacy(s, json_get(j, delta, "function_call"), sink);
	s->said_anything |= s->call_count > 0;
	take_finish(s, json_get(j, choice, "finish_reason"));
	return true;
}

static void
take_start(struct openai_chat_state *s, uint32_t root, const struct event_sink *sink)
{
	const struct json *j = &s->in.json;

	if (s->started)
		return;
	s->started = true;
	s->seed = foreign_start(j, json_get(j, root, "id"), json_get(j, root, "model"), s->seed, sink);
}

/* ---- errors inside an answer ---- */

/* Where the error lies: at the top, in the first choice, or the whole thing is one (DashScope's native
 * form, FastAPI servers). */
static bool
is_error(const struct json *j, uint32_t root)
{
	uint32_t error = json_get(j, root, "error");
	uint32_t choices = json_get(j, root, "choices");

	if (json_is(j, error, JSON_OBJECT) && json_size(j, error) > 0)
		return true;
	if (json_is(j, error, JSON_STRING) && !json_equals(j, error, ""))
		return true;
	if (json_is(j, choices, JSON_ARRAY))
		return json_is(j, json_get(j, json_item(j, choices, 0), "error"), JSON_OBJECT);
	return json_is(j, json_get(j, root, "message"), JSON_STRING) ||
	    json_is(j, json_get(j, root, "detail"), JSON_STRING);
}

static void
take_error(struct openai_chat_state *s, const struct event_sink *sink)
{
	const struct wire_head none = { 0, NULL, 0 };
	struct failure f = FAILURE_INIT;

	openai_chat_classify(s->flavour, 0, &none, &s->in.json, &f);
	f.wait_ms = refusal_wait_ms(&none, &s->in.json, 0);
	flush_text(s, sink);
	fail(s, &f, sink);
}

/* ---- frames and replies ---- */

static uint32_t
root_of(const struct json *j)
{
	/* Google's endpoint wraps an error into an array */
	return json_is(j, 0, JSON_ARRAY) ? json_item(j, 0, 0) : 0;
}

/* A whole reply that ended with an error: what it says before is no answer, and nobody has heard it yet. */
static bool
is_failed_reply(const struct json *j, uint32_t choices)
{
	uint32_t choice = json_is(j, choices, JSON_ARRAY) ? json_item(j, choices, 0) : JSON_NONE;

	return json_is(j, json_get(j, choice, "message"), JSON_OBJECT) &&
	    json_equals(j, json_get(j, choice, "finish_reason"), "error");
}

static void
fail_without_words(struct openai_chat_state *s, const struct event_sink *sink)
{
	struct failure f = FAILURE_INIT;

	f.class = FAILURE_SERVER;
	snprintf(f.message, sizeof f.message, "the provider ended its answer with an error");
	flush_text(s, sink);
	fail(s, &f, sink);
}

/* One chunk or one reply. False when the answer is over. */
static bool
take_object(struct openai_chat_state *s, uint32_t root, const struct event_sink *sink)
{
	const struct json *j = &s->in.json;
	uint32_t choices = json_get(j, root, "choices"), choice;
	int64_t index;

	if (openai_usage_read(j, json_get(j, root, "usage"), &s->usage))
		s->usage_seen = true;
	if (is_error(j, root)) {
		take_error(s, sink);
		return false;
	}
	take_start(s, root, sink);
	if (is_failed_reply(j, choices)) {
		fail_without_words(s, sink);
		return false;
	}
	for (choice = json_first(j, json_is(j, choices, JSON_ARRAY) ? choices : JSON_NONE);
	    choice != JSON_NONE; choice = json_next(j, choice)) {
		/* one answer was asked for; others are somebody's mistake */
		if (json_int(j, json_get(j, choice, "index"), &index) && index != 0)
			continue;
		if (!take_choice(s, choice, sink))
			return false;
	}
	if (s->error_finish) {
		fail_without_words(s, sink);
		return false;
	}
	return true;
}

static void
take_error_event(struct openai_chat_state *s, struct slice data, const struct event_sink *sink)
{
	struct failure f = FAILURE_INIT;

	if (foreign_read(&s->in, data, sink) && json_is(&s->in.json, root_of(&s->in.json), JSON_OBJECT)) {
		take_error(s, sink);
		return;
	}
	f.class = FAILURE_SERVER;
	failure_set_from_page(&f, data);
	flush_text(s, sink);
	fail(s, &f, sink);
}

static void
fail_unreadable(struct openai_chat_state *s, struct slice data, const struct event_sink *sink)
{
	struct failure f = FAILURE_INIT;

	foreign_unreadable(&s->in, data, &f);
	flush_text(s, sink);
	fail(s, &f, sink);
}

void
openai_chat_frame(void *state, const struct frame *frame, const struct event_sink *sink)
{
	struct openai_chat_state *s = state;
	struct slice data = foreign_trim(frame->data);

	if (s->over || data.len == 0)
		return;
	if (slice_eq(data, "[DONE]")) {
		if (!s->finish_seen && !s->said_anything) {
			fail_protocol(s, "empty", "the provider answered with nothing", sink);
			return;
		}
		if (!s->finish_seen)
			s->stop = STOP_OTHER;
		finish(s, sink);
		return;
	}
	if (slice_eq(frame->event, "error")) {
		take_error_event(s, data, sink);
		return;
	}
	if (!foreign_read(&s->in, data, sink) || !json_is(&s->in.json, root_of(&s->in.json), JSON_OBJECT)) {
		fail_unreadable(s, data, sink);
		return;
	}
	(void)take_object(s, root_of(&s->in.json), sink);
}

void
openai_chat_body(void *state, struct slice text, const struct event_sink *sink)
{
	struct openai_chat_state *s = state;
	struct failure f = FAILURE_INIT;
	uint32_t root, choices;

	if (s->over)
		return;
	text = foreign_trim(text);
	if (text.len == 0) {
		fail_protocol(s, "empty", "the provider answered with nothing", sink);
		return;
	}
	if (!foreign_read(&s->in, text, sink) || !json_is(&s->in.json, root_of(&s->in.json), JSON_OBJECT)) {
		failure_no_json(&f, text);
		fail(s, &f, sink);
		return;
	}
	root = root_of(&s->in.json);
	if (!take_object(s, root, sink))
		return;
	choices = json_get(&s->in.json, root, "choices");
	if (json_size(&s->in.json, choices) == 0 || !json_is(&s->in.json, choices, JSON_ARRAY)) {
		fail_protocol(s, "empty", "the answer is JSON, but no chat completion", sink);
		return;
	}
	finish(s, sink);
}

void
openai_chat_end(void *state, const struct event_sink *sink)
{
	struct openai_chat_state *s = state;

	if (s->over)
		return;
	if (s->finish_seen) {
		finish(s, sink);
		return;
	}
	flush_text(s, sink);
	if (s->started)
		fail_protocol(s, "cut", "the answer ended before it was complete", sink);
	else
		fail_protocol(s, "empty", "the provider answered with nothing", sink);
}

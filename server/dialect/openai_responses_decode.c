/* openai_responses_decode.c - events and whole replies in, events out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/dialect/emit.h"
#include "server/dialect/openai_responses.h"
#include "server/dialect/refusal.h"

#define PIECE_MAX ((size_t)64 << 20)

void
openai_responses_begin(
    void *state, const struct chat_request *chat, const struct dialect_target *to)
{
	struct openai_responses_state *s = state;

	buf_init(&s->text, PIECE_MAX);
	buf_init(&s->in.repaired, PIECE_MAX);
	s->flavour = to != NULL ? openai_flavour_of(to->provider) : FLAVOUR_OTHER;
	s->usage = (struct usage)USAGE_INIT;
	s->seed = call_id_seed(chat);
}

void
openai_responses_clear(void *state)
{
	struct openai_responses_state *s = state;

	output_clear(s);
	json_clear(&s->failed);
	foreign_clear(&s->in);
	buf_clear(&s->text);
}

/* ---- the end ---- */

static void
fail(struct openai_responses_state *s, const struct failure *f, const struct event_sink *sink)
{
	(void)output_finish(s, false, sink);
	s->over = true;
	emit_error(sink, f);
}

static void
fail_protocol(struct openai_responses_state *s, const char *kind, const char *message,
    const struct event_sink *sink)
{
	struct failure f = FAILURE_INIT;

	failure_of_protocol(&f, kind, message);
	fail(s, &f, sink);
}

/* An error object, or an event that is one. */
static void
fail_as_told(struct openai_responses_state *s, const struct json *told,
    const struct event_sink *sink)
{
	const struct wire_head none = { 0, NULL, 0 };
	struct failure f = FAILURE_INIT;

	openai_chat_classify(s->flavour, 0, &none, told, &f);
	f.wait_ms = refusal_wait_ms(&none, told, 0);
	if (f.message[0] == '\0')
		snprintf(
		    f.message, sizeof f.message, "the provider reported a failure without words");
	fail(s, &f, sink);
}

/* The error of a failed response lies inside it: read by itself it looks like any other. */
static void
fail_inside(struct openai_responses_state *s, uint32_t response, const struct event_sink *sink)
{
	struct slice raw = json_raw(&s->in.json, response);

	(void)json_read(&s->failed, raw.data != NULL ? raw.data : "", raw.len, JSON_LAST_KEY_WINS);
	fail_as_told(s, &s->failed, sink);
}

/* "usage" of a response object: null until it is known. */
static void
take_usage(struct openai_responses_state *s, uint32_t response)
{
	const struct json *j = &s->in.json;
	uint32_t at = json_get(j, response, "usage");
	uint32_t input = json_get(j, at, "input_tokens_details");
	uint32_t output = json_get(j, at, "output_tokens_details");

	if (!json_is(j, at, JSON_OBJECT))
		return;
	s->usage.input_tokens = foreign_count(j, json_get(j, at, "input_tokens"));
	s->usage.output_tokens = foreign_count(j, json_get(j, at, "output_tokens"));
	s->usage.cache_read_tokens = foreign_count(j, json_get(j, input, "cached_tokens"));
	s->usage.cache_write_tokens = foreign_count(j, json_get(j, input, "cache_write_tokens"));
	s->usage.reasoning_tokens = foreign_count(j, json_get(j, output, "reasoning_tokens"));
	foreign_check_usage(&s->usage);
}

void
openai_responses_told(const void *state, struct usage *out)
{
	const struct openai_responses_state *s = state;

	*out = s->usage;
}

static enum stop_reason
stop_of(const struct openai_responses_state *s, uint32_t response, bool whole, bool kept)
{
	const struct json *j = &s->in.json;
	uint32_t reason = json_path(j, response, "incomplete_details", "reason");

	if (!whole && json_equals(j, reason, "content_filter"))
		return STOP_CONTENT_FILTER;
	if (!kept)
		return STOP_LENGTH;
	if (s->calls > 0)
		return STOP_TOOL_CALL;
	if (whole)
		return STOP_END;
	return json_equals(j, reason, "max_output_tokens") ? STOP_LENGTH : STOP_OTHER;
}

static void
finish(
    struct openai_responses_state *s, uint32_t response, bool whole, const struct event_sink *sink)
{
	const struct json *j = &s->in.json;
	uint32_t output = json_get(j, response, "output"), item;
	bool kept;

	/* a reply in one piece, or a server that sends no items before the end */
	if (s->item_count == 0 && json_is(j, output, JSON_ARRAY)) {
		for (item = json_first(j, output); item != JSON_NONE && !s->too_many;
		    item = json_next(j, item))
			output_done(s, JSON_NONE, item, sink);
	}
	if (s->too_many)
		return;
	kept = output_finish(s, whole, sink);
	if (s->too_many)
		return;
	s->over = true;
	emit_usage(sink, &s->usage);
	emit_finish(sink, stop_of(s, response, whole, kept));
}

/* ---- events ---- */

static void
take_start(struct openai_responses_state *s, uint32_t response, const struct event_sink *sink)
{
	const struct json *j = &s->in.json;
	char *id, *model;

	if (s->started)
		return;
	s->started = true;
	id = json_strdup(j, json_get(j, response, "id"), 256);
	model = json_strdup(j, json_get(j, response, "model"), 256);
	s->seed = call_id_mix(s->seed, slice_of(id));
	emit_start(sink, slice_of(id), slice_of(model));
	free(id);
	free(model);
}

static void
on_response(struct openai_responses_state *s, const struct event_sink *sink)
{
	uint32_t response = json_get(&s->in.json, 0, "response");

	take_start(s, response, sink);
	take_usage(s, response);
}

static void
on_item_added(struct openai_responses_state *s, const struct event_sink *sink)
{
	output_added(s, 0, json_get(&s->in.json, 0, "item"), sink);
}

static void
on_item_done(struct openai_responses_state *s, const struct event_sink *sink)
{
	output_done(s, 0, json_get(&s->in.json, 0, "item"), sink);
}

static void
on_text(struct openai_responses_state *s, const struct event_sink *sink)
{
	output_text(s, 0, false, sink);
}

static void
on_refusal(struct openai_responses_state *s, const struct event_sink *sink)
{
	output_text(s, 0, true, sink);
}

static void
on_summary_part(struct openai_responses_state *s, const struct event_sink *sink)
{
	output_summary_part(s, 0, sink);
}

static void
on_summary(struct openai_responses_state *s, const struct event_sink *sink)
{
	output_reasoning(s, 0, true, sink);
}

static void
on_reasoning(struct openai_responses_state *s, const struct event_sink *sink)
{
	output_reasoning(s, 0, false, sink);
}

static void
on_arguments(struct openai_responses_state *s, const struct event_sink *sink)
{
	output_arguments(s, 0, sink);
}

static void
on_completed(struct openai_responses_state *s, const struct event_sink *sink)
{
	on_response(s, sink);
	finish(s, json_get(&s->in.json, 0, "response"), true, sink);
}

static void
on_incomplete(struct openai_responses_state *s, const struct event_sink *sink)
{
	on_response(s, sink);
	finish(s, json_get(&s->in.json, 0, "response"), false, sink);
}

static void
on_failed(struct openai_responses_state *s, const struct event_sink *sink)
{
	uint32_t response = json_get(&s->in.json, 0, "response");

	take_usage(s, response);
	emit_usage(sink, &s->usage);
	fail_inside(s, response, sink);
}

static void
on_error(struct openai_responses_state *s, const struct event_sink *sink)
{
	fail_as_told(s, &s->in.json, sink);
}

/* All others say nothing that these do not say as well, or are of no use to us. */
static const struct {
	const char *type;
	void (*take)(struct openai_responses_state *s, const struct event_sink *sink);
} events[] = {
	{ "response.output_text.delta", on_text },
	{ "response.function_call_arguments.delta", on_arguments },
	{ "response.reasoning_summary_text.delta", on_summary },
	{ "response.reasoning_text.delta", on_reasoning },
	{ "response.refusal.delta", on_refusal },
	{ "response.custom_tool_call_input.delta", on_arguments },
	{ "response.created", on_response },
	{ "response.in_progress", on_response },
	{ "response.queued", on_response },
	{ "response.output_item.added", on_item_added },
	{ "response.reasoning_summary_part.added", on_summary_part },
	{ "response.function_call_arguments.done", on_arguments },
	{ "response.custom_tool_call_input.done", on_arguments },
	{ "response.output_item.done", on_item_done },
	{ "response.completed", on_completed },
	{ "response.incomplete", on_incomplete },
	{ "response.failed", on_failed },
	{ "error", on_error },
};

static bool
is_error(const struct json *j)
{
	uint32_t error = json_get(j, 0, "error");

	return json_is(j, error, JSON_OBJECT) || json_is(j, error, JSON_STRING);
}

static void
take_event(struct openai_responses_state *s, struct slice name, const struct event_sink *sink)
{
	const struct json *j = &s->in.json;
	uint32_t type = json_get(j, 0, "type");
	bool typed = json_is(j, type, JSON_STRING);
	size_t i;

	for (i = 0; i < sizeof events / sizeof events[0]; i++) {
		if (typed ? json_equals(j, type, events[i].type) : slice_eq(name, events[i].type)) {
			events[i].take(s, sink);
			break;
		}
	}
	/* as servers of other dialects fail */
	if (!s->over && !typed && is_error(j))
		on_error(s, sink);
	if (!s->over && s->too_many)
		fail_protocol(s, "too_many", "the answer has more items than fit here", sink);
}

void
openai_responses_frame(void *state, const struct frame *frame, const struct event_sink *sink)
{
	struct openai_responses_state *s = state;
	struct slice data = foreign_trim(frame->data);
	struct failure f = FAILURE_INIT;

	if (s->over || data.len == 0 || slice_eq(data, "[DONE]"))
		return;
	if (foreign_read(&s->in, data, sink) && json_is(&s->in.json, 0, JSON_OBJECT)) {
		take_event(s, frame->event, sink);
		return;
	}
	foreign_unreadable(&s->in, data, &f);
	fail(s, &f, sink);
}

/* ---- whole replies ---- */

static void
take_reply(struct openai_responses_state *s, const struct event_sink *sink)
{
	const struct json *j = &s->in.json;
	uint32_t status = json_get(j, 0, "status");

	take_usage(s, 0);
	if (is_error(j) || json_equals(j, json_get(j, 0, "type"), "error") ||
	    json_equals(j, status, "failed")) {
		on_error(s, sink);
		return;
	}
	if (!json_is(j, json_get(j, 0, "output"), JSON_ARRAY)) {
		fail_protocol(s, "empty", "the answer is JSON, but no response", sink);
		return;
	}
	take_start(s, 0, sink);
	if (json_equals(j, status, "incomplete"))
		finish(s, 0, false, sink);
	else if (json_equals(j, status, "completed") || !json_is(j, status, JSON_STRING))
		finish(s, 0, true, sink);
	else
		fail_protocol(s, "cut", "the answer was not finished when it was sent", sink);
	if (!s->over)
		fail_protocol(s, "too_many", "the answer has more items than fit here", sink);
}

void
openai_responses_body(void *state, struct slice text, const struct event_sink *sink)
{
	struct openai_responses_state *s = state;
	struct failure f = FAILURE_INIT;

	if (s->over)
		return;
	text = foreign_trim(text);
	if (text.len == 0) {
		fail_protocol(s, "empty", "the provider answered with nothing", sink);
	} else if (foreign_read(&s->in, text, sink) && json_is(&s->in.json, 0, JSON_OBJECT)) {
		take_reply(s, sink);
	} else {
		failure_no_json(&f, text);
		fail(s, &f, sink);
	}
}

void
openai_responses_end(void *state, const struct event_sink *sink)
{
	struct openai_responses_state *s = state;

	if (s->over)
		return;
	if (s->started || s->item_count > 0)
		fail_protocol(s, "cut", "the answer ended before it was complete", sink);
	else
		fail_protocol(s, "empty", "the provider answered with nothing", sink);
}

/* openai_responses_output.c - the items of an answer. By the book an item is added, fills up by
 * pieces that name its place, and is done; real servers leave out places, pieces or beginnings. */
#include <stdlib.h>
#include <string.h>

#include "server/dialect/emit.h"
#include "server/dialect/openai_responses.h"

#define KEEP_BYTES ((size_t)64 << 10)
#define ITEMS_MAX 1024
#define CALLS_MAX 128
#define ARGUMENTS_MAX ((size_t)16 << 20)
#define WORD_MAX_BYTES 256

/* ---- finding items ---- */

static enum output_kind
kind_of(const struct json *j, uint32_t item)
{
	static const struct {
		const char *type;
		enum output_kind kind;
	} types[] = {
		{ "message", OUTPUT_MESSAGE },
		{ "reasoning", OUTPUT_REASONING },
		{ "function_call", OUTPUT_CALL },
		{ "custom_tool_call", OUTPUT_CALL },
	};
	uint32_t type = json_get(j, item, "type");
	size_t i;

	for (i = 0; i < sizeof types / sizeof types[0]; i++) {
		if (json_equals(j, type, types[i].type))
			return types[i].kind;
	}
	return OUTPUT_OTHER;
}

static struct output_item *
item_add(struct openai_responses_state *s, enum output_kind kind, int64_t index)
{
	struct output_item *o;

	if (s->item_count == ITEMS_MAX) {
		s->too_many = true;
		return NULL;
	}
	s->items = xrealloc(s->items, (s->item_count + 1) * sizeof *s->items);
	o = &s->items[s->item_count++];
	memset(o, 0, sizeof *o);
	o->kind = kind;
	o->index = index;
	buf_init(&o->arguments, ARGUMENTS_MAX);
	return o;
}

static int64_t
index_of(const struct json *j, uint32_t event)
{
	int64_t v;

	return json_int(j, json_get(j, event, "output_index"), &v) && v >= 0 ? v : -1;
}

static bool
is_id(const struct json *j, uint32_t at, const char *id)
{
	return id != NULL && json_is(j, at, JSON_STRING) && json_equals(j, at, id);
}

/* The open item of that kind which the event means: by place, else by id, else the last one. */
static struct output_item *
item_find(struct openai_responses_state *s, uint32_t event, uint32_t id, enum output_kind kind)
{
	const struct json *j = &s->in.json;
	int64_t index = index_of(j, event);
	struct output_item *last = NULL;
	unsigned i;

	for (i = s->item_count; i-- > 0;) {
		struct output_item *o = &s->items[i];

		if (o->ended || o->kind != kind)
			continue;
		if (index >= 0 ? o->index == index
			       : is_id(j, id, o->id) || is_id(j, id, o->call_id))
			return o;
		if (last == NULL)
			last = o;
	}
	return index < 0 && (kind != OUTPUT_CALL || id == JSON_NONE) ? last : NULL;
}

static struct output_item *
item_for_piece(struct openai_responses_state *s, uint32_t event, enum output_kind kind)
{
	const struct json *j = &s->in.json;
	struct output_item *o = item_find(s, event, json_get(j, event, "item_id"), kind);

	return o != NULL ? o : item_add(s, kind, index_of(j, event));
}

/* ---- tool calls ---- */

static void
call_words(struct openai_responses_state *s, struct output_item *o, uint32_t item)
{
	const struct json *j = &s->in.json;

	if (o->id == NULL)
		o->id = foreign_word(j, json_get(j, item, "id"), WORD_MAX_BYTES);
	if (o->kind != OUTPUT_CALL)
		return;
	if (o->call_id == NULL)
		o->call_id = foreign_word(j, json_get(j, item, "call_id"), WORD_MAX_BYTES);
	if (o->name == NULL)
		o->name = foreign_word(j, json_get(j, item, "name"), WORD_MAX_BYTES);
}

static void
emit_arguments(const struct output_item *o, size_t from, const struct event_sink *sink)
{
	struct event e = { .type = EVENT_TOOL_ARGS, .index = o->number };

	if (!o->announced || o->arguments.len == from)
		return;
	e.text = (struct slice){ o->arguments.data + from, o->arguments.len - from };
	sink->event(sink->arg, &e);
}

static void
announce(struct openai_responses_state *s, struct output_item *o, const struct event_sink *sink)
{
	struct event e = { .type = EVENT_TOOL_CALL };
	char made_up[CALL_ID_SIZE];

	if (o->announced || o->name == NULL)
		return;
	if (s->calls == CALLS_MAX) {
		s->too_many = true;
		return;
	}
	call_id_make(s->seed, s->calls, made_up);
	o->announced = true;
	o->number = s->calls++;
	e.index = o->number;
	e.id = slice_of(o->call_id != NULL ? o->call_id : o->id != NULL ? o->id : made_up);
	e.name = slice_of(o->name);
	sink->event(sink->arg, &e);
	emit_arguments(o, 0, sink);
}

/* The whole arguments: what the pieces did not bring yet. */
static void
complete_arguments(struct openai_responses_state *s, struct output_item *o, uint32_t value,
    const struct event_sink *sink)
{
	size_t before = o->arguments.len;

	(void)json_flush_pending(&o->surrogate, &o->arguments);
	buf_reset(&s->text, KEEP_BYTES);
	(void)json_string(&s->in.json, value, &s->text);
	if (s->text.len > o->arguments.len &&
	    (o->arguments.len == 0 ||
	        memcmp(s->text.data, o->arguments.data, o->arguments.len) == 0))
		(void)buf_add(&o->arguments, s->text.data + o->arguments.len,
		    s->text.len - o->arguments.len);
	emit_arguments(o, before, sink);
}

static uint32_t
arguments_of(const struct json *j, uint32_t at)
{
	uint32_t value = json_get(j, at, "arguments");

	return json_is(j, value, JSON_STRING) ? value : json_get(j, at, "input");
}

static void
end_call(struct openai_responses_state *s, struct output_item *o, const struct event_sink *sink)
{
	struct event e = { .type = EVENT_TOOL_END };
	size_t before;

	o->ended = true;
	announce(s, o, sink);
	if (!o->announced) {
		if (o->name == NULL)
			emit_warning(sink,
			    "the provider sent a tool call without a name; it was dropped");
		return;
	}
	before = o->arguments.len;
	(void)json_flush_pending(&o->surrogate, &o->arguments);
	/* no arguments at all means an empty object */
	if (o->arguments.len == 0)
		(void)buf_adds(&o->arguments, "{}");
	emit_arguments(o, before, sink);
	e.index = o->number;
	sink->event(sink->arg, &e);
}

void
output_arguments(struct openai_responses_state *s, uint32_t event, const struct event_sink *sink)
{
	const struct json *j = &s->in.json;
	uint32_t delta = json_get(j, event, "delta");
	struct output_item *o = item_for_piece(s, event, OUTPUT_CALL);
	size_t before;

	if (o == NULL)
		return;
	before = o->arguments.len;
	if (json_is(j, delta, JSON_STRING)) {
		(void)json_string_piece(j, delta, &o->surrogate, &o->arguments);
		emit_arguments(o, before, sink);
	} else {
		complete_arguments(s, o, arguments_of(j, event), sink);
	}
}

/* ---- text ---- */

static void
flush_text(struct openai_responses_state *s, struct output_item *o, const struct event_sink *sink)
{
	bool reasoning = o->kind == OUTPUT_REASONING;

	if (o->kind == OUTPUT_CALL)
		return;
	buf_reset(&s->text, KEEP_BYTES);
	(void)json_flush_pending(&o->surrogate, &s->text);
	emit_text(sink, reasoning ? EVENT_REASONING : EVENT_TEXT,
	    (struct slice){ s->text.data, s->text.len }, o->refusal);
}

static void
say(struct openai_responses_state *s, struct output_item *o, uint32_t value, bool refusal,
    const struct event_sink *sink)
{
	bool reasoning = o->kind == OUTPUT_REASONING;
	struct slice piece;

	if (!json_is(&s->in.json, value, JSON_STRING))
		return;
	if (refusal != o->refusal)
		flush_text(s, o, sink);
	o->refusal = refusal;
	/* the common piece has no escapes: passed on where it lies */
	if (o->surrogate != 0 || !json_plain(&s->in.json, value, &piece)) {
		buf_reset(&s->text, KEEP_BYTES);
		(void)json_string_piece(&s->in.json, value, &o->surrogate, &s->text);
		piece = (struct slice){ s->text.data, s->text.len };
	}
	o->said |= piece.len > 0 || o->surrogate != 0;
	emit_text(sink, reasoning ? EVENT_REASONING : EVENT_TEXT, piece, refusal);
}

void
output_text(struct openai_responses_state *s, uint32_t event, bool refusal,
    const struct event_sink *sink)
{
	struct output_item *o = item_for_piece(s, event, OUTPUT_MESSAGE);

	if (o != NULL)
		say(s, o, json_get(&s->in.json, event, "delta"), refusal, sink);
}

/* A server that sends the text and a summary of it says the same twice: the first kind is taken. */
void
output_reasoning(struct openai_responses_state *s, uint32_t event, bool summary,
    const struct event_sink *sink)
{
	struct output_item *o = item_for_piece(s, event, OUTPUT_REASONING);

	if (o == NULL || (o->said && o->by_summary != summary))
		return;
	o->by_summary = summary;
	say(s, o, json_get(&s->in.json, event, "delta"), false, sink);
}

void
output_summary_part(struct openai_responses_state *s, uint32_t event, const struct event_sink *sink)
{
	struct output_item *o = item_for_piece(s, event, OUTPUT_REASONING);

	if (o == NULL || !o->said || !o->by_summary)
		return;
	flush_text(s, o, sink);
	emit_text(sink, EVENT_REASONING, SLICE("\n\n"), false);
}

/* ---- whole items ---- */

static void
whole_message(struct openai_responses_state *s, struct output_item *o, uint32_t item,
    const struct event_sink *sink)
{
	const struct json *j = &s->in.json;
	uint32_t content = json_get(j, item, "content"), part;

	if (json_is(j, content, JSON_STRING))
		say(s, o, content, false, sink);
	if (!json_is(j, content, JSON_ARRAY))
		return;
	for (part = json_first(j, content); part != JSON_NONE; part = json_next(j, part)) {
		say(s, o, json_get(j, part, "text"), false, sink);
		say(s, o, json_get(j, part, "refusal"), true, sink);
	}
}

/* False when there is nothing of that kind. */
static bool
whole_reasoning(struct openai_responses_state *s, struct output_item *o, uint32_t list,
    const struct event_sink *sink)
{
	const struct json *j = &s->in.json;
	uint32_t part;

	if (!json_is(j, list, JSON_ARRAY))
		return false;
	for (part = json_first(j, list); part != JSON_NONE; part = json_next(j, part)) {
		if (o->said) {
			flush_text(s, o, sink);
			emit_text(sink, EVENT_REASONING, SLICE("\n\n"), false);
		}
		say(s, o, json_get(j, part, "text"), false, sink);
	}
	return o->said;
}

static void
end_reasoning(struct openai_responses_state *s, struct output_item *o, uint32_t item,
    const struct event_sink *sink)
{
	const struct json *j = &s->in.json;
	struct event e = { .type = EVENT_REASONING_END };

	if (!o->said && !whole_reasoning(s, o, json_get(j, item, "summary"), sink))
		(void)whole_reasoning(s, o, json_get(j, item, "content"), sink);
	flush_text(s, o, sink);
	o->ended = true;
	buf_reset(&s->text, KEEP_BYTES);
	(void)json_string(j, json_get(j, item, "encrypted_content"), &s->text);
	if (s->text.len == 0 && !o->said)
		return;
	e.signature = (struct slice){ s->text.data, s->text.len };
	e.redacted = !o->said;
	sink->event(sink->arg, &e);
}

void
output_added(struct openai_responses_state *s, uint32_t event, uint32_t item,
    const struct event_sink *sink)
{
	const struct json *j = &s->in.json;
	struct output_item *o = item_add(s, kind_of(j, item), index_of(j, event));

	if (o == NULL)
		return;
	call_words(s, o, item);
	if (o->kind != OUTPUT_CALL)
		return;
	announce(s, o, sink);
	complete_arguments(s, o, arguments_of(j, item), sink);
}

static void
end_item(struct openai_responses_state *s, struct output_item *o, uint32_t item,
    const struct event_sink *sink)
{
	const struct json *j = &s->in.json;

	switch (o->kind) {
	case OUTPUT_MESSAGE:
		if (!o->said)
			whole_message(s, o, item, sink);
		flush_text(s, o, sink);
		break;
	case OUTPUT_REASONING:
		end_reasoning(s, o, item, sink);
		break;
	case OUTPUT_CALL:
		call_words(s, o, item);
		complete_arguments(s, o, arguments_of(j, item), sink);
		/* the end of the answer will tell what this one is worth */
		if (json_equals(j, json_get(j, item, "status"), "incomplete"))
			return;
		end_call(s, o, sink);
		break;
	case OUTPUT_OTHER:
		break;
	}
	o->ended = true;
}

void
output_done(struct openai_responses_state *s, uint32_t event, uint32_t item,
    const struct event_sink *sink)
{
	const struct json *j = &s->in.json;
	enum output_kind kind = kind_of(j, item);
	uint32_t id = json_get(j, item, "id");
	struct output_item *o;

	if (kind == OUTPUT_CALL && !json_is(j, id, JSON_STRING))
		id = json_get(j, item, "call_id");
	o = item_find(s, event, id, kind);
	if (o == NULL && (o = item_add(s, kind, index_of(j, event))) == NULL)
		return;
	end_item(s, o, item, sink);
}

/* ---- the end ---- */

static bool
is_whole_json(const struct buf *b)
{
	struct json j = JSON_INIT;
	bool ok = b->len > 0 && json_read(&j, b->data, b->len, JSON_LAST_KEY_WINS) == 0;

	json_clear(&j);
	return ok;
}

bool
output_finish(struct openai_responses_state *s, bool whole, const struct event_sink *sink)
{
	bool kept = true;
	unsigned i;

	for (i = 0; i < s->item_count; i++) {
		struct output_item *o = &s->items[i];

		if (o->ended)
			continue;
		if (o->kind != OUTPUT_CALL) {
			end_item(s, o, JSON_NONE, sink);
			continue;
		}
		if (!whole && !is_whole_json(&o->arguments)) {
			kept = false;
			o->ended = true;
			emit_warning(sink, "the call of %.64s was cut off",
			    o->name != NULL ? o->name : "a tool");
			continue;
		}
		end_call(s, o, sink);
	}
	return kept;
}

void
output_clear(struct openai_responses_state *s)
{
	unsigned i;

	for (i = 0; i < s->item_count; i++) {
		free(s->items[i].id);
		free(s->items[i].call_id);
		free(s->items[i].name);
		buf_clear(&s->items[i].arguments);
	}
	free(s->items);
	s->items = NULL;
	s->item_count = 0;
}

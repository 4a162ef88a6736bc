/* gemini_parts.c - the parts of an answer: text, thoughts, whole calls. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/dialect/emit.h"
#include "server/dialect/gemini.h"
#include "server/dialect/gemini_state.h"

#define KEEP_BYTES ((size_t)64 << 10)
#define CALLS_MAX 128
#define NAME_MAX_BYTES 256

static void
flush_piece(struct gemini_state *s, uint32_t *pending, enum event_type type,
    const struct event_sink *sink)
{
	buf_reset(&s->text, KEEP_BYTES);
	(void)json_flush_pending(pending, &s->text);
	emit_text(sink, type, (struct slice){ s->text.data, s->text.len }, false);
}

static void
emit_reasoning_end(struct gemini_state *s, struct slice signature, const struct event_sink *sink)
{
	struct event e = { .type = EVENT_REASONING_END, .signature = signature };

	flush_piece(s, &s->reasoning_surrogate, EVENT_REASONING, sink);
	s->reasoning_open = false;
	sink->event(sink->arg, &e);
}

void
gemini_close(struct gemini_state *s, const struct event_sink *sink)
{
	if (s->reasoning_open)
		emit_reasoning_end(s, (struct slice){ NULL, 0 }, sink);
	flush_piece(s, &s->text_surrogate, EVENT_TEXT, sink);
}

/* ---- text and thoughts ---- */

static void
take_text(struct gemini_state *s, uint32_t value, uint32_t *pending, enum event_type type,
    const struct event_sink *sink)
{
	struct slice piece;

	/* the common piece has no escapes: passed on where it lies */
	if (*pending != 0 || !json_plain(&s->in.json, value, &piece)) {
		buf_reset(&s->text, KEEP_BYTES);
		(void)json_string_piece(&s->in.json, value, pending, &s->text);
		piece = (struct slice){ s->text.data, s->text.len };
	}
	s->said_anything |= type == EVENT_TEXT && piece.len > 0;
	emit_text(sink, type, piece, false);
}

static void
take_text_part(struct gemini_state *s, uint32_t part, struct slice signature,
    const struct event_sink *sink)
{
	uint32_t text = json_get(&s->in.json, part, "text");
	bool thought = false;

	(void)json_bool(&s->in.json, json_get(&s->in.json, part, "thought"), &thought);
	if (thought) {
		s->reasoning_open = true;
		take_text(s, text, &s->reasoning_surrogate, EVENT_REASONING, sink);
	} else {
		if (s->reasoning_open)
			emit_reasoning_end(s, (struct slice){ NULL, 0 }, sink);
		take_text(s, text, &s->text_surrogate, EVENT_TEXT, sink);
	}
	/* on a text, too, a signature is of the thinking before it */
	if (signature.len > 0)
		emit_reasoning_end(s, signature, sink);
}

/* ---- calls ---- */

/* "call_" and 16 hex digits, different within an answer and, through the seed, from those earlier in the
 * conversation. */
static void
make_up_id(const struct gemini_state *s, char out[24])
{
	uint64_t v = s->seed ^ (uint64_t)(s->call_count + 1) * 0x9e3779b97f4a7c15u;

	v ^= v >> 30;
	v *= 0xbf58476d1ce4e5b9u;
	v ^= v >> 27;
	v *= 0x94d049bb133111ebu;
	v ^= v >> 31;
	snprintf(out, 24, "call_%016llx", (unsigned long long)v);
}

/* An id that a chat may carry: visible ASCII. */
static bool
id_usable(const char *id)
{
	size_t n = id != NULL ? strlen(id) : 0;

	for (size_t i = 0; i < n; i++) {
		if (id[i] < 0x21 || id[i] > 0x7e)
			return false;
	}
	return n > 0;
}

static const char *
own_name(const struct gemini_state *s, const char *name)
{
	char wire[GEMINI_NAME_MAX + 1];

	for (size_t i = 0; s->renamed != NULL && s->renamed[i] != NULL; i++) {
		gemini_name(s->renamed[i], wire);
		if (strcmp(wire, name) == 0)
			return s->renamed[i];
	}
	return name;
}

static void
emit_call(struct gemini_state *s, uint32_t call, const char *name, struct slice signature,
    const struct event_sink *sink)
{
	struct event e = { .type = EVENT_TOOL_CALL, .index = s->call_count };
	uint32_t args = json_get(&s->in.json, call, "args");
	char *id = json_strdup(&s->in.json, json_get(&s->in.json, call, "id"), NAME_MAX_BYTES);
	char made_up[24];

	make_up_id(s, made_up);
	s->call_count++;
	e.id = slice_of(id_usable(id) ? id : made_up);
	e.name = slice_of(own_name(s, name));
	sink->event(sink->arg, &e);
	e.type = EVENT_TOOL_ARGS;
	e.id = e.name = (struct slice){ NULL, 0 };
	e.text = json_is(&s->in.json, args, JSON_OBJECT) ? json_raw(&s->in.json, args) : SLICE("{}");
	sink->event(sink->arg, &e);
	e.type = EVENT_TOOL_END;
	e.text = (struct slice){ NULL, 0 };
	e.signature = signature;
	sink->event(sink->arg, &e);
	free(id);
}

/* False when the answer ended with an error here. */
static bool
take_call(struct gemini_state *s, uint32_t call, struct slice signature,
    const struct event_sink *sink)
{
	char *name = json_strdup(&s->in.json, json_get(&s->in.json, call, "name"), NAME_MAX_BYTES);
	bool more = false;

	gemini_close(s, sink);
	(void)json_bool(&s->in.json, json_get(&s->in.json, call, "willContinue"), &more);
	if (more || json_get(&s->in.json, call, "partialArgs") != JSON_NONE) {
		free(name);
		gemini_fail_protocol(s, "json", "a tool call came in pieces, which nobody asked for", sink);
		return false;
	}
	if (s->call_count == CALLS_MAX) {
		free(name);
		gemini_fail_protocol(s, "too_many", "the answer has more tool calls than fit here", sink);
		return false;
	}
	if (name == NULL || *name == '\0') {
		emit_warning(sink, "the provider sent a tool call without a name; it was dropped");
	} else {
		s->said_anything = true;
		emit_call(s, call, name, signature, sink);
	}
	free(name);
	return true;
}

/* ---- parts ---- */

static const char *const other_parts[] = { "inlineData", "fileData", "executableCode",
	"codeExecutionResult", "toolCall", "toolResponse", "functionResponse" };

static void
tell_other_part(struct gemini_state *s, uint32_t part, const struct event_sink *sink)
{
	for (size_t i = 0; i < sizeof other_parts / sizeof other_parts[0] && !s->part_told; i++) {
		if (json_get(&s->in.json, part, other_parts[i]) == JSON_NONE)
			continue;
		s->part_told = true;
		emit_warning(sink, "a part of the answer was left out: %s", other_parts[i]);
	}
}

bool
gemini_part(struct gemini_state *s, uint32_t part, const struct event_sink *sink)
{
	const struct json *j = &s->in.json;
	uint32_t call = json_get(j, part, "functionCall");
	struct slice signature = { NULL, 0 };

	/* base64 has no escapes but for "\/" of some writers, and for '=' of others */
	struct buf held = BUF_INIT;
	uint32_t sealed = json_get(j, part, "thoughtSignature");
	bool going_on = true;

	if (!json_plain(j, sealed, &signature) && json_string(j, sealed, &held) == 0)
		signature = (struct slice){ held.data, held.len };
	if (json_is(j, call, JSON_OBJECT))
		going_on = take_call(s, call, signature, sink);
	else if (json_is(j, json_get(j, part, "text"), JSON_STRING) || signature.len > 0)
		take_text_part(s, part, signature, sink);
	else
		tell_other_part(s, part, sink);
	buf_clear(&held);
	return going_on;
}

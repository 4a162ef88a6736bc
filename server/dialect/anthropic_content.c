/* anthropic_content.c - blocks of content: text, reasoning with its signature, tool calls. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/dialect/anthropic_state.h"
#include "server/dialect/emit.h"

#define CONTENTS_MAX 4096
#define CALLS_MAX 128
#define ARGUMENTS_MAX ((size_t)16 << 20)
#define KEEP_BYTES ((size_t)64 << 10)

static struct content *
content_add(struct anthropic_state *s, enum content_kind kind, int64_t index)
{
	struct content *c;

	if (s->content_count == CONTENTS_MAX)
		return NULL;
	if ((s->content_count & (s->content_count - 1)) == 0)
		s->contents = xrealloc(s->contents,
		    (s->content_count > 0 ? s->content_count * 2 : 1) * sizeof *s->contents);
	c = &s->contents[s->content_count++];
	memset(c, 0, sizeof *c);
	c->kind = kind;
	c->index = index;
	c->open = true;
	buf_init(&c->text, ARGUMENTS_MAX);
	return c;
}

/* Blocks follow each other, so the wanted one is at the end; a number may be used again. */
static struct content *
content_open(struct anthropic_state *s, int64_t index)
{
	for (unsigned i = s->content_count; i-- > 0;) {
		if (s->contents[i].open && s->contents[i].index == index)
			return &s->contents[i];
	}
	return NULL;
}

/* ---- pieces ---- */

static void
emit_piece(struct anthropic_state *s, struct content *c, uint32_t value, const struct event_sink *sink)
{
	enum event_type type = c->kind == CONTENT_TEXT ? EVENT_TEXT : EVENT_REASONING;
	struct slice plain;

	/* the common piece has no escapes: passed on where it lies */
	if (c->surrogate == 0 && json_plain(&s->in.json, value, &plain)) {
		s->said_anything |= plain.len > 0;
		emit_text(sink, type, plain, false);
		return;
	}
	buf_reset(&s->text, KEEP_BYTES);
	(void)json_string_piece(&s->in.json, value, &c->surrogate, &s->text);
	s->said_anything |= s->text.len > 0;
	emit_text(sink, type, (struct slice){ s->text.data, s->text.len }, false);
}

static void
flush_piece(struct anthropic_state *s, struct content *c, const struct event_sink *sink)
{
	if (c->kind != CONTENT_TEXT && c->kind != CONTENT_THINKING)
		return;
	buf_reset(&s->text, KEEP_BYTES);
	(void)json_flush_pending(&c->surrogate, &s->text);
	emit_text(sink, c->kind == CONTENT_TEXT ? EVENT_TEXT : EVENT_REASONING,
	    (struct slice){ s->text.data, s->text.len }, false);
}

/* What the arguments have beyond `from`. */
static void
emit_arguments(const struct content *c, size_t from, const struct event_sink *sink)
{
	struct event e = { .type = EVENT_TOOL_ARGS, .index = c->call };

	if (c->name == NULL || c->text.len == from)
		return;
	e.text = (struct slice){ c->text.data + from, c->text.len - from };
	sink->event(sink->arg, &e);
}

/* ---- tool calls ---- */

/* The name under which the caller knows the tool. */
static const char *
real_name(const struct anthropic_state *s, const char *sent)
{
	for (size_t i = 0; i < s->rename_count; i++)
		if (strcmp(s->renames[i].sent, sent) == 0)
			return s->renames[i].real;
	return sent;
}

/* "call_" and 16 hex digits, different within an answer and from those earlier in the conversation. */
static char *
made_up_id(const struct anthropic_state *s)
{
	uint64_t v = s->seed ^ (uint64_t)(s->call_count + 1) * 0x9e3779b97f4a7c15u;
	char id[24];

	v ^= v >> 30;
	v *= 0xbf58476d1ce4e5b9u;
	v ^= v >> 27;
	v *= 0x94d049bb133111ebu;
	v ^= v >> 31;
	snprintf(id, sizeof id, "call_%016llx", (unsigned long long)v);
	return xstrdup(id);
}

static char *
word_of(const struct json *j, uint32_t at)
{
	char *word = json_strdup(j, at, 256);

	if (word != NULL && *word == '\0') {
		free(word);
		word = NULL;
	}
	return word;
}

static void
announce(struct anthropic_state *s, struct content *c, uint32_t block, const struct event_sink *sink)
{
	struct event e = { .type = EVENT_TOOL_CALL };
	char *id = word_of(&s->in.json, json_get(&s->in.json, block, "id"));

	c->name = word_of(&s->in.json, json_get(&s->in.json, block, "name"));
	if (c->name == NULL) {
		emit_warning(sink, "the provider sent a tool call without a name; it was dropped");
		c->ended = true;
	} else {
		if (id == NULL)
			id = made_up_id(s);
		c->call = s->call_count++;
		s->said_anything = true;
		e.index = c->call;
		e.id = slice_of(id);
		e.name = slice_of(real_name(s, c->name));
		sink->event(sink->arg, &e);
	}
	free(id);
}

/* {} in a stream stands for what follows; anything else is the input itself. */
static void
take_input(struct anthropic_state *s, struct content *c, uint32_t block, bool whole)
{
	uint32_t input = json_get(&s->in.json, block, "input");
	struct slice raw;

	if (!json_is(&s->in.json, input, JSON_OBJECT) || (!whole && json_size(&s->in.json, input) == 0))
		return;
	raw = json_raw(&s->in.json, input);
	(void)buf_add(&c->text, raw.data, raw.len);
}

static bool
is_whole_json(const struct buf *b)
{
	struct json j = JSON_INIT;
	bool ok = b->len > 0 && json_read(&j, b->data, b->len, JSON_LAST_KEY_WINS) == 0;

	json_clear(&j);
	return ok;
}

static void
end_call(struct content *c, const struct event_sink *sink)
{
	struct event e = { .type = EVENT_TOOL_END, .index = c->call };
	size_t before = c->text.len;

	(void)json_flush_pending(&c->surrogate, &c->text);
	/* no arguments at all means an empty object */
	if (c->text.len == 0)
		(void)buf_adds(&c->text, "{}");
	emit_arguments(c, before, sink);
	c->ended = true;
	sink->event(sink->arg, &e);
}

/* ---- blocks ---- */

static const struct {
	const char *type;
	enum content_kind kind;
} kinds[] = {
	{ "text", CONTENT_TEXT },
	{ "thinking", CONTENT_THINKING },
	{ "redacted_thinking", CONTENT_REDACTED },
	{ "tool_use", CONTENT_TOOL },
};

static enum content_kind
kind_of(const struct json *j, uint32_t block)
{
	uint32_t type = json_get(j, block, "type");

	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (json_equals(j, type, kinds[i].type))
			return kinds[i].kind;
	return CONTENT_OTHER;
}

bool
anthropic_content_begin(struct anthropic_state *s, int64_t index, uint32_t block, bool whole,
    const struct event_sink *sink)
{
	const struct json *j = &s->in.json;
	struct content *c;

	anthropic_content_stop(s, index, sink);
	c = content_add(s, kind_of(j, block), index);
	if (c == NULL || (c->kind == CONTENT_TOOL && s->call_count == CALLS_MAX))
		return false;
	switch (c->kind) {
	case CONTENT_TEXT:
		emit_piece(s, c, json_get(j, block, "text"), sink);
		break;
	case CONTENT_THINKING:
		emit_piece(s, c, json_get(j, block, "thinking"), sink);
		(void)json_string(j, json_get(j, block, "signature"), &c->text);
		break;
	case CONTENT_REDACTED:
		(void)json_string(j, json_get(j, block, "data"), &c->text);
		break;
	case CONTENT_TOOL:
		announce(s, c, block, sink);
		take_input(s, c, block, whole);
		if (c->text.len > 0)
			emit_arguments(c, 0, sink);
		break;
	case CONTENT_OTHER:
		break;
	}
	return true;
}

static const struct {
	const char *type, *key;
	enum content_kind kind;
} deltas[] = {
	{ "text_delta", "text", CONTENT_TEXT },
	{ "thinking_delta", "thinking", CONTENT_THINKING },
	{ "signature_delta", "signature", CONTENT_THINKING },
	{ "input_json_delta", "partial_json", CONTENT_TOOL },
};

static void
take_arguments(struct anthropic_state *s, struct content *c, uint32_t value,
    const struct event_sink *sink)
{
	size_t before = c->text.len;

	if (c->ended)
		return;
	(void)json_string_piece(&s->in.json, value, &c->surrogate, &c->text);
	emit_arguments(c, before, sink);
}

bool
anthropic_content_delta(struct anthropic_state *s, int64_t index, uint32_t delta,
    const struct event_sink *sink)
{
	const struct json *j = &s->in.json;
	struct content *c = content_open(s, index);
	uint32_t type = json_get(j, delta, "type"), value;
	size_t i, n = sizeof deltas / sizeof deltas[0];

	for (i = 0; i < n && !json_equals(j, type, deltas[i].type); i++)
		continue;
	if (i == n)
		return true;
	/* some servers forget to begin a block of text */
	if (c == NULL && deltas[i].kind != CONTENT_TOOL &&
	    (c = content_add(s, deltas[i].kind, index)) == NULL)
		return false;
	if (c == NULL || c->kind != deltas[i].kind)
		return true;
	value = json_get(j, delta, deltas[i].key);
	if (c->kind == CONTENT_TOOL)
		take_arguments(s, c, value, sink);
	else if (strcmp(deltas[i].key, "signature") == 0)
		(void)json_string(j, value, &c->text);
	else
		emit_piece(s, c, value, sink);
	return true;
}

static void
stop(struct anthropic_state *s, struct content *c, const struct event_sink *sink)
{
	struct event e = { .type = EVENT_REASONING_END };

	c->open = false;
	flush_piece(s, c, sink);
	if (c->kind == CONTENT_THINKING || c->kind == CONTENT_REDACTED) {
		e.signature = (struct slice){ c->text.data, c->text.len };
		e.redacted = c->kind == CONTENT_REDACTED;
		s->said_anything = true;
		/* what is withheld without data could not go back */
		if (!e.redacted || e.signature.len > 0)
			sink->event(sink->arg, &e);
	}
	/* a cut call stops like a whole one: what is in doubt waits for the reason of the end */
	if (c->kind == CONTENT_TOOL && !c->ended && is_whole_json(&c->text))
		end_call(c, sink);
	/* calls are kept for the end, the rest is not needed any more */
	if (c->kind != CONTENT_TOOL)
		buf_clear(&c->text);
}

void
anthropic_content_stop(struct anthropic_state *s, int64_t index, const struct event_sink *sink)
{
	struct content *c = content_open(s, index);

	if (c != NULL)
		stop(s, c, sink);
}

void
anthropic_content_flush(struct anthropic_state *s, const struct event_sink *sink)
{
	for (unsigned i = 0; i < s->content_count; i++)
		if (s->contents[i].open)
			flush_piece(s, &s->contents[i], sink);
}

bool
anthropic_content_end(struct anthropic_state *s, const struct event_sink *sink)
{
	bool cut = s->stop == STOP_LENGTH || s->stop == STOP_CONTENT_FILTER, whole = true;

	for (unsigned i = 0; i < s->content_count; i++) {
		struct content *c = &s->contents[i];

		if (c->open)
			stop(s, c, sink);
		if (c->kind != CONTENT_TOOL || c->ended)
			continue;
		/* nothing at all is an empty object, unless it is where the cut fell */
		if (!cut || (c->text.len == 0 && i + 1 < s->content_count)) {
			end_call(c, sink);
			continue;
		}
		whole = false;
		emit_warning(sink, "the call of %.64s was cut off", real_name(s, c->name));
	}
	return whole;
}

void
anthropic_content_clear(struct anthropic_state *s)
{
	for (unsigned i = 0; i < s->content_count; i++) {
		free(s->contents[i].name);
		buf_clear(&s->contents[i].text);
	}
	free(s->contents);
	s->contents = NULL;
	s->content_count = 0;
}

/* openai_chat_calls.c - tool calls out of deltas: by the book (index), and as servers really send them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/dialect/emit.h"
#include "server/dialect/openai_chat_state.h"

#define CALLS_MAX 128
#define ARGUMENTS_MAX ((size_t)16 << 20)
#define NAME_MAX_BYTES 256

static bool
is_whole_json(const struct buf *b)
{
	struct json j = JSON_INIT;
	bool ok = b->len > 0 && json_read(&j, b->data, b->len, JSON_LAST_KEY_WINS) == 0;

	json_clear(&j);
	return ok;
}

static struct openai_call *
call_add(struct openai_chat_state *s, int64_t index)
{
	struct openai_call *c;

	if (s->call_count == CALLS_MAX)
		return NULL;
	s->calls = xrealloc(s->calls, (s->call_count + 1) * sizeof *s->calls);
	c = &s->calls[s->call_count++];
	memset(c, 0, sizeof *c);
	c->index = index;
	buf_init(&c->arguments, ARGUMENTS_MAX);
	return c;
}

static struct openai_call *
call_by_index(struct openai_chat_state *s, int64_t index)
{
	unsigned i;

	/* from the end: a number may be used again for a new call */
	for (i = s->call_count; i-- > 0;) {
		if (s->calls[i].index == index)
			return &s->calls[i];
	}
	return NULL;
}

static struct openai_call *
call_by_id(struct openai_chat_state *s, const char *id)
{
	unsigned i;

	for (i = s->call_count; i-- > 0;) {
		if (s->calls[i].id != NULL && strcmp(s->calls[i].id, id) == 0)
			return &s->calls[i];
	}
	return NULL;
}

/* Which call a piece belongs to, when it carries a number. Some servers number every call 0: another id
 * with a name is another call all the same. */
static struct openai_call *
call_numbered(struct openai_chat_state *s, int64_t index, const char *id, const char *name)
{
	struct openai_call *c = call_by_index(s, index);

	if (c == NULL)
		return call_add(s, index);
	if (id != NULL && name != NULL && c->id != NULL && strcmp(c->id, id) != 0)
		return call_add(s, index);
	return c;
}

/* And when it carries none: an id decides, then a name, then the place in the list, then it goes on with
 * the last one. */
static struct openai_call *
call_unnumbered(struct openai_chat_state *s, const char *id, const char *name, unsigned place,
    bool alone)
{
	struct openai_call *c = NULL, *last = NULL;

	if (s->call_count > 0)
		last = &s->calls[s->call_count - 1];
	if (id != NULL && (c = call_by_id(s, id)) != NULL)
		return c;
	if (id != NULL)
		return call_add(s, -1);
	if (name != NULL && last != NULL && last->name != NULL && strcmp(last->name, name) == 0 &&
	    !is_whole_json(&last->arguments))
		return last; /* the name is repeated with each piece */
	if (name != NULL && (last == NULL || last->name != NULL))
		return call_add(s, -1);
	if (!alone && place < s->call_count)
		return &s->calls[place];
	return last != NULL ? last : call_add(s, -1);
}

/* Ids for servers that send none: "call_" and 16 hex digits, different within an answer and, through the
 * seed, from those earlier in the conversation. */
static char *
made_up_id(struct openai_chat_state *s, const struct openai_call *c)
{
	uint64_t v = s->seed ^ (uint64_t)(c - s->calls + 1) * 0x9e3779b97f4a7c15u;
	char id[24];

	v ^= v >> 30;
	v *= 0xbf58476d1ce4e5b9u;
	v ^= v >> 27;
	v *= 0x94d049bb133111ebu;
	v ^= v >> 31;
	snprintf(id, sizeof id, "call_%016llx", (unsigned long long)v);
	return xstrdup(id);
}

/* The number that clients see counts announced calls only. */
static unsigned
public_index(const struct openai_chat_state *s, const struct openai_call *c)
{
	unsigned i, n = 0;

	for (i = 0; &s->calls[i] != c; i++)
		n += s->calls[i].announced;
	return n;
}

/* What the arguments have beyond `from`. */
static void
emit_arguments(const struct openai_chat_state *s, const struct openai_call *c, size_t from,
    const struct event_sink *sink)
{
	struct event e = { .type = EVENT_TOOL_ARGS };

	if (c->arguments.len == from)
		return;
	e.text = (struct slice){ c->arguments.data + from, c->arguments.len - from };
	e.index = public_index(s, c);
	sink->event(sink->arg, &e);
}

static bool
announce(struct openai_chat_state *s, struct openai_call *c, const struct event_sink *sink)
{
	struct event e = { .type = EVENT_TOOL_CALL };
	const struct openai_call *later;

	if (c->announced || c->name == NULL)
		return c->announced;
	/* numbers are given in order: who comes later waits for those before */
	for (later = s->calls; later != c; later++) {
		if (!later->announced)
			return false;
	}
	if (c->id == NULL)
		c->id = made_up_id(s, c);
	c->announced = true;
	e.index = public_index(s, c);
	e.id = slice_of(c->id);
	e.name = slice_of(c->name);
	sink->event(sink->arg, &e);
	emit_arguments(s, c, 0, sink);
	return true;
}

/* Appends what a piece says and passes it on when the call is announced. */
static void
take_arguments(struct openai_chat_state *s, struct openai_call *c, uint32_t value,
    const struct event_sink *sink)
{
	size_t before = c->arguments.len;
	struct slice raw;

	if (json_is(&s->in.json, value, JSON_STRING)) {
		(void)json_string_piece(&s->in.json, value, &c->surrogate, &c->arguments);
	} else if (json_is(&s->in.json, value, JSON_OBJECT) && before == 0) {
		raw = json_raw(&s->in.json, value);
		(void)buf_add(&c->arguments, raw.data, raw.len);
	}
	if (c->announced)
		emit_arguments(s, c, before, sink);
}

static char *
word_of(const struct json *j, uint32_t at)
{
	char *word = json_strdup(j, at, NAME_MAX_BYTES);

	if (word != NULL && *word == '\0') {
		free(word);
		word = NULL;
	}
	return word;
}

static bool
take_call(struct openai_chat_state *s, uint32_t item, unsigned place, bool alone,
    const struct event_sink *sink)
{
	const struct json *j = &s->in.json;
	uint32_t function = json_get(j, item, "function"), arguments;
	char *id = word_of(j, json_get(j, item, "id")), *name;
	struct openai_call *c;
	unsigned i;
	int64_t index;

	if (!json_is(j, function, JSON_OBJECT))
		function = json_get(j, item, "custom");
	name = word_of(j, json_get(j, function, "name"));
	if (json_int(j, json_get(j, item, "index"), &index) && index >= 0)
		c = call_numbered(s, index, id, name);
	else
		c = call_unnumbered(s, id, name, place, alone);
	if (c == NULL) {
		free(id);
		free(name);
		return false;
	}
	if (c->id == NULL) {
		c->id = id;
		id = NULL;
	}
	if (c->name == NULL) {
		c->name = name;
		name = NULL;
	}
	free(id);
	free(name);
	arguments = json_get(j, function, "arguments");
	if (arguments == JSON_NONE)
		arguments = json_get(j, function, "input");
	if (!c->ended)
		take_arguments(s, c, arguments, sink);
	for (i = 0; i < s->call_count; i++) {
		if (!announce(s, &s->calls[i], sink))
			break;
	}
	return true;
}

bool
openai_calls_take(struct openai_chat_state *s, uint32_t list, const struct event_sink *sink)
{
	bool alone = json_size(&s->in.json, list) == 1;
	unsigned place = 0;
	uint32_t item;

	if (!json_is(&s->in.json, list, JSON_ARRAY))
		return true;
	for (item = json_first(&s->in.json, list); item != JSON_NONE;
	    item = json_next(&s->in.json, item)) {
		if (!json_is(&s->in.json, item, JSON_OBJECT))
			continue;
		if (!take_call(s, item, place++, alone, sink))
			return false;
	}
	return true;
}

void
openai_calls_take_legacy(struct openai_chat_state *s, uint32_t call, const struct event_sink *sink)
{
	struct openai_call *c;

	if (!json_is(&s->in.json, call, JSON_OBJECT))
		return;
	c = call_by_index(s, INT64_MAX);
	if (c == NULL && (c = call_add(s, INT64_MAX)) == NULL)
		return;
	if (c->name == NULL)
		c->name = word_of(&s->in.json, json_get(&s->in.json, call, "name"));
	if (!c->ended)
		take_arguments(s, c, json_get(&s->in.json, call, "arguments"), sink);
	(void)announce(s, c, sink);
}

static void
end_call(struct openai_chat_state *s, struct openai_call *c, const struct event_sink *sink)
{
	struct event e = { .type = EVENT_TOOL_END };
	size_t before = c->arguments.len;

	(void)json_flush_pending(&c->surrogate, &c->arguments);
	/* no arguments at all means an empty object */
	if (c->arguments.len == 0)
		(void)buf_adds(&c->arguments, "{}");
	emit_arguments(s, c, before, sink);
	e.index = public_index(s, c);
	sink->event(sink->arg, &e);
}

/* A call that never got a name held back those after it. */
static void
announce_rest(struct openai_chat_state *s, const struct event_sink *sink)
{
	unsigned i, kept = 0;

	for (i = 0; i < s->call_count; i++) {
		if (s->calls[i].name != NULL) {
			s->calls[kept++] = s->calls[i];
			continue;
		}
		emit_warning(sink, "the provider sent a tool call without a name; it was dropped");
		free(s->calls[i].id);
		buf_clear(&s->calls[i].arguments);
	}
	s->call_count = kept;
	for (i = 0; i < s->call_count; i++)
		(void)announce(s, &s->calls[i], sink);
}

bool
openai_calls_end(struct openai_chat_state *s, enum stop_reason stop, const struct event_sink *sink)
{
	bool whole = true;
	unsigned i;

	announce_rest(s, sink);
	for (i = 0; i < s->call_count; i++) {
		struct openai_call *c = &s->calls[i];

		if (c->ended)
			continue;
		c->ended = true;
		if ((stop == STOP_LENGTH || stop == STOP_CONTENT_FILTER) &&
		    !is_whole_json(&c->arguments)) {
			whole = false;
			emit_warning(sink, "the call of %.64s was cut off", c->name);
			continue;
		}
		end_call(s, c, sink);
	}
	return whole;
}

void
openai_calls_clear(struct openai_chat_state *s)
{
	unsigned i;

	for (i = 0; i < s->call_count; i++) {
		free(s->calls[i].id);
		free(s->calls[i].name);
		buf_clear(&s->calls[i].arguments);
	}
	free(s->calls);
	s->calls = NULL;
	s->call_count = 0;
}

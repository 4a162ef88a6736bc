/* openai_chat_reasoning.c - OpenRouter's reasoning_details: the state behind the reasoning that is
 * shown. It goes back whole, and only to the model that made it (providers/openrouter.md). */
#include <string.h>

#include "server/dialect/emit.h"
#include "server/dialect/history.h"
#include "server/dialect/openai_chat.h"
#include "server/dialect/openai_chat_state.h"

void
openai_details_take(struct openai_chat_state *s, uint32_t list)
{
	const struct json *j = &s->in.json;
	uint32_t item;

	if (s->flavour != FLAVOUR_OPENROUTER || !json_is(j, list, JSON_ARRAY))
		return;
	for (item = json_first(j, list); item != JSON_NONE; item = json_next(j, item)) {
		struct slice raw = json_raw(j, item);

		if (!json_is(j, item, JSON_OBJECT))
			continue;
		(void)buf_addc(&s->details, s->details.len == 0 ? '[' : ',');
		(void)buf_add(&s->details, raw.data, raw.len);
	}
}

/* ---- pieces into blocks ---- */

/* Pieces of one block say the same type and the same number. */
static bool
same_block(const struct json *j, uint32_t a, uint32_t b)
{
	uint32_t type = json_get(j, a, "type"), other = json_get(j, b, "type");
	struct slice t = json_raw(j, type), o = json_raw(j, other);
	int64_t x, y;

	return json_int(j, json_get(j, a, "index"), &x) && json_int(j, json_get(j, b, "index"), &y) &&
	    x == y && json_is(j, type, JSON_STRING) && json_is(j, other, JSON_STRING) &&
	    t.len == o.len && memcmp(t.data, o.data, t.len) == 0;
}

/* The texts of that name from item `at` to before `end`, as one. */
static void
put_joined(struct json_writer *w, const struct json *j, uint32_t at, uint32_t end, const char *name)
{
	struct buf piece = BUF_INIT;
	uint32_t half = 0;
	bool any = false;

	for (; at != end; at = json_next(j, at)) {
		uint32_t value = json_get(j, at, name);

		if (!json_is(j, value, JSON_STRING))
			continue;
		if (!any) {
			json_key(w, name);
			json_begin_string(w);
			any = true;
		}
		buf_reset(&piece, 4096);
		(void)json_string_piece(j, value, &half, &piece);
		json_string_part(w, buf_str(&piece), piece.len);
	}
	if (any) {
		buf_reset(&piece, 4096);
		(void)json_flush_pending(&half, &piece);
		json_string_part(w, buf_str(&piece), piece.len);
		json_end_string(w);
	}
	buf_clear(&piece);
}

static void
put_last(struct json_writer *w, const struct json *j, uint32_t at, uint32_t end, const char *name)
{
	uint32_t value, last = JSON_NONE;
	struct slice raw;

	for (; at != end; at = json_next(j, at)) {
		value = json_get(j, at, name);
		if (value != JSON_NONE && !json_is(j, value, JSON_NULL))
			last = value;
	}
	if (last == JSON_NONE)
		return;
	raw = json_raw(j, last);
	json_key(w, name);
	json_put_raw(w, raw.data, raw.len);
}

static void
put_block(struct json_writer *w, const struct json *j, uint32_t first, uint32_t end)
{
	static const char *const joined[] = { "text", "summary", "data" };
	static const char *const plain[] = { "type", "index", "id", "format", "signature" };
	size_t i;

	json_begin_object(w);
	for (i = 0; i < sizeof plain / sizeof plain[0]; i++)
		put_last(w, j, first, end, plain[i]);
	for (i = 0; i < sizeof joined / sizeof joined[0]; i++)
		put_joined(w, j, first, end, joined[i]);
	json_end_object(w);
}

/* A stream cuts a block into pieces; the model behind refuses it in any form but whole, because the
 * signature is one of the whole text. What came whole stays as it came. */
static bool
put_blocks(struct buf *out, const struct buf *pieces)
{
	struct json j = JSON_INIT;
	struct json_writer w;
	bool ok = json_read(&j, pieces->data, pieces->len, JSON_LAST_KEY_WINS) == 0;
	uint32_t first, end;

	json_writer_init(&w, out, false);
	json_begin_array(&w);
	for (first = ok ? json_first(&j, 0) : JSON_NONE; first != JSON_NONE; first = end) {
		struct slice raw = json_raw(&j, first);
		size_t n = 1;

		for (end = json_next(&j, first); end != JSON_NONE && same_block(&j, first, end);
		    end = json_next(&j, end))
			n++;
		if (n == 1)
			json_put_raw(&w, raw.data, raw.len);
		else
			put_block(&w, &j, first, end);
	}
	json_end_array(&w);
	json_clear(&j);
	return ok && !out->failed;
}

void
openai_details_end(struct openai_chat_state *s, const struct event_sink *sink)
{
	struct event e = { .type = EVENT_REASONING_END };
	struct buf blocks;

	if (s->details.len == 0 && !s->details.failed)
		return;
	buf_init(&blocks, s->details.max);
	(void)buf_addc(&s->details, ']');
	/* half of it would be refused the next time */
	if (s->details.failed || !put_blocks(&blocks, &s->details)) {
		emit_warning(sink, "the reasoning is too large to be sent back the next time");
	} else {
		e.signature = (struct slice){ blocks.data, blocks.len };
		sink->event(sink->arg, &e);
	}
	buf_clear(&blocks);
}

/* ---- back ---- */

/* Its items go into the array that `open` says was begun. False when it is no list of ours. */
static bool
put_details(struct json_writer *w, const struct text *signature, bool *open)
{
	struct json j = JSON_INIT;
	bool ok = json_read(&j, signature->data, signature->len, JSON_LAST_KEY_WINS) == 0 &&
	    json_is(&j, 0, JSON_ARRAY);
	uint32_t item;

	for (item = ok ? json_first(&j, 0) : JSON_NONE; item != JSON_NONE;
	    item = json_next(&j, item)) {
		struct slice raw = json_raw(&j, item);

		if (!*open) {
			json_key(w, "reasoning_details");
			json_begin_array(w);
			*open = true;
		}
		json_put_raw(w, raw.data, raw.len);
	}
	json_clear(&j);
	return ok;
}

bool
openai_details_put(struct json_writer *w, const struct chat_message *m,
    const struct dialect_target *to)
{
	bool ours = to != NULL && openai_flavour_of(to->provider) == FLAVOUR_OPENROUTER;
	bool open = false, all = true;
	size_t i;

	for (i = 0; i < m->part_count; i++) {
		const struct part *p = &m->parts[i];

		if (p->type != PART_REASONING)
			continue;
		if (!ours || p->signature.len == 0 || !part_is_of(p, to) ||
		    !put_details(w, &p->signature, &open))
			all = false;
	}
	if (open)
		json_end_array(w);
	return all;
}

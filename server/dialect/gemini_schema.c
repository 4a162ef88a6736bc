/* gemini_schema.c - JSON Schema in the words of Google's Schema: references put in place, allOf merged,
 * oneOf made anyOf, const and mixed types rewritten, the rest left out and told. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/dialect/emit.h"
#include "server/dialect/gemini_schema.h"

/* A level takes up to four of the writer's; no model follows deeper ones anyway. */
#define DEPTH_MAX 24
#define NODES_MAX 20000
#define KEY_MAX_BYTES 1024

static const char *const lost_words[] = { "oneOf", "not", "if", "patternProperties",
	"additionalProperties", "dependentSchemas", "dependentRequired", "contains", "uniqueItems",
	"multipleOf", "propertyNames", "unevaluatedProperties", "exclusiveMinimum",
	"exclusiveMaximum", "prefixItems", "format", "enum", "const", "anyOf", "items", "type",
	"properties", "required" };
#define LOST_COUNT (sizeof lost_words / sizeof lost_words[0])

static int put_view(struct gemini_converter *c, const struct gemini_view *v);

void
gemini_schema_lose(struct gemini_converter *c, const char *word)
{
	for (size_t i = 0; i < LOST_COUNT; i++) {
		if (strcmp(lost_words[i], word) == 0)
			c->lost |= (uint64_t)1 << i;
	}
}

static int
refuse(struct gemini_converter *c, const char *why)
{
	return error_field(c->err, c->field, "the schema of %s %s", c->what, why);
}

/* ---- views ---- */

/* "~1" and "~0" of a JSON pointer, "%7B" of a URI: a name in a definition rarely has them. */
static void
unescape(char *s)
{
	char *to = s;

	for (; *s != '\0'; s++) {
		if (s[0] == '~' && (s[1] == '0' || s[1] == '1'))
			*to++ = *++s == '0' ? '~' : '/';
		else
			*to++ = *s;
	}
	*to = '\0';
}

static uint32_t
resolve(const struct json *j, char *ref)
{
	uint32_t at = 0;
	char *step, *save = NULL;

	if (ref[0] != '#' || (ref[1] != '\0' && ref[1] != '/'))
		return JSON_NONE;
	for (step = strtok_r(ref + 1, "/", &save); step != NULL && at != JSON_NONE;
	    step = strtok_r(NULL, "/", &save)) {
		unescape(step);
		if (json_is(j, at, JSON_ARRAY))
			at = json_item(j, at, (uint32_t)strtoul(step, NULL, 10));
		else
			at = json_get(j, at, step);
	}
	return at;
}

static bool
holds(const struct gemini_view *v, uint32_t at)
{
	for (unsigned i = 0; i < v->count; i++) {
		if (v->layers[i] == at)
			return true;
	}
	return false;
}

static int
view_add(struct gemini_converter *c, struct gemini_view *v, uint32_t at)
{
	uint32_t all = json_get(c->j, at, "allOf"), item, target;
	const struct gemini_view *above;
	char *ref;
	int r = 0;

	if (!json_is(c->j, at, JSON_OBJECT))
		return 0; /* true: anything */
	if (holds(v, at))
		return 0;
	for (above = v->above; above != NULL; above = above->above) {
		if (holds(above, at))
			return refuse(c, "refers to itself, which Gemini's form cannot say");
	}
	if (v->count == GEMINI_LAYERS_MAX)
		return refuse(c, "has too many parts in one place");
	v->layers[v->count++] = at;
	if ((ref = json_strdup(c->j, json_get(c->j, at, "$ref"), KEY_MAX_BYTES)) != NULL) {
		target = resolve(c->j, ref);
		free(ref);
		r = target == JSON_NONE ? refuse(c, "has a $ref that leads nowhere")
		                        : view_add(c, v, target);
	}
	if (!json_is(c->j, all, JSON_ARRAY))
		return r;
	for (item = json_first(c->j, all); item != JSON_NONE && r == 0; item = json_next(c->j, item))
		r = view_add(c, v, item);
	return r;
}

static bool
is_done(const struct gemini_view *v, uint32_t at)
{
	for (unsigned i = 0; i < v->done_count; i++) {
		if (v->done[i] == at)
			return true;
	}
	return false;
}

uint32_t
gemini_view_find(const struct gemini_converter *c, const struct gemini_view *v, const char *key)
{
	for (unsigned i = 0; i < v->count; i++) {
		uint32_t at = json_get(c->j, v->layers[i], key);

		if (at != JSON_NONE && !is_done(v, at))
			return at;
	}
	return JSON_NONE;
}

static int
put_child(struct gemini_converter *c, const struct gemini_view *above, uint32_t at, const char *type)
{
	struct gemini_view v = { .above = above, .type = type };
	int r;

	if (++c->depth > DEPTH_MAX || ++c->nodes > NODES_MAX)
		return refuse(c, "is too deep or too large once its references are put in place");
	if ((r = view_add(c, &v, at)) == 0)
		r = put_view(c, &v);
	c->depth--;
	return r;
}

/* ---- members and items ---- */

static bool
earlier_has(const struct gemini_converter *c, const struct gemini_view *v, unsigned layer,
    const char *name)
{
	for (unsigned i = 0; i < layer; i++) {
		if (json_get(c->j, json_get(c->j, v->layers[i], "properties"), name) != JSON_NONE)
			return true;
	}
	return false;
}

static int
put_properties(struct gemini_converter *c, const struct gemini_view *v)
{
	int r = 0;

	json_key(c->w, "properties");
	json_begin_object(c->w);
	for (unsigned i = 0; i < v->count; i++) {
		uint32_t list = json_get(c->j, v->layers[i], "properties"), key;

		if (!json_is(c->j, list, JSON_OBJECT))
			continue;
		for (key = json_first(c->j, list); key != JSON_NONE && r == 0;
		    key = json_next(c->j, key)) {
			char *name = json_strdup(c->j, key, KEY_MAX_BYTES);

			/* of equal keys the last one counts */
			if (name == NULL || earlier_has(c, v, i, name) ||
			    json_get(c->j, list, name) != json_value(c->j, key)) {
				free(name);
				continue;
			}
			json_key(c->w, name);
			r = put_child(c, v, json_value(c->j, key), NULL);
			free(name);
		}
	}
	if (r == 0)
		json_end_object(c->w);
	return r;
}

static bool
required_before(const struct gemini_converter *c, const struct gemini_view *v, unsigned layer,
    uint32_t upto, const char *name)
{
	for (unsigned i = 0; i <= layer; i++) {
		uint32_t list = json_get(c->j, v->layers[i], "required"), item;

		for (item = json_first(c->j, list); item != JSON_NONE && item != upto;
		    item = json_next(c->j, item)) {
			if (json_equals(c->j, item, name))
				return true;
		}
	}
	return false;
}

/* A name that no member has is refused there. */
static void
put_required(struct gemini_converter *c, const struct gemini_view *v)
{
	bool open = false;

	for (unsigned i = 0; i < v->count; i++) {
		uint32_t list = json_get(c->j, v->layers[i], "required"), item;

		if (!json_is(c->j, list, JSON_ARRAY))
			continue;
		for (item = json_first(c->j, list); item != JSON_NONE;
		    item = json_next(c->j, item)) {
			char *name = json_strdup(c->j, item, KEY_MAX_BYTES);

			if (name != NULL && earlier_has(c, v, v->count, name) &&
			    !required_before(c, v, i, item, name)) {
				if (!open) {
					json_key(c->w, "required");
					json_begin_array(c->w);
				}
				open = true;
				json_put_string(c->w, name);
			}
			free(name);
		}
	}
	if (open)
		json_end_array(c->w);
}

/* An array says what it holds; of a tuple the first place speaks for all. */
static int
put_items(struct gemini_converter *c, const struct gemini_view *v)
{
	uint32_t items = gemini_view_find(c, v, "items");
	uint32_t tuple = gemini_view_find(c, v, "prefixItems");

	if (json_is(c->j, items, JSON_ARRAY)) {
		tuple = items;
		items = JSON_NONE;
	}
	if (json_is(c->j, tuple, JSON_ARRAY)) {
		gemini_schema_lose(c, "prefixItems");
		if (!json_is(c->j, items, JSON_OBJECT))
			items = json_first(c->j, tuple);
	}
	json_key(c->w, "items");
	return put_child(c, v, items, NULL);
}

static bool
has_properties(const struct gemini_converter *c, const struct gemini_view *v)
{
	for (unsigned i = 0; i < v->count; i++) {
		if (json_size(c->j, json_get(c->j, v->layers[i], "properties")) > 0)
			return true;
	}
	return false;
}

/* ---- one place ---- */

static void
note_losses(struct gemini_converter *c, const struct gemini_view *v)
{
	static const char *const words[] = { "not", "if", "patternProperties", "dependentSchemas",
		"dependentRequired", "contains", "uniqueItems", "multipleOf", "propertyNames",
		"unevaluatedProperties" };

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		if (gemini_view_find(c, v, words[i]) != JSON_NONE)
			gemini_schema_lose(c, words[i]);
	}
	if (json_is(c->j, gemini_view_find(c, v, "additionalProperties"), JSON_OBJECT))
		gemini_schema_lose(c, "additionalProperties");
}

static int
put_typed(struct gemini_converter *c, const struct gemini_view *v, const char *type, bool nullable)
{
	bool object = strcmp(type, "OBJECT") == 0;
	/* an object of any members is refused there; a text can hold one */
	bool any = object && !has_properties(c, v);
	int r = 0;

	note_losses(c, v);
	if (any)
		gemini_schema_lose(c, "properties");
	json_begin_object(c->w);
	json_kv_string(c->w, "type", any ? "STRING" : type);
	if (nullable)
		json_kv_bool(c->w, "nullable", true);
	gemini_put_as_is(c, v, "title", JSON_STRING);
	gemini_put_description(c, v, type, any ? "A JSON object, written as text." : NULL);
	if (object && !any) {
		if ((r = put_properties(c, v)) != 0)
			return r;
		put_required(c, v);
		gemini_put_as_is(c, v, "propertyOrdering", JSON_ARRAY);
	} else if (strcmp(type, "ARRAY") == 0) {
		r = put_items(c, v);
	}
	if (r == 0 && !any)
		gemini_put_words(c, v, type);
	if (r == 0)
		json_end_object(c->w);
	return r;
}

static int
put_types(struct gemini_converter *c, const struct gemini_view *v)
{
	struct gemini_typing t;
	int r = 0;

	gemini_typing_read(c, v, &t);
	t.nullable |= v->nullable;
	if (t.count == 0 && t.nullable)
		return put_typed(c, v, "NULL", false);
	if (t.count == 0) {
		gemini_schema_lose(c, "type");
		return put_typed(c, v, "STRING", false);
	}
	if (t.count == 1)
		return put_typed(c, v, t.of[0], t.nullable);
	json_begin_object(c->w);
	if (t.nullable)
		json_kv_bool(c->w, "nullable", true);
	json_key(c->w, "anyOf");
	json_begin_array(c->w);
	for (unsigned i = 0; i < t.count && r == 0; i++)
		r = put_typed(c, v, t.of[i], false);
	if (r != 0)
		return r;
	json_end_array(c->w);
	json_end_object(c->w);
	return 0;
}

/* ---- anyOf ---- */

static bool
is_null_schema(const struct json *j, uint32_t at)
{
	uint32_t type = json_get(j, at, "type");

	return json_equals(j, type, "null") || json_equals(j, type, "NULL");
}

/* How many members are not null; one of those. */
static unsigned
count_members(const struct gemini_converter *c, uint32_t list, uint32_t *one, bool *nullable)
{
	unsigned n = 0;
	uint32_t item;

	for (item = json_first(c->j, list); item != JSON_NONE; item = json_next(c->j, item)) {
		if (is_null_schema(c->j, item)) {
			*nullable = true;
			continue;
		}
		*one = item;
		n++;
	}
	return n;
}

static int
put_any(struct gemini_converter *c, const struct gemini_view *v, uint32_t list, bool nullable)
{
	struct gemini_typing t;
	uint32_t item;
	int r = 0;

	gemini_typing_read(c, v, &t);
	json_begin_object(c->w);
	if (nullable || t.nullable)
		json_kv_bool(c->w, "nullable", true);
	gemini_put_as_is(c, v, "title", JSON_STRING);
	gemini_put_description(c, v, NULL, NULL);
	json_key(c->w, "anyOf");
	json_begin_array(c->w);
	for (item = json_first(c->j, list); item != JSON_NONE && r == 0; item = json_next(c->j, item)) {
		if (!is_null_schema(c->j, item))
			r = put_child(c, v, item, t.count == 1 ? t.of[0] : NULL);
	}
	if (r != 0)
		return r;
	json_end_array(c->w);
	json_end_object(c->w);
	return 0;
}

static int
put_view(struct gemini_converter *c, const struct gemini_view *v)
{
	struct gemini_view merged = *v;
	uint32_t list = gemini_view_find(c, v, "anyOf"), one = JSON_NONE;
	unsigned n;
	int r;

	if (!json_is(c->j, list, JSON_ARRAY)) {
		list = gemini_view_find(c, v, "oneOf");
		if (json_is(c->j, list, JSON_ARRAY))
			gemini_schema_lose(c, "oneOf");
	}
	if (!json_is(c->j, list, JSON_ARRAY) || json_size(c->j, list) == 0)
		return put_types(c, v);
	n = count_members(c, list, &one, &merged.nullable);
	if (merged.done_count == GEMINI_LAYERS_MAX)
		return refuse(c, "has too many parts in one place");
	merged.done[merged.done_count++] = list;
	if (n > 1 && !has_properties(c, v) && gemini_view_find(c, v, "items") == JSON_NONE)
		return put_any(c, v, list, merged.nullable);
	if (n > 1)
		gemini_schema_lose(c, "anyOf"); /* beside members it cannot stand */
	else if ((r = view_add(c, &merged, one)) != 0)
		return r;
	/* what was merged may bring an anyOf of its own */
	return put_view(c, &merged);
}

/* ---- the whole ---- */

bool
gemini_schema_is_empty(const struct json *j)
{
	static const char *const words[] = { "$ref", "anyOf", "oneOf", "allOf", "items" };

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		if (json_get(j, 0, words[i]) != JSON_NONE)
			return false;
	}
	return json_size(j, json_get(j, 0, "properties")) == 0;
}

static void
tell_losses(const struct gemini_converter *c, const struct event_sink *sink)
{
	struct buf text = BUF_INIT;

	for (size_t i = 0; i < LOST_COUNT; i++) {
		if ((c->lost >> i & 1) != 0)
			(void)buf_addf(&text, "%s%s", text.len > 0 ? ", " : "", lost_words[i]);
	}
	if (text.len > 0)
		emit_warning(sink, "the schema of %.80s was simplified: %s", c->what, text.data);
	buf_clear(&text);
}

int
gemini_schema(struct json_writer *w, const struct json *schema, const char *what,
    const char *field, const struct event_sink *sink, struct error *err)
{
	struct gemini_converter c = { .w = w, .j = schema, .what = what, .field = field, .err = err };
	int r = put_child(&c, NULL, 0, NULL);

	if (r == 0)
		tell_losses(&c, sink);
	return r;
}

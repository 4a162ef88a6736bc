/* gemini_schema_words.c - what one place of a schema says in Google's words. */
#include <stdlib.h>
#include <string.h>

#include "server/dialect/gemini_schema.h"

static const struct {
	const char *word, *wire;
} types[] = {
	{ "string", "STRING" },
	{ "number", "NUMBER" },
	{ "integer", "INTEGER" },
	{ "boolean", "BOOLEAN" },
	{ "array", "ARRAY" },
	{ "object", "OBJECT" },
	{ "null", "NULL" },
};
#define TYPE_COUNT (sizeof types / sizeof types[0])

/* ---- types ---- */

static const char *
type_wire(const struct json *j, uint32_t at)
{
	for (size_t i = 0; i < TYPE_COUNT; i++) {
		if (json_equals(j, at, types[i].word) || json_equals(j, at, types[i].wire))
			return types[i].wire;
	}
	return NULL;
}

static const char *
type_of_value(const struct json *j, uint32_t at)
{
	static const char *const of[] = { [JSON_NULL] = "NULL", [JSON_FALSE] = "BOOLEAN",
		[JSON_TRUE] = "BOOLEAN", [JSON_NUMBER] = "NUMBER", [JSON_STRING] = "STRING",
		[JSON_ARRAY] = "ARRAY", [JSON_OBJECT] = "OBJECT" };
	int64_t whole;

	if (json_int(j, at, &whole))
		return "INTEGER";
	return of[json_type(j, at)];
}

/* What the type must be when it is not said. */
static const char *
guess_type(struct gemini_converter *c, const struct gemini_view *v)
{
	uint32_t list = gemini_view_find(c, v, "enum"), value = gemini_view_find(c, v, "const");

	if (v->type != NULL)
		return v->type;
	if (gemini_view_find(c, v, "properties") != JSON_NONE ||
	    gemini_view_find(c, v, "additionalProperties") != JSON_NONE)
		return "OBJECT";
	if (gemini_view_find(c, v, "items") != JSON_NONE ||
	    gemini_view_find(c, v, "prefixItems") != JSON_NONE)
		return "ARRAY";
	if (value != JSON_NONE)
		return type_of_value(c->j, value);
	if (json_is(c->j, list, JSON_ARRAY) && json_size(c->j, list) > 0)
		return type_of_value(c->j, json_first(c->j, list));
	if (gemini_view_find(c, v, "minimum") != JSON_NONE ||
	    gemini_view_find(c, v, "maximum") != JSON_NONE)
		return "NUMBER";
	return NULL;
}

static void
typing_add(struct gemini_typing *t, const char *wire)
{
	if (wire == NULL || t->count == TYPE_COUNT)
		return;
	if (strcmp(wire, "NULL") == 0)
		t->nullable = true;
	else
		t->of[t->count++] = wire;
}

void
gemini_typing_read(struct gemini_converter *c, const struct gemini_view *v, struct gemini_typing *t)
{
	uint32_t type = gemini_view_find(c, v, "type"), list = gemini_view_find(c, v, "enum"), item;
	bool nullable = false;

	memset(t, 0, sizeof *t);
	(void)json_bool(c->j, gemini_view_find(c, v, "nullable"), &nullable);
	t->nullable = nullable;
	if (json_is(c->j, type, JSON_ARRAY)) {
		for (item = json_first(c->j, type); item != JSON_NONE; item = json_next(c->j, item))
			typing_add(t, type_wire(c->j, item));
	} else {
		typing_add(t, type_wire(c->j, type));
	}
	if (json_is(c->j, list, JSON_ARRAY)) {
		for (item = json_first(c->j, list); item != JSON_NONE; item = json_next(c->j, item))
			t->nullable |= json_is(c->j, item, JSON_NULL);
	}
	if (t->count == 0)
		typing_add(t, guess_type(c, v));
}

/* ---- words that stay ---- */

void
gemini_put_as_is(struct gemini_converter *c, const struct gemini_view *v, const char *key,
    enum json_type type)
{
	uint32_t at = gemini_view_find(c, v, key);
	struct slice raw = json_raw(c->j, at);

	if (!json_is(c->j, at, type))
		return;
	json_key(c->w, key);
	json_put_raw(c->w, raw.data, raw.len);
}

static void
put_format(struct gemini_converter *c, const struct gemini_view *v, const char *type)
{
	static const char *const fits[][2] = { { "STRING", "enum" }, { "STRING", "date-time" },
		{ "NUMBER", "float" }, { "NUMBER", "double" }, { "INTEGER", "int32" },
		{ "INTEGER", "int64" } };
	uint32_t at = gemini_view_find(c, v, "format");

	for (size_t i = 0; i < sizeof fits / sizeof fits[0]; i++) {
		if (strcmp(type, fits[i][0]) == 0 && json_equals(c->j, at, fits[i][1])) {
			json_kv_string(c->w, "format", fits[i][1]);
			return;
		}
	}
	if (at != JSON_NONE)
		gemini_schema_lose(c, "format");
}

/* A bound that is not reached: for whole numbers the next one, for others the bound itself. */
static void
put_bound(struct gemini_converter *c, const struct gemini_view *v, const char *key,
    const char *open, int64_t step,
    bool integer)
{
	uint32_t at = gemini_view_find(c, v, key), limit = gemini_view_find(c, v, open);
	struct slice raw;
	int64_t whole;

	if (json_is(c->j, at, JSON_NUMBER) || !json_is(c->j, limit, JSON_NUMBER)) {
		gemini_put_as_is(c, v, key, JSON_NUMBER);
		return;
	}
	json_key(c->w, key);
	if (integer && json_int(c->j, limit, &whole) && whole > INT64_MIN && whole < INT64_MAX) {
		json_put_int(c->w, whole + step);
		return;
	}
	raw = json_raw(c->j, limit);
	json_put_raw(c->w, raw.data, raw.len);
	gemini_schema_lose(c, open);
}

/* ---- enum and const ---- */

static void
put_string_value(struct gemini_converter *c, uint32_t at)
{
	struct buf text = BUF_INIT;

	(void)json_string(c->j, at, &text);
	json_put_string_n(c->w, buf_str(&text), text.len);
	buf_clear(&text);
}

/* Strings stay; other values cannot be listed: they go into the description. */
static bool
enum_fits(struct gemini_converter *c, uint32_t list, const char *type)
{
	uint32_t item;

	if (strcmp(type, "STRING") != 0)
		return false;
	for (item = json_first(c->j, list); item != JSON_NONE; item = json_next(c->j, item)) {
		if (!json_is(c->j, item, JSON_STRING) && !json_is(c->j, item, JSON_NULL))
			return false;
	}
	return true;
}

static void
put_enum(struct gemini_converter *c, const struct gemini_view *v, const char *type)
{
	uint32_t list = gemini_view_find(c, v, "enum"), value = gemini_view_find(c, v, "const"),
	    item;

	if (value != JSON_NONE && json_is(c->j, value, JSON_STRING) && strcmp(type,
	    "STRING") == 0) {
		json_key(c->w, "enum");
		json_begin_array(c->w);
		put_string_value(c, value);
		json_end_array(c->w);
		return;
	}
	if (value != JSON_NONE)
		gemini_schema_lose(c, "const");
	if (!json_is(c->j, list, JSON_ARRAY))
		return;
	if (!enum_fits(c, list, type)) {
		gemini_schema_lose(c, "enum");
		return;
	}
	json_key(c->w, "enum");
	json_begin_array(c->w);
	for (item = json_first(c->j, list); item != JSON_NONE; item = json_next(c->j, item)) {
		if (json_is(c->j, item, JSON_STRING))
			put_string_value(c, item);
	}
	json_end_array(c->w);
}

void
gemini_put_description(struct gemini_converter *c, const struct gemini_view *v,
    const char *type, const char *note)
{
	uint32_t at = gemini_view_find(c, v, "description"), list = gemini_view_find(c, v,
	    "enum"), value = gemini_view_find(c, v, "const");
	struct buf text = BUF_INIT;
	struct slice raw;

	(void)json_string(c->j, at, &text);
	if (note != NULL)
		(void)buf_addf(&text, "%s%s", text.len > 0 ? " " : "", note);
	if (type != NULL && value != JSON_NONE && !json_is(c->j, value, JSON_STRING)) {
		raw = json_raw(c->j, value);
		(void)buf_addf(&text, "%sAlways %.*s.", text.len > 0 ? " " : "", (int)raw.len,
		    raw.data);
	} else if (type != NULL && json_is(c->j, list, JSON_ARRAY) && !enum_fits(c, list, type)) {
		raw = json_raw(c->j, list);
		(void)buf_addf(&text, "%sOne of %.*s.", text.len > 0 ? " " : "", (int)raw.len,
		    raw.data);
	}
	if (text.len > 0) {
		json_key(c->w, "description");
		json_put_string_n(c->w, text.data, text.len);
	}
	buf_clear(&text);
}

/* ---- the words of a type ---- */

static void
put_any_value(struct gemini_converter *c, const struct gemini_view *v, const char *key)
{
	uint32_t at = gemini_view_find(c, v, key);
	struct slice raw = json_raw(c->j, at);

	if (at == JSON_NONE)
		return;
	json_key(c->w, key);
	json_put_raw(c->w, raw.data, raw.len);
}

void
gemini_put_words(struct gemini_converter *c, const struct gemini_view *v, const char *type)
{
	static const struct {
		const char *type, *key;
		enum json_type of;
	} rows[] = {
		{ "STRING", "minLength", JSON_NUMBER },
		{ "STRING", "maxLength", JSON_NUMBER },
		{ "STRING", "pattern", JSON_STRING },
		{ "ARRAY", "minItems", JSON_NUMBER },
		{ "ARRAY", "maxItems", JSON_NUMBER },
		{ "OBJECT", "minProperties", JSON_NUMBER },
		{ "OBJECT", "maxProperties", JSON_NUMBER },
	};
	bool integer = strcmp(type, "INTEGER") == 0;

	put_format(c, v, type);
	put_enum(c, v, type);
	if (integer || strcmp(type, "NUMBER") == 0) {
		put_bound(c, v, "minimum", "exclusiveMinimum", 1, integer);
		put_bound(c, v, "maximum", "exclusiveMaximum", -1, integer);
	}
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (strcmp(type, rows[i].type) == 0)
			gemini_put_as_is(c, v, rows[i].key, rows[i].of);
	}
	put_any_value(c, v, "default");
	put_any_value(c, v, "example");
}

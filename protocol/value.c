/* value.c - the view over msgpack-c's objects. */
#include "protocol/value.h"

#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/limits.h"

static const msgpack_object *
object_of(const struct value *v)
{
	return (const msgpack_object *)(const void *)v;
}

static const struct value *
value_of(const msgpack_object *o)
{
	return (const struct value *)(const void *)o;
}

enum value_type
value_type(const struct value *v)
{
	if (v == NULL)
		return VALUE_ABSENT;
	switch (object_of(v)->type) {
	case MSGPACK_OBJECT_NIL:
		return VALUE_NIL;
	case MSGPACK_OBJECT_BOOLEAN:
		return VALUE_BOOL;
	case MSGPACK_OBJECT_POSITIVE_INTEGER:
	case MSGPACK_OBJECT_NEGATIVE_INTEGER:
		return VALUE_INT;
	case MSGPACK_OBJECT_FLOAT32:
	case MSGPACK_OBJECT_FLOAT64:
		return VALUE_FLOAT;
	case MSGPACK_OBJECT_STR:
		return VALUE_STR;
	case MSGPACK_OBJECT_BIN:
		return VALUE_BIN;
	case MSGPACK_OBJECT_ARRAY:
		return VALUE_ARRAY;
	case MSGPACK_OBJECT_MAP:
		return VALUE_MAP;
	case MSGPACK_OBJECT_EXT: /* refused by the checker before an object is made */
		return VALUE_ABSENT;
	}
	return VALUE_ABSENT;
}

const char *
value_type_name(enum value_type t)
{
	static const char *const names[] = {
		[VALUE_ABSENT] = "absent",
		[VALUE_NIL] = "nil",
		[VALUE_BOOL] = "bool",
		[VALUE_INT] = "int",
		[VALUE_FLOAT] = "float",
		[VALUE_STR] = "str",
		[VALUE_BIN] = "bin",
		[VALUE_ARRAY] = "list",
		[VALUE_MAP] = "map",
	};

	return names[t];
}

size_t
value_size(const struct value *v)
{
	switch (value_type(v)) {
	case VALUE_STR:
		return object_of(v)->via.str.size;
	case VALUE_BIN:
		return object_of(v)->via.bin.size;
	case VALUE_ARRAY:
		return object_of(v)->via.array.size;
	case VALUE_MAP:
		return object_of(v)->via.map.size;
	case VALUE_ABSENT:
	case VALUE_NIL:
	case VALUE_BOOL:
	case VALUE_INT:
	case VALUE_FLOAT:
		return 0;
	}
	return 0;
}

const struct value *
value_get(const struct value *map, const char *key)
{
	size_t n = strlen(key);
	uint32_t i;

	if (value_type(map) != VALUE_MAP)
		return NULL;
	for (i = 0; i < object_of(map)->via.map.size; i++) {
		const msgpack_object_kv *kv = &object_of(map)->via.map.ptr[i];

		if (kv->key.via.str.size == n && memcmp(kv->key.via.str.ptr, key, n) == 0)
			return value_of(&kv->val);
	}
	return NULL;
}

const struct value *
value_at(const struct value *array, size_t i)
{
	if (value_type(array) != VALUE_ARRAY || i >= object_of(array)->via.array.size)
		return NULL;
	return value_of(&object_of(array)->via.array.ptr[i]);
}

struct slice
value_pair(const struct value *map, size_t i, const struct value **value)
{
	const msgpack_object_kv *kv;

	if (value_type(map) != VALUE_MAP || i >= object_of(map)->via.map.size) {
		if (value != NULL)
			*value = NULL;
		return (struct slice){ NULL, 0 };
	}
	kv = &object_of(map)->via.map.ptr[i];
	if (value != NULL)
		*value = value_of(&kv->val);
	return value_slice(value_of(&kv->key));
}

bool
value_bool(const struct value *v, bool otherwise)
{
	return value_type(v) == VALUE_BOOL ? object_of(v)->via.boolean : otherwise;
}

int64_t
value_int(const struct value *v, int64_t otherwise)
{
	double d;

	switch (value_type(v)) {
	case VALUE_INT:
		if (object_of(v)->type == MSGPACK_OBJECT_POSITIVE_INTEGER
		    && object_of(v)->via.u64 > (uint64_t)INT64_MAX)
			return otherwise;
		return object_of(v)->via.i64;
	case VALUE_FLOAT: /* Lua and JavaScript may send 30 as 30.0 */
		d = object_of(v)->via.f64;
		if (d >= -(double)LIMIT_INT_MAX && d <= (double)LIMIT_INT_MAX
		    && (double)(int64_t)d == d)
			return (int64_t)d;
		return otherwise;
	case VALUE_ABSENT:
	case VALUE_NIL:
	case VALUE_BOOL:
	case VALUE_STR:
	case VALUE_BIN:
	case VALUE_ARRAY:
	case VALUE_MAP:
		return otherwise;
	}
	return otherwise;
}

double
value_double(const struct value *v, double otherwise)
{
	if (value_type(v) == VALUE_FLOAT)
		return object_of(v)->via.f64;
	if (value_type(v) != VALUE_INT)
		return otherwise;
	if (object_of(v)->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
		return (double)object_of(v)->via.u64;
	return (double)object_of(v)->via.i64;
}

struct slice
value_slice(const struct value *v)
{
	if (value_type(v) == VALUE_STR)
		return (struct slice){ object_of(v)->via.str.ptr, object_of(v)->via.str.size };
	if (value_type(v) == VALUE_BIN)
		return (struct slice){ object_of(v)->via.bin.ptr, object_of(v)->via.bin.size };
	return (struct slice){ NULL, 0 };
}

char *
value_strdup(const struct value *v)
{
	struct slice s = value_slice(v);
	char *copy;

	if (value_type(v) != VALUE_STR || (s.len > 0 && memchr(s.data, 0, s.len) != NULL))
		return NULL;
	if ((copy = malloc(s.len + 1)) == NULL)
		return NULL;
	if (s.len > 0)
		memcpy(copy, s.data, s.len);
	copy[s.len] = '\0';
	return copy;
}

bool
value_equals(const struct value *v, const char *text)
{
	return value_type(v) == VALUE_STR && slice_eq(value_slice(v), text);
}

static void
bin_to_json(const struct value *v, struct json_writer *w)
{
	struct slice s = value_slice(v);

	json_begin_string(w);
	json_string_part_base64(w, s.data, s.len);
	json_end_string(w);
}

static void
int_to_json(const struct value *v, struct json_writer *w)
{
	if (object_of(v)->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
		json_put_uint(w, object_of(v)->via.u64);
	else
		json_put_int(w, object_of(v)->via.i64);
}

static void
array_to_json(const struct value *v, struct json_writer *w)
{
	size_t i;

	json_begin_array(w);
	for (i = 0; i < value_size(v); i++)
		value_to_json(value_at(v, i), w);
	json_end_array(w);
}

static void
map_to_json(const struct value *v, struct json_writer *w)
{
	const struct value *member;
	struct slice key;
	size_t i;

	json_begin_object(w);
	for (i = 0; i < value_size(v); i++) {
		key = value_pair(v, i, &member);
		json_key_n(w, key.data, key.len);
		value_to_json(member, w);
	}
	json_end_object(w);
}

/* Recursion is bounded: the checker lets nothing deeper than LIMIT_DEPTH in. */
void
value_to_json(const struct value *v, struct json_writer *w)
{
	switch (value_type(v)) {
	case VALUE_ABSENT:
	case VALUE_NIL:
		json_put_null(w);
		break;
	case VALUE_BOOL:
		json_put_bool(w, object_of(v)->via.boolean);
		break;
	case VALUE_INT:
		int_to_json(v, w);
		break;
	case VALUE_FLOAT:
		json_put_double(w, object_of(v)->via.f64);
		break;
	case VALUE_STR:
		json_put_string_n(w, value_slice(v).data, value_size(v));
		break;
	case VALUE_BIN:
		bin_to_json(v, w);
		break;
	case VALUE_ARRAY:
		array_to_json(v, w);
		break;
	case VALUE_MAP:
		map_to_json(v, w);
		break;
	}
}

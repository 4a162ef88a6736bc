/* value.h - one msgpack value that has been read; borrowed from the message that holds it.
 *
 * An opaque view over msgpack-c's objects, so that no other folder sees that library. All functions
 * take NULL as "absent". */
#ifndef PROTOCOL_VALUE_H
#define PROTOCOL_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/base/buf.h"
#include "protocol/base/json.h"
#include "protocol/base/str.h"

struct value;

enum value_type {
	VALUE_ABSENT,
	VALUE_NIL,
	VALUE_BOOL,
	VALUE_INT,
	VALUE_FLOAT,
	VALUE_STR,
	VALUE_BIN,
	VALUE_ARRAY,
	VALUE_MAP,
};

enum value_type value_type(const struct value *v);
const char *value_type_name(enum value_type t); /* "str", "int", ... as in sys.methods */
size_t value_size(const struct value *v);       /* items, pairs or bytes; 0 otherwise */
const struct value *value_get(const struct value *map, const char *key);
const struct value *value_at(const struct value *array, size_t i);
/* The i-th pair of a map. */
struct slice value_pair(const struct value *map, size_t i, const struct value **value);
bool value_bool(const struct value *v, bool otherwise);
int64_t value_int(const struct value *v, int64_t otherwise);
double value_double(const struct value *v, double otherwise);
/* Bytes of a str or bin; the empty slice otherwise. */
struct slice value_slice(const struct value *v);
/* NUL-terminated copy of a str; NULL if it is none or contains NUL. Caller frees. */
char *value_strdup(const struct value *v);
bool value_equals(const struct value *v, const char *text);

/* Writes the value as JSON (bin as base64). Whole numbers stay whole. */
void value_to_json(const struct value *v, struct json_writer *w);

#endif

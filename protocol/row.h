/* row.h - the type notation of methods.def, read into a table, and values checked against it.
 *
 * Apart from params.c so that the notation can be tested on rows that no method has. */
#ifndef PROTOCOL_ROW_H
#define PROTOCOL_ROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/base/err.h"
#include "protocol/base/str.h"
#include "protocol/value.h"

#define ROW_MAX_PARAMS 24

enum param_type {
	PARAM_STR,
	PARAM_BOOL,
	PARAM_INT,
	PARAM_FLOAT,
	PARAM_MAP,
	PARAM_LIST,
	PARAM_ANY,
	PARAM_NAME,
	PARAM_REF,
	PARAM_BYTES,
	PARAM_SECRET,
};

struct param {
	struct slice name;     /* points into the row's text */
	struct slice notation; /* "int(0..100)", without the "?" */
	enum param_type type;
	enum param_type item;  /* PARAM_LIST: type of the items; PARAM_ANY for a plain "list" */
	bool optional;
	int64_t min;           /* PARAM_INT */
	int64_t max;
	size_t max_bytes;      /* PARAM_STR; 0 = unbounded */
};

struct row {
	size_t count;
	bool has_bytes; /* then "encoding" is a member too */
	struct param params[ROW_MAX_PARAMS];
};

/* Reads the notation; text must stay. 0, or MP_E_INTERNAL when the row is written wrongly. */
int row_parse(const char *text, struct row *out);
/* map may be NULL for an empty one. 0, or MP_E_INVALID_PARAMS naming the field. */
int row_check(const struct row *row, const struct value *map, struct error *err);

#endif

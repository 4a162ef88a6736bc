/* row.c - the notation of methods.def and the checks it asks for. */
#include "protocol/row.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/buf.h"
#include "protocol/base/secret.h"
#include "protocol/limits.h"

#define REF_MAX_BYTES 512

static const struct {
	const char *name;
	enum param_type type;
} type_names[] = {
	{ "str", PARAM_STR },
	{ "bool", PARAM_BOOL },
	{ "int", PARAM_INT },
	{ "uint", PARAM_INT },
	{ "float", PARAM_FLOAT },
	{ "map", PARAM_MAP },
	{ "list", PARAM_LIST },
	{ "any", PARAM_ANY },
	{ "name", PARAM_NAME },
	{ "ref", PARAM_REF },
	{ "bytes", PARAM_BYTES },
	{ "secret", PARAM_SECRET },
};

/* ---- the notation ---- */

static int
type_find(struct slice name, enum param_type *type)
{
	size_t i;

	for (i = 0; i < sizeof type_names / sizeof type_names[0]; i++) {
		if (slice_eq(name, type_names[i].name)) {
			*type = type_names[i].type;
			return 0;
		}
	}
	return MP_E_INTERNAL;
}

/* What stands in the brackets of "int(1..100)", "int(1..)" or "str(64)". */
static int
bounds_parse(struct param *p, const char *text)
{
	const char *dots = strstr(text, "..");
	char *end;

	if (p->type == PARAM_STR) {
		p->max_bytes = strtoul(text, &end, 10);
		return *end == ')' && p->max_bytes > 0 ? 0 : MP_E_INTERNAL;
	}
	if (p->type != PARAM_INT || dots == NULL)
		return MP_E_INTERNAL;
	p->min = strtoll(text, &end, 10);
	if (end != dots)
		return MP_E_INTERNAL;
	if (dots[2] != ')')
		p->max = strtoll(dots + 2, &end, 10);
	else
		end += 2;
	return *end == ')' && p->min <= p->max ? 0 : MP_E_INTERNAL;
}

static int
notation_parse(struct param *p)
{
	struct slice name = p->notation;
	const char *bracket;
	char text[64];

	p->min = -LIMIT_INT_MAX;
	p->max = LIMIT_INT_MAX;
	p->item = PARAM_ANY;
	if (name.len == 0 || name.len >= sizeof text)
		return MP_E_INTERNAL;
	memcpy(text, name.data, name.len);
	text[name.len] = '\0';
	if (text[0] == '[') {
		p->type = PARAM_LIST;
		if (text[name.len - 1] != ']')
			return MP_E_INTERNAL;
		return type_find((struct slice){ name.data + 1, name.len - 2 }, &p->item);
	}
	if ((bracket = strchr(text, '(')) != NULL)
		name.len = (size_t)(bracket - text);
	if (type_find(name, &p->type) != 0)
		return MP_E_INTERNAL;
	if (slice_eq(name, "uint"))
		p->min = 0;
	return bracket == NULL ? 0 : bounds_parse(p, bracket + 1);
}

/* One "name:type" or "name:type?" of n bytes. */
static int
param_parse(struct param *p, const char *word, size_t n)
{
	const char *colon = memchr(word, ':', n);

	if (colon == NULL || colon == word)
		return MP_E_INTERNAL;
	p->name = (struct slice){ word, (size_t)(colon - word) };
	p->notation = (struct slice){ colon + 1, n - p->name.len - 1 };
	if (p->notation.len > 0 && word[n - 1] == '?') {
		p->optional = true;
		p->notation.len--;
	}
	return notation_parse(p);
}

int
row_parse(const char *text, struct row *out)
{
	size_t n;

	memset(out, 0, sizeof *out);
	for (text += strspn(text, " "); *text != '\0'; text += n + strspn(text + n, " ")) {
		n = strcspn(text, " ");
		if (out->count == ROW_MAX_PARAMS
		    || param_parse(&out->params[out->count], text, n) != 0)
			return MP_E_INTERNAL;
		if (out->params[out->count].type == PARAM_BYTES)
			out->has_bytes = true;
		out->count++;
	}
	return 0;
}

/* ---- the checks ---- */

/* The field of a check in progress: a parameter, or an item of one. */
struct place {
	const struct param *param;
	const struct value *map;
	size_t item; /* 0: the parameter itself, else 1-based */
	struct error *err;
};

static int refuse(const struct place *at, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static int
refuse(const struct place *at, const char *fmt, ...)
{
	const struct param *p = at->param;
	char name[96], item[32] = "", reason[192];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(reason, sizeof reason, fmt, ap);
	va_end(ap);
	snprintf(name, sizeof name, "%.*s", (int)p->name.len, p->name.data);
	if (at->item > 0)
		snprintf(item, sizeof item, ", item %zu,", at->item);
	return error_field(at->err, name, "field %s%s %s", name, item, reason);
}

static int
refuse_type(const struct place *at, const char *wanted, const struct value *v)
{
	return refuse(at, "must be %s, not %s", wanted, value_type_name(value_type(v)));
}

static bool
has_control(struct slice s)
{
	size_t i;

	for (i = 0; i < s.len; i++) {
		if ((unsigned char)s.data[i] < 0x20 || s.data[i] == 0x7f)
			return true;
	}
	return false;
}

/* A bounded str is one line for people or programs; only unbounded text may hold anything. */
static int
check_str(const struct place *at, const struct value *v)
{
	struct slice s = value_slice(v);
	bool line = at->item > 0 || at->param->max_bytes > 0;

	if (value_type(v) != VALUE_STR)
		return refuse_type(at, "str", v);
	if (at->param->max_bytes > 0 && s.len > at->param->max_bytes)
		return refuse(at, "must not be longer than %zu bytes", at->param->max_bytes);
	if (line && has_control(s))
		return refuse(at, "must not contain control characters");
	return 0;
}

static int
check_int(const struct place *at, const struct value *v)
{
	const struct param *p = at->param;
	int64_t n;

	if (value_type(v) != VALUE_INT && value_type(v) != VALUE_FLOAT)
		return refuse_type(at, "int", v);
	n = value_int(v, INT64_MIN);
	if (n == INT64_MIN)
		return refuse(at, "must be a whole number within +-(2^53 - 1)");
	if (n >= p->min && n <= p->max)
		return 0;
	if (p->max == LIMIT_INT_MAX)
		return refuse(at, "must be at least %" PRId64, p->min);
	return refuse(at, "must lie between %" PRId64 " and %" PRId64, p->min, p->max);
}

static int
check_name(const struct place *at, const struct value *v)
{
	struct slice s = value_slice(v);
	char name[LIMIT_NAME_BYTES + 1];

	if (value_type(v) != VALUE_STR)
		return refuse_type(at, "str", v);
	if (s.len > 0 && s.len <= LIMIT_NAME_BYTES && memchr(s.data, 0, s.len) == NULL) {
		memcpy(name, s.data, s.len);
		name[s.len] = '\0';
		if (name_valid(name))
			return 0;
	}
	return refuse(at, "must be a name: a-z or 0-9, then up to 63 of a-z 0-9 . _ -");
}

static int
check_ref(const struct place *at, const struct value *v)
{
	struct slice s = value_slice(v);

	if (value_type(v) != VALUE_STR)
		return refuse_type(at, "str", v);
	if (s.len == 0 || s.len > REF_MAX_BYTES)
		return refuse(at, "must have 1 to %d bytes", REF_MAX_BYTES);
	if (has_control(s))
		return refuse(at, "must not contain control characters");
	return 0;
}

/* bin, or base64 in a str for clients that cannot send bin. */
static int
check_bytes(const struct place *at, const struct value *v)
{
	const struct value *encoding = value_get(at->map, "encoding");
	struct buf decoded = BUF_INIT;
	struct slice s = value_slice(v);
	int r;

	if (value_type(v) == VALUE_BIN)
		return 0;
	if (value_type(v) != VALUE_STR)
		return refuse_type(at, "bin, or str with encoding \"base64\"", v);
	if (!value_equals(encoding, "base64"))
		return refuse(at, "is a str: it needs a sibling encoding \"base64\"");
	r = base64_decode(&decoded, s.data, s.len);
	buf_clear(&decoded);
	return r == 0 ? 0 : refuse(at, "is no valid base64");
}

static int
check_secret(const struct place *at, const struct value *v)
{
	if (value_type(v) != VALUE_STR && value_type(v) != VALUE_BIN)
		return refuse_type(at, "str or bin", v);
	if (value_size(v) == 0 || value_size(v) > SECRET_MAX_BYTES)
		return refuse(at, "must have 1 to %d bytes", SECRET_MAX_BYTES);
	return 0;
}

static int check_value(const struct place *at, enum param_type type, const struct value *v);

static int
check_list(const struct place *at, const struct value *v)
{
	struct place item = *at;
	int r;

	if (value_type(v) != VALUE_ARRAY)
		return refuse_type(at, "list", v);
	for (item.item = 1; item.item <= value_size(v); item.item++) {
		if ((r = check_value(&item, at->param->item, value_at(v, item.item - 1))) != 0)
			return r;
	}
	return 0;
}

static int
check_value(const struct place *at, enum param_type type, const struct value *v)
{
	switch (type) {
	case PARAM_STR:
		return check_str(at, v);
	case PARAM_BOOL:
		return value_type(v) == VALUE_BOOL ? 0 : refuse_type(at, "bool", v);
	case PARAM_INT:
		return check_int(at, v);
	case PARAM_FLOAT:
		return value_type(v) == VALUE_FLOAT || value_type(v) == VALUE_INT
		    ? 0
		    : refuse_type(at, "float", v);
	case PARAM_MAP:
		/* Lua cannot tell an empty map from an empty list */
		if (value_type(v) == VALUE_MAP)
			return 0;
		if (value_type(v) == VALUE_ARRAY && value_size(v) == 0)
			return 0;
		return refuse_type(at, "map", v);
	case PARAM_LIST:
		return check_list(at, v);
	case PARAM_ANY:
		return 0;
	case PARAM_NAME:
		return check_name(at, v);
	case PARAM_REF:
		return check_ref(at, v);
	case PARAM_BYTES:
		return check_bytes(at, v);
	case PARAM_SECRET:
		return check_secret(at, v);
	}
	return MP_E_INTERNAL;
}

static const struct param *
row_find(const struct row *row, struct slice name)
{
	size_t i;

	for (i = 0; i < row->count; i++) {
		if (row->params[i].name.len == name.len
		    && memcmp(row->params[i].name.data, name.data, name.len) == 0)
			return &row->params[i];
	}
	return NULL;
}

/* A parameter that the method does not have: probably a typing error. */
static int
refuse_unknown(const struct row *row, struct slice name, struct error *err)
{
	char wrong[96], known[96], best[96] = "";
	unsigned distance, limit = 2;
	size_t i;

	snprintf(wrong, sizeof wrong, "%.*s", (int)(name.len < 90 ? name.len : 90), name.data);
	for (i = 0; i < row->count; i++) {
		snprintf(known, sizeof known, "%.*s", (int)row->params[i].name.len,
		    row->params[i].name.data);
		distance = edit_distance(wrong, known, limit);
		if (distance <= limit && distance < strlen(known)) {
			memcpy(best, known, sizeof best);
			if (distance == 0 || (limit = distance - 1) == 0)
				break;
		}
	}
	error_field(err, wrong, "unknown parameter %s", wrong);
	if (best[0] != '\0') {
		error_hint(err, "did you mean %s?", best);
		error_candidate(err, best);
	}
	return MP_E_INVALID_PARAMS;
}

static int
check_known(const struct row *row, const struct value *map, struct error *err)
{
	struct slice name;
	size_t i;

	for (i = 0; i < value_size(map); i++) {
		name = value_pair(map, i, NULL);
		if (row_find(row, name) == NULL
		    && !(row->has_bytes && slice_eq(name, "encoding")))
			return refuse_unknown(row, name, err);
	}
	return 0;
}

int
row_check(const struct row *row, const struct value *map, struct error *err)
{
	struct place at = { .map = map, .err = err };
	const struct value *member;
	const struct param *p;
	struct slice name;
	char missing[96];
	size_t i;
	int r;

	if ((r = check_known(row, map, err)) != 0)
		return r;
	for (i = 0; i < value_size(map); i++) {
		name = value_pair(map, i, &member);
		if ((at.param = row_find(row, name)) != NULL
		    && (r = check_value(&at, at.param->type, member)) != 0)
			return r;
	}
	for (p = row->params; p < row->params + row->count; p++) {
		for (i = 0; i < value_size(map); i++) {
			name = value_pair(map, i, NULL);
			if (name.len == p->name.len &&
			    memcmp(name.data, p->name.data, name.len) == 0)
				break;
		}
		if (p->optional || i < value_size(map))
			continue;
		snprintf(missing, sizeof missing, "%.*s", (int)p->name.len, p->name.data);
		return error_field(err, missing, "missing parameter %s", missing);
	}
	return 0;
}

/* json_read.c - one pass over the text: checks everything, leaves the token tape. */
#include <stdlib.h>

#include "protocol/base/err.h"
#include "protocol/base/json_token.h"
#include "protocol/base/scan.h"

#define MAX_TEXT ((size_t)1 << 31)
#define FIRST_TOKENS 64
/* A tape larger than this goes when a text comes that is far too small for it. */
#define TAPE_KEPT_TOKENS 65536

struct reader {
	struct json *j;
	const char *p, *end;
	uint32_t open;  /* the container we are in, JSON_NONE at the root */
	uint32_t value; /* the value that was finished last */
	unsigned depth;
	bool in_object;
	int result; /* why it failed */
};

static bool
fail(struct reader *r, const char *at, int result, const char *problem)
{
	r->j->problem = problem;
	r->j->problem_offset = (size_t)(at - r->j->text);
	r->result = result;
	return false;
}

static bool
refuse(struct reader *r, const char *at, const char *problem)
{
	return fail(r, at, MP_E_INVALID_PARAMS, problem);
}

/* ---- the tape ---- */

static void
free_tape(struct json *j)
{
	free(j->tokens);
	j->tokens = NULL;
	j->cap = 0;
}

static bool
grow(struct reader *r, uint32_t want)
{
	struct json *j = r->j;
	struct json_token *tokens;
	uint32_t cap = j->cap < FIRST_TOKENS ? FIRST_TOKENS : j->cap * 2;

	if (want > JSON_MAX_TOKENS)
		return fail(r, r->p, MP_E_TOO_LARGE, "too many values");
	if (cap < want)
		cap = want;
	if ((tokens = realloc(j->tokens, (size_t)cap * sizeof *tokens)) == NULL)
		return fail(r, r->p, MP_E_INTERNAL, "out of memory");
	j->tokens = tokens;
	j->cap = cap;
	return true;
}

/* Adds the token of the bytes from..to; NULL when the tape cannot grow. */
static inline struct json_token *
push(struct reader *r, const char *from, const char *to, uint32_t info)
{
	struct json *j = r->j;
	struct json_token *t;

	if (j->count == j->cap && !grow(r, j->count + 1))
		return NULL;
	t = &j->tokens[j->count++];
	t->start = (uint32_t)(from - j->text);
	t->len = (uint32_t)(to - from);
	t->end = 0;
	t->info = info;
	return t;
}

static inline struct json_token *
push_value(struct reader *r, const char *from, const char *to, uint32_t info)
{
	if (r->in_object || r->open == JSON_NONE)
		info |= TOKEN_LAST;
	else
		r->j->tokens[r->open].info += TOKEN_ONE;
	r->value = r->j->count;
	return push(r, from, to, info);
}

/* ---- scalars ---- */

static inline int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Past the escape whose backslash is at p, or NULL. */
static const char *
skip_escape(struct reader *r, const char *p)
{
	unsigned i;

	if (r->end - p < 2)
		return refuse(r, r->end, "the text ends inside a string"), NULL;
	switch (p[1]) {
	case '"':
	case '\\':
	case '/':
	case 'b':
	case 'f':
	case 'n':
	case 'r':
	case 't':
		return p + 2;
	case 'u':
		for (i = 2; i < 6; i++) {
			if (p + i == r->end)
				return refuse(r, r->end, "the text ends inside a string"), NULL;
			if (hex_digit(p[i]) < 0)
				return refuse(r, p, "\\u needs four hex digits"), NULL;
		}
		return p + 6;
	default:
		return refuse(r, p, "unknown escape in a string"), NULL;
	}
}

/* From the byte after the opening quote to the closing one; NULL when the string is bad. */
static const char *
scan_string(struct reader *r, const char *p, uint32_t *flags)
{
	const char *end = r->end;

	for (;;) {
		unsigned step;

		while (end - p >= 8) {
			uint64_t hit = scan_special(scan_load(p));

			if (hit != 0) {
				p += scan_first(hit);
				break;
			}
			p += 8;
		}
		if (p == end)
			return refuse(r, p, "the text ends inside a string"), NULL;
		if (*p == '"')
			return p;
		if (*p == '\\') {
			*flags |= TOKEN_ESCAPED;
			if ((p = skip_escape(r, p)) == NULL)
				return NULL;
			continue;
		}
		if ((unsigned char)*p < 0x20)
			return refuse(r, p, "control character in a string"), NULL;
		if ((step = utf8_step(p, (size_t)(end - p))) == 0)
			return refuse(r, p, "invalid UTF-8 in a string"), NULL;
		p += step;
	}
}

static bool
read_string(struct reader *r)
{
	uint32_t info = JSON_STRING;
	const char *from = r->p;
	const char *quote = scan_string(r, from + 1, &info);

	if (quote == NULL || push_value(r, from, quote + 1, info) == NULL)
		return false;
	r->p = quote + 1;
	return true;
}

static bool
read_literal(struct reader *r, const char *word, size_t n, uint32_t type)
{
	const char *from = r->p;

	if ((size_t)(r->end - from) < n || memcmp(from, word, n) != 0)
		return refuse(r, from, "expected a value");
	r->p += n;
	return push_value(r, from, r->p, type) != NULL;
}

static inline const char *
skip_digits(const char *p, const char *end)
{
	while (p < end && (unsigned char)(*p - '0') < 10)
		p++;
	return p;
}

const char *
json_number_end(const char *p, const char *end)
{
	const char *digits;

	if (p < end && *p == '-')
		p++;
	digits = p;
	p = skip_digits(p, end);
	if (p == digits || (*digits == '0' && p - digits > 1))
		return NULL;
	if (p < end && *p == '.') {
		digits = ++p;
		if ((p = skip_digits(p, end)) == digits)
			return NULL;
	}
	if (p < end && (*p == 'e' || *p == 'E')) {
		p++;
		if (p < end && (*p == '+' || *p == '-'))
			p++;
		digits = p;
		if ((p = skip_digits(p, end)) == digits)
			return NULL;
	}
	return p;
}

static bool
read_number(struct reader *r)
{
	const char *from = r->p;
	const char *to;

	if (*from != '-' && (unsigned char)(*from - '0') >= 10)
		return refuse(r, from, "expected a value");
	if ((to = json_number_end(from, r->end)) == NULL)
		return refuse(r, from, "malformed number");
	r->p = to;
	return push_value(r, from, to, JSON_NUMBER) != NULL;
}

/* ---- containers ---- */

static inline void
skip_space(struct reader *r)
{
	while (r->p < r->end &&
	    (*r->p == ' ' || *r->p == '\n' || *r->p == '\r' || *r->p == '\t'))
		r->p++;
}

static bool
open_container(struct reader *r, enum json_type type)
{
	uint32_t parent = r->open;
	struct json_token *t;

	if (r->depth == JSON_MAX_DEPTH)
		return fail(r, r->p, MP_E_TOO_LARGE, "nested too deeply");
	if ((t = push_value(r, r->p, r->p + 1, type)) == NULL)
		return false;
	t->end = parent;
	r->open = r->value;
	r->in_object = type == JSON_OBJECT;
	r->depth++;
	r->p++;
	skip_space(r);
	return true;
}

static bool
check_keys(struct reader *r, uint32_t at)
{
	struct json *j = r->j;
	uint32_t keys = json_size(j, at);
	/* two entries of 8 bytes for each key, put behind the last token: as large as one of these */
	uint32_t scratch = keys > JSON_FEW_KEYS ? keys : 0;
	uint32_t twice;

	if (j->cap - j->count < scratch && !grow(r, j->count + scratch))
		return false;
	twice = json_duplicate(j, at, (uint64_t *)(void *)(j->tokens + j->count));
	if (twice != JSON_NONE)
		return refuse(r, j->text + j->tokens[twice].start, "duplicate key");
	return true;
}

static bool
close_container(struct reader *r)
{
	struct json *j = r->j;
	uint32_t at = r->open;
	struct json_token *t = &j->tokens[at];
	uint32_t parent = t->end;

	/* a member is found by its key, which stands right before the value */
	if (t->info >= TOKEN_ONE)
		j->tokens[r->in_object ? r->value - 1 : r->value].info |= TOKEN_LAST;
	r->p++;
	t->end = j->count;
	t->len = (uint32_t)(r->p - j->text) - t->start;
	if (r->in_object && t->info >= 2 * TOKEN_ONE && !j->last_key_wins && !check_keys(r, at))
		return false;
	r->value = at;
	r->open = parent;
	r->in_object = parent != JSON_NONE && token_type(&j->tokens[parent]) == JSON_OBJECT;
	r->depth--;
	return true;
}

/* A key and its colon. */
static bool
read_key(struct reader *r)
{
	uint32_t info = JSON_STRING | TOKEN_KEY;
	struct json_token *t;
	const char *quote;

	skip_space(r);
	if (r->p == r->end)
		return refuse(r, r->p, "the text ends inside an object");
	if (*r->p != '"')
		return refuse(r, r->p, "expected a key");
	if ((quote = scan_string(r, r->p + 1, &info)) == NULL)
		return false;
	r->j->tokens[r->open].info += TOKEN_ONE;
	if ((t = push(r, r->p, quote + 1, info)) == NULL)
		return false;
	t->end = json_hash_token(r->j, t);
	r->p = quote + 1;
	skip_space(r);
	if (r->p == r->end)
		return refuse(r, r->p, "the text ends inside an object");
	if (*r->p != ':')
		return refuse(r, r->p, "expected a colon after the key");
	r->p++;
	return true;
}

/* Opens containers until a value is complete: a scalar or an empty container. */
static bool
read_value(struct reader *r)
{
	for (;;) {
		skip_space(r);
		if (r->p == r->end)
			return refuse(r, r->p, "the text ends where a value should be");
		switch (*r->p) {
		case '"':
			return read_string(r);
		case '{':
			if (!open_container(r, JSON_OBJECT))
				return false;
			if (r->p < r->end && *r->p == '}')
				return close_container(r);
			if (!read_key(r))
				return false;
			break;
		case '[':
			if (!open_container(r, JSON_ARRAY))
				return false;
			if (r->p < r->end && *r->p == ']')
				return close_container(r);
			break;
		case 't':
			return read_literal(r, "true", 4, JSON_TRUE);
		case 'f':
			return read_literal(r, "false", 5, JSON_FALSE);
		case 'n':
			return read_literal(r, "null", 4, JSON_NULL);
		default:
			return read_number(r);
		}
	}
}

/* After a value: closes what ends here, then stands before the next value or at the end. */
static bool
read_after(struct reader *r, bool *done)
{
	for (;;) {
		skip_space(r);
		if (r->open == JSON_NONE) {
			*done = true;
			return r->p == r->end || refuse(r, r->p, "something follows the value");
		}
		if (r->p == r->end)
			return refuse(r, r->p, r->in_object ? "the text ends inside an object"
			                                    : "the text ends inside an array");
		if (*r->p == ',') {
			r->p++;
			return !r->in_object || read_key(r);
		}
		if (*r->p != (r->in_object ? '}' : ']'))
			return refuse(r, r->p, r->in_object ? "expected a comma or }"
			                                    : "expected a comma or ]");
		if (!close_container(r))
			return false;
	}
}

int
json_read(struct json *j, const char *text, size_t n, enum json_flags flags)
{
	struct reader r = { .j = j, .p = text, .open = JSON_NONE };
	bool done = false;

	j->text = text;
	j->len = n;
	j->count = 0;
	j->last_key_wins = (flags & JSON_LAST_KEY_WINS) != 0;
	j->problem = NULL;
	j->problem_offset = 0;
	if (j->cap > TAPE_KEPT_TOKENS && n < j->cap / 16)
		free_tape(j);
	if (n > MAX_TEXT) {
		j->problem = "longer than 2 GiB";
		return MP_E_TOO_LARGE;
	}
	if (n == 0) {
		j->problem = "the text is empty";
		return MP_E_INVALID_PARAMS;
	}
	r.end = text + n;
	while (!done) {
		if (!read_value(&r) || !read_after(&r, &done)) {
			j->count = 0;
			return r.result;
		}
	}
	return 0;
}

void
json_clear(struct json *j)
{
	free_tape(j);
	*j = (struct json)JSON_INIT;
}

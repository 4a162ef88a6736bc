/* json_value.c - looking at what json_read has read. */
#include <stdlib.h>

#include "protocol/base/err.h"
#include "protocol/base/json_token.h"
#include "protocol/base/scan.h"

static const struct json_token *
token(const struct json *j, uint32_t at)
{
	return at < j->count ? &j->tokens[at] : NULL;
}

static const struct json_token *
typed(const struct json *j, uint32_t at, enum json_type type)
{
	const struct json_token *t = token(j, at);

	return t != NULL && token_type(t) == type ? t : NULL;
}

enum json_type
json_type(const struct json *j, uint32_t at)
{
	const struct json_token *t = token(j, at);

	return t != NULL ? token_type(t) : JSON_NULL;
}

bool
json_is(const struct json *j, uint32_t at, enum json_type type)
{
	return json_type(j, at) == type;
}

/* The token after at and all that is in it. */
static uint32_t
after(const struct json *j, uint32_t at)
{
	const struct json_token *t = &j->tokens[at];

	return token_type(t) >= JSON_ARRAY ? t->end : at + 1;
}

uint32_t
json_size(const struct json *j, uint32_t at)
{
	const struct json_token *t = token(j, at);

	return t != NULL ? t->info / TOKEN_ONE : 0;
}

uint32_t
json_first(const struct json *j, uint32_t at)
{
	return json_size(j, at) > 0 ? at + 1 : JSON_NONE;
}

uint32_t
json_next(const struct json *j, uint32_t at)
{
	const struct json_token *t = token(j, at);

	if (t == NULL || (t->info & TOKEN_LAST) != 0)
		return JSON_NONE;
	return after(j, (t->info & TOKEN_KEY) != 0 ? at + 1 : at);
}

uint32_t
json_value(const struct json *j, uint32_t key)
{
	const struct json_token *t = token(j, key);

	return t != NULL && (t->info & TOKEN_KEY) != 0 ? key + 1 : JSON_NONE;
}

uint32_t
json_item(const struct json *j, uint32_t at, uint32_t i)
{
	if (i >= json_size(j, at))
		return JSON_NONE;
	for (at = json_first(j, at); i > 0; i--)
		at = json_next(j, at);
	return at;
}

static bool
equals(const struct json *j, const struct json_token *t, const char *text, size_t n)
{
	struct json_bytes b;
	size_t i;

	if ((t->info & TOKEN_ESCAPED) == 0)
		return t->len - 2 == n && memcmp(j->text + t->start + 1, text, n) == 0;
	json_bytes_init(&b, j, t);
	for (i = 0; i < n; i++) {
		if (json_bytes_next(&b) != (unsigned char)text[i])
			return false;
	}
	return json_bytes_next(&b) < 0;
}

uint32_t
json_get(const struct json *j, uint32_t at, const char *key)
{
	uint32_t found = JSON_NONE;
	uint32_t hash, k;
	size_t n;

	if (typed(j, at, JSON_OBJECT) == NULL)
		return JSON_NONE;
	n = strlen(key);
	hash = json_hash(key, n);
	for (k = json_first(j, at); k != JSON_NONE; k = json_next(j, k)) {
		if (j->tokens[k].end != hash || !equals(j, &j->tokens[k], key, n))
			continue;
		found = k + 1;
		if (!j->last_key_wins)
			break;
	}
	return found;
}

uint32_t
json_along(const struct json *j, uint32_t at, const char *const *keys)
{
	for (; *keys != NULL; keys++)
		at = json_get(j, at, *keys);
	return at;
}

struct slice
json_raw(const struct json *j, uint32_t at)
{
	const struct json_token *t = token(j, at);

	return t != NULL ? (struct slice){ j->text + t->start, t->len } : (struct slice){ NULL, 0 };
}

bool
json_plain(const struct json *j, uint32_t at, struct slice *out)
{
	const struct json_token *t = typed(j, at, JSON_STRING);

	if (t == NULL || (t->info & TOKEN_ESCAPED) != 0)
		return false;
	*out = (struct slice){ j->text + t->start + 1, t->len - 2 };
	return true;
}

bool
json_equals(const struct json *j, uint32_t at, const char *text)
{
	const struct json_token *t = typed(j, at, JSON_STRING);

	return t != NULL && equals(j, t, text, strlen(text));
}

/* ---- unescaping ---- */

static bool
is_high(uint32_t code)
{
	return code >= 0xd800 && code <= 0xdbff;
}

static bool
is_low(uint32_t code)
{
	return code >= 0xdc00 && code <= 0xdfff;
}

static int
add_code(struct buf *out, uint32_t code)
{
	char bytes[4];

	if (is_high(code) || is_low(code))
		code = UTF8_REPLACEMENT;
	return buf_add(out, bytes, utf8_encode(code, bytes));
}

/* Unescapes p..end into `to`, where end - p bytes are free: no escape grows. Returns where it ended
 * in `to`. A high surrogate at the very end goes to *pending when that is given. */
static char *
unescape(char *to, const char *p, const char *end, uint32_t *pending)
{
	while (p < end) {
		unsigned used;
		uint32_t code;

		while (end - p >= 8) {
			uint64_t word = scan_load(p);
			uint64_t hit = scan_backslash(word);
			unsigned n = hit != 0 ? scan_first(hit) : 8;

			/* all eight in any case: what is too much is written over */
			memcpy(to, p, 8);
			to += n;
			p += n;
			if (n < 8)
				break;
		}
		if (p == end)
			break;
		if (*p != '\\') {
			*to++ = *p++;
			continue;
		}
		code = json_escape(p, end, &used);
		p += used;
		if (pending != NULL && p == end && is_high(code)) {
			*pending = code;
			break;
		}
		if (is_high(code) || is_low(code))
			code = UTF8_REPLACEMENT;
		to += utf8_encode(code, to);
	}
	return to;
}

/* As unescape when only the unescaped bytes, not the escaped, may fit below the ceiling. */
static int
unescape_tight(struct buf *out, const char *p, const char *end, uint32_t *pending)
{
	size_t before = out->len;
	unsigned used;
	uint32_t code;
	int r = 0;

	for (; r == 0 && p < end; p += used) {
		if (*p != '\\') {
			used = 1;
			r = buf_addc(out, *p);
			continue;
		}
		code = json_escape(p, end, &used);
		if (pending != NULL && p + used == end && is_high(code))
			*pending = code;
		else
			r = add_code(out, code);
	}
	if (r != 0)
		buf_truncate(out, before);
	return r;
}

static int
add_unescaped(struct buf *out, const char *p, const char *end, uint32_t *pending)
{
	size_t n = (size_t)(end - p);
	size_t max = out->max != 0 ? out->max : BUF_DEFAULT_MAX;
	char *to;
	int r;

	if (n > max - out->len)
		return unescape_tight(out, p, end, pending);
	if ((r = buf_reserve(out, n)) != 0)
		return r;
	to = unescape(out->data + out->len, p, end, pending);
	*to = '\0';
	out->len = (size_t)(to - out->data);
	return 0;
}

int
json_string(const struct json *j, uint32_t at, struct buf *out)
{
	const struct json_token *t = typed(j, at, JSON_STRING);
	const char *p;

	if (t == NULL)
		return 0;
	p = j->text + t->start + 1;
	if ((t->info & TOKEN_ESCAPED) == 0)
		return buf_add(out, p, t->len - 2);
	return add_unescaped(out, p, p + t->len - 2, NULL);
}

int
json_string_piece(const struct json *j, uint32_t at, uint32_t *pending, struct buf *out)
{
	const struct json_token *t = typed(j, at, JSON_STRING);
	const char *p, *end;
	unsigned used;
	uint32_t low;
	int r;

	if (t == NULL || t->len == 2)
		return 0;
	p = j->text + t->start + 1;
	end = p + t->len - 2;
	if (*pending != 0) {
		low = *p == '\\' ? json_escape(p, end, &used) : 0;
		if (is_low(low)) {
			r = add_code(out, 0x10000 + ((*pending - 0xd800) << 10) + (low - 0xdc00));
			p += used;
		} else {
			r = add_code(out, *pending);
		}
		*pending = 0;
		if (r != 0)
			return r;
	}
	if ((t->info & TOKEN_ESCAPED) == 0)
		return buf_add(out, p, (size_t)(end - p));
	return add_unescaped(out, p, end, pending);
}

int
json_flush_pending(uint32_t *pending, struct buf *out)
{
	uint32_t code = *pending;

	*pending = 0;
	return code != 0 ? add_code(out, code) : 0;
}

char *
json_strdup(const struct json *j, uint32_t at, size_t max_bytes)
{
	const struct json_token *t = typed(j, at, JSON_STRING);
	struct json_bytes b;
	size_t n = 0;
	char *copy;
	int c;

	if (t == NULL)
		return NULL;
	/* measured first: the text may be far longer than the caller allows */
	json_bytes_init(&b, j, t);
	while ((c = json_bytes_next(&b)) >= 0) {
		if (c == 0 || ++n > max_bytes)
			return NULL;
	}
	if ((copy = malloc(n + 1)) == NULL)
		return NULL;
	json_bytes_init(&b, j, t);
	for (n = 0; (c = json_bytes_next(&b)) >= 0; n++)
		copy[n] = (char)c;
	copy[n] = '\0';
	return copy;
}

/* json_write.c - the writer. */
#include <assert.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "protocol/base/json.h"
#include "protocol/base/scan.h"

static bool
bit(const uint64_t *bits, unsigned i)
{
	return (bits[i / 64] >> i % 64 & 1) != 0;
}

static void
set_bit(uint64_t *bits, unsigned i, bool on)
{
	if (on)
		bits[i / 64] |= UINT64_C(1) << i % 64;
	else
		bits[i / 64] &= ~(UINT64_C(1) << i % 64);
}

void
json_writer_init(struct json_writer *w, struct buf *out, bool pretty)
{
	*w = (struct json_writer){ .out = out, .pretty = pretty };
}

static void
new_line(struct json_writer *w)
{
	unsigned i;

	if (!w->pretty)
		return;
	buf_addc(w->out, '\n');
	for (i = 0; i < w->depth; i++)
		buf_add(w->out, "  ", 2);
}

/* The comma and the line before the next key or item of the container we are in. */
static void
next_item(struct json_writer *w)
{
	unsigned here = w->depth - 1;

	if (bit(w->has_items, here))
		buf_addc(w->out, ',');
	set_bit(w->has_items, here, true);
	new_line(w);
}

static void
before_value(struct json_writer *w)
{
	if (w->after_key) {
		w->after_key = false;
		return;
	}
	if (w->depth == 0) {
		assert(!w->any);
		w->any = true;
		return;
	}
	assert(!bit(w->is_object, w->depth - 1));
	next_item(w);
}

static void
begin(struct json_writer *w, char bracket, bool is_object)
{
	assert(w->depth < JSON_MAX_DEPTH);
	before_value(w);
	if (w->depth == JSON_MAX_DEPTH) { /* never past the bits, whatever the build */
		w->out->failed = true;
		return;
	}
	set_bit(w->is_object, w->depth, is_object);
	set_bit(w->has_items, w->depth, false);
	w->depth++;
	buf_addc(w->out, bracket);
}

static void
end(struct json_writer *w, char bracket, bool is_object)
{
	assert(w->depth > 0 && !w->after_key && bit(w->is_object, w->depth - 1) == is_object);
	(void)is_object;
	if (w->depth == 0) {
		w->out->failed = true;
		return;
	}
	w->depth--;
	if (bit(w->has_items, w->depth))
		new_line(w);
	buf_addc(w->out, bracket);
}

void
json_begin_object(struct json_writer *w)
{
	begin(w, '{', true);
}

void
json_end_object(struct json_writer *w)
{
	end(w, '}', true);
}

void
json_begin_array(struct json_writer *w)
{
	begin(w, '[', false);
}

void
json_end_array(struct json_writer *w)
{
	end(w, ']', false);
}

/* ---- strings ---- */

/* Longest text that one character turns into, and what escape_into_room leaves free beyond that. */
#define UNIT_MAX 6
#define SLACK ((size_t)8)

/* Writes the character at p as it stands in a string, moves *to past it and says how many bytes of
 * p it was. */
static inline size_t
put_unit(char **to, const char *p, size_t n)
{
	static const char letters[0x20] = {
		['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r',
	};
	static const char hex[] = "0123456789abcdef";
	unsigned char c = (unsigned char)*p;
	unsigned step;

	if (c == '"' || c == '\\' || (c < 0x20 && letters[c] != 0)) {
		*(*to)++ = '\\';
		*(*to)++ = c < 0x20 ? letters[c] : *p;
		return 1;
	}
	if (c < 0x20) {
		memcpy(*to, "\\u00", 4);
		(*to)[4] = hex[c >> 4];
		(*to)[5] = hex[c & 15];
		*to += 6;
		return 1;
	}
	if ((step = utf8_step(p, n)) == 0) {
		memcpy(*to, UTF8_REPLACEMENT_BYTES, 3);
		*to += 3;
		return utf8_bad_length(p, n);
	}
	memcpy(*to, p, step);
	*to += step;
	return step;
}

/* Escapes as long as all that is left, and SLACK, has room without growing. Returns how far it
 * came. */
static size_t
escape_into_room(struct buf *out, const char *s, size_t n)
{
	char *to = out->data + out->len;
	const char *limit = out->data + out->cap - 1;
	size_t i = 0;

	while (i < n && (size_t)(limit - to) >= n - i + SLACK) {
		while (n - i >= 8) {
			uint64_t hit = scan_special(scan_load(s + i));
			unsigned run = hit != 0 ? scan_first(hit) : 8;

			/* all eight in any case: what is too much is written over */
			memcpy(to, s + i, 8);
			to += run;
			i += run;
			if (run < 8)
				break;
		}
		if (i < n)
			i += put_unit(&to, s + i, n - i);
	}
	*to = '\0';
	out->len = (size_t)(to - out->data);
	return i;
}

/* Room for n bytes and some escapes, when the ceiling allows that. */
static bool
make_room(struct buf *out, size_t n)
{
	size_t max = out->max != 0 ? out->max : BUF_DEFAULT_MAX;
	size_t want = n / 8 + 2 * SLACK;

	return n < max - out->len && want < max - out->len - n && buf_reserve(out, n + want) == 0;
}

static void
add_escaped(struct buf *out, const char *s, size_t n)
{
	while (n > 0) {
		char unit[UNIT_MAX];
		char *to = unit;
		size_t used;

		if (make_room(out, n)) {
			used = escape_into_room(out, s, n);
		} else { /* close to the ceiling: what still fits */
			used = put_unit(&to, s, n);
			if (buf_add(out, unit, (size_t)(to - unit)) != 0)
				return;
		}
		s += used;
		n -= used;
	}
}

static void
add_string(struct json_writer *w, const char *s, size_t n)
{
	buf_addc(w->out, '"');
	add_escaped(w->out, s, n);
	buf_addc(w->out, '"');
}

void
json_key_n(struct json_writer *w, const char *key, size_t n)
{
	assert(w->depth > 0 && !w->after_key && bit(w->is_object, w->depth - 1));
	if (w->depth == 0) {
		w->out->failed = true;
		return;
	}
	next_item(w);
	add_string(w, key, n);
	buf_addc(w->out, ':');
	if (w->pretty)
		buf_addc(w->out, ' ');
	w->after_key = true;
}

void
json_key(struct json_writer *w, const char *key)
{
	json_key_n(w, key, strlen(key));
}

void
json_put_string_n(struct json_writer *w, const char *s, size_t n)
{
	before_value(w);
	add_string(w, s, n);
}

void
json_put_string(struct json_writer *w, const char *s)
{
	json_put_string_n(w, s, strlen(s));
}

void
json_begin_string(struct json_writer *w)
{
	before_value(w);
	buf_addc(w->out, '"');
}

void
json_string_part(struct json_writer *w, const char *s, size_t n)
{
	add_escaped(w->out, s, n);
}

void
json_string_part_base64(struct json_writer *w, const void *data, size_t n)
{
	base64_encode(w->out, data, n);
}

void
json_end_string(struct json_writer *w)
{
	buf_addc(w->out, '"');
}

/* ---- the other values ---- */

void
json_put_raw(struct json_writer *w, const char *text, size_t n)
{
	before_value(w);
	buf_add(w->out, text, n);
}

void
json_put_int(struct json_writer *w, int64_t v)
{
	before_value(w);
	buf_addf(w->out, "%" PRId64, v);
}

void
json_put_uint(struct json_writer *w, uint64_t v)
{
	before_value(w);
	buf_addf(w->out, "%" PRIu64, v);
}

void
json_put_double(struct json_writer *w, double v)
{
	locale_t c, old;
	char text[40];
	int digits;

	if (!isfinite(v)) {
		json_put_null(w);
		return;
	}
	/* the point of the C locale; 17 digits always come back as the same number */
	c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	if (c == (locale_t)0) {
		w->out->failed = true;
		return;
	}
	old = uselocale(c);
	for (digits = 1; digits <= 17; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, v);
		if (strtod(text, NULL) == v)
			break;
	}
	uselocale(old);
	freelocale(c);
	json_put_raw(w, text, strlen(text));
}

void
json_put_bool(struct json_writer *w, bool v)
{
	json_put_raw(w, v ? "true" : "false", v ? 4 : 5);
}

void
json_put_null(struct json_writer *w)
{
	json_put_raw(w, "null", 4);
}

void
json_kv_string(struct json_writer *w, const char *key, const char *s)
{
	if (s == NULL)
		return;
	json_key(w, key);
	json_put_string(w, s);
}

void
json_kv_int(struct json_writer *w, const char *key, int64_t v)
{
	json_key(w, key);
	json_put_int(w, v);
}

void
json_kv_bool(struct json_writer *w, const char *key, bool v)
{
	json_key(w, key);
	json_put_bool(w, v);
}

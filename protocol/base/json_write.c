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

/* What stands at p and may not be copied: escapes or replaces it and says how long it was. */
static size_t
add_special(struct buf *out, const char *p, size_t n)
{
	static const char letters[0x20] = {
		['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r',
	};
	unsigned char c = (unsigned char)*p;
	char text[2] = { '\\', *p };

	if (c >= 0x80) {
		buf_adds(out, UTF8_REPLACEMENT_BYTES);
		return utf8_bad_length(p, n);
	}
	if (c < 0x20 && letters[c] == 0) {
		buf_addf(out, "\\u%04x", (unsigned)c);
		return 1;
	}
	if (c < 0x20)
		text[1] = letters[c];
	buf_add(out, text, 2);
	return 1;
}

/* How many bytes from p may be copied as they are. */
static size_t
plain_run(const char *p, size_t n)
{
	size_t i = 0;

	while (i < n) {
		unsigned char c;
		unsigned step;

		while (n - i >= 8) {
			uint64_t hit = scan_special(scan_load(p + i));

			if (hit != 0) {
				i += scan_first(hit);
				break;
			}
			i += 8;
		}
		if (i == n)
			break;
		c = (unsigned char)p[i];
		if (c < 0x20 || c == '"' || c == '\\' || (step = utf8_step(p + i, n - i)) == 0)
			break;
		i += step;
	}
	return i;
}

static void
add_escaped(struct buf *out, const char *s, size_t n)
{
	/* nothing gets shorter, so this much is needed in any case */
	if (buf_reserve(out, n) != 0)
		return;
	while (n > 0) {
		size_t run = plain_run(s, n);

		buf_add(out, s, run);
		s += run;
		n -= run;
		if (n > 0) {
			size_t used = add_special(out, s, n);

			s += used;
			n -= used;
		}
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

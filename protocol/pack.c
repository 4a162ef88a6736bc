/* pack.c - the msgpack writer.
 *
 * A container's header is one byte until its close, because most of ours are small; a container of
 * more than 15 items moves its content up by two or four bytes then. */
#include "protocol/pack.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "protocol/limits.h"

void
pack_init(struct pack *p, struct buf *out)
{
	memset(p, 0, sizeof *p);
	p->out = out;
}

/* Every value written counts as an item of the innermost open container. */
static void
count_item(struct pack *p)
{
	if (p->depth > 0 && p->depth <= PACK_MAX_DEPTH)
		p->open[p->depth - 1].count++;
}

/* Big-endian number of width bytes after a format byte. */
static void
add_head(struct pack *p, unsigned char format, uint64_t n, unsigned width)
{
	unsigned char head[9];
	unsigned i;

	head[0] = format;
	for (i = 0; i < width; i++)
		head[1 + i] = (unsigned char)(n >> (8 * (width - 1 - i)));
	buf_add(p->out, head, 1 + width);
}

static void
container_begin(struct pack *p, bool map)
{
	count_item(p);
	/* deeper than the protocol allows: possible only with foreign JSON */
	if (p->depth++ >= PACK_MAX_DEPTH) {
		p->out->failed = true;
		return;
	}
	p->open[p->depth - 1].at = p->out->len;
	p->open[p->depth - 1].count = 0;
	p->open[p->depth - 1].map = map;
	buf_addc(p->out, (char)(map ? 0x80 : 0x90));
}

/* Opens a gap of extra bytes after the one-byte header at `at`. False when it does not fit. */
static bool
widen_head(struct buf *b, size_t at, size_t extra)
{
	static const char gap[4] = { 0 };

	if (buf_add(b, gap, extra) != 0)
		return false;
	memmove(b->data + at + 1 + extra, b->data + at + 1, b->len - extra - at - 1);
	return true;
}

static void
container_end(struct pack *p, bool map)
{
	struct buf *b = p->out;
	unsigned width;
	uint32_t n;
	size_t at;

	assert(p->depth > 0);
	if (--p->depth >= PACK_MAX_DEPTH || b->failed)
		return;
	assert(p->open[p->depth].map == map);
	at = p->open[p->depth].at;
	n = p->open[p->depth].count;
	if (map) {
		assert(n % 2 == 0);
		n /= 2;
	}
	if (n <= 15) {
		b->data[at] = (char)((map ? 0x80 : 0x90) | n);
		return;
	}
	width = n <= UINT16_MAX ? 2 : 4;
	if (!widen_head(b, at, width))
		return;
	b->data[at] = (char)((map ? 0xde : 0xdc) + (width == 4));
	for (; width > 0; width--, n >>= 8)
		b->data[at + width] = (char)(n & 0xff);
}

void
pack_map_begin(struct pack *p)
{
	container_begin(p, true);
}

void
pack_map_end(struct pack *p)
{
	container_end(p, true);
}

void
pack_array_begin(struct pack *p)
{
	container_begin(p, false);
}

void
pack_array_end(struct pack *p)
{
	container_end(p, false);
}

void
pack_nil(struct pack *p)
{
	count_item(p);
	buf_addc(p->out, (char)0xc0);
}

void
pack_bool(struct pack *p, bool v)
{
	count_item(p);
	buf_addc(p->out, (char)(v ? 0xc3 : 0xc2));
}

static void
pack_negative(struct pack *p, int64_t v)
{
	if (v >= -32)
		buf_addc(p->out, (char)v);
	else if (v >= INT8_MIN)
		add_head(p, 0xd0, (uint64_t)v, 1);
	else if (v >= INT16_MIN)
		add_head(p, 0xd1, (uint64_t)v, 2);
	else if (v >= INT32_MIN)
		add_head(p, 0xd2, (uint64_t)v, 4);
	else
		add_head(p, 0xd3, (uint64_t)v, 8);
}

void
pack_int(struct pack *p, int64_t v)
{
	count_item(p);
	if (v < 0)
		pack_negative(p, v);
	else if (v <= 0x7f)
		buf_addc(p->out, (char)v);
	else if (v <= UINT8_MAX)
		add_head(p, 0xcc, (uint64_t)v, 1);
	else if (v <= UINT16_MAX)
		add_head(p, 0xcd, (uint64_t)v, 2);
	else if (v <= UINT32_MAX)
		add_head(p, 0xce, (uint64_t)v, 4);
	else
		add_head(p, 0xcf, (uint64_t)v, 8);
}

void
pack_double(struct pack *p, double v)
{
	uint64_t bits;

	if (!isfinite(v)) { /* the protocol has no NaN and no infinity */
		pack_nil(p);
		return;
	}
	count_item(p);
	memcpy(&bits, &v, sizeof bits);
	add_head(p, 0xcb, bits, 8);
}

static void
add_str(struct pack *p, const char *s, size_t n)
{
	if (n > UINT32_MAX) {
		p->out->failed = true;
		return;
	}
	if (n <= 31)
		buf_addc(p->out, (char)(0xa0 | n));
	else if (n <= UINT8_MAX)
		add_head(p, 0xd9, n, 1);
	else if (n <= UINT16_MAX)
		add_head(p, 0xda, n, 2);
	else
		add_head(p, 0xdb, n, 4);
	if (n > 0)
		buf_add(p->out, s, n);
}

void
pack_str(struct pack *p, const char *s)
{
	pack_str_n(p, s, s == NULL ? 0 : strlen(s));
}

void
pack_str_n(struct pack *p, const char *s, size_t n)
{
	struct buf repaired;

	count_item(p);
	if (n == 0 || utf8_valid(s, n)) {
		add_str(p, s, n);
		return;
	}
	/* U+FFFD takes three bytes where at least one was wrong */
	buf_init(&repaired, n * 3);
	repaired.wipe = p->out->wipe;
	utf8_repair(&repaired, s, n);
	if (repaired.failed)
		p->out->failed = true;
	else
		add_str(p, repaired.data, repaired.len);
	buf_clear(&repaired);
}

void
pack_bin(struct pack *p, const void *data, size_t n)
{
	count_item(p);
	if (n > UINT32_MAX) {
		p->out->failed = true;
		return;
	}
	if (n <= UINT8_MAX)
		add_head(p, 0xc4, n, 1);
	else if (n <= UINT16_MAX)
		add_head(p, 0xc5, n, 2);
	else
		add_head(p, 0xc6, n, 4);
	if (n > 0)
		buf_add(p->out, data, n);
}

void
pack_raw(struct pack *p, const void *data, size_t n)
{
	count_item(p);
	buf_add(p->out, data, n);
}

static void
pack_json_string(struct pack *p, const struct json *j, uint32_t at)
{
	struct buf text = BUF_INIT;
	struct slice plain;

	if (json_plain(j, at, &plain)) {
		pack_str_n(p, plain.data, plain.len);
		return;
	}
	text.wipe = p->out->wipe;
	if (json_string(j, at, &text) != 0)
		p->out->failed = true;
	pack_str_n(p, text.data, text.len);
	buf_clear(&text);
}

static void
pack_json_number(struct pack *p, const struct json *j, uint32_t at)
{
	struct slice raw = json_raw(j, at);
	int64_t whole;
	double real;

	/* 30.0 stays a float: only text without fraction and exponent is meant as whole */
	if (memchr(raw.data, '.', raw.len) == NULL && memchr(raw.data, 'e', raw.len) == NULL
	    && memchr(raw.data, 'E', raw.len) == NULL && json_int(j, at, &whole))
		pack_int(p, whole);
	else if (json_double(j, at, &real))
		pack_double(p, real);
	else
		pack_nil(p);
}

static void
pack_json_children(struct pack *p, const struct json *j, uint32_t at)
{
	bool map = json_is(j, at, JSON_OBJECT);
	uint32_t child;

	container_begin(p, map);
	/* past the limit the writing has failed already: do not go on to JSON's own depth */
	for (child = json_first(j, at); child != JSON_NONE && !p->out->failed;
	    child = json_next(j, child)) {
		if (map) {
			pack_json_string(p, j, child);
			pack_json(p, j, json_value(j, child));
		} else
			pack_json(p, j, child);
	}
	container_end(p, map);
}

void
pack_json(struct pack *p, const struct json *j, uint32_t at)
{
	switch (json_type(j, at)) {
	case JSON_NULL:
		pack_nil(p);
		break;
	case JSON_FALSE:
	case JSON_TRUE:
		pack_bool(p, json_is(j, at, JSON_TRUE));
		break;
	case JSON_NUMBER:
		pack_json_number(p, j, at);
		break;
	case JSON_STRING:
		pack_json_string(p, j, at);
		break;
	case JSON_ARRAY:
	case JSON_OBJECT:
		pack_json_children(p, j, at);
		break;
	}
}

void
pack_kv_str(struct pack *p, const char *key, const char *s)
{
	if (s == NULL)
		return;
	pack_str(p, key);
	pack_str(p, s);
}

void
pack_kv_slice(struct pack *p, const char *key, struct slice s)
{
	if (s.data == NULL)
		return;
	pack_str(p, key);
	pack_str_n(p, s.data, s.len);
}

void
pack_kv_int(struct pack *p, const char *key, int64_t v)
{
	pack_str(p, key);
	pack_int(p, v);
}

void
pack_kv_double(struct pack *p, const char *key, double v)
{
	if (!isfinite(v))
		return;
	pack_str(p, key);
	pack_double(p, v);
}

void
pack_kv_bool(struct pack *p, const char *key, bool v)
{
	pack_str(p, key);
	pack_bool(p, v);
}

/* check.c - the bounded checker (THREATS.md section 6). */
#include "protocol/check.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "protocol/base/str.h"
#include "protocol/message.h"

enum head_type {
	HEAD_NEVER,
	HEAD_NIL,
	HEAD_BOOL,
	HEAD_UINT,
	HEAD_INT,
	HEAD_FLOAT,
	HEAD_STR,
	HEAD_BIN,
	HEAD_ARRAY,
	HEAD_MAP,
	HEAD_EXT,
};

/* A decoded header: what one format byte and the bytes that belong to it announce. */
struct head {
	enum head_type type;
	uint64_t n;    /* value, bytes of payload, items or pairs */
	size_t bytes;  /* of the header itself */
};

/* Formats 0xc0 to 0xdf: type and width of the number that follows. */
static const struct {
	unsigned char type;
	unsigned char width;
} formats[32] = {
	[0x00] = { HEAD_NIL, 0 }, [0x01] = { HEAD_NEVER, 0 },
	[0x02] = { HEAD_BOOL, 0 }, [0x03] = { HEAD_BOOL, 0 },
	[0x04] = { HEAD_BIN, 1 }, [0x05] = { HEAD_BIN, 2 }, [0x06] = { HEAD_BIN, 4 },
	[0x07] = { HEAD_EXT, 1 }, [0x08] = { HEAD_EXT, 2 }, [0x09] = { HEAD_EXT, 4 },
	[0x0a] = { HEAD_FLOAT, 4 }, [0x0b] = { HEAD_FLOAT, 8 },
	[0x0c] = { HEAD_UINT, 1 }, [0x0d] = { HEAD_UINT, 2 },
	[0x0e] = { HEAD_UINT, 4 }, [0x0f] = { HEAD_UINT, 8 },
	[0x10] = { HEAD_INT, 1 }, [0x11] = { HEAD_INT, 2 },
	[0x12] = { HEAD_INT, 4 }, [0x13] = { HEAD_INT, 8 },
	[0x14] = { HEAD_EXT, 0 }, [0x15] = { HEAD_EXT, 0 }, [0x16] = { HEAD_EXT, 0 },
	[0x17] = { HEAD_EXT, 0 }, [0x18] = { HEAD_EXT, 0 },
	[0x19] = { HEAD_STR, 1 }, [0x1a] = { HEAD_STR, 2 }, [0x1b] = { HEAD_STR, 4 },
	[0x1c] = { HEAD_ARRAY, 2 }, [0x1d] = { HEAD_ARRAY, 4 },
	[0x1e] = { HEAD_MAP, 2 }, [0x1f] = { HEAD_MAP, 4 },
};

void
check_init(struct check *c)
{
	memset(c, 0, sizeof *c);
	c->kind = -1;
	c->outstanding = 1;
}

/* False when the header itself is cut. */
static bool
head_read(const unsigned char *p, size_t n, struct head *h)
{
	unsigned char b = p[0];
	size_t i;

	h->bytes = 1;
	if (b <= 0x7f) {
		h->type = HEAD_UINT;
		h->n = b;
	} else if (b >= 0xe0) {
		h->type = HEAD_INT;
		h->n = (uint64_t)(int64_t)(int8_t)b;
	} else if (b >= 0xc0) {
		h->type = (enum head_type)formats[b - 0xc0].type;
		h->bytes += formats[b - 0xc0].width;
		if (n < h->bytes && h->type != HEAD_EXT)
			return false;
		h->n = 0;
		for (i = 1; i < h->bytes && i < n; i++)
			h->n = h->n << 8 | p[i];
	} else {
		h->type = b >= 0xa0 ? HEAD_STR : b >= 0x90 ? HEAD_ARRAY : HEAD_MAP;
		h->n = b & (h->type == HEAD_STR ? 0x1f : 0x0f);
	}
	return true;
}

/* Inside the parameters of a request the fault is the caller's value, not the stream. */
static int
refuse_value(struct check *c, const char *problem)
{
	c->problem = problem;
	return c->depth >= 2 && c->kind != MESSAGE_REPLY ? MP_E_INVALID_PARAMS : MP_E_PROTOCOL;
}

static int
refuse(struct check *c, int code, const char *problem)
{
	c->problem = problem;
	return code;
}

static int
check_integer(struct check *c, const struct head *h)
{
	int64_t v = (int64_t)h->n;

	if (h->type == HEAD_INT && h->bytes > 1) /* sign-extend what was read as unsigned */
		v = (int64_t)(h->n << (64 - 8 * (h->bytes - 1))) >> (64 - 8 * (h->bytes - 1));
	if (h->type == HEAD_UINT ? h->n > (uint64_t)LIMIT_INT_MAX
	                         : v > LIMIT_INT_MAX || v < -LIMIT_INT_MAX)
		return refuse_value(c, "integers must lie within +-(2^53 - 1)");
	return 0;
}

static int
check_float(struct check *c, const struct head *h)
{
	uint32_t bits = (uint32_t)h->n;
	float single;
	double real;

	if (h->bytes == 5) {
		memcpy(&single, &bits, sizeof single);
		real = (double)single;
	} else
		memcpy(&real, &h->n, sizeof real);
	return isfinite(real) ? 0 : refuse_value(c, "numbers must be finite");
}

/* The outermost array: a request, a reply or a notification. */
static int
check_envelope(struct check *c, const struct head *h)
{
	bool method = c->kind == MESSAGE_NOTIFICATION ? c->items == 1 : c->items == 2;

	if (c->depth == 0) {
		if (h->type != HEAD_ARRAY)
			return refuse(c, MP_E_PROTOCOL, "a message must be an array (msgpack-RPC)");
		if (h->n != 3 && h->n != 4)
			return refuse(
			    c, MP_E_PROTOCOL, "a message must be an array of 3 or 4 items");
		return 0;
	}
	if (c->items == 0) {
		if (h->type != HEAD_UINT || h->n > MESSAGE_NOTIFICATION)
			return refuse(c, MP_E_PROTOCOL, "a message must begin with 0, 1 or 2");
		if (c->open[0].left != (h->n == MESSAGE_NOTIFICATION ? 3 : 4))
			return refuse(c, MP_E_PROTOCOL,
			    "a request or reply has 4 items, a notification has 3");
		c->kind = (int)h->n;
		return 0;
	}
	if (c->items == 1 && c->kind != MESSAGE_NOTIFICATION) {
		if (h->type != HEAD_UINT || h->n > UINT32_MAX)
			return refuse(c, MP_E_PROTOCOL, "the msgid must be an integer of 32 bits");
		c->msgid = (uint32_t)h->n;
		c->msgid_known = true;
		return 0;
	}
	if (method && c->kind != MESSAGE_REPLY) {
		if (h->type != HEAD_STR || h->n == 0 || h->n > LIMIT_METHOD_BYTES)
			return refuse(
			    c, MP_E_PROTOCOL, "the method must be a str of 1 to 64 bytes");
	}
	return 0;
}

static bool
at_key(const struct check *c)
{
	return c->depth > 0 && c->open[c->depth - 1].map && c->open[c->depth - 1].left % 2 == 0;
}

/* One object is whole: closes every container that it was the last of. */
static void
object_done(struct check *c)
{
	while (c->depth > 0 && --c->open[c->depth - 1].left == 0)
		c->depth--;
	if (c->depth == 1)
		c->items++;
}

static int
container_open(struct check *c, const struct head *h, size_t max_bytes)
{
	bool map = h->type == HEAD_MAP;
	uint64_t objects = map ? h->n * 2 : h->n;

	if (c->depth == LIMIT_DEPTH)
		return refuse(c, MP_E_TOO_MANY, "nested deeper than 16 levels");
	if (h->n > LIMIT_ELEMENTS - c->elements)
		return refuse(c, MP_E_TOO_MANY, "more than 65536 elements in one message");
	/* what was announced must fit even if each object took one byte only */
	if (c->pos + h->bytes + (c->outstanding - 1) + objects > max_bytes)
		return refuse(c, MP_E_TOO_LARGE, NULL);
	c->elements += (uint32_t)h->n;
	c->outstanding = c->outstanding - 1 + (size_t)objects;
	c->pos += h->bytes;
	if (h->n == 0) {
		object_done(c);
		return 1;
	}
	c->open[c->depth].left = (uint32_t)objects;
	c->open[c->depth].map = map;
	c->depth++;
	return 1;
}

/* str and bin: 1 accepted, 0 not all there yet. */
static int
payload(struct check *c, const struct head *h, const unsigned char *p, size_t n, size_t max_bytes)
{
	const char *text = (const char *)p + h->bytes;
	bool key = at_key(c);

	if (c->pos + h->bytes + h->n + (c->outstanding - 1) > max_bytes)
		return refuse(c, MP_E_TOO_LARGE, NULL);
	if (n < h->bytes + h->n)
		return 0;
	if (h->type == HEAD_STR && !utf8_valid(text, (size_t)h->n))
		return refuse_value(c, "text must be valid UTF-8");
	if (c->depth == 1 && c->kind != MESSAGE_REPLY && memchr(text, 0, (size_t)h->n) != NULL)
		return refuse(c, MP_E_PROTOCOL, "the method must not contain NUL");
	if (key && c->depth == 3) {
		c->field_at = c->pos + h->bytes;
		c->field_len = (size_t)h->n;
	}
	c->pos += h->bytes + (size_t)h->n;
	c->outstanding--;
	object_done(c);
	return 1;
}

/* The object that begins at p. 1 accepted, 0 cut. */
static int
object(struct check *c, const unsigned char *p, size_t n, size_t max_bytes)
{
	struct head h;
	bool whole = head_read(p, n, &h);
	int r = 0;

	/* also when it is cut: nobody waits for bytes that would be too many */
	if (c->pos + h.bytes + (c->outstanding - 1) > max_bytes)
		return refuse(c, MP_E_TOO_LARGE, NULL);
	if (!whole)
		return 0;
	if (c->depth <= 1 && (r = check_envelope(c, &h)) != 0)
		return r;
	if (at_key(c) && c->depth == 3)
		c->field_len = 0;
	if (h.type != HEAD_STR && at_key(c))
		return refuse_value(c, "map keys must be text");
	switch (h.type) {
	case HEAD_NEVER:
		return refuse(c, MP_E_PROTOCOL, "0xc1 is no msgpack format");
	case HEAD_EXT:
		return refuse_value(c, "ext types are not used");
	case HEAD_ARRAY:
	case HEAD_MAP:
		return container_open(c, &h, max_bytes);
	case HEAD_STR:
	case HEAD_BIN:
		return payload(c, &h, p, n, max_bytes);
	case HEAD_UINT:
	case HEAD_INT:
		r = check_integer(c, &h);
		break;
	case HEAD_FLOAT:
		r = check_float(c, &h);
		break;
	case HEAD_NIL:
	case HEAD_BOOL:
		break;
	}
	if (r != 0)
		return r;
	c->pos += h.bytes;
	c->outstanding--;
	object_done(c);
	return 1;
}

int
check_run(struct check *c, const void *frame, size_t n, size_t max_bytes)
{
	const unsigned char *p = frame;
	int r;

	while (c->outstanding > 0) {
		if (c->pos >= n)
			return 0;
		if ((r = object(c, p + c->pos, n - c->pos, max_bytes)) <= 0)
			return r;
	}
	return 1;
}

int
check_error(const struct check *c, const void *frame, int code, size_t max_bytes,
    struct error *err)
{
	const char *name = (const char *)frame + c->field_at;
	char field[sizeof err->field];

	if (code == MP_E_TOO_LARGE) {
		error_set(err, code, "the message is larger than %zu bytes", max_bytes);
		if (max_bytes <= LIMIT_MESSAGE_BEFORE_HELLO)
			error_hint(err, "call sys.hello first: it raises the limit to %zu bytes",
			    (size_t)LIMIT_MESSAGE_AFTER_HELLO);
		return code;
	}
	assert(c->problem != NULL);
	if (code != MP_E_INVALID_PARAMS || c->field_len == 0 || c->field_len >= sizeof field)
		return error_set(err, code, "%s", c->problem);
	memcpy(field, name, c->field_len);
	field[c->field_len] = '\0';
	return error_field(err, field, "%s: %s", field, c->problem);
}

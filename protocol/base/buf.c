/* buf.c - bytes that grow up to a ceiling. */
#include "protocol/base/buf.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/err.h"
#include "protocol/base/portable.h"

#define FIRST_BYTES 64

static size_t
ceiling(const struct buf *b)
{
	return b->max != 0 ? b->max : BUF_DEFAULT_MAX;
}

static void
wipe_from(struct buf *b, size_t at)
{
	if (b->wipe && b->data != NULL)
		explicit_bzero(b->data + at, b->cap - at);
}

static void
let_go(struct buf *b)
{
	wipe_from(b, 0);
	free(b->data);
	b->data = NULL;
	b->len = b->cap = 0;
}

void
buf_init(struct buf *b, size_t max_bytes)
{
	*b = (struct buf)BUF_INIT;
	b->max = max_bytes;
}

void
buf_init_secret(struct buf *b, size_t max_bytes)
{
	buf_init(b, max_bytes);
	b->wipe = true;
}

void
buf_clear(struct buf *b)
{
	let_go(b);
	b->failed = false;
}

void
buf_reset(struct buf *b, size_t keep_bytes)
{
	b->failed = false;
	if (b->data == NULL)
		return;
	if (b->cap > keep_bytes) {
		let_go(b);
		return;
	}
	wipe_from(b, 0);
	b->len = 0;
	b->data[0] = '\0';
}

/* Moves the bytes to a block of cap bytes. realloc would leave a copy of a secret behind. */
static int
move_to(struct buf *b, size_t cap)
{
	char *data;

	if (b->wipe) {
		if ((data = malloc(cap)) != NULL && b->data != NULL) {
			memcpy(data, b->data, b->len + 1);
			explicit_bzero(b->data, b->cap);
			free(b->data);
		}
	} else {
		data = realloc(b->data, cap);
	}
	if (data == NULL) {
		b->failed = true;
		return MP_E_INTERNAL;
	}
	data[b->len] = '\0';
	b->data = data;
	b->cap = cap;
	return 0;
}

int
buf_reserve(struct buf *b, size_t n)
{
	size_t max = ceiling(b);
	size_t need, cap;

	/* the room for the NUL comes on top of the ceiling */
	if (n > max - b->len || max > SIZE_MAX - 1) {
		b->failed = true;
		return MP_E_TOO_LARGE;
	}
	need = b->len + n + 1;
	if (need <= b->cap)
		return 0;
	cap = b->cap < FIRST_BYTES / 2 ? FIRST_BYTES : b->cap > max / 2 ? max + 1 : b->cap * 2;
	if (cap > max + 1)
		cap = max + 1;
	return move_to(b, cap > need ? cap : need);
}

int
buf_add(struct buf *b, const void *data, size_t n)
{
	int r;

	if ((r = buf_reserve(b, n)) != 0)
		return r;
	if (n > 0)
		memcpy(b->data + b->len, data, n);
	b->len += n;
	b->data[b->len] = '\0';
	return 0;
}

int
buf_adds(struct buf *b, const char *s)
{
	return buf_add(b, s, strlen(s));
}

int
buf_addc(struct buf *b, char c)
{
	return buf_add(b, &c, 1);
}

int
buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = buf_addv(b, fmt, ap);
	va_end(ap);
	return r;
}

int
buf_addv(struct buf *b, const char *fmt, va_list ap)
{
	va_list again;
	size_t room;
	int n, r;

	if ((r = buf_reserve(b, 0)) != 0)
		return r;
	room = b->cap - b->len;
	va_copy(again, ap);
	n = vsnprintf(b->data + b->len, room, fmt, ap);
	if (n < 0) {
		b->failed = true;
		r = MP_E_INTERNAL;
	} else if ((size_t)n >= room && (r = buf_reserve(b, (size_t)n)) == 0) {
		vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
	}
	va_end(again);
	if (r == 0)
		b->len += (size_t)n;
	else
		b->data[b->len] = '\0';
	return r;
}

void
buf_drain(struct buf *b, size_t n)
{
	assert(n <= b->len);
	if (n == 0)
		return;
	b->len -= n;
	memmove(b->data, b->data + n, b->len);
	wipe_from(b, b->len);
	b->data[b->len] = '\0';
}

void
buf_truncate(struct buf *b, size_t n)
{
	assert(n <= b->len);
	if (b->data == NULL)
		return;
	b->len = n;
	wipe_from(b, n);
	b->data[n] = '\0';
}

char *
buf_steal(struct buf *b, size_t *len)
{
	char *data;

	assert(!b->wipe);
	if (b->data == NULL && buf_reserve(b, 0) != 0)
		return NULL;
	data = b->data;
	if (len != NULL)
		*len = b->len;
	b->data = NULL;
	b->len = b->cap = 0;
	b->failed = false;
	return data;
}

const char *
buf_str(const struct buf *b)
{
	return b->data != NULL ? b->data : "";
}

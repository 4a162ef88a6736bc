/* support.h - small helpers of the protocol tests. */
#ifndef TESTS_UNIT_PROTOCOL_SUPPORT_H
#define TESTS_UNIT_PROTOCOL_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/limits.h"
#include "protocol/message.h"
#include "protocol/pack.h"
#include "protocol/value.h"

/* Bytes of a literal that may contain NUL. */
#define BYTES(literal) (literal), (sizeof(literal) - 1)

/* A request around one value: begin, pack the value, decode, look at it, free. */
struct sample {
	struct buf bytes;
	struct pack pack;
	struct message_reader *reader;
	struct message message;
	const struct value *value;
};

static inline void
feed(struct message_reader *r, const void *data, size_t n)
{
	size_t room;
	char *at = message_reader_room(r, n, &room);

	assert_non_null(at);
	assert_true(room >= n);
	if (n > 0)
		memcpy(at, data, n);
	message_reader_fed(r, n);
}

static inline void
sample_begin(struct sample *s)
{
	memset(s, 0, sizeof *s);
	pack_init(&s->pack, &s->bytes);
	message_begin_request(&s->pack, 1, "m");
}

/* After exactly one value was packed. */
static inline void
sample_read(struct sample *s)
{
	struct error err = ERROR_INIT;
	bool known;

	message_end_request(&s->pack);
	assert_false(s->bytes.failed);
	s->reader = message_reader_new(LIMIT_MESSAGE_AFTER_HELLO);
	feed(s->reader, s->bytes.data, s->bytes.len);
	if (message_reader_next(s->reader, &s->message, &known, &err) != 1)
		fail_msg("not readable: %s", err.message);
	s->value = value_at(s->message.params, 0);
}

static inline void
sample_end(struct sample *s)
{
	message_reader_free(s->reader);
	buf_clear(&s->bytes);
}

#endif

/* fuzz_message.c - the message reader: any bytes, in any pieces, give the same messages and the
 * same end.
 *
 * The first byte of the input chooses the largest frame, the rest is the stream. Where it is cut
 * follows from the input too, so that every finding repeats. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/buf.h"
#include "protocol/base/json.h"
#include "protocol/limits.h"
#include "protocol/message.h"
#include "protocol/params.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define EXPECT(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			abort(); \
		} \
	} while (0)

static uint32_t
next_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

/* Everything a message says, as text; and every reader of values walks over it. */
static void
tell(const struct message *m, struct buf *story)
{
	const struct value *map = NULL;
	const struct method *method;
	struct error err = ERROR_INIT;
	struct json_writer w;

	buf_addf(story, "%d %u %zu %.*s ", (int)m->kind, m->msgid, m->bytes, (int)m->method.len,
	    m->method.len > 0 ? m->method.data : "");
	json_writer_init(&w, story, false);
	json_begin_array(&w);
	value_to_json(m->params, &w);
	value_to_json(m->error, &w);
	value_to_json(m->result, &w);
	json_end_array(&w);
	if (m->kind == MESSAGE_REPLY) {
		message_read_error(m->error, &err);
		return;
	}
	method = method_find(m->method.data, m->method.len);
	if (method == NULL)
		method = &method_table()[m->bytes % METHOD_COUNT];
	buf_addf(story, " %d\n", params_check(method, m->params, &map, &err));
}

/* Takes every message that is there. The reader's end, or 0. */
static int
drain(struct message_reader *r, struct buf *story)
{
	struct error err = ERROR_INIT;
	struct message m;
	bool known;
	int code;

	while ((code = message_reader_next(r, &m, &known, &err)) == 1) {
		tell(&m, story);
		message_release(r, (m.msgid & 1) != 0);
	}
	if (code < 0) {
		EXPECT(err.code == code && err.message[0] != '\0');
		buf_addf(
		    story, "end %d %d %u %s %s\n", code, known, m.msgid, err.field, err.message);
	} else
		EXPECT(message_reader_pending(r) <= LIMIT_MESSAGE_BEFORE_HELLO);
	return code;
}

static void
read_stream(const uint8_t *data, size_t size, size_t max, uint32_t seed, struct buf *story)
{
	struct message_reader *r = message_reader_new(max);
	size_t done = 0, n, room;
	char *at;

	EXPECT(r != NULL);
	while (done < size) {
		n = seed == 0 ? size : 1 + next_random(&seed) % ((seed & 4) != 0 ? 7 : 300);
		if (n > size - done)
			n = size - done;
		at = message_reader_room(r, n, &room);
		EXPECT(at != NULL && room >= n);
		memcpy(at, data + done, n);
		message_reader_fed(r, n);
		done += n;
		if (drain(r, story) < 0)
			break;
	}
	message_reader_free(r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t limits[] = { 64, 1000, 20000, LIMIT_MESSAGE_BEFORE_HELLO };
	struct buf whole = BUF_INIT, split = BUF_INIT;
	uint32_t seed = 2166136261u;
	size_t i, max, used;
	int code;

	if (size == 0)
		return 0;
	max = limits[data[0] % 4];
	for (i = 0; i < size; i++)
		seed = (seed ^ data[i]) * 16777619u;
	data++;
	size--;
	read_stream(data, size, max, 0, &whole);
	read_stream(data, size, max, seed | 1, &split);
	EXPECT(whole.len == split.len);
	EXPECT(whole.len == 0 || memcmp(whole.data, split.data, whole.len) == 0);
	code = message_check(data, size, max, &used);
	EXPECT(code != 1 || (used > 0 && used <= size && used <= max));
	buf_clear(&whole);
	buf_clear(&split);
	return 0;
}

/* message.c - the receive buffer, and whole messages out of it.
 *
 * Bytes lie in one block: [start, len) has not been given out. Consumed frames are only counted,
 * the rest moves to the front when room is needed, so many small messages per read cost no memmove.
 * Any block or part of one that is left behind is zeroed, because until a frame is whole nobody
 * knows whether it holds a secret. */
#include "protocol/message.h"

#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/secret.h"
#include "protocol/check.h"
#include "protocol/keys.h"
#include "protocol/limits.h"

#define BLOCK_FIRST ((size_t)16 << 10)
#define BLOCK_KEPT ((size_t)256 << 10) /* an idle connection keeps at most this */
#define ZONE_CHUNK 4096

static const char music_greeting[] = "OK MPD ";
#define MUSIC_LEN (sizeof music_greeting - 1)

struct message_reader {
	char *data;
	size_t start;
	size_t len;
	size_t cap;
	size_t max_bytes;
	struct check check;      /* of the frame at start */
	size_t lent;             /* length of the frame that message_next gave out */
	bool begun;              /* a whole message has come: this is no music player */
	bool music;
	int broken;              /* the error that ended the stream */
	msgpack_zone zone;       /* objects of the lent message; its memory is used again */
	msgpack_object root;
	struct keys keys;        /* scratch for finding duplicates */
};

struct message_reader *
message_reader_new(size_t max_bytes)
{
	struct message_reader *r = xcalloc(1, sizeof *r);

	r->max_bytes = max_bytes;
	check_init(&r->check);
	if (!msgpack_zone_init(&r->zone, ZONE_CHUNK)) {
		free(r);
		return NULL;
	}
	return r;
}

static void
block_free(struct message_reader *r)
{
	if (r->data != NULL)
		secret_wipe(r->data, r->len);
	free(r->data);
	r->data = NULL;
	r->start = r->len = r->cap = 0;
}

void
message_reader_free(struct message_reader *r)
{
	if (r == NULL)
		return;
	block_free(r);
	keys_clear(&r->keys);
	msgpack_zone_destroy(&r->zone);
	free(r);
}

void
message_reader_set_max(struct message_reader *r, size_t max_bytes)
{
	r->max_bytes = max_bytes;
}

/* Moves what waits to the front of the block. */
static void
block_compact(struct message_reader *r)
{
	size_t waiting = r->len - r->start;
	size_t stale = waiting > r->start ? waiting : r->start;

	if (waiting > 0)
		memmove(r->data, r->data + r->start, waiting);
	if (r->len > stale)
		secret_wipe(r->data + stale, r->len - stale);
	r->start = 0;
	r->len = waiting;
}

static bool
block_grow(struct message_reader *r, size_t want)
{
	size_t waiting = r->len - r->start;
	size_t cap = r->cap < BLOCK_FIRST ? BLOCK_FIRST : r->cap * 2;
	char *data;

	if (cap < waiting + want)
		cap = waiting + want;
	/* the last step goes straight to the largest frame, so that no two large blocks coexist;
	 * pages that no byte has touched cost nothing */
	if (cap > r->max_bytes / 4)
		cap = r->max_bytes + want;
	if ((data = malloc(cap)) == NULL)
		return false;
	if (waiting > 0)
		memcpy(data, r->data + r->start, waiting);
	block_free(r);
	r->data = data;
	r->len = waiting;
	r->cap = cap;
	return true;
}

char *
message_reader_room(struct message_reader *r, size_t want, size_t *room)
{
	size_t waiting = r->len - r->start;

	*room = 0;
	/* more than the largest frame waits: whole messages that nobody takes */
	if (waiting > r->max_bytes || r->lent > 0)
		return NULL;
	if (r->cap - r->len < want && r->start > 0)
		block_compact(r);
	if (r->cap - r->len < want && !block_grow(r, want))
		return NULL;
	*room = r->cap - r->len;
	return r->data + r->len;
}

void
message_reader_fed(struct message_reader *r, size_t n)
{
	r->len += n;
}

static int
stream_broken(struct message_reader *r, int code)
{
	r->broken = code;
	return code;
}

/* A music player greets at once, we never do. 1 greeting, 0 no, -1 its beginning. */
static int
music_check(const struct message_reader *r)
{
	size_t n = r->len - r->start;

	if (r->begun || n == 0)
		return 0;
	if (memcmp(r->data + r->start, music_greeting, n < MUSIC_LEN ? n : MUSIC_LEN) != 0)
		return 0;
	return n >= MUSIC_LEN ? 1 : -1;
}

static int
unpack(struct message_reader *r, size_t n, struct error *err)
{
	msgpack_zone_clear(&r->zone);
	if (msgpack_unpack(r->data + r->start, n, NULL, &r->zone, &r->root) !=
	    MSGPACK_UNPACK_SUCCESS)
		return error_set(err, MP_E_INTERNAL, "out of memory while reading a message");
	return keys_unique(&r->keys, (const struct value *)(const void *)&r->root, err);
}

static void
fill(const struct message_reader *r, struct message *out)
{
	const struct value *root = (const struct value *)(const void *)&r->root;

	out->kind = (enum message_kind)r->check.kind;
	out->bytes = r->lent;
	switch (out->kind) {
	case MESSAGE_REQUEST:
		out->method = value_slice(value_at(root, 2));
		out->params = value_at(root, 3);
		break;
	case MESSAGE_REPLY:
		out->error = value_at(root, 2);
		out->result = value_at(root, 3);
		break;
	case MESSAGE_NOTIFICATION:
		out->method = value_slice(value_at(root, 1));
		out->params = value_at(root, 2);
		break;
	}
}

int
message_reader_next(struct message_reader *r, struct message *out, bool *msgid_known,
    struct error *err)
{
	const char *frame;
	int music;
	int code;

	message_release(r, false);
	memset(out, 0, sizeof *out);
	*msgid_known = false;
	if (r->broken != 0)
		return error_set(err, r->broken, "the stream is unusable after an earlier error");
	if ((music = music_check(r)) < 0 || r->len == r->start)
		return 0;
	if (music > 0) {
		r->music = true;
		error_set(err, MP_E_PROTOCOL,
		    "this is Music Player Daemon, not the model provider daemon");
		error_hint(err, "check MODELPD_SOCKET and --socket");
		return stream_broken(r, MP_E_PROTOCOL);
	}
	frame = r->data + r->start;
	if ((code = check_run(&r->check, frame, r->len - r->start, r->max_bytes)) == 0)
		return 0;
	out->msgid = r->check.msgid;
	*msgid_known = r->check.msgid_known && r->check.kind == MESSAGE_REQUEST;
	if (code < 0)
		return stream_broken(r, check_error(&r->check, frame, code, r->max_bytes, err));
	if ((code = unpack(r, r->check.pos, err)) != 0)
		return stream_broken(r, code);
	r->begun = true;
	r->lent = r->check.pos;
	fill(r, out);
	return 1;
}

/* Zeroes the objects themselves: they hold the places and lengths of secrets, and numbers. */
static void
objects_wipe(msgpack_object *o)
{
	uint32_t i;

	if (o->type == MSGPACK_OBJECT_ARRAY) {
		for (i = 0; i < o->via.array.size; i++)
			objects_wipe(&o->via.array.ptr[i]);
	} else if (o->type == MSGPACK_OBJECT_MAP) {
		for (i = 0; i < o->via.map.size; i++) {
			objects_wipe(&o->via.map.ptr[i].val);
			objects_wipe(&o->via.map.ptr[i].key);
		}
	}
	secret_wipe(o, sizeof *o);
}

void
message_release(struct message_reader *r, bool wipe)
{
	if (r->lent == 0)
		return;
	if (wipe) {
		objects_wipe(&r->root);
		secret_wipe(r->data + r->start, r->lent);
	}
	r->start += r->lent;
	r->lent = 0;
	check_init(&r->check);
	if (r->start < r->len)
		return;
	if (r->cap > BLOCK_KEPT)
		block_free(r);
	r->start = r->len = 0;
}

size_t
message_reader_pending(const struct message_reader *r)
{
	return r->len - r->start - r->lent;
}

bool
message_reader_is_music(const struct message_reader *r)
{
	return r->music;
}

int
message_check(const void *data, size_t n, size_t max_bytes, size_t *used)
{
	struct check c;
	int r;

	check_init(&c);
	r = check_run(&c, data, n, max_bytes);
	*used = r == 1 ? c.pos : 0;
	return r;
}

/* message.h - bytes in, whole checked msgpack-RPC messages out (PROTOCOL.md section 1); and the
 * envelopes of what goes out.
 *
 * The checker walks bytes as they come, allocates nothing and may be cut anywhere; only a whole
 * frame that it accepted is handed to msgpack-c (THREATS.md section 6). */
#ifndef PROTOCOL_MESSAGE_H
#define PROTOCOL_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/base/buf.h"
#include "protocol/base/err.h"
#include "protocol/pack.h"
#include "protocol/value.h"

enum message_kind {
	MESSAGE_REQUEST = 0,
	MESSAGE_REPLY = 1,
	MESSAGE_NOTIFICATION = 2,
};

/* A whole message. Borrowed: valid until message_release. */
struct message {
	enum message_kind kind;
	uint32_t msgid;              /* requests and replies */
	struct slice method;         /* requests and notifications; valid UTF-8 without NUL */
	const struct value *params;  /* requests and notifications: the array as it came */
	const struct value *error;   /* replies; VALUE_NIL when there is none */
	const struct value *result;  /* replies */
	size_t bytes;                /* length of the frame */
};

struct message_reader;

/* max_bytes: the largest frame accepted; may be raised later (after hello). */
struct message_reader *message_reader_new(size_t max_bytes);
void message_reader_free(struct message_reader *r);
void message_reader_set_max(struct message_reader *r, size_t max_bytes);

/* Where to read() into: at least want bytes of room; *room says how many. Then message_reader_fed
 * says how many arrived. NULL when memory is out, while a message is lent out (the bytes would
 * move), and when more than the largest frame waits: then whole messages lie there that nobody
 * takes. */
char *message_reader_room(struct message_reader *r, size_t want, size_t *room);
void message_reader_fed(struct message_reader *r, size_t n);

/* 1 and *out: a whole message. 0: more bytes are needed. Negative: the stream is unusable, close
 * it; MP_E_TOO_LARGE, MP_E_TOO_MANY, MP_E_PROTOCOL or MP_E_INTERNAL with the story in err, or
 * MP_E_INVALID_PARAMS naming the parameter whose value the protocol does not know (NaN, ext, a
 * duplicate key, ...); *msgid_known/out->msgid tell whether one error reply can still be sent. Call
 * message_release after each message before the next call. */
int message_reader_next(struct message_reader *r, struct message *out, bool *msgid_known,
    struct error *err);
/* Ends the borrow. wipe: the frame held a secret, zero its bytes and objects now. */
void message_release(struct message_reader *r, bool wipe);
/* Bytes of an unfinished message that wait (for the partial-message timer). */
size_t message_reader_pending(const struct message_reader *r);
/* True when the first bytes are "OK MPD ": Music Player Daemon's greeting (client side). */
bool message_reader_is_music(const struct message_reader *r);

/* The bounded checker alone, for tests and fuzzing: walks data; *used = bytes of the first whole
 * frame. 1 whole, 0 unfinished, negative as above. */
int message_check(const void *data, size_t n, size_t max_bytes, size_t *used);

/* ---- envelopes; p writes the params map, result or event after the begin call ---- */

void message_begin_request(struct pack *p, uint32_t msgid, const char *method);
void message_end_request(struct pack *p); /* between: exactly one map via pack_map_begin/end */
void message_begin_reply(struct pack *p, uint32_t msgid); /* then exactly one value */
void message_end_reply(struct pack *p);
/* A whole error reply, as map {code, num, message, retryable, ...} or as Neovim's pair. */
void message_error_reply(struct pack *p, uint32_t msgid, const struct error *err, bool pair);
/* The map alone (for nested use: state.event causes, prompt.event errors). */
void message_pack_error(struct pack *p, const struct error *err);
/* A notification with one map as its parameter. handler NULL: plain [2, name, [EVENT]]; else the
 * nvim_exec_lua form of PROTOCOL.md section 4. Between begin and end: exactly one map. */
void message_begin_event(struct pack *p, const char *name, const char *handler);
void message_end_event(struct pack *p, const char *handler);
/* Reads an error map (or pair, or plain string) of a reply into err. */
void message_read_error(const struct value *v, struct error *err);

#endif

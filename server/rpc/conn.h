/* conn.h - one client on the control socket.
 *
 * A conn owns its requests and whatever handlers attach to it (struct conn_owned): when it goes,
 * they are cancelled with it. All messages of one read are handled in one go, their replies
 * gathered in one buffer and written once. Closing only marks it; the memory goes at the end of
 * the tick.
 *
 *   OPEN -> FINISHING (the client ended its side, or broke the protocol) -> DEAD */
#ifndef SERVER_RPC_CONN_H
#define SERVER_RPC_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "protocol/limits.h"
#include "protocol/message.h"
#include "server/base/loop.h"
#include "server/rpc/notify.h"
#include "server/rpc/server.h"

enum conn_state {
	CONN_OPEN,
	CONN_FINISHING, /* reads no more; closes when nothing is pending and all is sent */
	CONN_DEAD,
};

/* What hello said. */
struct conn_hello {
	bool said;
	bool pair_errors;
	char *handler; /* NULL = plain notifications */
	char *scope;   /* NULL = none */
	char *name, *version, *tty, *cwd;
	int64_t pid;
};

/* Shared by the files of this folder only. */
struct conn {
	struct rpc_server *server;
	struct conn *prev, *next;
	uint64_t id;
	int fd;
	pid_t peer_pid; /* for people only, never for authorisation */
	int64_t since_ms;
	enum conn_state state;
	struct conn_hello hello;
	struct subscription subscription;

	struct loop_io *io;
	struct message_reader *reader;
	bool spoke;       /* a whole message came */
	bool greedy;      /* the last read filled its room */
	bool backlog;     /* whole messages may wait in the reader */
	bool in_read;     /* conn_readable is on the stack: it flushes at its end */
	struct loop_timer *patience; /* first message, partial message, vanished half-closed client */
	struct loop_timer *again;    /* goes on with the backlog in the next tick */
	struct loop_timer *stall;

	struct buf out;  /* replies and events; out_at of them are sent */
	size_t out_at;
	size_t counted;  /* of server->out_total */
	struct buf late; /* events that must follow the reply being made */
	unsigned holding; /* > 0: a request is being handled or a result is open */
	bool full;       /* over the soft mark, until drained */
	bool blocked;    /* the socket took no more */
	struct pack reply, event;
	struct loop_deferred flush, bury;

	struct rpc_request *pending;
	size_t pending_count;
	struct conn_owned *owned;
	size_t owned_count;
};

struct conn *conn_new(struct rpc_server *s, int fd, pid_t pid); /* takes fd */
/* Asks. `why` is logged at debug level. */
void conn_close(struct conn *c, const char *why);
/* Reads no more; closes when what is pending has been answered and sent. */
void conn_finish(struct conn *c, const char *why);
/* The peer broke the protocol: one last error if the message can be named, then the end. */
void conn_break(struct conn *c, const uint32_t *msgid, const struct error *err);
/* Frees at once: only for the end of the server. */
void conn_free(struct conn *c);

/* After something was added to `out`: limits, pressure, and a write at the end of the tick. */
void conn_touched(struct conn *c);
void conn_flush(struct conn *c);

/* While held, events wait in `late`; the last release puts them behind what was written. */
void conn_hold(struct conn *c);
void conn_release(struct conn *c);

void conn_hello_clear(struct conn_hello *h);

#endif

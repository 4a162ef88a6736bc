/* dispatch.h - from a message to its handler. */
#ifndef SERVER_RPC_DISPATCH_H
#define SERVER_RPC_DISPATCH_H

#include "protocol/message.h"
#include "server/rpc/conn.h"
#include "server/rpc/request.h"

#define REQUEST_SCRATCH 512

/* Shared by the files of this folder only. A request lives on its connection's pending list, or for
 * the time of its handler. */
struct rpc_request {
	struct conn *conn;
	const struct method *method;
	const struct value *params; /* NULL after the handler */
	uint32_t msgid;
	bool notification;
	bool pending;
	bool opened;         /* rpc_result was called */
	size_t reply_at;     /* where the reply begins in conn->out */
	size_t result_at;    /* where the result begins */
	uint64_t replay;     /* entry in the table of request keys, 0 = none */
	void (*cancel)(void *arg);
	void *arg;
	struct rpc_request *prev, *next;
	struct scratch *more; /* longer strings */
	size_t scratch_used;
	char scratch[REQUEST_SCRATCH];
};

/* Handles one message and adds to *cost what it took, in units of a simple request. A message that
 * breaks the protocol ends the connection. Returns whether it held a secret and must be wiped. */
bool dispatch(struct conn *c, const struct message *m, unsigned *cost);

struct rpc_request *request_new(struct conn *c, const struct method *method, uint32_t msgid);
/* Off the list, strings freed, ready to be used again. */
void request_recycle(struct rpc_request *req);
/* The hook is called, the error `cancelled` sent if the connection still takes it; req is gone. */
void request_cancel(struct rpc_request *req);
struct rpc_request *request_find_pending(struct conn *c, uint32_t msgid);
void requests_free_spare(struct rpc_server *s);

#endif

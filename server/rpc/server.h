/* server.h - everything behind the control socket: the connections and what they share. */
#ifndef SERVER_RPC_SERVER_H
#define SERVER_RPC_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "server/rpc/request.h"

struct notifier;
struct replays;
struct usage_news;

/* How patient a connection is; 0 = the number of limits.h. Tests make it short. */
struct rpc_patience {
	int64_t first_message_ms;
	int64_t partial_message_ms;
	int64_t out_stall_ms;
};

/* Shared by the files of this folder only. */
struct rpc_server {
	struct rpc_parts *parts;
	struct rpc_patience patience;
	struct notifier *notifier;
	struct usage_news *usage_news;
	struct replays *replays;
	struct conn *conns; /* newest first */
	struct conn *dying; /* closed, until the end of the tick */
	size_t conn_count;
	uint64_t next_conn_id;
	size_t out_total;   /* bytes waiting on all connections */
	bool refusing;      /* shutting down: no new work */
	struct rpc_request *spare; /* requests to be used again */
	/* Counters for sys.info. */
	int64_t requests, ignored_notifications, nvim_errors, refused_peers, refused_full;
};

/* Fills parts->server. parts stays the caller's and outlives the server. */
struct rpc_server *rpc_server_new(struct rpc_parts *parts, const struct rpc_patience *patience);
/* Closes every connection and frees all. NULL is harmless. */
void rpc_server_free(struct rpc_server *s);

/* Takes fd: a non-blocking connection whose peer was checked. Over LIMIT_CONNECTIONS it gets one
 * error and is closed. */
void rpc_server_accept(struct rpc_server *s, int fd, pid_t pid);
/* One error frame, as far as it goes without waiting, and close. */
void rpc_server_turn_away(struct rpc_server *s, int fd, const char *why);
/* New work is refused with `shutting_down` from now on. */
void rpc_server_refuse(struct rpc_server *s);
/* Sends what can be sent now; true when nothing waits. */
bool rpc_server_flush(struct rpc_server *s);
/* Requests that wait for their answer, over all connections. */
size_t rpc_server_pending(const struct rpc_server *s);
/* Ends every pending request with `cancelled`. */
void rpc_server_cancel_pending(struct rpc_server *s);

#endif

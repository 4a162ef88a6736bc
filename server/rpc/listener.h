/* listener.h - the control socket: one daemon per folder, its lock, its peers.
 *
 * The lock is held for life; only its holder removes a socket, and only a dead one. Connections are
 * checked (same uid) before a byte is read and handed to the rpc server. */
#ifndef SERVER_RPC_LISTENER_H
#define SERVER_RPC_LISTENER_H

#include "protocol/base/err.h"
#include "protocol/sockpath.h"
#include "server/base/loop.h"
#include "server/rpc/server.h"

struct listener;

/* Takes the lock; clients find nothing yet. A socket handed over by the service manager
 * (LISTEN_FDS) replaces paths->socket and run_dir. MP_E_BUSY: another daemon serves here (err names its pid).
 * MP_E_NOT_PERMITTED: a folder or file that is not ours, not private or not a socket.
 * MP_E_STORAGE: the system refuses. */
int listener_open(struct paths *paths, struct listener **out, struct error *err);
/* Binds and begins to accept: when all else is ready, so that who connects is served. As above. */
int listener_start(struct listener *l, struct loop *loop, struct rpc_server *server,
    struct error *err);
/* No new connections; the socket (if it is still ours) and the pid file go. */
void listener_stop(struct listener *l);
/* Stops and lets go of the lock. NULL is harmless. */
void listener_free(struct listener *l);

#endif

/* request.h - one request, from the row that names it to the one answer it gets.
 *
 * A handler is rpc_<id>(), one per row of methods.def. It starts with parameters that were
 * checked against the row. Only these functions make an answer, so none is forgotten:
 *
 *   rpc_ok          the result (opened by rpc_result, or empty); RPC_MUTATES rows get `rev`
 *   rpc_fail        an error with a sentence
 *   rpc_fail_err    an error made elsewhere
 *   rpc_pending     the answer comes later: rpc_finish or rpc_finish_error, exactly once
 *
 * Lifetimes: listener ─ owns ─> conn ─ owns ─> request. Parameters are borrowed from the
 * receive buffer and end with the handler, also for a pending request. After rpc_finish* or its
 * cancel hook a pending request is gone. */
#ifndef SERVER_RPC_REQUEST_H
#define SERVER_RPC_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/base/err.h"
#include "protocol/pack.h"
#include "protocol/params.h"
#include "protocol/sockpath.h"
#include "protocol/value.h"

struct backups;
struct budgets;
struct calls;
struct chains;
struct changes;
struct conn;
struct credentials;
struct keeper;
struct loop;
struct ledger;
struct marks;
struct meters;
struct minted;
struct mints;
struct models;
struct overrides;
struct own_prices;
struct probes;
struct prompts; /* methods/prompt.c: every stream of the daemon */
struct providers;
struct prune;
struct price_book;
struct price_refresh;
struct purses;
struct routes;
struct sessions;
struct rpc_server;
struct settings;
struct store;
struct team;
struct upstream;
struct vault;

/* What handlers may use; built in daemon.c, constant afterwards. */
struct rpc_parts {
	struct loop *loop;
	struct store *store;
	struct vault *vault;
	struct keeper *keeper;
	struct changes *changes;
	struct backups *backups;
	struct marks *marks;
	struct settings *settings;
	struct providers *providers;
	struct credentials *credentials;
	struct models *models;
	struct chains *chains;
	struct overrides *overrides;
	struct sessions *sessions;
	struct minted *minted;
	struct ledger *ledger;
	struct prune *prune;
	struct meters *meters;
	struct budgets *budgets;
	struct own_prices *own_prices;
	struct purses *purses;
	struct price_book *prices;
	struct price_refresh *price_refresh;
	struct team *team;
	struct routes *routes;
	struct upstream *upstream;
	struct calls *calls;
	struct probes *probes;
	struct mints *mints;
	struct prompts *prompts;
	struct rpc_server *server; /* set by rpc_server_new */
	const struct paths *paths;
	int64_t started_ms; /* wall clock */
	/* Asks of the process itself, answered by daemon.c. */
	int (*reload)(void *arg, void (*warning)(void *warning_arg, const char *text), void *warning_arg);
	void (*shutdown)(void *arg, int64_t grace_ms);
	void *daemon;
};

struct rpc_request; /* in request.c */

struct rpc_answer {
	enum { RPC_ANSWERED = 1, RPC_LATER } state; /* never made by hand */
};

/* ---- what is asked ---- */

const struct rpc_parts *rpc_parts(const struct rpc_request *req);
struct conn *rpc_conn(const struct rpc_request *req);
const struct method *rpc_method(const struct rpc_request *req);
/* True when it came as a notification: it is answered as usual, but nothing is sent. */
bool rpc_is_notification(const struct rpc_request *req);

/* Parameters; absent ones give NULL, the empty slice or `otherwise`. */
const struct value *rpc_params(const struct rpc_request *req); /* the whole map, NULL = none */
const struct value *rpc_param(const struct rpc_request *req, const char *name);
bool rpc_has(const struct rpc_request *req, const char *name);
struct slice rpc_slice(const struct rpc_request *req, const char *name);
int64_t rpc_int(const struct rpc_request *req, const char *name, int64_t otherwise);
bool rpc_bool(const struct rpc_request *req, const char *name, bool otherwise);
/* NUL-terminated copy that lives as long as the request; NULL when absent or when a NUL is inside
 * (names and refs never hold one). Never for secrets. */
const char *rpc_str(struct rpc_request *req, const char *name);
/* The parameter "scope", else the connection's own (from hello); NULL = none. */
const char *rpc_scope(struct rpc_request *req);
/* "modelpc", ...: the name the client gave in hello; NULL = none. Borrowed from the connection. */
const char *rpc_client(const struct rpc_request *req);

/* ---- the answer ---- */

/* Opens the result; the caller writes its members (the map is already open). Call it once and late:
 * nothing else is sent on this connection between it and rpc_ok/rpc_finish. rpc_fail* after it
 * takes back what was written. */
struct pack *rpc_result(struct rpc_request *req);

struct rpc_answer rpc_ok(struct rpc_request *req);
struct rpc_answer rpc_fail(struct rpc_request *req, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
struct rpc_answer rpc_fail_err(struct rpc_request *req, const struct error *err);
/* As rpc_fail_err; the members that `extra` wrote (whole keys and values packed into a buf, `count`
 * pairs) are added to the error's `data`. */
struct rpc_answer rpc_fail_data(struct rpc_request *req, const struct error *err,
    const struct buf *extra, unsigned count);

/* The answer comes later. The hook is called when it is not wanted any more (sys.cancel, the
 * connection is gone, the daemon stops): it stops the work and forgets req, which is gone when it
 * returns; the error `cancelled` is sent for it where somebody still listens. */
struct rpc_answer rpc_pending(struct rpc_request *req, void (*cancel)(void *arg), void *arg);
void rpc_finish(struct rpc_request *req);
void rpc_finish_error(struct rpc_request *req, const struct error *err);
/* Ends the change that the handler began: takes it back when r says that something failed, else commits it
 * under the method's name. r, or what the commit says. */
int rpc_change_end(struct rpc_request *req, int r, struct error *err);
/* As rpc_finish_error, with members for `data` as in rpc_fail_data. */
void rpc_finish_data(struct rpc_request *req, const struct error *err, const struct buf *extra,
    unsigned count);

/* ---- the connection, for handlers that outlive their request ---- */

/* Something that lives as long as a connection (a stream). Part of the owner's struct. */
struct conn_owned {
	/* The connection closes: stop, or live on detached. The link is already cut. */
	void (*closed)(struct conn_owned *o);
	/* The out-queue crossed its soft mark (full) or drained again: pause, resume. May be NULL. */
	void (*pressure)(struct conn_owned *o, bool full);
	struct conn *conn; /* NULL when not linked */
	struct conn_owned *prev, *next;
};
void conn_own(struct conn *c, struct conn_owned *o);
void conn_disown(struct conn_owned *o); /* harmless when not linked */
size_t conn_owned_count(const struct conn *c);

/* A notification to this connection, in the form its hello chose. Between begin and end the caller
 * writes the members of the event's map (already open). Sent at the end of the tick, after the
 * reply to a request that is being handled. Never fails for the caller: a connection that cannot take it
 * closes by itself, later. */
struct pack *rpc_event_begin(struct conn *c, const char *name);
void rpc_event_end(struct conn *c);

/* Bytes that wait to be sent; at LIMIT_OUT_SOFT and above producers should hold back. */
size_t conn_out_bytes(const struct conn *c);
bool conn_is_full(const struct conn *c);
const char *conn_client(const struct conn *c); /* as rpc_client */
const char *conn_scope(const struct conn *c);  /* NULL = none */
const struct rpc_parts *conn_parts(const struct conn *c);

/* The handlers, one per row. */
#define METHOD(id, name, since, flags, params, result, help) \
	struct rpc_answer rpc_##id(struct rpc_request *req);
#include "protocol/methods.def"
#undef METHOD

#endif

/* prompts.h - every prompt of the daemon that came in over RPC: streams (prompt.start) and runs
 * (prompt.run).
 *
 * A stream belongs to its connection, a run to its request; both own a call. Nothing is freed inside a
 * callback: a dead prompt leaves the loop's stack first. Free the prompts before the calls. */
#ifndef SERVER_RPC_METHODS_PROMPTS_H
#define SERVER_RPC_METHODS_PROMPTS_H

#include "server/base/loop.h"
#include "server/call/call.h"
#include "server/rpc/methods/tool_calls.h"
#include "server/rpc/request.h"

struct prompts *prompts_new(struct loop *loop);
void prompts_free(struct prompts *ps);

/* ---- for the files of the prompt family ---- */

/* What streams and runs share; first member of both. */
struct prompt {
	struct prompts *owner;
	struct prompt *prev, *next;
	int64_t id;
	char *tag;         /* NULL = none */
	char ref[400];
	char signed_by[400]; /* whom signatures of this answer go back to: provider:upstream id */
	bool detached;     /* lives on without its connection */
	struct conn *conn; /* whom it belongs to; NULL when it is gone */
	struct call *call; /* NULL when it has ended */
	struct tool_calls tools;
	void (*clear)(struct prompt *p); /* what the kind added */
	bool dead;
	struct loop_deferred reaper;
};

struct prompts {
	struct loop *loop;
	struct prompt *first;
	int64_t last_id;
};

/* Puts a zeroed, allocated prompt on the list and gives it an id. */
void prompt_join(struct prompts *ps, struct prompt *p, struct conn *conn, const char *tag,
    void (*clear)(struct prompt *p));
/* Ends it: the call (if any) is cancelled silently, the memory goes at the end of the tick. */
void prompt_bury(struct prompt *p);
struct prompt *prompt_find(struct prompts *ps, int64_t id); /* alive; NULL = none */
size_t prompts_of(const struct prompts *ps, const struct conn *c);

/* Reads chat and route from the request and starts the call; fills p->ref. Otherwise err. */
int prompt_open(struct prompt *p, struct rpc_request *req, const struct call_watch *watch,
    struct error *err);

struct rpc_answer stream_start(struct rpc_request *req);
struct rpc_answer run_start(struct rpc_request *req);

/* on_start of both kinds calls it. */
void prompt_started(struct prompt *p, const struct call_start *start);

/* "attempts": what was asked and what was passed over, in that order. */
void pack_attempts(struct pack *p, const struct tour *tour);
/* "usage": only what is known. */
void pack_usage_members(struct pack *p, const struct usage *u);
void pack_usage(struct pack *p, const struct usage *u);

#endif

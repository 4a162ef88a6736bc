/* transfer.h - what all carriers have in common: the base of a struct transfer, its lists and its end.
 *
 *   upstream - owns -> transfer - owns -> what its carrier needs (curl handle, timers, buffers)
 *
 * A transfer that is over calls nobody any more; its memory goes at the end of the tick. */
#ifndef SERVER_UPSTREAM_TRANSFER_H
#define SERVER_UPSTREAM_TRANSFER_H

#include "protocol/base/err.h"
#include "server/base/loop.h"
#include "server/upstream/carrier.h"

struct http;
struct children;
struct warm_list;

struct carrier_ops {
	void (*pause)(struct transfer *t, bool paused);
	/* See transfer_keep; t is not over yet. NULL = this carrier keeps nothing. */
	void (*keep)(struct transfer *t, struct wire_memory *known);
	/* Frees the carrier's part and t itself; t is over and on no list. */
	void (*release)(struct transfer *t);
};

struct transfer {
	const struct carrier_ops *ops;
	struct upstream *up;
	struct transfer_callbacks cb;
	void *arg;
	bool paused;
	bool over;
	const struct wire_memory *known; /* see transfer_known */
	struct transfer *next, *prev;
	struct loop_deferred reap;
};

struct upstream {
	struct loop *loop;
	struct http *http;         /* made with the first HTTP transfer */
	struct children *children; /* made with the first program */
	struct warm_list *warm;    /* programs that wait; made with the first program */
	struct transfer *transfers;
	int64_t patience_ms; /* upstream_limit_patience; 0 = as the endpoint says */
	bool draining;       /* no program waits any more */
	bool closing;        /* upstream_free: every transfer is released, in no order */
	struct key_bringer bringer;
};

/* Fills the base and puts it on the list. */
void transfer_init(struct transfer *t, const struct carrier_ops *ops, struct upstream *u,
    const struct transfer_callbacks *cb, void *arg);
/* No callback any more; released at the end of the tick. Twice is harmless. */
void transfer_retire(struct transfer *t);
/* on_end, then transfer_retire. */
void transfer_end(struct transfer *t, const struct failure *failure);
/* A frame, unless the transfer is over. False when no more is wanted now (over or paused). */
bool transfer_frame(struct transfer *t, struct slice event, struct slice data);

struct transfer *http_start(struct upstream *u, enum framing framing, const struct endpoint *to,
    struct wire_request *req, const struct transfer_callbacks *cb, void *arg, struct error *err);
struct transfer *loopback_start(struct upstream *u, struct wire_request *req,
    const struct transfer_callbacks *cb, void *arg, struct error *err);
/* Starts the transfer when its key was brought (held.c). */
struct transfer *held_start(struct upstream *u, enum carrier_kind carrier, enum framing framing,
    const struct endpoint *to, struct wire_request *req, const struct transfer_callbacks *cb, void *arg,
    struct error *err);
struct transfer *child_start(struct upstream *u, enum framing framing, const struct endpoint *to,
    struct wire_request *req, const struct transfer_callbacks *cb, void *arg, struct error *err);

/* Class, kind and a message (printf style, foreign text escaped, cut to fit). */
void failure_say(struct failure *f, enum failure_class class, const char *kind, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif

/* notify.h - who hears of which change: state.event (PROTOCOL.md section 4.2).
 *
 * A subscription is part of its connection. prev_rev of an event is the revision of what this
 * connection heard last (event, or snapshot of state.get/subscribe), so a gap always shows. A
 * connection whose queue is full gets no events; when it has drained, one `resync` per topic says
 * how many it lost. The `route` topic tells each connection its own effective route, and only when
 * that changed. */
#ifndef SERVER_RPC_NOTIFY_H
#define SERVER_RPC_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/buf.h"
#include "protocol/pack.h"
#include "server/state/changes.h"

struct conn;
struct notifier;
struct rpc_server;
struct value;

struct subscription {
	unsigned topics; /* bits of enum topic */
	int64_t last_rev;
	int64_t lost[TOPIC_COUNT];
	struct buf route; /* the Route object it was told last, packed */
};

struct notifier *notifier_new(struct rpc_server *s);
void notifier_free(struct notifier *n);

/* The topics of a [str] parameter as bits; absent: all. An unknown one is MP_E_INVALID_PARAMS. */
int topics_read(const struct value *list, unsigned *topics, struct error *err);

void subscription_add(struct conn *c, unsigned topics);
void subscription_remove(struct conn *c, unsigned topics);
void subscription_clear(struct subscription *s);
/* The connection's queue has drained: tells what was lost. */
void subscription_drained(struct conn *c);
/* Writes {topic: value} for these topics; the connection has now seen the current revision. */
void snapshot_pack(struct conn *c, struct pack *p, unsigned topics);

/* Everything may be different: every subscriber is told to ask anew for every topic it listens to. */
void notifier_resync(struct notifier *n, const char *reason);
/* A store failed or is well again, as of recovery.h. notifier: struct notifier */
void notifier_storage(void *notifier, bool well, bool unknown);
/* The daemon topic: "started", "stopping", "reloaded". */
void notifier_daemon(struct notifier *n, const char *state);

#endif

/* changed.h - what a state.event carries: the thing that changed, as clients see it. */
#ifndef SERVER_RPC_CHANGED_H
#define SERVER_RPC_CHANGED_H

#include "server/rpc/objects.h"
#include "server/state/changes.h"

/* The value of the thing with ch's key; nothing when it is gone, or for a topic whose value is not of one
 * key (route, daemon). A test session that has ended is still told. */
void changed_pack(struct pack *p, const struct rpc_parts *parts, const struct change *ch);

#endif

/* refresh.h - new lists of models from the providers, a few at a time. */
#ifndef SERVER_RPC_METHODS_REFRESH_H
#define SERVER_RPC_METHODS_REFRESH_H

#include "server/rpc/request.h"

struct refresh;
struct provider;

/* Asks `only`, or with NULL all that can be asked now. on_done comes once, from the loop, unless cancelled;
 * warnings is a packed array of one sentence per provider that did not answer. */
struct refresh *refresh_start(const struct rpc_parts *parts, const struct provider *only,
    void (*on_done)(void *arg, const struct buf *warnings), void *arg);
/* Not from inside on_done. */
void refresh_cancel(struct refresh *r);

#endif

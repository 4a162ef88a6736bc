/* switching.h - what every change of the route has in common: the route before, the change, the route after,
 * and the test session that had to step aside. For the files of the route and session families. */
#ifndef SERVER_RPC_METHODS_SWITCHING_H
#define SERVER_RPC_METHODS_SWITCHING_H

#include "server/call/route.h"
#include "server/rpc/request.h"

struct switching {
	struct rpc_request *req;
	const char *scope; /* "" = everywhere */
	struct route previous;
	struct route active;
	bool had_previous;
	int64_t session; /* activated before; 0 = none */
};

void switching_begin(struct switching *s, struct rpc_request *req, const char *scope);
void switching_clear(struct switching *s);
/* After the commit: the route as it is now. */
int switching_end(struct switching *s, struct error *err);
/* Then: `active`, `previous`, `deactivated` (a test session that stays open) and `told`. */
void switching_pack(struct switching *s, struct pack *p);
/* Both, into the result of the request, which is opened. NULL and err when there is no route. */
struct pack *switching_result(struct switching *s, struct error *err);

/* "keeping": the scopes that keep a choice of their own. */
void pack_keeping(struct pack *p, const struct rpc_parts *parts);

#endif

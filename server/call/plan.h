/* plan.h - the targets of a route in their order: the chosen one or those of a chain, each once. */
#ifndef SERVER_CALL_PLAN_H
#define SERVER_CALL_PLAN_H

#include "server/call/route.h"
#include "server/state/chains.h"

#define PLAN_STEPS_MAX 32

/* Appends; a target that is there already, and one too many, is left out. */
void plan_add(struct route *to, const struct target *t);
/* Appends what a chain leads to. Links whose provider is gone for now are left out. */
void plan_add_chain(struct route *to, const struct chains *cs, const struct providers *ps,
    const struct chain *c);
/* Marks what cannot serve now, and makes the first that can (else the first) the route's target. A lone
 * one is never passed over: whoever chose it hears why it fails. */
void plan_settle(struct routes *r, struct route *to);
/* What of a route a call needs: everything but the layers. One without steps gets its target as the one. */
void plan_copy(struct route *to, const struct route *from);
void plan_clear(struct route *r);

#endif

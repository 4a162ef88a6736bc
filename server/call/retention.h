/* retention.h - the setting usage_keep at work: once an hour, and when it changes, what is older goes. */
#ifndef SERVER_CALL_RETENTION_H
#define SERVER_CALL_RETENTION_H

#include "server/base/loop.h"
#include "server/state/changes.h"
#include "server/state/settings.h"
#include "server/usage/prune.h"

struct retention;

/* All borrowed. */
struct retention *retention_new(struct loop *loop, struct settings *settings, struct prune *prune,
    struct ledger *ledger, struct changes *changes);
void retention_free(struct retention *r); /* NULL is harmless */

#endif

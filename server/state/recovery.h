/* recovery.h - the way back from a storage error without a restart: a store that went read-only is tried
 * once a second, and everybody is told when it failed and when it is well again. */
#ifndef SERVER_STATE_RECOVERY_H
#define SERVER_STATE_RECOVERY_H

#include <stdbool.h>

#include "server/base/loop.h"
#include "server/state/changes.h"
#include "server/store/store.h"

struct recovery;

/* on_change: a store failed (well false) or all are well again; unknown: a change that was refused may be
 * there after all, so clients should ask anew. From the loop. */
struct recovery *recovery_new(struct loop *loop, struct changes *changes,
    void (*on_change)(void *arg, bool well, bool unknown), void *arg);
void recovery_free(struct recovery *r); /* NULL is harmless; before the stores are closed */
/* Watches it. */
void recovery_add(struct recovery *r, struct store *s);

#endif

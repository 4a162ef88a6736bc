/* copies.h - the databases that are kept beside the one in use: what an upgrade of the schema kept
 * (state.db.v3.bak) and what a restore replaced (replaced-20261128-235959/state.db).
 *
 * They are a way back for a month, then they go. A sealed key that is deleted, replaced or ended goes from
 * them as well, at once: a copy never keeps what its owner threw away. */
#ifndef SERVER_STORE_COPIES_H
#define SERVER_STORE_COPIES_H

#include "server/store/store.h"

#define COPIES_KEPT_MS ((int64_t)30 * 24 * 3600 * 1000)

/* Takes every sealed key that s does not hold now out of all copies. A copy that cannot be changed is left
 * and logged. Outside of a transaction. */
void copies_scrub(struct store *s);
/* At a start: those that are older than COPIES_KEPT_MS go. */
void copies_sweep(const char *data_dir, int64_t now_ms);

#endif

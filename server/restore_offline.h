/* restore_offline.h - a restore while no daemon runs: the way back when the databases are such that none can
 * start. */
#ifndef SERVER_RESTORE_OFFLINE_H
#define SERVER_RESTORE_OFFLINE_H

#include <stdio.h>

#include "server/daemon.h"

/* As store.restore, under the daemon's own lock (MP_E_BUSY: one runs; ask it instead). Writes one line per
 * fact, "name value", to `to`: created_ms, program, providers, keys, locked, why, kept. */
int restore_offline(const struct daemon_options *o, const char *file, bool only_check, FILE *to,
    struct error *err);

#endif

/* show_config.h - what `modelpd --show-config` prints: every effective value, one "name value" a line,
 * the names of settings.def among them. */
#ifndef SERVER_SHOW_CONFIG_H
#define SERVER_SHOW_CONFIG_H

#include <stdio.h>

#include "protocol/base/err.h"
#include "server/daemon.h"

/* Asks the daemon of these options when one runs (it holds the database), else reads the database;
 * where there is none, none is made and the defaults are shown. 0 or MP_E_... with err, and nothing was
 * printed. */
int show_config(const struct daemon_options *o, FILE *out, struct error *err);

#endif

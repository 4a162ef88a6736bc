/* spawn.h - starts a daemon when none runs (UX.md section 3, THREATS.md section 5). */
#ifndef CLIENT_SPAWN_H
#define CLIENT_SPAWN_H

#include <stdbool.h>

#include "protocol/base/buf.h"
#include "protocol/base/err.h"

struct app;

#define SPAWN_TIMEOUT_MS 3000

/* Starts it under a lock that all clients share, and connects. The connected fd, or MP_E_... with
 * why in *why. Never PATH: the modelpd beside our own program, or the one of the build. */
int spawn_and_connect(struct app *a, struct buf *why, struct error *err);

/* True when a daemon must not be started from here: root calling for another user. */
bool spawn_is_foreign(const struct app *a);

/* The daemon's program, an absolute path; NULL when there is none. Caller frees. */
char *spawn_program(void);
/* Runs argv (argv[0] an absolute path) with that environment to its end; both its outputs are appended to
 * said. Its exit code, -1 when it did not come to one. */
int spawn_run(struct app *a, const char *const *argv, const char *doing, struct buf *said);
/* The reason and the fix in what a modelpd said before it ended, appended. False: it said nothing of its
 * own. */
bool spawn_story(const struct buf *said, struct buf *why, struct buf *fix);
/* The environment it gets: an allow-list of ours. NULL-terminated, both levels freed by the caller.
 */
char **spawn_environment(char *const *from);

#endif

/* scope.h - the names of the scopes a terminal and a project have of their own.
 *
 * They are computed, never stored, so every command in the same place finds the same name without
 * any variable in the environment. */
#ifndef CLIENT_SCOPE_H
#define CLIENT_SCOPE_H

#include <stdbool.h>

#include "protocol/base/err.h"
#include "protocol/base/str.h"

#define SCOPE_MAX_BYTES 256

/* MODELPD_SCOPE, NULL when unset or empty. scope_check says whether it can be one. */
const char *scope_environment(void);
/* Whether a scope may have this name: one line of 1 to 256 bytes of UTF-8. `what` begins the sentence of the
 * error. 0 or MP_E_INVALID_PARAMS. */
int scope_check(const char *name, const char *what, struct error *err);
/* "tty:pts/3@1234": the controlling terminal and its session, so a terminal number that is used
 * again does not inherit a choice. NULL without a terminal. Caller frees. */
char *scope_terminal(void);
/* Whether a scope is that of a terminal, and of one that is gone: nothing finds its choice any more. */
bool scope_is_terminal(struct slice scope);
bool scope_terminal_gone(struct slice scope);
/* "project:/home/me/src/thing": the nearest folder from `from` (NULL = the working one) upwards
 * with a .git in it (a file in worktrees and submodules). Bytes of the path that a name may not hold become
 * "?", and a number tells such paths apart. NULL when there is none. Caller frees. */
char *scope_project(const char *from);

#endif

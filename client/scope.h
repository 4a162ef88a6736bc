/* scope.h - the names of the scopes a terminal and a project have of their own.
 *
 * They are computed, never stored, so every command in the same place finds the same name without
 * any variable in the environment. */
#ifndef CLIENT_SCOPE_H
#define CLIENT_SCOPE_H

#define SCOPE_MAX_BYTES 256

/* MODELPD_SCOPE, NULL when unset, empty or too long. */
const char *scope_environment(void);
/* "tty:pts/3@1234": the controlling terminal and its session, so a terminal number that is used
 * again does not inherit a choice. NULL without a terminal. Caller frees. */
char *scope_terminal(void);
/* "project:/home/me/src/thing": the nearest folder from `from` (NULL = the working one) upwards
 * with a .git in it. NULL when there is none. Caller frees. */
char *scope_project(const char *from);

#endif

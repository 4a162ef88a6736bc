/* help.h - help texts, made from the table of commands. */
#ifndef CLIENT_HELP_H
#define CLIENT_HELP_H

#include "client/commands.h"

struct app;

/* Help for a command (NULL: the whole program) on stdout; exit code 0. */
int help_print(struct app *a, const struct command *c);

#endif

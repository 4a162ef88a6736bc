/* key_command.h - a command of the user's whose first line is a key: `pass show x` (THREATS.md section 8). It
 * is split into words, no shell runs it, and it ends after a minute or 64 KiB. */
#ifndef SERVER_CALL_KEY_COMMAND_H
#define SERVER_CALL_KEY_COMMAND_H

#include "protocol/base/err.h"
#include "protocol/base/secret.h"
#include "server/state/keeper.h"
#include "server/upstream/carrier.h"

struct key_command;

/* Called once, from the loop, and never before key_command_start has returned: the line, which is the
 * callee's, or NULL and the reason as the end of a sentence. The command is gone afterwards. */
typedef void key_command_ended(void *arg, struct secret *line, const struct error *err);

/* NULL with err when it cannot be started. */
struct key_command *key_command_start(struct upstream *u, const char *text, key_command_ended *ended,
    void *arg, struct error *err);
/* Ends the program and frees c; nobody is called. */
void key_command_cancel(struct key_command *c);

/* The keeper's commands are run by u until keeper_use_commands(k, NULL), which comes before u goes. */
void key_command_serve(struct upstream *u, struct keeper *k);

/* Before a command is stored: checks it and completes its program to the full path, which is what will be
 * run. 0 and a text (the caller frees it), or an error of the field "source". */
int key_command_prepare(const char *text, char **out, struct error *err);

#endif

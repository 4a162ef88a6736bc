/* commands.h - the table of commands (commands.def) and how a word finds its row. */
#ifndef CLIENT_COMMANDS_H
#define CLIENT_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>

#include "protocol/base/err.h"

struct app;

enum command_group { GROUP_DAILY, GROUP_LOOK, GROUP_MODELS, GROUP_SYSTEM };

struct command {
	const char *name;
	enum command_group group;
	const char *usage;
	const char *purpose;
	const char *examples;
	const char *options;
	int (*run)(struct app *a); /* returns the exit code */
};

size_t command_count(void);
const struct command *command_at(size_t i);
/* By exact name (or its one short form, "p"); no prefixes. NULL when there is none. */
const struct command *command_find(const char *name);
/* Near names as candidates of err. */
void command_suggest(const char *name, struct error *err);
/* Whether Music Player Daemon's client has this command and we do not (UX.md section 1). */
bool command_is_music(const char *name);

/* The options every command takes, written as in commands.def. */
extern const char *const command_global_options;

#define COMMAND(id, name, group, usage, purpose, examples, options) int cmd_##id(struct app *a);
#include "client/commands.def"

#endif

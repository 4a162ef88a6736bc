/* args.h - the command line, taken apart by the option tables of commands.def. */
#ifndef CLIENT_ARGS_H
#define CLIENT_ARGS_H

#include <stdbool.h>
#include <stddef.h>

#include "client/commands.h"
#include "protocol/base/err.h"

#define ARGS_NAME_BYTES 32

/* One line of an option table. */
struct option_row {
	char letter; /* 0 = none */
	char name[ARGS_NAME_BYTES];
	char value[16]; /* what it takes; "" = nothing */
	bool repeats;
	const char *help; /* borrowed, up to the end of the line */
	size_t help_len;
};
/* Reads the row at *at and moves *at to the next line. False at the end. */
bool option_row_next(const char **at, struct option_row *out);

/* Words and option values point into argv. */
struct args {
	const struct command *command; /* NULL: general help or version, or none was named */
	const char **words;
	size_t word_count;
	struct args_option {
		char name[ARGS_NAME_BYTES];
		const char *value; /* NULL for a flag */
	} * options;
	size_t option_count;
};

/* 0, or MP_E_INVALID_PARAMS (message, hint, candidates) for a mistake and MP_E_UNKNOWN_METHOD for
 * an unknown command. Options of the command and global ones may stand anywhere before "--". On
 * failure out->command is set when it was recognised. */
int args_parse(int argc, char **argv, struct args *out, struct error *err);
void args_clear(struct args *a);

bool args_has(const struct args *a, const char *name);
/* The last value given, NULL when absent. */
const char *args_value(const struct args *a, const char *name);
/* Values of a repeatable option, in order: start with *at = 0. NULL at the end. */
const char *args_each(const struct args *a, const char *name, size_t *at);
/* The i-th word after the command, NULL beyond. */
const char *args_word(const struct args *a, size_t i);

#endif

/* app.h - one run of mpc: its options, how it may write, and its link to the daemon.
 *
 * Functions that return an exit code have already said on stderr what went wrong. */
#ifndef CLIENT_APP_H
#define CLIENT_APP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "client/args.h"
#include "protocol/base/err.h"
#include "protocol/base/str.h"
#include "protocol/sockpath.h"
#include "protocol/value.h"

struct client;

enum exit_code {
	EXIT_DONE = 0,
	EXIT_OTHER = 1,
	EXIT_USAGE = 2,
	EXIT_NOT_FOUND = 3,
	EXIT_NO_DAEMON = 5,
	EXIT_NOT_US = 10,
	EXIT_INTERRUPTED = 130,
};

enum form { FORM_TEXT, FORM_JSON, FORM_PLAIN };

struct app {
	const char *program; /* as it was called: "mpc" or "modelpc" */
	struct args args;
	enum form form;
	bool quiet, verbose, yes, no_input, no_spawn;
	bool in_tty, out_tty, err_tty;
	bool out_color, err_color;
	bool utf8;
	int64_t timeout_ms; /* 0: the usual */
	struct paths paths;
	bool paths_known;
	/* link.c */
	struct client *client;
	uint32_t hello_id;
	bool hello_waits; /* its reply has not come yet */
	char server_version[32];
	bool vault_locked;      /* said by hello */
	bool long_wait;         /* the next request is of a method marked long */
	const char *waiting;    /* what the spinner says, NULL = that it waits for the daemon */
	char *scope;            /* scope of this connection, NULL = none */
	struct app_text *texts; /* freed at the end */
};

/* The whole program. */
int app_main(int argc, char **argv);
/* Reads the options and the surroundings; an exit code. a must be zero. */
int app_init(struct app *a, int argc, char **argv);
void app_clear(struct app *a);

/* Prints the error in the form of UX.md section 7 and returns its exit code. */
int fail_err(struct app *a, const struct error *err);
/* The same with a reason line ("" = none), a wire code and exit code of its own. */
int fail_as(
    struct app *a, const struct error *err, const char *why, const char *code, int exit_code);
/* A mistake on the command line: exit code 2, and how to write it. */
int fail_usage(struct app *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Refuses words beyond the first `most`; they are not repeated (one may be a key). 0 or an exit
 * code. */
int no_more_words(struct app *a, size_t most);

/* "note: ..." on stderr; nothing with --quiet. */
void note(struct app *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Foreign text, made harmless for a terminal; lives until the end of the run. Never NULL. */
const char *app_escaped(struct app *a, struct slice s);
const char *app_text(struct app *a, const struct value *v);
const char *app_member(struct app *a, const struct value *map, const char *key);
/* Commands that run for long give back what was made since a mark. */
struct app_text *app_mark(const struct app *a);
void app_release(struct app *a, const struct app_text *mark);
/* printf into memory that lives until the end of the run. */
const char *app_format(struct app *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Asks on the terminal; true for yes. Without a terminal, or with --no-input: --yes decides, and
 * when it is missing the refusal says so. */
bool app_confirm(struct app *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif

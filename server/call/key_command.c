#include "server/call/key_command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "protocol/base/str.h"
#include "server/state/key_source.h"
#include "server/upstream/program.h"
#include "server/upstream/transfer.h"

/* Somebody may have to type a passphrase for it. */
#define COMMAND_MS 60000
#define OUTPUT_BYTES ((uint64_t)64 << 10)

/* Beside what every program gets (THREATS.md section 8): where password programs look for their things
 * and for the person. A name that ends with "_" stands for all that begin so. */
static const char *const wanted[] = { "GNUPGHOME", "PASSWORD_STORE_", "DBUS_SESSION_BUS_ADDRESS", "DISPLAY",
	"WAYLAND_DISPLAY", "XAUTHORITY", "SSH_AUTH_SOCK" };

struct key_command {
	struct transfer *transfer;
	const char **environment; /* its texts are the process's own */
	struct secret *line;
	key_command_ended *ended;
	void *arg;
};

static void
command_free(struct key_command *c)
{
	secret_free(c->line);
	free(c->environment);
	free(c);
}

/* ---- what it writes ---- */

static void
on_body(void *arg, struct slice body)
{
	struct key_command *c = arg;
	struct slice key;

	if (key_source_value(body, &key))
		c->line = secret_new(key.data, key.len);
}

static void
on_frame(void *arg, const struct frame *f)
{
	(void)arg;
	(void)f;
}

static void
on_end(void *arg, const struct failure *f)
{
	struct key_command *c = arg;
	struct error err = ERROR_INIT;
	struct secret *line = NULL;

	if (f->class != FAILURE_NONE) {
		error_set(&err, MP_E_NO_CREDENTIAL, "%s", f->message);
	} else if (c->line == NULL) {
		error_set(&err, MP_E_NO_CREDENTIAL, "the first line it wrote is no key%s%s",
		    f->message[0] != '\0' ? ": " : "", f->message);
	} else {
		line = c->line;
		c->line = NULL;
	}
	c->ended(c->arg, line, &err);
	command_free(c);
}

static const struct transfer_callbacks callbacks = { NULL, on_frame, on_body, on_end };

/* ---- running it ---- */

static bool
is_wanted(const char *variable)
{
	for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
		size_t n = strlen(wanted[i]);

		if (strncmp(variable, wanted[i], n) == 0 && (wanted[i][n - 1] == '_' || variable[n] == '='))
			return true;
	}
	return false;
}

static const char **
environment_make(void)
{
	const char **out;
	size_t n = 0;

	for (char **at = environ; at != NULL && *at != NULL; at++)
		n += is_wanted(*at);
	out = xcalloc(n + 1, sizeof *out);
	n = 0;
	for (char **at = environ; at != NULL && *at != NULL; at++)
		if (is_wanted(*at))
			out[n++] = *at;
	return out;
}

struct key_command *
key_command_start(struct upstream *u, const char *text, key_command_ended *ended, void *arg,
    struct error *err)
{
	struct endpoint to = { .output_bytes = OUTPUT_BYTES, .first_byte_ms = COMMAND_MS,
		.silence_ms = COMMAND_MS, .total_ms = COMMAND_MS };
	struct key_command *c;
	struct wire_request wire;
	struct key_words words;

	if (key_words_split(text, &words, err) != 0)
		return NULL;
	c = xcalloc(1, sizeof *c);
	c->ended = ended;
	c->arg = arg;
	wire_request_init(&wire);
	for (size_t i = 1; i < words.count; i++)
		wire_request_argument(&wire, words.of[i]);
	c->environment = environment_make();
	wire.program = "the command";
	wire.environment = c->environment;
	wire.aside = true;
	to.program = words.of[0];
	c->transfer = transfer_start(u, CARRIER_CHILD, FRAMING_NDJSON, &to, &wire, &callbacks, c, err);
	wire_request_clear(&wire);
	key_words_clear(&words);
	if (c->transfer != NULL)
		return c;
	command_free(c);
	return NULL;
}

void
key_command_cancel(struct key_command *c)
{
	transfer_cancel(c->transfer);
	command_free(c);
}

static struct key_command *
start_for_keeper(void *arg, const char *command, key_command_ended *ended, void *ended_arg, struct error *err)
{
	return key_command_start(arg, command, ended, ended_arg, err);
}

void
key_command_serve(struct upstream *u, struct keeper *k)
{
	keeper_use_commands(k, &(struct command_runner){ start_for_keeper, key_command_cancel, u });
}

/* ---- before it is stored ---- */

int
key_command_prepare(const char *text, char **out, struct error *err)
{
	struct failure why = FAILURE_INIT;
	struct key_words words;
	char *path;
	int r;

	if ((r = key_source_check(KEY_COMMAND, text, err)) != 0 ||
	    (r = key_words_split(text, &words, err)) != 0)
		return r;
	if (words.of[0][0] != '/' && strchr(words.of[0], '/') != NULL) {
		key_words_clear(&words);
		return error_field(err, "source", "the command's program is a name or a full path");
	}
	path = program_find(words.of[0], words.of[0][0] == '/' ? words.of[0] : NULL, &why);
	if (path == NULL) {
		r = error_field(err, "source", "%s", why.message);
	} else if ((*out = key_words_replace(&words, text, path)) == NULL ||
	    strlen(*out) > KEY_SOURCE_MAX_BYTES) {
		free(*out);
		*out = NULL;
		r = error_field(err, "source", "the command is too long, or its path has a quote");
	}
	free(path);
	key_words_clear(&words);
	return r;
}

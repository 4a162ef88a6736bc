#include "server/call/key_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "protocol/base/str.h"
#include "server/base/log.h"
#include "server/upstream/program.h"
#include "server/upstream/transfer.h"

#define KEEP_MS (INT64_C(10) * 60 * 1000)
/* Somebody may have to type a passphrase for it. */
#define COMMAND_MS 60000
#define OUTPUT_BYTES ((uint64_t)64 << 10)

/* Beside what every program gets (THREATS.md section 8): where password programs look for their things
 * and for the person. A name that ends with "_" stands for all that begin so. */
static const char *const wanted[] = { "GNUPGHOME", "PASSWORD_STORE_", "DBUS_SESSION_BUS_ADDRESS", "DISPLAY",
	"WAYLAND_DISPLAY", "XAUTHORITY", "SSH_AUTH_SOCK" };

struct key_wait {
	struct reading *of;
	struct key_wait *next;
	key_brought *done;
	void *arg;
};

struct reading {
	struct key_reader *owner;
	struct reading *next;
	char *id; /* of the credential */
	char *provider, *label;
	enum key_source_kind kind;
	char *text;
	struct key_wait *waits;
	struct loop_deferred step; /* begins it */
	struct transfer *command;
	const char **environment; /* of the command; its texts are the process's own */
	struct secret *value;
};

struct key_reader {
	struct loop *loop;
	struct upstream *upstream;
	struct providers *providers;
	struct credentials *credentials;
	struct loop_timer *stale;
	struct reading *readings;
};

/* ---- one reading ---- */

static void
reading_unlink(struct reading *r)
{
	struct reading **at = &r->owner->readings;

	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
}

/* No wait is left; its transfer has ended or is cancelled. */
static void
reading_free(struct reading *r)
{
	loop_defer_cancel(r->owner->loop, &r->step);
	secret_free(r->value);
	free(r->environment);
	free(r->id);
	free(r->provider);
	free(r->label);
	free(r->text);
	free(r);
}

static void
drop_stale(void *arg)
{
	struct key_reader *k = arg;
	int64_t next = credentials_drop_stale(k->credentials);

	if (next >= 0)
		loop_timer_start(k->stale, next);
}

/* Gives each wait its key, or tells it why there is none. A wait's owner may cancel others meanwhile. */
static void
reading_conclude(struct reading *r, struct error *err)
{
	struct key_reader *k = r->owner;
	struct failure failure = FAILURE_INIT;
	struct key_wait *w;

	reading_unlink(r);
	if (r->value != NULL) {
		credentials_was_read(k->credentials, r->id, r->value);
		r->value = NULL;
		drop_stale(k);
	} else {
		log_warn("a key could not be read from its source", LOG_TEXT("provider", r->provider),
		    LOG_TEXT("label", r->label), LOG_TEXT("why", err->message));
		credentials_report(k->credentials, r->provider, r->label, MP_E_NO_CREDENTIAL);
		failure_say(&failure, FAILURE_CONFIG, "key_source",
		    "its key is read from the %s \"%s\", but %s",
		    r->kind == KEY_ENV ? "variable" : key_source_name(r->kind), r->text, err->message);
	}
	while ((w = r->waits) != NULL) {
		const struct provider *p = providers_find(k->providers, r->provider);
		const struct secret *key = NULL;
		struct error refused = ERROR_INIT;

		r->waits = w->next;
		/* what was true when it was asked for need not be now: locked, moved, deleted */
		if (failure.class == FAILURE_NONE && p != NULL &&
		    credentials_open(k->credentials, p, r->label, &key, &refused) != 0)
			failure_say(&failure, FAILURE_CONFIG,
			    refused.code == MP_E_LOCKED ? "locked" : "key_source", "%s",
			    refused.message);
		else if (failure.class == FAILURE_NONE && key == NULL)
			failure_say(&failure, FAILURE_CONFIG, "key_source", "its key was changed meanwhile");
		w->done(w->arg, failure.class == FAILURE_NONE ? key : NULL, &failure);
		free(w);
	}
	reading_free(r);
}

/* ---- a command ---- */

static void
on_body(void *arg, struct slice body)
{
	struct reading *r = arg;
	struct slice key;

	if (key_source_value(body, &key))
		r->value = secret_new(key.data, key.len);
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
	struct reading *r = arg;
	struct error err = ERROR_INIT;

	r->command = NULL;
	if (f->class != FAILURE_NONE) {
		secret_free(r->value);
		r->value = NULL;
		error_set(&err, MP_E_NO_CREDENTIAL, "%s", f->message);
	} else if (r->value == NULL) {
		error_set(&err, MP_E_NO_CREDENTIAL, "the first line it wrote is no key%s%s",
		    f->message[0] != '\0' ? ": " : "", f->message);
	}
	reading_conclude(r, &err);
}

static const struct transfer_callbacks callbacks = { NULL, on_frame, on_body, on_end };

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

static int
run(struct reading *r, struct error *err)
{
	struct endpoint to = { .output_bytes = OUTPUT_BYTES, .first_byte_ms = COMMAND_MS,
		.silence_ms = COMMAND_MS, .total_ms = COMMAND_MS };
	struct wire_request wire;
	struct key_words words;
	int code;

	if ((code = key_words_split(r->text, &words, err)) != 0)
		return code;
	wire_request_init(&wire);
	for (size_t i = 1; i < words.count; i++)
		wire_request_argument(&wire, words.of[i]);
	r->environment = environment_make();
	wire.program = "the command";
	wire.environment = r->environment;
	wire.aside = true;
	to.program = words.of[0];
	r->command = transfer_start(r->owner->upstream, CARRIER_CHILD, FRAMING_NDJSON, &to, &wire,
	    &callbacks, r, err);
	wire_request_clear(&wire);
	key_words_clear(&words);
	return r->command != NULL ? 0 : err->code;
}

static void
begin(void *arg)
{
	struct reading *r = arg;
	struct error err = ERROR_INIT;

	switch (r->kind) {
	case KEY_COMMAND:
		if (run(r, &err) == 0)
			return;
		break;
	case KEY_ENV:
		(void)credentials_variable(r->owner->credentials, r->text, &r->value, &err);
		break;
	case KEY_FILE:
		(void)key_source_read_file(r->text, &r->value, &err);
		break;
	case KEY_STORED:
		break;
	}
	reading_conclude(r, &err);
}

/* ---- asking ---- */

static struct reading *
reading_start(struct key_reader *k, const struct credential *c)
{
	struct reading *r = xcalloc(1, sizeof *r);

	r->owner = k;
	r->id = xstrdup(c->id);
	r->provider = xstrdup(c->provider);
	r->label = xstrdup(c->label);
	r->kind = c->source;
	r->text = xstrdup(c->source_text);
	r->next = k->readings;
	k->readings = r;
	loop_defer(k->loop, &r->step, begin, r);
	return r;
}

static struct key_wait *
ask(void *arg, const struct credential *c, key_brought *done, void *done_arg)
{
	struct key_reader *k = arg;
	struct reading *r = k->readings;
	struct key_wait *w = xcalloc(1, sizeof *w);

	while (r != NULL && strcmp(r->id, c->id) != 0)
		r = r->next;
	if (r == NULL)
		r = reading_start(k, c);
	*w = (struct key_wait){ r, r->waits, done, done_arg };
	r->waits = w;
	return w;
}

static void
cancel(struct key_wait *w)
{
	struct reading *r = w->of;
	struct key_wait **at = &r->waits;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	free(w);
	for (struct reading *known = r->owner->readings; known != NULL; known = known->next) {
		if (known != r || r->waits != NULL)
			continue;
		/* nobody wants it any more */
		if (r->command != NULL)
			transfer_cancel(r->command);
		reading_unlink(r);
		reading_free(r);
		return;
	}
}

struct key_reader *
key_reader_new(struct loop *loop, struct upstream *u, struct providers *ps, struct credentials *cs,
    int64_t keep_ms)
{
	struct key_reader *k = xcalloc(1, sizeof *k);

	k->loop = loop;
	k->upstream = u;
	k->providers = ps;
	k->credentials = cs;
	k->stale = loop_timer_new(loop, drop_stale, k);
	credentials_keep_read(cs, keep_ms > 0 ? keep_ms : KEEP_MS);
	upstream_bring_keys(u, &(struct key_bringer){ ask, cancel, k });
	return k;
}

void
key_reader_free(struct key_reader *k)
{
	struct reading *r;

	if (k == NULL)
		return;
	while ((r = k->readings) != NULL) {
		k->readings = r->next;
		reading_free(r);
	}
	loop_timer_free(k->stale);
	free(k);
}

/* ---- key.set ---- */

int
key_reader_prepare(enum key_source_kind kind, const char *text, char **out, struct error *err)
{
	struct failure why = FAILURE_INIT;
	struct key_words words;
	char *path;
	int r;

	if ((r = key_source_check(kind, text, err)) != 0)
		return r;
	if (kind != KEY_COMMAND) {
		*out = xstrdup(text);
		return 0;
	}
	if ((r = key_words_split(text, &words, err)) != 0)
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

#include "server/call/key_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/base/log.h"
#include "server/call/key_command.h"
#include "server/upstream/transfer.h"

#define KEEP_MS (INT64_C(10) * 60 * 1000)

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
	struct key_command *command;
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

/* No wait is left; its command has ended or is cancelled. */
static void
reading_free(struct reading *r)
{
	loop_defer_cancel(r->owner->loop, &r->step);
	secret_free(r->value);
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

/* ---- reading ---- */

static void
on_command(void *arg, struct secret *line, const struct error *why)
{
	struct reading *r = arg;
	struct error err = *why;

	r->command = NULL;
	r->value = line;
	reading_conclude(r, &err);
}

static void
begin(void *arg)
{
	struct reading *r = arg;
	struct error err = ERROR_INIT;

	switch (r->kind) {
	case KEY_COMMAND:
		r->command = key_command_start(r->owner->upstream, r->text, on_command, r, &err);
		if (r->command != NULL)
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
			key_command_cancel(r->command);
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
	int r;

	if (kind == KEY_COMMAND)
		return key_command_prepare(text, out, err);
	if ((r = key_source_check(kind, text, err)) == 0)
		*out = xstrdup(text);
	return r;
}

/* mint_ask.c - one question to a provider's API of keys. */
#include <stdio.h>
#include <string.h>

#include "server/base/clock.h"
#include "server/call/mint_list.h"
#include "server/call/story.h"

#define ASK_MS 20000

static void
on_head(void *arg, const struct wire_head *head)
{
	struct management *m = arg;

	head_copy_set(&m->head, head);
}

static void
on_frame(void *arg, const struct frame *f)
{
	(void)arg;
	(void)f;
}

static void
on_body(void *arg, struct slice body)
{
	struct management *m = arg;

	m->watch->on_body(m->arg, body);
}

static void
on_end(void *arg, const struct failure *failure)
{
	struct management *m = arg;

	m->transfer = NULL;
	m->watch->on_end(m->arg, failure);
}

static const struct transfer_callbacks callbacks = { on_head, on_frame, on_body, on_end };

int
management_ask(struct management *m, struct mints *ms, const struct provider *p,
    struct wire_request *wire, int64_t timeout_ms, const struct management_watch *watch, void *arg,
    struct error *err)
{
	struct endpoint to;
	int r;

	management_clear(m);
	*m = (struct management){ .provider = p, .refusal = FAILURE_INIT, .watch = watch, .arg = arg };
	if ((r = endpoint_open(&to, ms->parts.credentials, p, MINT_LABEL, AUTH_STYLE_BEARER, err)) == 0) {
		to.first_byte_ms = to.total_ms = timeout_ms > 0 ? timeout_ms : ASK_MS;
		m->transfer = transfer_start(ms->parts.upstream, CARRIER_HTTP, FRAMING_SSE, &to, wire,
		    &callbacks, m, err);
		if (m->transfer == NULL)
			r = err->code != 0 ? err->code
			                   : error_set(err, MP_E_INTERNAL, "the request could not start");
	}
	wire_request_clear(wire);
	return r;
}

void
management_stop(struct management *m)
{
	if (m->transfer != NULL)
		transfer_cancel(m->transfer);
	m->transfer = NULL;
}

void
management_clear(struct management *m)
{
	head_copy_clear(&m->head);
}

int
management_status(const struct management *m)
{
	return m->head.head.status;
}

void
management_refused(struct management *m, struct slice body)
{
	const struct dialect *d = dialect_find(m->provider->dialect);

	if (d != NULL && d->refuse != NULL)
		d->refuse(m->provider, &m->head.head, body, clock_wall_ms(), &m->refusal);
	if (m->refusal.class == FAILURE_NONE)
		m->refusal.class = FAILURE_SERVER;
	m->refusal.http_status = management_status(m);
	failure_redact(&m->refusal);
}

/* What comes after "cannot use NAME: " of a story. */
static const char *
after_colon(const char *message)
{
	const char *colon = strstr(message, ": ");

	return strncmp(message, "cannot use ", 11) == 0 && colon != NULL ? colon + 2 : message;
}

void
management_story(const struct management *m, const struct provider *p, const struct failure *failure,
    const char *subject, struct error *err)
{
	struct target t = { .provider = p->name, .model = (char[]){ "" }, .upstream = (char[]){ "" } };
	const struct story s = { .target = &t, .provider = p, .key_sent = true, .checking = true };
	struct failure f = FAILURE_INIT;
	struct error told = ERROR_INIT;

	if (m->refusal.class != FAILURE_NONE)
		f = m->refusal;
	else if (failure != NULL && failure->class != FAILURE_NONE)
		f = *failure;
	else
		f.class = FAILURE_PROTOCOL;
	failure_redact(&f);
	story_tell(&s, &f, &told);
	*err = told;
	error_set(err, told.code, "%s %s: %s", subject, p->name, after_colon(told.message));
	if (told.code == MP_E_AUTH_REJECTED || f.class == FAILURE_PERMISSION)
		error_hint(err, "is it a management key? mpc key set %s --label %s --no-check", p->name,
		    MINT_LABEL);
	else
		error_hint(err, "%s", told.hint);
}

#include "server/call/attempt.h"

#include <assert.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "server/base/clock.h"
#include "server/call/record.h"
#include "server/call/story.h"
#include "server/call/waiting.h"

/* The answer is whole but its transfer has not ended: the connection is worth this much waiting,
 * so that the next call finds it open. */
#define LINGER_MS 100

/* Whole replies come in one piece at the very end. */
#define WHOLE_FIRST_BYTE_MS 600000

#define TOTAL_SLACK_MS 5000

struct attempt {
	const struct attempt_parts *parts;
	struct attempt_watch watch;
	void *arg;
	struct record record;

	struct provider *provider; /* a copy: the user may change his while we talk */
	const struct dialect *dialect;
	void *state;
	bool state_begun;
	struct transfer *transfer; /* NULL when it has ended */
	bool key_sent;
	bool passing_key; /* of a test session: what it may do is no limit of the provider */
	bool paused;

	struct head_copy refusal; /* status >= 300: kept until the body is there */
	bool got_body;

	bool finished; /* EVENT_FINISH came */
	enum stop_reason stop;
	bool failed;   /* `failure` holds the reason */
	struct failure failure;
	struct usage usage;
	int64_t resets_ms; /* what the answer named as full is empty again; 0 = not said */

	bool dead; /* on_end was delivered, or the owner let go */
	struct loop_timer *linger;
};

/* ---- the end ---- */

/* An answer that breaks off, or goes on, has told more of its usage than it has reported. */
static struct usage
attempt_told(const struct attempt *a)
{
	struct usage all = a->usage, told;

	if (a->state_begun && !a->finished && !a->record.written && a->dialect->told != NULL) {
		a->dialect->told(a->state, &told);
		usage_merge(&all, &told);
	}
	return all;
}

void
attempt_stop_as(struct attempt *a, const char *outcome)
{
	if (a == NULL)
		return;
	a->usage = attempt_told(a);
	record_end(&a->record, &a->usage, outcome, NULL);
	a->dead = true;
	if (a->transfer != NULL)
		transfer_cancel(a->transfer);
	a->transfer = NULL;
	loop_timer_stop(a->linger);
}

void
attempt_stop(struct attempt *a)
{
	attempt_stop_as(a, "cancelled");
}

void
attempt_free(struct attempt *a)
{
	if (a == NULL)
		return;
	attempt_stop(a);
	record_clear(&a->record);
	if (a->state_begun && a->dialect->clear != NULL)
		a->dialect->clear(a->state);
	free(a->state);
	head_copy_clear(&a->refusal);
	provider_free(a->provider);
	loop_timer_free(a->linger);
	free(a);
}

/* Delivers the one end. The owner frees the attempt later. */
static void
attempt_conclude(struct attempt *a)
{
	struct attempt_end end = { .usage = &a->usage };

	if (a->dead)
		return;
	assert(a->finished || a->failed);
	a->usage = attempt_told(a);
	record_end(&a->record, &a->usage,
	    a->finished ? "done" : failure_class_name(a->failure.class),
	    a->finished ? NULL : &a->failure);
	attempt_stop(a);
	end.warning = a->record.news;
	end.ok = a->finished;
	end.stop = a->stop;
	if (!a->finished) {
		failure_redact(&a->failure);
		end.failure = &a->failure;
	}
	a->watch.on_end(a->arg, &end);
}

/* A dialect that hears of a full window knows when it ends, but not what time it is. */
static void
attempt_fail(struct attempt *a, const struct failure *f)
{
	const int64_t day_ms = (int64_t)24 * 3600 * 1000;
	int64_t wait_ms = a->resets_ms - clock_wall_ms();

	if (a->finished || a->failed)
		return;
	a->failure = *f;
	a->failed = true;
	if ((f->class == FAILURE_QUOTA || f->class == FAILURE_RATE_LIMIT) && f->wait_ms < 0 &&
	    wait_ms > 0)
		a->failure.wait_ms = wait_ms < day_ms ? wait_ms : day_ms;
}

static void
attempt_note_full(struct attempt *a, const struct limits *l)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->of[i].rejected && l->of[i].resets_ms > a->resets_ms)
			a->resets_ms = l->of[i].resets_ms;
}

/* The end did not say why; what a program complained about last may. */
static void
attempt_last_words(struct attempt *a, const struct failure *end)
{
	size_t n = strlen(a->failure.message);

	if (a->failed && end != NULL && end->message[0] != '\0')
		snprintf(a->failure.message + n, sizeof(a->failure.message) - n, ": %s",
		    end->message);
	n = strlen(a->failure.message);
	a->failure.message[n - utf8_incomplete_tail(a->failure.message, n)] = '\0';
}

static void
attempt_fail_own(struct attempt *a, enum failure_class class, const char *kind)
{
	struct failure f = FAILURE_INIT;

	f.class = class;
	snprintf(f.kind, sizeof(f.kind), "%s", kind);
	attempt_fail(a, &f);
}

/* The answer is whole, and its program may wait for the next turn. */
static void
attempt_let_go(struct attempt *a)
{
	struct wire_memory known;

	wire_memory_init(&known);
	if (waiting_allowed(a->parts->providers, a->provider) &&
	    a->dialect->remember(a->state, &known))
		transfer_keep(a->transfer, &known);
	else
		transfer_cancel(a->transfer);
	a->transfer = NULL;
	wire_memory_clear(&known);
}

/* After anything was fed: an error ends the try at once; a whole answer waits a little for the transfer
 * to end by itself. */
static void
attempt_settle(struct attempt *a)
{
	if (a->dead)
		return;
	if (a->finished && a->transfer != NULL && a->dialect->remember != NULL)
		attempt_let_go(a);
	if (a->failed || (a->finished && a->transfer == NULL))
		attempt_conclude(a);
	else if (a->finished && !loop_timer_running(a->linger))
		loop_timer_start(a->linger, LINGER_MS);
}

static void
attempt_lingered(void *arg)
{
	attempt_conclude(arg);
}

/* ---- what the dialect says ---- */

static void
attempt_event(void *arg, const struct event *e)
{
	struct attempt *a = arg;

	if (a->dead || a->finished || a->failed)
		return;
	record_event(&a->record, e);
	switch (e->type) {
	case EVENT_START:
		return; /* preamble: nothing is committed yet */
	case EVENT_FINISH:
		a->finished = true;
		a->stop = e->stop;
		return;
	case EVENT_ERROR:
		attempt_fail(a, e->failure);
		return;
	case EVENT_USAGE:
		usage_merge(&a->usage, e->usage);
		break;
	case EVENT_LIMITS:
		/* for the provider's books, not for the caller */
		attempt_note_full(a, e->limits);
		if (!a->passing_key)
			credentials_report_limits(a->parts->credentials, a->provider->name,
			    a->record.target->label, e->limits);
		return;
	case EVENT_TEXT:
	case EVENT_REASONING:
	case EVENT_REASONING_END:
	case EVENT_TOOL_CALL:
	case EVENT_TOOL_ARGS:
	case EVENT_TOOL_END:
	case EVENT_WARNING:
		break;
	}
	a->watch.on_event(a->arg, e);
}

/* ---- what the carrier says ---- */

static void
attempt_on_head(void *arg, const struct wire_head *head)
{
	struct attempt *a = arg;
	const struct wire_memory *known;

	if (!a->passing_key)
		attempt_limits(a->parts, a->provider, a->record.target->label, a->dialect, head);
	if (a->dialect->resume != NULL && (known = transfer_known(a->transfer)) != NULL)
		a->dialect->resume(a->state, known);
	if (head->status >= 300)
		head_copy_set(&a->refusal, head);
}

static void
attempt_on_frame(void *arg, const struct frame *f)
{
	struct attempt *a = arg;
	struct event_sink sink = { attempt_event, a };

	if (a->dead || a->finished || a->failed)
		return;
	a->dialect->frame(a->state, f, &sink);
	attempt_settle(a);
}

static void
attempt_refused(struct attempt *a, struct slice body)
{
	struct failure f = FAILURE_INIT;

	a->dialect->refuse(a->provider, &a->refusal.head, body, clock_wall_ms(), &f);
	if (f.class == FAILURE_NONE)
		f.class = FAILURE_SERVER;
	f.http_status = a->refusal.head.status;
	attempt_fail(a, &f);
}

static void
attempt_on_body(void *arg, struct slice body)
{
	struct attempt *a = arg;
	struct event_sink sink = { attempt_event, a };

	if (a->dead || a->finished || a->failed)
		return;
	a->got_body = true;
	if (a->refusal.head.status >= 300)
		attempt_refused(a, body);
	else if (a->dialect->body != NULL)
		a->dialect->body(a->state, body, &sink);
	else
		attempt_fail_own(a, FAILURE_PROTOCOL, "content_type");
	/* on_end follows at once; it settles. */
}

static void
attempt_on_end(void *arg, const struct failure *failure)
{
	struct attempt *a = arg;
	struct event_sink sink = { attempt_event, a };

	a->transfer = NULL;
	if (a->dead)
		return;
	if (!a->finished && !a->failed) {
		if (failure != NULL && failure->class != FAILURE_NONE) {
			struct failure f = *failure;

			if (f.http_status == 0)
				f.http_status = a->refusal.head.status;
			attempt_fail(a, &f);
		} else if (a->refusal.head.status >= 300) {
			attempt_refused(a, (struct slice){ NULL, 0 });
		} else {
			a->dialect->end(a->state, &sink);
			if (!a->dead && !a->finished && !a->failed)
				attempt_fail_own(a, FAILURE_PROTOCOL, "cut");
			attempt_last_words(a, failure);
		}
	}
	attempt_settle(a);
}

/* ---- the beginning ---- */

static const struct transfer_callbacks attempt_callbacks = {
	.on_head = attempt_on_head,
	.on_frame = attempt_on_frame,
	.on_body = attempt_on_body,
	.on_end = attempt_on_end,
};

static int
attempt_find(struct attempt *a, const struct target *target, struct error *err)
{
	const struct provider *p = providers_find(a->parts->providers, target->provider);
	int r;

	if (p == NULL)
		return error_set(err, MP_E_NOT_FOUND, "unknown provider \"%s\"", target->provider);
	if (a->parts->routes != NULL && (r = routes_ready(a->parts->routes, target, err)) != 0)
		return r;
	a->dialect = dialect_find(p->dialect);
	if (a->dialect == NULL)
		return error_set(err, MP_E_INVALID_STATE,
		    "this version does not speak \"%s\" yet", p->dialect);
	a->provider = provider_copy(p);
	return 0;
}

static int
attempt_send(struct attempt *a, const struct target *target, const struct chat_request *chat,
    int64_t timeout_ms, struct error *err)
{
	struct event_sink sink = { attempt_event, a };
	struct dialect_target to = { a->provider, target->upstream };
	struct endpoint endpoint;
	struct wire_request wire;
	int r;

	wire_request_init(&wire);
	if ((r = a->dialect->encode(chat, &to, &wire, &sink, err)) != 0)
		goto out;
	if ((r = endpoint_open(&endpoint, a->parts->credentials, a->provider, target->label,
	         a->dialect->auth_style, err)) != 0)
		goto out;
	/* The caller's own limit is the call's to keep; the carrier's must not come first. */
	if (timeout_ms > 0)
		endpoint.total_ms = timeout_ms + TOTAL_SLACK_MS;
	if (!wire.stream && endpoint.first_byte_ms == 0)
		endpoint.first_byte_ms = WHOLE_FIRST_BYTE_MS;
	a->key_sent = endpoint.key != NULL || endpoint.unread != NULL;
	a->transfer = transfer_start(a->parts->upstream, a->dialect->carrier, a->dialect->framing,
	    &endpoint, &wire, &attempt_callbacks, a, err);
	if (a->transfer == NULL)
		r = err->code != 0 ? err->code
		                   : error_set(err, MP_E_INTERNAL, "the request could not start");
out:
	wire_request_clear(&wire);
	return r;
}

struct attempt *
attempt_start(const struct attempt_parts *parts, const struct target *target,
    const struct attempt_origin *origin, const struct chat_request *chat, int64_t timeout_ms,
    const struct attempt_watch *watch, void *arg, struct error *err)
{
	struct attempt *a = xcalloc(1, sizeof(*a));
	struct dialect_target to = { NULL, target->upstream };
	struct story story = { .target = target };

	*err = (struct error)ERROR_INIT;
	a->parts = parts;
	a->passing_key = target->label != NULL && credentials_label_reserved(target->label);
	a->watch = *watch;
	a->arg = arg;
	a->usage = (struct usage)USAGE_INIT;
	record_begin(&a->record, parts, target, origin, chat);
	a->linger = loop_timer_new(parts->loop, attempt_lingered, a);
	if (attempt_find(a, target, err) != 0)
		goto fail;
	a->state = xcalloc(1, a->dialect->state_size > 0 ? a->dialect->state_size : 1);
	to.provider = a->provider;
	if (record_afford(&a->record, a->provider, chat, err) != 0)
		goto fail;
	if (a->dialect->begin != NULL)
		a->dialect->begin(a->state, chat, &to);
	a->state_begun = true;
	if (attempt_send(a, target, chat, timeout_ms, err) != 0)
		goto fail;
	a->record.sent = true;
	return a;

fail:
	record_end(&a->record, &a->usage, error_code(err->code), NULL);
	story_unsent(&story, err);
	attempt_free(a);
	return NULL;
}

void
attempt_pause(struct attempt *a, bool paused)
{
	if (a->paused == paused)
		return;
	a->paused = paused;
	if (a->transfer != NULL)
		transfer_pause(a->transfer, paused);
}

const struct provider *
attempt_provider(const struct attempt *a)
{
	return a->provider;
}

bool
attempt_key_sent(const struct attempt *a)
{
	return a->key_sent;
}

void
attempt_usage(const struct attempt *a, struct usage *out)
{
	struct usage told = attempt_told(a);

	record_so_far(&a->record, &told, out);
}

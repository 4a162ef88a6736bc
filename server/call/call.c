#include "server/call/call.h"

#include <assert.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/call/attempt.h"
#include "server/call/story.h"

#define CALLS_MAX 1024

enum call_state {
	CALL_PLANNED,    /* nothing was sent */
	CALL_CONNECTING, /* sent, nothing was delivered to the watch */
	CALL_STREAMING,  /* committed: the watch has seen output */
	CALL_DONE,
	CALL_FAILED,
	CALL_CANCELLED,
};

struct call {
	struct calls *calls;
	struct call *prev, *next;

	struct call_watch watch;
	void *arg;
	struct chat_request *chat;
	struct route route;
	char *client;
	int64_t timeout_ms;

	enum call_state state;
	unsigned attempts;
	struct attempt *attempt;
	bool paused;
	bool cancelling; /* call_cancel was asked; the end is queued */
	bool ended;      /* on_end was delivered, or the owner is gone */

	struct usage usage;
	int64_t started_wall_ms, started_ms, first_token_ms;
	int64_t bytes;

	struct loop_timer *patience; /* timeout_ms of the whole call */
	struct loop_deferred next_step; /* begin, or the end of a cancel */
	struct loop_deferred reaper;
};

struct calls {
	struct attempt_parts parts;
	struct call *first;
	size_t running; /* not ended */
	bool draining;
};

/* ---- states ---- */

#define MAY(state) (1u << (state))

static void
call_move(struct call *c, enum call_state to)
{
	static const unsigned legal[] = {
		[CALL_PLANNED] = MAY(CALL_CONNECTING) | MAY(CALL_FAILED) | MAY(CALL_CANCELLED),
		/* DONE without STREAMING: a whole answer with nothing in it. */
		[CALL_CONNECTING] = MAY(CALL_CONNECTING) | MAY(CALL_STREAMING) | MAY(CALL_DONE) |
		    MAY(CALL_FAILED) | MAY(CALL_CANCELLED),
		[CALL_STREAMING] = MAY(CALL_DONE) | MAY(CALL_FAILED) | MAY(CALL_CANCELLED),
		[CALL_DONE] = 0,
		[CALL_FAILED] = 0,
		[CALL_CANCELLED] = 0,
	};

	bool ok = (legal[c->state] & MAY(to)) != 0;

	assert(ok);
	(void)ok; /* without assertions */
	c->state = to;
}

/* ---- the end ---- */

static void
call_free(struct call *c)
{
	struct calls *cs = c->calls;

	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		cs->first = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	if (!c->ended)
		cs->running--;
	loop_defer_cancel(cs->parts.loop, &c->next_step);
	loop_defer_cancel(cs->parts.loop, &c->reaper);
	loop_timer_free(c->patience);
	attempt_free(c->attempt);
	chat_request_free(c->chat);
	route_clear(&c->route);
	free(c->client);
	free(c);
}

static void
call_reap(void *arg)
{
	call_free(arg);
}

static void
call_log(const struct call *c, const struct call_end *e)
{
	char ref[400];

	log_info("call ended", LOG_TEXT("ref", target_ref(&c->route.target, ref, sizeof(ref))),
	    LOG_TEXT("code", e->code != 0 ? error_code(e->code) : stop_reason_name(e->stop)),
	    LOG_INT("http", e->failure != NULL ? e->failure->http_status : 0),
	    LOG_INT("ms", e->duration_ms), LOG_INT("first_ms", e->first_token_ms));
}

/* From here on nothing reaches the watch; the memory goes when the stack is empty. outcome: of what runs. */
static void
call_close(struct call *c, const char *outcome)
{
	if (c->ended)
		return;
	c->ended = true;
	c->calls->running--;
	attempt_stop_as(c->attempt, outcome);
	if (c->attempt != NULL)
		usage_merge(&c->usage, attempt_usage(c->attempt));
	if (c->attempts > 0)
		routes_count(c->calls->parts.routes, c->route.session, c->usage.cost_microusd);
	loop_timer_stop(c->patience);
	loop_defer_cancel(c->calls->parts.loop, &c->next_step);
	loop_defer(c->calls->parts.loop, &c->reaper, call_reap, c);
}

static void
call_end(struct call *c, enum call_state how, struct call_end *e)
{
	bool partial = c->state == CALL_STREAMING;

	if (c->ended)
		return;
	call_move(c, how);
	call_close(c, e->code == 0 ? "cancelled" : error_code(e->code));
	e->partial = e->code != 0 && partial;
	e->usage = c->usage;
	e->target = &c->route.target;
	e->duration_ms = clock_monotonic_ms() - c->started_ms;
	e->first_token_ms = c->first_token_ms;
	call_log(c, e);
	c->watch.on_end(c->arg, e);
}

static void
call_end_error(struct call *c, const struct error *err, const struct failure *f)
{
	struct call_end e = { .code = err->code, .stop = STOP_OTHER, .error = err, .failure = f };

	call_end(c, CALL_FAILED, &e);
}

static struct story
call_story(const struct call *c)
{
	struct story s = { .target = &c->route.target, .timeout_ms = c->timeout_ms };

	if (c->attempt != NULL) {
		s.provider = attempt_provider(c->attempt);
		s.key_sent = attempt_key_sent(c->attempt);
		s.credential = credentials_find(c->calls->parts.credentials, s.target->provider,
		    s.target->label);
	}
	return s;
}

static void
call_fail(struct call *c, const struct failure *f)
{
	struct story s = call_story(c);
	struct error err = ERROR_INIT;

	story_tell(&s, f, &err);
	call_end_error(c, &err, f);
}

/* ---- one attempt ---- */

static bool
is_output(enum event_type t)
{
	return t == EVENT_TEXT || t == EVENT_REASONING || t == EVENT_REASONING_END ||
	    t == EVENT_TOOL_CALL;
}

static void
call_on_event(void *arg, const struct event *e)
{
	struct call *c = arg;

	if (c->ended || c->cancelling)
		return;
	if ((e->type == EVENT_REASONING || e->type == EVENT_REASONING_END) &&
	    !c->chat->want_reasoning)
		return;
	if (e->type == EVENT_USAGE)
		usage_merge(&c->usage, e->usage);
	if (is_output(e->type) && c->state == CALL_CONNECTING)
		call_move(c, CALL_STREAMING);
	if (is_output(e->type) && c->first_token_ms < 0)
		c->first_token_ms = clock_monotonic_ms() - c->started_ms;
	if (e->type == EVENT_TEXT || e->type == EVENT_REASONING || e->type == EVENT_TOOL_ARGS)
		c->bytes += (int64_t)e->text.len;
	c->watch.on_event(c->arg, e);
}

/* A rule for another attempt: reasoning that the provider does not know by its signature any more goes
 * without it, once, and before anything of an answer was delivered. */
static bool
call_retry_unsigned(struct call *c, const struct failure *f)
{
	const struct target *t = &c->route.target;
	const struct event warning = { .type = EVENT_WARNING,
		.text = slice_of("the provider refused the signatures of earlier answers; "
				 "it was asked once more without them") };
	struct buf by = BUF_INIT;
	bool other;

	if (!f->unsigned_may_pass || c->state != CALL_CONNECTING)
		return false;
	buf_addf(&by, "%s:%s", t->provider, t->upstream);
	other = chat_drop_signatures(c->chat, buf_str(&by));
	buf_clear(&by);
	if (other)
		c->watch.on_event(c->arg, &warning);
	return other;
}

static void call_next_attempt(void *arg);

static void
call_attempt_ended(void *arg, const struct attempt_end *end)
{
	struct call *c = arg;
	struct call_end e = { .stop = end->stop };
	struct story s = call_story(c);
	struct error err = ERROR_INIT;
	int64_t now = clock_monotonic_ms() - c->started_ms;

	if (c->ended || c->cancelling)
		return;
	usage_merge(&c->usage, end->usage);
	if (!end->ok)
		story_tell(&s, end->failure, &err);
	attempt_report(&c->calls->parts, &c->route.target, s.key_sent, end->failure, &err,
	    c->first_token_ms >= 0 ? c->first_token_ms : now);
	if (end->ok) {
		call_end(c, CALL_DONE, &e);
	} else if (!call_retry_unsigned(c, end->failure)) {
		call_end_error(c, &err, end->failure);
	} else if (!c->ended && !c->cancelling) {
		/* the watch may have cancelled it when it was warned */
		loop_defer(c->calls->parts.loop, &c->next_step, call_next_attempt, c);
	}
}

static const struct attempt_watch call_attempt_watch = { call_on_event, call_attempt_ended };

static void
call_next_attempt(void *arg)
{
	struct call *c = arg;
	struct call_start start = { .target = &c->route.target };
	struct attempt_origin from = { c->started_wall_ms, 0, c->client, c->route.scope, NULL,
		c->route.session };
	struct error err = ERROR_INIT;

	attempt_free(c->attempt); /* the one before; its stack is gone */
	c->attempt = NULL;
	if (c->timeout_ms > 0 && c->attempts == 0)
		loop_timer_start(c->patience, c->timeout_ms);
	start.attempt = from.number = ++c->attempts;
	start.why = c->route.winner < c->route.layer_count
	    ? layer_kind_name(c->route.layers[c->route.winner].kind)
	    : "request";
	c->watch.on_start(c->arg, &start);
	if (c->ended || c->cancelling)
		return; /* the watch cancelled it */

	call_move(c, CALL_CONNECTING);
	c->attempt = attempt_start(&c->calls->parts, &c->route.target, &from, c->chat, c->timeout_ms,
	    &call_attempt_watch, c, &err);
	if (c->ended || c->cancelling) {
		attempt_stop(c->attempt); /* cancelled by a warning of the encoder */
		return;
	}
	if (c->attempt == NULL)
		call_end_error(c, &err, NULL);
	else if (c->paused)
		attempt_pause(c->attempt, true);
}

static void
call_out_of_patience(void *arg)
{
	struct call *c = arg;
	struct failure f = FAILURE_INIT;

	if (c->ended || c->cancelling)
		return;
	/* The caller's own limit: says nothing about the provider's health. */
	f.class = FAILURE_TIMEOUT;
	snprintf(f.kind, sizeof(f.kind), "total");
	call_fail(c, &f);
}

/* ---- the face ---- */

struct call *
call_start(struct calls *cs, struct chat_request *chat, const struct route *route,
    int64_t timeout_ms, const char *client, const struct call_watch *watch, void *arg,
    struct error *err)
{
	struct call *c;

	if (cs->draining) {
		chat_request_free(chat);
		error_set(err, MP_E_SHUTTING_DOWN, "the daemon is stopping");
		error_hint(err, "try again in a moment");
		return NULL;
	}
	if (cs->running >= CALLS_MAX) {
		chat_request_free(chat);
		error_set(err, MP_E_TOO_MANY, "%d calls are running already", CALLS_MAX);
		error_hint(err, "wait for one to end, or cancel one");
		return NULL;
	}
	c = xcalloc(1, sizeof(*c));
	c->calls = cs;
	c->watch = *watch;
	c->arg = arg;
	c->chat = chat;
	route_init(&c->route);
	target_copy(&c->route.target, &route->target);
	c->route.session = route->session;
	snprintf(c->route.scope, sizeof(c->route.scope), "%s", route->scope);
	if (route->winner < route->layer_count) {
		c->route.layers[0].kind = route->layers[route->winner].kind;
		c->route.layer_count = 1;
	}
	c->client = xstrdup(client);
	c->timeout_ms = timeout_ms;
	c->usage = (struct usage)USAGE_INIT;
	c->first_token_ms = -1;
	c->started_wall_ms = clock_wall_ms();
	c->started_ms = clock_monotonic_ms();
	c->patience = loop_timer_new(cs->parts.loop, call_out_of_patience, c);

	c->next = cs->first;
	if (cs->first != NULL)
		cs->first->prev = c;
	cs->first = c;
	cs->running++;
	loop_defer(cs->parts.loop, &c->next_step, call_next_attempt, c);
	return c;
}

static void
call_end_cancelled(void *arg)
{
	struct call *c = arg;
	struct call_end e = { .stop = STOP_CANCELLED };

	call_end(c, CALL_CANCELLED, &e);
}

void
call_cancel(struct call *c, bool silent)
{
	if (c->ended)
		return;
	attempt_stop(c->attempt);
	loop_timer_stop(c->patience);
	if (silent) {
		struct call_end e = { .stop = STOP_CANCELLED, .first_token_ms = c->first_token_ms,
			.duration_ms = clock_monotonic_ms() - c->started_ms };

		call_move(c, CALL_CANCELLED);
		call_close(c, "cancelled");
		call_log(c, &e);
		return;
	}
	if (c->cancelling)
		return;
	c->cancelling = true;
	loop_defer_cancel(c->calls->parts.loop, &c->next_step);
	loop_defer(c->calls->parts.loop, &c->next_step, call_end_cancelled, c);
}

void
call_pause(struct call *c, bool paused)
{
	c->paused = paused;
	if (c->attempt != NULL && !c->ended && !c->cancelling)
		attempt_pause(c->attempt, paused);
}

void
call_info(const struct call *c, struct call_info *out)
{
	out->target = &c->route.target;
	out->client = c->client;
	out->state = c->state == CALL_STREAMING ? "streaming" : "connecting";
	out->started_ms = c->started_wall_ms;
	out->bytes = c->bytes;
}

struct calls *
calls_new(struct loop *loop, struct upstream *up, struct providers *ps, struct credentials *cs,
    struct routes *rs, struct ledger *ledger)
{
	struct calls *calls = xcalloc(1, sizeof(*calls));

	calls->parts = (struct attempt_parts){ loop, up, ps, cs, rs, ledger };
	return calls;
}

void
calls_free(struct calls *cs)
{
	if (cs == NULL)
		return;
	for (struct call *c = cs->first, *next; c != NULL; c = next) {
		next = c->next;
		call_free(c);
	}
	free(cs);
}

size_t
calls_count(const struct calls *cs)
{
	return cs->running;
}

void
calls_each(const struct calls *cs, void (*each)(void *arg, const struct call *c), void *arg)
{
	for (const struct call *c = cs->first; c != NULL; c = c->next)
		if (!c->ended)
			each(arg, c);
}

void
calls_drain(struct calls *cs)
{
	cs->draining = true;
	upstream_drain(cs->parts.upstream);
}

size_t
calls_end_all(struct calls *cs, const struct error *err)
{
	bool draining = cs->draining;
	struct call *c;
	size_t n = 0;

	cs->draining = true; /* a watch must not start another one from its on_end */
	for (;; n++) {
		/* From the start each time: a watch may cancel others from its on_end. */
		for (c = cs->first; c != NULL && c->ended; c = c->next)
			continue;
		if (c == NULL)
			break;
		call_end_error(c, err, NULL);
	}
	cs->draining = draining;
	return n;
}

void
calls_abort(struct calls *cs)
{
	struct error err = ERROR_INIT;

	error_set(&err, MP_E_SHUTTING_DOWN, "the daemon is stopping");
	error_hint(&err, "ask again when it is back");
	cs->draining = true;
	calls_end_all(cs, &err);
}

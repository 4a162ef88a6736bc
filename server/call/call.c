#include "server/call/call_inside.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/call/key_choice.h"
#include "server/model/uuid.h"

#define CALLS_MAX 1024
#define BACKOFF_MS 500 /* before the first try of the same target again, where the provider names no wait */

/* ---- states ---- */

#define MAY(state) (1u << (state))

void
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
	loop_timer_free(c->again);
	attempt_free(c->attempt);
	call_drop_preamble(c);
	free(c->extra.data);
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
	    LOG_INT("tries", c->attempts), LOG_INT("ms", e->duration_ms),
	    LOG_INT("first_ms", e->first_token_ms));
}

/* From here on nothing reaches the watch; the memory goes when the stack is empty. outcome: of what runs. */
static void
call_close(struct call *c, const char *outcome)
{
	struct usage used;

	if (c->ended)
		return;
	c->ended = true;
	c->calls->running--;
	attempt_stop_as(c->attempt, outcome);
	call_end_trial(c);
	if (c->attempt != NULL) {
		attempt_usage(c->attempt, &used);
		usage_merge(&c->usage, &used);
	}
	loop_timer_stop(c->patience);
	loop_timer_stop(c->again);
	loop_defer_cancel(c->calls->parts.loop, &c->next_step);
	loop_defer(c->calls->parts.loop, &c->reaper, call_reap, c);
}

void
call_end(struct call *c, enum call_state how, struct call_end *e)
{
	bool partial = c->state == CALL_STREAMING, cancelling = c->cancelling;

	if (c->ended)
		return;
	call_flush_preamble(c);
	if (c->ended || cancelling != c->cancelling)
		return; /* the watch cancelled it; that is its end */
	call_move(c, how);
	call_close(c, e->code == 0 ? "cancelled" : error_code(e->code));
	e->partial = e->code != 0 && partial;
	e->usage = c->usage;
	e->target = &c->route.target;
	e->tour = &c->tour;
	e->duration_ms = clock_monotonic_ms() - c->started_ms;
	e->first_token_ms = c->first_token_ms;
	call_log(c, e);
	c->watch.on_end(c->arg, e);
}

void
call_end_error(struct call *c, const struct error *err, const struct failure *f)
{
	struct call_end e = { .code = err->code, .stop = STOP_OTHER, .error = err, .failure = f };

	call_end(c, CALL_FAILED, &e);
}

static void
call_fail(struct call *c, const struct failure *f)
{
	struct story s = call_story(c);
	struct error err = ERROR_INIT;

	story_tell(&s, f, &err);
	call_end_error(c, &err, f);
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
	plan_copy(&c->route, route);
	tour_init(&c->tour, &c->route, cs->backoff_ms);
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
	c->again = loop_timer_new(cs->parts.loop, call_try, c);

	c->next = cs->first;
	if (cs->first != NULL)
		cs->first->prev = c;
	cs->first = c;
	cs->running++;
	loop_defer(cs->parts.loop, &c->next_step, call_begin, c);
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
	loop_timer_stop(c->again);
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
	out->usage = c->usage;
	if (c->attempt != NULL)
		attempt_usage(c->attempt, &out->usage);
}

struct calls *
calls_new(const struct attempt_parts *parts)
{
	struct calls *calls = xcalloc(1, sizeof(*calls));
	unsigned char seed[SHORT_HASH_KEY_BYTES];

	calls->parts = *parts;
	calls->backoff_ms = BACKOFF_MS;
	random_bytes(seed, sizeof seed);
	calls->keys = key_choice_new(seed);
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
	key_choice_free(cs->keys);
	free(cs);
}

void
calls_hurry(struct calls *cs, int64_t backoff_ms)
{
	cs->backoff_ms = backoff_ms;
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

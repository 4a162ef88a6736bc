/* call_tries.c - one try of a call after another, along the tour; the preamble of each is held back. */
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "server/base/clock.h"
#include "server/call/call_inside.h"
#include "server/call/cooldowns.h"
#include "server/call/purses.h"
#include "server/model/uuid.h"

#define NO_TRY_AFTER_MS 600000 /* a call does not begin another try so late */

struct story
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

/* ---- the preamble ---- */

void
call_drop_preamble(struct call *c)
{
	for (size_t i = 0; i < c->warning_count; i++)
		free(c->warnings[i]);
	c->warning_count = 0;
	c->usage = (struct usage)USAGE_INIT;
}

static void
hold_warning(struct call *c, struct slice text)
{
	if (c->warning_count < CALL_WARNINGS_MAX)
		c->warnings[c->warning_count++] = slice_dup(text);
}

static bool
is_wanted(const struct call *c)
{
	return !c->ended && !c->cancelling;
}

void
call_flush_preamble(struct call *c)
{
	size_t n = c->warning_count;

	if (c->state == CALL_STREAMING || !is_wanted(c))
		return;
	for (size_t i = 0; i < n && is_wanted(c); i++) {
		struct event e = { .type = EVENT_WARNING, .text = slice_of(c->warnings[i]) };

		c->watch.on_event(c->arg, &e);
	}
	for (size_t i = 0; i < c->warning_count; i++)
		free(c->warnings[i]);
	c->warning_count = 0;
	if (is_wanted(c) && usage_known(&c->usage)) {
		struct event e = { .type = EVENT_USAGE, .usage = &c->usage };

		c->watch.on_event(c->arg, &e);
	}
}

/* ---- what a try says ---- */

static bool
is_output(const struct event *e)
{
	return ((e->type == EVENT_TEXT || e->type == EVENT_REASONING) && e->text.len > 0) ||
	    e->type == EVENT_REASONING_END || e->type == EVENT_TOOL_CALL;
}

/* From here on the call is this target's: what it says is delivered as it comes. */
static void
commit(struct call *c)
{
	call_flush_preamble(c);
	if (!is_wanted(c))
		return;
	call_move(c, CALL_STREAMING);
	c->first_token_ms = clock_monotonic_ms() - c->started_ms;
}

static void
call_on_event(void *arg, const struct event *e)
{
	struct call *c = arg;

	if (!is_wanted(c))
		return;
	if ((e->type == EVENT_REASONING || e->type == EVENT_REASONING_END) &&
	    !c->chat->want_reasoning)
		return;
	if (e->type == EVENT_USAGE)
		usage_merge(&c->usage, e->usage);
	if (c->state != CALL_STREAMING) {
		if (e->type == EVENT_WARNING)
			hold_warning(c, e->text);
		if (!is_output(e))
			return;
		commit(c);
		if (!is_wanted(c))
			return;
	}
	if (e->type == EVENT_TEXT || e->type == EVENT_REASONING || e->type == EVENT_TOOL_ARGS)
		c->bytes += (int64_t)e->text.len;
	c->watch.on_event(c->arg, e);
}

/* A check learns nothing for others. */
static struct cooldowns *
cooldowns_of(const struct call *c)
{
	if (c->route.auxiliary || c->calls->parts.routes == NULL)
		return NULL;
	return routes_cooldowns(c->calls->parts.routes);
}

void
call_end_trial(struct call *c)
{
	const struct failure none = { .class = FAILURE_CANCELLED };

	if (c->on_trial)
		cooldowns_report(cooldowns_of(c), &c->route.target, &none);
	c->on_trial = false;
}

/* Somebody else was let through to try the target since this call was planned. */
static bool
is_tried(const struct call *c, int *code)
{
	struct cooldown cool;

	if (cooldowns_of(c) == NULL || c->route.step_count < 2 ||
	    !cooldowns_find(cooldowns_of(c), &c->route.target, &cool) || cool.until_ms != 0 ||
	    !tour_falls_on(c->route.fall_on, cool.class))
		return false;
	*code = failure_error_code(cool.class);
	return true;
}

/* ---- what a tour wants to know ---- */

static int
is_unfit(void *arg, const struct target *t, struct error *err)
{
	struct call *c = arg;
	struct route_step now = { .target = *t }; /* borrowed */

	if (c->calls->parts.routes == NULL)
		return 0;
	if (routes_unfit(c->calls->parts.routes, &c->route, &now) != 0)
		error_set(err, now.passed, "%s", now.why);
	return now.passed;
}

static int64_t
context_tokens(void *arg, const struct target *t)
{
	struct call *c = arg;

	return c->calls->parts.routes != NULL ? routes_context_tokens(c->calls->parts.routes, t) : 0;
}

static struct tour_world
world_of(struct call *c)
{
	int64_t now = clock_monotonic_ms(), left = c->started_ms + NO_TRY_AFTER_MS - now;
	struct tour_world w = { is_unfit, context_tokens, c, now, left, 0, call_may_change_key };

	if (c->timeout_ms > 0 && c->started_ms + c->timeout_ms - now < w.left_ms)
		w.left_ms = c->started_ms + c->timeout_ms - now;
	if (w.left_ms < 0)
		w.left_ms = 0;
	random_bytes(&w.chance, sizeof w.chance);
	return w;
}

/* ---- from one try to the next ---- */

static void
tell_fallback(struct call *c, const struct tour_stop *why, int64_t wait_ms)
{
	const struct call_fallback f = {
		.from = &c->route.steps[why->step].target,
		.to = &c->route.steps[c->tour.at].target,
		.chain = c->route.chain,
		.position = c->tour.at + 1,
		.code = why->code,
		.class = why->class,
		.passed = why->passed,
		.wait_ms = wait_ms,
		.from_key = why->key,
		.to_key = c->tour.key,
	};

	if (c->watch.on_fallback != NULL && is_wanted(c))
		c->watch.on_fallback(c->arg, &f);
}

/* Members of the request that only the first target's provider knows: another one would refuse them, or mean
 * something else by them. */
static void
hold_extra(struct call *c)
{
	struct chat_options *o = &c->chat->options;
	bool home = strcmp(c->route.target.provider, c->route.steps[0].target.provider) == 0;
	struct text *from = home ? &c->extra : &o->extra, *to = home ? &o->extra : &c->extra;

	if (from->data == NULL)
		return;
	*to = *from;
	*from = (struct text){ NULL, 0 };
}

static void
warn_extra(struct call *c)
{
	struct buf text = BUF_INIT;

	if (c->extra.data == NULL)
		return;
	buf_addf(&text, "members that were meant for %s were left out for %s",
	    c->route.steps[0].target.provider, c->route.target.provider);
	hold_warning(c, (struct slice){ buf_str(&text), text.len });
	buf_clear(&text);
}

/* The tour stands at another place: what was learned on the way is told, and the try comes after the wait. */
static void
go_on(struct call *c, size_t told, int64_t wait_ms)
{
	call_drop_preamble(c);
	call_aim(c, c->tour.other_key);
	for (size_t i = told; i < c->tour.log_count && is_wanted(c); i++)
		tell_fallback(c, &c->tour.log[i], i + 1 == c->tour.log_count ? wait_ms : 0);
	if (!is_wanted(c))
		return;
	if (wait_ms > 0)
		loop_timer_start(c->again, wait_ms);
	else
		loop_defer(c->calls->parts.loop, &c->next_step, call_try, c);
}

static void
give_up(struct call *c, struct error *err, const struct failure *f)
{
	call_tell_keys(c, f, err);
	tour_tell(&c->tour, f, clock_monotonic_ms(), err);
	call_end_error(c, err, f);
}

/* Reasoning that the provider does not know by its signature any more goes without it, once, and before
 * anything of an answer was delivered. */
static bool
again_unsigned(struct call *c, const struct failure *f)
{
	static const char warning[] = "the provider refused the signatures of earlier answers; "
				      "it was asked once more without them";
	const struct target *t = &c->route.target;
	struct event e = { .type = EVENT_WARNING };
	struct buf by = BUF_INIT;
	bool other;

	if (!f->unsigned_may_pass || c->state != CALL_CONNECTING)
		return false;
	buf_addf(&by, "%s:%s", t->provider, t->upstream);
	other = chat_drop_signatures(c->chat, buf_str(&by));
	buf_clear(&by);
	if (!other || !tour_again(&c->tour))
		return false;
	call_drop_preamble(c);
	e.text = slice_of(warning);
	c->watch.on_event(c->arg, &e);
	if (is_wanted(c)) /* the watch may have cancelled it when it was warned */
		loop_defer(c->calls->parts.loop, &c->next_step, call_try, c);
	return true;
}

static void
call_attempt_ended(void *arg, const struct attempt_end *end)
{
	struct call *c = arg;
	struct call_end e = { .stop = end->stop };
	struct story s = call_story(c);
	struct error err = ERROR_INIT;
	int64_t now = clock_monotonic_ms() - c->started_ms, wait_ms;
	struct tour_world w = world_of(c);
	size_t told = c->tour.log_count;

	if (!is_wanted(c))
		return;
	if (!end->ok)
		story_tell(&s, end->failure, &err);
	if (cooldowns_of(c) != NULL)
		cooldowns_report(cooldowns_of(c), &c->route.target, end->ok ? NULL : end->failure);
	c->on_trial = false;
	attempt_report(&c->calls->parts, &c->route.target, s.key_sent, end->failure, &err,
	    c->first_token_ms >= 0 ? c->first_token_ms : now);
	if (end->warning != NULL) {
		struct event warning = { .type = EVENT_WARNING, .text = slice_of(end->warning) };

		c->watch.on_event(c->arg, &warning);
		if (!is_wanted(c))
			return;
	}
	if (end->ok)
		call_end(c, CALL_DONE, &e);
	else if (c->state != CALL_CONNECTING)
		call_end_error(c, &err, end->failure); /* committed: nothing is sent twice */
	else if (again_unsigned(c, end->failure))
		return;
	else if (tour_next(&c->tour, end->failure, &w, &wait_ms))
		go_on(c, told, wait_ms);
	else
		give_up(c, &err, end->failure);
}

static const struct attempt_watch call_attempt_watch = { call_on_event, call_attempt_ended };

/* It could not even be sent: the next one, if there is one. */
static void
not_sent(struct call *c, struct error *err)
{
	struct tour_world w = world_of(c);
	size_t told = c->tour.log_count;
	int64_t wait_ms;

	call_end_trial(c);
	/* a hard budget wants nothing else to be asked instead */
	if (err->code == MP_E_BUDGET_EXCEEDED && purses_refused_hard(c->calls->parts.purses))
		call_end_error(c, err, NULL);
	else if (tour_skip(&c->tour, err->code, &w, &wait_ms))
		go_on(c, told, wait_ms);
	else
		give_up(c, err, NULL);
}

/* Whoever comes second passes the target by; where there is no other, both try. */
static bool
pass_by(struct call *c)
{
	struct tour_world w = world_of(c);
	size_t told = c->tour.log_count;
	int64_t wait_ms;
	int code;

	if (!is_tried(c, &code) || !tour_skip(&c->tour, code, &w, &wait_ms))
		return false;
	go_on(c, told, wait_ms);
	return true;
}

void
call_try(void *arg)
{
	struct call *c = arg;
	struct call_start start = { .target = &c->route.target, .chain = c->route.chain,
		.key = c->tour.key };
	struct attempt_origin from = { c->started_wall_ms, 0, c->client, c->route.scope,
		c->route.chain[0] != '\0' ? c->route.chain : NULL, c->route.session };
	struct error err = ERROR_INIT;

	attempt_free(c->attempt); /* the one before; its stack is gone */
	c->attempt = NULL;
	if (pass_by(c))
		return;
	start.attempt = from.number = ++c->attempts;
	start.position = c->tour.at + 1;
	start.why = c->route.winner < c->route.layer_count
	    ? layer_kind_name(c->route.layers[c->route.winner].kind)
	    : "request";
	c->watch.on_start(c->arg, &start);
	if (!is_wanted(c))
		return; /* the watch cancelled it */

	call_move(c, CALL_CONNECTING);
	hold_extra(c);
	warn_extra(c);
	c->on_trial = cooldowns_of(c) != NULL && cooldowns_begin(cooldowns_of(c), &c->route.target);
	c->attempt = attempt_start(&c->calls->parts, &c->route.target, &from, c->chat, c->timeout_ms,
	    &call_attempt_watch, c, &err);
	if (c->attempt == NULL)
		not_sent(c, &err);
	else if (c->paused)
		attempt_pause(c->attempt, true);
}

/* None of them can serve: the last word is that of the first. */
static void
nobody(struct call *c)
{
	struct error err = ERROR_INIT;
	struct story s = { .target = &c->route.target };

	for (size_t i = 0; i < c->route.step_count; i++) {
		int64_t left = c->route.steps[i].until_ms - clock_wall_ms();

		if (c->route.steps[i].until_ms == 0 || left <= 0)
			continue;
		c->tour.steps[i].wait_ms = left;
		c->tour.steps[i].ready_ms = clock_monotonic_ms() + left;
	}
	is_unfit(c, &c->route.target, &err);
	story_unsent(&s, &err);
	give_up(c, &err, NULL);
}

void
call_begin(void *arg)
{
	struct call *c = arg;

	if (c->timeout_ms > 0)
		loop_timer_start(c->patience, c->timeout_ms);
	if (!tour_begin(&c->tour)) {
		nobody(c);
		return;
	}
	call_aim(c, false);
	for (size_t i = 0; i < c->tour.log_count && is_wanted(c); i++)
		tell_fallback(c, &c->tour.log[i], 0);
	if (is_wanted(c))
		call_try(c);
}

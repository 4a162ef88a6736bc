#include "server/call/tour.h"

#include <stdio.h>
#include <string.h>

#include "protocol/base/buf.h"
#include "protocol/base/str.h"
#include "server/state/chain_codes.h"

#define BACKOFF_MAX_MS 8000
#define BACKOFF_RATE_MAX_MS 60000

/* ---- the rules, one row a class ---- */

enum elsewhere {
	NOWHERE,     /* it would fail there, too, or, worse, pass differently */
	IF_NAMED,    /* when the chain falls back on `code` */
	IF_LARGER,   /* to a model with a larger known context */
	ANYWHERE,    /* another language may be able to say it */
};

static const struct {
	enum elsewhere elsewhere;
	int code;
	unsigned again; /* how often the same target is tried again */
} rules[] = {
	[FAILURE_NONE] = { NOWHERE, 0, 0 },
	[FAILURE_AUTH] = { IF_NAMED, MP_E_AUTH_REJECTED, 0 },
	[FAILURE_PERMISSION] = { IF_NAMED, MP_E_NOT_PERMITTED, 0 },
	[FAILURE_QUOTA] = { IF_NAMED, MP_E_QUOTA_EXCEEDED, 0 },
	[FAILURE_RATE_LIMIT] = { IF_NAMED, MP_E_RATE_LIMITED, 2 },
	[FAILURE_OVERLOADED] = { IF_NAMED, MP_E_PROVIDER_UNAVAILABLE, 2 },
	[FAILURE_SERVER] = { IF_NAMED, MP_E_PROVIDER_UNAVAILABLE, 2 },
	[FAILURE_TIMEOUT] = { IF_NAMED, MP_E_TIMEOUT, 1 },
	[FAILURE_NETWORK] = { IF_NAMED, MP_E_PROVIDER_UNAVAILABLE, 1 },
	[FAILURE_BAD_REQUEST] = { NOWHERE, 0, 0 },
	[FAILURE_CONTEXT_LENGTH] = { IF_LARGER, 0, 0 },
	[FAILURE_NOT_FOUND] = { IF_NAMED, MP_E_NOT_FOUND, 0 },
	[FAILURE_CONTENT_POLICY] = { IF_NAMED, MP_E_UPSTREAM, 0 },
	[FAILURE_UNSUPPORTED] = { ANYWHERE, 0, 0 },
	[FAILURE_PROTOCOL] = { IF_NAMED, MP_E_PROVIDER_UNAVAILABLE, 1 },
	[FAILURE_CANCELLED] = { NOWHERE, 0, 0 },
	[FAILURE_CONFIG] = { IF_NAMED, MP_E_PROVIDER_UNAVAILABLE, 0 },
};
_Static_assert(sizeof rules / sizeof rules[0] == FAILURE_CONFIG + 1, "a row per class");

bool
tour_falls_on(uint64_t fall_on, enum failure_class class)
{
	switch (rules[class].elsewhere) {
	case NOWHERE:
		return false;
	case IF_NAMED:
		return (fall_on & chain_code_bit(rules[class].code)) != 0;
	case IF_LARGER:
	case ANYWHERE:
		return true;
	}
	return false;
}

/* Nobody listens there, or the name leads nowhere: asking again at once changes nothing. */
static bool
is_hopeless(const struct failure *f)
{
	return f->class == FAILURE_NETWORK && (strcmp(f->kind, "connect") == 0 ||
	           strcmp(f->kind, "dns") == 0 || strcmp(f->kind, "address_refused") == 0);
}

static bool
may_be_again(const struct tour *t, const struct failure *f)
{
	return t->route->chain[0] != '\0' && tour_falls_on(t->route->fall_on, f->class) &&
	    t->steps[t->at].tries <= rules[f->class].again && f->retry_said != 0 && !is_hopeless(f) &&
	    f->wait_ms <= TOUR_WAITS_MAX_MS;
}

/* ---- waits ---- */

/* 0.5 s, 1 s, 2 s, ... a quarter of it up to chance. */
static int64_t
backoff(const struct tour *t, enum failure_class class, unsigned chance)
{
	int64_t most = class == FAILURE_RATE_LIMIT ? BACKOFF_RATE_MAX_MS : BACKOFF_MAX_MS;
	unsigned tries = t->steps[t->at].tries;
	int64_t ms = t->backoff_ms << (tries > 0 && tries < 16 ? tries - 1 : 0);

	if (ms > most)
		ms = most;
	return ms - ms * (int64_t)(chance % 256) / 1024;
}

/* ---- the log ---- */

static void
note(struct tour *t, size_t step, int code, bool passed, enum failure_class class)
{
	struct tour_stop *s = &t->log[t->log_count];

	if (t->log_count == TOUR_LOG_MAX)
		return;
	*s = (struct tour_stop){ .step = step, .code = code, .passed = passed, .class = class };
	if (step == t->at)
		memcpy(s->key, t->key, sizeof s->key);
	t->log_count++;
}

bool
tour_tried_key(const struct tour *t, size_t step, const char *label)
{
	for (size_t i = 0; i < t->log_count; i++)
		if (t->log[i].step == step && strcmp(t->log[i].key, label) == 0)
			return true;
	return false;
}

/* ---- which one ---- */

void
tour_init(struct tour *t, const struct route *route, int64_t backoff_ms)
{
	memset(t, 0, sizeof *t);
	t->route = route;
	t->backoff_ms = backoff_ms > 0 ? backoff_ms : 1;
	for (size_t i = 0; i < PLAN_STEPS_MAX; i++)
		t->steps[i].wait_ms = -1;
}

bool
tour_begin(struct tour *t)
{
	const struct route *r = t->route;

	for (size_t i = 0; i < r->step_count; i++) {
		if (r->steps[i].passed == 0) {
			t->at = i;
			t->tries = t->steps[i].tries = 1;
			return true;
		}
		t->steps[i].passed = true;
		note(t, i, r->steps[i].passed, true, FAILURE_NONE);
	}
	return false;
}

static unsigned
tries_of_provider(const struct tour *t, size_t step)
{
	const char *name = t->route->steps[step].target.provider;
	unsigned n = 0;

	for (size_t i = 0; i < t->route->step_count; i++)
		if (strcmp(t->route->steps[i].target.provider, name) == 0)
			n += t->steps[i].tries;
	return n;
}

static bool
move(struct tour *t, size_t step)
{
	t->at = step;
	t->tries++;
	t->steps[step].tries++;
	return true;
}

/* The next one that was not asked yet and can serve; larger_than < 0: whatever its context. */
static bool
find_fresh(struct tour *t, int64_t larger_than, const struct tour_world *w)
{
	for (size_t i = t->at + 1; i < t->route->step_count; i++) {
		const struct target *target = &t->route->steps[i].target;
		struct error err = ERROR_INIT;
		int code;

		if (t->steps[i].passed || t->steps[i].tries > 0)
			continue;
		if (larger_than >= 0 && w->context_tokens(w->arg, target) <= larger_than)
			continue;
		if (tries_of_provider(t, i) >= TOUR_PROVIDER_TRIES)
			continue;
		if ((code = w->unfit(w->arg, target, &err)) == 0)
			return move(t, i);
		t->steps[i].passed = true;
		note(t, i, code, true, FAILURE_NONE);
	}
	return false;
}

/* The one that may be asked again soonest. */
static bool
find_again(struct tour *t, const struct tour_world *w, int64_t *wait_ms)
{
	size_t best = t->route->step_count;
	int64_t wait;

	for (size_t i = 0; i < t->route->step_count; i++)
		if (t->steps[i].may_be_again && tries_of_provider(t, i) < TOUR_PROVIDER_TRIES &&
		    (best == t->route->step_count || t->steps[i].ready_ms < t->steps[best].ready_ms))
			best = i;
	if (best == t->route->step_count)
		return false;
	wait = t->steps[best].ready_ms > w->now_ms ? t->steps[best].ready_ms - w->now_ms : 0;
	if (t->waited_ms + wait > TOUR_WAITS_MAX_MS || (w->left_ms >= 0 && wait >= w->left_ms))
		return false;
	t->waited_ms += wait;
	t->steps[best].may_be_again = false;
	*wait_ms = wait;
	return move(t, best);
}

/* The same target at once, with a key that did not fail in this request. */
static bool
change_key(struct tour *t, const struct tour_world *w)
{
	if (t->tries >= TOUR_TRIES_MAX || w->left_ms == 0 || w->may_change_key == NULL ||
	    tries_of_provider(t, t->at) >= TOUR_PROVIDER_TRIES || !w->may_change_key(w->arg, t->at))
		return false;
	t->other_key = true;
	return move(t, t->at);
}

/* What the model that refused can take; what is not known is no reason to try a smaller one. */
static int64_t
needed_context(const struct tour *t, const struct tour_world *w)
{
	int64_t known = w->context_tokens(w->arg, &t->route->steps[t->at].target);

	return known > 0 ? known : INT64_MAX;
}

bool
tour_next(struct tour *t, const struct failure *f, const struct tour_world *w, int64_t *wait_ms)
{
	struct tour_step *s = &t->steps[t->at];
	int64_t larger_than = -1;

	*wait_ms = 0;
	t->other_key = false;
	note(t, t->at, failure_error_code(f->class), false, f->class);
	s->wait_ms = f->wait_ms;
	s->may_be_again = may_be_again(t, f);
	s->ready_ms = w->now_ms + (f->wait_ms >= 0 ? f->wait_ms : backoff(t, f->class, w->chance));
	if (failure_is_keys(f) && change_key(t, w))
		return true;
	if (t->route->chain[0] == '\0' || t->tries >= TOUR_TRIES_MAX || w->left_ms == 0 ||
	    !tour_falls_on(t->route->fall_on, f->class))
		return false;
	if (s->may_be_again && f->wait_ms >= 0 && f->wait_ms <= TOUR_QUICK_MS && find_again(t, w, wait_ms))
		return true;
	if (rules[f->class].elsewhere == IF_LARGER)
		larger_than = needed_context(t, w);
	return find_fresh(t, larger_than, w) || find_again(t, w, wait_ms);
}

/* Whether what stood in the way was the key's: none to send, or somebody else is trying it again now. */
static bool
is_of_key(int code)
{
	return code == MP_E_NO_CREDENTIAL || code == MP_E_ORIGIN || code == MP_E_TAMPERED ||
	    code == MP_E_AUTH_REJECTED || code == MP_E_NOT_PERMITTED || code == MP_E_QUOTA_EXCEEDED ||
	    code == MP_E_RATE_LIMITED;
}

bool
tour_skip(struct tour *t, int code, const struct tour_world *w, int64_t *wait_ms)
{
	*wait_ms = 0;
	t->other_key = false;
	note(t, t->at, code, true, FAILURE_NONE);
	if (is_of_key(code) && change_key(t, w))
		return true;
	t->steps[t->at].passed = true;
	if (t->route->chain[0] == '\0' || t->tries >= TOUR_TRIES_MAX)
		return false;
	return find_fresh(t, -1, w) || find_again(t, w, wait_ms);
}

bool
tour_again(struct tour *t)
{
	if (t->tries >= TOUR_TRIES_MAX)
		return false;
	return move(t, t->at);
}

/* ---- the end ---- */

/* The last word on each target, in the order of the chain. */
static const struct tour_stop *
last_of(const struct tour *t, size_t step)
{
	for (size_t i = t->log_count; i-- > 0;)
		if (t->log[i].step == step)
			return &t->log[i];
	return NULL;
}

static size_t
targets_of(const struct tour *t, struct buf *text)
{
	char ref[330];
	size_t n = 0;

	for (size_t i = 0; i < t->route->step_count; i++) {
		const struct tour_stop *s = last_of(t, i);

		if (s == NULL)
			continue;
		target_ref(&t->route->steps[i].target, ref, sizeof ref);
		buf_addf(text, "%s%s (%s)", n > 0 ? ", " : "", ref, error_code(s->code));
		n++;
	}
	return n;
}

static int64_t
soonest(const struct tour *t, int64_t now_ms)
{
	int64_t best = 0;

	for (size_t i = 0; i < t->route->step_count; i++) {
		int64_t left = t->steps[i].ready_ms - now_ms;

		if (t->steps[i].wait_ms > 0 && left > 0 && (best == 0 || left < best))
			best = left;
	}
	return best;
}

void
tour_tell(const struct tour *t, const struct failure *last, int64_t now_ms, struct error *err)
{
	struct buf text = BUF_INIT;
	struct error told = ERROR_INIT;
	int64_t wait = soonest(t, now_ms);
	char span[32];

	if (t->route->chain[0] == '\0' || (last != NULL && !tour_falls_on(t->route->fall_on, last->class)))
		return;
	if (targets_of(t, &text) > 1) {
		error_set(&told, MP_E_CHAIN_EXHAUSTED, "no target of @%s could answer: %s", t->route->chain,
		    buf_str(&text));
		duration_format(wait, span, sizeof span);
		error_hint(&told, "try again in %s; what may be used now: mpc which @%s",
		    wait > 0 ? span : "a moment", t->route->chain);
		told.retry_after_ms = wait;
		*err = told;
	}
	buf_clear(&text);
}

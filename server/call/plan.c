#include "server/call/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/base/clock.h"
#include "server/call/cooldowns.h"
#include "server/call/purses.h"
#include "server/call/resolve.h"
#include "server/call/tour.h"

const char *
layer_kind_name(enum layer_kind k)
{
	switch (k) {
	case LAYER_REQUEST:
		return "request";
	case LAYER_NAMED_SESSION:
	case LAYER_ACTIVATED_SESSION:
		return "session";
	case LAYER_SCOPE_TEMPORARY:
	case LAYER_GLOBAL_TEMPORARY:
		return "temporary";
	case LAYER_SCOPE_PERSISTENT:
	case LAYER_GLOBAL_PERSISTENT:
		return "persistent";
	case LAYER_DEFAULT:
		return "default";
	}
	return "default";
}

void
plan_add(struct route *to, const struct target *t)
{
	for (size_t i = 0; i < to->step_count; i++)
		if (target_equal(&to->steps[i].target, t))
			return;
	if (to->step_count == PLAN_STEPS_MAX)
		return;
	to->steps = xrealloc(to->steps, (to->step_count + 1) * sizeof *to->steps);
	memset(&to->steps[to->step_count], 0, sizeof *to->steps);
	target_copy(&to->steps[to->step_count++].target, t);
}

/* Stored chains have no cycle; the bound is for a file that somebody edited. */
static void
add_links(struct route *to, const struct chains *cs, const struct providers *ps, const struct chain *c,
    unsigned depth)
{
	for (size_t i = 0; i < c->count; i++) {
		const struct chain_link *l = &c->links[i];
		const struct chain *in = l->provider_id[0] == '\0' ? chains_find(cs, l->model) : NULL;
		const struct provider *p = in == NULL ? providers_find_id(ps, l->provider_id) : NULL;
		struct target t;

		if (in != NULL && depth < CHAIN_DEPTH_MAX)
			add_links(to, cs, ps, in, depth + 1);
		if (p == NULL)
			continue;
		target_init(&t);
		resolve_model(p, l->model, NULL, &t);
		plan_add(to, &t);
		target_clear(&t);
	}
}

void
plan_add_chain(struct route *to, const struct chains *cs, const struct providers *ps,
    const struct chain *c)
{
	add_links(to, cs, ps, c, 1);
}

/* ---- what is passed over ---- */

static void
pass(struct route_step *s, int code, int64_t until_ms, const char *what)
{
	char span[32];
	int64_t left = until_ms - clock_wall_ms();

	s->passed = code;
	s->until_ms = until_ms;
	duration_format(left > 0 ? left : 0, span, sizeof span);
	if (left > 0)
		snprintf(s->why, sizeof s->why, "%s, for %s more", what, span);
	else
		snprintf(s->why, sizeof s->why, "%s", what);
}

/* It failed a while ago, in a way that the chain falls back on. */
static bool
is_cooling(struct routes *r, uint64_t fall_on, struct route_step *s)
{
	struct cooldowns *cs = routes_cooldowns(r);
	struct cooldown c;
	char what[96];

	if (cs == NULL || !cooldowns_find(cs, &s->target, &c) || !tour_falls_on(fall_on, c.class))
		return false;
	snprintf(what, sizeof what, c.until_ms > 0 ? "left alone after a failure (%s)"
	    : "tried again just now after a failure (%s)", failure_class_name(c.class));
	pass(s, failure_error_code(c.class), c.until_ms, what);
	s->guessed = !c.stated && c.until_ms > 0;
	return true;
}

/* It would run into a limit that its provider announced. */
static bool
is_at_wall(struct routes *r, uint64_t fall_on, struct route_step *s)
{
	const struct limits *l = routes_limits(r, &s->target);
	const struct limit *wall = l != NULL ? limits_wall(l, clock_wall_ms()) : NULL;
	enum failure_class class;
	char what[96];

	if (wall == NULL)
		return false;
	class = wall->microusd ? FAILURE_QUOTA : FAILURE_RATE_LIMIT;
	if (!tour_falls_on(fall_on, class))
		return false;
	snprintf(what, sizeof what, "the limit of %s is used up", wall->name);
	pass(s, failure_error_code(class), limit_resets_ms(l, wall), what);
	return true;
}

/* A budget it counts in is used up. A hard one refuses the call instead, which says so. */
static bool
is_too_dear(struct routes *r, const struct route *of, struct route_step *s)
{
	struct purses *ps = routes_purses(r);
	char subject[300], what[320];
	int64_t until_ms;

	if (ps == NULL ||
	    !purses_used_up(ps, s->target.provider, of->chain, of->scope, &until_ms, subject, sizeof subject))
		return false;
	snprintf(what, sizeof what, "the budget%s%.250s is used up", subject[0] != '\0' ? " for " : "",
	    subject);
	pass(s, MP_E_BUDGET_EXCEEDED, until_ms, what);
	return true;
}

/* With the key that its label says. */
static int
unfit_with(struct routes *r, const struct route *of, struct route_step *s)
{
	struct error err = ERROR_INIT;

	s->passed = routes_key_ready(r, &s->target, &err);
	s->until_ms = 0;
	s->guessed = false;
	snprintf(s->why, sizeof s->why, "%s", s->passed != 0 ? err.message : "");
	if (s->passed == 0 && !is_too_dear(r, of, s) && !is_cooling(r, of->fall_on, s))
		is_at_wall(r, of->fall_on, s);
	return s->passed;
}

/* Where keys share, one that can serve is enough; else the reason is that of the one that can soonest. */
static void
unfit_with_all(struct routes *r, const struct route *of, struct route_step *s, const struct route_keys *keys)
{
	struct route_step soonest = { .passed = 0 };

	for (size_t i = 0; i < keys->count; i++) {
		const struct target *t = &s->target;
		struct route_step one = { .passed = 0 };

		target_set(&one.target, t->provider, t->model, t->upstream, keys->of[i]->label);
		unfit_with(r, of, &one);
		target_clear(&one.target);
		if (i == 0 || one.passed == 0 || (one.until_ms > 0 &&
		        (soonest.until_ms == 0 || one.until_ms < soonest.until_ms)))
			soonest = one;
		if (one.passed == 0)
			break;
	}
	s->passed = soonest.passed;
	s->until_ms = soonest.until_ms;
	s->guessed = soonest.guessed;
	if (s->passed != 0 && keys->count > 1)
		snprintf(s->why, sizeof s->why, "none of its %zu keys can serve: %.260s", keys->count,
		    soonest.why);
	else
		snprintf(s->why, sizeof s->why, "%s", soonest.why);
}

int
routes_unfit(struct routes *r, const struct route *of, struct route_step *s)
{
	struct route_keys keys;

	if (routes_keys(r, &s->target, &keys))
		unfit_with_all(r, of, s, &keys);
	else
		unfit_with(r, of, s);
	return s->passed;
}

/* When all have to wait, the first of those whose time is only our guess is asked after all. */
static size_t
last_resort(const struct route *to)
{
	for (size_t i = 0; i < to->step_count; i++)
		if (to->steps[i].guessed)
			return i;
	return to->step_count;
}

void
plan_settle(struct routes *r, struct route *to)
{
	size_t first = to->step_count;

	for (size_t i = 0; i < to->step_count && to->step_count > 1; i++)
		if (routes_unfit(r, to, &to->steps[i]) == 0 && first == to->step_count)
			first = i;
	if (first == to->step_count && (first = last_resort(to)) < to->step_count)
		to->steps[first].passed = 0;
	to->at = first < to->step_count ? first : 0;
	target_clear(&to->target);
	target_copy(&to->target, &to->steps[to->at].target);
}

void
plan_copy(struct route *to, const struct route *from)
{
	*to = *from;
	target_init(&to->target);
	target_copy(&to->target, &from->target);
	to->layer_count = 0;
	memset(to->layers, 0, sizeof to->layers);
	to->steps = NULL;
	to->step_count = 0;
	for (size_t i = 0; i < from->step_count; i++) {
		plan_add(to, &from->steps[i].target);
		to->steps[i].passed = from->steps[i].passed;
		to->steps[i].until_ms = from->steps[i].until_ms;
		memcpy(to->steps[i].why, from->steps[i].why, sizeof to->steps[i].why);
	}
	if (to->step_count == 0)
		plan_add(to, &from->target);
	to->winner = 0;
}

void
plan_clear(struct route *r)
{
	for (size_t i = 0; i < r->step_count; i++)
		target_clear(&r->steps[i].target);
	free(r->steps);
	r->steps = NULL;
	r->step_count = 0;
}

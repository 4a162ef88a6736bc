#include "server/call/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/call/resolve.h"

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

void
plan_settle(struct routes *r, struct route *to)
{
	size_t first = to->step_count;

	for (size_t i = 0; i < to->step_count; i++) {
		struct route_step *s = &to->steps[i];
		struct error err = ERROR_INIT;

		if (to->step_count > 1)
			s->passed = routes_ready(r, &s->target, &err);
		snprintf(s->why, sizeof s->why, "%s", s->passed != 0 ? err.message : "");
		if (s->passed == 0 && first == to->step_count)
			first = i;
	}
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

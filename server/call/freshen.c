#include "server/call/freshen.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/call/listing.h"
#include "server/call/probe_list.h"

#define MINUTE_MS ((int64_t)60 * 1000)
#define HOUR_MS (60 * MINUTE_MS)
#define ASK_MS 20000
#define NEVER INT64_MAX

const struct freshen_policy freshen_calm = {
	.old_ms = 24 * HOUR_MS,
	.jitter_ms = 2 * HOUR_MS,
	.first_ms = 5 * MINUTE_MS,
	.look_ms = 6 * HOUR_MS,
	.pause_ms = 10000,
};

/* A provider that was asked in vain. */
struct mark {
	char *provider_id;
	int64_t not_before_ms; /* wall clock */
};

struct freshen {
	struct probes *owner;
	struct routes *routes;
	struct freshen_policy policy;
	struct loop_timer *timer;
	struct listing *listing; /* NULL: nobody is being asked */
	struct loop_deferred reaper;
	struct mark *marks;
	size_t mark_count;
	bool stopped;
};

static struct mark *
find_mark(const struct freshen *f, const char *provider_id)
{
	for (size_t i = 0; i < f->mark_count; i++)
		if (strcmp(f->marks[i].provider_id, provider_id) == 0)
			return &f->marks[i];
	return NULL;
}

static void
leave_alone(struct freshen *f, const struct provider *p)
{
	struct mark *m = find_mark(f, p->id);

	if (m == NULL) {
		f->marks = xrealloc(f->marks, (f->mark_count + 1) * sizeof(*f->marks));
		m = &f->marks[f->mark_count++];
		m->provider_id = xstrdup(p->id);
	}
	m->not_before_ms = clock_wall_ms() + f->policy.old_ms;
}

/* ---- whose turn it is ---- */

static bool
may_be_asked(const struct freshen *f, const struct provider *p)
{
	struct error ignored = ERROR_INIT;
	struct provider_health h;
	struct target t;
	bool ready;

	providers_health(f->owner->parts.providers, p->name, &h);
	if (h.code != 0 || (p->type == PROVIDER_LOCAL && h.since_ms == 0))
		return false;
	target_init(&t);
	target_set(&t, p->name, "", NULL, NULL);
	ready = listing_possible(p) && routes_ready(f->routes, &t, &ignored) == 0;
	target_clear(&t);
	return ready;
}

/* The same for the same list, different from provider to provider. */
static int64_t
jitter(const struct freshen *f, const char *provider_id, int64_t fetched_ms)
{
	uint64_t h = 0xcbf29ce484222325u ^ (uint64_t)fetched_ms;

	for (const char *p = provider_id; *p != '\0'; p++)
		h = (h ^ (unsigned char)*p) * 0x100000001b3u;
	return f->policy.jitter_ms > 0 ? (int64_t)((h >> 8) % (uint64_t)f->policy.jitter_ms) : 0;
}

static int64_t
due_ms(const struct freshen *f, const struct provider *p, int64_t now_ms)
{
	const struct discovered_list *l = discovered_list(f->owner->discovered, p);
	const struct mark *m = find_mark(f, p->id);
	int64_t at;

	if (l == NULL || !may_be_asked(f, p))
		return NEVER;
	/* a clock that went back must not make a list last for years */
	at = l->fetched_ms > now_ms ? now_ms
	    : l->fetched_ms + f->policy.old_ms + jitter(f, p->id, l->fetched_ms);
	if (m != NULL && m->not_before_ms > at && m->not_before_ms <= now_ms + f->policy.old_ms)
		at = m->not_before_ms;
	return at;
}

static void
look_again_in(struct freshen *f, int64_t ms)
{
	if (ms > f->policy.look_ms)
		ms = f->policy.look_ms;
	loop_timer_start(f->timer, ms > f->policy.pause_ms ? ms : f->policy.pause_ms);
}

/* ---- asking ---- */

static void
reap(void *arg)
{
	struct freshen *f = arg;

	listing_free(f->listing);
	f->listing = NULL;
}

static void
on_listed(void *arg, const struct listing_end *e)
{
	struct freshen *f = arg;

	if (e->failure == NULL && e->warning == NULL) {
		log_info("the list of models was renewed", LOG_TEXT("provider", e->provider->name),
		    LOG_INT("models", (int64_t)e->count));
		probes_keep_account(f->owner, e->provider->name, NULL, e);
		probes_keep_list(f->owner, e->provider, e->models);
	} else {
		log_debug("the list of models stays as old as it is",
		    LOG_TEXT("provider", e->provider->name),
		    LOG_TEXT("why", e->failure != NULL ? failure_class_name(e->failure->class)
		        : e->warning));
		leave_alone(f, e->provider);
	}
	loop_defer(f->owner->parts.loop, &f->reaper, reap, f);
	look_again_in(f, 0);
}

static void
look(void *arg)
{
	struct freshen *f = arg;
	const struct providers *ps = f->owner->parts.providers;
	int64_t now = clock_wall_ms(), first = NEVER;
	const struct provider *next = NULL;
	struct error ignored = ERROR_INIT;

	if (f->stopped)
		return;
	for (size_t i = 0; i < providers_count(ps); i++) {
		int64_t at = due_ms(f, providers_at(ps, i), now);

		if (at < first) {
			first = at;
			next = providers_at(ps, i);
		}
	}
	if (next == NULL || first > now) {
		look_again_in(f, next == NULL ? f->policy.look_ms : first - now);
		return;
	}
	f->listing = listing_start(&f->owner->parts, next, NULL, false, ASK_MS, on_listed, f, &ignored);
	if (f->listing != NULL)
		return;
	leave_alone(f, next);
	look_again_in(f, 0);
}

/* ---- life ---- */

struct freshen *
freshen_new(struct probes *p, struct routes *r, const struct freshen_policy *policy)
{
	struct freshen *f = xcalloc(1, sizeof(*f));

	f->owner = p;
	f->routes = r;
	f->policy = *policy;
	f->timer = loop_timer_new(p->parts.loop, look, f);
	loop_timer_start(f->timer, policy->first_ms);
	return f;
}

void
freshen_stop(struct freshen *f)
{
	f->stopped = true;
	loop_timer_stop(f->timer);
	listing_stop(f->listing);
}

void
freshen_free(struct freshen *f)
{
	if (f == NULL)
		return;
	freshen_stop(f);
	loop_defer_cancel(f->owner->parts.loop, &f->reaper);
	listing_free(f->listing);
	loop_timer_free(f->timer);
	for (size_t i = 0; i < f->mark_count; i++)
		free(f->marks[i].provider_id);
	free(f->marks);
	free(f);
}

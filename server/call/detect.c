/* detect.c - are the local servers there that the catalogue names? All asked at once, a second each.
 * A server that is not there is no failure, and no override is ever touched. */
#include <stdlib.h>

#include "server/base/clock.h"
#include "server/call/listing.h"
#include "server/call/probe.h"
#include "server/call/probe_list.h"

#define DETECT_MS 1000

struct knock {
	struct detection *detection;
	char *provider;
	struct listing *listing; /* NULL when nothing could be sent */
};

struct detection {
	struct probes *owner;
	struct detection *prev, *next;
	void (*on_found)(void *arg, const char *provider, const char *const *models, size_t count);
	void (*on_done)(void *arg);
	void *arg;
	struct knock *knocks;
	size_t count, waiting;
	bool dead;
	struct loop_deferred begin;
	struct loop_deferred reaper;
};

static void
detection_free(struct detection *d)
{
	struct loop *loop = d->owner->parts.loop;

	if (d->prev != NULL)
		d->prev->next = d->next;
	else
		d->owner->detections = d->next;
	if (d->next != NULL)
		d->next->prev = d->prev;
	loop_defer_cancel(loop, &d->begin);
	loop_defer_cancel(loop, &d->reaper);
	for (size_t i = 0; i < d->count; i++) {
		listing_free(d->knocks[i].listing);
		free(d->knocks[i].provider);
	}
	free(d->knocks);
	free(d);
}

static void
detection_reap(void *arg)
{
	detection_free(arg);
}

void
detections_free(struct probes *p)
{
	for (struct detection *d = p->detections, *next; d != NULL; d = next) {
		next = d->next;
		detection_free(d);
	}
}

void
detect_cancel(struct detection *d)
{
	if (d->dead)
		return;
	d->dead = true;
	for (size_t i = 0; i < d->count; i++)
		listing_stop(d->knocks[i].listing);
	loop_defer_cancel(d->owner->parts.loop, &d->begin);
	loop_defer(d->owner->parts.loop, &d->reaper, detection_reap, d);
}

static void
detection_settle(struct detection *d)
{
	if (d->dead || d->waiting > 0)
		return;
	detect_cancel(d);
	d->on_done(d->arg);
}

static void
knock_answered(void *arg, const struct listing_end *e)
{
	struct knock *k = arg;
	struct detection *d = k->detection;
	struct providers *ps = d->owner->parts.providers;

	d->waiting--;
	if (e->failure == NULL) {
		providers_report_ok(ps, k->provider, e->latency_ms);
		providers_set_models_count(ps, k->provider, (int64_t)e->count);
		d->on_found(d->arg, k->provider, e->models, e->count);
	} else if (e->failure->class == FAILURE_AUTH) {
		/* Somebody is home and wants a key. */
		d->on_found(d->arg, k->provider, NULL, 0);
	}
	detection_settle(d);
}

static bool
worth_knocking(const struct provider *p)
{
	return p->auto_detect && p->enabled && p->type == PROVIDER_LOCAL && listing_possible(p);
}

static void
detection_begin(void *arg)
{
	struct detection *d = arg;
	struct providers *ps = d->owner->parts.providers;
	size_t total = providers_count(ps);
	struct error err = ERROR_INIT;

	d->knocks = xcalloc(total > 0 ? total : 1, sizeof(*d->knocks));
	for (size_t i = 0; i < total; i++) {
		const struct provider *p = providers_at(ps, i);
		struct knock *k = &d->knocks[d->count];

		if (!worth_knocking(p))
			continue;
		k->detection = d;
		k->provider = xstrdup(p->name);
		d->count++;
		k->listing = listing_start(&d->owner->parts, p, NULL, DETECT_MS, knock_answered, k,
		    &err);
		if (k->listing != NULL)
			d->waiting++;
	}
	detection_settle(d);
}

struct detection *
detect_start(struct probes *p,
    void (*on_found)(void *arg, const char *provider, const char *const *models, size_t count),
    void (*on_done)(void *arg), void *arg)
{
	struct detection *d = xcalloc(1, sizeof(*d));

	d->owner = p;
	d->on_found = on_found;
	d->on_done = on_done;
	d->arg = arg;
	d->next = p->detections;
	if (d->next != NULL)
		d->next->prev = d;
	p->detections = d;
	loop_defer(p->parts.loop, &d->begin, detection_begin, d);
	return d;
}

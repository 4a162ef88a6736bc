/* detect.c - are the local servers there that the catalogue names? All asked at once. A server that is not
 * there is no failure, and no override is ever touched. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/call/knock.h"
#include "server/call/listing.h"
#include "server/call/probe.h"
#include "server/call/probe_list.h"
#include "server/state/credentials.h"

#define DETECT_MS 1000
#define PLACES_MAX 2
#define OLLAMA_ID "catalogue:ollama"

/* One provider, and where it may be: one place after the other. */
struct visit {
	struct detection *detection;
	struct provider *provider; /* as it was at the start; base_url is the place being tried */
	char *base_url;            /* its own one */
	char *places[PLACES_MAX];
	size_t place_count, at;
	struct knock *knocks[PLACES_MAX];
	struct listing *listings[PLACES_MAX];
	bool somebody; /* a port was open */
};

struct detection {
	struct probes *owner;
	struct detection *prev, *next;
	void (*on_found)(void *arg, const struct found_server *f);
	void (*on_done)(void *arg);
	void *arg;
	char *ollama; /* "http://127.0.0.1:11434"; NULL = nothing said */
	struct visit *visits;
	size_t count, waiting;
	bool dead;
	struct loop_deferred begin;
	struct loop_deferred reaper;
};

static void
visit_clear(struct visit *v)
{
	for (size_t i = 0; i < PLACES_MAX; i++) {
		knock_free(v->knocks[i]);
		listing_free(v->listings[i]);
		free(v->places[i]);
	}
	provider_free(v->provider);
	free(v->base_url);
}

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
	for (size_t i = 0; i < d->count; i++)
		visit_clear(&d->visits[i]);
	free(d->visits);
	free(d->ollama);
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
		for (size_t k = 0; k < PLACES_MAX; k++)
			listing_stop(d->visits[i].listings[k]);
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

/* ---- one provider ---- */

static const struct provider *
visited(const struct visit *v)
{
	return providers_find_id(v->detection->owner->parts.providers, v->provider->id);
}

static void
visit_over(struct visit *v)
{
	v->detection->waiting--;
	detection_settle(v->detection);
}

static void
visit_absent(struct visit *v)
{
	struct providers *ps = v->detection->owner->parts.providers;
	const struct provider *now = visited(v);
	struct provider_health health;
	char text[200];

	if (now != NULL && now->enabled) {
		providers_health(ps, now->name, &health);
		snprintf(text, sizeof text, v->somebody ? "another program listens at %.120s"
		    : "not running: nothing listens at %.120s", v->base_url);
		/* one that is busy right now may be late and fine */
		if (!v->somebody || health.since_ms == 0 || health.code != 0)
			providers_report_seen(ps, now->name, MP_E_PROVIDER_UNAVAILABLE, text, -1);
	}
	visit_over(v);
}

/* The provider is at another place than its row says: the row follows. Nothing that has a key moves. */
static bool
visit_move(struct visit *v, const struct provider *now)
{
	const struct attempt_parts *parts = &v->detection->owner->parts;
	struct changes *changes = v->detection->owner->changes;
	struct error err = ERROR_INIT;

	if (changes == NULL || strcmp(now->base_url, v->base_url) != 0 ||
	    credentials_find(parts->credentials, now->name, NULL) != NULL ||
	    changes_begin(changes, &err) != 0)
		return false;
	if (providers_update(parts->providers, now->name, v->provider, "base_url", &err) != 0) {
		changes_rollback(changes);
		return false;
	}
	if (changes_commit(changes, "provider.detect", NULL, "detected", &err) != 0)
		return false;
	log_info("a local server was found at another address",
	    LOG_TEXT("provider", v->provider->name), LOG_TEXT("url", v->provider->base_url));
	return true;
}

static void visit_try(struct visit *v);

static void
visit_found(struct visit *v, const struct listing_end *e)
{
	struct probes *owner = v->detection->owner;
	const struct provider *now = visited(v);
	struct found_server found = { .models = e->failure == NULL ? e->models : NULL };

	if (now == NULL || !now->enabled)
		goto out;
	if (strcmp(now->base_url, v->provider->base_url) != 0) {
		if (!(found.moved = visit_move(v, now))) {
			v->at++;
			visit_try(v);
			return;
		}
		now = visited(v);
	}
	found.provider = now;
	if (e->failure == NULL)
		providers_report_seen(owner->parts.providers, now->name, 0, NULL, e->latency_ms);
	else
		providers_report_seen(owner->parts.providers, now->name,
		    e->key_sent ? MP_E_AUTH_REJECTED : MP_E_NO_CREDENTIAL,
		    e->key_sent ? "the server rejected the key" : "the server wants a key", -1);
	v->detection->on_found(v->detection->arg, &found);
	if (e->failure == NULL)
		probes_keep_list(owner, v->provider, e->models);
out:
	visit_over(v);
}

static void
visit_answered(void *arg, const struct listing_end *e)
{
	struct visit *v = arg;

	if (e->failure == NULL || e->failure->class == FAILURE_AUTH) {
		visit_found(v, e);
		return;
	}
	v->at++;
	visit_try(v);
}

static void
visit_opened(void *arg, bool open)
{
	struct visit *v = arg;
	struct detection *d = v->detection;
	struct error err = ERROR_INIT;

	if (d->dead)
		return;
	if (open) {
		v->somebody = true;
		free(v->provider->base_url);
		v->provider->base_url = xstrdup(v->places[v->at]);
		v->listings[v->at] = listing_start(&d->owner->parts, v->provider, NULL, false,
		    DETECT_MS, visit_answered, v, &err);
		if (v->listings[v->at] != NULL)
			return;
	}
	v->at++;
	visit_try(v);
}

static void
visit_try(struct visit *v)
{
	struct loop *loop = v->detection->owner->parts.loop;

	for (; v->at < v->place_count; v->at++) {
		v->knocks[v->at] = knock_start(loop, v->places[v->at], DETECT_MS, visit_opened, v);
		if (v->knocks[v->at] != NULL)
			return;
	}
	visit_absent(v);
}

/* ---- all of them ---- */

/* Only what is on this machine: nobody is bothered by a start of ours. */
static bool
worth_a_visit(const struct provider *p)
{
	bool loopback = false;
	char *origin = NULL;

	if (!p->auto_detect || !p->enabled || p->type != PROVIDER_LOCAL || !listing_possible(p))
		return false;
	if (url_origin(p->base_url, &origin, &loopback) != 0)
		return false;
	free(origin);
	return loopback;
}

/* The other place with the path of its own one: "http://127.0.0.1:8000" + "/v1". */
static char *
other_place(const struct provider *p, const char *origin)
{
	const char *path = strstr(p->base_url, "://") + 3;
	struct buf url = BUF_INIT;

	path += strcspn(path, "/");
	buf_addf(&url, "%s%s", origin, path);
	return buf_steal(&url, NULL);
}

static void
visit_init(struct visit *v, struct detection *d, const struct provider *p)
{
	const struct providers *ps = d->owner->parts.providers;
	char *other = NULL, *origin = NULL;

	v->detection = d;
	v->provider = provider_copy(p);
	v->base_url = xstrdup(p->base_url);
	if (d->ollama != NULL && strcmp(p->id, OLLAMA_ID) == 0 &&
	    url_origin(p->base_url, &origin, NULL) == 0 && strcmp(origin, d->ollama) != 0)
		other = other_place(p, d->ollama);
	free(origin);
	/* what the variable says beats what was shipped, not what the user wrote */
	if (other != NULL && !providers_user_set(ps, p, "base_url"))
		v->places[v->place_count++] = other;
	v->places[v->place_count++] = xstrdup(p->base_url);
	if (other != NULL && v->place_count == 1)
		v->places[v->place_count++] = other;
}

static void
detection_begin(void *arg)
{
	struct detection *d = arg;
	struct providers *ps = d->owner->parts.providers;
	size_t total = providers_count(ps);

	d->visits = xcalloc(total > 0 ? total : 1, sizeof(*d->visits));
	for (size_t i = 0; i < total; i++)
		if (worth_a_visit(providers_at(ps, i)))
			visit_init(&d->visits[d->count++], d, providers_at(ps, i));
	/* one over the visits: the end is told once, after all have begun */
	d->waiting = d->count + 1;
	for (size_t i = 0; i < d->count; i++)
		visit_try(&d->visits[i]);
	d->waiting--;
	detection_settle(d);
}

struct detection *
detect_start(struct probes *p, const char *ollama_host,
    void (*on_found)(void *arg, const struct found_server *f), void (*on_done)(void *arg),
    void *arg)
{
	struct detection *d = xcalloc(1, sizeof(*d));
	char origin[320];

	d->owner = p;
	d->on_found = on_found;
	d->on_done = on_done;
	d->arg = arg;
	if (ollama_host != NULL && *ollama_host != '\0' &&
	    ollama_host_origin(ollama_host, origin, sizeof origin))
		d->ollama = xstrdup(origin);
	d->next = p->detections;
	if (d->next != NULL)
		d->next->prev = d;
	p->detections = d;
	loop_defer(p->parts.loop, &d->begin, detection_begin, d);
	return d;
}

#include "server/rpc/methods/refresh.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/base/loop.h"
#include "server/call/listing.h"
#include "server/call/probe.h"
#include "server/call/route.h"

#define AT_ONCE 8
#define REFRESH_MS 20000

/* One provider that is being asked. */
struct asking {
	struct refresh *refresh;
	struct probe *probe; /* NULL: this place is free */
};

struct refresh {
	const struct rpc_parts *parts;
	void (*on_done)(void *arg, const struct buf *warnings);
	void *arg;
	char **names; /* of those to ask */
	size_t count, next;
	struct asking places[AT_ONCE];
	size_t running;
	struct buf warnings;
	struct pack pack;
	struct loop_deferred go_on;
};

static void
refresh_free(struct refresh *r)
{
	loop_defer_cancel(r->parts->loop, &r->go_on);
	for (size_t i = 0; i < r->count; i++)
		free(r->names[i]);
	free(r->names);
	buf_clear(&r->warnings);
	free(r);
}

void
refresh_cancel(struct refresh *r)
{
	for (size_t i = 0; i < AT_ONCE; i++)
		if (r->places[i].probe != NULL)
			probe_cancel(r->places[i].probe);
	refresh_free(r);
}

/* A server of this machine that nobody started is no news. */
static bool
worth_telling(const struct refresh *r, const struct probe_result *result)
{
	const struct provider *p = providers_find(r->parts->providers, result->target->provider);

	return r->count == 1 || p == NULL || !p->auto_detect ||
	    result->code != MP_E_PROVIDER_UNAVAILABLE;
}

static void refresh_go_on(void *arg);

static void
asked_one(void *arg, const struct probe_result *result)
{
	struct asking *a = arg;
	struct refresh *r = a->refresh;

	a->probe = NULL;
	r->running--;
	if (result->warning != NULL)
		pack_str(&r->pack, result->warning);
	if (result->code != 0 && worth_telling(r, result))
		pack_str(&r->pack, result->error->message);
	loop_defer(r->parts->loop, &r->go_on, refresh_go_on, r);
}

static void
ask(struct refresh *r, struct asking *place, const char *name)
{
	struct error err = ERROR_INIT;
	struct target t;

	target_init(&t);
	target_set(&t, name, "", NULL, NULL);
	place->refresh = r;
	place->probe = probe_start(r->parts->probes, &t, false, REFRESH_MS, asked_one, place, &err);
	if (place->probe != NULL)
		r->running++;
	target_clear(&t);
}

static void
refresh_go_on(void *arg)
{
	struct refresh *r = arg;

	for (size_t i = 0; i < AT_ONCE && r->next < r->count; i++)
		if (r->places[i].probe == NULL)
			ask(r, &r->places[i], r->names[r->next++]);
	if (r->running > 0)
		return;
	pack_array_end(&r->pack);
	r->on_done(r->arg, &r->warnings);
	refresh_free(r);
}

static void
add(struct refresh *r, const struct provider *p)
{
	r->names = xrealloc(r->names, (r->count + 1) * sizeof *r->names);
	r->names[r->count++] = xstrdup(p->name);
}

static bool
can_be_asked(const struct rpc_parts *parts, const struct provider *p)
{
	struct error ignored = ERROR_INIT;
	struct target t;
	bool ready;

	target_init(&t);
	target_set(&t, p->name, "", NULL, NULL);
	ready = listing_possible(p) && routes_ready(parts->routes, &t, &ignored) == 0;
	target_clear(&t);
	return ready;
}

struct refresh *
refresh_start(const struct rpc_parts *parts, const struct provider *only,
    void (*on_done)(void *arg, const struct buf *warnings), void *arg)
{
	struct refresh *r = xcalloc(1, sizeof *r);

	r->parts = parts;
	r->on_done = on_done;
	r->arg = arg;
	pack_init(&r->pack, &r->warnings);
	pack_array_begin(&r->pack);
	if (only != NULL)
		add(r, only);
	for (size_t i = 0; only == NULL && i < providers_count(parts->providers); i++)
		if (can_be_asked(parts, providers_at(parts->providers, i)))
			add(r, providers_at(parts->providers, i));
	loop_defer(parts->loop, &r->go_on, refresh_go_on, r);
	return r;
}

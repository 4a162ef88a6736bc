#include "server/call/windows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/base/clock.h"

#define HOUR_MS INT64_C(3600000)
#define WEEK_HOURS (INT64_C(7) * 24)
#define LOOK_MS 60000 /* old requests leave a window by themselves */

struct windows {
	struct loop *loop;
	struct ledger *ledger;
	struct providers *providers;
	struct changes *changes;
	struct loop_timer *look;
};

/* What one provider did in one window. */
struct counting {
	const char *provider;
	int64_t requests;
};

static void
count_group(void *arg, const struct usage_group *g)
{
	struct counting *c = arg;

	/* what was refused took nothing from the plan */
	if (strcmp(g->provider, c->provider) == 0)
		c->requests += g->sums.requests - g->sums.failed;
}

static void
read_window(struct windows *w, const struct provider *p, const char *name, int64_t most, int64_t hours,
    struct limits *out)
{
	struct counting c = { .provider = p->name };
	int64_t now = out->at_ms;
	struct limit *l;

	if (most <= 0 || hours <= 0 || (l = limits_name(out, name)) == NULL)
		return;
	if (ledger_sums(w->ledger, now - hours * HOUR_MS, INT64_MAX / 2000, USAGE_BY_PROVIDER, USAGE_DAYS,
	    count_group, &c) != 0)
		return;
	l->limit = most;
	l->remaining = c.requests < most ? most - c.requests : 0;
	l->used_permille = (int32_t)(c.requests < 100 * most ? c.requests * 1000 / most : 100000);
	l->estimated = true;
}

static bool
has_windows(const struct provider *p)
{
	return p != NULL && p->type == PROVIDER_PLAN_BASED && p->enabled &&
	    (p->rate_limits.weekly > 0 || p->rate_limits.rolling > 0);
}

static void
count(struct windows *w, const struct provider *p)
{
	struct limits l = { .at_ms = clock_wall_ms() };
	char name[16];

	snprintf(name, sizeof name, "%dh", (int)p->rate_limits.window_hours);
	read_window(w, p, name, p->rate_limits.rolling, p->rate_limits.window_hours, &l);
	read_window(w, p, "7d", p->rate_limits.weekly, WEEK_HOURS, &l);
	if (l.count > 0)
		providers_report_limits(w->providers, p->name, &l);
}

static void
look(void *arg)
{
	struct windows *w = arg;

	for (size_t i = 0; i < providers_count(w->providers); i++)
		if (has_windows(providers_at(w->providers, i)))
			count(w, providers_at(w->providers, i));
	loop_timer_start(w->look, LOOK_MS);
}

static void
on_row(void *arg, const struct usage_row *row)
{
	struct windows *w = arg;

	if (has_windows(providers_find(w->providers, row->provider)))
		loop_timer_start(w->look, 0);
}

static void
on_change(void *arg, const struct change *ch)
{
	struct windows *w = arg;

	/* our own readings are news, too: those come without a method */
	if (ch->topic == TOPIC_PROVIDERS && ch->method != NULL)
		loop_timer_start(w->look, 0);
}

struct windows *
windows_new(struct loop *loop, struct ledger *ledger, struct providers *providers, struct changes *changes)
{
	struct windows *w = xcalloc(1, sizeof *w);

	w->loop = loop;
	w->ledger = ledger;
	w->providers = providers;
	w->changes = changes;
	w->look = loop_timer_new(loop, look, w);
	loop_timer_start(w->look, 0);
	ledger_subscribe(ledger, on_row, w);
	changes_subscribe(changes, on_change, w);
	return w;
}

void
windows_free(struct windows *w)
{
	if (w == NULL)
		return;
	ledger_unsubscribe(w->ledger, w);
	changes_unsubscribe(w->changes, w);
	loop_timer_free(w->look);
	free(w);
}

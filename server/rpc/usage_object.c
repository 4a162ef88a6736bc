/* usage_object.c - what today comes to, and the news of it: at most once a second, and only while somebody
 * listens. */
#include "server/rpc/usage_object.h"

#include <stdlib.h>

#include "server/base/clock.h"
#include "server/base/loop.h"
#include "server/rpc/conn.h"
#include "server/usage/calendar.h"
#include "server/usage/ledger.h"

#define EVERY_MS 1000

struct usage_news {
	struct rpc_server *server;
	struct loop_timer *later;
	int64_t told_ms; /* monotonic */
};

void
pack_usage_sums(struct pack *p, const struct usage_sums *s)
{
	pack_kv_int(p, "requests", s->requests);
	pack_kv_int(p, "failed", s->failed);
	pack_kv_int(p, "cancelled", s->cancelled);
	pack_kv_int(p, "input_tokens", s->input_tokens);
	pack_kv_int(p, "output_tokens", s->output_tokens);
	pack_kv_int(p, "cache_read_tokens", s->cache_read_tokens);
	pack_kv_int(p, "cache_write_tokens", s->cache_write_tokens);
	pack_kv_int(p, "reasoning_tokens", s->reasoning_tokens);
	pack_kv_int(p, "cost_microusd", s->cost_microusd);
	pack_kv_int(p, "plan_microusd", s->plan_microusd);
	pack_kv_int(p, "unpriced", s->unpriced);
	pack_kv_int(p, "estimated", s->estimated);
	pack_kv_int(p, "unknown", s->unknown);
	pack_kv_int(p, "duration_ms", s->duration_ms);
}

/* ---- today ---- */

static void
pack_provider_sums(void *arg, const struct usage_group *g)
{
	struct pack *p = arg;

	pack_map_begin(p);
	pack_kv_str(p, "provider", g->provider);
	pack_usage_sums(p, &g->sums);
	pack_map_end(p);
}

static void
keep_sums(void *arg, const struct usage_group *g)
{
	struct usage_sums *total = arg;

	*total = g->sums; /* of one day there is one group */
}

void
pack_usage_today(struct pack *p, const struct rpc_parts *parts)
{
	int64_t now = clock_wall_ms(), since = calendar_start(PERIOD_DAY, now),
		until = calendar_next(PERIOD_DAY, now);
	struct usage_sums total = { 0 };

	ledger_sums(parts->ledger, since, until, USAGE_BY_NOTHING, USAGE_DAYS, keep_sums, &total);
	pack_map_begin(p);
	pack_kv_int(p, "since_ms", since);
	pack_str(p, "total");
	pack_map_begin(p);
	pack_usage_sums(p, &total);
	pack_map_end(p);
	pack_str(p, "providers");
	pack_array_begin(p);
	ledger_sums(parts->ledger, since, until, USAGE_BY_PROVIDER, USAGE_DAYS, pack_provider_sums, p);
	pack_array_end(p);
	pack_map_end(p);
}

/* ---- news ---- */

static bool
anybody_listens(const struct rpc_server *s)
{
	for (const struct conn *c = s->conns; c != NULL; c = c->next)
		if ((c->subscription.topics & 1u << TOPIC_USAGE) != 0)
			return true;
	return false;
}

static void
tell(void *arg)
{
	struct usage_news *n = arg;

	n->told_ms = clock_monotonic_ms();
	changes_tell(n->server->parts->changes, TOPIC_USAGE, CHANGE_UPDATE, "today", NULL);
	for (struct conn *c = n->server->conns, *next; c != NULL; c = next) {
		next = c->next;
		conn_flush(c);
	}
}

static void
on_row(void *arg, const struct usage_row *row)
{
	struct usage_news *n = arg;
	int64_t wait = n->told_ms + EVERY_MS - clock_monotonic_ms();

	(void)row;
	if (!loop_timer_running(n->later) && anybody_listens(n->server))
		loop_timer_start(n->later, wait > 0 ? wait : 0);
}

struct usage_news *
usage_news_new(struct rpc_server *s)
{
	struct usage_news *n = xcalloc(1, sizeof *n);

	n->server = s;
	n->told_ms = -EVERY_MS;
	n->later = loop_timer_new(s->parts->loop, tell, n);
	ledger_subscribe(s->parts->ledger, on_row, n);
	return n;
}

void
usage_news_free(struct usage_news *n)
{
	if (n == NULL)
		return;
	ledger_unsubscribe(n->server->parts->ledger, n);
	loop_timer_free(n->later);
	free(n);
}

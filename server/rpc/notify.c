#include "server/rpc/notify.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/value.h"
#include "mpd_version.h"
#include "server/base/loop.h"
#include "server/call/route.h"
#include "server/rpc/changed.h"
#include "server/rpc/conn.h"
#include "server/rpc/objects.h"
#include "server/rpc/request.h"
#include "server/rpc/usage_object.h"
#include "server/vault/vault.h"

#define BIT(topic) (1u << (topic))
/* What an effective route depends on. */
#define ROUTE_CAUSES \
	(BIT(TOPIC_ROUTE) | BIT(TOPIC_OVERRIDES) | BIT(TOPIC_PROVIDERS) | BIT(TOPIC_MODELS) | \
	    BIT(TOPIC_CHAINS))

/* Why something changed; owned strings. */
struct cause {
	char *method, *client, *reason;
};

struct notifier {
	struct rpc_server *server;
	struct loop_deferred check; /* routes are compared once per tick */
	struct cause cause;         /* of the last change that may have moved a route */
	char active[65];            /* provider of the global route, as told last */
	const char *daemon_state;   /* static */
	struct buf value;           /* scratch: an event's value, packed once for all */
};

static void
cause_set(struct cause *to, const char *method, const char *client, const char *reason)
{
	free(to->method);
	free(to->client);
	free(to->reason);
	to->method = xstrdup(method);
	to->client = xstrdup(client);
	to->reason = xstrdup(reason);
}

static void
pack_cause(struct pack *p, const char *method, const char *client, const char *reason)
{
	pack_str(p, "cause");
	pack_map_begin(p);
	pack_kv_str(p, "method", method);
	pack_kv_str(p, "client", client);
	pack_kv_str(p, "reason", reason);
	pack_map_end(p);
}

/* The members every event has; the connection has now heard of rev. */
static struct pack *
event_begin(struct conn *c, int64_t rev, enum topic topic, const char *op)
{
	struct subscription *sub = &c->subscription;
	struct pack *p = rpc_event_begin(c, "state.event");

	if (rev < sub->last_rev)
		rev = sub->last_rev;
	pack_kv_int(p, "rev", rev);
	pack_kv_int(p, "prev_rev", sub->last_rev);
	pack_kv_str(p, "instance", changes_instance(c->server->parts->changes));
	pack_kv_str(p, "topic", topic_name(topic));
	pack_kv_str(p, "op", op);
	sub->last_rev = rev;
	return p;
}

/* Whether the connection listens to the topic and has room; counts what it loses. */
static bool
wants(struct conn *c, enum topic topic)
{
	if (c->state != CONN_OPEN || (c->subscription.topics & BIT(topic)) == 0)
		return false;
	if (!conn_is_full(c))
		return true;
	c->subscription.lost[topic]++;
	return false;
}

static void
send_event(struct conn *c, const struct change *ch, const struct buf *value)
{
	struct pack *p = event_begin(c, ch->rev, ch->topic, change_op_name(ch->op));

	if (ch->key != NULL)
		pack_kv_str(p, "key", ch->key);
	if (value->len > 0) {
		pack_str(p, "value");
		pack_raw(p, value->data, value->len);
	}
	pack_cause(p, ch->method, ch->client, ch->reason);
	rpc_event_end(c);
}

/* ---- values ---- */

static void
pack_daemon(struct pack *p, const struct notifier *n)
{
	const struct rpc_parts *parts = n->server->parts;

	pack_map_begin(p);
	pack_kv_str(p, "state", n->daemon_state);
	pack_kv_str(p, "version", MPD_VERSION);
	pack_kv_int(p, "started_ms", parts->started_ms);
	pack_kv_bool(p, "read_only", store_read_only(parts->store));
	pack_kv_bool(p, "locked", vault_is_locked(parts->vault));
	pack_map_end(p);
}

/* The value that an event carries; nothing for what is gone. */
static void
pack_change(struct notifier *n, const struct change *ch)
{
	struct pack p;

	buf_reset(&n->value, 4096);
	if (ch->key == NULL || (ch->op == CHANGE_REMOVE && ch->topic != TOPIC_SESSIONS))
		return;
	pack_init(&p, &n->value);
	if (ch->topic == TOPIC_DAEMON)
		pack_daemon(&p, n);
	else
		changed_pack(&p, n->server->parts, ch);
}

/* The connection's own effective route, packed; empty when there is none. */
static void
pack_own_route(struct conn *c, struct buf *out)
{
	struct error err = ERROR_INIT;
	struct route route;
	struct pack p;

	buf_reset(out, 1024);
	route_init(&route);
	if (routes_effective(c->server->parts->routes, NULL, c->hello.scope, &route, &err) == 0) {
		pack_init(&p, out);
		pack_route(&p, &route);
	}
	route_clear(&route);
}

/* ---- routes, once per tick ---- */

static void
check_route(struct notifier *n, struct conn *c)
{
	struct subscription *sub = &c->subscription;
	struct pack *p;

	pack_own_route(c, &n->value);
	if (n->value.len == sub->route.len &&
	    (n->value.len == 0 || memcmp(n->value.data, sub->route.data, n->value.len) == 0))
		return;
	if (!wants(c, TOPIC_ROUTE))
		return; /* counted as lost; the resync makes it ask */
	buf_reset(&sub->route, 1024);
	buf_add(&sub->route, n->value.data, n->value.len);
	p = event_begin(c, changes_rev(c->server->parts->changes), TOPIC_ROUTE, "set");
	if (n->value.len > 0) {
		pack_str(p, "value");
		pack_raw(p, n->value.data, n->value.len);
	}
	pack_cause(p, n->cause.method, n->cause.client, n->cause.reason);
	rpc_event_end(c);
}

/* A provider that became active, or ceased to be, looks different from outside. */
static void
tell_active(struct notifier *n, const char *provider)
{
	struct change ch = {
		.rev = changes_rev(n->server->parts->changes),
		.topic = TOPIC_PROVIDERS,
		.op = CHANGE_UPDATE,
		.key = provider,
		.method = n->cause.method,
		.client = n->cause.client,
		.reason = n->cause.reason,
	};
	struct conn *c, *next;

	if (provider[0] == '\0' || providers_find(n->server->parts->providers, provider) == NULL)
		return;
	pack_change(n, &ch);
	for (c = n->server->conns; c != NULL; c = next) {
		next = c->next; /* an event that is too much ends its connection */
		if (wants(c, TOPIC_PROVIDERS))
			send_event(c, &ch, &n->value);
	}
}

static void
check_routes(void *arg)
{
	struct notifier *n = arg;
	char before[sizeof n->active];
	struct conn *c, *next;

	memcpy(before, n->active, sizeof before);
	active_provider(n->server->parts, n->active, sizeof n->active);
	for (c = n->server->conns; c != NULL; c = next) {
		next = c->next;
		if ((c->subscription.topics & BIT(TOPIC_ROUTE)) != 0)
			check_route(n, c);
	}
	if (strcmp(before, n->active) != 0) {
		tell_active(n, before);
		tell_active(n, n->active);
	}
	for (c = n->server->conns; c != NULL; c = next) {
		next = c->next;
		conn_flush(c);
	}
}

static void
on_change(void *arg, const struct change *ch)
{
	struct notifier *n = arg;
	struct rpc_server *s = n->server;
	bool packed = false;
	struct conn *c, *next;

	if ((BIT(ch->topic) & ROUTE_CAUSES) != 0) {
		cause_set(&n->cause, ch->method, ch->client, ch->reason);
		loop_defer(s->parts->loop, &n->check, check_routes, n);
	}
	if (ch->topic == TOPIC_ROUTE)
		return;
	for (c = s->conns; c != NULL; c = next) {
		next = c->next;
		if (!wants(c, ch->topic))
			continue;
		if (!packed)
			pack_change(n, ch);
		packed = true;
		send_event(c, ch, &n->value);
	}
}

/* ---- the face ---- */

struct notifier *
notifier_new(struct rpc_server *s)
{
	struct notifier *n = xcalloc(1, sizeof *n);

	n->server = s;
	n->daemon_state = "started";
	active_provider(s->parts, n->active, sizeof n->active);
	changes_subscribe(s->parts->changes, on_change, n);
	return n;
}

void
notifier_free(struct notifier *n)
{
	if (n == NULL)
		return;
	changes_unsubscribe(n->server->parts->changes, n);
	loop_defer_cancel(n->server->parts->loop, &n->check);
	cause_set(&n->cause, NULL, NULL, NULL);
	buf_clear(&n->value);
	free(n);
}

void
notifier_daemon(struct notifier *n, const char *state)
{
	n->daemon_state = state;
	changes_tell(n->server->parts->changes, TOPIC_DAEMON, CHANGE_SET, "daemon", state);
}

void
subscription_add(struct conn *c, unsigned topics)
{
	struct subscription *sub = &c->subscription;

	sub->topics |= topics;
	sub->last_rev = changes_rev(c->server->parts->changes);
	if ((topics & BIT(TOPIC_ROUTE)) != 0)
		pack_own_route(c, &sub->route);
}

void
subscription_remove(struct conn *c, unsigned topics)
{
	c->subscription.topics &= ~topics;
	for (int t = 0; t < TOPIC_COUNT; t++)
		if ((topics & BIT(t)) != 0)
			c->subscription.lost[t] = 0;
}

void
subscription_clear(struct subscription *s)
{
	buf_clear(&s->route);
}

/* lost: how many events of the topic it did not get; 0 = it is told for another reason. */
static void
send_resync(struct conn *c, enum topic t, int64_t lost, const char *reason)
{
	struct subscription *sub = &c->subscription;
	struct pack *p = event_begin(c, changes_rev(c->server->parts->changes), t, "resync");

	if (lost > 0)
		pack_kv_int(p, "lost", lost);
	pack_cause(p, NULL, NULL, reason);
	sub->lost[t] = 0;
	if (t == TOPIC_ROUTE)
		pack_own_route(c, &sub->route);
	rpc_event_end(c);
}

void
subscription_drained(struct conn *c)
{
	for (int t = 0; t < TOPIC_COUNT; t++)
		if (c->subscription.lost[t] > 0 && c->state == CONN_OPEN)
			send_resync(c, (enum topic)t, c->subscription.lost[t], "slow reader");
}

void
notifier_resync(struct notifier *n, const char *reason)
{
	struct conn *c, *next;

	active_provider(n->server->parts, n->active, sizeof n->active);
	for (c = n->server->conns; c != NULL; c = next) {
		next = c->next;
		for (int t = 0; t < TOPIC_COUNT; t++)
			if (wants(c, (enum topic)t)) /* a full one is told when it has drained */
				send_resync(c, (enum topic)t, 0, reason);
	}
}

void
notifier_storage(void *notifier, bool well, bool unknown)
{
	struct notifier *n = notifier;

	changes_tell(n->server->parts->changes, TOPIC_DAEMON, CHANGE_SET, "daemon",
	    well ? "storage recovered" : "storage failed");
	if (unknown)
		notifier_resync(n, "storage recovered");
}

static void
pack_topic(struct conn *c, struct pack *p, enum topic t)
{
	const struct rpc_parts *parts = c->server->parts;
	struct buf route = BUF_INIT;

	switch (t) {
	case TOPIC_ROUTE:
		pack_own_route(c, &route);
		if (route.len > 0)
			pack_raw(p, route.data, route.len);
		else
			pack_nil(p);
		buf_clear(&route);
		break;
	case TOPIC_OVERRIDES:
		pack_overrides(p, parts, false);
		break;
	case TOPIC_PROVIDERS:
		pack_providers(p, parts, NULL);
		break;
	case TOPIC_MODELS:
		pack_models(p, parts);
		break;
	case TOPIC_CHAINS:
		pack_chains(p, parts);
		break;
	case TOPIC_BUDGET:
		pack_budgets(p, parts);
		break;
	case TOPIC_USAGE:
		pack_usage_today(p, parts);
		break;
	case TOPIC_KEYS:
		pack_keys(p, parts, NULL);
		break;
	case TOPIC_SESSIONS:
		pack_sessions(p, parts);
		break;
	case TOPIC_SETTINGS:
		pack_settings(p, parts);
		break;
	case TOPIC_TEAM:
		pack_bundles(p, parts);
		break;
	case TOPIC_DAEMON:
		pack_daemon(p, c->server->notifier);
		break;
	case TOPIC_COUNT:
		break;
	}
}

void
snapshot_pack(struct conn *c, struct pack *p, unsigned topics)
{
	pack_map_begin(p);
	for (int t = 0; t < TOPIC_COUNT; t++) {
		if ((topics & BIT(t)) == 0)
			continue;
		pack_str(p, topic_name((enum topic)t));
		pack_topic(c, p, (enum topic)t);
	}
	pack_map_end(p);
	c->subscription.last_rev = changes_rev(c->server->parts->changes);
	if ((topics & BIT(TOPIC_ROUTE)) != 0)
		pack_own_route(c, &c->subscription.route);
}

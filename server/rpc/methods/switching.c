#include "server/rpc/methods/switching.h"

#include "server/rpc/conn.h"
#include "server/rpc/notify.h"
#include "server/rpc/objects.h"
#include "server/state/changes.h"

/* How many other connections hear of a switch. */
static int64_t
listeners(const struct rpc_request *req)
{
	const unsigned topics = (1u << TOPIC_ROUTE) | (1u << TOPIC_OVERRIDES) | (1u << TOPIC_SESSIONS);
	const struct conn *own = rpc_conn(req);
	int64_t n = 0;

	for (const struct conn *c = rpc_parts(req)->server->conns; c != NULL; c = c->next)
		if (c != own && (c->subscription.topics & topics) != 0)
			n++;
	return n;
}

void
switching_begin(struct switching *s, struct rpc_request *req, const char *scope)
{
	const struct rpc_parts *parts = rpc_parts(req);
	const struct session *activated = sessions_activated(parts->sessions);
	struct error ignored = ERROR_INIT;

	s->req = req;
	s->scope = scope;
	s->session = activated != NULL ? activated->id : 0;
	route_init(&s->previous);
	route_init(&s->active);
	s->had_previous = routes_effective(parts->routes, NULL, scope, &s->previous, &ignored) == 0;
}

void
switching_clear(struct switching *s)
{
	route_clear(&s->previous);
	route_clear(&s->active);
}

void
switching_pack(struct switching *s, struct pack *p)
{
	const struct rpc_parts *parts = rpc_parts(s->req);
	const struct session *before = sessions_find(parts->sessions, s->session);

	pack_str(p, "active");
	pack_route(p, &s->active);
	if (s->had_previous) {
		pack_str(p, "previous");
		pack_route(p, &s->previous);
	}
	if (before != NULL && !before->activated) {
		pack_str(p, "deactivated");
		pack_session(p, parts, before);
	}
	pack_kv_int(p, "told", listeners(s->req));
}

int
switching_end(struct switching *s, struct error *err)
{
	return routes_effective(rpc_parts(s->req)->routes, NULL, s->scope, &s->active, err);
}

struct pack *
switching_result(struct switching *s, struct error *err)
{
	struct pack *p;

	if (switching_end(s, err) != 0)
		return NULL;
	p = rpc_result(s->req);
	switching_pack(s, p);
	return p;
}

void
pack_keeping(struct pack *p, const struct rpc_parts *parts)
{
	pack_str(p, "keeping");
	pack_overrides(p, parts, true);
}

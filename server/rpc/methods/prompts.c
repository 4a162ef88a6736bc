#include "server/rpc/methods/prompts.h"

#include <stdio.h>
#include <stdlib.h>

#include "protocol/base/str.h"
#include "protocol/limits.h"
#include "server/call/tour.h"
#include "server/rpc/methods/chat_params.h"

struct prompts *
prompts_new(struct loop *loop)
{
	struct prompts *ps = xcalloc(1, sizeof(*ps));

	ps->loop = loop;
	return ps;
}

static void
prompt_free(struct prompt *p)
{
	loop_defer_cancel(p->owner->loop, &p->reaper);
	if (p->call != NULL)
		call_cancel(p->call, true);
	if (p->prev != NULL)
		p->prev->next = p->next;
	else
		p->owner->first = p->next;
	if (p->next != NULL)
		p->next->prev = p->prev;
	p->clear(p);
	tool_calls_clear(&p->tools);
	free(p->tag);
	free(p);
}

static void
prompt_reap(void *arg)
{
	prompt_free(arg);
}

void
prompts_free(struct prompts *ps)
{
	if (ps == NULL)
		return;
	for (struct prompt *p = ps->first, *next; p != NULL; p = next) {
		next = p->next;
		prompt_free(p);
	}
	free(ps);
}

void
prompt_join(struct prompts *ps, struct prompt *p, struct conn *conn, const char *tag,
    void (*clear)(struct prompt *p))
{
	p->owner = ps;
	p->id = ++ps->last_id;
	p->conn = conn;
	p->tag = xstrdup(tag);
	p->clear = clear;
	p->next = ps->first;
	if (p->next != NULL)
		p->next->prev = p;
	ps->first = p;
}

void
prompt_bury(struct prompt *p)
{
	if (p->dead)
		return;
	p->dead = true;
	p->conn = NULL;
	if (p->call != NULL)
		call_cancel(p->call, true);
	p->call = NULL;
	loop_defer(p->owner->loop, &p->reaper, prompt_reap, p);
}

struct prompt *
prompt_find(struct prompts *ps, int64_t id)
{
	for (struct prompt *p = ps->first; p != NULL; p = p->next)
		if (p->id == id && !p->dead)
			return p;
	return NULL;
}

size_t
prompts_of(const struct prompts *ps, const struct conn *c)
{
	size_t n = 0;

	for (const struct prompt *p = ps->first; p != NULL; p = p->next)
		if (p->conn == c && !p->dead)
			n++;
	return n;
}

int
prompt_open(struct prompt *p, struct rpc_request *req, const struct call_watch *watch,
    struct error *err)
{
	const struct rpc_parts *parts = rpc_parts(req);
	struct chat_params params = {
		.text = rpc_param(req, "text"),
		.messages = rpc_param(req, "messages"),
		.system = rpc_param(req, "system"),
		.attachments = rpc_param(req, "attachments"),
		.tools = rpc_param(req, "tools"),
		.options = rpc_param(req, "options"),
		.reasoning = rpc_bool(req, "reasoning", false),
	};
	struct chat_request *chat = NULL;
	const struct route_wish wish = { rpc_str(req, "ref"), rpc_str(req, "label"),
	    rpc_slice(req, "session"), rpc_scope(req) };
	struct route route;
	int r;

	route_init(&route);
	if (prompts_of(p->owner, p->conn) > LIMIT_STREAMS) {
		error_set(err, MP_E_TOO_MANY, "this connection has %d streams already",
		    LIMIT_STREAMS);
		error_hint(err, "wait for one to end, or cancel one");
		r = err->code;
		goto out;
	}
	if ((r = chat_params_read(&params, &chat, err)) != 0)
		goto out;
	if ((r = routes_find(parts->routes, &wish, &route, err)) != 0)
		goto out;
	target_ref(&route.target, p->ref, sizeof(p->ref));
	p->call = call_start(parts->calls, chat, &route, rpc_int(req, "timeout_ms", 0),
	    rpc_client(req), watch, p, err);
	chat = NULL;
	r = p->call != NULL ? 0 : err->code;
out:
	chat_request_free(chat);
	route_clear(&route);
	return r;
}

void
pack_attempts(struct pack *p, const struct tour *tour)
{
	char ref[400];

	pack_str(p, "attempts");
	pack_array_begin(p);
	for (size_t i = 0; i < tour->log_count; i++) {
		const struct tour_stop *stop = &tour->log[i];

		pack_map_begin(p);
		pack_kv_str(p, "ref", target_ref(&tour->route->steps[stop->step].target, ref, sizeof ref));
		if (stop->key[0] != '\0')
			pack_kv_str(p, "key", stop->key);
		pack_kv_str(p, "code", error_code(stop->code));
		if (stop->passed)
			pack_kv_bool(p, "passed", true);
		pack_map_end(p);
	}
	pack_array_end(p);
}

static void
kv_known(struct pack *p, const char *key, int64_t v)
{
	if (v >= 0)
		pack_kv_int(p, key, v < LIMIT_INT_MAX ? v : LIMIT_INT_MAX);
}

void
pack_usage_members(struct pack *p, const struct usage *u)
{
	kv_known(p, "input_tokens", u->input_tokens);
	kv_known(p, "output_tokens", u->output_tokens);
	kv_known(p, "cache_read_tokens", u->cache_read_tokens);
	kv_known(p, "cache_write_tokens", u->cache_write_tokens);
	kv_known(p, "reasoning_tokens", u->reasoning_tokens);
	kv_known(p, "cost_microusd", u->list_microusd > 0 ? 0 : u->cost_microusd);
	if (u->list_microusd > 0)
		kv_known(p, "plan_microusd", u->list_microusd);
	if (usage_known(u))
		pack_kv_bool(p, "estimated", usage_estimated(u));
}

void
pack_usage(struct pack *p, const struct usage *u)
{
	pack_str(p, "usage");
	pack_map_begin(p);
	pack_usage_members(p, u);
	pack_map_end(p);
}

void
prompt_started(struct prompt *p, const struct call_start *start)
{
	target_ref(start->target, p->ref, sizeof p->ref);
	snprintf(p->signed_by, sizeof p->signed_by, "%s:%s", start->target->provider,
	    start->target->upstream);
}

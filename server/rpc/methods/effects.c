#include "server/rpc/methods/effects.h"

#define DIFFERENCE_SHOWN 2000 /* a reply has at most 65 536 elements */

struct document_parts
document_parts_of(const struct rpc_request *req)
{
	const struct rpc_parts *p = rpc_parts(req);

	return (struct document_parts){
		.changes = p->changes,
		.settings = p->settings,
		.providers = p->providers,
		.credentials = p->credentials,
		.models = p->models,
		.chains = p->chains,
		.budgets = p->budgets,
		.own_prices = p->own_prices,
		.overrides = p->overrides,
		.sessions = p->sessions,
		.team = p->team,
	};
}

void
pack_problems(struct pack *p, const struct problems *ps)
{
	pack_str(p, "problems");
	pack_array_begin(p);
	for (size_t i = 0; i < ps->count; i++) {
		pack_map_begin(p);
		pack_kv_int(p, "line", ps->list[i].line);
		pack_kv_int(p, "col", ps->list[i].column);
		pack_kv_str(p, "message", ps->list[i].message);
		pack_map_end(p);
	}
	if (ps->more > 0) {
		pack_map_begin(p);
		pack_kv_int(p, "line", ps->list[ps->count - 1].line);
		pack_kv_int(p, "col", ps->list[ps->count - 1].column);
		pack_kv_str(p, "message", "and more problems than are listed");
		pack_map_end(p);
	}
	pack_array_end(p);
}

static void
pack_difference(struct pack *p, const struct difference *d)
{
	struct buf line = BUF_INIT;

	pack_str(p, "diff");
	pack_array_begin(p);
	for (size_t i = 0; i < d->count && i < DIFFERENCE_SHOWN; i++) {
		const struct difference_item *it = &d->items[i];

		pack_map_begin(p);
		pack_kv_str(p, "op", difference_op_name(it->op));
		pack_str(p, "path");
		pack_array_begin(p);
		for (size_t k = 0; k < it->depth; k++)
			pack_str(p, it->path[k]);
		pack_array_end(p);
		pack_kv_str(p, "before", it->before);
		pack_kv_str(p, "after", it->after);
		buf_reset(&line, 1024);
		difference_line(it, &line);
		pack_kv_str(p, "text", buf_str(&line));
		pack_map_end(p);
	}
	pack_array_end(p);
	if (d->count > DIFFERENCE_SHOWN)
		pack_kv_int(p, "diff_more", (int64_t)(d->count - DIFFERENCE_SHOWN));
	buf_clear(&line);
}

void
pack_sentences(struct pack *p, const char *key, const struct sentences *s)
{
	pack_str(p, key);
	pack_array_begin(p);
	for (size_t i = 0; i < s->count; i++)
		pack_str(p, s->list[i]);
	pack_array_end(p);
}

void
pack_effects(struct pack *p, const struct document_result *r)
{
	pack_difference(p, &r->difference);
	pack_sentences(p, "losses", &r->losses);
	pack_sentences(p, "notes", &r->notes);
}

struct rpc_answer
fail_effects(struct rpc_request *req, const struct document_result *found, const struct error *err)
{
	struct buf extra = BUF_INIT;
	struct rpc_answer a;
	struct pack p;

	pack_init(&p, &extra);
	pack_problems(&p, &found->problems);
	pack_sentences(&p, "losses", &found->losses);
	a = rpc_fail_data(req, err, &extra, 2);
	buf_clear(&extra);
	return a;
}

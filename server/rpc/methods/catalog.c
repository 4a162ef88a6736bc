/* catalog.c - the lists of prices: where they are from, and a newer one. What a model costs is in price.c. */
#include <stdlib.h>
#include <string.h>

#include "server/call/price_refresh.h"
#include "server/rpc/objects.h"
#include "server/rpc/request.h"

static void
pack_info(struct pack *p, const struct rpc_parts *parts)
{
	struct price_list_info info;

	price_refresh_info(parts->price_refresh, &info);
	pack_kv_str(p, "source", info.source);
	pack_kv_str(p, "from", info.from);
	pack_kv_int(p, "date_ms", info.date_ms);
	pack_kv_int(p, "models", (int64_t)info.models);
	pack_kv_str(p, "problem", info.problem);
	pack_price_counts(p, parts);
}

struct rpc_answer
rpc_catalog_info(struct rpc_request *req)
{
	pack_info(rpc_result(req), rpc_parts(req));
	return rpc_ok(req);
}

/* ---- a newer one ---- */

static void
pack_problems_of(struct pack *p, const struct price_problems *ps)
{
	pack_str(p, "problems");
	pack_array_begin(p);
	for (size_t i = 0; i < ps->count; i++) {
		struct buf safe = BUF_INIT;

		text_escape(&safe, ps->list[i].message, strlen(ps->list[i].message), false);
		pack_map_begin(p);
		pack_kv_int(p, "line", ps->list[i].line);
		pack_kv_int(p, "col", ps->list[i].column);
		pack_kv_str(p, "message", buf_str(&safe));
		pack_map_end(p);
		buf_clear(&safe);
	}
	pack_array_end(p);
}

static void
done(void *arg, const struct price_news *news, const struct price_problems *problems, const struct error *err)
{
	struct rpc_request *req = arg;
	struct buf extra = BUF_INIT;
	struct pack p, *out;

	if (news == NULL && problems->count > 0) {
		pack_init(&p, &extra);
		pack_problems_of(&p, problems);
		rpc_finish_data(req, err, &extra, 1);
		buf_clear(&extra);
	} else if (news == NULL) {
		rpc_finish_error(req, err);
	} else {
		out = rpc_result(req);
		pack_info(out, rpc_parts(req));
		pack_kv_int(out, "changed", (int64_t)news->changed);
		pack_kv_int(out, "dearer", (int64_t)news->dearer);
		pack_kv_int(out, "cheaper", (int64_t)news->cheaper);
		pack_kv_int(out, "added", (int64_t)news->added);
		pack_kv_int(out, "gone", (int64_t)news->gone);
		pack_kv_int(out, "unpriced", (int64_t)news->unpriced);
		pack_kv_int(out, "refused", (int64_t)news->refused);
		rpc_finish(req);
	}
}

static void
unwanted(void *arg)
{
	const struct rpc_request *req = arg;

	price_refresh_cancel(rpc_parts(req)->price_refresh);
}

struct rpc_answer
rpc_catalog_refresh(struct rpc_request *req)
{
	const struct rpc_parts *parts = rpc_parts(req);
	const char *source = rpc_str(req, "source");
	struct price_order order = { rpc_slice(req, "text"), source, rpc_bool(req, "force", false) };
	struct error err = ERROR_INIT;

	if (rpc_has(req, "text") && order.text.data == NULL)
		order.text = SLICE("");
	if (!rpc_has(req, "text") && source != NULL && strcmp(source, "openrouter") != 0) {
		error_field(&err, "source",
		    "\"%.80s\" is not known: it is openrouter, or what a text is called", source);
		error_hint(&err, "the daemon reads no files: mpc catalog refresh FILE sends it one");
		return rpc_fail_err(req, &err);
	}
	if (price_refresh_start(parts->price_refresh, &order, done, req, &err) != 0)
		return rpc_fail_err(req, &err);
	return rpc_pending(req, unwanted, req);
}

/* usage_record.c - what programs tell of calls that they made themselves. They count as our own do: in the
 * sums of their hour and day, and in budgets. Nothing of it is believed beyond what a call can be. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/clock.h"
#include "server/call/record.h"
#include "server/call/route.h"
#include "server/rpc/objects.h"
#include "server/rpc/replay.h"
#include "server/rpc/request.h"
#include "server/state/changes.h"
#include "server/usage/ledger.h"

#define TOKENS_MAX INT64_C(1000000000)
#define COST_MAX INT64_C(10000000000) /* $10 000 */
#define LATE_MAX_MS (INT64_C(400) * 24 * 3600 * 1000)
#define AHEAD_MAX_MS 1000 /* another clock's rounding */
#define DURATION_MAX_MS (INT64_C(7) * 24 * 3600 * 1000)

/* ---- usage ---- */

static int64_t *
member_of(struct usage *u, struct slice key, int64_t *most)
{
	*most = TOKENS_MAX;
	if (slice_eq(key, "input_tokens"))
		return &u->input_tokens;
	if (slice_eq(key, "output_tokens"))
		return &u->output_tokens;
	if (slice_eq(key, "cache_read_tokens"))
		return &u->cache_read_tokens;
	if (slice_eq(key, "cache_write_tokens"))
		return &u->cache_write_tokens;
	if (slice_eq(key, "reasoning_tokens"))
		return &u->reasoning_tokens;
	*most = COST_MAX;
	return slice_eq(key, "cost_microusd") ? &u->cost_microusd : NULL;
}

static int
read_member(struct usage *u, struct slice key, const struct value *v, struct error *err)
{
	int64_t most, *to = member_of(u, key, &most);

	if (to == NULL && slice_eq(key, "estimated")) {
		if (value_type(v) != VALUE_BOOL)
			return error_field(err, "usage.estimated", "usage.estimated must be true or false");
		u->input_estimated = u->output_estimated = value_bool(v, false);
		return 0;
	}
	if (to == NULL)
		return error_field(err, "usage", "usage has no \"%.*s\"", (int)(key.len < 64 ? key.len : 64),
		    key.data);
	if (value_type(v) != VALUE_INT || value_int(v, -1) < 0 || value_int(v, -1) > most)
		return error_field(err, "usage", "usage.%.*s must be a number from 0 to %lld", (int)key.len,
		    key.data, (long long)most);
	*to = value_int(v, -1);
	return 0;
}

static int64_t
known(int64_t n)
{
	return n > 0 ? n : 0;
}

static int
read_usage(const struct value *v, struct usage *u, struct error *err)
{
	const struct value *member;

	for (size_t i = 0; i < value_size(v); i++) {
		struct slice key = value_pair(v, i, &member);

		if (read_member(u, key, member, err) != 0)
			return err->code;
	}
	if (u->input_tokens < 0 || u->output_tokens < 0)
		return error_field(err, "usage", "usage needs input_tokens and output_tokens");
	if (known(u->cache_read_tokens) + known(u->cache_write_tokens) > u->input_tokens)
		return error_field(err, "usage",
		    "input_tokens holds what was read from and written to a cache; it cannot be less");
	if (u->reasoning_tokens > u->output_tokens)
		return error_field(err, "usage", "output_tokens holds reasoning_tokens; it cannot be less");
	return 0;
}

/* ---- when ---- */

static int
read_time(struct rpc_request *req, int64_t *at_ms, struct error *err)
{
	int64_t now = clock_wall_ms();

	*at_ms = rpc_int(req, "at_ms", now);
	if (*at_ms > now + AHEAD_MAX_MS)
		return error_field(err, "at_ms", "at_ms is in the future");
	if (*at_ms > now)
		*at_ms = now;
	if (*at_ms < ledger_rows_from_ms(rpc_parts(req)->ledger))
		return error_field(err, "at_ms", "at_ms is before what the ledger keeps (mpc usage prune)");
	if (*at_ms < now - LATE_MAX_MS) {
		error_field(err, "at_ms", "at_ms is more than 400 days ago");
		return error_hint(err, "it counts milliseconds since 1970, not seconds"), err->code;
	}
	return 0;
}

/* ---- whose ---- */

static int
read_target(struct rpc_request *req, struct target *t, const struct provider **provider, struct error *err)
{
	const struct rpc_parts *parts = rpc_parts(req);
	char chain[65], *why = NULL;
	int r = routes_choose(parts->routes, rpc_str(req, "ref"), t, chain, &why, err);

	free(why);
	if (r != 0)
		return r;
	if (chain[0] != '\0')
		return error_field(err, "ref", "a chain answers nothing: name the target that did");
	*provider = providers_find(parts->providers, t->provider);
	return *provider != NULL ? 0 : error_set(err, MP_E_NOT_FOUND, "there is no provider %s", t->provider);
}

/* What was counted the first time is answered again. */
static void
recall(void *arg, const struct usage_row *row)
{
	struct usage *u = arg;

	*u = row->usage;
}

static struct rpc_answer
count(struct rpc_request *req, struct usage_row *row, struct error *err)
{
	const struct rpc_parts *parts = rpc_parts(req);
	char ref[400];
	struct pack *p;
	bool again;
	int r = ledger_report(parts->ledger, row, &again);

	if (r == MP_E_CONFLICT && again)
		return rpc_fail(req, r, "request_key was used for another call");
	if (r != 0) {
		error_set(err, r, "%s cannot be written; nothing was counted",
		    store_path(ledger_store(parts->ledger)));
		error_hint(err, "make room on that disk, then send it again");
		return rpc_fail_err(req, err);
	}
	if (again)
		ledger_rows(parts->ledger, row->id, row->id + 1, 1, recall, &row->usage);
	snprintf(ref, sizeof ref, "%s:%s", row->provider, row->model);
	p = rpc_result(req);
	pack_kv_int(p, "at_ms", row->id / 1000);
	pack_kv_str(p, "ref", ref);
	pack_kv_str(p, "cost_kind", cost_kind_name(row->usage.cost_kind));
	if (row->usage.cost_microusd >= 0)
		pack_kv_int(p, "cost_microusd", row->usage.cost_microusd);
	return rpc_ok(req);
}

/* As the texts of a row, which are never NULL. */
static const char *
text(const char *s, const char *otherwise)
{
	return s != NULL ? s : otherwise != NULL ? otherwise : "";
}

struct rpc_answer
rpc_usage_record(struct rpc_request *req)
{
	struct usage_row row = { .usage = USAGE_INIT };
	const struct provider *provider = NULL;
	struct error err = ERROR_INIT;
	struct rpc_answer a;
	struct target t;
	int64_t at_ms;

	target_init(&t);
	if (read_usage(rpc_param(req, "usage"), &row.usage, &err) != 0 || read_time(req, &at_ms, &err) != 0 ||
	    read_target(req, &t, &provider, &err) != 0) {
		a = rpc_fail_err(req, &err);
		goto out;
	}
	row.request_key = rpc_str(req, "request_key");
	row.request_hash = (int64_t)value_hash(rpc_params(req));
	row.id = at_ms * 1000;
	row.call = at_ms;
	row.attempt = 1;
	row.provider = t.provider;
	row.model = t.model;
	row.answered = row.label = row.chain = "";
	row.client = text(rpc_str(req, "client"), rpc_client(req));
	row.scope = text(rpc_str(req, "scope"), NULL);
	row.outcome = "done";
	row.duration_ms = rpc_int(req, "duration_ms", 0);
	if (row.duration_ms > DURATION_MAX_MS)
		row.duration_ms = DURATION_MAX_MS;
	row.first_token_ms = -1;
	record_price(rpc_parts(req)->prices, provider, &t, at_ms, &row.usage);
	a = count(req, &row, &err);
out:
	target_clear(&t);
	return a;
}

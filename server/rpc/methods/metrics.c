/* metrics.c - the daemon in figures, for programs that draw curves. */
#include "mpd_version.h"
#include "server/call/metrics.h"
#include "server/rpc/methods/memory.h"
#include "server/rpc/request.h"
#include "server/rpc/server.h"

#define TEXT_MAX ((size_t)12 << 20) /* a message holds it */

struct rpc_answer
rpc_metrics_get(struct rpc_request *req)
{
	const struct rpc_parts *parts = rpc_parts(req);
	const struct metrics_parts of = {
		.meters = parts->meters,
		.ledger = parts->ledger,
		.calls = parts->calls,
		.providers = parts->providers,
		.budgets = parts->budgets,
		.purses = parts->purses,
		.version = MPD_VERSION,
		.started_ms = parts->started_ms,
		.clients = (int64_t)parts->server->conn_count,
		.resident_bytes = resident_bytes(),
	};
	struct buf text;
	struct rpc_answer a;

	buf_init(&text, TEXT_MAX);
	metrics_write(&of, &text);
	if (text.failed) {
		a = rpc_fail(req, MP_E_TOO_LARGE, "there is more to say than fits a message");
	} else {
		pack_kv_str(rpc_result(req), "text", buf_str(&text));
		a = rpc_ok(req);
	}
	buf_clear(&text);
	return a;
}

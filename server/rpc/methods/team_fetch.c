/* team_fetch.c - a bundle from where it lies; what it says is for team.check and team.add. */
#include <stdlib.h>

#include "protocol/base/str.h"
#include "server/call/download.h"
#include "server/rpc/request.h"
#include "server/vault/envelope.h"

struct fetching {
	struct rpc_request *req;
	struct download *download;
};

static void
fetched(void *arg, struct slice body, const struct error *err)
{
	struct fetching *f = arg;

	if (err != NULL) {
		rpc_finish_error(f->req, err);
	} else {
		pack_kv_slice(rpc_result(f->req), "text", body);
		rpc_finish(f->req);
	}
	free(f);
}

static void
unwanted(void *arg)
{
	struct fetching *f = arg;

	download_cancel(f->download);
	free(f);
}

struct rpc_answer
rpc_team_fetch(struct rpc_request *req)
{
	const struct download_order order = { rpc_str(req, "url"), rpc_str(req, "ca_file"), NULL,
		rpc_bool(req, "local", false), ENVELOPE_MAX_BYTES };
	struct fetching *f = xcalloc(1, sizeof *f);
	struct error err = ERROR_INIT;

	f->req = req;
	f->download = download_start(rpc_parts(req)->upstream, &order, fetched, f, &err);
	if (f->download == NULL) {
		free(f);
		return rpc_fail_err(req, &err);
	}
	return rpc_pending(req, unwanted, f);
}

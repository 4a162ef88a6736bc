/* recognize.c - provider.recognize: what to write into a provider of this address. */
#include "server/call/recognize.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/rpc/request.h"

#define SHOWN_MAX 100 /* models; models_count tells of all */

struct recognizing {
	struct rpc_request *req;
	struct recognition *recognition;
	char *url;
};

static void
recognizing_free(struct recognizing *g)
{
	free(g->url);
	free(g);
}

static void
pack_recognized(struct pack *p, const struct recognized *r)
{
	pack_kv_str(p, "dialect", r->dialect);
	pack_kv_str(p, "base_url", r->base_url);
	pack_str(p, "features");
	pack_array_begin(p);
	if (r->feature != NULL)
		pack_str(p, r->feature);
	pack_array_end(p);
	pack_kv_bool(p, "wants_key", r->wants_key);
	pack_kv_int(p, "models_count", (int64_t)r->models->count);
	pack_str(p, "models");
	pack_array_begin(p);
	for (size_t i = 0; i < r->models->count && i < SHOWN_MAX; i++)
		pack_str(p, r->models->models[i].id);
	pack_array_end(p);
	pack_kv_str(p, "evidence", r->evidence);
}

/* Nothing that we know: did anybody answer at all? */
static void
not_recognized(const char *url, const struct failure *f, struct error *err)
{
	if (f == NULL) {
		error_set(err, MP_E_UPSTREAM, "what answers at %.160s speaks no language known here",
		    url);
		error_hint(err, "check the URL, or name the language yourself: --dialect openai-chat");
		return;
	}
	if (f->class == FAILURE_TIMEOUT)
		error_set(err, MP_E_TIMEOUT, "%.160s did not answer in time", url);
	else
		error_set(err, failure_error_code(f->class), "%.160s cannot be reached%s%.120s", url,
		    f->message[0] != '\0' ? ": " : "", f->message);
	error_hint(err, "is the server running there? otherwise check the URL");
}

static void
recognized(void *arg, const struct recognized *r)
{
	struct recognizing *g = arg;
	struct error err = ERROR_INIT;

	if (r->dialect != NULL) {
		pack_recognized(rpc_result(g->req), r);
		rpc_finish(g->req);
	} else {
		not_recognized(g->url, r->failure, &err);
		rpc_finish_error(g->req, &err);
	}
	recognizing_free(g);
}

static void
unwanted(void *arg)
{
	struct recognizing *g = arg;

	recognize_cancel(g->recognition);
	recognizing_free(g);
}

struct rpc_answer
rpc_provider_recognize(struct rpc_request *req)
{
	struct slice text = rpc_slice(req, "secret");
	const char *url = rpc_str(req, "base_url");
	struct error err = ERROR_INIT;
	struct secret *key = NULL;
	struct recognizing *g;

	if (text.len > 0 && !secret_text_valid(text.data, text.len)) {
		error_field(&err, "secret", "a key is 1 to %d printable ASCII characters without spaces",
		    SECRET_MAX_BYTES / 2);
		return rpc_fail_err(req, &err);
	}
	if (text.len > 0 && (key = secret_new(text.data, text.len)) == NULL)
		return rpc_fail(req, MP_E_INTERNAL, "no locked memory for the key");
	g = xcalloc(1, sizeof *g);
	g->req = req;
	g->url = xstrdup(url != NULL ? url : "");
	g->recognition = recognize_start(rpc_parts(req)->probes, g->url, key, recognized, g, &err);
	secret_free(key);
	if (g->recognition == NULL) {
		recognizing_free(g);
		return rpc_fail_err(req, &err);
	}
	return rpc_pending(req, unwanted, g);
}

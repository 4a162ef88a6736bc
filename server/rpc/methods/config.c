/* config.c - the configuration as one document: export, check, apply. */
#include <string.h>

#include "server/document/document.h"
#include "server/rpc/methods/effects.h"
#include "server/rpc/request.h"
#include "server/state/changes.h"

/* The names asked for, joined by blanks; false for one that cannot be a name. */
static bool
read_sections(const struct value *list, struct buf *out)
{
	for (size_t i = 0; i < value_size(list); i++) {
		struct slice name = value_slice(value_at(list, i));

		if (name.len == 0 || memchr(name.data, ' ', name.len) != NULL)
			return false;
		if (i > 0)
			buf_addc(out, ' ');
		buf_add(out, name.data, name.len);
	}
	return true;
}

struct rpc_answer
rpc_config_export(struct rpc_request *req)
{
	const struct document_parts parts = document_parts_of(req);
	struct buf text = BUF_INIT, only = BUF_INIT;
	struct error err = ERROR_INIT;
	struct rpc_answer a;
	struct pack *p;

	if (!read_sections(rpc_param(req, "sections"), &only))
		error_field(&err, "sections", "a section is one word");
	if (err.code == 0)
		document_export(&parts, only.len > 0 ? buf_str(&only) : NULL, rpc_bool(req, "comments", true),
		    &text, &err);
	if (err.code != 0) {
		a = rpc_fail_err(req, &err);
	} else {
		p = rpc_result(req);
		pack_kv_str(p, "text", buf_str(&text));
		pack_kv_int(p, "rev", changes_config_rev(parts.changes));
		a = rpc_ok(req);
	}
	buf_clear(&text);
	buf_clear(&only);
	return a;
}

/* ---- what a document does ---- */

struct rpc_answer
rpc_config_check(struct rpc_request *req)
{
	const struct document_parts parts = document_parts_of(req);
	struct slice text = rpc_slice(req, "text");
	struct document_result found = { .losses.count = 0 };
	struct error err = ERROR_INIT;
	struct rpc_answer a;
	struct pack *p;

	if (document_check(&parts, text.data, text.len, &found, &err) != 0) {
		a = rpc_fail_err(req, &err);
	} else {
		p = rpc_result(req);
		pack_kv_bool(p, "ok", found.problems.count == 0);
		pack_problems(p, &found.problems);
		pack_effects(p, &found);
		pack_kv_int(p, "rev", changes_config_rev(parts.changes));
		a = rpc_ok(req);
	}
	document_result_clear(&found);
	return a;
}

static struct rpc_answer
changed_meanwhile(struct rpc_request *req, int64_t rev)
{
	struct error err = ERROR_INIT;
	struct buf extra = BUF_INIT;
	struct rpc_answer a;
	struct pack p;

	error_set(&err, MP_E_PRECONDITION_FAILED,
	    "the configuration was changed meanwhile; nothing was changed now");
	error_hint(&err, "look at it again: mpc config check FILE");
	pack_init(&p, &extra);
	pack_kv_int(&p, "rev", rev);
	a = rpc_fail_data(req, &err, &extra, 1);
	buf_clear(&extra);
	return a;
}

struct rpc_answer
rpc_config_apply(struct rpc_request *req)
{
	const struct document_parts parts = document_parts_of(req);
	const struct document_cause cause = { "config.apply", rpc_client(req) };
	struct slice text = rpc_slice(req, "text");
	struct document_result done = { .losses.count = 0 };
	int64_t rev = changes_config_rev(parts.changes);
	struct error err = ERROR_INIT;
	struct rpc_answer a;
	struct pack *p;

	if (rpc_has(req, "if_rev") && rpc_int(req, "if_rev", -1) != rev)
		return changed_meanwhile(req, rev);
	if (document_apply(&parts, text.data, text.len, rpc_bool(req, "cascade", false), &cause, &done,
	    &err) != 0) {
		a = fail_effects(req, &done, &err);
	} else {
		p = rpc_result(req);
		pack_kv_bool(p, "changed", done.difference.count > 0);
		pack_effects(p, &done);
		a = rpc_ok(req);
	}
	document_result_clear(&done);
	return a;
}

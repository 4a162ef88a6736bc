/* config.c - the configuration as one document: export, check, apply. */
#include <string.h>

#include "server/document/document.h"
#include "server/rpc/request.h"
#include "server/state/changes.h"

#define DIFFERENCE_SHOWN 2000 /* a reply has at most 65 536 elements */

static struct document_parts
parts_of(const struct rpc_request *req)
{
	const struct rpc_parts *p = rpc_parts(req);

	return (struct document_parts){
		.changes = p->changes,
		.settings = p->settings,
		.providers = p->providers,
		.credentials = p->credentials,
		.models = p->models,
		.chains = p->chains,
		.overrides = p->overrides,
		.sessions = p->sessions,
	};
}

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
	const struct document_parts parts = parts_of(req);
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

static void
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

static void
pack_sentences(struct pack *p, const char *key, const struct sentences *s)
{
	pack_str(p, key);
	pack_array_begin(p);
	for (size_t i = 0; i < s->count; i++)
		pack_str(p, s->list[i]);
	pack_array_end(p);
}

static void
pack_effects(struct pack *p, const struct document_result *r)
{
	pack_difference(p, &r->difference);
	pack_sentences(p, "losses", &r->losses);
	pack_sentences(p, "notes", &r->notes);
}

struct rpc_answer
rpc_config_check(struct rpc_request *req)
{
	const struct document_parts parts = parts_of(req);
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
fail_apply(struct rpc_request *req, const struct document_result *found, const struct error *err)
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
	const struct document_parts parts = parts_of(req);
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
		a = fail_apply(req, &done, &err);
	} else {
		p = rpc_result(req);
		pack_kv_bool(p, "changed", done.difference.count > 0);
		pack_effects(p, &done);
		a = rpc_ok(req);
	}
	document_result_clear(&done);
	return a;
}

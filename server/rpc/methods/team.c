/* team.c - who we are in a team, and its bundles: sealing, looking, taking, removing. */
#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/document/bundle.h"
#include "server/rpc/methods/effects.h"
#include "server/rpc/objects.h"
#include "server/rpc/request.h"
#include "server/state/changes.h"

/* ---- who we are ---- */

struct rpc_answer
rpc_team_id(struct rpc_request *req)
{
	const struct rpc_parts *parts = rpc_parts(req);
	char id[TEAM_ID_BYTES], fingerprint[TEAM_FINGERPRINT_BYTES];
	struct error err = ERROR_INIT;
	struct team_member me;
	bool made = false;
	struct pack *p;
	int r;

	if (!team_me(parts->team, &me)) {
		made = true;
		if (changes_begin(parts->changes, &err) != 0)
			return rpc_fail_err(req, &err);
		r = team_make_me(parts->team, &err);
		if (rpc_change_end(req, r, &err) != 0)
			return rpc_fail_err(req, &err);
		team_me(parts->team, &me);
	}
	team_id_text(&me, id);
	team_fingerprint(me.sign, fingerprint);
	p = rpc_result(req);
	pack_kv_str(p, "id", id);
	pack_kv_str(p, "fingerprint", fingerprint);
	pack_kv_bool(p, "made", made);
	return rpc_ok(req);
}

/* ---- sealing ---- */

/* What an order borrows. */
struct order {
	struct bundle_order is;
	struct buf sections;
	struct team_member *members;
	struct bundle_key_order *keys;
};

static void
order_clear(struct order *o)
{
	for (size_t i = 0; i < o->is.key_count; i++) {
		free((char *)o->keys[i].provider);
		free((char *)o->keys[i].label);
	}
	free(o->keys);
	free(o->members);
	buf_clear(&o->sections);
}

static int
read_sections(struct order *o, const struct value *list, struct error *err)
{
	for (size_t i = 0; i < value_size(list); i++) {
		struct slice name = value_slice(value_at(list, i));

		if (name.len == 0 || memchr(name.data, ' ', name.len) != NULL)
			return error_field(err, "sections", "a section is one word");
		buf_addf(&o->sections, "%s%.*s", i > 0 ? " " : "", (int)name.len, name.data);
	}
	o->is.sections = o->sections.len > 0 ? buf_str(&o->sections) : NULL;
	return 0;
}

static int
read_members(struct order *o, const struct value *list, struct error *err)
{
	size_t n = value_size(list);

	o->members = xcalloc(n + 1, sizeof *o->members);
	o->is.members = o->members;
	for (size_t i = 0; i < n; i++) {
		struct slice text = value_slice(value_at(list, i));
		struct team_member *m = &o->members[o->is.member_count];
		bool again = false;

		if (team_id_parse(text.data, text.len, m) != 0) {
			error_field(err, "members", "\"%.*s\" is not the id of a member",
			    (int)(text.len < 110 ? text.len : 110), text.data);
			error_hint(err, "it is what mpc team id prints: one word that begins with team1-");
			return MP_E_INVALID_PARAMS;
		}
		for (size_t k = 0; k < o->is.member_count; k++)
			again = again || memcmp(o->members[k].sign, m->sign, TEAM_KEY_BYTES) == 0;
		o->is.member_count += !again;
	}
	return 0;
}

static int
read_keys(struct order *o, const struct value *list, struct error *err)
{
	size_t n = value_size(list);

	o->keys = xcalloc(n + 1, sizeof *o->keys);
	o->is.keys = o->keys;
	for (size_t i = 0; i < n; i++) {
		const struct value *provider = value_get(value_at(list, i), "provider");
		const struct value *label = value_get(value_at(list, i), "label");
		struct bundle_key_order *k = &o->keys[o->is.key_count++];

		k->provider = value_strdup(provider);
		k->label = label != NULL ? value_strdup(label) : xstrdup("default");
		if (k->provider == NULL || k->label == NULL || !name_valid(k->provider) ||
		    !name_valid(k->label))
			return error_field(err, "keys", "a key is {provider, label?}");
		for (size_t j = 0; j < i; j++)
			if (strcmp(o->keys[j].provider, k->provider) == 0 &&
			    strcmp(o->keys[j].label, k->label) == 0)
				return error_field(err, "keys", "the key of %s is there twice", k->provider);
	}
	return 0;
}

struct rpc_answer
rpc_team_seal(struct rpc_request *req)
{
	const struct document_parts parts = document_parts_of(req);
	const struct document_cause cause = { "team.seal", rpc_client(req) };
	struct bundle_made made = { .version = 0 };
	struct order o = { .is.team = rpc_str(req, "team") };
	char fingerprint[TEAM_FINGERPRINT_BYTES];
	struct error err = ERROR_INIT;
	struct team_member me;
	struct rpc_answer a;
	struct pack *p;

	if (read_sections(&o, rpc_param(req, "sections"), &err) != 0 ||
	    read_members(&o, rpc_param(req, "members"), &err) != 0 ||
	    read_keys(&o, rpc_param(req, "keys"), &err) != 0 ||
	    bundle_seal(&parts, &o.is, &cause, &made, &err) != 0) {
		a = rpc_fail_err(req, &err);
	} else {
		team_me(parts.team, &me);
		team_fingerprint(me.sign, fingerprint);
		p = rpc_result(req);
		pack_kv_slice(p, "text", (struct slice){ buf_str(&made.text), made.text.len });
		pack_kv_str(p, "team", o.is.team);
		pack_kv_int(p, "version", made.version);
		pack_kv_str(p, "signer", fingerprint);
		pack_kv_int(p, "members", (int64_t)o.is.member_count);
		pack_kv_int(p, "keys", (int64_t)o.is.key_count);
		pack_sentences(p, "notes", &made.notes);
		a = rpc_ok(req);
	}
	bundle_made_clear(&made);
	order_clear(&o);
	return a;
}

/* ---- looking and taking ---- */

static void
pack_taken(struct pack *p, const struct bundle_result *r)
{
	char fingerprint[TEAM_FINGERPRINT_BYTES];

	pack_kv_str(p, "team", r->team);
	if (r->version > 0)
		pack_kv_int(p, "version", r->version);
	if (r->held_version > 0)
		pack_kv_int(p, "held_version", r->held_version);
	if (r->is_signed) {
		team_fingerprint(r->signer, fingerprint);
		pack_kv_str(p, "signer", fingerprint);
		pack_kv_bool(p, "ours", r->is_ours);
	}
	pack_kv_int(p, "keys", (int64_t)r->keys);
	pack_effects(p, &r->what);
}

struct rpc_answer
rpc_team_check(struct rpc_request *req)
{
	const struct document_parts parts = document_parts_of(req);
	struct slice text = rpc_slice(req, "text");
	struct bundle_result found = { .team = NULL };
	struct error err = ERROR_INIT;
	struct rpc_answer a;
	struct pack *p;

	if (bundle_check(&parts, text.data, text.len, &found, &err) != 0) {
		a = rpc_fail_err(req, &err);
	} else {
		p = rpc_result(req);
		pack_kv_bool(p, "ok", found.what.problems.count == 0);
		pack_problems(p, &found.what.problems);
		pack_taken(p, &found);
		a = rpc_ok(req);
	}
	bundle_result_clear(&found);
	return a;
}

struct rpc_answer
rpc_team_add(struct rpc_request *req)
{
	const struct document_parts parts = document_parts_of(req);
	const struct document_cause cause = { "team.add", rpc_client(req) };
	const struct bundle_consent consent = { rpc_str(req, "signer"), rpc_bool(req, "cascade", false) };
	const struct bundle_source from = { rpc_str(req, "source"), rpc_str(req, "ca_file"),
		rpc_bool(req, "local", false) };
	struct slice text = rpc_slice(req, "text");
	struct bundle_result done = { .team = NULL };
	struct error err = ERROR_INIT;
	struct rpc_answer a;

	if (bundle_add(&parts, text.data, text.len, &consent, &from, &cause, &done, &err) != 0) {
		a = fail_effects(req, &done.what, &err);
	} else {
		pack_taken(rpc_result(req), &done);
		a = rpc_ok(req);
	}
	bundle_result_clear(&done);
	return a;
}

struct rpc_answer
rpc_team_remove(struct rpc_request *req)
{
	const struct document_parts parts = document_parts_of(req);
	const struct document_cause cause = { "team.remove", rpc_client(req) };
	bool only_try = rpc_bool(req, "try", false);
	struct bundle_result done = { .team = NULL };
	struct error err = ERROR_INIT;
	struct rpc_answer a;
	struct pack *p;

	if (bundle_remove(&parts, rpc_str(req, "team"), only_try, rpc_bool(req, "cascade", false),
	    &cause, &done,
	    &err) != 0) {
		a = fail_effects(req, &done.what, &err);
	} else {
		p = rpc_result(req);
		pack_kv_bool(p, "removed", !only_try);
		pack_effects(p, &done.what);
		a = rpc_ok(req);
	}
	bundle_result_clear(&done);
	return a;
}

struct rpc_answer
rpc_team_show(struct rpc_request *req)
{
	const struct rpc_parts *parts = rpc_parts(req);
	const char *team = rpc_str(req, "team");
	const struct bundle_held *h = team != NULL ? team_find(parts->team, team) : NULL;
	struct error err = ERROR_INIT;
	struct pack *p;

	if (team != NULL && h == NULL) {
		error_set(&err, MP_E_NOT_FOUND, "there is no bundle of a team \"%.80s\"", team);
		return rpc_fail_err(req, &err);
	}
	p = rpc_result(req);
	pack_str(p, "bundles");
	if (h == NULL) {
		pack_bundles(p, parts);
		return rpc_ok(req);
	}
	pack_array_begin(p);
	pack_bundle(p, parts, h);
	pack_array_end(p);
	pack_kv_slice(p, "content", h->content);
	return rpc_ok(req);
}

/* status and which: what is active, and why. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/app.h"
#include "client/cmd/cmd.h"
#include "client/link.h"
#include "client/out.h"
#include "client/route.h"
#include "client/scope.h"
#include "client/term.h"
#include "mpd_version.h"
#include "protocol/base/json.h"

enum { ASK_OVERRIDES, ASK_INFO, ASK_ROUTE, ASK_TODAY, ASK_COUNT };

/* What the replies, which live only for a moment, leave behind. */
struct status {
	struct app *a;
	struct buf route, overrides, today, budgets, daemon; /* rendered */
	char active_ref[512];
	char *terminal, *project;
	char *scope;   /* ours that has an override; NULL = none */
	bool fresh;    /* nothing was ever chosen */
	size_t scoped; /* overrides in other scopes than the global one */
	struct error err;
};

/* The left column is the colour's only place: all of it is words as well. */
static void
add_line(struct status *s, struct buf *out, const char *label, const char *value, const char *rest)
{
	buf_addf(out, "%s%-8s%s%s%s%s", sgr_out(s->a, "1"), label, sgr_out(s->a, "0"),
	    sgr_out(s->a, "32"), value, sgr_out(s->a, "0"));
	if (*rest != '\0')
		buf_addf(
		    out, "%*s%s", strlen(value) < 29 ? (int)(29 - strlen(value)) : 2, "", rest);
	buf_addc(out, '\n');
}

/* What is asked when the active target fails. */
static void
render_chain(struct status *s, const struct value *chain)
{
	const char *name = app_member(s->a, chain, "name");
	const char *targets = route_chain(s->a, value_get(chain, "targets"));

	if (s->a->form == FORM_PLAIN)
		buf_addf(&s->route, "chain\t%s\t%s\n", name, targets);
	else
		buf_addf(&s->route, "%schain%s   @%s: %s\n", sgr_out(s->a, "1"), sgr_out(s->a, "0"), name,
		    targets);
}

static void
render_route(struct status *s, const struct value *result)
{
	const struct value *active = value_get(result, "active"), *chain;
	struct slice ref = value_slice(value_get(active, "ref"));

	s->fresh = value_equals(value_get(active, "kind"), "default");
	buf_reset(&s->route, 0);
	snprintf(s->active_ref, sizeof(s->active_ref), "%.*s", (int)ref.len,
	    ref.data != NULL ? ref.data : "");
	if (s->a->form == FORM_PLAIN)
		buf_addf(&s->route, "active\t%s\t%s\t%s\t%s\n", app_member(s->a, active, "ref"),
		    app_member(s->a, active, "nick"), app_member(s->a, active, "kind"),
		    app_member(s->a, active, "scope"));
	else
		add_line(s, &s->route, "active", route_name(s->a, active),
		    route_why(s->a, active, value_get(result, "why"), term_wall_ms()));
	if ((chain = value_get(result, "chain")) != NULL)
		render_chain(s, chain);
	if (s->a->form == FORM_TEXT && value_get(result, "problem") != NULL)
		buf_addf(&s->route, "%sproblem%s %s\n", sgr_out(s->a, "31"), sgr_out(s->a, "0"),
		    route_problem(s->a, value_get(result, "problem")));
}

static void
render_overrides(struct status *s, const struct value *list)
{
	const char *own[] = {scope_environment(), s->terminal, s->project};

	for (size_t i = 0; i < value_size(list); i++) {
		const struct value *o = value_at(list, i);
		struct slice scope = value_slice(value_get(o, "scope"));

		if (s->a->form == FORM_PLAIN)
			buf_addf(&s->overrides, "override\t%s\t%s\t%s\n",
			    app_member(s->a, o, "ref"), app_member(s->a, o, "kind"),
			    app_member(s->a, o, "scope"));
		if (scope.len == 0 || scope_terminal_gone(scope))
			continue;
		s->scoped++;
		for (size_t k = 0; k < 3 && s->scope == NULL; k++)
			if (own[k] != NULL && slice_eq(scope, own[k]))
				s->scope = xstrdup(own[k]);
		if (s->a->form == FORM_TEXT)
			add_line(s, &s->overrides, "scope", route_name(s->a, o),
			    route_why(s->a, o, NULL, term_wall_ms()));
	}
}

/* Every budget of everything, and others from four fifths on. */
static void
render_budgets(struct status *s, const struct value *list)
{
	for (size_t i = 0; i < value_size(list); i++) {
		const struct value *b = value_at(list, i);
		int64_t used = value_int(value_get(b, "used_permille"), 0);

		if (s->a->form == FORM_TEXT && (used >= 800 || value_size(value_get(b, "for")) == 0))
			buf_addf(&s->budgets, "%sbudget%s  %s%s%s%s\n", sgr_out(s->a, "1"),
			    sgr_out(s->a, "0"), sgr_out(s->a, used >= 1000 ? "31" : used >= 800 ? "33" : ""),
			    budget_line(s->a, b), used >= 1000 ? ", used up" : "", sgr_out(s->a, "0"));
	}
}

static void
render_snapshot(struct status *s, const struct value *snapshot)
{
	render_overrides(s, value_get(snapshot, "overrides"));
	render_budgets(s, value_get(snapshot, "budget"));
}

static void
render_today(struct status *s, const struct value *result)
{
	const struct value *total = value_get(result, "total");
	int64_t requests = value_int(value_get(total, "requests"), 0);

	if (s->a->form == FORM_PLAIN)
		buf_addf(&s->today, "today\t%lld\t%lld\t%lld\t%lld\n", (long long)requests,
		    (long long)value_int(value_get(total, "input_tokens"), 0),
		    (long long)value_int(value_get(total, "output_tokens"), 0),
		    (long long)value_int(value_get(total, "cost_microusd"), 0));
	else if (requests > 0)
		buf_addf(&s->today, "%stoday%s   %s\n", sgr_out(s->a, "1"), sgr_out(s->a, "0"),
		    usage_today(s->a, total));
}

static void
render_daemon(struct status *s, const struct value *info)
{
	int64_t up = value_int(value_get(info, "uptime_ms"), 0);
	int64_t clients = value_int(value_get(info, "clients"), 0);
	const char *version = app_member(s->a, info, "version");
	char span[32];

	duration_format(up, span, sizeof(span));
	if (s->a->form == FORM_PLAIN)
		buf_addf(&s->daemon, "daemon\t%s\t%lld\t%lld\n", version, (long long)up,
		    (long long)clients);
	else
		buf_addf(&s->daemon, "%sdaemon%s  %s, up %s, %lld client%s%s\n", sgr_out(s->a, "1"),
		    sgr_out(s->a, "0"), version, span, (long long)clients, clients == 1 ? "" : "s",
		    s->a->vault_locked ? ", keys locked (mpc unlock)" : "");
	if (s->a->form == FORM_TEXT && *version != '\0' && strcmp(version, MPD_VERSION) != 0)
		note(s->a, "the daemon is %s, this client %s: mpc daemon restart", version,
		    MPD_VERSION);
}

static void
on_reply(void *arg, size_t i, const struct value *result, const struct error *err)
{
	struct status *s = arg;

	/* an older daemon does not count */
	if (err != NULL && (i != ASK_TODAY || err->code != MP_E_UNKNOWN_METHOD))
		s->err = *err;
	else if (i == ASK_TODAY)
		render_today(s, result);
	else if (i == ASK_OVERRIDES)
		render_snapshot(s, value_get(result, "snapshot"));
	else if (i == ASK_INFO)
		render_daemon(s, result);
	else
		render_route(s, result);
}

static void
write_topics(struct pack *p, const char *const *topics, size_t n)
{
	pack_str(p, "topics");
	pack_array_begin(p);
	for (size_t i = 0; i < n; i++)
		pack_str(p, topics[i]);
	pack_array_end(p);
}

/* One write and one read for all of it: nobody waits for a status line. */
static int
ask(struct status *s)
{
	static const char *const topics[] = {"overrides", "budget"};
	uint32_t ids[ASK_COUNT];
	struct pack *p = link_begin(s->a, "state.get");
	int r;

	write_topics(p, topics, 2);
	if ((r = link_send(s->a, &ids[ASK_OVERRIDES], &s->err)) != 0)
		return r;
	link_begin(s->a, "sys.info");
	if ((r = link_send(s->a, &ids[ASK_INFO], &s->err)) != 0)
		return r;
	link_begin(s->a, "route.get");
	if ((r = link_send(s->a, &ids[ASK_ROUTE], &s->err)) != 0)
		return r;
	pack_kv_int(link_begin(s->a, "usage.query"), "since_ms", usage_midnight_ms());
	if ((r = link_send(s->a, &ids[ASK_TODAY], &s->err)) != 0)
		return r;
	if ((r = link_gather(s->a, ids, ASK_COUNT, on_reply, s, &s->err)) != 0)
		return r;
	return s->err.code;
}

/* Only when this terminal or project has a choice of its own: the route as seen from here. */
static int
ask_scoped(struct status *s)
{
	const struct value *result;
	struct pack *p = link_begin(s->a, "route.get");
	int r;

	pack_kv_str(p, "scope", s->scope);
	if ((r = link_try(s->a, &result, &s->err)) == 0)
		render_route(s, result);
	return r;
}

static int
status_json(struct app *a)
{
	static const char *const topics[] = {"route", "overrides", "daemon"};
	const struct value *result;
	int r;

	if ((r = link_find_scope(a)) != 0)
		return r;
	write_topics(link_begin(a, "state.get"), topics, 3);
	if ((r = link_end(a, &result)) == 0)
		out_json(a, result);
	return r;
}

int
cmd_status(struct app *a)
{
	struct status s = {.a = a, .err = ERROR_INIT};
	int r;

	if ((r = no_more_words(a, 0)) != 0)
		return r;
	if (a->form == FORM_JSON)
		return status_json(a);
	if ((r = link_open(a)) != 0)
		return r;
	if (scope_environment() == NULL) {
		s.terminal = scope_terminal();
		s.project = scope_project(NULL);
	}
	r = ask(&s);
	if (r == 0 && s.scope != NULL)
		r = ask_scoped(&s);
	if (r == 0) {
		fwrite(buf_str(&s.route), 1, s.route.len, stdout);
		if (a->form == FORM_PLAIN || s.scoped > (s.scope != NULL ? 1u : 0u) || a->verbose)
			fwrite(buf_str(&s.overrides), 1, s.overrides.len, stdout);
		fwrite(buf_str(&s.today), 1, s.today.len, stdout);
		fwrite(buf_str(&s.budgets), 1, s.budgets.len, stdout);
		fwrite(buf_str(&s.daemon), 1, s.daemon.len, stdout);
		if (s.fresh)
			key_offer_import(a);
	} else {
		r = link_fail(a, &s.err);
	}
	buf_clear(&s.route);
	buf_clear(&s.overrides);
	buf_clear(&s.today);
	buf_clear(&s.budgets);
	buf_clear(&s.daemon);
	free(s.terminal);
	free(s.project);
	free(s.scope);
	return r;
}

/* The targets of the route in their order, each with the reason when it is passed over. */
static void
print_chain(struct app *a, const struct value *chain, int64_t position)
{
	const struct value *list = value_get(chain, "targets");

	if (a->form == FORM_TEXT && chain != NULL)
		printf("chain @%s%s\n", app_member(a, chain, "name"),
		    value_bool(value_get(chain, "behind"), false) ? ", behind the choice" : "");
	for (size_t i = 0; i < value_size(list); i++) {
		const struct value *t = value_at(list, i);
		const char *ref = app_member(a, t, "ref"), *why = app_member(a, t, "message");
		bool now = (int64_t)i + 1 == position;

		if (a->form == FORM_PLAIN)
			printf("%s\tchain\t%s\t%s\t%s\n",
			    now ? "active" : *why != '\0' ? "passed" : "set",
			    app_member(a, chain, "name"), ref, why);
		else
			printf("%s %s%zu  %s%s%s%s\n", now ? glyph_active(a) : " ",
			    now ? sgr_out(a, "1") : "", i + 1, ref, now ? sgr_out(a, "0") : "",
			    *why != '\0' ? ", passed over: " : "", why);
	}
}

/* The keys that share the calls of the target in force, and which of them cannot serve now. */
static void
print_keys(struct app *a, const struct value *keys, int64_t now)
{
	const struct value *list = value_get(keys, "of");

	if (a->form == FORM_TEXT && keys != NULL)
		printf("keys share the calls, %s: a conversation stays with one that can serve\n",
		    value_equals(value_get(keys, "sharing"), "weighted")
			? "by weight"
			: "the least loaded first");
	for (size_t i = 0; i < value_size(list); i++) {
		const struct value *k = value_at(list, i);
		const char *label = app_member(a, k, "label");
		bool ready = value_bool(value_get(k, "ready"), false);
		long long weight = (long long)value_int(value_get(k, "weight"), 1);
		int64_t until = value_int(value_get(k, "until_ms"), 0);

		if (a->form == FORM_PLAIN)
			printf("%s\tkey\t%s\t%lld\t%lld\n", ready ? "set" : "passed", label, weight,
			    (long long)until);
		else
			printf("  %s  weight %lld%s%s\n", label, weight, ready ? "" : ", cannot serve now",
			    until > 0 ? app_format(a, ", %s", out_left(a, until, now)) : "");
	}
}

static void
print_layer(struct app *a, const struct value *layer, int64_t now)
{
	bool won = value_bool(value_get(layer, "won"), false);
	bool set = value_size(value_get(layer, "ref")) > 0;
	int64_t since = value_int(value_get(layer, "since_ms"), 0);
	int64_t expires = value_int(value_get(layer, "expires_ms"), 0);

	if (a->form == FORM_PLAIN) {
		printf("%s\t%s\t%s\t%s\t%lld\t%lld\n",
		    won   ? "active"
		    : set ? "set"
			  : "",
		    app_member(a, layer, "kind"), app_member(a, layer, "scope"),
		    app_member(a, layer, "ref"), (long long)since, (long long)expires);
		return;
	}
	printf("%s %s%-30s %s%s", won ? glyph_active(a) : " ", won ? sgr_out(a, "1") : "",
	    route_layer_name(a, layer), set ? app_member(a, layer, "ref") : glyph_dash(a),
	    won ? sgr_out(a, "0") : "");
	if (since > 0)
		printf(", %s", out_since(a, since, now));
	if (expires > 0)
		printf(", %s", out_left(a, expires, now));
	if (won)
		printf("  (active)");
	putchar('\n');
}

int
cmd_which(struct app *a)
{
	const char *scope = args_value(&a->args, "scope"), *ref = args_word(&a->args, 0);
	const struct value *result, *active, *why;
	struct pack *p;
	int r;

	if ((r = no_more_words(a, 1)) != 0)
		return r;
	if ((r = scope != NULL ? link_open(a) : link_find_scope(a)) != 0)
		return r;
	p = link_begin(a, "route.get");
	pack_kv_str(p, "ref", ref);
	pack_kv_str(p, "scope", scope);
	if ((r = link_end(a, &result)) != 0)
		return r;
	if (a->form == FORM_JSON) {
		out_json(a, result);
		return 0;
	}
	active = value_get(result, "active");
	why = value_get(result, "why");
	if (a->form == FORM_TEXT)
		printf("%s%s%s  %s\n", sgr_out(a, "32"), route_name(a, active), sgr_out(a, "0"),
		    route_why(a, active, why, term_wall_ms()));
	for (size_t i = 0; i < value_size(why); i++)
		print_layer(a, value_at(why, i), term_wall_ms());
	print_chain(a, value_get(result, "chain"), value_int(value_get(active, "position"), 0));
	print_keys(a, value_get(result, "keys"), term_wall_ms());
	return 0;
}

#include "client/route.h"

#include "client/app.h"
#include "client/out.h"
#include "client/scope.h"
#include "client/term.h"

const char *
route_name(struct app *a, const struct value *route)
{
	const char *ref = app_member(a, route, "ref"), *nick = app_member(a, route, "nick");

	const char *chain = app_member(a, route, "chain");

	if (*ref == '\0')
		return glyph_dash(a);
	if (*chain != '\0' && !value_bool(value_get(route, "behind"), false))
		return app_format(a, "@%s, now %s", chain, ref);
	return *nick != '\0' ? app_format(a, "%s (%s)", ref, nick) : ref;
}

const char *
route_chain(struct app *a, const struct value *targets)
{
	const char *all = "";

	for (size_t i = 0; i < value_size(targets); i++) {
		const struct value *t = value_at(targets, i);
		const char *name = app_member(a, t, "nick");
		bool passed = value_get(t, "code") != NULL;

		if (*name == '\0')
			name = app_member(a, t, "ref");
		if (i > 0)
			all = app_format(a, "%s %s ", all, glyph_arrow(a));
		all = app_format(a, passed ? "%s(%s)" : "%s%s", all, name);
	}
	return all;
}

const struct value *
route_next(const struct value *why)
{
	bool below = false;

	for (size_t i = 0; i < value_size(why); i++) {
		const struct value *layer = value_at(why, i);

		if (below && value_size(value_get(layer, "ref")) > 0)
			return layer;
		below = below || value_bool(value_get(layer, "won"), false);
	}
	return NULL;
}

const char *
route_layer_name(struct app *a, const struct value *layer)
{
	const struct value *kind = value_get(layer, "kind");
	const char *where = out_scope(a, value_slice(value_get(layer, "scope")));

	if (value_equals(kind, "request"))
		return "asked for";
	if (value_equals(kind, "default"))
		return "built-in default";
	if (value_equals(value_get(layer, "layer"), "activated-session"))
		return "test session, everywhere";
	if (value_equals(kind, "session"))
		return "test session of the request";
	if (value_equals(kind, "temporary"))
		return app_format(a, "temporary, %s", where);
	if (value_equals(kind, "persistent"))
		return app_format(a, "persistent, %s", where);
	return app_format(a, "%s, %s", app_text(a, kind), where);
}

const char *
route_why(struct app *a, const struct value *route, const struct value *why, int64_t now_ms)
{
	const struct value *kind = value_get(route, "kind");
	int64_t since = value_int(value_get(route, "since_ms"), 0);
	int64_t expires = value_int(value_get(route, "expires_ms"), 0);
	const char *where = out_scope(a, value_slice(value_get(route, "scope")));
	const struct value *next = route_next(why);
	const char *text;

	if (value_equals(kind, "default"))
		return "default; nothing was chosen yet: mpc switch REF";
	if (value_equals(kind, "request"))
		return "as asked for";
	if (value_equals(kind, "session")) {
		text = app_format(a, "test, %s", out_left(a, expires, now_ms));
		if (next != NULL)
			text = app_format(a, "%s %s %s", text, glyph_arrow(a), app_member(a, next, "ref"));
		return text;
	}
	if (!value_equals(kind, "temporary") ||
	    (expires == 0 && scope_is_terminal(value_slice(value_get(route, "scope")))))
		return since > 0 ? app_format(a, "chosen %s, %s", where, out_since(a, since, now_ms))
				 : app_format(a, "chosen %s", where);
	text = expires > 0 ? app_format(a, "temporary %s, %s", where, out_left(a, expires, now_ms))
			   : app_format(a, "temporary %s, until cleared or reboot", where);
	if (next != NULL)
		text = app_format(a, "%s %s %s", text, glyph_arrow(a), app_member(a, next, "ref"));
	return text;
}

const char *
route_problem(struct app *a, const struct value *problem)
{
	const char *hint = app_member(a, problem, "hint"),
		   *what = app_member(a, problem, "message");

	return *hint != '\0' ? app_format(a, "%s (%s)", what, hint) : what;
}

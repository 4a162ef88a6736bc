#include "client/event.h"

#include <string.h>

#include "client/app.h"
#include "client/cmd/cmd.h"
#include "client/out.h"
#include "client/route.h"

/* "test 3 of openrouter:gpt-4 ended (expired), 12 requests" */
static const char *
test_words(struct app *a, const struct value *s, const char *op)
{
	const char *name = app_format(a, "test %lld of %s",
	    (long long)value_int(value_get(s, "id"), 0), app_member(a, s, "ref"));

	if (value_equals(value_get(s, "state"), "ended"))
		return app_format(a, "%s ended (%s), %lld requests", name,
		    app_member(a, s, "ended_why"),
		    (long long)value_int(value_get(s, "requests"), 0));
	return app_format(a, "%s %s, %s left", name,
	    strcmp(op, "add") == 0                         ? "started"
	    : value_bool(value_get(s, "activated"), false) ? "active"
							   : "open",
	    out_span(a, value_int(value_get(s, "left_ms"), 0)));
}

const char *
event_words(struct app *a, const struct value *e)
{
	const struct value *value = value_get(e, "value"), *cause = value_get(e, "cause");
	const char *topic = app_member(a, e, "topic"), *op = app_member(a, e, "op"),
		   *key = app_member(a, e, "key");
	const char *what, *by = app_member(a, cause, "method"),
			  *who = app_member(a, cause, "client");

	if (*by == '\0')
		by = app_member(a, cause, "reason");
	if (strcmp(topic, "sessions") == 0)
		what = test_words(a, value, op);
	else if (strcmp(topic, "route") == 0)
		what = route_name(a, value);
	else if (strcmp(topic, "usage") == 0)
		what = app_format(a, "today %s", usage_today(a, value_get(value, "total")));
	else if (*app_member(a, value, "state") != '\0')
		what = app_member(a, value, "state");
	else if (*app_member(a, value, "ref") != '\0')
		what = app_format(
		    a, "%s%s%s %s", op, *key != '\0' ? " " : "", key, app_member(a, value, "ref"));
	else
		what = app_format(a, "%s %s%s%s", op, key,
		    *app_member(a, value, "status") != '\0' ? " " : "",
		    app_member(a, value, "status"));
	if (*by == '\0')
		return app_format(a, "%-10s %s", topic, what);
	return app_format(
	    a, "%-10s %s  (%s%s%s)", topic, what, by, *who != '\0' ? " by " : "", who);
}

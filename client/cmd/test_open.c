/* test_open: test sessions that are open: list, stop, extend, activate, keep. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/app.h"
#include "client/cmd/cmd.h"
#include "client/cmd/test.h"
#include "client/entry.h"
#include "client/link.h"
#include "client/out.h"
#include "client/route.h"
#include "client/term.h"

/* ---- list ---- */

static void
add_row(struct app *a, struct table *t, const struct value *s)
{
	bool active = value_bool(value_get(s, "activated"), false);
	bool own = value_bool(value_get(s, "has_key"), false);
	const char *label = app_member(a, s, "label"); /* of a stored one */
	int64_t left = value_int(value_get(s, "left_ms"), 0);
	int64_t cost = value_int(value_get(s, "cost_microusd"), -1);

	table_cell(t, active ? glyph_active(a) : " ", active ? "active" : "", active ? "32" : NULL);
	table_cell(t, app_format(a, "%lld", (long long)value_int(value_get(s, "id"), 0)), NULL, NULL);
	table_cell(t, app_member(a, s, "ref"), NULL, active ? "1" : NULL);
	table_cell(t,
	    value_bool(value_get(s, "minted"), false) ? "minted"
	    : own                                     ? "temporary"
	    : *label != '\0'                          ? label
						      : NULL,
	    NULL, NULL);
	table_cell(t, out_span(a, left), app_format(a, "%lld", (long long)left), NULL);
	table_cell(t, app_format(a, "%lld", (long long)value_int(value_get(s, "requests"), 0)), NULL,
	    NULL);
	table_cell(t, cost >= 0 ? out_money(a, cost) : NULL,
	    cost >= 0 ? app_format(a, "%lld", (long long)cost) : "", NULL);
}

/* Keys at a provider that nobody has deleted there yet. */
static void
note_minted(struct app *a, const struct value *list)
{
	for (size_t i = 0; i < value_size(list); i++) {
		const struct value *k = value_at(list, i);
		const char *code = app_member(a, k, "code");

		note(a, "the key \"%s\" waits to be deleted at %s%s%s; it ends there %s",
		    app_member(a, k, "name"), app_member(a, k, "provider"),
		    *code != '\0' ? ", last try: " : "", code,
		    out_until(a, value_int(value_get(k, "expires_ms"), 0)) + sizeof("until ") - 1);
	}
}

int
test_list(struct app *a)
{
	static const struct column columns[] = {{"", COLUMN_FIXED}, {"ID", COLUMN_NUMBER},
	    {"TARGET", COLUMN_TEXT}, {"KEY", COLUMN_FIXED}, {"LEFT", COLUMN_NUMBER},
	    {"REQUESTS", COLUMN_NUMBER}, {"COST", COLUMN_NUMBER}};
	const struct value *result, *list;
	struct table *t;
	int r;

	if ((r = no_more_words(a, 1)) != 0 || (r = link_open(a)) != 0)
		return r;
	link_begin(a, "session.list");
	if ((r = link_end(a, &result)) != 0)
		return r;
	if (a->form == FORM_JSON) {
		out_json(a, result);
		return 0;
	}
	list = value_get(result, "sessions");
	if (a->form == FORM_TEXT)
		note_minted(a, value_get(result, "minted"));
	if (a->form == FORM_TEXT && value_size(list) == 0) {
		note(a, "no test session is open; mpc test PROVIDER MODEL");
		return 0;
	}
	t = table_new(a, columns, sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < value_size(list); i++)
		add_row(a, t, value_at(list, i));
	table_print(t);
	return 0;
}

/* ---- the others ---- */

/* The id at that word; 0 = none there. 0 or an exit code. */
static int
read_id(struct app *a, size_t at, int64_t *id)
{
	const char *text = args_word(&a->args, at);
	char *end;

	*id = 0;
	if (text == NULL)
		return 0;
	errno = 0;
	*id = strtoll(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || *id < 1)
		return fail_usage(a, "\"%.40s\" is no id of a test session (mpc test list)", text);
	return 0;
}

static struct pack *
begin(struct app *a, const char *method, int64_t id)
{
	struct pack *p = link_begin(a, method);

	if (id > 0)
		pack_kv_int(p, "id", id);
	return p;
}

/* JSON and plain of what changes the route; false: text is wanted. */
static bool
print_formal(struct app *a, const struct value *result)
{
	if (a->form == FORM_JSON)
		out_json(a, result);
	else if (a->form == FORM_PLAIN)
		printf("%s\t%s\n", app_member(a, value_get(result, "active"), "ref"),
		    app_member(a, value_get(result, "previous"), "ref"));
	return a->form != FORM_TEXT;
}

/* "12 requests, $0.03" */
static const char *
used_words(struct app *a, const struct value *session)
{
	int64_t n = value_int(value_get(session, "requests"), 0);
	int64_t cost = value_int(value_get(session, "cost_microusd"), -1);

	return app_format(a, "%lld request%s%s%s", (long long)n, n == 1 ? "" : "s",
	    cost >= 0 ? ", " : "", cost >= 0 ? out_money(a, cost) : "");
}

int
test_stop(struct app *a)
{
	const struct value *result, *session, *active;
	int64_t id;
	int r;

	if ((r = no_more_words(a, 2)) != 0 || (r = read_id(a, 1, &id)) != 0 || (r = link_open(a)) != 0)
		return r;
	begin(a, "session.stop", id);
	if ((r = link_end(a, &result)) != 0)
		return r;
	if (print_formal(a, result))
		return 0;
	session = value_get(result, "session");
	active = value_get(result, "active");
	printf("Ended test session %lld of %s (%s).\n", (long long)value_int(value_get(session, "id"), 0),
	    app_member(a, session, "ref"), used_words(a, session));
	if (value_equals(value_get(value_get(result, "previous"), "kind"), "session"))
		printf("Back to %s (%s).\n", route_name(a, active),
		    route_why(a, active, NULL, term_wall_ms()));
	return 0;
}

int
test_extend(struct app *a)
{
	const char *span = args_word(&a->args, a->args.word_count > 2 ? 2 : 1);
	const struct value *result;
	int64_t id = 0, ms = 0;
	int r;

	if (span == NULL)
		return fail_usage(a, "test extend needs a time");
	if ((r = no_more_words(a, 3)) != 0 || (r = read_duration(a, span, &ms)) != 0 ||
	    (a->args.word_count > 2 && (r = read_id(a, 1, &id)) != 0) || (r = link_open(a)) != 0)
		return r;
	pack_kv_int(begin(a, "session.extend", id), "duration_ms", ms);
	if ((r = link_end(a, &result)) != 0)
		return r;
	if (a->form == FORM_JSON)
		out_json(a, result);
	else if (a->form == FORM_PLAIN)
		printf("%lld\t%s\t%lld\n", (long long)value_int(value_get(result, "id"), 0),
		    app_member(a, result, "ref"),
		    (long long)value_int(value_get(result, "expires_ms"), 0));
	else
		printf("Testing %s %s (%s left).\n", app_member(a, result, "ref"),
		    out_until(a, value_int(value_get(result, "expires_ms"), 0)),
		    out_span(a, value_int(value_get(result, "left_ms"), 0)));
	return 0;
}

int
test_activate(struct app *a)
{
	const struct value *result, *session;
	int64_t id;
	int r;

	if (args_word(&a->args, 1) == NULL)
		return fail_usage(a, "test activate needs an id (mpc test list)");
	if ((r = no_more_words(a, 2)) != 0 || (r = read_id(a, 1, &id)) != 0 || (r = link_open(a)) != 0)
		return r;
	begin(a, "session.activate", id);
	if ((r = link_end(a, &result)) != 0)
		return r;
	if (print_formal(a, result))
		return 0;
	session = value_get(result, "session");
	switch_note_deactivated(a, value_get(result, "deactivated"));
	switch_note_keeping(a, value_get(result, "keeping"));
	return test_print_active(
	    a, app_member(a, session, "ref"), value_int(value_get(session, "expires_ms"), 0));
}

/* ---- keep ---- */

static int
try_keep(struct app *a, int64_t id, bool replace, const struct value **result, struct error *err)
{
	struct pack *p = begin(a, "session.keep", id);

	pack_kv_str(p, "label", args_value(&a->args, "label"));
	if (replace)
		pack_kv_bool(p, "replace", true);
	return link_try(a, result, err);
}

static void
print_kept(struct app *a, const struct value *result)
{
	const struct value *session = value_get(result, "session"), *key = value_get(result, "key");
	const char *ref = app_member(a, session, "ref"), *label = app_member(a, key, "label");
	const struct value *active = value_get(result, "active");

	printf("Kept %s", ref);
	if (key != NULL)
		printf("; its key is stored%s%s (fingerprint %s)",
		    strcmp(label, "default") != 0 ? " as " : "",
		    strcmp(label, "default") != 0 ? label : "", app_member(a, key, "fingerprint"));
	puts(".");
	if (value_equals(value_get(value_get(result, "previous"), "kind"), "session"))
		printf("Now using %s everywhere.\n", route_name(a, active));
	else
		printf("Still using %s; to use it: mpc switch %s\n", route_name(a, active), ref);
	switch_note_keeping(a, value_get(result, "keeping"));
}

int
test_keep(struct app *a)
{
	const char *label = args_value(&a->args, "label");
	struct error err = ERROR_INIT;
	const struct value *result;
	int64_t id;
	int r;

	if (label != NULL && entry_looks_like_key(label))
		return key_refuse_argument(a);
	if ((r = no_more_words(a, 2)) != 0 || (r = read_id(a, 1, &id)) != 0 || (r = link_open(a)) != 0)
		return r;
	r = try_keep(a, id, a->yes, &result, &err);
	if (r == MP_E_CONFLICT && a->in_tty && !a->no_input && !a->yes) {
		if (!app_confirm(a, "%s. Replace it?", err.message))
			return EXIT_USAGE;
		err = (struct error)ERROR_INIT;
		r = try_keep(a, id, true, &result, &err);
	}
	if (r != 0)
		return link_fail(a, &err);
	if (!print_formal(a, result))
		print_kept(a, result);
	return 0;
}

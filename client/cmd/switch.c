/* switch: the live target. */
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

#define KEEPING_SAID 5

int
read_duration(struct app *a, const char *text, int64_t *ms)
{
	if (text == NULL || duration_parse(text, ms) == 0)
		return 0;
	return fail_usage(
	    a, "\"%.40s\" is no duration (90s, 30m, 2h, 1d; a bare number is minutes)", text);
}

/* As a word for the shell. */
static const char *
quoted(struct app *a, struct slice text)
{
	const char *from = app_escaped(a, text), *out;
	struct buf b = BUF_INIT;

	buf_addc(&b, '\'');
	for (; *from != '\0'; from++) {
		if (*from == '\'')
			buf_adds(&b, "'\\'");
		buf_addc(&b, *from);
	}
	buf_addc(&b, '\'');
	out = app_format(a, "%s", buf_str(&b));
	buf_clear(&b);
	return out;
}

/* How to name a scope on the command line. */
static const char *
scope_flag(struct app *a, struct slice scope)
{
	const char *where = out_scope(a, scope);

	if (strcmp(where, "in this terminal") == 0)
		return "--here";
	if (strcmp(where, "in this project") == 0)
		return "--project";
	return app_format(a, "--scope %s", quoted(a, scope));
}

void
switch_note_keeping(struct app *a, const struct value *list)
{
	size_t said = 0, more = 0;

	for (size_t i = 0; i < value_size(list); i++) {
		const struct value *o = value_at(list, i);
		struct slice scope = value_slice(value_get(o, "scope"));

		if (scope_terminal_gone(scope))
			continue;
		if (said++ < KEEPING_SAID)
			note(a, "%s stays %s (mpc switch --clear %s)", app_member(a, o, "ref"),
			    out_scope(a, scope), scope_flag(a, scope));
		else
			more++;
	}
	if (more > 0)
		note(a, "%zu more scope%s a choice of %s own (mpc -v)", more,
		    more == 1 ? " keeps" : "s keep", more == 1 ? "its" : "their");
}

void
switch_note_deactivated(struct app *a, const struct value *session)
{
	int64_t left = value_int(value_get(session, "left_ms"), 0);

	if (session != NULL)
		note(a, "test session %s is no longer active (%s left; mpc test activate %lld)",
		    app_member(a, session, "ref"), out_span(a, left),
		    (long long)value_int(value_get(session, "id"), 0));
}

/* What was there before, in brackets. */
static const char *
was_words(struct app *a, const struct value *previous)
{
	const char *ref = app_member(a, previous, "ref");

	if (value_equals(value_get(previous, "kind"), "session"))
		return app_format(a, "was a test of %s", ref);
	return app_format(
	    a, "%swas %s", value_equals(value_get(previous, "kind"), "default") ? "default " : "", ref);
}

static void
print_switched(struct app *a, const struct value *result, const char *scope)
{
	const struct value *active = value_get(result, "active"),
			   *previous = value_get(result, "previous");
	int64_t told = value_int(value_get(result, "told"), 0);
	int64_t expires = value_int(value_get(active, "expires_ms"), 0);
	const char *from = app_member(a, previous, "ref"), *undo = "";
	const struct value *problem;

	if (*scope != '\0')
		undo = app_format(a, " %s", scope_flag(a, slice_of(scope)));
	printf("Now using %s %s", route_name(a, active), out_scope(a, slice_of(scope)));
	if (expires > 0)
		printf(" %s", out_until(a, expires));
	else if (value_equals(value_get(active, "kind"), "temporary") &&
		 !scope_is_terminal(slice_of(scope)))
		printf(" until cleared or reboot");
	if (*from != '\0' && expires > 0 && !value_equals(value_get(previous, "kind"), "temporary") &&
	    !value_equals(value_get(previous, "kind"), "session"))
		printf(", then back to %s", from);
	else if (*from != '\0')
		printf(" (%s)", was_words(a, previous));
	if (told > 0)
		printf(". %lld client%s told.\n", (long long)told, told == 1 ? "" : "s");
	else
		puts(".");
	if (!a->quiet)
		printf("  undo: mpc switch -%s\n", undo);
	switch_note_deactivated(a, value_get(result, "deactivated"));
	switch_note_keeping(a, value_get(result, "keeping"));
	if ((problem = value_get(result, "problem")) != NULL)
		note(a, "%s is not ready: %s", app_member(a, active, "ref"),
		    route_problem(a, problem));
}

/* The result of every change of the route. */
static int
print_result(struct app *a, const struct value *result, const char *scope, const char *what)
{
	const struct value *active = value_get(result, "active");

	if (a->form == FORM_JSON)
		out_json(a, result);
	else if (a->form == FORM_PLAIN)
		printf("%s\t%s\n", app_member(a, active, "ref"),
		    app_member(a, value_get(result, "previous"), "ref"));
	else if (what == NULL)
		print_switched(a, result, scope);
	else {
		printf("%s; now using %s (%s).\n", what, route_name(a, active),
		    route_why(a, active, NULL, term_wall_ms()));
		switch_note_deactivated(a, value_get(result, "deactivated"));
	}
	return 0;
}

int
switch_to(struct app *a, const char *ref, const char *scope, bool temporary, int64_t ttl_ms)
{
	const struct value *result;
	struct pack *p = link_begin(a, "route.set");
	int r;

	pack_kv_str(p, "ref", ref);
	pack_kv_str(p, "label", args_value(&a->args, "label"));
	/* always said: the connection may have a scope of its own, a switch goes everywhere */
	pack_kv_str(p, "scope", scope);
	if (temporary)
		pack_kv_bool(p, "temporary", true);
	if (ttl_ms > 0)
		pack_kv_int(p, "ttl_ms", ttl_ms);
	if (args_has(&a->args, "keep-session"))
		pack_kv_bool(p, "keep_session", true);
	if ((r = link_end(a, &result)) != 0)
		return r;
	return print_result(a, result, scope, NULL);
}

static int
clear_or_undo(struct app *a, const char *method, const char *scope, const char *what)
{
	const struct value *result;
	int r;

	if ((r = link_open(a)) != 0)
		return r;
	pack_kv_str(link_begin(a, method), "scope", scope);
	if ((r = link_end(a, &result)) != 0)
		return r;
	return print_result(a, result, scope, what);
}

/* The flags --here, --project and --scope are sane. 0 or an exit code. */
static int
check_scope_flags(struct app *a)
{
	const char *named = args_value(&a->args, "scope");
	int given = args_has(&a->args, "here") + args_has(&a->args, "project") + (named != NULL);
	struct error err = ERROR_INIT;

	if (given > 1)
		return fail_usage(a, "--here, --project and --scope exclude each other");
	if (named != NULL && scope_check(named, "a scope", &err) != 0)
		return fail_usage(a, "%s", err.message);
	return 0;
}

/* Which scope the flags name; "" = everywhere. NULL: there is none such here. The caller frees it. */
static char *
find_scope(struct app *a)
{
	const char *named = args_value(&a->args, "scope"), *given = scope_environment();

	if (args_has(&a->args, "here"))
		return given != NULL ? xstrdup(given) : scope_terminal();
	if (args_has(&a->args, "project"))
		return scope_project(NULL);
	return xstrdup(named != NULL ? named : "");
}

static int
run_switch(struct app *a, const char *scope)
{
	const char *ref = args_word(&a->args, 0), *span = args_value(&a->args, "for");
	bool temporary = args_has(&a->args, "temp");
	int64_t ttl = 0;
	int r;

	if (args_has(&a->args, "clear")) {
		if (ref != NULL || temporary || span != NULL)
			return fail_usage(a, "--clear goes with a scope alone");
		return clear_or_undo(a, "route.clear", scope, "Override dropped");
	}
	if (ref == NULL)
		return fail_usage(a, "switch needs a target");
	if (strcmp(ref, "-") == 0) {
		if (temporary || span != NULL)
			return fail_usage(a, "\"switch -\" takes no time");
		return clear_or_undo(a, "route.undo", scope, "Back to the one before");
	}
	if (temporary && span != NULL)
		return fail_usage(a, "--temp and --for exclude each other");
	if ((r = read_duration(a, span, &ttl)) != 0 || (r = link_open(a)) != 0)
		return r;
	/* a terminal does not outlive its machine: its number must not find an old choice after a reboot */
	temporary = temporary || ttl > 0 || scope_is_terminal(slice_of(scope));
	return switch_to(a, ref, scope, temporary, ttl);
}

int
cmd_switch(struct app *a)
{
	char *scope;
	int r;

	if ((r = no_more_words(a, 1)) != 0 || (r = check_scope_flags(a)) != 0)
		return r;
	if ((scope = find_scope(a)) != NULL)
		r = run_switch(a, scope);
	else if (args_has(&a->args, "here"))
		r = fail_usage(a, "--here needs a terminal, and there is none");
	else
		r = fail_usage(a, "--project needs a repository (a .git) here or above");
	free(scope);
	return r;
}

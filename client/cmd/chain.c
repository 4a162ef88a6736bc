/* chain: fallback chains, the targets that are asked one after the other. */
#include <stdio.h>
#include <string.h>

#include "client/app.h"
#include "client/cmd/cmd.h"
#include "client/link.h"
#include "client/out.h"
#include "client/route.h"
#include "client/term.h"

static const char *
joined(struct app *a, const struct value *list, const char *between)
{
	const char *all = "";

	for (size_t i = 0; i < value_size(list); i++)
		all = app_format(a, "%s%s%s", all, i > 0 ? between : "",
		    app_text(a, value_at(list, i)));
	return all;
}

static void
print_row(struct app *a, struct table *t, const struct value *c)
{
	const char *refs = joined(a, value_get(c, "refs"), " ");

	table_cell(t, app_format(a, "@%s", app_member(a, c, "name")), app_member(a, c, "name"), NULL);
	table_cell(t, route_chain(a, value_get(c, "targets")), refs, NULL);
	table_cell(t, joined(a, value_get(c, "on"), ", "), joined(a, value_get(c, "on"), " "), NULL);
}

static int
list(struct app *a)
{
	static const struct column columns[] = {{"NAME", COLUMN_FIXED}, {"TARGETS", COLUMN_TEXT},
	    {"FALLS BACK ON", COLUMN_TEXT}};
	const struct value *result, *chains;
	struct table *t;
	int r;

	if ((r = no_more_words(a, 1)) != 0 || (r = link_open(a)) != 0)
		return r;
	link_begin(a, "chain.list");
	if ((r = link_end(a, &result)) != 0)
		return r;
	chains = value_get(result, "chains");
	if (a->form == FORM_JSON) {
		out_json(a, result);
		return 0;
	}
	if (a->form == FORM_TEXT && value_size(chains) == 0) {
		note(a, "no chain yet: mpc chain set NAME REF REF... (mpc chain -h)");
		return 0;
	}
	t = table_new(a, columns, sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < value_size(chains); i++)
		print_row(a, t, value_at(chains, i));
	table_print(t);
	return 0;
}

/* One target a line: whether it can serve now, and why not. */
static void
print_targets(struct app *a, const struct value *c)
{
	const struct value *targets = value_get(c, "targets");
	bool found = false;

	for (size_t i = 0; i < value_size(targets); i++) {
		const struct value *t = value_at(targets, i);
		const char *why = app_member(a, t, "message");
		bool now = !found && *why == '\0';

		found = found || now;
		if (a->form == FORM_PLAIN)
			printf("%zu\t%s\t%s\t%s\n", i + 1, app_member(a, t, "ref"),
			    app_member(a, t, "code"), why);
		else
			printf("%s %zu  %s%s%s\n", now ? glyph_active(a) : " ", i + 1,
			    app_member(a, t, "ref"), *why != '\0' ? ", passed over: " : "", why);
	}
}

static const struct value *
find_chain(const struct value *chains, const char *name)
{
	for (size_t i = 0; i < value_size(chains); i++)
		if (value_equals(value_get(value_at(chains, i), "name"), name))
			return value_at(chains, i);
	return NULL;
}

/* A name as it is used, @coding, is as good. */
static const char *
chain_name(const struct app *a)
{
	const char *name = args_word(&a->args, 1);

	return name != NULL && name[0] == '@' ? name + 1 : name;
}

static int
show(struct app *a)
{
	const struct value *result, *c;
	struct error err = ERROR_INIT;
	const char *name = chain_name(a);
	int r;

	if (name == NULL)
		return fail_usage(a, "chain show needs the name of a chain");
	if ((r = no_more_words(a, 2)) != 0 || (r = link_open(a)) != 0)
		return r;
	link_begin(a, "chain.list");
	if ((r = link_end(a, &result)) != 0)
		return r;
	if ((c = find_chain(value_get(result, "chains"), name)) == NULL) {
		error_set(&err, MP_E_NOT_FOUND, "there is no chain @%.64s", name);
		error_hint(&err, "what there is: mpc chain");
		return fail_err(a, &err);
	}
	if (a->form == FORM_JSON) {
		out_json(a, c);
		return 0;
	}
	print_targets(a, c);
	if (a->form == FORM_TEXT)
		printf("falls back on %s\n", joined(a, value_get(c, "on"), ", "));
	return 0;
}

static void
write_set(struct app *a, struct pack *p, const char *name)
{
	const char *code;
	size_t at = 0;

	pack_kv_str(p, "name", name);
	pack_str(p, "refs");
	pack_array_begin(p);
	for (size_t i = 2; i < a->args.word_count; i++)
		pack_str(p, args_word(&a->args, i));
	pack_array_end(p);
	if (!args_has(&a->args, "on"))
		return;
	pack_str(p, "on");
	pack_array_begin(p);
	while ((code = args_each(&a->args, "on", &at)) != NULL)
		pack_str(p, code);
	pack_array_end(p);
}

static int
set(struct app *a)
{
	const struct value *result;
	const char *name = chain_name(a);
	int r;

	if (a->args.word_count < 3)
		return fail_usage(a, "chain set needs a name and at least one target");
	if ((r = link_open(a)) != 0)
		return r;
	write_set(a, link_begin(a, "chain.set"), name);
	if ((r = link_end(a, &result)) != 0)
		return r;
	if (a->form == FORM_JSON) {
		out_json(a, result);
	} else if (a->form == FORM_PLAIN) {
		printf("%s\t%s\n", app_member(a, result, "name"), joined(a, value_get(result, "refs"), " "));
	} else {
		printf("@%s is %s.\n", app_member(a, result, "name"),
		    route_chain(a, value_get(result, "targets")));
		if (!a->quiet && value_bool(value_get(result, "behind"), false))
			puts("  It stands behind the live choice: every ordinary prompt falls back to it.");
		else if (!a->quiet)
			printf("  use it: mpc switch @%s      remove it: mpc chain remove %s\n",
			    app_member(a, result, "name"), app_member(a, result, "name"));
	}
	return 0;
}

static int
drop(struct app *a)
{
	const struct value *result;
	const char *name = chain_name(a);
	int r;

	if (name == NULL)
		return fail_usage(a, "chain remove needs the name of a chain");
	if ((r = no_more_words(a, 2)) != 0)
		return r;
	if (!app_confirm(a, "Remove chain @%s?", app_escaped(a, slice_of(name))))
		return EXIT_USAGE;
	if ((r = link_open(a)) != 0)
		return r;
	pack_kv_str(link_begin(a, "chain.remove"), "name", name);
	if ((r = link_end(a, &result)) != 0)
		return r;
	if (a->form == FORM_JSON)
		out_json(a, result);
	else if (a->form == FORM_TEXT && !a->quiet)
		printf("Removed chain @%s.\n", app_escaped(a, slice_of(name)));
	return 0;
}

int
cmd_chain(struct app *a)
{
	const char *verb = args_word(&a->args, 0);

	if (args_has(&a->args, "on") && (verb == NULL || strcmp(verb, "set") != 0))
		return fail_usage(a, "--on goes with chain set");
	if (verb == NULL || strcmp(verb, "list") == 0)
		return list(a);
	if (strcmp(verb, "show") == 0)
		return show(a);
	if (strcmp(verb, "set") == 0)
		return set(a);
	if (strcmp(verb, "remove") == 0)
		return drop(a);
	return fail_usage(a, "chain has no \"%.40s\" (list, show, set, remove)",
	    app_escaped(a, slice_of(verb)));
}

/* config: the settings of the daemon, one at a time; the rest of `mpc config` is in the files beside. */
#include <stdio.h>
#include <string.h>

#include "client/app.h"
#include "client/cmd/config.h"
#include "client/link.h"
#include "client/out.h"

/* The value as a person writes it. */
static const char *
value_text(struct app *a, const struct value *v)
{
	switch (value_type(v)) {
	case VALUE_INT:
		return app_format(a, "%lld", (long long)value_int(v, 0));
	case VALUE_BOOL:
		return value_bool(v, false) ? "true" : "false";
	case VALUE_ABSENT:
	case VALUE_NIL:
	case VALUE_FLOAT:
	case VALUE_STR:
	case VALUE_BIN:
	case VALUE_ARRAY:
	case VALUE_MAP:
		break;
	}
	return app_text(a, v);
}

static void
print_table(struct app *a, const struct value *list)
{
	static const struct column columns[] = {{"NAME", COLUMN_FIXED}, {"VALUE", COLUMN_TEXT},
	    {"DEFAULT", COLUMN_TEXT}, {"RANGE", COLUMN_TEXT}, {"", COLUMN_TEXT}};
	struct table *t = table_new(a, columns, sizeof(columns) / sizeof(columns[0]));

	for (size_t i = 0; i < value_size(list); i++) {
		const struct value *s = value_at(list, i);
		bool changed = !value_bool(value_get(s, "is_default"), true);
		const char *text = value_text(a, value_get(s, "value"));

		table_cell(t, app_member(a, s, "name"), NULL, NULL);
		table_cell(t, *text != '\0' ? text : NULL, text, changed ? "1" : NULL);
		table_cell(t, value_text(a, value_get(s, "default")), NULL, NULL);
		table_cell(t, app_member(a, s, "range"), NULL, NULL);
		table_cell(t, app_member(a, s, "help"), NULL, NULL);
	}
	table_print(t);
}

static int
config_get(struct app *a)
{
	const char *name = args_word(&a->args, 1);
	const struct value *result, *list;
	int r;

	if ((r = no_more_words(a, 2)) != 0 || (r = link_open(a)) != 0)
		return r;
	pack_kv_str(link_begin(a, "settings.get"), "name", name);
	if ((r = link_end(a, &result)) != 0)
		return r;
	list = value_get(result, "settings");
	if (a->form == FORM_JSON)
		out_json(a, result);
	else if (name != NULL)
		puts(value_text(a, value_get(value_at(list, 0), "value")));
	else
		print_table(a, list);
	return 0;
}

static int
change(struct app *a, const char *name, const char *value)
{
	const char *now, *before;
	const struct value *result;
	struct pack *p;
	int r;

	if ((r = link_open(a)) != 0)
		return r;
	p = link_begin(a, "settings.set");
	pack_kv_str(p, "name", name);
	pack_kv_str(p, "value", value);
	if ((r = link_end(a, &result)) != 0)
		return r;
	now = value_text(a, value_get(result, "value"));
	before = app_member(a, result, "previous");
	if (a->form == FORM_JSON)
		out_json(a, result);
	else if (a->form == FORM_PLAIN)
		printf("%s\t%s\t%s\n", app_member(a, result, "name"), now, before);
	else if (strcmp(now, before) == 0)
		printf("%s is %s already.\n", name, now);
	else
		printf("%s is %s now (was %s).\n  undo: mpc config set %s %s\n", name, now, before, name,
		    *before != '\0' ? before : "''");
	return 0;
}

static int
config_set(struct app *a)
{
	const char *name = args_word(&a->args, 1), *value = args_word(&a->args, 2);
	int r;

	if (value == NULL)
		return fail_usage(a, "config set needs a name and a value; see: mpc config get");
	if ((r = no_more_words(a, 3)) != 0)
		return r;
	return change(a, name, value);
}

static int
config_unset(struct app *a)
{
	const char *name = args_word(&a->args, 1);
	int r;

	if (name == NULL)
		return fail_usage(a, "config unset needs the name of a setting; see: mpc config get");
	if ((r = no_more_words(a, 2)) != 0)
		return r;
	return change(a, name, NULL);
}

int
cmd_config(struct app *a)
{
	static const struct {
		const char *name;
		int (*run)(struct app *a);
	} subs[] = {{"show", config_show}, {"get", config_get}, {"set", config_set},
	    {"unset", config_unset}, {"edit", config_edit}, {"export", config_export},
	    {"apply", config_apply}, {"check", config_check}};
	const char *sub = args_word(&a->args, 0);

	for (size_t i = 0; i < sizeof(subs) / sizeof(subs[0]); i++)
		if (strcmp(subs[i].name, sub != NULL ? sub : "show") == 0)
			return subs[i].run(a);
	return fail_usage(a,
	    "config knows show, get, set, unset, edit, export, check and apply, not \"%.40s\"",
	    sub);
}

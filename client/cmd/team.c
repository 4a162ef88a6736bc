/* team: who one is in a team, and the bundles that are held. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/app.h"
#include "client/cmd/config.h"
#include "client/cmd/team.h"
#include "client/link.h"
#include "client/out.h"
#include "client/term.h"

/* ---- id, show ---- */

static int
team_id(struct app *a)
{
	const struct value *result;
	int r;

	if ((r = no_more_words(a, 1)) != 0 || (r = link_call(a, "team.id", NULL, &result)) != 0)
		return r;
	if (a->form == FORM_JSON) {
		out_json(a, result);
		return 0;
	}
	printf("%s\n", app_member(a, result, "id"));
	fflush(stdout);
	if (a->form == FORM_TEXT)
		note(a,
		    "send that line to who seals the team's bundle; it is no secret. What you "
		    "sign carries the "
			"fingerprint %s", app_member(a, result, "fingerprint"));
	return 0;
}

static void
add_row(struct app *a, struct table *t, const struct value *b, int64_t now)
{
	int64_t updated = value_int(value_get(b, "updated_ms"), 0);

	table_cell(t, app_member(a, b, "team"), NULL, NULL);
	table_cell(t, app_format(a, "%lld", (long long)value_int(value_get(b, "version"), 0)), NULL, NULL);
	table_cell(t, app_format(a, "%zu", value_size(value_get(b, "providers"))), NULL, NULL);
	table_cell(t, app_format(a, "%lld", (long long)value_int(value_get(b, "keys"), 0)), NULL, NULL);
	table_cell(t, out_ago(a, updated, now), app_format(a, "%lld", (long long)updated), NULL);
	table_cell(t, app_member(a, b, "signer"), NULL, NULL);
	table_cell(t, app_member(a, b, "source"), NULL, NULL);
}

static int
show_all(struct app *a)
{
	static const struct column columns[] = { { "TEAM", COLUMN_FIXED }, { "VERSION", COLUMN_NUMBER },
		{ "PROVIDERS", COLUMN_NUMBER }, { "KEYS", COLUMN_NUMBER }, { "UPDATED", COLUMN_FIXED },
		{ "SIGNED BY", COLUMN_FIXED }, { "SOURCE", COLUMN_TEXT } };
	const struct value *result, *list;
	struct table *t;
	int r;

	if ((r = link_call(a, "team.show", NULL, &result)) != 0)
		return r;
	list = value_get(result, "bundles");
	if (a->form == FORM_JSON) {
		out_json(a, result);
		return 0;
	}
	if (a->form == FORM_TEXT && value_size(list) == 0) {
		note(a, "no team's bundle is here; mpc team add FILE-or-URL");
		return 0;
	}
	t = table_new(a, columns, sizeof columns / sizeof columns[0]);
	for (size_t i = 0; i < value_size(list); i++)
		add_row(a, t, value_at(list, i), term_wall_ms());
	table_print(t);
	return 0;
}

static int
team_show(struct app *a)
{
	const char *team = args_word(&a->args, 1);
	const struct value *result, *b;
	struct slice content;
	int r;

	if ((r = no_more_words(a, 2)) != 0)
		return r;
	if (team == NULL)
		return show_all(a);
	if ((r = link_open(a)) != 0)
		return r;
	pack_kv_str(link_begin(a, "team.show"), "team", team);
	if ((r = link_end(a, &result)) != 0)
		return r;
	if (a->form == FORM_JSON) {
		out_json(a, result);
		return 0;
	}
	b = value_at(value_get(result, "bundles"), 0);
	content = value_slice(value_get(result, "content"));
	if (a->form == FORM_TEXT && !a->quiet) {
		printf("# signed by %s%s", app_member(a, b, "signer"),
		    value_bool(value_get(b, "ours"), false) ? " (you)" : "");
		if (value_get(b, "source") != NULL)
			printf(", from %s", app_member(a, b, "source"));
		printf("\n");
	}
	while (content.len > 0) {
		const char *end = memchr(content.data, '\n', content.len);
		size_t n = end != NULL ? (size_t)(end - content.data) : content.len;

		printf("%s\n", app_escaped(a, (struct slice){ content.data, n }));
		n += end != NULL;
		content.data += n;
		content.len -= n;
	}
	return 0;
}

/* ---- remove ---- */

/* The one that is named, or the only one there is. */
static int
which_team(struct app *a, const char **team)
{
	struct team_held *list = NULL;
	size_t count = 0;
	int r;

	if ((*team = args_word(&a->args, 1)) != NULL)
		return 0;
	if ((r = team_list(a, NULL, &list, &count)) != 0)
		return r;
	if (count == 1)
		*team = list[0].team;
	free(list);
	return count == 1 ? 0 : fail_usage(a, "team remove needs the name of a team");
}

static int
ask_to_remove(struct app *a, const char *team, bool cascade, bool only_try, const struct value **result)
{
	struct pack *p = link_begin(a, "team.remove");

	pack_kv_str(p, "team", team);
	if (only_try)
		pack_kv_bool(p, "try", true);
	if (cascade)
		pack_kv_bool(p, "cascade", true);
	return link_end(a, result);
}

static int
team_remove(struct app *a)
{
	const struct value *result;
	const char *team;
	bool losses;
	int r;

	if ((r = no_more_words(a, 2)) != 0 || (r = link_open(a)) != 0 || (r = which_team(a, &team)) != 0 ||
	    (r = ask_to_remove(a, team, false, true, &result)) != 0)
		return r;
	losses = value_size(value_get(result, "losses")) > 0;
	if (a->form == FORM_TEXT)
		config_print_effects(a, result);
	if (losses && !args_has(&a->args, "cascade") && !app_confirm(a, "Remove it, and lose that?"))
		return EXIT_USAGE;
	if ((r = ask_to_remove(a, team, losses, false, &result)) != 0)
		return r;
	if (a->form == FORM_JSON)
		out_json(a, result);
	else if (a->form == FORM_TEXT && !a->quiet)
		printf("Removed the bundle of team %s.\n", app_escaped(a, slice_of(team)));
	return 0;
}

int
cmd_team(struct app *a)
{
	static const struct {
		const char *word;
		int (*run)(struct app *a);
	} words[] = { { "show", team_show }, { "id", team_id }, { "seal", team_seal }, { "add", team_add },
		{ "update", team_update }, { "remove", team_remove } };
	const char *sub = args_word(&a->args, 0);

	if (sub == NULL)
		return show_all(a);
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strcmp(words[i].word, sub) == 0)
			return words[i].run(a);
	return fail_usage(a, "team knows id, show, add, update, remove and seal, not \"%.20s\"", sub);
}

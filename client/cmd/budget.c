/* budget: what may be spent, and how far it went. */
#include <stdio.h>
#include <string.h>

#include "client/app.h"
#include "client/cmd/cmd.h"
#include "client/link.h"
#include "client/out.h"
#include "client/term.h"
#include "protocol/base/str.h"

#define AMOUNT_MAX INT64_C(1000000000000) /* micro-USD: a million */

/* "$3.41 of $10.00 a day" */
static const char *
spent_words(struct app *a, const struct value *b)
{
	return app_format(a, "%s of %s a %s",
	    out_money(a, value_int(value_get(b, "spent_microusd"), 0)),
	    out_money(a, value_int(value_get(b, "limit_microusd"), 0)), app_member(a, b, "period"));
}

const char *
budget_line(struct app *a, const struct value *b)
{
	const char *of = app_member(a, b, "for");

	return app_format(a, "%s%s%s  %lld %%", spent_words(a, b), *of != '\0' ? " for " : "", of,
	    (long long)(value_int(value_get(b, "used_permille"), 0) / 10));
}

static void
add_row(struct app *a, struct table *t, const struct value *b, int64_t now)
{
	int64_t spent = value_int(value_get(b, "spent_microusd"), 0),
		limit = value_int(value_get(b, "limit_microusd"), 0),
		used = value_int(value_get(b, "used_permille"), 0),
		resets = value_int(value_get(b, "resets_ms"), 0);
	bool hard = value_bool(value_get(b, "hard"), false);
	const char *of = app_member(a, b, "for");

	table_cell(t, *of != '\0' ? of : "everything", of, NULL);
	table_cell(t, app_member(a, b, "period"), NULL, NULL);
	table_cell(t, out_money(a, spent), app_format(a, "%lld", (long long)spent), NULL);
	table_cell(t, out_money(a, limit), app_format(a, "%lld", (long long)limit), NULL);
	table_cell(t, app_format(a, "%lld %%", (long long)(used / 10)),
	    app_format(a, "%lld", (long long)used), used >= 1000 ? "31" : used >= 800 ? "33" : NULL);
	table_cell(t, hard ? "block" : "pass over", hard ? "hard" : "soft", NULL);
	table_cell(t, out_left(a, resets, now), app_format(a, "%lld", (long long)resets), NULL);
}

static int
show(struct app *a)
{
	static const struct column columns[] = {{"FOR", COLUMN_TEXT}, {"PER", COLUMN_FIXED},
	    {"SPENT", COLUMN_NUMBER}, {"LIMIT", COLUMN_NUMBER}, {"USED", COLUMN_NUMBER},
	    {"THEN", COLUMN_FIXED}, {"PERIOD", COLUMN_FIXED}};
	const struct value *result, *list;
	struct table *t;
	int r;

	if ((r = no_more_words(a, 1)) != 0 || (r = link_open(a)) != 0)
		return r;
	link_begin(a, "budget.get");
	if ((r = link_end(a, &result)) != 0)
		return r;
	list = value_get(result, "budgets");
	if (a->form == FORM_JSON) {
		out_json(a, result);
	} else if (a->form == FORM_TEXT && value_size(list) == 0) {
		puts("No budget is set. A first one: mpc budget set 10 --per day");
	} else {
		t = table_new(a, columns, sizeof(columns) / sizeof(columns[0]));
		for (size_t i = 0; i < value_size(list); i++)
			add_row(a, t, value_at(list, i), term_wall_ms());
		table_print(t);
	}
	return 0;
}

/* "10", "$2.50"; 0 or "off" takes a budget away. False for anything else. */
static bool
read_amount(const char *text, int64_t *microusd)
{
	if (strcmp(text, "off") == 0)
		text = "0";
	if (text[0] == '$')
		text++;
	return money_parse(&text, microusd) && *text == '\0' && *microusd <= AMOUNT_MAX;
}

static int
set(struct app *a)
{
	const char *amount = args_word(&a->args, 1), *of = args_value(&a->args, "for"),
		   *per = args_value(&a->args, "per");
	const struct value *result;
	int64_t microusd = 0;
	struct pack *p;
	int r;

	if ((r = no_more_words(a, 2)) != 0)
		return r;
	if (amount == NULL || !read_amount(amount, &microusd))
		return fail_usage(a, "how much? an amount in USD, as 10 or 2.50; off takes the budget away");
	if ((r = link_open(a)) != 0)
		return r;
	p = link_begin(a, "budget.set");
	pack_kv_str(p, "period", per != NULL ? per : "month");
	pack_kv_int(p, "limit_microusd", microusd);
	pack_kv_str(p, "for", of);
	if (args_has(&a->args, "hard"))
		pack_kv_bool(p, "hard", true);
	if ((r = link_end(a, &result)) != 0)
		return r;
	if (a->form == FORM_JSON)
		out_json(a, result);
	else if (a->quiet)
		return 0;
	else if (microusd == 0)
		puts("That budget is gone.");
	else
		printf("%s; when it is used up: %s.\n", budget_line(a, result),
		    value_bool(value_get(result, "hard"), false)
			? "every call it is for is refused"
			: "the next target is asked, if there is one");
	return 0;
}

int
cmd_budget(struct app *a)
{
	const char *word = args_word(&a->args, 0);

	if (word == NULL || strcmp(word, "show") == 0)
		return show(a);
	if (strcmp(word, "set") == 0)
		return set(a);
	return fail_usage(a, "mpc budget has no \"%.40s\"", word);
}

/* catalog: what models cost, from where that is known, and prices of one's own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/app.h"
#include "client/cmd/catalog.h"
#include "client/cmd/cmd.h"
#include "client/link.h"
#include "client/out.h"
#include "client/term.h"
#include "protocol/base/str.h"

#define PRICE_MAX_USD 2000 /* a million tokens */
#define TOKENS_MAX 1000000000L

/* ---- looking ---- */

static int64_t
member(const struct value *v, const char *key, int64_t otherwise)
{
	return value_int(value_get(v, key), otherwise);
}

/* Pico-USD per token is micro-USD per million tokens. */
static const char *
usd(struct app *a, const struct value *price, const char *key)
{
	char text[32];

	money_text(member(price, key, 0), text, sizeof text);
	return app_format(a, "$%s", text);
}

static void
money_cell(struct app *a, struct table *t, const struct value *price, const char *key)
{
	table_cell(t, usd(a, price, key), app_format(a, "%lld", (long long)member(price, key, 0)), NULL);
}

static void
add_row(struct app *a, struct table *t, const struct value *price, bool marked)
{
	int64_t from = member(price, "valid_from_ms", 0), above = member(price, "above_tokens", 0);
	bool holds = value_bool(value_get(price, "holds"), false);
	char day[16] = "";

	if (from > 0)
		utc_day_text(from, day, sizeof day);
	if (marked)
		table_cell(t, holds ? glyph_active(a) : "", holds ? "holds" : "", holds ? "32" : NULL);
	table_cell(t, app_member(a, price, "ref"), NULL, NULL);
	money_cell(a, t, price, "input");
	money_cell(a, t, price, "cache_read");
	money_cell(a, t, price, "cache_write");
	money_cell(a, t, price, "output");
	table_cell(t, above > 0 ? app_format(a, "> %lld", (long long)above) : "all",
	    app_format(a, "%lld", (long long)above), NULL);
	table_cell(t, from > 0 ? day : "ever", day, NULL);
	table_cell(t, app_member(a, price, "source"), NULL, NULL);
}

/* marked: the rows that hold today are. */
static void
print_prices(struct app *a, const struct value *list, bool marked)
{
	static const struct column columns[] = {{"", COLUMN_FIXED}, {"REF", COLUMN_TEXT},
	    {"IN/M", COLUMN_NUMBER}, {"READ/M", COLUMN_NUMBER}, {"WRITE/M", COLUMN_NUMBER},
	    {"OUT/M", COLUMN_NUMBER}, {"PROMPTS", COLUMN_FIXED}, {"FROM", COLUMN_FIXED},
	    {"SOURCE", COLUMN_FIXED}};
	size_t count = sizeof(columns) / sizeof(columns[0]);
	struct table *t = marked ? table_new(a, columns, count) : table_new(a, columns + 1, count - 1);

	for (size_t i = 0; i < value_size(list); i++)
		add_row(a, t, value_at(list, i), marked);
	table_print(t);
}

/* Why nothing of the kind is in the table. */
static void
say_unknown(struct app *a, const struct value *result)
{
	const char *ref = app_member(a, result, "ref");

	if (value_equals(value_get(result, "cost_kind"), "free"))
		printf("%s costs nothing: your own server, and no price of it was set.\n", ref);
	else if (value_equals(value_get(result, "cost_kind"), "plan"))
		printf("%s is covered by a plan.\n", ref);
	else
		printf("%s is unpriced: what it uses is counted, what that costs is not known.\n"
		    "  set a price: mpc catalog set %s --input USD --output USD\n", ref, ref);
}

static int
show_model(struct app *a, const char *ref)
{
	const struct value *result;
	int r;

	pack_kv_str(link_begin(a, "price.list"), "ref", ref);
	if ((r = link_end(a, &result)) != 0)
		return r;
	if (a->form == FORM_JSON)
		out_json(a, result);
	else if (a->form == FORM_TEXT && value_size(value_get(result, "prices")) == 0)
		say_unknown(a, result);
	else
		print_prices(a, value_get(result, "prices"), true);
	return 0;
}

/* Every list, and how many prices are in it. */
static void
print_counts(struct app *a, const struct value *counts, const char *refreshed)
{
	const struct {
		const char *name, *what;
	} lists[] = {
	    {"own", "set by you: mpc catalog set, or the configuration"},
	    {"bundle", "from your teams"},
	    {"refreshed", refreshed},
	    {"catalogue", "as this program was shipped"},
	};
	static const struct column columns[] = {{"SOURCE", COLUMN_FIXED}, {"PRICES", COLUMN_NUMBER},
	    {"WHAT", COLUMN_TEXT}};
	struct table *t = table_new(a, columns, sizeof(columns) / sizeof(columns[0]));

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		table_cell(t, lists[i].name, NULL, NULL);
		table_cell(t, app_format(a, "%lld", (long long)member(counts, lists[i].name, 0)), NULL, NULL);
		table_cell(t, lists[i].what, NULL, NULL);
	}
	table_print(t);
}

/* The lists; those that people made, in full. */
static int
overview(struct app *a)
{
	const struct value *result, *prices;
	const char *refreshed = "";
	int r;

	if (a->form == FORM_TEXT && (r = catalog_refreshed(a, &refreshed)) != 0)
		return r;
	link_begin(a, "price.list");
	if ((r = link_end(a, &result)) != 0)
		return r;
	prices = value_get(result, "prices");
	if (a->form == FORM_JSON) {
		out_json(a, result);
		return 0;
	}
	if (a->form == FORM_TEXT)
		print_counts(a, value_get(result, "counts"), refreshed);
	if (a->form == FORM_TEXT && value_size(prices) > 0)
		putchar('\n');
	if (a->form == FORM_PLAIN || value_size(prices) > 0)
		print_prices(a, prices, false);
	return 0;
}

static int
show(struct app *a, size_t at)
{
	const char *ref = args_word(&a->args, at);
	int r;

	if ((r = no_more_words(a, at + 1)) != 0 || (r = link_open(a)) != 0)
		return r;
	return ref != NULL ? show_model(a, ref) : overview(a);
}

/* ---- changing ---- */

/* USD per million tokens, as "2.50" or "$2.50"; *pico stays as it is where the option is not given. */
static int
read_price(struct app *a, const char *option, int64_t *pico)
{
	const char *text = args_value(&a->args, option), *at = text;

	if (text == NULL)
		return 0;
	if (*at == '$')
		at++;
	if (!money_parse(&at, pico) || *at != '\0' || *pico > PRICE_MAX_USD * INT64_C(1000000))
		return fail_usage(a, "--%s \"%.40s\" is no price: USD per million tokens, as 2.50 or 0.0375, "
		    "up to %d", option, text, PRICE_MAX_USD);
	return 0;
}

/* Which of a model's prices is meant. */
struct place {
	int64_t from_ms, above; /* -1 = not said */
};

static int
read_place(struct app *a, struct place *out)
{
	const char *from = args_value(&a->args, "from"), *above = args_value(&a->args, "above"), *at = from;
	char *end;

	*out = (struct place){-1, -1};
	if (from != NULL && (!utc_day_parse(&at, &out->from_ms) || *at != '\0'))
		return fail_usage(a, "--from \"%.40s\" is no day (2026-12-31)", from);
	if (above == NULL)
		return 0;
	out->above = above[0] >= '0' && above[0] <= '9' ? strtol(above, &end, 10) : -1;
	if (out->above < 1 || out->above > TOKENS_MAX || *end != '\0')
		return fail_usage(a, "--above \"%.40s\" is no number of tokens (128000)", above);
	return 0;
}

static void
pack_place(struct pack *p, const struct place *place)
{
	if (place->from_ms >= 0)
		pack_kv_int(p, "valid_from_ms", place->from_ms);
	if (place->above > 0)
		pack_kv_int(p, "above_tokens", place->above);
}

/* "prompts above 128000 tokens, from 2026-12-01" */
static const char *
place_words(struct app *a, const struct value *price)
{
	int64_t from = member(price, "valid_from_ms", 0), above = member(price, "above_tokens", 0);
	const char *text = "";
	char day[16];

	if (above > 0)
		text = app_format(a, ", for prompts above %lld tokens", (long long)above);
	if (from > 0) {
		utc_day_text(from, day, sizeof day);
		text = app_format(a, "%s, from %s on", text, day);
	}
	return text;
}

static int
set(struct app *a)
{
	const char *ref = args_word(&a->args, 1);
	int64_t input = -1, output = -1, read = -1, write = -1;
	const struct value *result, *price;
	struct place place;
	struct pack *p;
	int r;

	if ((r = no_more_words(a, 2)) != 0 || (r = read_price(a, "input", &input)) != 0 ||
	    (r = read_price(a, "output", &output)) != 0 || (r = read_price(a, "cache-read", &read)) != 0 ||
	    (r = read_price(a, "cache-write", &write)) != 0 || (r = read_place(a, &place)) != 0)
		return r;
	if (ref == NULL || input < 0 || output < 0)
		return fail_usage(a, "catalog set needs a model, --input and --output");
	if ((r = link_open(a)) != 0)
		return r;
	p = link_begin(a, "price.set");
	pack_kv_str(p, "ref", ref);
	pack_kv_int(p, "input", input);
	pack_kv_int(p, "output", output);
	if (read >= 0)
		pack_kv_int(p, "cache_read", read);
	if (write >= 0)
		pack_kv_int(p, "cache_write", write);
	pack_place(p, &place);
	if ((r = link_end(a, &result)) != 0)
		return r;
	price = value_get(result, "price");
	if (a->form == FORM_JSON)
		out_json(a, result);
	else if (a->form == FORM_PLAIN)
		printf("%s\n", app_member(a, price, "ref"));
	else if (!a->quiet)
		printf("%s costs %s in, %s out (cache: %s read, %s written) per million tokens%s.\n"
		    "  undo: mpc catalog unset %s\n", app_member(a, price, "ref"), usd(a, price, "input"),
		    usd(a, price, "output"), usd(a, price, "cache_read"), usd(a, price, "cache_write"),
		    place_words(a, price), app_member(a, price, "ref"));
	return 0;
}

/* What holds after a price went. */
static int
say_rest(struct app *a, const char *ref)
{
	const struct value *result, *list;
	int r;

	pack_kv_str(link_begin(a, "price.list"), "ref", ref);
	if ((r = link_end(a, &result)) != 0)
		return r;
	list = value_get(result, "prices");
	for (size_t i = 0; i < value_size(list); i++) {
		const struct value *price = value_at(list, i);

		if (!value_bool(value_get(price, "holds"), false))
			continue;
		printf("Now it costs %s in, %s out per million tokens (%s).\n", usd(a, price, "input"),
		    usd(a, price, "output"), app_member(a, price, "source"));
		return 0;
	}
	say_unknown(a, result);
	return 0;
}

static int
unset(struct app *a)
{
	const char *ref = args_word(&a->args, 1);
	const struct value *result;
	struct place place;
	struct pack *p;
	int64_t removed;
	int r;

	if ((r = no_more_words(a, 2)) != 0 || (r = read_place(a, &place)) != 0)
		return r;
	if (ref == NULL)
		return fail_usage(a, "catalog unset needs a model");
	if ((r = link_open(a)) != 0)
		return r;
	p = link_begin(a, "price.remove");
	pack_kv_str(p, "ref", ref);
	pack_place(p, &place);
	if ((r = link_end(a, &result)) != 0)
		return r;
	if (a->form == FORM_JSON)
		out_json(a, result);
	if (a->form != FORM_TEXT || a->quiet)
		return 0;
	removed = member(result, "removed", 0);
	ref = app_member(a, result, "ref");
	printf("%lld price%s of %s %s gone.\n", (long long)removed, removed == 1 ? "" : "s", ref,
	    removed == 1 ? "is" : "are");
	return say_rest(a, ref);
}

int
cmd_catalog(struct app *a)
{
	const char *word = args_word(&a->args, 0);

	if (word == NULL)
		return show(a, 0);
	if (strcmp(word, "show") == 0)
		return show(a, 1);
	if (strcmp(word, "set") == 0)
		return set(a);
	if (strcmp(word, "unset") == 0)
		return unset(a);
	if (strcmp(word, "refresh") == 0)
		return catalog_refresh(a);
	return fail_usage(a, "mpc catalog has no \"%.40s\"", word);
}

/* list, add, remove, nick: the models a person uses. */
#include <stdio.h>
#include <string.h>

#include "client/app.h"
#include "client/cmd/cmd.h"
#include "client/fail.h"
#include "client/link.h"
#include "client/out.h"
#include "client/term.h"
#include "protocol/base/json.h"

static const struct column columns[] = {{"REF", COLUMN_TEXT}, {"NICK", COLUMN_FIXED},
    {"CONTEXT", COLUMN_NUMBER}, {"IN/M", COLUMN_NUMBER}, {"OUT/M", COLUMN_NUMBER},
    {"SOURCE", COLUMN_FIXED}};

/* pico-USD per token is micro-USD per million tokens. */
static const char *
price(struct app *a, const struct value *model, const char *key)
{
	int64_t pico = value_int(value_get(value_get(model, "price"), key), -1);

	return pico < 0 ? NULL : out_money(a, pico);
}

static void
add_row(struct app *a, struct table *t, const struct value *m, int64_t now)
{
	int64_t context = value_int(value_get(m, "context_tokens"), -1);
	int64_t expires = value_int(value_get(m, "expires_ms"), 0);
	const char *nick = app_member(a, m, "nick"), *source = app_member(a, m, "source");

	table_cell(t, app_member(a, m, "ref"), NULL, NULL);
	table_cell(t, *nick != '\0' ? nick : NULL, nick, *nick != '\0' ? "1" : NULL);
	table_cell(t, context < 0 ? NULL : out_count(a, context),
	    context < 0 ? "" : app_format(a, "%lld", (long long)context), NULL);
	table_cell(t, price(a, m, "input"), NULL, NULL);
	table_cell(t, price(a, m, "output"), NULL, NULL);
	table_cell(t,
	    expires > 0 ? app_format(a, "%s, %s", source, out_left(a, expires, now)) : source,
	    source, NULL);
}

/* One page; *next is the cursor of the following one, "" at the end. */
static int
print_page(struct app *a, struct table *t, const char *cursor, const char **next)
{
	const struct value *result, *list;
	struct pack *p = link_begin(a, "model.list");
	int r;

	pack_kv_str(p, "query", args_word(&a->args, 0));
	pack_kv_str(p, "provider", args_value(&a->args, "provider"));
	if (args_has(&a->args, "all"))
		pack_kv_bool(p, "catalog", true);
	pack_kv_int(p, "limit", 10000);
	pack_kv_str(p, "cursor", *cursor != '\0' ? cursor : NULL);
	if ((r = link_end(a, &result)) != 0)
		return r;
	*next = app_member(a, result, "next");
	list = value_get(result, "models");
	if (a->form == FORM_JSON)
		out_json(a, result);
	else
		for (size_t i = 0; i < value_size(list); i++)
			add_row(a, t, value_at(list, i), term_wall_ms());
	if (a->form == FORM_TEXT && value_size(list) == 0 && *cursor == '\0')
		note(a, "no model%s; see: mpc list --all, mpc add PROVIDER MODEL",
		    args_word(&a->args, 0) != NULL ? " matches" : " was added yet");
	return 0;
}

int
cmd_list(struct app *a)
{
	const char *cursor = "";
	struct table *t;
	int r;

	if ((r = no_more_words(a, 1)) != 0 || (r = link_open(a)) != 0)
		return r;
	t = table_new(a, columns, sizeof(columns) / sizeof(columns[0]));
	do {
		r = print_page(a, t, cursor, &cursor);
	} while (r == 0 && *cursor != '\0' && a->form != FORM_JSON);
	table_print(t);
	return r;
}

/* After `add`: a provider that needs a key and has none is asked about now. */
static int
offer_key(struct app *a, const char *provider)
{
	const struct value *result;
	struct error err = ERROR_INIT;

	pack_kv_str(link_begin(a, "provider.get"), "name", provider);
	if (link_try(a, &result, &err) != 0 ||
	    !value_equals(value_get(result, "status"), "no-credential"))
		return 0;
	if (a->form == FORM_TEXT && a->in_tty && a->err_tty && !a->no_input)
		return key_enter(a, provider);
	note(a, "%s has no key yet: mpc key set %s", provider, provider);
	return 0;
}

int
cmd_add(struct app *a)
{
	const char *provider = args_word(&a->args, 0), *model = args_word(&a->args, 1);
	const char *span = args_value(&a->args, "for"), *nick = args_value(&a->args, "nick"), *ref;
	const struct value *result;
	int64_t ttl = 0;
	struct pack *p;
	int r;

	if (a->args.word_count < 2)
		return fail_usage(a,
		    "add needs a provider and a model (the music client's add is another program)");
	if ((r = no_more_words(a, 2)) != 0 || (r = read_duration(a, span, &ttl)) != 0 ||
	    (r = link_open(a)) != 0)
		return r;
	p = link_begin(a, "model.add");
	pack_kv_str(p, "provider", provider);
	pack_kv_str(p, "model", model);
	pack_kv_str(p, "nick", nick);
	if (ttl > 0)
		pack_kv_int(p, "ttl_ms", ttl);
	if ((r = link_end(a, &result)) != 0)
		return r;
	ref = app_member(a, result, "ref");
	provider = app_member(a, result, "provider");
	if (a->form == FORM_JSON && !args_has(&a->args, "switch"))
		out_json(a, result);
	else if (a->form == FORM_PLAIN)
		printf("%s\n", ref);
	else if (a->form == FORM_TEXT && !a->quiet)
		printf("Added %s%s%s%s.\n  undo: mpc remove %s\n", ref, nick != NULL ? " as " : "",
		    nick != NULL ? nick : "",
		    ttl > 0 ? app_format(a, ", %s", out_left(a, ttl, 0)) : "", ref);
	if ((r = offer_key(a, provider)) != 0 || !args_has(&a->args, "switch"))
		return r;
	return switch_to(a, ref, "", ttl > 0, ttl);
}

int
cmd_remove(struct app *a)
{
	const char *ref = args_word(&a->args, 0);
	const struct value *result;
	int r;

	if (ref == NULL)
		return fail_usage(a, "remove needs a model");
	if ((r = no_more_words(a, 1)) != 0)
		return r;
	if (!app_confirm(a, "Remove %s?", app_escaped(a, slice_of(ref))))
		return EXIT_USAGE;
	if ((r = link_open(a)) != 0)
		return r;
	pack_kv_str(link_begin(a, "model.remove"), "ref", ref);
	if ((r = link_end(a, &result)) != 0)
		return r;
	if (a->form == FORM_JSON)
		out_json(a, result);
	else if (a->form == FORM_TEXT && !a->quiet)
		printf("Removed %s.\n", app_escaped(a, slice_of(ref)));
	return 0;
}

/* The server resolves any word; the word here was meant as a nickname. */
static int
fail_nick(struct app *a, const char *nick, struct error *err)
{
	struct error own = ERROR_INIT;

	if (err->code != MP_E_NOT_FOUND)
		return link_fail(a, err);
	error_set(&own, MP_E_NOT_FOUND, "there is no nickname \"%.64s\"", nick);
	error_hint(&own, "mpc list");
	return fail_err(a, &own);
}

int
cmd_nick(struct app *a)
{
	bool drop = args_has(&a->args, "delete");
	const char *ref = args_word(&a->args, 0), *nick = drop ? "" : args_word(&a->args, 1);
	struct error err = ERROR_INIT;
	const struct value *result;
	struct pack *p;
	int r;

	if (ref == NULL || nick == NULL)
		return fail_usage(a,
		    drop ? "nick --delete needs a nickname" : "nick needs a target and a nickname");
	if ((r = no_more_words(a, drop ? 1 : 2)) != 0 || (r = link_open(a)) != 0)
		return r;
	p = link_begin(a, "model.nick");
	pack_kv_str(p, "ref", ref);
	pack_kv_str(p, "nick", nick);
	if (link_try(a, &result, &err) != 0)
		return drop ? fail_nick(a, ref, &err) : link_fail(a, &err);
	if (a->form == FORM_JSON)
		out_json(a, result);
	else if (a->form == FORM_PLAIN)
		printf("%s\t%s\n", app_member(a, result, "ref"), app_member(a, result, "nick"));
	else if (!a->quiet && drop)
		printf("Deleted the nickname of %s.\n", app_member(a, result, "ref"));
	else if (!a->quiet)
		printf("%s is now also %s.\n  undo: mpc nick --delete %s\n",
		    app_member(a, result, "ref"), nick, nick);
	return 0;
}

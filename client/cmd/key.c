/* key: keys go in here and never come out (UX.md section 8). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/app.h"
#include "client/cmd/cmd.h"
#include "client/entry.h"
#include "client/link.h"
#include "client/out.h"
#include "client/term.h"
#include "protocol/client.h"

#define KEY_WEIGHT_LIMIT 100

/* ---- list ---- */

/* "ok, expires in 3 d"; NULL = nothing to say. */
static const char *
key_standing(struct app *a, const struct value *k, int64_t now)
{
	const char *end = out_expiry(a, value_int(value_get(k, "expires_ms"), 0), now);
	bool worked = value_int(value_get(k, "last_ok_ms"), 0) > 0;

	if (worked && *end != '\0')
		return app_format(a, "ok, %s", end);
	return worked ? "ok" : *end != '\0' ? end : NULL;
}

/* "stored", "/usr/bin/pass show x", "$NAME", "/run/keys/x" */
static const char *
key_from(struct app *a, const struct value *k)
{
	const char *from = app_member(a, k, "from");

	if (*from == '\0')
		return app_member(a, k, "source");
	return value_equals(value_get(k, "source"), "env") ? app_format(a, "$%s", from) : from;
}

static void
add_row(struct app *a, struct table *t, const struct value *k, int64_t now, bool with_weight)
{
	const char *last4 = app_member(a, k, "last4"), *code = app_member(a, k, "code");
	int64_t age = value_int(value_get(k, "age_ms"), -1),
		ok = value_int(value_get(k, "last_ok_ms"), 0);

	table_cell(t, app_member(a, k, "provider"), NULL, NULL);
	table_cell(t, app_member(a, k, "label"), NULL, NULL);
	table_cell(t, *last4 != '\0' ? app_format(a, "%s%s", a->utf8 ? "…" : "..", last4) : NULL,
	    last4, NULL);
	table_cell(t, app_member(a, k, "fingerprint"), NULL, NULL);
	table_cell(t, key_from(a, k), app_member(a, k, "source"), NULL);
	table_cell(t, age < 0 ? NULL : out_ago(a, now - age, now),
	    age < 0 ? "" : app_format(a, "%lld", (long long)age), NULL);
	table_cell(
	    t, out_ago(a, ok, now), ok > 0 ? app_format(a, "%lld", (long long)ok) : "", NULL);
	table_cell(t, *code != '\0' ? code : key_standing(a, k, now), code,
	    *code != '\0' ? "31" : NULL);
	if (with_weight)
		table_cell(t, app_format(a, "%lld", (long long)value_int(value_get(k, "weight"), 1)), NULL,
		    NULL);
}

/* To read: only where somebody gave one. */
static bool
shows_weights(const struct app *a, const struct value *list)
{
	bool any = a->form != FORM_TEXT;

	for (size_t i = 0; i < value_size(list); i++)
		any = any || value_int(value_get(value_at(list, i), "weight"), 1) != 1;
	return any;
}

static int
key_list(struct app *a, const char *provider)
{
	static const struct column columns[] = {{"PROVIDER", COLUMN_FIXED}, {"LABEL", COLUMN_TEXT},
	    {"KEY", COLUMN_FIXED}, {"FINGERPRINT", COLUMN_FIXED}, {"SOURCE", COLUMN_TEXT},
	    {"STORED", COLUMN_FIXED}, {"LAST OK", COLUMN_FIXED}, {"STATUS", COLUMN_TEXT},
	    {"WEIGHT", COLUMN_FIXED}};
	const struct value *result, *list;
	bool with_weight;
	struct table *t;
	int r;

	if ((r = link_open(a)) != 0)
		return r;
	pack_kv_str(link_begin(a, "key.status"), "provider", provider);
	if ((r = link_end(a, &result)) != 0)
		return r;
	if (a->form == FORM_JSON) {
		out_json(a, result);
		return 0;
	}
	list = value_get(result, "keys");
	if (a->form == FORM_TEXT && value_size(list) == 0) {
		note(a, "no key is stored; mpc key set PROVIDER");
		return 0;
	}
	with_weight = shows_weights(a, list);
	t = table_new(a, columns, sizeof(columns) / sizeof(columns[0]) - !with_weight);
	for (size_t i = 0; i < value_size(list); i++)
		add_row(a, t, value_at(list, i), term_wall_ms(), with_weight);
	table_print(t);
	return 0;
}

/* ---- set ---- */

/* Whether the provider, which exists, has a key of that label. 0 or an exit code. */
static int
key_look(struct app *a, const char *provider, const char *label, bool *has)
{
	const struct value *result, *list;
	int r;

	*has = false;
	pack_kv_str(link_begin(a, "provider.get"), "name", provider);
	if ((r = link_end(a, &result)) != 0)
		return r;
	provider = app_member(a, result, "name");
	pack_kv_str(link_begin(a, "key.status"), "provider", provider);
	if ((r = link_end(a, &result)) != 0)
		return r;
	list = value_get(result, "keys");
	for (size_t i = 0; i < value_size(list); i++)
		*has = *has || value_equals(value_get(value_at(list, i), "label"),
				   label != NULL ? label : "default");
	return 0;
}

/* Before anybody types: the provider exists, and replacing its key is meant. 0 or an exit code. */
int
key_ask_before(struct app *a, const char *provider, const char *label)
{
	bool has;
	int r;

	if ((r = key_look(a, provider, label, &has)) != 0)
		return r;
	if (!has || !a->in_tty || app_confirm(a, "%s has a key already. Replace it?", provider))
		return 0;
	return EXIT_USAGE;
}

void
key_say_taken(struct app *a, const char *what, const struct entry *e)
{
	if (a->quiet || a->form != FORM_TEXT)
		return;
	fputs(what, stderr);
	if (e->len >= 20)
		fprintf(stderr, "%zu characters, ending in %.4s\n", e->len, e->bytes + e->len - 4);
	else
		fprintf(stderr, "%zu characters\n", e->len);
}

void
key_pack_weight(struct app *a, struct pack *p)
{
	if (args_has(&a->args, "weight"))
		pack_kv_int(p, "weight", strtol(args_value(&a->args, "weight"), NULL, 10));
}

int
key_send(struct app *a, const char *provider, const char *label, const struct entry *e,
    const struct value **result)
{
	struct pack *p = link_begin_secret(a, "key.set");

	pack_kv_str(p, "provider", provider);
	pack_kv_str(p, "label", label);
	key_pack_weight(a, p);
	pack_str(p, "secret");
	pack_bin(p, e->bytes, e->len);
	return link_end(a, result);
}

void
key_say_stored(struct app *a, const struct value *result)
{
	if (a->form == FORM_PLAIN)
		printf("%s\t%s\t%s\n", app_member(a, result, "provider"),
		    app_member(a, result, "label"), app_member(a, result, "fingerprint"));
	else if (!a->quiet)
		printf("Stored the key of %s (fingerprint %s).\n",
		    app_member(a, result, "provider"), app_member(a, result, "fingerprint"));
}

static int
store(struct app *a, const char *provider, const char *label, const struct entry *e)
{
	const struct value *result;
	int r = key_send(a, provider, label, e, &result);

	if (r == 0 && a->form == FORM_JSON)
		out_json(a, result);
	else if (r == 0)
		key_say_stored(a, result);
	return r;
}

int
key_source(struct app *a, int *fd)
{
	const char *text = args_value(&a->args, "fd");
	char *end;
	long n;

	*fd = args_has(&a->args, "stdin") ? STDIN_FILENO : -1;
	if (text == NULL)
		return 0;
	if (*fd >= 0)
		return fail_usage(a, "--stdin and --fd exclude each other");
	n = strtol(text, &end, 10);
	if (end == text || *end != '\0' || n < 0 || n > 1023)
		return fail_usage(a, "--fd needs the number of an open descriptor");
	*fd = (int)n;
	return 0;
}

int
key_read(struct app *a, int fd, const char *question, struct entry *e)
{
	struct error err = ERROR_INIT;
	int r = entry_init(e, &err);

	if (r == 0 && fd >= 0)
		r = entry_read_fd(e, fd, &err);
	else if (r == 0)
		r = entry_read_terminal(e, question, &err);
	if (r == 0)
		r = entry_check(e, &err);
	if (r != 0) {
		entry_clear(e);
		return fail_err(a, &err);
	}
	if (fd < 0)
		key_say_taken(a, "", e);
	return 0;
}

/* Only --weight, and the key is there: nothing else of it changes. False when a key has to come; else *r is 0
 * or an exit code. The link is open. */
static bool
weigh(struct app *a, const char *provider, const char *label, int *r)
{
	const struct value *result;
	struct pack *p;
	bool has = false;

	if (!args_has(&a->args, "weight") || (*r = key_look(a, provider, label, &has)) != 0)
		return args_has(&a->args, "weight");
	if (!has)
		return false;
	p = link_begin_secret(a, "key.set");
	pack_kv_str(p, "provider", provider);
	pack_kv_str(p, "label", label);
	key_pack_weight(a, p);
	if ((*r = link_end(a, &result)) != 0)
		return true;
	if (a->form == FORM_JSON)
		out_json(a, result);
	else if (a->form == FORM_PLAIN)
		key_say_stored(a, result);
	else if (!a->quiet)
		printf("The key %s of %s has the weight %lld.\n", app_member(a, result, "label"),
		    app_member(a, result, "provider"), (long long)value_int(value_get(result, "weight"), 1));
	return true;
}

static bool
weight_valid(const struct app *a)
{
	const char *text = args_value(&a->args, "weight");
	char *end;
	long n;

	if (text == NULL)
		return true;
	n = strtol(text, &end, 10);
	return end != text && *end == '\0' && n >= 1 && n <= KEY_WEIGHT_LIMIT;
}

/* Reads, checks, stores and wipes. The link is open. */
static int
take(struct app *a, const char *provider, const char *label, int fd)
{
	struct entry e = {0};
	int r = key_read(a, fd, app_format(a, "Key for %s: ", provider), &e);

	if (r == 0)
		r = store(a, provider, label, &e);
	entry_clear(&e);
	return r;
}

int
key_enter(struct app *a, const char *provider)
{
	int r = take(a, provider, NULL, -1);

	return r == 0 && !args_has(&a->args, "no-check") ? check_one(a, provider, NULL, false) : r;
}

/* Not repeated in the message: it is in the history of the shell already. */
int
key_refuse_argument(struct app *a)
{
	struct error err = ERROR_INIT;

	error_set(&err, MP_E_INVALID_PARAMS, "a key is never taken from the command line");
	error_hint(&err, "mpc key set PROVIDER asks for it, --stdin and --fd N read it; and make a "
			 "new key at the provider, "
			 "this one is no secret any more");
	return fail_as(a, &err,
	    "it is now in your shell's history and was visible to every user in the process list",
	    "usage", EXIT_USAGE);
}

static int
key_set(struct app *a)
{
	const char *provider = args_word(&a->args, 1), *label = args_value(&a->args, "label");
	int fd, r;

	if (provider == NULL)
		return fail_usage(a, "key set needs a provider");
	if (a->args.word_count > 2 || entry_looks_like_key(provider) ||
	    (label != NULL && entry_looks_like_key(label)))
		return key_refuse_argument(a);
	if (!weight_valid(a))
		return fail_usage(a, "--weight needs a number from 1 to %d", KEY_WEIGHT_LIMIT);
	if (key_set_source(a, provider, label, &r))
		return r != 0 || args_has(&a->args, "no-check") ? r
		                                                 : check_one(a, provider, label, false);
	if ((r = key_source(a, &fd)) != 0)
		return r;
	if (fd < 0 && a->no_input && !args_has(&a->args, "weight"))
		return fail_usage(a, "with --no-input the key must come by --stdin or --fd");
	if ((r = link_open(a)) != 0)
		return r;
	if (fd < 0 && weigh(a, provider, label, &r))
		return r;
	if (fd < 0 && a->no_input)
		return fail_usage(a, "with --no-input the key must come by --stdin or --fd");
	if (fd < 0 && (r = key_ask_before(a, provider, label)) != 0)
		return r;
	if ((r = take(a, provider, label, fd)) != 0 || args_has(&a->args, "no-check"))
		return r;
	return check_one(a, provider, label, false);
}

/* ---- delete ---- */

static int
key_delete(struct app *a)
{
	const char *provider = args_word(&a->args, 1), *label = args_value(&a->args, "label");
	const struct value *result;
	struct pack *p;
	int r;

	if (provider == NULL)
		return fail_usage(a, "key delete needs a provider");
	if (a->args.word_count > 2)
		return key_refuse_argument(a);
	if (!app_confirm(a, "Delete the key of %s%s%s?", app_escaped(a, slice_of(provider)),
		label != NULL ? ", label " : "",
		label != NULL ? app_escaped(a, slice_of(label)) : ""))
		return EXIT_USAGE;
	if ((r = link_open(a)) != 0)
		return r;
	p = link_begin(a, "key.delete");
	pack_kv_str(p, "provider", provider);
	pack_kv_str(p, "label", label);
	if ((r = link_end(a, &result)) != 0)
		return r;
	if (a->form == FORM_JSON)
		out_json(a, result);
	else if (a->form == FORM_TEXT && !a->quiet)
		printf("Deleted the key of %s.\n", app_escaped(a, slice_of(provider)));
	return 0;
}

int
cmd_key(struct app *a)
{
	const char *sub = args_word(&a->args, 0);
	int r;

	if (sub == NULL)
		return key_list(a, NULL);
	if (strcmp(sub, "list") == 0)
		return (r = no_more_words(a, 2)) != 0 ? r : key_list(a, args_word(&a->args, 1));
	if (strcmp(sub, "set") == 0)
		return key_set(a);
	if (strcmp(sub, "delete") == 0)
		return key_delete(a);
	if (strcmp(sub, "import") == 0)
		return key_import(a);
	if (entry_looks_like_key(sub))
		return key_refuse_argument(a);
	return fail_usage(a, "key knows list, set, import and delete, not \"%.20s\"", sub);
}

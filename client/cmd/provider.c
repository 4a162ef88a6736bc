/* provider: add, change, look for local ones. */
#include <stdio.h>
#include <string.h>

#include "client/app.h"
#include "client/cmd/cmd.h"
#include "client/input.h"
#include "client/limits.h"
#include "client/link.h"
#include "client/out.h"
#include "client/term.h"
#include "protocol/limits.h"

#define FEATURES_MAX 8 /* that a server shows of itself */

static const char *
name_word(struct app *a)
{
	return args_word(&a->args, 1);
}

static int
need_words(struct app *a, size_t n, const char *what)
{
	if (a->args.word_count < n)
		return fail_usage(a, "provider %s needs %s", args_word(&a->args, 0), what);
	return no_more_words(a, n);
}

/* The result of a change: the provider as it is now, and its state unless the verb says it. */
static int
print_changed(struct app *a, const struct value *p, const char *what)
{
	if (a->form == FORM_JSON)
		out_json(a, p);
	else if (a->form == FORM_PLAIN)
		printf("%s\n", app_member(a, p, "name"));
	else if (!a->quiet)
		printf("%s %s%s.\n", what, app_member(a, p, "name"),
		    strcmp(what, "Disabled") == 0
			? ""
			: app_format(a, " (%s)", app_member(a, p, "status")));
	return 0;
}

/* What the change means that one may not have thought of. */
static void
note_warnings(struct app *a, const struct value *result)
{
	const struct value *warnings = value_get(result, "warnings");

	for (size_t i = 0; i < value_size(warnings); i++)
		note(a, "%s", app_text(a, value_at(warnings, i)));
}

/* ---- show ---- */

static void
print_value(struct app *a, const struct value *v)
{
	struct buf b = BUF_INIT, safe = BUF_INIT;
	struct json_writer w;

	if (value_type(v) == VALUE_STR) {
		fputs(app_text(a, v), stdout);
		return;
	}
	json_writer_init(&w, &b, false);
	value_to_json(v, &w);
	text_escape(&safe, buf_str(&b), b.len, false);
	fputs(buf_str(&safe), stdout);
	buf_clear(&b);
	buf_clear(&safe);
}

/* Which key it is and how it has been doing. */
static void
print_key(struct app *a, const struct value *k, int64_t now)
{
	const char *last4 = app_member(a, k, "last4"), *code = app_member(a, k, "code"), *end;
	int64_t stored = value_int(value_get(k, "created_ms"), 0),
		worked = value_int(value_get(k, "last_ok_ms"), 0);

	if (*last4 != '\0')
		printf("%s%s, ", a->utf8 ? "…" : "..", last4);
	printf("label %s, stored %s, %s%s", app_member(a, k, "label"), out_since(a, stored, now),
	    worked > 0 ? "last worked " : "never worked yet",
	    worked > 0 ? out_since(a, worked, now) : "");
	if (*code != '\0')
		printf(", %s", code);
	end = out_expiry(a, value_int(value_get(k, "expires_ms"), 0), now);
	if (*end != '\0')
		printf(", %s", end);
}

/* A member in words where the value says too little to people. False: as it is. */
static bool
print_words(struct app *a, const char *key, const struct value *v)
{
	int64_t now = term_wall_ms(), at = value_int(v, 0);

	if (strcmp(key, "limits") == 0 && value_size(v) > 0)
		fputs(limits_words(a, v, now), stdout);
	else if (strcmp(key, "key") == 0 && value_size(v) > 0)
		print_key(a, v, now);
	else if (strcmp(key, "status_until_ms") == 0 && at > now)
		fputs(out_left(a, at, now), stdout);
	else
		return false;
	return true;
}

static int
provider_show(struct app *a)
{
	const struct value *result, *v;
	int r;

	if ((r = need_words(a, 2, "a name")) != 0 || (r = link_open(a)) != 0)
		return r;
	pack_kv_str(link_begin(a, "provider.get"), "name", name_word(a));
	if ((r = link_end(a, &result)) != 0)
		return r;
	if (a->form == FORM_JSON) {
		out_json(a, result);
		return 0;
	}
	for (size_t i = 0; i < value_size(result); i++) {
		const char *key = app_escaped(a, value_pair(result, i, &v));

		if (a->form == FORM_PLAIN)
			printf("%s\t", key);
		else
			printf("%s%-18s%s ", sgr_out(a, "1"), key, sgr_out(a, "0"));
		if (a->form == FORM_PLAIN || !print_words(a, key, v))
			print_value(a, v);
		putchar('\n');
	}
	return 0;
}

/* ---- add ---- */

/* What to write into the new provider. Texts live until the end of the run; NULL = left to the daemon. */
struct found {
	const char *dialect, *url;
	const char *assumed; /* why nothing was found; said once the provider is there */
	const char *features[FEATURES_MAX];
	size_t feature_count;
	bool wants_key;
};

static void
read_found(struct app *a, const struct value *v, struct found *f)
{
	const struct value *features = value_get(v, "features");

	f->dialect = app_member(a, v, "dialect");
	f->url = app_member(a, v, "base_url");
	f->wants_key = value_bool(value_get(v, "wants_key"), false);
	for (size_t i = 0; i < value_size(features) && f->feature_count < FEATURES_MAX; i++)
		f->features[f->feature_count++] = app_text(a, value_at(features, i));
}

/* Which language the server speaks. Nobody who could tell is no failure: it may not run yet. What is
 * wrong with the URL or the link, provider.add says. */
static void
recognize(struct app *a, struct found *f)
{
	const char *url = args_value(&a->args, "url"), *shown = app_escaped(a, slice_of(url));
	struct error err = ERROR_INIT;
	const struct value *v;
	int r;

	pack_kv_str(link_begin(a, "provider.recognize"), "base_url", url);
	link_long(a);
	r = link_try(a, &v, &err);
	if (r == MP_E_INVALID_PARAMS || r == MP_E_UNKNOWN_METHOD)
		return;
	if (r != 0) {
		f->assumed =
		    app_format(a, "%s; openai-chat is assumed (--dialect D)", err.message);
		return;
	}
	read_found(a, v, f);
	note(a, "%s speaks %s: %s", shown, f->dialect, app_member(a, v, "evidence"));
	if (strcmp(f->url, shown) != 0)
		note(a, "the base URL is %s", f->url);
}

static void
write_features(struct pack *p, const struct found *f)
{
	if (f->feature_count == 0)
		return;
	pack_str(p, "features");
	pack_array_begin(p);
	for (size_t i = 0; i < f->feature_count; i++)
		pack_str(p, f->features[i]);
	pack_array_end(p);
}

/* A question on a terminal only: elsewhere the note says what was taken. */
static bool
accept_found(struct app *a, const struct found *f)
{
	if (f->url == NULL || a->yes || a->no_input || !a->in_tty || !a->err_tty)
		return true;
	return app_confirm(
	    a, "Add %s as %s?", app_escaped(a, slice_of(name_word(a))), f->dialect);
}

static int
provider_add(struct app *a)
{
	struct found f = {.dialect = args_value(&a->args, "dialect")};
	const struct value *result;
	struct pack *p;
	int r;

	if ((r = need_words(a, 2, "a name")) != 0)
		return r;
	/* programs and the echo have no address; what a dialect needs, the daemon knows */
	if (args_value(&a->args, "url") == NULL && f.dialect == NULL)
		return fail_usage(a, "provider add needs --url URL");
	if ((r = link_open(a)) != 0)
		return r;
	if (f.dialect == NULL)
		recognize(a, &f);
	if (!accept_found(a, &f))
		return EXIT_USAGE;
	p = link_begin(a, "provider.add");
	pack_kv_str(p, "name", name_word(a));
	pack_kv_str(p, "base_url", f.url != NULL ? f.url : args_value(&a->args, "url"));
	pack_kv_str(p, "dialect", f.dialect);
	pack_kv_str(p, "type", args_value(&a->args, "type"));
	pack_kv_str(p, "auth_type", args_value(&a->args, "auth"));
	write_features(p, &f);
	if ((r = link_end(a, &result)) != 0)
		return r;
	note_warnings(a, result);
	print_changed(a, result, "Added");
	if (f.assumed != NULL)
		note(a, "%s", f.assumed);
	if (value_equals(value_get(result, "status"), "no-credential") ||
	    (f.wants_key && !value_equals(value_get(result, "auth_type"), "none")))
		note(a, "it %s: mpc key set %s",
		    f.wants_key ? "wants a key" : "has no key yet", app_member(a, result, "name"));
	return 0;
}

/* ---- set and its kin ---- */

/* Short forms of the options for the members of Provider. */
static const char *
member_name(const char *word, size_t n, char *out, size_t size)
{
	static const char *const names[][2] = {
	    {"url", "base_url"}, {"auth", "auth_type"}, {"ca", "ca_file"}, {"env", "key_env"}};

	snprintf(out, size, "%.*s", (int)n, word);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(out, names[i][0]) == 0)
			return names[i][1];
	return out;
}

/* told: what the change means was read before. */
static int
provider_update(struct app *a, const char *what, bool told)
{
	const struct value *result;
	int r = link_end(a, &result);

	if (r != 0)
		return r;
	if (!told)
		note_warnings(a, result);
	return print_changed(a, result, what);
}

static struct pack *
begin_update(struct app *a)
{
	struct pack *p = link_begin(a, "provider.update");

	pack_kv_str(p, "name", name_word(a));
	pack_str(p, "set");
	pack_map_begin(p);
	return p;
}

static int
provider_set(struct app *a)
{
	struct pack *p;
	char name[LIMIT_NAME_BYTES + 1];
	int r;

	if (a->args.word_count < 3)
		return fail_usage(a, "provider set needs a name and KEY=VALUE");
	for (size_t i = 2; i < a->args.word_count; i++) {
		const char *word = args_word(&a->args, i), *equals = strchr(word, '=');

		if (equals == NULL || equals == word || (size_t)(equals - word) >= sizeof(name))
			return fail_usage(a, "word %zu is not of the form KEY=VALUE", i + 1);
		if (strncmp(word, "key=", 4) == 0 || strncmp(word, "secret=", 7) == 0)
			return fail_usage(a,
			    "a key is never taken from the command line: mpc key set %s",
			    app_escaped(a, slice_of(name_word(a))));
	}
	if ((r = link_open(a)) != 0)
		return r;
	p = begin_update(a);
	for (size_t i = 2; i < a->args.word_count; i++) {
		const char *word = args_word(&a->args, i), *equals = strchr(word, '=');

		pack_str(p, member_name(word, (size_t)(equals - word), name, sizeof(name)));
		input_option_value(p, equals + 1);
	}
	pack_map_end(p);
	return provider_update(a, "Changed", false);
}

static int
provider_rename(struct app *a)
{
	struct pack *p;
	int r;

	if ((r = need_words(a, 3, "a name and the new one")) != 0 || (r = link_open(a)) != 0)
		return r;
	p = begin_update(a);
	pack_kv_str(p, "name", args_word(&a->args, 2));
	pack_map_end(p);
	return provider_update(a, "Renamed; it is now", false);
}

/* What turning a provider on means is read before, on a terminal; elsewhere the result tells it. */
static int
accept_terms(struct app *a, bool *told, bool *accepted)
{
	const struct value *p;
	const char *terms;
	int r;

	*accepted = true;
	if (a->yes || a->no_input || !a->in_tty || !a->err_tty)
		return 0;
	pack_kv_str(link_begin(a, "provider.get"), "name", name_word(a));
	if ((r = link_end(a, &p)) != 0)
		return r;
	terms = app_member(a, p, "terms");
	if (*terms == '\0' || value_bool(value_get(p, "enabled"), false))
		return 0;
	note(a, "%s", terms);
	*told = true;
	*accepted = app_confirm(a, "Enable %s?", app_member(a, p, "name"));
	return 0;
}

static int
set_enabled(struct app *a, bool on)
{
	bool told = false, accepted = true;
	struct pack *p;
	int r;

	if ((r = need_words(a, 2, "a name")) != 0 || (r = link_open(a)) != 0 ||
	    (on && (r = accept_terms(a, &told, &accepted)) != 0))
		return r;
	if (!accepted)
		return EXIT_USAGE;
	p = begin_update(a);
	pack_kv_bool(p, "enabled", on);
	pack_map_end(p);
	return provider_update(a, on ? "Enabled" : "Disabled", told);
}

static int
provider_enable(struct app *a)
{
	return set_enabled(a, true);
}

static int
provider_disable(struct app *a)
{
	return set_enabled(a, false);
}

static int
provider_remove(struct app *a)
{
	bool cascade = args_has(&a->args, "cascade");
	const struct value *result;
	struct pack *p;
	int r;

	if ((r = need_words(a, 2, "a name")) != 0)
		return r;
	if (!app_confirm(a, "Remove provider %s%s?", app_escaped(a, slice_of(name_word(a))),
		cascade ? " with its keys, models and overrides" : ""))
		return EXIT_USAGE;
	if ((r = link_open(a)) != 0)
		return r;
	p = link_begin(a, "provider.remove");
	pack_kv_str(p, "name", name_word(a));
	if (cascade)
		pack_kv_bool(p, "cascade", true);
	if ((r = link_end(a, &result)) != 0)
		return r;
	if (a->form == FORM_JSON)
		out_json(a, result);
	else if (a->form == FORM_TEXT && !a->quiet)
		printf("%s %s.\n",
		    value_bool(value_get(result, "reverted"), false) ? "Back as shipped:" : "Removed",
		    app_escaped(a, slice_of(name_word(a))));
	return 0;
}

/* ---- detect ---- */

static int
provider_detect(struct app *a)
{
	static const struct column columns[] = {
	    {"NAME", COLUMN_FIXED}, {"URL", COLUMN_FIXED}, {"MODELS", COLUMN_NUMBER},
	    {"FIRST MODEL", COLUMN_TEXT}};
	const struct value *result, *list;
	struct table *t;
	int r;

	if ((r = need_words(a, 1, "nothing more")) != 0 || (r = link_open(a)) != 0)
		return r;
	link_begin(a, "provider.detect");
	link_long(a);
	if ((r = link_end(a, &result)) != 0)
		return r;
	if (a->form == FORM_JSON) {
		out_json(a, result);
		return 0;
	}
	list = value_get(result, "found");
	if (value_size(list) == 0) {
		note(a, "no local server answers at the usual addresses; add yours: "
			"mpc provider add NAME --url http://127.0.0.1:PORT/v1");
		return 0;
	}
	t = table_new(a, columns, sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < value_size(list); i++) {
		const struct value *p = value_at(list, i), *models = value_get(p, "models");
		const char *name = app_member(a, p, "name");

		table_cell(t, name, NULL, NULL);
		table_cell(t, app_member(a, p, "base_url"), NULL, NULL);
		table_cell(t,
		    app_format(a, "%lld", (long long)value_int(value_get(p, "models_count"), 0)),
		    NULL, NULL);
		/* as `mpc switch` takes it */
		if (value_size(models) > 0)
			table_cell(t,
			    app_format(a, "%s:%s", name, app_text(a, value_at(models, 0))), NULL,
			    NULL);
		else
			table_cell(t, NULL, "", NULL);
	}
	table_print(t);
	return 0;
}

int
cmd_provider(struct app *a)
{
	static const struct {
		const char *name;
		int (*run)(struct app *a);
	} subs[] = {{"list", cmd_providers}, {"show", provider_show}, {"add", provider_add},
	    {"set", provider_set}, {"rename", provider_rename}, {"remove", provider_remove},
	    {"enable", provider_enable}, {"disable", provider_disable},
	    {"detect", provider_detect}};
	const char *sub = args_word(&a->args, 0);

	if (sub == NULL)
		return cmd_providers(a);
	for (size_t i = 0; i < sizeof(subs) / sizeof(subs[0]); i++)
		if (strcmp(subs[i].name, sub) == 0)
			return subs[i].run(a);
	return fail_usage(a,
	    "provider knows list, show, add, set, rename, remove, enable, disable and detect, not "
	    "\"%.40s\"",
	    sub);
}

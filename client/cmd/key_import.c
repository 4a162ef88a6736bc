/* key import: keys that wait in our own environment go into the vault (THREATS.md section 3.4). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/app.h"
#include "client/cmd/cmd.h"
#include "client/entry.h"
#include "client/link.h"
#include "client/out.h"
#include "protocol/base/buf.h"
#include "protocol/base/json.h"
#include "protocol/base/secret.h"

#define IMPORT_MAX 32

/* A variable that a provider reads its key from. Texts live until the end of the run. */
struct candidate {
	const char *provider, *variable;
	bool has_key; /* of the label "default" */
	bool ready;   /* worth a check once it has its key */
};

struct candidates {
	struct candidate of[IMPORT_MAX];
	size_t count;
};

static bool
is_set(const char *variable)
{
	const char *value = getenv(variable);

	return value != NULL && *value != '\0';
}

static void
add_provider(struct app *a, struct candidates *c, const struct value *p)
{
	const struct value *auth = value_get(p, "auth_type"), *key = value_get(p, "key");

	if (value_size(value_get(p, "key_env")) == 0 || c->count == IMPORT_MAX ||
	    (!value_equals(auth, "api-key") && !value_equals(auth, "optional-key")))
		return;
	c->of[c->count++] = (struct candidate){.provider = app_member(a, p, "name"),
	    .variable = app_member(a, p, "key_env"),
	    .has_key = key != NULL,
	    .ready = value_bool(value_get(p, "enabled"), true) &&
		     value_bool(value_get(p, "supported"), true)};
}

/* Every provider that names a variable. 0 or MP_E_... */
static int
find(struct app *a, struct candidates *c, struct error *err)
{
	const struct value *result, *list;
	int r;

	link_begin(a, "provider.list");
	if ((r = link_try(a, &result, err)) != 0)
		return r;
	list = value_get(result, "providers");
	for (size_t i = 0; i < value_size(list); i++)
		add_provider(a, c, value_at(list, i));
	return 0;
}

/* "A, B and C" of those that are set, or of all; every name once. */
static const char *
variables(struct app *a, const struct candidates *c, bool set)
{
	const char *names[IMPORT_MAX];
	struct buf b = BUF_INIT;
	const char *out;
	size_t n = 0;

	for (size_t i = 0; i < c->count; i++) {
		bool known = set && !is_set(c->of[i].variable);

		for (size_t k = 0; k < n; k++)
			known = known || strcmp(names[k], c->of[i].variable) == 0;
		if (!known)
			names[n++] = c->of[i].variable;
	}
	for (size_t i = 0; i < n; i++)
		buf_addf(&b, "%s%s", i == 0 ? "" : i + 1 == n ? " and " : ", ", names[i]);
	out = app_format(a, "%s", buf_str(&b));
	buf_clear(&b);
	return out;
}

/* ---- which ---- */

static bool
is_wanted(struct app *a, const char *variable)
{
	const char *word = args_word(&a->args, 1);

	for (size_t i = 1; word != NULL; word = args_word(&a->args, ++i))
		if (strcmp(word, variable) == 0)
			return true;
	return a->args.word_count == 1;
}

/* A word that names no variable of ours may be a key: it is repeated only when it cannot be one. */
static int
check_words(struct app *a)
{
	const char *word;

	for (size_t i = 1; (word = args_word(&a->args, i)) != NULL; i++)
		if (getenv(word) == NULL && entry_looks_like_key(word))
			return key_refuse_argument(a);
	return 0;
}

static int
fail_not_set(struct app *a, const char *variable)
{
	struct error err = ERROR_INIT;

	error_set(&err, MP_E_NOT_FOUND, "%s is not set", variable);
	error_hint(&err, "export it, or type the key: mpc key set PROVIDER");
	return fail_err(a, &err);
}

static int
fail_not_read(struct app *a, const char *variable, const struct candidates *c)
{
	struct error err = ERROR_INIT;

	error_set(&err, MP_E_NOT_FOUND, "no provider has its key in %s", variable);
	error_hint(&err, "mpc provider set PROVIDER env=NAME; known: %s", variables(a, c, false));
	return fail_err(a, &err);
}

/* Named ones must be there, each of them. 0 or an exit code. */
static int
check_named(struct app *a, const struct candidates *c)
{
	const char *word;

	for (size_t i = 1; (word = args_word(&a->args, i)) != NULL; i++) {
		const char *shown = app_escaped(a, slice_of(word));
		bool known = false;

		for (size_t k = 0; k < c->count; k++)
			known = known || strcmp(c->of[k].variable, word) == 0;
		if (!known)
			return fail_not_read(a, shown, c);
		if (!is_set(word))
			return fail_not_set(a, shown);
	}
	return 0;
}

/* Keeps what shall be taken. 0 or an exit code. */
static int
choose(struct app *a, struct candidates *c)
{
	struct error err = ERROR_INIT;
	size_t n = 0;
	int r = check_named(a, c);

	if (r != 0)
		return r;
	error_set(&err, MP_E_NOT_FOUND, "no key waits in the environment");
	error_hint(&err, "looked for %s; or type the key: mpc key set PROVIDER",
	    variables(a, c, false));
	for (size_t i = 0; i < c->count; i++)
		if (is_set(c->of[i].variable) && is_wanted(a, c->of[i].variable))
			c->of[n++] = c->of[i];
	c->count = n;
	return n > 0 ? 0 : fail_err(a, &err);
}

/* ---- taking ---- */

/* The bytes go where nobody else sees them; where they stood, /proc/PID/environ shows nothing more. */
static int
read_variable(struct entry *e, const char *variable, bool last, struct error *err)
{
	char *value = getenv(variable);
	size_t n = value != NULL ? strlen(value) : 0;
	int r;

	if ((r = entry_init(e, err)) != 0)
		return r;
	if (n > ENTRY_MAX_BYTES)
		r = error_set(
		    err, MP_E_INVALID_PARAMS, "the key is longer than %d bytes", ENTRY_MAX_BYTES);
	if (r == 0 && n > 0)
		memcpy(e->bytes, value, n);
	e->len = r == 0 ? n : 0;
	if (last && value != NULL) {
		secret_wipe(value, n);
		unsetenv(variable);
	}
	return r != 0 ? r : entry_check(e, err);
}

/* Whether no later one reads the same variable. */
static bool
is_last(const struct candidates *c, size_t i)
{
	for (size_t k = i + 1; k < c->count; k++)
		if (strcmp(c->of[k].variable, c->of[i].variable) == 0)
			return false;
	return true;
}

/* One result of key.set into the open array. */
static void
write_imported(const struct candidate *c, const struct value *result, struct json_writer *w)
{
	const struct value *v;

	json_begin_object(w);
	json_kv_string(w, "variable", c->variable);
	for (size_t i = 0; i < value_size(result); i++) {
		struct slice key = value_pair(result, i, &v);

		json_key_n(w, key.data, key.len);
		value_to_json(v, w);
	}
	json_end_object(w);
}

static int
take(struct app *a, const struct candidates *c, size_t i, struct json_writer *w)
{
	const struct candidate *one = &c->of[i];
	const struct value *result;
	struct error err = ERROR_INIT;
	struct entry e = {0};
	int r;

	if (one->has_key && !app_confirm(a, "%s has a key already. Replace it by the one in %s?",
				one->provider, one->variable))
		return EXIT_USAGE;
	if (read_variable(&e, one->variable, is_last(c, i), &err) != 0) {
		r = fail_as(a, &err, app_format(a, "it stands in %s", one->variable),
		    error_code(err.code), error_exit_code(err.code));
	} else {
		key_say_taken(a, app_format(a, "%s: ", one->variable), &e);
		r = key_send(a, one->provider, NULL, &e, &result);
		if (r == 0 && w != NULL)
			write_imported(one, result, w);
		else if (r == 0)
			key_say_stored(a, result);
	}
	entry_clear(&e);
	return r;
}

/* Those that came in are tried, all at once. */
static int
take_all(struct app *a, const struct candidates *c, struct json_writer *w)
{
	const char *names[IMPORT_MAX];
	bool check = !args_has(&a->args, "no-check");
	size_t n = 0;
	int r, worst = 0;

	for (size_t i = 0; i < c->count; i++) {
		r = take(a, c, i, w);
		if (r == 0 && c->of[i].ready)
			names[n++] = c->of[i].provider;
		if (worst == 0)
			worst = r;
	}
	if (w != NULL) {
		json_end_array(w);
		json_key(w, "checks");
		json_begin_array(w);
	}
	fflush(stdout);
	r = check && n > 0 ? check_many(a, names, n, NULL, false, w) : 0;
	return worst != 0 ? worst : r;
}

/* {"imported":[...],"checks":[...]}: several results are no single RPC result. */
static int
take_json(struct app *a, const struct candidates *c)
{
	struct buf b = BUF_INIT;
	struct json_writer w;
	int r;

	json_writer_init(&w, &b, a->out_tty);
	json_begin_object(&w);
	json_key(&w, "imported");
	json_begin_array(&w);
	r = take_all(a, c, &w);
	json_end_array(&w);
	json_end_object(&w);
	printf("%s\n", buf_str(&b));
	buf_clear(&b);
	return r;
}

int
key_import(struct app *a)
{
	struct candidates c = {.count = 0};
	struct error err = ERROR_INIT;
	int r;

	if (!args_has(&a->args, "from-env"))
		return fail_usage(a, "key import needs --from-env");
	if ((r = check_words(a)) != 0 || (r = link_open(a)) != 0)
		return r;
	if (find(a, &c, &err) != 0)
		return link_fail(a, &err);
	if ((r = choose(a, &c)) != 0)
		return r;
	return a->form == FORM_JSON ? take_json(a, &c) : take_all(a, &c, NULL);
}

/* ---- the offer ---- */

void
key_offer_import(struct app *a)
{
	struct candidates c = {.count = 0};
	struct error ignored = ERROR_INIT;
	const struct value *result;
	const char *set;

	if (a->quiet || a->form != FORM_TEXT || !a->out_tty || !a->err_tty)
		return;
	if (find(a, &c, &ignored) != 0 || *(set = variables(a, &c, true)) == '\0')
		return;
	link_begin(a, "key.status");
	if (link_try(a, &result, &ignored) != 0 || value_size(value_get(result, "keys")) > 0)
		return;
	note(a, "%s %s set; mpc key import --from-env takes %s in", set,
	    strstr(set, " and ") != NULL ? "are" : "is",
	    strstr(set, " and ") != NULL ? "them" : "it");
}

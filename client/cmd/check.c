/* check: does the key work, does the endpoint answer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/app.h"
#include "client/cmd/cmd.h"
#include "client/fail.h"
#include "client/limits.h"
#include "client/link.h"
#include "client/out.h"
#include "client/term.h"
#include "protocol/base/json.h"

#define CHECKS_MAX 60   /* at once; the daemon takes 64 requests of one connection */
#define WARNINGS_MAX 4

/* What a reply, which lives only for a moment, leaves behind. Texts live until the end of the run. */
struct outcome {
	const char *name;
	struct error err; /* code 0: it works */
	bool refused;     /* the request itself failed: there is no result */
	const char *ref;
	int64_t latency_ms, models, first_token_ms;
	bool answers;
	const char *warnings[WARNINGS_MAX];
	size_t warning_count;
	const char *key, *limits; /* in words, "" = nothing known */
	const char *json;         /* the result as it came */
};

struct checks {
	struct app *a;
	struct outcome *of;
	size_t count, done;
};

static void
begin(struct app *a, const char *name, const char *label, bool deep)
{
	struct pack *p = link_begin(a, "provider.check");

	pack_kv_str(p, "name", name);
	pack_kv_str(p, "label", label);
	if (deep)
		pack_kv_bool(p, "deep", true);
}

static const char *
keep_json(struct app *a, const struct value *v)
{
	struct buf b = BUF_INIT;
	struct json_writer w;
	const char *out;

	json_writer_init(&w, &b, false);
	value_to_json(v, &w);
	out = app_format(a, "%s", buf_str(&b));
	buf_clear(&b);
	return out;
}

/* "key …f3a9 ok": which one it was, and what the provider thought of it. */
static const char *
key_words(struct app *a, const struct value *key)
{
	const char *last4 = app_member(a, key, "last4"), *label = app_member(a, key, "label");
	const struct value *valid = value_get(key, "valid");
	const char *which = *last4 != '\0' ? app_format(a, " %s%s", a->utf8 ? "…" : "..", last4) : "";

	if (key == NULL)
		return "";
	if (strcmp(label, "default") != 0)
		which = app_format(a, " %s%s", label, which);
	if (valid == NULL)
		return app_format(a, "key%s", which);
	return app_format(a, "key%s %s", which, value_bool(valid, false) ? "ok" : "rejected");
}

/* err: the request's own error, NULL when v is a result. */
static void
read_outcome(struct app *a, struct outcome *o, const struct value *v, const struct error *err)
{
	const struct value *warnings = value_get(v, "warnings");

	o->ref = app_escaped(a, slice_of(o->name));
	o->key = o->limits = "";
	o->refused = err != NULL;
	if (err != NULL) {
		o->err = *err;
		return;
	}
	if (!value_bool(value_get(v, "ok"), false))
		message_read_error(v, &o->err);
	if (o->err.code == 0 && value_size(value_get(v, "ref")) > 0)
		o->ref = app_member(a, v, "ref");
	o->latency_ms = value_int(value_get(v, "latency_ms"), -1);
	o->models = value_int(value_get(v, "models"), -1);
	o->first_token_ms = value_int(value_get(v, "first_token_ms"), -1);
	o->answers = value_bool(value_get(v, "answers"), false);
	o->key = key_words(a, value_get(v, "key"));
	o->limits = limits_words(a, value_get(v, "limits"), term_wall_ms());
	for (size_t i = 0; i < value_size(warnings) && o->warning_count < WARNINGS_MAX; i++)
		o->warnings[o->warning_count++] = app_text(a, value_at(warnings, i));
	if (a->form == FORM_JSON)
		o->json = keep_json(a, v);
}

static void
on_checked(void *arg, size_t i, const struct value *result, const struct error *err)
{
	struct checks *c = arg;

	read_outcome(c->a, &c->of[i], result, err);
	c->done++;
	c->a->waiting = app_format(c->a, "%zu of %zu checked", c->done, c->count);
}

/* All of them are in flight together. 0 or MP_E_... of the link itself. */
static int
ask_all(struct checks *c, const char *label, bool deep, struct error *err)
{
	uint32_t ids[CHECKS_MAX];
	int r;

	for (size_t i = 0; i < c->count; i++) {
		begin(c->a, c->of[i].name, label, deep);
		if ((r = link_send(c->a, &ids[i], err)) != 0)
			return r;
	}
	if (c->count > 1)
		c->a->waiting = app_format(c->a, "0 of %zu checked", c->count);
	r = link_gather(c->a, ids, c->count, on_checked, c, err);
	c->a->waiting = NULL;
	return r;
}

static void
print_ok(struct app *a, const struct outcome *o)
{
	if (a->form == FORM_PLAIN) {
		printf("%s\tok\t%lld\t%lld\t\n", o->ref, (long long)o->latency_ms,
		    (long long)o->models);
		return;
	}
	printf("%s%s%s %s", sgr_out(a, "32"), glyph_ok(a), sgr_out(a, "0"), o->ref);
	if (*o->key != '\0')
		printf("  %s", o->key);
	if (o->latency_ms >= 0)
		printf("  reachable (%lld ms)", (long long)o->latency_ms);
	if (o->models >= 0)
		printf("  %lld model%s", (long long)o->models, o->models == 1 ? "" : "s");
	if (o->first_token_ms >= 0)
		printf("  model answers (%lld ms)", (long long)o->first_token_ms);
	else if (o->answers)
		printf("  model answers");
	putchar('\n');
}

static void
print_bad(struct app *a, const struct outcome *o)
{
	if (a->form == FORM_PLAIN) {
		printf("%s\t%s\t\t\t%s\n", o->ref, error_code(o->err.code), o->err.message);
		return;
	}
	printf("%s%s%s %s  %s\n", sgr_out(a, "31"), glyph_bad(a), sgr_out(a, "0"), o->ref,
	    after_subject(o->err.message));
	if (o->err.hint[0] != '\0')
		printf("  fix: %s\n", o->err.hint);
}

/* Text and plain; the exit code of what failed. */
static int
print_outcome(struct app *a, const struct outcome *o)
{
	if (o->refused) {
		fflush(stdout);
		return link_fail(a, &o->err);
	}
	if (o->err.code == 0)
		print_ok(a, o);
	else
		print_bad(a, o);
	if (a->form == FORM_PLAIN)
		return o->err.code != 0 ? error_exit_code(o->err.code) : 0;
	for (size_t i = 0; i < o->warning_count; i++)
		printf("  %swarning%s: %s\n", sgr_out(a, "33"), sgr_out(a, "0"), o->warnings[i]);
	if (*o->limits != '\0')
		printf("  limits: %s\n", o->limits);
	return o->err.code != 0 ? error_exit_code(o->err.code) : 0;
}

static int
outcome_json(const struct outcome *o, struct json_writer *w)
{
	if (!o->refused) {
		json_put_raw(w, o->json, strlen(o->json));
		return o->err.code != 0 ? error_exit_code(o->err.code) : 0;
	}
	json_begin_object(w);
	json_kv_bool(w, "ok", false);
	json_kv_string(w, "ref", o->name);
	json_kv_string(w, "code", error_code(o->err.code));
	json_kv_string(w, "message", o->err.message);
	json_end_object(w);
	return error_exit_code(o->err.code);
}

int
check_many(struct app *a, const char *const *names, size_t n, const char *label, bool deep,
    struct json_writer *w)
{
	struct checks c = {.a = a, .of = xcalloc(n > 0 ? n : 1, sizeof(*c.of)), .count = n};
	struct error err = ERROR_INIT;
	int r, worst = 0;

	for (size_t i = 0; i < n; i++)
		c.of[i].name = names[i];
	if (ask_all(&c, label, deep, &err) != 0) {
		free(c.of);
		return link_fail(a, &err);
	}
	for (size_t i = 0; i < n; i++) {
		r = w != NULL ? outcome_json(&c.of[i], w) : print_outcome(a, &c.of[i]);
		if (worst == 0)
			worst = r;
	}
	free(c.of);
	return worst;
}

int
check_one(struct app *a, const char *name, const char *label, bool deep)
{
	struct error err = ERROR_INIT;
	const struct value *v;

	if (a->form != FORM_JSON)
		return check_many(a, &name, 1, label, deep, NULL);
	begin(a, name, label, deep);
	link_long(a);
	if (link_try(a, &v, &err) != 0)
		return link_fail(a, &err);
	out_json(a, v);
	if (value_bool(value_get(v, "ok"), false))
		return 0;
	message_read_error(v, &err);
	return error_exit_code(err.code);
}

/* Names of the providers worth a check: enabled, with what they need. */
static size_t
usable(struct app *a, const char **names, size_t most)
{
	const struct value *result, *list;
	struct error err = ERROR_INIT;
	size_t n = 0;

	link_begin(a, "provider.list");
	if (link_try(a, &result, &err) != 0)
		return 0;
	list = value_get(result, "providers");
	for (size_t i = 0; i < value_size(list) && n < most; i++) {
		const struct value *p = value_at(list, i), *status = value_get(p, "status");

		if (value_equals(status, "disabled") || value_equals(status, "no-credential") ||
		    !value_bool(value_get(p, "supported"), true))
			continue;
		names[n++] = app_member(a, p, "name");
	}
	return n;
}

/* {"checks":[...]}: several results are no single RPC result. */
static int
check_many_json(struct app *a, const char *const *names, size_t n, const char *label, bool deep)
{
	struct buf b = BUF_INIT;
	struct json_writer w;
	int r;

	json_writer_init(&w, &b, a->out_tty);
	json_begin_object(&w);
	json_key(&w, "checks");
	json_begin_array(&w);
	r = check_many(a, names, n, label, deep, &w);
	json_end_array(&w);
	json_end_object(&w);
	printf("%s\n", buf_str(&b));
	buf_clear(&b);
	return r;
}

/* ---- which ones ---- */

/* Each once, also when it is named twice or in two chains. False: there are too many. */
static bool
add_name(const char **names, size_t *n, const char *name)
{
	for (size_t i = 0; i < *n; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	if (*n == CHECKS_MAX)
		return false;
	names[(*n)++] = name;
	return true;
}

/* The targets of a chain, those of chains within it as well. */
static int
add_chain(struct app *a, const char *name, const char **names, size_t *n)
{
	const struct value *result, *chains, *targets = NULL;
	struct error err = ERROR_INIT;
	int r;

	link_begin(a, "chain.list");
	if ((r = link_end(a, &result)) != 0)
		return r;
	chains = value_get(result, "chains");
	for (size_t i = 0; i < value_size(chains); i++)
		if (value_equals(value_get(value_at(chains, i), "name"), name))
			targets = value_get(value_at(chains, i), "targets");
	if (value_size(targets) == 0) {
		error_set(&err, MP_E_NOT_FOUND, targets == NULL ? "there is no chain @%.64s"
		    : "no provider of chain @%.64s is there now", name);
		error_hint(&err, "what there is: mpc chain");
		return fail_err(a, &err);
	}
	for (size_t i = 0; i < value_size(targets); i++)
		if (!add_name(names, n, app_member(a, value_at(targets, i), "ref")))
			return fail_usage(a, "too many targets at once");
	return 0;
}

/* What the words of the command name. */
static int
add_words(struct app *a, const char **names, size_t *n)
{
	int r;

	for (size_t i = 0; i < a->args.word_count; i++) {
		const char *word = args_word(&a->args, i);

		if (word[0] == '@' && args_has(&a->args, "label"))
			return fail_usage(a, "--label goes without %.65s: each target has keys of its own",
			    word);
		if (word[0] == '@' && (r = add_chain(a, word + 1, names, n)) != 0)
			return r;
		if (word[0] != '@' && !add_name(names, n, word))
			return fail_usage(a, "too many names");
	}
	return 0;
}

int
cmd_check(struct app *a)
{
	bool deep = args_has(&a->args, "deep"), all = args_has(&a->args, "all");
	const char *names[CHECKS_MAX], *ref = NULL, *label = args_value(&a->args, "label");
	const struct value *result;
	size_t n = 0;
	int r;

	if (all && a->args.word_count > 0)
		return fail_usage(a, "--all goes without names");
	if (all && label != NULL)
		return fail_usage(a, "--all goes without --label: each provider has labels of its own");
	if ((r = link_find_scope(a)) != 0 || (r = add_words(a, names, &n)) != 0)
		return r;
	if (all) {
		n = usable(a, names, sizeof(names) / sizeof(names[0]));
	} else if (n == 0) {
		link_begin(a, "route.get");
		if ((r = link_end(a, &result)) != 0)
			return r;
		ref = app_member(a, value_get(result, "active"), "ref");
		names[n++] = ref;
	}
	/* how many targets a chain has does not change the form of the answer */
	if (a->form == FORM_JSON && n == 1 && (ref != NULL || all || args_word(&a->args, 0)[0] != '@'))
		return check_one(a, names[0], label, deep);
	if (a->form == FORM_JSON)
		return check_many_json(a, names, n, label, deep);
	if (n == 0)
		note(a, "no provider is ready to be checked: mpc providers");
	return check_many(a, names, n, label, deep, NULL);
}

/* test: a target for a while (UX.md sections 4 and 5). Starting one; what is done with open ones is in
 * test_open.c. */
#include <stdio.h>
#include <string.h>

#include "client/app.h"
#include "client/cmd/cmd.h"
#include "client/cmd/test.h"
#include "client/entry.h"
#include "client/link.h"
#include "client/out.h"
#include "client/route.h"
#include "client/term.h"
#include "protocol/base/str.h"

#define LIMIT_MAX INT64_C(1000000000000) /* micro-USD: a million */

/* What the words say. */
struct wish {
	const char *provider, *model;
	int64_t duration_ms; /* 0 = the daemon's default */
	int64_t limit_microusd; /* of a minted key; 0 = the daemon's default */
};

/* ---- what is wanted ---- */

/* A nickname, or a model that only one provider has. */
static int
resolve(struct app *a, const char *text, struct wish *w)
{
	const struct value *result;
	int r;

	pack_kv_str(link_begin(a, "model.resolve"), "text", text);
	if ((r = link_end(a, &result)) != 0)
		return r;
	w->provider = app_member(a, result, "provider");
	w->model = app_member(a, result, "model");
	return 0;
}

/* PROVIDER MODEL [DUR], or REF [DUR] where REF has a colon, or a REF alone. The link is open. */
static int
read_words(struct app *a, struct wish *w)
{
	const char *first = args_word(&a->args, 0), *second = args_word(&a->args, 1);
	const char *colon = strchr(first, ':'), *span = args_word(&a->args, 2);
	size_t most = 3;

	if (colon != NULL) {
		w->provider = app_format(a, "%.*s", (int)(colon - first), first);
		w->model = colon + 1;
		span = second;
		most = 2;
	} else if (second != NULL) {
		w->provider = first;
		w->model = second;
	}
	if (a->args.word_count > most)
		return key_refuse_argument(a);
	if (second == NULL && colon == NULL)
		return resolve(a, first, w);
	return read_duration(a, span, &w->duration_ms);
}

static bool
has_own_key(const struct app *a)
{
	return args_has(&a->args, "key") || args_has(&a->args, "stdin") || args_has(&a->args, "fd");
}

/* One of the stored keys. */
static int
check_label(struct app *a)
{
	const char *label = args_value(&a->args, "label");

	if (label == NULL)
		return 0;
	if (entry_looks_like_key(label))
		return key_refuse_argument(a);
	if (has_own_key(a) || args_has(&a->args, "mint"))
		return fail_usage(a, "--label names a stored key: it excludes --key, --stdin, --fd, "
		    "--mint");
	return 0;
}

/* "5", "0.50": dollars of --limit. */
static int
read_limit(struct app *a, struct wish *w)
{
	const char *text = args_value(&a->args, "limit");
	const char *end = text;

	if (args_has(&a->args, "mint") && has_own_key(a))
		return fail_usage(a, "--mint makes the key, so --key, --stdin and --fd exclude it");
	if (text == NULL)
		return 0;
	if (!args_has(&a->args, "mint"))
		return fail_usage(a, "--limit goes with --mint");
	if (!money_parse(&end, &w->limit_microusd) || *end != '\0' || w->limit_microusd == 0 ||
	    w->limit_microusd > LIMIT_MAX)
		return fail_usage(a, "--limit needs an amount in dollars, not \"%.40s\"", text);
	return 0;
}

/* Whether it can do nothing without a key, and has none. */
static int
needs_key(struct app *a, const char *provider, bool *needed)
{
	const struct value *result;
	int r;

	pack_kv_str(link_begin(a, "provider.get"), "name", provider);
	if ((r = link_end(a, &result)) != 0)
		return r;
	*needed = value_equals(value_get(result, "auth_type"), "api-key") &&
		  value_get(result, "key") == NULL;
	return 0;
}

/* The temporary key: asked for with --key, and by itself when there is nothing else and somebody to ask. e
 * stays empty when there is none. */
static int
take_key(struct app *a, const struct wish *w, struct entry *e)
{
	bool asked = args_has(&a->args, "key"), needed = false;
	int fd, r;

	if ((r = key_source(a, &fd)) != 0 || args_has(&a->args, "mint") || args_has(&a->args, "label"))
		return r;
	if (!asked && fd < 0) {
		if ((r = needs_key(a, w->provider, &needed)) != 0)
			return r;
		if (!needed || a->no_input || !a->in_tty)
			return 0;
		note(a, "%s has no key; this one is for the test only",
		    app_escaped(a, slice_of(w->provider)));
	}
	if (fd < 0 && a->no_input)
		return fail_usage(a, "with --no-input the key must come by --stdin or --fd");
	return key_read(a, fd,
	    app_format(a, "Temporary key for %s: ", app_escaped(a, slice_of(w->provider))), e);
}

/* ---- what is said ---- */

/* "✓ key ok   ✓ reachable (412 ms)   ✓ model answers" */
static void
print_checked(struct app *a, const struct value *checked)
{
	const char *ok = app_format(a, "%s%s%s", sgr_out(a, "32"), glyph_ok(a), sgr_out(a, "0"));
	int64_t latency = value_int(value_get(checked, "latency_ms"), -1);

	if (checked == NULL)
		return;
	if (args_has(&a->args, "mint"))
		printf("%s key minted   ", ok);
	else if (value_bool(value_get(checked, "key"), false))
		printf("%s key ok   ", ok);
	if (latency >= 0)
		printf("%s reachable (%lld ms)   ", ok, (long long)latency);
	printf("%s model answers\n", ok);
}

int
test_print_active(struct app *a, const char *ref, int64_t expires_ms)
{
	const struct value *result, *back;
	int r;

	/* everywhere, whatever this terminal's own choice is */
	pack_kv_str(link_begin(a, "route.get"), "scope", "");
	if ((r = link_end(a, &result)) != 0)
		return r;
	back = route_next(value_get(result, "why"));
	printf("Testing %s %s", ref, out_until(a, expires_ms));
	if (back != NULL)
		printf(", then back to %s", app_member(a, back, "ref"));
	puts(".");
	if (!a->quiet)
		puts("  mpc test keep    make it permanent        mpc test stop    end now");
	return 0;
}

/* The token is said where it is the only way in. */
static void
print_open(struct app *a, const struct value *session)
{
	long long id = (long long)value_int(value_get(session, "id"), 0);

	printf("Test session %lld of %s is open %s, not active.\n", id, app_member(a, session, "ref"),
	    out_until(a, value_int(value_get(session, "expires_ms"), 0)));
	printf("  token %s\n", app_member(a, session, "token"));
	if (!a->quiet)
		printf("  mpc test activate %lld    use it now        mpc test stop %lld    end now\n", id,
		    id);
}

static int
print_started(struct app *a, const struct value *result)
{
	const char *ref = app_member(a, result, "ref");
	int64_t expires = value_int(value_get(result, "expires_ms"), 0);

	if (a->form == FORM_JSON) {
		out_json(a, result);
		return 0;
	}
	if (a->form == FORM_PLAIN) {
		printf("%lld\t%s\t%lld\t%s\n", (long long)value_int(value_get(result, "id"), 0), ref,
		    (long long)expires, app_member(a, result, "token"));
		return 0;
	}
	print_checked(a, value_get(result, "checked"));
	if (!value_bool(value_get(result, "activated"), false)) {
		print_open(a, result);
		return 0;
	}
	switch_note_deactivated(a, value_get(result, "deactivated"));
	switch_note_keeping(a, value_get(result, "keeping"));
	return test_print_active(a, ref, expires);
}

static int
start(struct app *a, const struct wish *w, const struct entry *e)
{
	const struct value *result;
	struct pack *p = link_begin_secret(a, "session.start");
	int r;

	pack_kv_str(p, "provider", w->provider);
	pack_kv_str(p, "model", w->model);
	pack_kv_str(p, "label", args_value(&a->args, "label"));
	if (w->duration_ms > 0)
		pack_kv_int(p, "duration_ms", w->duration_ms);
	if (e->len > 0) {
		pack_str(p, "secret");
		pack_bin(p, e->bytes, e->len);
	}
	if (args_has(&a->args, "mint"))
		pack_kv_bool(p, "mint", true);
	if (w->limit_microusd > 0)
		pack_kv_int(p, "limit_microusd", w->limit_microusd);
	if (args_has(&a->args, "no-activate"))
		pack_kv_bool(p, "activate", false);
	if (args_has(&a->args, "no-check"))
		pack_kv_bool(p, "check", false);
	a->waiting = app_format(a, "trying %s:%s", app_escaped(a, slice_of(w->provider)),
	    app_escaped(a, slice_of(w->model)));
	link_long(a);
	r = link_end(a, &result);
	a->waiting = NULL;
	return r == 0 ? print_started(a, result) : r;
}

static int
test_start(struct app *a)
{
	struct entry e = {0};
	struct wish w = {0};
	int r;

	if ((r = check_label(a)) == 0 && (r = read_limit(a, &w)) == 0 && (r = link_open(a)) == 0 &&
	    (r = read_words(a, &w)) == 0 && (r = take_key(a, &w, &e)) == 0)
		r = start(a, &w, &e);
	entry_clear(&e);
	return r;
}

int
cmd_test(struct app *a)
{
	static const struct {
		const char *name;
		int (*run)(struct app *a);
	} subs[] = {{"list", test_list}, {"stop", test_stop}, {"extend", test_extend},
	    {"activate", test_activate}, {"keep", test_keep}};
	const char *sub = args_word(&a->args, 0);

	if (sub == NULL)
		return test_list(a);
	for (size_t i = 0; i < sizeof(subs) / sizeof(subs[0]); i++)
		if (strcmp(sub, subs[i].name) == 0)
			return subs[i].run(a);
	if (entry_looks_like_key(sub))
		return key_refuse_argument(a);
	if (sub[0] == '@')
		return fail_usage(a, "a test is of one target, and %.65s is a chain; to try all of it: "
		    "mpc check %.65s --deep", sub, sub);
	return test_start(a);
}

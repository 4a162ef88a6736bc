/* check: does the key work, does the endpoint answer. */
#include <stdio.h>
#include <string.h>

#include "client/app.h"
#include "client/cmd/cmd.h"
#include "client/fail.h"
#include "client/link.h"
#include "client/out.h"
#include "client/term.h"
#include "protocol/base/json.h"

static int
ask(struct app *a, const char *name, bool deep, const struct value **result, struct error *err)
{
	struct pack *p = link_begin(a, "provider.check");

	pack_kv_str(p, "name", name);
	if (deep)
		pack_kv_bool(p, "deep", true);
	link_long(a);
	return link_try(a, result, err);
}

static void
print_ok(struct app *a, const char *name, const struct value *v)
{
	int64_t latency = value_int(value_get(v, "latency_ms"), -1),
		models = value_int(value_get(v, "models"), -1);
	int64_t first = value_int(value_get(v, "first_token_ms"), -1);

	if (a->form == FORM_PLAIN) {
		printf("%s\tok\t%lld\t%lld\t\n", name, (long long)latency, (long long)models);
		return;
	}
	printf("%s%s%s %s", sgr_out(a, "32"), glyph_ok(a), sgr_out(a, "0"), name);
	if (latency >= 0)
		printf("  reachable (%lld ms)", (long long)latency);
	if (models >= 0)
		printf("  %lld model%s", (long long)models, models == 1 ? "" : "s");
	if (first >= 0)
		printf("  model answers (%lld ms)", (long long)first);
	putchar('\n');
}

static void
print_bad(struct app *a, const char *name, const struct error *err)
{
	if (a->form == FORM_PLAIN) {
		printf("%s\t%s\t\t\t%s\n", name, error_code(err->code), err->message);
		return;
	}
	printf("%s%s%s %s  %s\n", sgr_out(a, "31"), glyph_bad(a), sgr_out(a, "0"), name,
	    after_subject(err->message));
	if (err->hint[0] != '\0')
		printf("  fix: %s\n", err->hint);
}

/* Text and plain: one line each; the exit code of what failed. */
int
check_one(struct app *a, const char *name, bool deep)
{
	struct error err = ERROR_INIT;
	const struct value *v;
	const char *shown = app_escaped(a, slice_of(name));

	if (ask(a, name, deep, &v, &err) == 0 && !value_bool(value_get(v, "ok"), false))
		message_read_error(v, &err);
	else if (err.code == 0) {
		if (a->form == FORM_JSON)
			out_json(a, v);
		else
			print_ok(a,
			    value_size(value_get(v, "ref")) > 0 ? app_member(a, v, "ref") : shown,
			    v);
		return 0;
	} else {
		return link_fail(a, &err);
	}
	if (a->form == FORM_JSON)
		out_json(a, v);
	else
		print_bad(a, shown, &err);
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
check_many_json(struct app *a, const char *const *names, size_t n, bool deep)
{
	struct buf b = BUF_INIT;
	struct json_writer w;
	int worst = 0;

	json_writer_init(&w, &b, a->out_tty);
	json_begin_object(&w);
	json_key(&w, "checks");
	json_begin_array(&w);
	for (size_t i = 0; i < n; i++) {
		struct error err = ERROR_INIT;
		const struct value *v;

		if (ask(a, names[i], deep, &v, &err) == 0) {
			value_to_json(v, &w);
			if (!value_bool(value_get(v, "ok"), false))
				message_read_error(v, &err);
		} else {
			json_begin_object(&w);
			json_kv_bool(&w, "ok", false);
			json_kv_string(&w, "ref", names[i]);
			json_kv_string(&w, "code", error_code(err.code));
			json_kv_string(&w, "message", err.message);
			json_end_object(&w);
		}
		if (worst == 0 && err.code != 0)
			worst = error_exit_code(err.code);
	}
	json_end_array(&w);
	json_end_object(&w);
	printf("%s\n", buf_str(&b));
	buf_clear(&b);
	return worst;
}

int
cmd_check(struct app *a)
{
	bool deep = args_has(&a->args, "deep"), all = args_has(&a->args, "all");
	const char *names[64], *ref = NULL;
	const struct value *result;
	size_t n = 0;
	int r, worst = 0;

	if (all && a->args.word_count > 0)
		return fail_usage(a, "--all goes without names");
	if (a->args.word_count > sizeof(names) / sizeof(names[0]))
		return fail_usage(a, "too many names");
	if ((r = link_find_scope(a)) != 0)
		return r;
	for (; n < a->args.word_count; n++)
		names[n] = args_word(&a->args, n);
	if (all) {
		n = usable(a, names, sizeof(names) / sizeof(names[0]));
	} else if (n == 0) {
		link_begin(a, "route.get");
		if ((r = link_end(a, &result)) != 0)
			return r;
		ref = app_member(a, value_get(result, "active"), "ref");
		names[n++] = ref;
	}
	if (a->form == FORM_JSON && n != 1)
		return check_many_json(a, names, n, deep);
	for (size_t i = 0; i < n; i++) {
		r = check_one(a, names[i], deep);
		fflush(stdout);
		if (worst == 0)
			worst = r;
	}
	return worst;
}

/* providers: the table of all of them. */
#include <stdio.h>
#include <string.h>

#include "client/app.h"
#include "client/limits.h"
#include "client/link.h"
#include "client/out.h"
#include "client/term.h"

static const char *
auth_words(struct app *a, const struct value *p)
{
	const struct value *auth = value_get(p, "auth_type"), *key = value_get(p, "key");
	const char *last4 = app_member(a, key, "last4");

	if (value_bool(value_get(value_get(p, "session"), "has_key"), false))
		return "test key";
	if (key != NULL)
		return *last4 != '\0' ? app_format(a, "key %s%s", a->utf8 ? "…" : "..", last4)
				      : "key";
	if (value_equals(auth, "api-key"))
		return "no key";
	if (value_equals(auth, "optional-key"))
		return "none";
	if (value_equals(auth, "oauth-personal"))
		return "login";
	return app_text(a, auth);
}

static const char *
status_color(const struct value *p)
{
	const struct value *status = value_get(p, "status");

	if (value_equals(status, "active"))
		return "32";
	if (value_equals(status, "error") || value_equals(status, "locked"))
		return "31";
	if (value_equals(status, "rate-limited"))
		return "33";
	if (value_equals(status, "disabled") || value_equals(status, "no-credential"))
		return "2";
	return NULL;
}

static const char *
type_word(struct app *a, const struct value *p)
{
	struct slice type = value_slice(value_get(p, "type"));
	const char *text = app_escaped(a, type);

	if (slice_eq(type, "universal-gateway"))
		return "gateway";
	if (slice_eq(type, "direct-api"))
		return "direct";
	if (slice_eq(type, "plan-based"))
		return "plan";
	return text;
}

static bool
is_active(const struct value *p)
{
	return value_equals(value_get(p, "status"), "active");
}

static void
add_row(struct app *a, struct table *t, const struct value *p, int64_t now)
{
	int64_t count = value_int(value_get(p, "models_count"), -1);
	int64_t used = value_int(value_get(p, "last_used_ms"), 0);
	int64_t p50 = value_int(value_get(p, "latency_p50_ms"), -1);
	bool active = is_active(p);

	table_cell(t, active ? glyph_active(a) : " ", active ? "active" : "", active ? "32" : NULL);
	table_cell(t, app_member(a, p, "name"), NULL, active ? "1" : NULL);
	table_cell(t, type_word(a, p), app_member(a, p, "type"), NULL);
	table_cell(t, auth_words(a, p), app_member(a, p, "auth_type"), NULL);
	table_cell(t, count < 0 ? NULL : app_format(a, "%lld", (long long)count), NULL, NULL);
	table_cell(
	    t, out_ago(a, used, now), used > 0 ? app_format(a, "%lld", (long long)used) : "", NULL);
	table_cell(
	    t, out_latency(a, p50), p50 >= 0 ? app_format(a, "%lld", (long long)p50) : "", NULL);
	table_cell(t, limits_status(a, p, now), app_member(a, p, "status"), status_color(p));
}

int
cmd_providers(struct app *a)
{
	static const struct column columns[] = {{"", COLUMN_FIXED}, {"NAME", COLUMN_FIXED},
	    {"TYPE", COLUMN_FIXED}, {"AUTH", COLUMN_FIXED}, {"MODELS", COLUMN_NUMBER},
	    {"LAST USE", COLUMN_FIXED}, {"P50", COLUMN_NUMBER}, {"STATUS", COLUMN_TEXT}};
	const struct value *result, *list;
	const char *filter;
	struct table *t;
	int r;

	/* "provider list FILTER" comes here too */
	if ((filter = args_word(&a->args, 0)) != NULL &&
	    strcmp(a->args.command->name, "provider") == 0)
		filter = args_word(&a->args, 1);
	if ((r = link_open(a)) != 0)
		return r;
	pack_kv_str(link_begin(a, "provider.list"), "filter", filter);
	if ((r = link_end(a, &result)) != 0)
		return r;
	if (a->form == FORM_JSON) {
		out_json(a, result);
		return 0;
	}
	list = value_get(result, "providers");
	t = table_new(a, columns, sizeof(columns) / sizeof(columns[0]));
	/* the active one stands on top */
	for (int first = 1; first >= 0; first--)
		for (size_t i = 0; i < value_size(list); i++)
			if (is_active(value_at(list, i)) == (first == 1))
				add_row(a, t, value_at(list, i), term_wall_ms());
	table_print(t);
	return 0;
}

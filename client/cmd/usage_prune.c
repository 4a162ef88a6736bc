/* usage prune: old records of calls go, after a look at what that is. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "client/app.h"
#include "client/cmd/cmd.h"
#include "client/link.h"
#include "client/out.h"
#include "client/term.h"

#define DAY_MS INT64_C(86400000)

static int64_t
member(const struct value *v, const char *key)
{
	return value_int(value_get(v, key), 0);
}

/* The day of the place that begins so: "2026-01-31". */
static int
read_date(struct app *a, const char *text, int64_t *ms)
{
	struct tm tm = {.tm_isdst = -1}, read;
	const char *end = strptime(text, "%Y-%m-%d", &tm);
	time_t t;

	read = tm;
	if (end == NULL || *end != '\0' || (t = mktime(&tm)) < 0 || tm.tm_mday != read.tm_mday)
		return fail_usage(a, "\"%.40s\" is no date (2026-01-31)", text);
	*ms = (int64_t)t * 1000;
	return 0;
}

static int
ask(struct app *a, int64_t before_ms, bool check, const struct value **result)
{
	struct pack *p = link_begin(a, "usage.prune");

	pack_kv_int(p, "before_ms", before_ms);
	pack_kv_bool(p, "days", args_has(&a->args, "days"));
	pack_kv_bool(p, "check", check);
	return link_end(a, result);
}

static const char *
day_text(struct app *a, int64_t ms)
{
	time_t t = (time_t)(ms / 1000);
	char text[32] = "?";
	struct tm tm;

	if (localtime_r(&t, &tm) != NULL)
		strftime(text, sizeof(text), "%Y-%m-%d", &tm);
	return app_format(a, "%s", text);
}

/* What would go, and what stays. */
static void
print_plan(struct app *a, const struct value *look)
{
	int64_t rows = member(look, "rows"), days = member(look, "days");
	const char *day = day_text(a, member(look, "before_ms"));

	printf("Before %s: the records of %s request%s go, and their sums by hour.\n", day,
	    out_count(a, rows), rows == 1 ? "" : "s");
	if (args_has(&a->args, "days"))
		printf("The sums of %lld day%s go, too: nothing of that time is left.\n", (long long)days,
		    days == 1 ? "" : "s");
	else
		puts("What each day came to stays: usage by day, model, provider and client, and budgets.");
}

static void
print_done(struct app *a, const struct value *result)
{
	int64_t bytes = member(result, "bytes");

	if (a->form == FORM_JSON) {
		out_json(a, result);
	} else if (a->form == FORM_PLAIN) {
		printf("%lld\t%lld\t%lld\n", (long long)member(result, "rows"),
		    (long long)member(result, "days"), (long long)bytes);
	} else if (!a->quiet) {
		printf("Deleted.");
		if (bytes >= 1 << 20)
			printf(" %lld MiB are free again.", (long long)(bytes >> 20));
		putchar('\n');
	}
}

int
usage_prune(struct app *a)
{
	const char *date = args_value(&a->args, "before"), *keep = args_value(&a->args, "keep");
	const struct value *result;
	int64_t before = 0, span = 0;
	int r;

	if ((date == NULL) == (keep == NULL))
		return fail_usage(a, "say what stays: --keep 90d, or --before 2026-01-31");
	if ((r = read_duration(a, keep, &span)) != 0 ||
	    (date != NULL && (r = read_date(a, date, &before)) != 0))
		return r;
	if (keep != NULL && span < DAY_MS)
		return fail_usage(a, "\"%.40s\" is less than a day; 30 days are 30d", keep);
	if (keep != NULL)
		before = term_wall_ms() - span;
	if ((r = link_open(a)) != 0 || (r = ask(a, before > 0 ? before : 0, true, &result)) != 0)
		return r;
	before = member(result, "before_ms");
	if (member(result, "rows") == 0 && member(result, "days") == 0) {
		if (a->form == FORM_TEXT && !a->quiet)
			printf("Nothing is older than %s.\n", day_text(a, before));
		else
			print_done(a, result);
		return 0;
	}
	if (a->form == FORM_TEXT && !a->quiet)
		print_plan(a, result);
	if (!app_confirm(a, "Delete that?"))
		return EXIT_USAGE;
	link_long(a);
	if ((r = ask(a, before, false, &result)) == 0)
		print_done(a, result);
	return r;
}

/* usage: what was asked, and what it cost. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/app.h"
#include "client/cmd/cmd.h"
#include "client/link.h"
#include "client/out.h"
#include "client/term.h"

#define DAY_MS INT64_C(86400000)
#define PLOT_DAYS 30
#define PLOT_LINES 4

static int64_t
member(const struct value *v, const char *key)
{
	return value_int(value_get(v, key), 0);
}

/* "$3.41", "$1.20 by plan" (no money), and how many requests have no known price. */
static const char *
cost_words(struct app *a, const struct value *row)
{
	int64_t money = member(row, "cost_microusd"), plan = member(row, "plan_microusd"),
		unpriced = member(row, "unpriced"), requests = member(row, "requests");
	const char *out = "";

	if (money > 0 || (plan == 0 && unpriced < requests))
		out = out_money(a, money);
	if (plan > 0)
		out = app_format(a, "%s%s%s by plan", out, *out != '\0' ? " + " : "", out_money(a, plan));
	if (unpriced > 0 && *out == '\0')
		return "unpriced";
	if (unpriced > 0)
		return app_format(a, "%s + %lld unpriced", out, (long long)unpriced);
	return out;
}

const char *
usage_today(struct app *a, const struct value *total)
{
	int64_t requests = member(total, "requests");

	return app_format(a, "%s request%s   %s in   %s out   %s", out_count(a, requests),
	    requests == 1 ? "" : "s", out_count(a, member(total, "input_tokens")),
	    out_count(a, member(total, "output_tokens")), cost_words(a, total));
}

int64_t
usage_midnight_ms(void)
{
	time_t now = (time_t)(term_wall_ms() / 1000);
	struct tm tm;

	if (localtime_r(&now, &tm) == NULL)
		return (int64_t)now * 1000 - DAY_MS;
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	tm.tm_isdst = -1;
	return (int64_t)mktime(&tm) * 1000;
}

/* ---- the chart ---- */

struct plot {
	int64_t start_ms[PLOT_DAYS], value[PLOT_DAYS], most;
	size_t days;
	bool money; /* else requests */
};

static void
plot_read(struct plot *p, const struct value *rows)
{
	size_t n = value_size(rows), from = n > PLOT_DAYS ? n - PLOT_DAYS : 0;

	for (size_t i = from; i < n; i++)
		p->money = p->money || member(value_at(rows, i), "cost_microusd") > 0;
	for (size_t i = from; i < n; i++) {
		const struct value *row = value_at(rows, i);

		p->start_ms[p->days] = member(row, "start_ms");
		p->value[p->days] = member(row, p->money ? "cost_microusd" : "requests");
		if (p->value[p->days] > p->most)
			p->most = p->value[p->days];
		p->days++;
	}
}

/* How much of one line a bar fills. */
static const char *
plot_cell(const struct app *a, const struct plot *p, size_t day, int line)
{
	static const char *const blocks[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	int64_t eighths = p->most > 0 ? (p->value[day] * 8 * PLOT_LINES + p->most - 1) / p->most : 0;

	eighths -= INT64_C(8) * (PLOT_LINES - 1 - line);
	if (eighths <= 0)
		return " ";
	if (eighths > 8)
		eighths = 8;
	return a->utf8 ? blocks[eighths] : eighths > 4 ? "#" : ".";
}

static void
plot_print(struct app *a, const struct plot *p)
{
	const char *top = p->money ? out_money(a, p->most) : out_count(a, p->most);

	printf("%s%s/day%s\n", sgr_out(a, "1"), p->money ? "cost" : "requests", sgr_out(a, "0"));
	for (int line = 0; line < PLOT_LINES; line++) {
		printf("%10s %s", line == 0 ? top : line == PLOT_LINES - 1 ? "0" : "",
		    a->utf8 ? "┤" : "|");
		for (size_t i = 0; i < p->days; i++)
			printf(" %s", plot_cell(a, p, i, line));
		putchar('\n');
	}
	printf("%11s ", "");
	for (size_t i = 0; i < p->days; i++) {
		time_t t = (time_t)(p->start_ms[i] / 1000);
		struct tm tm;

		printf(" %c", localtime_r(&t, &tm) != NULL ? "SMTWTFS"[tm.tm_wday] : ' ');
	}
	fputs("\n\n", stdout);
}

static int
plot(struct app *a, int64_t since_ms)
{
	struct plot p = {.days = 0};
	const struct value *result;
	struct pack *q = link_begin(a, "usage.query");
	int r;

	pack_kv_int(q, "since_ms", since_ms);
	pack_kv_str(q, "by", "day");
	if ((r = link_end(a, &result)) != 0)
		return r;
	plot_read(&p, value_get(result, "rows"));
	if (p.days > 0)
		plot_print(a, &p);
	return 0;
}

/* ---- the table ---- */

/* The first cell of a row: what it was grouped by. */
static const char *
row_name(struct app *a, const struct value *row, const char *by)
{
	time_t t = (time_t)(member(row, "start_ms") / 1000);
	char text[32];
	struct tm tm;

	if (strcmp(by, "model") == 0)
		return app_member(a, row, "ref");
	if (strcmp(by, "day") != 0 && strcmp(by, "hour") != 0)
		return app_member(a, row, by);
	if (localtime_r(&t, &tm) == NULL ||
	    strftime(text, sizeof(text), by[0] == 'd' ? "%Y-%m-%d" : "%Y-%m-%d %H:%M", &tm) == 0)
		return "";
	return app_format(a, "%s", text);
}

static void
number_cell(struct app *a, struct table *t, int64_t n)
{
	table_cell(t, out_count(a, n), app_format(a, "%lld", (long long)n), NULL);
}

static void
add_row(struct app *a, struct table *t, const struct value *row, const char *name, const char *color)
{
	table_cell(t, name, NULL, color);
	number_cell(a, t, member(row, "requests"));
	number_cell(a, t, member(row, "input_tokens"));
	number_cell(a, t, member(row, "output_tokens"));
	table_cell(t, cost_words(a, row),
	    app_format(a, "%lld", (long long)member(row, "cost_microusd")), NULL);
	if (a->form == FORM_PLAIN) {
		number_cell(a, t, member(row, "plan_microusd"));
		number_cell(a, t, member(row, "unpriced"));
		number_cell(a, t, member(row, "failed"));
	}
}

static void
print_table(struct app *a, const struct value *result, const char *by)
{
	const struct column columns[] = {{by, COLUMN_TEXT}, {"REQ", COLUMN_NUMBER}, {"IN", COLUMN_NUMBER},
	    {"OUT", COLUMN_NUMBER}, {"COST", COLUMN_NUMBER}, {"PLAN", COLUMN_NUMBER},
	    {"UNPRICED", COLUMN_NUMBER}, {"FAILED", COLUMN_NUMBER}};
	const struct value *rows = value_get(result, "rows");
	struct table *t = table_new(a, columns, a->form == FORM_PLAIN ? 8 : 5);
	int64_t unpriced;

	for (size_t i = 0; i < value_size(rows); i++)
		add_row(a, t, value_at(rows, i), row_name(a, value_at(rows, i), by), NULL);
	if (a->form != FORM_PLAIN)
		add_row(a, t, value_get(result, "total"), "total", "1");
	table_print(t);
	unpriced = member(value_get(result, "total"), "unpriced");
	if (a->form == FORM_TEXT && unpriced > 0)
		note(a, "%lld request%s no known price and %s not in the sum; set one: mpc catalog set REF "
		    "--input USD --output USD", (long long)unpriced, unpriced == 1 ? " has" : "s have",
		    unpriced == 1 ? "is" : "are");
}

static int
show(struct app *a, int64_t since_ms)
{
	const char *by = args_value(&a->args, "by");
	const struct value *result;
	struct pack *p;
	int r;

	if (by == NULL)
		by = "model";
	if ((r = link_open(a)) != 0)
		return r;
	if (args_has(&a->args, "plot") && a->form == FORM_TEXT && (r = plot(a, since_ms)) != 0)
		return r;
	p = link_begin(a, "usage.query");
	pack_kv_int(p, "since_ms", since_ms);
	pack_kv_str(p, "by", by);
	if ((r = link_end(a, &result)) != 0)
		return r;
	if (a->form == FORM_JSON)
		out_json(a, result);
	else if (a->form == FORM_TEXT && member(value_get(result, "total"), "requests") == 0)
		puts("Nothing was asked in that time.");
	else
		print_table(a, result, by);
	return 0;
}

/* ---- the rows themselves ---- */

static const char *const csv_columns[] = {"id", "at_ms", "call", "attempt", "provider", "model", "answered",
    "key", "client", "scope", "chain", "session", "outcome", "counts", "input_tokens", "output_tokens",
    "cache_read_tokens", "cache_write_tokens", "reasoning_tokens", "cost_kind", "cost_microusd",
    "duration_ms", "first_token_ms", "reported"};
#define CSV_COLUMNS (sizeof(csv_columns) / sizeof(csv_columns[0]))

/* RFC 4180: a text with a comma, a quote or a line's end stands in quotes. */
static void
csv_text(struct slice s)
{
	bool plain = true;

	for (size_t i = 0; i < s.len; i++)
		plain = plain && strchr(",\"\r\n", s.data[i]) == NULL;
	if (plain) {
		fwrite(s.data != NULL ? s.data : "", 1, s.len, stdout);
		return;
	}
	putchar('"');
	for (size_t i = 0; i < s.len; i++) {
		if (s.data[i] == '"')
			putchar('"');
		putchar(s.data[i]);
	}
	putchar('"');
}

static void
csv_row(const struct value *row)
{
	for (size_t i = 0; i < CSV_COLUMNS; i++) {
		const struct value *v = value_get(row, csv_columns[i]);

		if (i > 0)
			putchar(',');
		if (value_type(v) == VALUE_INT)
			printf("%lld", (long long)value_int(v, 0));
		else
			csv_text(value_slice(v));
	}
	putchar('\n');
}

static int
export(struct app *a, int64_t since_ms)
{
	bool lines = args_has(&a->args, "jsonl") || a->form == FORM_JSON;
	const struct value *result, *rows;
	int64_t cursor = -1;
	struct pack *p;
	int r;

	if ((r = link_open(a)) != 0)
		return r;
	for (size_t i = 0; !lines && i < CSV_COLUMNS; i++)
		printf("%s%s", csv_columns[i], i + 1 < CSV_COLUMNS ? "," : "\n");
	do {
		p = link_begin(a, "usage.export");
		pack_kv_int(p, "since_ms", since_ms);
		if (cursor >= 0)
			pack_kv_int(p, "cursor", cursor);
		if ((r = link_end(a, &result)) != 0)
			return r;
		rows = value_get(result, "rows");
		for (size_t i = 0; i < value_size(rows); i++) {
			if (lines)
				out_json_line(value_at(rows, i));
			else
				csv_row(value_at(rows, i));
		}
		cursor = value_int(value_get(result, "next"), -1);
	} while (cursor >= 0);
	return 0;
}

int
cmd_usage(struct app *a)
{
	const char *word = args_word(&a->args, 0);
	int64_t since = 0, span = word == NULL ? 7 * DAY_MS : 0;
	int r;

	if ((r = no_more_words(a, 1)) != 0 ||
	    (r = read_duration(a, args_value(&a->args, "since"), &span)) != 0)
		return r;
	if (span > 0)
		since = term_wall_ms() - span;
	if (word == NULL)
		return show(a, since > 0 ? since : 0);
	if (strcmp(word, "export") == 0)
		return export(a, since > 0 ? since : 0);
	if (strcmp(word, "prune") == 0)
		return usage_prune(a);
	return fail_usage(a, "mpc usage has no \"%.40s\"", word);
}

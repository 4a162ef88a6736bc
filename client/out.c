#include "client/out.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/app.h"
#include "client/scope.h"
#include "protocol/base/json.h"

static void
write_json(const struct value *v, bool pretty)
{
	struct buf b = BUF_INIT;
	struct json_writer w;

	json_writer_init(&w, &b, pretty);
	value_to_json(v, &w);
	fwrite(buf_str(&b), 1, b.len, stdout);
	putchar('\n');
	buf_clear(&b);
}

void
out_json(struct app *a, const struct value *v)
{
	write_json(v, a->out_tty);
}

void
out_json_line(const struct value *v)
{
	write_json(v, false);
	fflush(stdout);
}

const char *
out_ago(struct app *a, int64_t then_ms, int64_t now_ms)
{
	int64_t s = (now_ms - then_ms) / 1000;

	if (then_ms <= 0)
		return "-";
	if (s < 10)
		return "now";
	if (s < 60)
		return app_format(a, "%llds ago", (long long)s);
	if (s < 3600)
		return app_format(a, "%lldm ago", (long long)(s / 60));
	if (s < 86400)
		return app_format(a, "%lldh ago", (long long)(s / 3600));
	return app_format(a, "%lldd ago", (long long)(s / 86400));
}

const char *
out_since(struct app *a, int64_t then_ms, int64_t now_ms)
{
	const char *ago = out_ago(a, then_ms, now_ms);

	return strcmp(ago, "now") == 0 ? "just now" : ago;
}

/* "cannot use ollama: nothing listens ...": who says the name before needs only the rest. */
const char *
after_subject(const char *message)
{
	const char *colon;

	if (strncmp(message, "cannot use ", 11) == 0 && (colon = strstr(message, ": ")) != NULL)
		return colon + 2;
	return message;
}

const char *
out_span(struct app *a, int64_t ms)
{
	char span[32];

	if (ms > 60000)
		ms = (ms + 59999) / 60000 * 60000;
	duration_format(ms, span, sizeof(span));
	return app_format(a, "%s", span);
}

const char *
out_left(struct app *a, int64_t until_ms, int64_t now_ms)
{
	return app_format(a, "%s left", out_span(a, until_ms - now_ms));
}

const char *
out_until(struct app *a, int64_t at_ms)
{
	time_t at = (time_t)(at_ms / 1000), now = time(NULL);
	struct tm tm, today;
	char text[40];

	localtime_r(&at, &tm);
	localtime_r(&now, &today);
	strftime(text, sizeof(text),
	    tm.tm_yday == today.tm_yday && tm.tm_year == today.tm_year ? "%H:%M" : "%F %H:%M", &tm);
	return app_format(a, "until %s", text);
}

const char *
out_expiry(struct app *a, int64_t at_ms, int64_t now_ms)
{
	const int64_t hour_ms = 3600000;
	int64_t ms = at_ms - now_ms;
	char span[32];

	if (at_ms <= 0)
		return "";
	if (ms <= 0)
		return "expired";
	if (ms > 2 * hour_ms)
		ms = ms / hour_ms * hour_ms;
	duration_format(ms, span, sizeof(span));
	return app_format(a, "expires in %s", span);
}

const char *
out_count(struct app *a, int64_t n)
{
	if (n < 0)
		return "-";
	if (n < 10000)
		return app_format(a, "%lld", (long long)n);
	if (n < 1000000)
		return app_format(a, "%lld k", (long long)((n + 500) / 1000));
	return app_format(a, "%.1f M", (double)n / 1e6);
}

const char *
out_latency(struct app *a, int64_t ms)
{
	if (ms < 0)
		return "-";
	if (ms < 10000)
		return app_format(a, "%lldms", (long long)ms);
	return app_format(a, "%.1fs", (double)ms / 1000);
}

const char *
out_money(struct app *a, int64_t microusd)
{
	if (microusd >= 1000000 || microusd == 0)
		return app_format(a, "$%.2f", (double)microusd / 1e6);
	return app_format(a, "$%.4f", (double)microusd / 1e6);
}

const char *
out_scope(struct app *a, struct slice scope)
{
	char *terminal, *project;
	const char *out;

	if (scope.len == 0)
		return "everywhere";
	terminal = scope_terminal();
	project = scope_project(NULL);
	if (terminal != NULL && slice_eq(scope, terminal))
		out = "in this terminal";
	else if (project != NULL && slice_eq(scope, project))
		out = "in this project";
	else
		out = app_format(a, "in scope %s", app_escaped(a, scope));
	free(terminal);
	free(project);
	return out;
}

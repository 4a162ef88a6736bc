/* top_sections.c - the sections of the dashboard, each made of one reply of the daemon. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/app.h"
#include "client/cmd/cmd.h"
#include "client/cmd/top.h"
#include "client/event.h"
#include "client/limits.h"
#include "client/link.h"
#include "client/out.h"
#include "client/route.h"
#include "client/scope.h"
#include "client/term.h"
#include "client/width.h"

#define LABEL_WIDTH 8
#define BYTES_PER_TOKEN 4 /* a rule of thumb, as long as the provider has not counted */
#define MINUTES 30

void
top_init(struct top *t, struct app *a, size_t width, size_t height)
{
	*t = (struct top){.a = a, .width = width, .height = height};
	struct frame *all[] = {&t->route, &t->overrides, &t->today, &t->budgets, &t->streams, &t->providers};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		frame_init(all[i], width, a->utf8);
}

void
top_clear(struct top *t)
{
	frame_clear(&t->route);
	frame_clear(&t->overrides);
	frame_clear(&t->today);
	frame_clear(&t->budgets);
	frame_clear(&t->streams);
	frame_clear(&t->providers);
	for (size_t i = 0; i < TOP_EVENTS; i++)
		free(t->events[i]);
	free(t->title);
	free(t->stream_ids);
	free(t->filter);
	free(t->message);
}

void
top_say(struct top *t, enum style style, const char *text)
{
	free(t->message);
	t->message = xstrdup(text);
	t->message_style = style;
	t->message_until_ms = term_now_ms() + 10000;
}

void
top_ask(struct top *t, enum top_ask ask)
{
	static const char *const topics[] = {"overrides", "providers", "budget"};
	static const char *const methods[TOP_ASK_COUNT] = {
	    "state.get", "route.get", "sys.info", "prompt.list", "usage.query"};
	struct pack *p = link_begin(t->a, methods[ask]);

	if (ask == TOP_ASK_TODAY)
		pack_kv_int(p, "since_ms", usage_midnight_ms());
	if (ask != TOP_ASK_STATE)
		return;
	pack_str(p, "topics");
	pack_array_begin(p);
	for (size_t i = 0; i < sizeof(topics) / sizeof(topics[0]); i++)
		pack_str(p, topics[i]);
	pack_array_end(p);
}

static void
begin(struct frame *f, const struct top *t)
{
	frame_clear(f);
	frame_init(f, t->width, t->a->utf8);
}

/* A labelled line, as `mpc` prints it. */
static void
labelled(struct frame *f, const char *label, const char *name, const char *why)
{
	size_t column = f->width > 70 ? 29 : 24;

	frame_line(f);
	frame_cell(f, STYLE_BOLD, label, LABEL_WIDTH, false);
	if (*why == '\0' || width_of(name) >= column) {
		frame_add(f, STYLE_GOOD, name);
		frame_add(f, STYLE_PLAIN, "  ");
	} else {
		frame_cell(f, STYLE_GOOD, name, column, false);
	}
	frame_add(f, STYLE_PLAIN, why);
}

static bool
matches(const struct top *t, const char *text)
{
	return t->filter == NULL || strcasestr(text, t->filter) != NULL;
}

/* ---- the choice ---- */

static void
read_route(struct top *t, const struct value *result)
{
	const struct value *active = value_get(result, "active");

	begin(&t->route, t);
	labelled(&t->route, "active", route_name(t->a, active),
	    route_why(t->a, active, value_get(result, "why"), term_wall_ms()));
	if (value_get(result, "problem") != NULL) {
		frame_line(&t->route);
		frame_cell(&t->route, STYLE_BAD, "problem", LABEL_WIDTH, false);
		frame_add(
		    &t->route, STYLE_PLAIN, route_problem(t->a, value_get(result, "problem")));
	}
}

/* Those of other scopes; and the global one that a test session covers is told by the first line.
 */
static void
read_overrides(struct top *t, const struct value *list)
{
	begin(&t->overrides, t);
	for (size_t i = 0; i < value_size(list); i++) {
		const struct value *o = value_at(list, i);
		struct slice scope = value_slice(value_get(o, "scope"));

		if (scope.len > 0 && !scope_terminal_gone(scope))
			labelled(&t->overrides, "scope", route_name(t->a, o),
			    route_why(t->a, o, NULL, term_wall_ms()));
	}
}

static void
read_info(struct top *t, const struct value *info)
{
	int64_t clients = value_int(value_get(info, "clients"), 0);
	char span[32];

	duration_format(value_int(value_get(info, "uptime_ms"), 0), span, sizeof(span));
	free(t->title);
	t->title = xstrdup(app_format(t->a, "modelpd %s, up %s, %lld client%s%s",
	    app_member(t->a, info, "version"), span, (long long)clients, clients == 1 ? "" : "s",
	    t->a->vault_locked ? ", keys locked" : ""));
}

/* ---- requests in flight ---- */

static const char *
seconds(struct app *a, int64_t ms)
{
	char span[32];

	if (ms < 0)
		ms = 0;
	if (ms < 120000)
		return app_format(a, "%lld s", (long long)(ms / 1000));
	duration_format(ms / 1000 * 1000, span, sizeof(span));
	return app_format(a, "%s", span);
}

static void
stream_line(struct top *t, const struct value *s, int64_t now)
{
	struct app *a = t->a;
	struct frame *f = &t->streams;
	int64_t bytes = value_int(value_get(s, "bytes"), 0),
		age = now - value_int(value_get(s, "started_ms"), now);
	int64_t tokens = value_int(value_get(s, "output_tokens"), -1),
		id = value_int(value_get(s, "stream"), 0);
	int64_t cost = value_int(value_get(s, "cost_microusd"), -1);
	bool counted = tokens >= 0 && !value_bool(value_get(s, "estimated"), false), chosen = id == t->chosen;
	enum style style = chosen ? STYLE_CHOSEN : STYLE_PLAIN;
	size_t fixed = 12 + 1 + 11 + 8 + 7 + 8 + 9;

	if (tokens < 0)
		tokens = (bytes + BYTES_PER_TOKEN - 1) / BYTES_PER_TOKEN;
	frame_line(f);
	frame_cell(f, style, app_member(a, s, "client"), 12, false);
	frame_cell(f, style, " ", 1, false);
	frame_cell(
	    f, style, app_member(a, s, "ref"), t->width > fixed ? t->width - fixed : 0, false);
	frame_cell(f, style, app_format(a, " %s", app_member(a, s, "state")), 11, false);
	frame_cell(f, style,
	    app_format(a, "%s%s", counted || tokens == 0 ? "" : "~", out_count(a, tokens)), 8,
	    true);
	frame_cell(f, style,
	    age > 500 && tokens > 0 ? app_format(a, "%lld", (long long)(tokens * 1000 / age))
				    : glyph_dash(a),
	    7, true);
	frame_cell(f, style, seconds(a, age), 8, true);
	frame_cell(f, style, cost >= 0 ? out_money(a, cost) : glyph_dash(a), 9, true);
}

static void
stream_title(struct top *t, size_t count)
{
	struct frame *f = &t->streams;
	size_t fixed = 12 + 1 + 11 + 8 + 7 + 8 + 9;

	frame_line(f);
	frame_cell(f, STYLE_TITLE, app_format(t->a, "IN FLIGHT %zu", count), 13, false);
	frame_cell(f, STYLE_TITLE, "TARGET", t->width > fixed ? t->width - fixed : 0, false);
	frame_cell(f, STYLE_TITLE, " STATE", 11, false);
	frame_cell(f, STYLE_TITLE, "TOKENS", 8, true);
	frame_cell(f, STYLE_TITLE, "TOK/S", 7, true);
	frame_cell(f, STYLE_TITLE, "AGE", 8, true);
	frame_cell(f, STYLE_TITLE, "COST", 9, true);
}

static void
read_streams(struct top *t, const struct value *list)
{
	int64_t now = term_wall_ms();
	bool kept = false;

	begin(&t->streams, t);
	stream_title(t, value_size(list));
	free(t->stream_ids);
	t->stream_ids = xcalloc(value_size(list) + 1, sizeof(*t->stream_ids));
	t->stream_count = 0;
	for (size_t i = 0; i < value_size(list); i++)
		kept = kept || value_int(value_get(value_at(list, i), "stream"), 0) == t->chosen;
	if (!kept)
		t->chosen = 0;
	for (size_t i = 0; i < value_size(list); i++) {
		const struct value *s = value_at(list, i);

		if (!matches(t, app_member(t->a, s, "ref")) &&
		    !matches(t, app_member(t->a, s, "client")))
			continue;
		t->stream_ids[t->stream_count++] = value_int(value_get(s, "stream"), 0);
		stream_line(t, s, now);
	}
}

/* ---- providers ---- */

/* The widths that the space allows; 0 = left out. */
struct columns {
	size_t name, status, p50, p95, errors, left, minutes;
};

static struct columns
columns_of(size_t width)
{
	struct columns c = {.name = 14, .p50 = 8, .errors = 6, .left = 12, .minutes = 10};
	size_t fixed;

	if (width >= 80)
		c.p95 = 8;
	if (width >= 100)
		c.minutes = 15;
	if (width >= 120)
		c.minutes = MINUTES;
	fixed = 2 + c.name + 1 + c.p50 + c.p95 + c.errors + c.left + 1 + c.minutes;
	c.status = width > fixed ? width - fixed : 0;
	return c;
}

/* Who is of interest first: the active one, who was asked lately, who can serve. */
static int
rank(const struct value *p)
{
	const struct value *status = value_get(p, "status");

	/* a local server that was looked for and is not there is no news */
	bool absent =
	    value_bool(value_get(p, "auto_detect"), false) && value_equals(status, "error");

	return value_equals(status, "active")          ? 0
	       : value_get(p, "activity") != NULL      ? 1
	       : absent                                ? 4
	       : value_equals(status, "rate-limited")  ? 2
	       : value_equals(status, "error")         ? 2
	       : value_equals(status, "available")     ? 3
	       : value_equals(status, "locked")        ? 4
	       : value_equals(status, "no-credential") ? 5
						       : 6;
}

static int
compare(const void *a, const void *b)
{
	const struct value *x = *(const struct value *const *)a,
			   *y = *(const struct value *const *)b;
	struct slice xs = value_slice(value_get(x, "name")), ys = value_slice(value_get(y, "name"));
	size_t n = xs.len < ys.len ? xs.len : ys.len;
	int d = rank(x) - rank(y);

	if (d != 0)
		return d;
	d = n > 0 ? memcmp(xs.data, ys.data, n) : 0;
	return d != 0 ? d : (xs.len > ys.len) - (xs.len < ys.len);
}

/* The tightest of its limits: "59/60", "39 % left", "$6.59 left"; "" when none is known. */
static const char *
left_words(struct app *a, const struct value *list, int64_t now)
{
	int64_t least = INT64_MAX;
	const char *out = "";

	for (size_t i = 0; i < value_size(list); i++) {
		const struct value *l = value_at(list, i);
		bool money = value_get(l, "remaining_microusd") != NULL;
		int64_t limit = value_int(value_get(l, money ? "limit_microusd" : "limit"), -1),
			left =
			    value_int(value_get(l, money ? "remaining_microusd" : "remaining"), -1),
			used = value_int(value_get(l, "used_permille"), -1),
			resets = value_int(value_get(l, "resets_ms"), 0);
		int64_t permille = limit > 0 && left >= 0 ? left * 1000 / limit
				   : used >= 0            ? 1000 - used
							  : 1000;

		if ((resets > 0 && resets <= now) || permille >= least || (left < 0 && used < 0))
			continue;
		least = permille;
		out = money ? app_format(a, "%s left", out_money(a, left))
		      : left >= 0 && limit >= 0
			  ? app_format(a, "%s/%s", out_count(a, left), out_count(a, limit))
		      : left >= 0 ? app_format(a, "%s left", out_count(a, left))
				  : app_format(a, "%lld %% left",
					(long long)(permille > 0 ? permille / 10 : 0));
	}
	return out;
}

/* Half an hour in so many columns; the highest is the busiest. */
static const char *
sparkline(struct app *a, const struct value *minutes, size_t columns)
{
	static const char *const bars[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	static const char *const ascii[] = {" ", ".", ".", ":", ":", "+", "+", "#", "#"};
	size_t merged = MINUTES / columns;
	int64_t sums[MINUTES] = {0}, most = 0;
	struct buf b = BUF_INIT;
	const char *out;

	for (size_t i = 0; i < value_size(minutes) && i < merged * columns; i++)
		sums[i / merged] += value_int(value_at(minutes, i), 0);
	for (size_t i = 0; i < columns; i++)
		most = sums[i] > most ? sums[i] : most;
	for (size_t i = 0; i < columns; i++) {
		size_t level = most > 0 ? (size_t)((sums[i] * 8 + most - 1) / most) : 0;

		buf_addf(&b, "%s", (a->utf8 ? bars : ascii)[level]);
	}
	out = app_format(a, "%s", buf_str(&b));
	buf_clear(&b);
	return out;
}

static enum style
status_style(const struct value *p)
{
	const struct value *status = value_get(p, "status");

	return value_equals(status, "active")                                    ? STYLE_GOOD
	       : value_equals(status, "error") || value_equals(status, "locked") ? STYLE_BAD
	       : value_equals(status, "rate-limited")                            ? STYLE_WARN
	       : value_equals(status, "disabled") || value_equals(status, "no-credential")
		   ? STYLE_DIM
		   : STYLE_PLAIN;
}

static void
provider_line(struct top *t, const struct value *p, int64_t now)
{
	struct app *a = t->a;
	struct frame *f = &t->providers;
	struct columns c = columns_of(t->width);
	const struct value *activity = value_get(p, "activity");
	int64_t asked = value_int(value_get(activity, "requests"), 0),
		failed = value_int(value_get(activity, "errors"), 0);
	bool active = value_equals(value_get(p, "status"), "active");

	frame_line(f);
	frame_cell(f, STYLE_GOOD, active ? glyph_active(a) : " ", 2, false);
	frame_cell(f, active ? STYLE_BOLD : STYLE_PLAIN, app_member(a, p, "name"), c.name, false);
	frame_cell(f, STYLE_PLAIN, " ", 1, false);
	frame_cell(f, status_style(p), limits_status(a, p, now), c.status, false);
	frame_cell(f, STYLE_PLAIN, out_latency(a, value_int(value_get(p, "latency_p50_ms"), -1)),
	    c.p50, true);
	frame_cell(f, STYLE_PLAIN, out_latency(a, value_int(value_get(p, "latency_p95_ms"), -1)),
	    c.p95, true);
	frame_cell(f, failed > 0 ? STYLE_WARN : STYLE_PLAIN,
	    asked > 0 ? app_format(a, "%lld %%", (long long)((failed * 100 + asked - 1) / asked))
		      : "-",
	    c.errors, true);
	frame_cell(f, STYLE_PLAIN, left_words(a, value_get(p, "limits"), now), c.left, true);
	frame_cell(f, STYLE_PLAIN, " ", 1, false);
	frame_cell(f, STYLE_GOOD,
	    activity != NULL ? sparkline(a, value_get(activity, "minutes"), c.minutes) : "",
	    c.minutes, false);
}

static void
read_providers(struct top *t, const struct value *list)
{
	struct frame *f = &t->providers;
	struct columns c = columns_of(t->width);
	const struct value **sorted = xcalloc(value_size(list) + 1, sizeof(const struct value *));
	size_t n = 0;

	for (size_t i = 0; i < value_size(list); i++)
		if (matches(t, app_member(t->a, value_at(list, i), "name")))
			sorted[n++] = value_at(list, i);
	qsort(sorted, n, sizeof(const struct value *), compare);
	begin(f, t);
	frame_line(f);
	frame_cell(f, STYLE_TITLE, "  PROVIDER", 2 + c.name + 1, false);
	frame_cell(f, STYLE_TITLE, "STATUS", c.status, false);
	frame_cell(f, STYLE_TITLE, "P50", c.p50, true);
	frame_cell(f, STYLE_TITLE, "P95", c.p95, true);
	frame_cell(f, STYLE_TITLE, "ERR", c.errors, true);
	frame_cell(f, STYLE_TITLE, "LEFT", c.left, true);
	frame_cell(f, STYLE_TITLE, " ", 1, false);
	frame_cell(f, STYLE_TITLE, "30 MIN", c.minutes, false);
	for (size_t i = 0; i < n; i++)
		provider_line(t, sorted[i], term_wall_ms());
	free(sorted);
}

void
top_reply(struct top *t, enum top_ask ask, const struct value *result)
{
	struct app_text *before = app_mark(t->a);
	const struct value *snapshot = value_get(result, "snapshot");

	switch (ask) {
	case TOP_ASK_STATE:
		read_overrides(t, value_get(snapshot, "overrides"));
		read_providers(t, value_get(snapshot, "providers"));
		top_read_budgets(t, value_get(snapshot, "budget"));
		break;
	case TOP_ASK_ROUTE:
		read_route(t, result);
		break;
	case TOP_ASK_INFO:
		read_info(t, result);
		break;
	case TOP_ASK_STREAMS:
		read_streams(t, value_get(result, "streams"));
		break;
	case TOP_ASK_TODAY:
		top_read_today(t, result);
		break;
	case TOP_ASK_COUNT:
		break;
	}
	app_release(t->a, before);
}

void
top_event(struct top *t, const struct value *event)
{
	struct app_text *before = app_mark(t->a);
	char **at = &t->events[t->event_count % TOP_EVENTS];
	time_t now = time(NULL);
	struct tm tm;

	if (value_equals(value_get(event, "topic"), "usage")) { /* it has a place of its own */
		if (!t->paused)
			top_read_today(t, value_get(event, "value"));
		app_release(t->a, before);
		return;
	}
	localtime_r(&now, &tm);
	free(*at);
	*at = xstrdup(app_format(t->a, "%02d:%02d:%02d  %s", tm.tm_hour, tm.tm_min, tm.tm_sec,
	    event_words(t->a, event)));
	t->event_count++;
	app_release(t->a, before);
}

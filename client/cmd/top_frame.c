/* top_frame.c - the sections as one picture that fits the screen. */
#include <string.h>
#include <time.h>

#include "client/app.h"
#include "client/cmd/top.h"
#include "client/term.h"
#include "client/width.h"

#define KEYS "s switch  t test  k cancel  p pause  / filter  q quit"

/* How many lines each section gets. */
struct shares {
	size_t route, overrides, money, streams, providers, events;
};

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Titles and the choice always; then what runs, the providers, and what is left for events. */
static struct shares
share(const struct top *t)
{
	struct shares s = {.route = least(t->route.count, 2),
	    .money = least(t->today.count + t->budgets.count, 3)};
	size_t running = t->streams.count > 1 ? t->streams.count - 1 : 1;
	size_t providers = t->providers.count > 0 ? t->providers.count - 1 : 0;
	/* the title, three titles of lists, a blank before each, the line of keys */
	size_t fixed = 1 + 3 + 3 + 1 + s.route + s.money,
	       room = t->height > fixed ? t->height - fixed : 0;

	s.overrides = least(t->overrides.count, least(room / 6, 3));
	room -= s.overrides;
	s.streams = least(running, room / 3 > 0 ? room / 3 : 1);
	room -= least(room, s.streams);
	s.providers = least(providers, room > 5 ? room * 2 / 3 : room / 2);
	s.events = room - s.providers;
	return s;
}

static void
head(const struct top *t, struct frame *f)
{
	time_t now = time(NULL);
	struct tm tm;
	char clock[16];
	size_t room = t->width > 10 ? t->width - 10 : 0;

	localtime_r(&now, &tm);
	strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	frame_line(f);
	if (t->away)
		frame_cell(f, STYLE_BAD, "the daemon is away, waiting for it", room, false);
	else
		frame_cell(f, t->paused ? STYLE_WARN : STYLE_DIM,
		    t->paused          ? "paused (p goes on)"
		    : t->title != NULL ? t->title
				       : "modelpd",
		    room, false);
	frame_cell(f, STYLE_DIM, clock, 10, true);
}

/* What today was, and the budgets. */
static void
money(const struct top *t, struct frame *f, size_t most)
{
	frame_append(f, &t->today, 0, most);
	frame_append(f, &t->budgets, 0, most - least(most, t->today.count));
}

static void
streams(const struct top *t, struct frame *f, size_t most)
{
	size_t from = 1;

	frame_append(f, &t->streams, 0, 1);
	if (t->streams.count <= 1) {
		frame_line(f);
		frame_add(f, STYLE_DIM,
		    t->filter != NULL ? "none that the filter lets through" : "nothing");
		return;
	}
	/* the chosen one stays in sight */
	for (size_t i = 0; i < t->stream_count; i++)
		if (t->stream_ids[i] == t->chosen && i + 1 > most)
			from = 1 + (i + 1 - most);
	frame_append(f, &t->streams, from, most);
}

static void
providers(const struct top *t, struct frame *f, size_t most)
{
	size_t hidden = t->providers.count > most + 1 ? t->providers.count - most - 1 : 0;

	if (hidden > 0 && most > 0) {
		frame_append(f, &t->providers, 0, most);
		frame_line(f);
		frame_cell(f, STYLE_DIM, "", 2, false);
		frame_add(f, STYLE_DIM,
		    app_format(t->a, "%zu more: / to filter, mpc providers", hidden + 1));
		return;
	}
	frame_append(f, &t->providers, 0, most + 1);
}

static bool
passes(const struct top *t, const char *event)
{
	return t->filter == NULL || strcasestr(event, t->filter) != NULL;
}

static void
events(const struct top *t, struct frame *f, size_t most)
{
	size_t kept = least(t->event_count, TOP_EVENTS), shown = 0;

	frame_line(f);
	frame_add(f, STYLE_TITLE, "EVENTS");
	for (size_t i = 0; i < kept && shown < most; i++) {
		const char *event = t->events[(t->event_count - 1 - i) % TOP_EVENTS];

		if (!passes(t, event))
			continue;
		frame_line(f);
		frame_add(f, STYLE_PLAIN, event);
		shown++;
	}
}

static const char *
question(const struct top *t)
{
	switch (t->mode) {
	case TOP_SWITCH:
		return "switch to: ";
	case TOP_TEST:
		return "test PROVIDER MODEL [MINUTES]: ";
	case TOP_FILTER:
		return "filter: ";
	case TOP_CANCEL:
		return "cancel this request? [y/n] ";
	case TOP_LOOK:
		break;
	}
	return NULL;
}

/* The last line: a question, news, or the keys. */
static void
foot(const struct top *t, struct frame *f, int *line, int *column)
{
	const char *asked = question(t);

	*line = -1;
	*column = 0;
	frame_line(f);
	if (asked != NULL) {
		/* a long answer shows its end */
		const char *typed = t->input;
		size_t room = t->width > width_of(asked) + 1 ? t->width - width_of(asked) - 1 : 0;

		while (*typed != '\0' && width_of(typed) > room)
			typed++;
		frame_add(f, STYLE_BOLD, asked);
		frame_add(f, STYLE_PLAIN, typed);
		*line = (int)f->count - 1;
		*column = (int)f->lines[f->count - 1].used;
	} else if (t->message != NULL) {
		frame_add(f, t->message_style, t->message);
	} else {
		frame_add(f, STYLE_DIM, KEYS);
		if (t->filter != NULL)
			frame_add(f, STYLE_WARN, app_format(t->a, "  filter: %s", t->filter));
	}
}

void
top_compose(const struct top *t, struct frame *f, int *line, int *column)
{
	struct app_text *before = app_mark(t->a);
	struct shares s = share(t);

	frame_init(f, t->width, t->a->utf8);
	if (t->width < TOP_MIN_WIDTH || t->height < TOP_MIN_HEIGHT) {
		frame_line(f);
		frame_add(f, STYLE_PLAIN,
		    app_format(t->a, "this needs %d x %d", TOP_MIN_WIDTH, TOP_MIN_HEIGHT));
		*line = -1;
		return;
	}
	head(t, f);
	frame_append(f, &t->route, 0, s.route);
	frame_append(f, &t->overrides, 0, s.overrides);
	money(t, f, s.money);
	frame_line(f);
	streams(t, f, s.streams);
	frame_line(f);
	providers(t, f, s.providers);
	frame_line(f);
	events(t, f, s.events);
	while (f->count < t->height - 1)
		frame_line(f);
	foot(t, f, line, column);
	app_release(t->a, before);
}

void
top_compose_once(const struct top *t, struct frame *f)
{
	frame_init(f, t->width, t->a->utf8);
	head(t, f);
	frame_append(f, &t->route, 0, t->route.count);
	frame_append(f, &t->overrides, 0, t->overrides.count);
	money(t, f, t->today.count + t->budgets.count);
	frame_line(f);
	streams(t, f, t->streams.count);
	frame_line(f);
	frame_append(f, &t->providers, 0, t->providers.count);
}

/* top.h - the parts of the live dashboard (UX.md section 10): what replies say becomes sections,
 * sections become one picture. */
#ifndef CLIENT_CMD_TOP_H
#define CLIENT_CMD_TOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/frame.h"
#include "protocol/value.h"

struct app;

#define TOP_EVENTS 200
#define TOP_INPUT_MAX 300 /* bytes */
#define TOP_MIN_WIDTH 60
#define TOP_MIN_HEIGHT 15

enum top_ask { TOP_ASK_STATE, TOP_ASK_ROUTE, TOP_ASK_INFO, TOP_ASK_STREAMS, TOP_ASK_TODAY, TOP_ASK_COUNT };

/* What the line at the bottom is for. */
enum top_mode { TOP_LOOK, TOP_SWITCH, TOP_TEST, TOP_FILTER, TOP_CANCEL };

struct top {
	struct app *a;
	size_t width, height;
	/* what the last replies said */
	char *title;
	struct frame route, overrides, today, budgets, streams, providers;
	char *events[TOP_EVENTS]; /* a ring */
	size_t event_count;       /* ever */
	/* requests in flight, in the order shown, and the one that keys act on (0 = none) */
	int64_t *stream_ids;
	size_t stream_count;
	int64_t chosen;
	/* what the user does */
	enum top_mode mode;
	char input[TOP_INPUT_MAX + 1]; /* what has been typed */
	size_t input_length;
	char *filter; /* NULL = none */
	bool paused, away;
	char *message; /* NULL = the keys are shown */
	enum style message_style;
	int64_t message_until_ms; /* monotonic */
};

void top_init(struct top *t, struct app *a, size_t width, size_t height);
void top_clear(struct top *t);
/* Writes the request for one section; the link is open. */
void top_ask(struct top *t, enum top_ask ask);
/* Takes its reply. */
void top_reply(struct top *t, enum top_ask ask, const struct value *result);
/* Parts of it: what today was, what may be spent. */
void top_read_today(struct top *t, const struct value *result);
void top_read_budgets(struct top *t, const struct value *list);
/* Takes one state.event. */
void top_event(struct top *t, const struct value *event);
/* A line at the bottom for a while. */
void top_say(struct top *t, enum style style, const char *text);
/* The picture, into f (initialised here, the caller clears it). Where the cursor is: *line < 0 =
 * nowhere. */
void top_compose(const struct top *t, struct frame *f, int *line, int *column);
/* The same for --once: without events and keys, as many lines as there is to say. */
void top_compose_once(const struct top *t, struct frame *f);
/* --once: an exit code. */
int top_once(struct app *a);

#endif

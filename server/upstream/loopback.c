/* loopback.c - the carrier of the built-in echo: the lines of the request's body come back as the
 * answer, a few per tick, so that streaming, pausing and cancelling are real without a network.
 * A header "x-loopback-delay-ms" waits that long before each line. */
#include <stdlib.h>
#include <string.h>

#include "server/upstream/transfer.h"

#define LINES_PER_TICK 8
#define DELAY_HEADER "x-loopback-delay-ms"
#define DELAY_MAX_MS 10000

struct loopback {
	struct transfer base;
	struct buf body;
	size_t at;
	int64_t delay_ms;
	bool head_sent;
	struct loop_timer *tick;
};

static void
loopback_head(struct loopback *l)
{
	static const struct header type = { SLICE("content-type"), SLICE("application/x-ndjson") };
	struct wire_head head = { 200, &type, 1 };

	l->head_sent = true;
	if (l->base.cb.on_head != NULL)
		l->base.cb.on_head(l->base.arg, &head);
}

static void
loopback_line(struct loopback *l)
{
	const char *p = l->body.data + l->at;
	size_t left = l->body.len - l->at;
	const char *lf = memchr(p, '\n', left);
	size_t n = lf != NULL ? (size_t)(lf - p) : left;

	l->at += lf != NULL ? n + 1 : n;
	if (n > 0)
		(void)transfer_frame(&l->base, (struct slice){ NULL, 0 }, (struct slice){ p, n });
}

static void
loopback_tick(void *arg)
{
	struct loopback *l = arg;
	struct transfer *t = &l->base;
	const struct failure none = FAILURE_INIT;
	unsigned lines = l->delay_ms > 0 ? 1 : LINES_PER_TICK;

	if (t->over)
		return; /* cancelled since the timer was started */
	if (!l->head_sent)
		loopback_head(l);
	while (!t->over && !t->paused && l->at < l->body.len && lines > 0) {
		loopback_line(l);
		lines--;
	}
	if (t->over || t->paused)
		return;
	if (l->at < l->body.len)
		loop_timer_start(l->tick, l->delay_ms);
	else
		transfer_end(t, &none);
}

static void
loopback_pause(struct transfer *t, bool paused)
{
	struct loopback *l = (struct loopback *)t;

	if (paused)
		loop_timer_stop(l->tick);
	else
		loop_timer_start(l->tick, l->delay_ms);
}

static void
loopback_release(struct transfer *t)
{
	struct loopback *l = (struct loopback *)t;

	loop_timer_free(l->tick);
	buf_clear(&l->body);
	free(l);
}

static const struct carrier_ops loopback_ops = { .pause = loopback_pause, .release = loopback_release };

static int64_t
delay_of(const struct wire_request *req)
{
	size_t i;
	long v;

	for (i = 0; i < req->header_count; i++) {
		if (strcmp(req->headers[i].name, DELAY_HEADER) != 0)
			continue;
		v = strtol(req->headers[i].value, NULL, 10);
		return v < 0 ? 0 : v > DELAY_MAX_MS ? DELAY_MAX_MS : v;
	}
	return 0;
}

struct transfer *
loopback_start(struct upstream *u, struct wire_request *req, const struct transfer_callbacks *cb,
    void *arg, struct error *err)
{
	struct loopback *l = xcalloc(1, sizeof *l);

	l->tick = loop_timer_new(u->loop, loopback_tick, l);
	if (l->tick == NULL) {
		free(l);
		error_set(err, MP_E_INTERNAL, "no timer for the built-in echo");
		return NULL;
	}
	transfer_init(&l->base, &loopback_ops, u, cb, arg);
	l->delay_ms = delay_of(req);
	l->body = req->body;
	buf_init(&req->body, l->body.max);
	wire_request_clear(req);
	loop_timer_start(l->tick, 0);
	return &l->base;
}

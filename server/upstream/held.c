/* held.c - a transfer whose key must be read from somewhere first: it waits, then it is another transfer.
 *
 *   held - owns -> wait (until the key was brought)
 *   held - owns -> inner transfer (from then on), whose callbacks it passes on */
#include <stdlib.h>

#include "protocol/base/str.h"
#include "server/upstream/transfer.h"

struct held {
	struct transfer base;
	enum carrier_kind carrier;
	enum framing framing;
	struct endpoint to; /* its texts are owned here */
	struct wire_request request;
	struct key_wait *wait;
	struct transfer *inner;
};

/* ---- passing on ---- */

static void
on_head(void *arg, const struct wire_head *head)
{
	struct held *h = arg;

	if (h->base.over)
		return;
	h->base.known = transfer_known(h->inner);
	if (h->base.cb.on_head != NULL)
		h->base.cb.on_head(h->base.arg, head);
}

static void
on_frame(void *arg, const struct frame *f)
{
	struct held *h = arg;

	(void)transfer_frame(&h->base, f->event, f->data);
}

static void
on_body(void *arg, struct slice body)
{
	struct held *h = arg;

	if (!h->base.over && h->base.cb.on_body != NULL)
		h->base.cb.on_body(h->base.arg, body);
}

static void
on_end(void *arg, const struct failure *failure)
{
	struct held *h = arg;

	h->inner = NULL;
	transfer_end(&h->base, failure);
}

static const struct transfer_callbacks passed_on = { on_head, on_frame, on_body, on_end };

/* ---- the key ---- */

static void
brought(void *arg, const struct secret *key, const struct failure *why)
{
	struct held *h = arg;
	struct failure failure = FAILURE_INIT;
	struct error err = ERROR_INIT;

	h->wait = NULL;
	if (h->base.over)
		return;
	if (key == NULL) {
		transfer_end(&h->base, why);
		return;
	}
	h->to.key = key;
	h->inner = transfer_start(h->base.up, h->carrier, h->framing, &h->to, &h->request, &passed_on,
	    h, &err);
	h->to.key = NULL;
	if (h->inner == NULL) {
		failure_say(&failure, FAILURE_CONFIG, "start", "%s", err.message);
		transfer_end(&h->base, &failure);
	} else if (h->base.paused) {
		transfer_pause(h->inner, true);
	}
}

/* ---- what its owner does ---- */

static void
held_pause(struct transfer *t, bool paused)
{
	struct held *h = (struct held *)t;

	if (h->inner != NULL)
		transfer_pause(h->inner, paused);
}

static void
held_keep(struct transfer *t, struct wire_memory *known)
{
	struct held *h = (struct held *)t;

	if (h->inner != NULL)
		transfer_keep(h->inner, known);
	h->inner = NULL;
}

static void
held_release(struct transfer *t)
{
	struct held *h = (struct held *)t;

	if (h->wait != NULL)
		t->up->bringer.cancel(h->wait);
	/* when everything ends, the inner one is released by itself, perhaps it is gone already */
	if (h->inner != NULL && !t->up->closing)
		transfer_cancel(h->inner);
	wire_request_clear(&h->request);
	free((char *)h->to.base_url);
	free((char *)h->to.ca_file);
	free((char *)h->to.proxy);
	free((char *)h->to.program);
	free(h);
}

static const struct carrier_ops held_ops = { held_pause, held_keep, held_release };

struct transfer *
held_start(struct upstream *u, enum carrier_kind carrier, enum framing framing, const struct endpoint *to,
    struct wire_request *req, const struct transfer_callbacks *cb, void *arg, struct error *err)
{
	struct held *h;

	if (u->bringer.ask == NULL) {
		error_set(err, MP_E_INTERNAL, "nobody reads keys here");
		return NULL;
	}
	h = xcalloc(1, sizeof *h);
	h->carrier = carrier;
	h->framing = framing;
	h->to = *to;
	h->to.base_url = xstrdup(to->base_url);
	h->to.ca_file = xstrdup(to->ca_file);
	h->to.proxy = xstrdup(to->proxy);
	h->to.program = xstrdup(to->program);
	h->to.unread = NULL;
	h->request = *req;
	wire_request_init(req);
	transfer_init(&h->base, &held_ops, u, cb, arg);
	h->wait = u->bringer.ask(u->bringer.arg, to->unread, brought, h);
	return &h->base;
}

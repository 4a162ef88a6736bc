#include "server/upstream/carrier.h"

#include <assert.h>
#include <stdlib.h>

#include "server/upstream/child_warm.h"
#include "server/upstream/http.h"
#include "server/upstream/transfer.h"

struct upstream *
upstream_new(struct loop *loop)
{
	struct upstream *u = xcalloc(1, sizeof *u);

	u->loop = loop;
	return u;
}

void
upstream_free(struct upstream *u)
{
	struct transfer *t;

	if (u == NULL)
		return;
	u->draining = u->closing = true;
	while ((t = u->transfers) != NULL) {
		t->over = true;
		loop_defer_cancel(u->loop, &t->reap);
		u->transfers = t->next;
		t->ops->release(t);
	}
	http_free(u->http);
	warm_list_free(u->warm);
	children_free(u->children);
	free(u);
}

void
upstream_limit_patience(struct upstream *u, int64_t ms)
{
	u->patience_ms = ms;
}

void
upstream_bring_keys(struct upstream *u, const struct key_bringer *b)
{
	u->bringer = *b;
}

void
upstream_reload(struct upstream *u)
{
	if (u->http != NULL)
		http_reload(u->http);
	upstream_end_waiting(u, NULL, NULL);
}

void
upstream_end_waiting(struct upstream *u, bool (*ends)(void *arg, const char *owner), void *arg)
{
	if (u->warm != NULL)
		warm_end(u->warm, ends, arg);
}

void
upstream_drain(struct upstream *u)
{
	u->draining = true;
	upstream_end_waiting(u, NULL, NULL);
}

void
transfer_init(struct transfer *t, const struct carrier_ops *ops, struct upstream *u,
    const struct transfer_callbacks *cb, void *arg)
{
	t->ops = ops;
	t->up = u;
	t->cb = *cb;
	t->arg = arg;
	t->next = u->transfers;
	if (t->next != NULL)
		t->next->prev = t;
	u->transfers = t;
}

static void
transfer_reap(void *arg)
{
	struct transfer *t = arg;

	if (t->prev != NULL)
		t->prev->next = t->next;
	else
		t->up->transfers = t->next;
	if (t->next != NULL)
		t->next->prev = t->prev;
	t->ops->release(t);
}

void
transfer_retire(struct transfer *t)
{
	if (t->over)
		return;
	t->over = true;
	loop_defer(t->up->loop, &t->reap, transfer_reap, t);
}

void
transfer_end(struct transfer *t, const struct failure *failure)
{
	if (t->over)
		return;
	transfer_retire(t); /* first, so that a cancel inside on_end is harmless */
	t->cb.on_end(t->arg, failure);
}

bool
transfer_frame(struct transfer *t, struct slice event, struct slice data)
{
	struct frame f = { event, data };

	if (t->over)
		return false;
	t->cb.on_frame(t->arg, &f);
	return !t->over && !t->paused;
}

struct transfer *
transfer_start(struct upstream *u, enum carrier_kind carrier, enum framing framing,
    const struct endpoint *to, struct wire_request *req, const struct transfer_callbacks *cb,
    void *arg, struct error *err)
{
	struct endpoint hasty;

	if (to->unread != NULL)
		return held_start(u, carrier, framing, to, req, cb, arg, err);
	if (u->patience_ms > 0) {
		hasty = *to;
		hasty.connect_ms = hasty.first_byte_ms = hasty.silence_ms = u->patience_ms;
		to = &hasty;
	}
	switch (carrier) {
	case CARRIER_HTTP:
		return http_start(u, framing, to, req, cb, arg, err);
	case CARRIER_CHILD:
		return child_start(u, framing, to, req, cb, arg, err);
	case CARRIER_LOOPBACK:
		return loopback_start(u, req, cb, arg, err);
	}
	return NULL;
}

void
transfer_pause(struct transfer *t, bool paused)
{
	if (t->over || t->paused == paused)
		return;
	t->paused = paused;
	t->ops->pause(t, paused);
}

void
transfer_cancel(struct transfer *t)
{
	transfer_retire(t);
}

const struct wire_memory *
transfer_known(const struct transfer *t)
{
	return t->known;
}

void
transfer_keep(struct transfer *t, struct wire_memory *known)
{
	if (!t->over && t->ops->keep != NULL)
		t->ops->keep(t, known);
	transfer_retire(t);
}

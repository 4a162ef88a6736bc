#include "server/call/listing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/clock.h"
#include "server/call/story.h"

#define MODELS_MAX 20000
#define MODEL_ID_MAX 256

struct listing {
	const struct attempt_parts *parts;
	void (*on_end)(void *arg, const struct listing_end *e);
	void *arg;

	struct provider *provider;
	const struct dialect *dialect;
	struct transfer *transfer;
	struct loop_timer *patience;
	struct head_copy refusal;
	bool key_sent;
	bool judged; /* `failed` holds the verdict */
	bool failed;
	bool dead;
	struct failure failure;
	char **models;
	size_t count, room;
	int64_t started_ms;
};

void
listing_stop(struct listing *l)
{
	if (l == NULL)
		return;
	l->dead = true;
	if (l->transfer != NULL)
		transfer_cancel(l->transfer);
	l->transfer = NULL;
	loop_timer_stop(l->patience);
}

void
listing_free(struct listing *l)
{
	if (l == NULL)
		return;
	listing_stop(l);
	for (size_t i = 0; i < l->count; i++)
		free(l->models[i]);
	free(l->models);
	head_copy_clear(&l->refusal);
	provider_free(l->provider);
	loop_timer_free(l->patience);
	free(l);
}

static void
listing_fail(struct listing *l, const struct failure *f)
{
	if (l->judged)
		return;
	l->judged = l->failed = true;
	l->failure = *f;
}

static void
listing_fail_own(struct listing *l, enum failure_class class, const char *kind)
{
	struct failure f = FAILURE_INIT;

	f.class = class;
	snprintf(f.kind, sizeof(f.kind), "%s", kind);
	listing_fail(l, &f);
}

static void
listing_conclude(struct listing *l)
{
	struct listing_end e = { .models = (const char *const *)l->models, .count = l->count };

	if (l->dead)
		return;
	listing_stop(l);
	e.latency_ms = clock_monotonic_ms() - l->started_ms;
	e.key_sent = l->key_sent;
	if (l->failed) {
		failure_redact(&l->failure);
		e.failure = &l->failure;
	}
	l->on_end(l->arg, &e);
}

static void
listing_add(void *arg, const struct listed_model *m)
{
	struct listing *l = arg;
	struct slice id = m->id;

	if (l->count == MODELS_MAX || id.len == 0 || id.len > MODEL_ID_MAX)
		return;
	if (l->count == l->room) {
		l->room = l->room > 0 ? l->room * 2 : 16;
		l->models = xrealloc(l->models, l->room * sizeof(*l->models));
	}
	l->models[l->count++] = slice_dup(id);
}

static void
listing_refused(struct listing *l, struct slice body)
{
	struct failure f = FAILURE_INIT;

	l->dialect->refuse(l->provider, &l->refusal.head, body, clock_wall_ms(), &f);
	if (f.class == FAILURE_NONE)
		f.class = FAILURE_SERVER;
	f.http_status = l->refusal.head.status;
	listing_fail(l, &f);
}

static void
listing_on_head(void *arg, const struct wire_head *head)
{
	struct listing *l = arg;

	attempt_limits(l->parts, l->provider, l->dialect, head);
	if (head->status >= 300)
		head_copy_set(&l->refusal, head);
}

/* A stream is no list of models; on_end finds that no list came. */
static void
listing_on_frame(void *arg, const struct frame *f)
{
	(void)arg;
	(void)f;
}

static void
listing_on_body(void *arg, struct slice body)
{
	struct listing *l = arg;

	if (l->dead || l->judged)
		return;
	if (l->refusal.head.status >= 300)
		listing_refused(l, body);
	else if (l->dialect->list_reply(body, listing_add, l) != 0)
		listing_fail_own(l, FAILURE_PROTOCOL, "content_type");
	else
		l->judged = true;
}

static void
listing_on_end(void *arg, const struct failure *failure)
{
	struct listing *l = arg;

	l->transfer = NULL;
	if (!l->judged) {
		if (failure != NULL && failure->class != FAILURE_NONE)
			listing_fail(l, failure);
		else if (l->refusal.head.status >= 300)
			listing_refused(l, (struct slice){ NULL, 0 });
		else
			listing_fail_own(l, FAILURE_PROTOCOL, "content_type");
	}
	listing_conclude(l);
}

static void
listing_late(void *arg)
{
	struct listing *l = arg;

	listing_fail_own(l, FAILURE_TIMEOUT, "total");
	listing_conclude(l);
}

static const struct transfer_callbacks listing_callbacks = {
	.on_head = listing_on_head,
	.on_frame = listing_on_frame,
	.on_body = listing_on_body,
	.on_end = listing_on_end,
};

bool
listing_possible(const struct provider *provider)
{
	const struct dialect *d = dialect_find(provider->dialect);

	return d != NULL && d->list_request != NULL && d->list_reply != NULL &&
	    provider->base_url != NULL;
}

struct listing *
listing_start(const struct attempt_parts *parts, const struct provider *provider,
    const char *label, int64_t timeout_ms, void (*on_end)(void *arg, const struct listing_end *e),
    void *arg, struct error *err)
{
	struct listing *l;
	struct endpoint endpoint;
	struct wire_request wire;

	if (!listing_possible(provider)) {
		error_set(err, MP_E_INVALID_STATE, "it has no list of models");
		return NULL;
	}
	l = xcalloc(1, sizeof(*l));
	l->parts = parts;
	l->on_end = on_end;
	l->arg = arg;
	l->provider = provider_copy(provider);
	l->dialect = dialect_find(provider->dialect);
	l->started_ms = clock_monotonic_ms();
	l->patience = loop_timer_new(parts->loop, listing_late, l);

	wire_request_init(&wire);
	if (endpoint_open(&endpoint, parts->credentials, l->provider, label,
	        l->dialect->auth_style, err) != 0)
		goto fail;
	if (l->dialect->list_request(l->provider, &wire) != 0) {
		error_set(err, MP_E_INTERNAL, "the request could not be made");
		goto fail;
	}
	l->key_sent = endpoint.key != NULL;
	endpoint.connect_ms = timeout_ms;
	endpoint.first_byte_ms = timeout_ms;
	endpoint.silence_ms = timeout_ms;
	endpoint.total_ms = timeout_ms;
	l->transfer = transfer_start(parts->upstream, l->dialect->carrier, l->dialect->framing,
	    &endpoint, &wire, &listing_callbacks, l, err);
	if (l->transfer == NULL)
		goto fail;
	loop_timer_start(l->patience, timeout_ms);
	wire_request_clear(&wire);
	return l;

fail:
	wire_request_clear(&wire);
	listing_free(l);
	return NULL;
}

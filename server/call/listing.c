#include "server/call/listing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/clock.h"
#include "server/call/listing_steps.h"
#include "server/call/story.h"

#define FACTS_MS 2000 /* for what a server tells beside its list */

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
	loop_defer_cancel(l->parts->loop, &l->go_on);
}

void
listing_free(struct listing *l)
{
	if (l == NULL)
		return;
	listing_stop(l);
	roster_clear(&l->models);
	head_copy_clear(&l->refusal);
	provider_free(l->provider);
	loop_timer_free(l->patience);
	free(l->label);
	free(l->warning);
	free(l);
}

void
listing_warn(struct listing *l, const char *why)
{
	struct buf b = BUF_INIT;

	if (l->warning != NULL)
		return;
	buf_addf(&b, "the list of models of %s is not whole: %s", l->provider->name, why);
	l->warning = buf_steal(&b, NULL);
}

/* Where a gateway was asked about the key itself, its list says nothing about it: it is open to all. */
static int
key_valid(const struct listing *l)
{
	if (!l->key_sent)
		return -1;
	if (!l->listed && l->failure.class == FAILURE_AUTH)
		return 0;
	if (l->key_told)
		return 1;
	return l->listed && !provider_has_feature(l->provider, "credit-limits") ? 1 : -1;
}

static void
listing_conclude(struct listing *l)
{
	struct listing_end e = { .provider = l->provider, .models = &l->models,
		.count = l->models.count };

	if (l->dead)
		return;
	listing_stop(l);
	e.latency_ms = l->latency_ms >= 0 ? l->latency_ms : clock_monotonic_ms() - l->started_ms;
	e.key_sent = l->key_sent;
	e.key_valid = key_valid(l);
	e.reached = l->listed || l->reached;
	e.warning = l->warning;
	e.account = &l->account;
	if (!l->listed) {
		failure_redact(&l->failure);
		e.failure = &l->failure;
	}
	l->on_end(l->arg, &e);
}

static void
step_fail(struct listing *l, const struct failure *f)
{
	if (l->judged)
		return;
	l->judged = l->failed = true;
	l->failure = *f;
}

static void
step_fail_own(struct listing *l, enum failure_class class, const char *kind)
{
	struct failure f = FAILURE_INIT;

	f.class = class;
	snprintf(f.kind, sizeof(f.kind), "%s", kind);
	step_fail(l, &f);
}

static void
step_refused(struct listing *l, struct slice body)
{
	struct failure f = FAILURE_INIT;

	l->dialect->refuse(l->provider, &l->refusal.head, body, clock_wall_ms(), &f);
	if (f.class == FAILURE_NONE)
		f.class = FAILURE_SERVER;
	f.http_status = l->refusal.head.status;
	step_fail(l, &f);
}

/* ---- one step ---- */

static const struct transfer_callbacks listing_callbacks;

/* 1: asked. 0: nothing to ask in this step. */
static int
step_ask(struct listing *l, struct error *err)
{
	struct endpoint endpoint;
	struct wire_request wire;
	int r = 0;

	wire_request_init(&wire);
	if (!listing_step_request(l, &wire))
		goto out;
	if ((r = endpoint_open(&endpoint, l->parts->credentials, l->provider, l->label,
	        l->dialect->auth_style, err)) != 0)
		goto out;
	l->key_sent = endpoint.key != NULL || endpoint.unread != NULL;
	endpoint.connect_ms = l->timeout_ms;
	endpoint.first_byte_ms = l->timeout_ms;
	endpoint.silence_ms = l->timeout_ms;
	endpoint.total_ms = l->timeout_ms;
	head_copy_clear(&l->refusal);
	l->judged = l->failed = false;
	l->asked_ms = clock_monotonic_ms();
	l->transfer = transfer_start(l->parts->upstream, l->dialect->carrier, l->dialect->framing,
	    &endpoint, &wire, &listing_callbacks, l, err);
	r = l->transfer != NULL ? 1 : err->code;
out:
	wire_request_clear(&wire);
	return r;
}

/* From this step on to the first that has something to ask. 0 when none is left. */
static int
listing_advance(struct listing *l, struct error *err)
{
	int r = 0;

	while (l->step != STEP_NONE && (r = step_ask(l, err)) == 0)
		l->step++;
	return r;
}

static void
listing_go_on(void *arg)
{
	struct listing *l = arg;
	struct error err = ERROR_INIT;

	if (listing_advance(l, &err) == 1)
		return;
	if (!l->listed && !l->failed) {
		l->judged = false;
		step_fail_own(l, FAILURE_PROTOCOL, "content_type");
	}
	listing_conclude(l);
}

/* Whether it makes sense to ask the same server something else. */
static bool
speaks(const struct failure *f)
{
	return f->class != FAILURE_NETWORK && f->class != FAILURE_TIMEOUT &&
	    f->class != FAILURE_AUTH && f->class != FAILURE_CONFIG;
}

static bool
step_gives_list(enum step s)
{
	return s == STEP_NATIVE || s == STEP_NATIVE_OLD || s == STEP_LIST;
}

/* A later page that did not come ends the list; what came before it stays. */
static void
page_over(struct listing *l)
{
	if (l->step != STEP_LIST || l->pages == 0 || !l->failed)
		return;
	listing_warn(l, "a page of it did not come");
	l->cursor[0] = '\0';
	l->failed = false;
}

static void
step_over(struct listing *l)
{
	bool gives = step_gives_list(l->step), fine, more;

	page_over(l);
	fine = !l->failed;
	more = fine && l->step == STEP_LIST && l->cursor[0] != '\0';
	if (!fine && (l->step == STEP_HEALTH || l->step == STEP_LIST ||
	    (!l->listed && !speaks(&l->failure)))) {
		listing_conclude(l);
		return;
	}
	if (fine && gives && l->latency_ms < 0)
		l->latency_ms = clock_monotonic_ms() - l->asked_ms;
	if (fine && gives && !more && !l->listed) {
		l->listed = true;
		loop_timer_start(l->patience, FACTS_MS < l->timeout_ms ? FACTS_MS : l->timeout_ms);
	} else if (!fine && gives) {
		roster_clear(&l->models);
	}
	if (!more && (l->step != STEP_SHOW || (!fine && !speaks(&l->failure))))
		l->step++;
	loop_defer(l->parts->loop, &l->go_on, listing_go_on, l);
}

static void
listing_on_head(void *arg, const struct wire_head *head)
{
	struct listing *l = arg;

	l->reached = true;
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
		step_refused(l, body);
	else if (listing_step_read(l, body) != 0)
		step_fail_own(l, FAILURE_PROTOCOL, "content_type");
	else
		l->judged = true;
}

static void
listing_on_end(void *arg, const struct failure *failure)
{
	struct listing *l = arg;

	l->transfer = NULL;
	if (l->dead)
		return;
	if (!l->judged) {
		/* a health check may answer "ok", or nothing but its status */
		if (l->step == STEP_HEALTH && l->refusal.head.status == 0 && failure != NULL &&
		    (failure->class == FAILURE_NONE || failure->class == FAILURE_PROTOCOL))
			l->judged = true;
		else if (failure != NULL && failure->class != FAILURE_NONE)
			step_fail(l, failure);
		else if (l->refusal.head.status >= 300)
			step_refused(l, (struct slice){ NULL, 0 });
		else
			step_fail_own(l, FAILURE_PROTOCOL, "content_type");
	}
	step_over(l);
}

static const struct transfer_callbacks listing_callbacks = {
	.on_head = listing_on_head,
	.on_frame = listing_on_frame,
	.on_body = listing_on_body,
	.on_end = listing_on_end,
};

static void
listing_late(void *arg)
{
	struct listing *l = arg;

	if (l->pages > 0 && !l->listed) {
		listing_warn(l, "it took too long");
		l->listed = true;
	} else if (!l->listed) {
		l->judged = false;
		step_fail_own(l, FAILURE_TIMEOUT, "total");
	}
	listing_conclude(l);
}

/* ---- life ---- */

bool
listing_possible(const struct provider *provider)
{
	const struct dialect *d = dialect_find(provider->dialect);

	return d != NULL && d->list_request != NULL && d->list_reply != NULL &&
	    provider->base_url != NULL;
}

struct listing *
listing_start(const struct attempt_parts *parts, const struct provider *provider,
    const char *label, bool health, int64_t timeout_ms,
    void (*on_end)(void *arg, const struct listing_end *e), void *arg, struct error *err)
{
	struct listing *l;
	int r;

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
	l->label = xstrdup(label);
	l->health = health;
	l->show = (size_t)-1;
	l->timeout_ms = timeout_ms;
	l->latency_ms = -1;
	l->started_ms = clock_monotonic_ms();
	l->patience = loop_timer_new(parts->loop, listing_late, l);
	if ((r = listing_advance(l, err)) != 1) {
		if (r == 0)
			error_set(err, MP_E_INTERNAL, "the request could not be made");
		listing_free(l);
		return NULL;
	}
	loop_timer_start(l->patience, timeout_ms);
	return l;
}

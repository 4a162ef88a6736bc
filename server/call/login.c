#include "server/call/login.h"

#include <stdlib.h>

#include "server/base/clock.h"
#include "server/call/story.h"

struct login {
	void (*on_end)(void *arg, const struct failure *failure, int64_t latency_ms);
	void *arg;
	const struct dialect *dialect;
	struct transfer *transfer; /* NULL when it has ended */
	struct failure verdict;
	bool answered; /* `verdict` is the program's own word */
	bool dead;
	int64_t started_ms;
};

void
login_stop(struct login *l)
{
	if (l == NULL)
		return;
	l->dead = true;
	if (l->transfer != NULL)
		transfer_cancel(l->transfer);
	l->transfer = NULL;
}

void
login_free(struct login *l)
{
	login_stop(l);
	free(l);
}

/* An answer is not framed: it asked for no stream. */
static void
login_on_frame(void *arg, const struct frame *f)
{
	(void)arg;
	(void)f;
}

static void
login_on_body(void *arg, struct slice body)
{
	struct login *l = arg;

	if (l->dead || body.len == 0)
		return;
	l->dialect->login_reply(body, &l->verdict);
	/* what cannot be read explains less than how the program ended */
	l->answered = l->verdict.class != FAILURE_PROTOCOL;
}

static void
login_on_end(void *arg, const struct failure *failure)
{
	struct login *l = arg;

	l->transfer = NULL;
	if (l->dead)
		return;
	l->dead = true;
	/* one who is not logged in ends with a code, too: his answer says more */
	if (!l->answered && failure->class != FAILURE_NONE)
		l->verdict = *failure;
	failure_redact(&l->verdict);
	l->on_end(l->arg, l->verdict.class != FAILURE_NONE ? &l->verdict : NULL,
	    clock_monotonic_ms() - l->started_ms);
}

static const struct transfer_callbacks login_callbacks = {
	.on_frame = login_on_frame,
	.on_body = login_on_body,
	.on_end = login_on_end,
};

bool
login_possible(const struct provider *provider)
{
	const struct dialect *d = dialect_find(provider->dialect);

	return d != NULL && d->login_request != NULL && d->login_reply != NULL;
}

struct login *
login_start(const struct attempt_parts *parts, const struct provider *provider, int64_t timeout_ms,
    void (*on_end)(void *arg, const struct failure *failure, int64_t latency_ms), void *arg,
    struct error *err)
{
	struct login *l = xcalloc(1, sizeof(*l));
	struct wire_request wire;
	struct endpoint endpoint;
	int r;

	l->on_end = on_end;
	l->arg = arg;
	l->dialect = dialect_find(provider->dialect);
	l->started_ms = clock_monotonic_ms();
	/* no word at all is no login */
	l->dialect->login_reply((struct slice){ NULL, 0 }, &l->verdict);
	wire_request_init(&wire);
	if ((r = endpoint_open(&endpoint, parts->credentials, provider, NULL, AUTH_STYLE_NONE,
	         err)) != 0)
		goto out;
	if (l->dialect->login_request(provider, &wire) != 0) {
		r = error_set(err, MP_E_INTERNAL, "the question could not be made");
		goto out;
	}
	endpoint.first_byte_ms = endpoint.silence_ms = endpoint.total_ms = timeout_ms;
	l->transfer = transfer_start(parts->upstream, l->dialect->carrier, l->dialect->framing,
	    &endpoint, &wire, &login_callbacks, l, err);
	if (l->transfer == NULL)
		r = err->code;
out:
	wire_request_clear(&wire);
	if (r != 0) {
		login_free(l);
		return NULL;
	}
	return l;
}

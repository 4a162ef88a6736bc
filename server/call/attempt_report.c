/* attempt_report.c - what was learned about the provider, judged at the end of the stream. */
#include "server/base/clock.h"
#include "server/call/attempt.h"

/* Whether a failure says something about the provider rather than about the request. */
static bool
failure_is_providers(enum failure_class class)
{
	switch (class) {
	case FAILURE_AUTH:
	case FAILURE_PERMISSION:
	case FAILURE_QUOTA:
	case FAILURE_RATE_LIMIT:
	case FAILURE_OVERLOADED:
	case FAILURE_SERVER:
	case FAILURE_TIMEOUT:
	case FAILURE_NETWORK:
	case FAILURE_PROTOCOL:
	case FAILURE_CONFIG:
		return true;
	case FAILURE_NONE:
	case FAILURE_BAD_REQUEST:
	case FAILURE_CONTEXT_LENGTH:
	case FAILURE_NOT_FOUND:
	case FAILURE_CONTENT_POLICY:
	case FAILURE_UNSUPPORTED:
	case FAILURE_CANCELLED:
		return false;
	}
	return false;
}

/* What is wrong with the key of a test session says nothing about the provider's own; nor does what is wrong
 * with one of several that share its calls, while another can serve. Else *until_ms: when the first can. */
static bool
is_keys_alone(const struct attempt_parts *parts, const struct target *t, const struct failure *f,
    int64_t *until_ms)
{
	int64_t soonest_ms;

	*until_ms = f->wait_ms > 0 ? clock_wall_ms() + f->wait_ms : 0;
	if (!failure_is_keys(f))
		return false;
	if (t->label != NULL && credentials_label_reserved(t->label))
		return true;
	if (parts->routes == NULL)
		return false;
	if (routes_any_key_fits(parts->routes, t, &soonest_ms))
		return true;
	if (soonest_ms > 0)
		*until_ms = soonest_ms;
	return false;
}

void
attempt_report(const struct attempt_parts *parts, const struct target *t, bool key_sent,
    const struct failure *f, const struct error *err, int64_t latency_ms)
{
	int64_t until_ms;
	bool alone;

	if (f == NULL) {
		providers_report_ok(parts->providers, t->provider, latency_ms);
		if (key_sent)
			credentials_report(parts->credentials, t->provider, t->label, 0);
		return;
	}
	alone = is_keys_alone(parts, t, f, &until_ms);
	if (failure_is_providers(f->class) && !alone)
		providers_report_failure(parts->providers, t->provider, err->code, err->message, until_ms);
	if (key_sent && (f->class == FAILURE_AUTH || alone))
		credentials_report(parts->credentials, t->provider, t->label, err->code);
}

#include "server/call/probe.h"

#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "server/base/clock.h"
#include "server/call/listing.h"
#include "server/call/login.h"
#include "server/call/probe_list.h"
#include "server/call/story.h"

#define PROBE_DEFAULT_MS 15000
#define DEEP_MAX_TOKENS 16

struct probe {
	struct probes *owner;
	struct probe *prev, *next;
	void (*on_done)(void *arg, const struct probe_result *r);
	void *arg;

	struct target target;
	bool deep;
	int64_t timeout_ms, started_ms;
	struct listing *listing;
	struct login *login;
	struct call *call;
	int64_t latency_ms, models, first_token_ms;
	int key_valid, reachable, answers;
	char *warning;
	struct limits limits;

	bool dead;
	struct loop_deferred begin;
	struct loop_deferred reaper;
};

static void
probe_free(struct probe *p)
{
	struct loop *loop = p->owner->parts.loop;

	if (p->prev != NULL)
		p->prev->next = p->next;
	else
		p->owner->probes = p->next;
	if (p->next != NULL)
		p->next->prev = p->prev;
	loop_defer_cancel(loop, &p->begin);
	loop_defer_cancel(loop, &p->reaper);
	if (p->call != NULL)
		call_cancel(p->call, true);
	listing_free(p->listing);
	login_free(p->login);
	target_clear(&p->target);
	free(p->warning);
	free(p);
}

static void
probe_reap(void *arg)
{
	probe_free(arg);
}

void
probe_cancel(struct probe *p)
{
	if (p->dead)
		return;
	p->dead = true;
	listing_stop(p->listing);
	login_stop(p->login);
	if (p->call != NULL)
		call_cancel(p->call, true);
	p->call = NULL;
	loop_defer_cancel(p->owner->parts.loop, &p->begin);
	loop_defer(p->owner->parts.loop, &p->reaper, probe_reap, p);
}

static void
probe_done(struct probe *p, const struct error *err)
{
	struct probe_result r = {
		.code = err != NULL ? err->code : 0,
		.error = err,
		.target = &p->target,
		.latency_ms = p->latency_ms,
		.models = p->models,
		.first_token_ms = p->first_token_ms,
		.key_valid = p->key_valid,
		.reachable = p->reachable,
		.answers = p->answers,
		.warning = p->warning,
		.limits = &p->limits,
	};

	if (p->dead)
		return;
	probe_cancel(p);
	p->on_done(p->arg, &r);
}

/* ---- deep: one word from the model ---- */

static void
probe_call_started(void *arg, const struct call_start *s)
{
	(void)arg;
	(void)s;
}

static void
probe_call_event(void *arg, const struct event *e)
{
	(void)arg;
	(void)e;
}

static void
probe_call_ended(void *arg, const struct call_end *e)
{
	struct probe *p = arg;

	p->call = NULL;
	p->answers = e->code == 0;
	p->first_token_ms = e->first_token_ms;
	if (e->code == 0 || (e->failure != NULL && e->failure->http_status > 0))
		p->reachable = 1;
	else if (e->failure != NULL && p->reachable < 0)
		p->reachable = 0;
	if (e->failure != NULL && e->failure->class == FAILURE_AUTH)
		p->key_valid = 0;
	else if (e->code == 0)
		p->key_valid = 1;
	if (p->latency_ms < 0)
		p->latency_ms = e->first_token_ms >= 0 ? e->first_token_ms : e->duration_ms;
	probe_done(p, e->code != 0 ? e->error : NULL);
}

static const struct call_watch probe_call_watch = {
	probe_call_started, probe_call_event, probe_call_ended, NULL
};

static void
probe_ask(struct probe *p)
{
	struct chat_request *chat = chat_request_new();
	struct route route;
	struct error err = ERROR_INIT;
	int64_t left = p->timeout_ms - (clock_monotonic_ms() - p->started_ms);

	if (p->target.model[0] == '\0') {
		chat_request_free(chat);
		error_set(&err, MP_E_INVALID_PARAMS, "no model of %s is known to ask",
		    p->target.provider);
		error_hint(&err, "name one: mpc check %s:MODEL", p->target.provider);
		probe_done(p, &err);
		return;
	}
	chat_add_text(chat_add_message(chat, ROLE_USER), "Say OK.", 7);
	chat->options.max_tokens = DEEP_MAX_TOKENS;
	route_init(&route);
	route.auxiliary = true;
	target_copy(&route.target, &p->target);
	p->call = call_start(p->owner->calls, chat, &route, left > 1 ? left : 1, "check",
	    &probe_call_watch, p, &err);
	route_clear(&route);
	if (p->call == NULL)
		probe_done(p, &err);
}

/* ---- the list of models, with the key ---- */

/* The list is kept before; `first` of it is asked when no model was named. */
static void
probe_ask_listed(struct probe *p, const char *first)
{
	if (p->target.model[0] == '\0' && first != NULL) {
		struct target named;

		target_init(&named);
		target_set(&named, p->target.provider, first, NULL, p->target.label);
		target_clear(&p->target);
		p->target = named;
	}
	probe_ask(p);
}

void
probes_keep_account(struct probes *p, const char *provider, const char *label,
    const struct listing_end *e)
{
	if (e->account->limits.count == 0)
		return;
	credentials_report_limits(p->parts.credentials, provider, label, &e->account->limits);
	credentials_note_expiry(p->parts.credentials, provider, label, e->account->key_expires_ms);
}

static void
probe_told(struct probe *p, const struct listing_end *e)
{
	p->reachable = e->reached;
	p->key_valid = e->key_valid;
	if (e->warning != NULL)
		p->warning = xstrdup(e->warning);
	limits_merge(&p->limits, &e->account->limits);
	probes_keep_account(p->owner, p->target.provider, p->target.label, e);
}

static void
probe_listed(void *arg, const struct listing_end *e)
{
	struct probe *p = arg;
	const struct attempt_parts *parts = &p->owner->parts;
	struct error err = ERROR_INIT;
	struct story s = { .target = &p->target, .checking = true, .key_sent = e->key_sent,
		.timeout_ms = p->timeout_ms };
	char *first = NULL;

	p->latency_ms = e->latency_ms;
	probe_told(p, e);
	if (e->failure == NULL) {
		p->models = (int64_t)e->count;
		if (e->count > 0)
			first = xstrdup(e->models->models[0].id);
		probes_keep_list(p->owner, e->provider, e->models);
	} else {
		/* Some servers have no list: then only the model itself can tell. */
		if (e->failure->class == FAILURE_NOT_FOUND && p->target.model[0] != '\0') {
			p->latency_ms = -1;
			probe_ask(p);
			return;
		}
		s.provider = providers_find(parts->providers, p->target.provider);
		s.credential = credentials_find(parts->credentials, p->target.provider,
		    p->target.label);
		story_tell(&s, e->failure, &err);
	}
	/* a list that is open to all says nothing of the key */
	attempt_report(parts, &p->target, e->key_valid >= 0, e->failure, &err, e->latency_ms);
	if (e->failure != NULL)
		probe_done(p, &err);
	else if (p->deep)
		probe_ask_listed(p, first);
	else
		probe_done(p, NULL);
	free(first);
}

/* ---- the login that the provider's own program holds ---- */

static void
probe_login(void *arg, const struct failure *failure, int64_t latency_ms)
{
	struct probe *p = arg;
	const struct attempt_parts *parts = &p->owner->parts;
	struct provider_health h;
	struct error err = ERROR_INIT;
	struct story s = { .target = &p->target, .checking = true, .timeout_ms = p->timeout_ms,
		.provider = providers_find(parts->providers, p->target.provider) };

	p->latency_ms = latency_ms;
	p->reachable = failure == NULL || failure->class == FAILURE_AUTH;
	if (failure != NULL) {
		story_tell(&s, failure, &err);
		attempt_report(parts, &p->target, false, failure, &err, latency_ms);
		probe_done(p, &err);
		return;
	}
	/* a window that is used up stays so; a missing login or program does not */
	providers_health(parts->providers, p->target.provider, &h);
	if (s.provider != NULL &&
	    (h.code == MP_E_AUTH_REJECTED || h.code == MP_E_PROVIDER_UNAVAILABLE))
		providers_forget_failure(parts->providers, s.provider);
	if (p->deep)
		probe_ask(p);
	else
		probe_done(p, NULL);
}

static void
probe_begin(void *arg)
{
	struct probe *p = arg;
	const struct attempt_parts *parts = &p->owner->parts;
	const struct provider *provider = providers_find(parts->providers, p->target.provider);
	struct story s = { .target = &p->target, .provider = provider, .checking = true };
	const struct dialect *dialect;
	struct error err = ERROR_INIT;

	dialect = provider != NULL ? dialect_find(provider->dialect) : NULL;
	if (provider == NULL) {
		error_set(&err, MP_E_NOT_FOUND, "unknown provider \"%s\"", p->target.provider);
	} else if (dialect == NULL) {
		error_set(&err, MP_E_INVALID_STATE, "this version does not speak \"%s\" yet",
		    provider->dialect);
	} else if (login_possible(provider)) {
		p->login = login_start(parts, provider, p->timeout_ms, probe_login, p, &err);
		if (p->login != NULL)
			return;
	} else if (!listing_possible(provider)) {
		/* The built-in echo: nothing to reach, nothing to refuse. */
		p->latency_ms = 0;
		p->reachable = 1;
		if (p->deep)
			probe_ask(p);
		else
			probe_done(p, NULL);
		return;
	} else {
		p->listing = listing_start(parts, provider, p->target.label, true,
		    p->timeout_ms, probe_listed, p, &err);
		if (p->listing != NULL)
			return;
	}
	story_unsent(&s, &err);
	probe_done(p, &err);
}

struct probe *
probe_start(struct probes *owner, const struct target *t, bool deep, int64_t timeout_ms,
    void (*on_done)(void *arg, const struct probe_result *r), void *arg, struct error *err)
{
	struct probe *p = xcalloc(1, sizeof(*p));

	(void)err; /* whatever goes wrong is the result of the check */
	p->owner = owner;
	p->on_done = on_done;
	p->arg = arg;
	target_init(&p->target);
	target_copy(&p->target, t);
	p->deep = deep;
	p->timeout_ms = timeout_ms > 0 ? timeout_ms : PROBE_DEFAULT_MS;
	p->started_ms = clock_monotonic_ms();
	p->latency_ms = p->models = p->first_token_ms = -1;
	p->key_valid = p->reachable = p->answers = -1;
	p->next = owner->probes;
	if (p->next != NULL)
		p->next->prev = p;
	owner->probes = p;
	loop_defer(owner->parts.loop, &p->begin, probe_begin, p);
	return p;
}

struct probes *
probes_new(struct loop *loop, struct upstream *up, struct providers *ps, struct credentials *cs,
    struct calls *calls)
{
	struct probes *p = xcalloc(1, sizeof(*p));

	p->parts = (struct attempt_parts){ loop, up, ps, cs, NULL, NULL, NULL, NULL };
	p->calls = calls;
	return p;
}

void
probes_remember(struct probes *p, struct discovered *d, struct changes *c)
{
	p->discovered = d;
	p->changes = c;
}

void
probes_keep_list(struct probes *p, const struct provider *asked, struct roster *models)
{
	const struct provider *pr = providers_find_id(p->parts.providers, asked->id);

	/* it may have been removed or moved while the answer was on its way */
	if (pr == NULL || pr->base_url == NULL || strcmp(pr->base_url, asked->base_url) != 0)
		return;
	providers_set_models_count(p->parts.providers, pr->name, (int64_t)models->count);
	if (p->discovered != NULL)
		discovered_set(p->discovered, pr, models, clock_wall_ms());
}

void
probes_free(struct probes *p)
{
	if (p == NULL)
		return;
	for (struct probe *each = p->probes, *next; each != NULL; each = next) {
		next = each->next;
		probe_free(each);
	}
	detections_free(p);
	recognitions_free(p);
	free(p);
}

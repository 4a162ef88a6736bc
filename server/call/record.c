#include "server/call/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/base/clock.h"
#include "server/state/catalogue.h"
#include "server/usage/price_book.h"

/* Of text in the languages of Europe, and of code. */
#define BYTES_PER_TOKEN 4

void
record_begin(struct record *r, const struct attempt_parts *parts, const struct target *target,
    const struct attempt_origin *origin, const struct chat_request *chat)
{
	memset(r, 0, sizeof *r);
	r->parts = parts;
	r->target = target;
	r->origin = *origin;
	r->started_ms = clock_monotonic_ms();
	r->first_ms = -1;
	r->prompt_bytes = (int64_t)chat_text_bytes(chat);
}

void
record_event(struct record *r, const struct event *e)
{
	switch (e->type) {
	case EVENT_START:
		snprintf(r->answered, sizeof r->answered, "%.*s", (int)e->name.len,
		    e->name.data != NULL ? e->name.data : "");
		break;
	case EVENT_TEXT:
	case EVENT_REASONING:
	case EVENT_TOOL_ARGS:
	case EVENT_TOOL_CALL:
		r->answer_bytes += (int64_t)(e->text.len + e->name.len);
		if (r->first_ms < 0)
			r->first_ms = clock_monotonic_ms();
		break;
	case EVENT_REASONING_END:
	case EVENT_TOOL_END:
	case EVENT_USAGE:
	case EVENT_LIMITS:
	case EVENT_FINISH:
	case EVENT_WARNING:
	case EVENT_ERROR:
		break;
	}
}

static int64_t
tokens(int64_t bytes)
{
	return (bytes + BYTES_PER_TOKEN - 1) / BYTES_PER_TOKEN;
}

/* What was told before the end of an answer that was cut short is not the whole of it. */
static void
estimate(const struct record *r, struct usage *u, bool whole)
{
	int64_t output = tokens(r->answer_bytes);

	if (!whole && r->answer_bytes == 0 && !usage_counted(u))
		return; /* maybe it has thought for long, maybe not at all */
	if (u->input_tokens < 0) {
		u->input_tokens = tokens(r->prompt_bytes);
		u->input_estimated = true;
	}
	if (u->output_tokens < 0 || (!whole && u->output_tokens < output)) {
		u->output_tokens = output;
		u->output_estimated = true;
	}
}

/* Refused before anything was made: nobody bills that. */
static bool
nothing_used(const struct record *r, const struct failure *f)
{
	if (!r->sent)
		return true;
	if (f == NULL || r->answer_bytes > 0)
		return false;
	switch (f->class) {
	case FAILURE_AUTH:
	case FAILURE_PERMISSION:
	case FAILURE_QUOTA:
	case FAILURE_RATE_LIMIT:
	case FAILURE_OVERLOADED:
	case FAILURE_BAD_REQUEST:
	case FAILURE_CONTEXT_LENGTH:
	case FAILURE_NOT_FOUND:
	case FAILURE_UNSUPPORTED:
	case FAILURE_CONFIG:
		return true;
	case FAILURE_NETWORK:
		return strcmp(f->kind, "connect") == 0 || strcmp(f->kind, "dns") == 0 ||
		    strcmp(f->kind, "tls") == 0 || strcmp(f->kind, "proxy") == 0;
	case FAILURE_SERVER:
		return f->http_status >= 300;
	case FAILURE_NONE:
	case FAILURE_TIMEOUT:
	case FAILURE_CONTENT_POLICY:
	case FAILURE_PROTOCOL:
	case FAILURE_CANCELLED:
		return false;
	}
	return false;
}

/* By the price of what was asked for, else of what answered. */
static bool
price(const struct record *r, int64_t at_ms, struct usage *u)
{
	struct price_ask ask = { .model = r->target->upstream, .prompt_tokens = u->input_tokens,
		.at_ms = at_ms };
	const struct price_row *row;
	enum price_layer layer;

	if (r->provider == NULL || r->parts->prices == NULL)
		return false;
	ask.provider = r->provider->id;
	ask.catalogue = catalogue_name(r->provider->id);
	if ((row = price_book_find(r->parts->prices, &ask, &layer)) == NULL) {
		ask.model = r->answered;
		if ((row = price_book_find(r->parts->prices, &ask, &layer)) == NULL)
			return false;
	}
	u->cost_microusd = tariff_cost(&row->tariff, u);
	u->cost_kind = price_layer_cost(layer);
	return true;
}

static void
judge_cost(const struct record *r, int64_t at_ms, struct usage *u, bool nothing)
{
	enum provider_type type = r->provider != NULL ? r->provider->type : PROVIDER_DIRECT_API;

	if (type == PROVIDER_PLAN_BASED && u->cost_microusd <= 0 &&
	    (u->cost_microusd == 0 || usage_counted(u))) {
		u->cost_kind = COST_PLAN;
		if (u->list_microusd > 0)
			u->cost_microusd = u->list_microusd;
	} else if (u->cost_microusd >= 0) {
		u->cost_kind = COST_REPORTED;
	} else if (!usage_counted(u)) {
		u->cost_kind = nothing ? COST_NONE : COST_UNKNOWN;
	} else if (!price(r, at_ms, u)) {
		u->cost_kind = r->provider != NULL && !purses_paid(r->parts->prices, r->provider) ? COST_FREE
		                                                                          : COST_UNPRICED;
		if (u->cost_kind == COST_FREE)
			u->cost_microusd = 0;
	}
}

void
record_so_far(const struct record *r, const struct usage *told, struct usage *out)
{
	*out = *told;
	if (r->target == NULL || !r->sent || r->written)
		return;
	estimate(r, out, false);
	judge_cost(r, clock_wall_ms(), out, false);
	if (out->cost_kind == COST_PLAN)
		out->cost_microusd = -1;
}

void
record_price(const struct price_book *prices, const struct provider *provider, const struct target *target,
    int64_t at_ms, struct usage *usage)
{
	const struct attempt_parts parts = { .prices = prices };
	const struct record r = { .parts = &parts, .target = target, .provider = provider };

	/* whoever tells a cost of a plan tells what it would have been */
	if (provider != NULL && provider->type == PROVIDER_PLAN_BASED && usage->cost_microusd > 0) {
		usage->list_microusd = usage->cost_microusd;
		usage->cost_microusd = 0;
	}
	judge_cost(&r, at_ms, usage, false);
}

static const char *
text(const char *s)
{
	return s != NULL ? s : "";
}

static void
write_row(const struct record *r, const struct usage *u, const char *outcome)
{
	const struct usage_row row = {
		.call = r->origin.call,
		.attempt = r->origin.number,
		.provider = r->target->provider,
		.model = r->target->model,
		.answered = r->answered,
		.label = r->provider != NULL && r->provider->auth != AUTH_NONE ? text(r->target->label) : "",
		.client = text(r->origin.client),
		.scope = text(r->origin.scope),
		.chain = text(r->origin.chain),
		.session = r->origin.session,
		.outcome = outcome,
		.usage = *u,
		.duration_ms = clock_monotonic_ms() - r->started_ms,
		.first_token_ms = r->first_ms >= 0 ? r->first_ms - r->started_ms : -1,
	};

	if (r->parts->ledger != NULL)
		ledger_add(r->parts->ledger, &row);
}

/* As much answer as the caller allows, else what most answers stay below. */
#define ANSWER_TOKENS 4096

int
record_afford(struct record *r, const struct provider *provider, const struct chat_request *chat,
    struct error *err)
{
	struct usage most = USAGE_INIT;

	r->provider = provider;
	if (r->parts->purses == NULL || !purses_paid(r->parts->prices, provider))
		return 0;
	most.input_tokens = tokens(r->prompt_bytes);
	most.output_tokens = chat->options.max_tokens > 0 ? chat->options.max_tokens : ANSWER_TOKENS;
	r->reservation = (struct reservation){ .provider = provider, .chain = text(r->origin.chain),
		.scope = text(r->origin.scope) };
	if (price(r, clock_wall_ms(), &most)) /* nothing would be a price that is not known */
		r->reservation.microusd = most.cost_microusd > 0 ? most.cost_microusd : 1;
	return purses_reserve(r->parts->purses, &r->reservation, err);
}

void
record_clear(struct record *r)
{
	free(r->news);
	r->news = NULL;
}

void
record_end(struct record *r, struct usage *usage, const char *outcome, const struct failure *failure)
{
	bool nothing;

	if (r->written || r->target == NULL)
		return;
	r->written = true;
	nothing = nothing_used(r, failure);
	if (!nothing)
		estimate(r, usage, strcmp(outcome, "done") == 0);
	judge_cost(r, clock_wall_ms(), usage, nothing);
	write_row(r, usage, outcome);
	if (r->parts->purses == NULL)
		return;
	purses_release(r->parts->purses, &r->reservation);
	if (r->parts->ledger != NULL && purses_news(r->parts->purses) != NULL)
		r->news = xstrdup(purses_news(r->parts->purses));
}

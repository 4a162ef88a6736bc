#include "server/call/metrics.h"

#include <stdio.h>

#include "server/base/clock.h"

/* ---- lines ---- */

static void
family(struct buf *b, const char *name, const char *type, const char *help)
{
	buf_addf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* One more label behind those that are in l: a backslash, a quote and a line's end have a backslash before
 * them. */
static void
label(struct buf *l, const char *name, const char *value)
{
	buf_addf(l, "%s%s=\"", l->len > 0 ? "," : "", name);
	for (; *value != '\0'; value++) {
		if (*value == '\\' || *value == '"')
			buf_addc(l, '\\');
		if (*value == '\n')
			buf_adds(l, "\\n");
		else
			buf_addc(l, *value);
	}
	buf_addc(l, '"');
}

/* The same labels anew. */
static const char *
labels(struct buf *l, const char *a, const char *a_value, const char *b, const char *b_value)
{
	buf_truncate(l, 0);
	label(l, a, a_value);
	if (b != NULL)
		label(l, b, b_value);
	return buf_str(l);
}

static void
number(struct buf *b, const char *name, const char *with, int64_t n)
{
	buf_addf(b, *with != '\0' ? "%s{%s} %lld\n" : "%s%s %lld\n", name, with, (long long)n);
}

/* Thousandths or millionths as a whole. */
static void
fraction(struct buf *b, const char *name, const char *with, int64_t n, int64_t parts)
{
	buf_addf(b, *with != '\0' ? "%s{%s} %.15g\n" : "%s%s %.15g\n", name, with, (double)n / (double)parts);
}

static void
histogram(struct buf *b, const char *name, const char *with, const struct histogram *h, const int64_t *bounds,
    int64_t parts)
{
	int64_t below = 0;

	for (size_t i = 0; i < METER_BUCKETS; i++) {
		below += h->counts[i];
		buf_addf(b, "%s_bucket{%s,le=\"%.15g\"} %lld\n", name, with,
		    (double)bounds[i] / (double)parts, (long long)below);
	}
	buf_addf(b, "%s_bucket{%s,le=\"+Inf\"} %lld\n", name, with, (long long)h->count);
	buf_addf(b, "%s_sum{%s} %.15g\n", name, with, (double)h->sum / (double)parts);
	buf_addf(b, "%s_count{%s} %lld\n", name, with, (long long)h->count);
}

/* ---- calls ---- */

static const char *
model_labels(struct buf *l, const struct meter *m)
{
	return labels(l, "provider", m->provider, "model", m->model);
}

static const char *
gen_ai_labels(struct buf *l, const struct meter *m)
{
	labels(l, "gen_ai_operation_name", "chat", "gen_ai_provider_name", m->provider);
	label(l, "gen_ai_request_model", m->model);
	return buf_str(l);
}

static void
write_tokens(const struct meters *ms, struct buf *l, struct buf *b)
{
	static const char name[] = "gen_ai_client_token_usage";

	family(b, name, "histogram", "Tokens of an attempt, by type.");
	for (size_t i = 0; i < meters_count(ms); i++) {
		const struct meter *m = meters_at(ms, i);

		gen_ai_labels(l, m);
		label(l, "gen_ai_token_type", "input");
		if (m->input.count > 0)
			histogram(b, name, buf_str(l), &m->input, meter_token_bounds, 1);
		gen_ai_labels(l, m);
		label(l, "gen_ai_token_type", "output");
		if (m->output.count > 0)
			histogram(b, name, buf_str(l), &m->output, meter_token_bounds, 1);
	}
}

static void
write_durations(const struct meters *ms, struct buf *l, struct buf *b)
{
	static const char name[] = "gen_ai_client_operation_duration_seconds";

	family(b, name, "histogram", "How long an attempt took; error_type says why it failed.");
	for (size_t i = 0; i < meters_count(ms); i++)
		for (size_t k = 0; k < meters_at(ms, i)->outcome_count; k++) {
			const struct meter_outcome *o = &meters_at(ms, i)->outcomes[k];

			gen_ai_labels(l, meters_at(ms, i));
			if (!slice_eq(slice_of(o->outcome), "done"))
				label(l, "error_type", o->outcome);
			if (o->duration.count > 0)
				histogram(b, name, buf_str(l), &o->duration, meter_duration_bounds, 1000);
		}
}

static void
write_requests(const struct meters *ms, struct buf *l, struct buf *b)
{
	static const char name[] = "modelpd_requests_total";

	family(b, name, "counter", "Attempts, by how they ended (done, cancelled, or why they failed).");
	for (size_t i = 0; i < meters_count(ms); i++)
		for (size_t k = 0; k < meters_at(ms, i)->outcome_count; k++) {
			const struct meter_outcome *o = &meters_at(ms, i)->outcomes[k];

			model_labels(l, meters_at(ms, i));
			label(l, "outcome", o->outcome);
			number(b, name, buf_str(l), o->requests);
		}
}

struct sum {
	const char *name, *help;
	size_t member;
	int64_t parts;
};

static void
write_sums(const struct meters *ms, struct buf *l, struct buf *b)
{
	static const struct sum sums[] = {
		{ "modelpd_cost_usd_total", "What attempts cost, as far as it is known.",
		    offsetof(struct meter, cost_microusd), 1000000 },
		{ "modelpd_plan_cost_usd_total", "What attempts of plans would have cost by list: no money.",
		    offsetof(struct meter, plan_microusd), 1000000 },
		{ "modelpd_unpriced_requests_total", "Attempts whose tokens are known, but no price.",
		    offsetof(struct meter, unpriced), 1 },
		{ "modelpd_cache_read_tokens_total", "Tokens of prompts that a cache had.",
		    offsetof(struct meter, cache_read_tokens), 1 },
		{ "modelpd_reasoning_tokens_total", "Tokens of answers that were reasoning.",
		    offsetof(struct meter, reasoning_tokens), 1 },
	};

	for (size_t s = 0; s < sizeof sums / sizeof *sums; s++) {
		family(b, sums[s].name, "counter", sums[s].help);
		for (size_t i = 0; i < meters_count(ms); i++) {
			const char *at = (const char *)meters_at(ms, i) + sums[s].member;

			fraction(b, sums[s].name, model_labels(l, meters_at(ms, i)),
			    *(const int64_t *)(const void *)at, sums[s].parts);
		}
	}
}

/* ---- providers ---- */

/* Those that were used or seen; of the others there is nothing to say. */
static bool
known_health(const struct metrics_parts *p, size_t i, struct provider_health *h)
{
	const struct provider *pr = providers_at(p->providers, i);

	providers_health(p->providers, pr->name, h);
	return pr->enabled && h->since_ms > 0;
}

static void
write_providers(const struct metrics_parts *p, struct buf *l, struct buf *b)
{
	static const char up[] = "modelpd_provider_up", cooldown[] = "modelpd_provider_cooldown_seconds";
	int64_t now = clock_wall_ms();
	struct provider_health h;

	family(b, up, "gauge", "1: the last that was heard of the provider was good.");
	for (size_t i = 0; i < providers_count(p->providers); i++)
		if (known_health(p, i, &h))
			number(b, up, labels(l, "provider", providers_at(p->providers, i)->name, NULL, NULL),
			    h.code == 0);
	family(b, cooldown, "gauge", "Until the provider takes requests again, where it said so.");
	for (size_t i = 0; i < providers_count(p->providers); i++)
		if (known_health(p, i, &h))
			fraction(b, cooldown,
			    labels(l, "provider", providers_at(p->providers, i)->name, NULL, NULL),
			    h.code != 0 && h.until_ms > now ? h.until_ms - now : 0, 1000);
}

/* Of each dimension that a provider speaks of: what is left, or of how much. */
static void
write_limits(const struct metrics_parts *p, struct buf *l, struct buf *b, bool left)
{
	const char *name = left ? "modelpd_provider_limit_remaining" : "modelpd_provider_limit";

	family(b, name, "gauge", left ? "What is left of a limit (credit and balance: USD)."
	                              : "How much a limit allows (credit and balance: USD).");
	for (size_t i = 0; i < providers_count(p->providers); i++) {
		const char *provider = providers_at(p->providers, i)->name;
		const struct limits *ls = providers_limits(p->providers, provider);

		for (size_t k = 0; ls != NULL && k < ls->count; k++) {
			int64_t n = left ? ls->of[k].remaining : ls->of[k].limit;

			if (n >= 0)
				fraction(b, name, labels(l, "provider", provider, "limit", ls->of[k].name), n,
				    ls->of[k].microusd ? 1000000 : 1);
		}
	}
}

static void
write_budgets(const struct metrics_parts *p, struct buf *l, struct buf *b)
{
	static const char *const names[] = { "modelpd_budget_limit_usd", "modelpd_budget_spent_usd",
		"modelpd_budget_reserved_usd" };
	static const char *const helps[] = { "What may be spent in a period.", "What was spent of it.",
		"What calls in flight may still cost of it." };
	struct purse_view v;
	char of[300];

	for (int what = 0; what < 3; what++) {
		family(b, names[what], "gauge", helps[what]);
		for (size_t i = 0; i < budgets_count(p->budgets); i++) {
			const struct budget *budget = budgets_at(p->budgets, i);

			purses_look(p->purses, budget, &v);
			budget_for_write(p->providers, budget, of, sizeof of);
			fraction(b, names[what], labels(l, "for", of, "period", budget->period),
			    what == 0       ? budget->limit_microusd
				: what == 1 ? v.spent_microusd
				            : v.reserved_microusd,
			    1000000);
		}
	}
}

/* ---- the daemon ---- */

static void
gauge(struct buf *b, const char *name, const char *help, int64_t n)
{
	family(b, name, "gauge", help);
	number(b, name, "", n);
}

static void
write_daemon(const struct metrics_parts *p, struct buf *l, struct buf *b)
{
	family(b, "modelpd_info", "gauge", "1, and the version of the daemon.");
	number(b, "modelpd_info", labels(l, "version", p->version, NULL, NULL), 1);
	family(b, "process_start_time_seconds", "gauge", "When it began; counters begin at 0 with it.");
	fraction(b, "process_start_time_seconds", "", p->started_ms, 1000);
	gauge(b, "process_resident_memory_bytes", "Its memory.", p->resident_bytes);
	gauge(b, "modelpd_clients", "Connections of clients.", p->clients);
	gauge(b, "modelpd_calls_in_flight", "Calls that run.", (int64_t)calls_count(p->calls));
	gauge(b, "modelpd_ledger_waiting", "Records of attempts that are not written yet.",
	    ledger_waiting(p->ledger));
	gauge(b, "modelpd_ledger_failing", "1: the last try to write them failed.",
	    ledger_failing(p->ledger));
	family(b, "modelpd_ledger_lost_total", "counter", "Records that were given up: too many waited.");
	number(b, "modelpd_ledger_lost_total", "", ledger_lost(p->ledger));
}

void
metrics_write(const struct metrics_parts *parts, struct buf *out)
{
	struct buf l = BUF_INIT;

	write_daemon(parts, &l, out);
	write_requests(parts->meters, &l, out);
	write_tokens(parts->meters, &l, out);
	write_durations(parts->meters, &l, out);
	write_sums(parts->meters, &l, out);
	write_providers(parts, &l, out);
	write_limits(parts, &l, out, true);
	write_limits(parts, &l, out, false);
	write_budgets(parts, &l, out);
	buf_clear(&l);
}

#include "server/call/purses.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/state/catalogue.h"
#include "server/usage/calendar.h"

/* A budget in the period that runs. */
struct purse {
	const struct budget *budget; /* borrowed until the budgets change */
	enum period period;
	int64_t since_ms, resets_ms;
	int64_t spent;
	int told; /* 0, or the part of a thousand that was told */
};

struct purses {
	struct ledger *ledger;
	struct budgets *budgets;
	struct providers *providers;
	struct changes *changes;
	const struct price_book *prices;
	struct purse *of; /* as many as there are budgets, in their order */
	size_t count;
	struct reservation *first;
	bool telling;
	char news[256]; /* of the last row; "" = none */
	bool refused_hard;
};

static bool
matches(const struct budget *b, const char *provider_id, const char *chain, const char *scope)
{
	switch (b->kind) {
	case BUDGET_ALL:
		return true;
	case BUDGET_PROVIDER:
		return strcmp(b->subject, provider_id) == 0;
	case BUDGET_CHAIN:
		return strcmp(b->subject, chain) == 0;
	case BUDGET_SCOPE:
		return strcmp(b->subject, scope) == 0;
	}
	return false;
}

static const char *
id_of(const struct purses *p, const char *name)
{
	const struct provider *pr = providers_find(p->providers, name);

	return pr != NULL ? pr->id : "";
}

/* ---- what was spent ---- */

struct counting {
	struct purses *p;
	struct purse *purse;
};

static void
count_group(void *arg, const struct usage_group *g)
{
	const struct counting *c = arg;

	if (matches(c->purse->budget, id_of(c->p, g->provider), g->chain, g->scope))
		c->purse->spent += g->sums.cost_microusd;
}

/* A new period, or the first look at this one: what the ledger knows of it. */
static void
purse_begin(struct purses *p, struct purse *purse, int64_t now_ms)
{
	struct counting c = { p, purse };

	purse->since_ms = calendar_start(purse->period, now_ms);
	purse->resets_ms = calendar_next(purse->period, now_ms);
	purse->spent = 0;
	purse->told = 0;
	if (ledger_sums(p->ledger, purse->since_ms, purse->resets_ms, USAGE_BY_PURSE, USAGE_DAYS, count_group,
	        &c) != 0)
		log_error("what was spent cannot be read; budgets begin at nothing");
}

static void
purse_roll(struct purses *p, struct purse *purse)
{
	int64_t now = clock_wall_ms();

	/* a clock that was set back leads to a period that has ended, too */
	if (now < purse->since_ms || now >= purse->resets_ms)
		purse_begin(p, purse, now);
}

static void
rebuild(struct purses *p)
{
	int64_t now = clock_wall_ms();

	p->count = budgets_count(p->budgets);
	free(p->of);
	p->of = xcalloc(p->count + 1, sizeof *p->of);
	for (size_t i = 0; i < p->count; i++) {
		const struct budget *b = budgets_at(p->budgets, i);

		p->of[i].budget = b;
		p->of[i].period = strcmp(b->period, "week") == 0 ? PERIOD_WEEK
		    : strcmp(b->period, "month") == 0            ? PERIOD_MONTH
		                                                 : PERIOD_DAY;
		purse_begin(p, &p->of[i], now);
	}
}

/* At four fifths, and when it is empty: once in a period. */
static void
purse_tell(struct purses *p, struct purse *purse)
{
	int64_t limit = purse->budget->limit_microusd;
	int part = purse->spent >= limit ? 1000
	    : purse->spent / PURSE_WARN_PERMILLE >= limit / 1000 ? PURSE_WARN_PERMILLE
	                                                         : 0;
	char of[300], key[320];

	if (part <= purse->told)
		return;
	purse->told = part;
	budget_for_write(p->providers, purse->budget, of, sizeof of);
	snprintf(key, sizeof key, "%s/%s", of, purse->budget->period);
	log_warn(part == 1000 ? "a budget is used up" : "four fifths of a budget are used",
	    LOG_TEXT("for", of), LOG_TEXT("per", purse->budget->period));
	snprintf(p->news, sizeof p->news, "$%.2f of the budget of $%.2f a %s%s%.160s is spent%s",
	    (double)purse->spent / 1e6, (double)limit / 1e6, purse->budget->period,
	    of[0] != '\0' ? " for " : "", of, part < 1000 ? "" : "; it is used up");
	p->telling = true;
	changes_tell(p->changes, TOPIC_BUDGET, CHANGE_UPDATE, key, part == 1000 ? "used up" : "80 %");
	p->telling = false;
}

static void
on_row(void *arg, const struct usage_row *row)
{
	struct purses *p = arg;

	p->news[0] = '\0';
	if (row->usage.cost_kind == COST_PLAN || row->usage.cost_microusd <= 0)
		return;
	for (size_t i = 0; i < p->count; i++) {
		int64_t since = p->of[i].since_ms;

		if (!matches(p->of[i].budget, id_of(p, row->provider), row->chain, row->scope))
			continue;
		purse_roll(p, &p->of[i]);
		if (row->id / 1000 < p->of[i].since_ms)
			continue; /* told late: of a period that is over */
		/* what was read from the ledger just now has this row */
		if (p->of[i].since_ms == since)
			p->of[i].spent += row->usage.cost_microusd;
		purse_tell(p, &p->of[i]);
	}
}

static void
on_change(void *arg, const struct change *ch)
{
	struct purses *p = arg;

	if (ch->topic == TOPIC_BUDGET && !p->telling)
		rebuild(p);
}

/* The budgets lie elsewhere now. */
static void
reload(void *arg)
{
	rebuild(arg);
}

/* ---- room ---- */

static int64_t
reserved(const struct purses *p, const struct budget *b)
{
	int64_t sum = 0;

	for (const struct reservation *r = p->first; r != NULL; r = r->next)
		if (matches(b, r->provider->id, r->chain, r->scope))
			sum += r->microusd > 0 ? r->microusd : b->limit_microusd / PURSE_UNKNOWN_PART + 1;
	return sum;
}

/* The purse without room for so much more; NULL = all have it. A hard one comes first. */
static struct purse *
too_small(struct purses *p, const struct provider *of, const char *chain, const char *scope,
    int64_t microusd)
{
	struct purse *found = NULL;

	for (size_t i = 0; i < p->count; i++) {
		struct purse *purse = &p->of[i];
		const struct budget *b = purse->budget;
		int64_t more = microusd > 0 ? microusd : b->limit_microusd / PURSE_UNKNOWN_PART + 1;

		if (!matches(b, of->id, chain, scope))
			continue;
		purse_roll(p, purse);
		if (purse->spent + reserved(p, b) + more > b->limit_microusd && (found == NULL || b->hard))
			found = purse;
	}
	return found;
}

bool
purses_paid(const struct price_book *prices, const struct provider *of)
{
	if (of->type == PROVIDER_PLAN_BASED)
		return false;
	/* a well-known one that is reached in another way is none of the user's own */
	return of->type != PROVIDER_LOCAL ||
	    (prices != NULL && price_book_has(prices, of->id, catalogue_name(of->id)));
}

bool
purses_used_up(struct purses *p, const char *provider, const char *chain, const char *scope,
    int64_t *until_ms, char *what, size_t size)
{
	const struct provider *of = providers_find(p->providers, provider);
	const struct purse *last = NULL;

	for (size_t i = 0; of != NULL && i < p->count && purses_paid(p->prices, of); i++) {
		struct purse *purse = &p->of[i];

		if (!matches(purse->budget, of->id, chain, scope))
			continue;
		purse_roll(p, purse);
		if (purse->spent < purse->budget->limit_microusd)
			continue;
		if (purse->budget->hard)
			return false;
		if (last == NULL || purse->resets_ms > last->resets_ms)
			last = purse;
	}
	if (last == NULL)
		return false;
	*until_ms = last->resets_ms;
	budget_for_write(p->providers, last->budget, what, size);
	return true;
}

static int
refuse(struct purses *p, const struct purse *purse, struct error *err)
{
	const struct budget *b = purse->budget;
	char of[300], flying[64] = "";
	int64_t in_flight = reserved(p, b);

	p->refused_hard = b->hard;
	budget_for_write(p->providers, b, of, sizeof of);
	if (in_flight > 0)
		snprintf(flying, sizeof flying, ", up to $%.2f in flight", (double)in_flight / 1e6);
	error_set(err, MP_E_BUDGET_EXCEEDED, "the budget of $%.2f a %s%s%.100s has no room ($%.2f spent%s)",
	    (double)b->limit_microusd / 1e6, b->period, of[0] != '\0' ? " for " : "", of,
	    (double)purse->spent / 1e6, flying);
	error_hint(err, "raise it: mpc budget set AMOUNT --per %s%s%.100s (now: mpc budget)", b->period,
	    of[0] != '\0' ? " --for " : "", of);
	err->retry_after_ms = purse->resets_ms - clock_wall_ms();
	return err->code;
}

int
purses_reserve(struct purses *p, struct reservation *r, struct error *err)
{
	const struct purse *small = too_small(p, r->provider, r->chain, r->scope, r->microusd);

	if (small != NULL)
		return refuse(p, small, err);
	r->prev = NULL;
	r->next = p->first;
	if (r->next != NULL)
		r->next->prev = r;
	p->first = r;
	r->held = true;
	return 0;
}

const char *
purses_news(const struct purses *p)
{
	return p->news[0] != '\0' ? p->news : NULL;
}

bool
purses_refused_hard(const struct purses *p)
{
	return p->refused_hard;
}

void
purses_release(struct purses *p, struct reservation *r)
{
	if (!r->held)
		return;
	r->held = false;
	if (r->prev != NULL)
		r->prev->next = r->next;
	else
		p->first = r->next;
	if (r->next != NULL)
		r->next->prev = r->prev;
}

/* ---- the face ---- */

struct purses *
purses_new(struct ledger *ledger, struct budgets *budgets, struct providers *providers,
    struct changes *changes, const struct price_book *prices)
{
	struct purses *p = xcalloc(1, sizeof *p);

	p->ledger = ledger;
	p->budgets = budgets;
	p->providers = providers;
	p->changes = changes;
	p->prices = prices;
	rebuild(p);
	changes_on_rollback(changes, reload, p);
	ledger_subscribe(ledger, on_row, p);
	changes_subscribe(changes, on_change, p);
	return p;
}

void
purses_free(struct purses *p)
{
	if (p == NULL)
		return;
	ledger_unsubscribe(p->ledger, p);
	changes_unsubscribe(p->changes, p);
	free(p->of);
	free(p);
}

void
purses_look(struct purses *p, const struct budget *b, struct purse_view *out)
{
	memset(out, 0, sizeof *out);
	for (size_t i = 0; i < p->count; i++) {
		if (p->of[i].budget != b)
			continue;
		purse_roll(p, &p->of[i]);
		out->spent_microusd = p->of[i].spent;
		out->reserved_microusd = reserved(p, b);
		out->since_ms = p->of[i].since_ms;
		out->resets_ms = p->of[i].resets_ms;
	}
}

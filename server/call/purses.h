/* purses.h - budgets at work: what was spent of each, what calls in flight may still cost, and whether there
 * is room for one more.
 *
 * Nothing is sent to a provider before its price was put aside in every purse it belongs to (an estimate:
 * the prompt, and as much answer as was allowed); the row in the ledger takes its place. So calls that run
 * together never spend more than the budget holds, as long as no price is above its estimate. What costs
 * nothing (the user's own server, a plan) needs no room. There is no other way to a provider.
 */
#ifndef SERVER_CALL_PURSES_H
#define SERVER_CALL_PURSES_H

#include "server/base/loop.h"
#include "server/state/budgets.h"
#include "server/state/providers.h"
#include "server/usage/ledger.h"
#include "server/usage/price_book.h"

#define PURSE_WARN_PERMILLE 800
/* Put aside where no price is known: this part of the budget. */
#define PURSE_UNKNOWN_PART 100

struct purses;

/* What is put aside for one attempt; a part of its record. */
struct reservation {
	const struct provider *provider; /* borrowed, as the texts, until it is released */
	const char *chain, *scope;       /* never NULL; "" = none */
	int64_t microusd;
	bool held;
	struct reservation *prev, *next;
};

/* All borrowed, and needed until purses_free. */
struct purses *purses_new(struct ledger *ledger, struct budgets *budgets, struct providers *providers,
    struct changes *changes, const struct price_book *prices);
void purses_free(struct purses *p); /* NULL is harmless */

/* Whether calls of that provider are paid one by one: not on a plan, nor on the user's own server as long as
 * nothing there has a price. prices NULL = none is known. */
bool purses_paid(const struct price_book *prices, const struct provider *of);
/* Whether a target of that provider is better passed over: a budget it counts in is used up, and every such
 * budget lets something else be asked instead. *until_ms: when the last of them begins anew, wall clock;
 * what: what that one is for, as budget_for_write says. What is in flight does not count. */
bool purses_used_up(struct purses *p, const char *provider, const char *chain, const char *scope,
    int64_t *until_ms, char *what, size_t size);
/* Puts r->microusd aside (0 = no price is known). MP_E_BUDGET_EXCEEDED with what is used up. */
int purses_reserve(struct purses *p, struct reservation *r, struct error *err);
/* Right after that: whether the budget wants nothing else to be asked instead. */
bool purses_refused_hard(const struct purses *p);
/* Right after a row was added to the ledger: what is to be said of a budget that it took to four fifths, or
 * to its end; the last one where it was several. NULL = nothing. */
const char *purses_news(const struct purses *p);
/* It is paid, or was never needed. Harmless when nothing is held. */
void purses_release(struct purses *p, struct reservation *r);

/* ---- looking ---- */

struct purse_view {
	int64_t spent_microusd, reserved_microusd;
	int64_t since_ms, resets_ms;
};
void purses_look(struct purses *p, const struct budget *b, struct purse_view *out);

#endif

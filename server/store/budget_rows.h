/* budget_rows.h - budgets in state.db: what may be spent on what in which time. */
#ifndef SERVER_STORE_BUDGET_ROWS_H
#define SERVER_STORE_BUDGET_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "server/store/store.h"

struct budget_row {
	const char *kind;    /* all, provider, chain, scope */
	const char *subject; /* the provider's id, the chain's or the scope's name; "" for all */
	const char *period;  /* day, week, month */
	int64_t limit_microusd;
	bool hard;
	int64_t rev;
};
/* Sorted by kind, subject and period. */
int store_budget_each(struct store *s, void (*each)(void *arg, const struct budget_row *row), void *arg);
int store_budget_put(struct store *s, const struct budget_row *row); /* key: kind, subject, period */
int store_budget_delete(struct store *s, const char *kind, const char *subject, const char *period);

#endif

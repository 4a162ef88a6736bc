/* budgets.h - what may be spent: by everything, one provider, one chain or one scope, in a day, a week or a
 * month. The counting is call/purses.h. */
#ifndef SERVER_STATE_BUDGETS_H
#define SERVER_STATE_BUDGETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/base/err.h"
#include "server/state/changes.h"
#include "server/state/providers.h"

#define BUDGETS_MAX 256

enum budget_kind { BUDGET_ALL, BUDGET_PROVIDER, BUDGET_CHAIN, BUDGET_SCOPE };

struct budget {
	enum budget_kind kind;
	const char *subject; /* the provider's id, the chain's or the scope's name; "" for all */
	const char *period;  /* "day", "week", "month" */
	int64_t limit_microusd;
	bool hard; /* nothing else is asked instead */
	int64_t rev;
};

struct budgets;

int budgets_new(struct store *store, struct changes *changes, struct budgets **out, struct error *err);
void budgets_free(struct budgets *bs); /* NULL is harmless */
/* Borrowed until the next change. */
size_t budgets_count(const struct budgets *bs);
const struct budget *budgets_at(const struct budgets *bs, size_t i);
/* NULL = none. */
const struct budget *budgets_find(const struct budgets *bs, enum budget_kind kind, const char *subject,
    const char *period);

/* "" for all, a provider's name, "@chain", "scope:NAME": how people write what a budget is for. False when
 * there is no such provider or the form is wrong. Caller frees *subject. */
bool budget_for_read(const struct providers *ps, const char *text, enum budget_kind *kind, char **subject);
void budget_for_write(const struct providers *ps, const struct budget *b, char *out, size_t size);

/* Inside changes_begin/commit: sets it, or takes it away when limit_microusd is 0. MP_E_INVALID_PARAMS
 * (period), MP_E_NOT_FOUND (nothing to take away), MP_E_TOO_MANY. */
int budgets_set(struct budgets *bs, const struct providers *ps, const struct budget *b, struct error *err);

#endif

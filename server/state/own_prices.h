/* own_prices.h - prices that the user has set (or a team's bundle brought) for models of his providers.
 *
 * Rows hang on the provider's id: a rename changes nothing. A model's prices stand together; those of one day
 * are complete, which means that one of them is for prompts of every length. */
#ifndef SERVER_STATE_OWN_PRICES_H
#define SERVER_STATE_OWN_PRICES_H

#include "protocol/base/err.h"
#include "server/model/price.h"
#include "server/state/changes.h"
#include "server/state/providers.h"

#define OWN_PRICES_MAX 2000         /* all fit into a document that is applied in one turn of the loop */
#define OWN_PRICES_OF_MODEL_MAX 32  /* days and tiers */
#define PRICE_FROM_MAX_MS INT64_C(4102444800000) /* the year 2100; whole days, UTC */
#define PRICE_ABOVE_MAX INT64_C(1000000000)

struct own_prices;

int own_prices_new(struct store *store, struct changes *changes, struct own_prices **out, struct error *err);
void own_prices_free(struct own_prices *ps); /* NULL is harmless */

/* Sorted by provider (its id), model, from_ms and above; borrowed until the next change. */
size_t own_prices_count(const struct own_prices *ps);
const struct price_row *own_prices_at(const struct own_prices *ps, size_t i);
/* All of one model, side by side from *first on: how many. */
size_t own_prices_of(const struct own_prices *ps, const struct provider *p, const char *model,
    const struct price_row **first);
/* Another number whenever they may be others. */
uint64_t own_prices_generation(const struct own_prices *ps);

/* Inside changes_begin/commit. In place of what the model had: rows in any order, their provider and model
 * are not looked at; 0 rows = none. MP_E_INVALID_PARAMS (what is wrong with which), MP_E_TOO_MANY. */
int own_prices_put(struct own_prices *ps, const struct provider *p, const char *model,
    const struct price_row *rows, size_t count, struct error *err);
/* One row: of the same day and length in place of what was there. MP_E_CONFLICT: a tier of a day that has no
 * price for shorter prompts. */
int own_prices_set(struct own_prices *ps, const struct provider *p, const char *model,
    const struct price_row *row, struct error *err);
/* The rows of one day (from_ms -1 = of all), and of that length (above 0 = of all). MP_E_NOT_FOUND. */
int own_prices_remove(struct own_prices *ps, const struct provider *p, const char *model, int64_t from_ms,
    int64_t above, struct error *err);
int own_prices_remove_all(struct own_prices *ps, const struct provider *p, struct error *err);

#endif

/* own_price_rows.h - prices in state.db: what models of one provider of the user's cost. */
#ifndef SERVER_STORE_OWN_PRICE_ROWS_H
#define SERVER_STORE_OWN_PRICE_ROWS_H

#include "server/model/price.h"
#include "server/store/store.h"

/* Sorted by provider (its id), model, from_ms and above. */
int store_own_price_each(struct store *s, void (*each)(void *arg, const struct price_row *row), void *arg);
int store_own_price_put(struct store *s, const struct price_row *row); /* key: all but the tariff */
int store_own_prices_delete(struct store *s, const char *provider, const char *model); /* all of a model */

#endif

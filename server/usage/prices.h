/* prices.h - the built-in list of prices: rows of prices.def. */
#ifndef SERVER_USAGE_PRICES_H
#define SERVER_USAGE_PRICES_H

#include <stddef.h>

#include "server/model/price.h"

/* The day of prices.def. */
#define PRICES_AS_OF_MS INT64_C(1795305600000) /* 2026-11-22 */
/* The rows of prices.def, by name in the catalogue: *count of them. */
const struct price_row *prices_built_in(size_t *count);

#endif

/* price.h - what a model costs: plain data. Pico-USD per token, which is micro-USD per million tokens.
 *
 * A tariff holds for a whole request. Which one it is follows from the day, and for some models from how long
 * the prompt is, what was read from a cache included. */
#ifndef SERVER_MODEL_PRICE_H
#define SERVER_MODEL_PRICE_H

#include <stdbool.h>
#include <stdint.h>

#include "server/model/usage.h"

struct tariff {
	int64_t input, cache_read, cache_write, output; /* reasoning is output */
};

/* USD 2000 per million tokens: what a call costs by it does not overflow, however many it has used. */
#define PRICE_MAX_PICO INT64_C(2000000000)
bool tariff_valid(const struct tariff *t); /* every price from 0 to PRICE_MAX_PICO */
/* Micro-USD, rounded to the nearest; unknown counts cost nothing. */
int64_t tariff_cost(const struct tariff *t, const struct usage *u);

/* A line of a list of prices. */
struct price_row {
	const char *provider, *model; /* the provider by its id, or by its name in the catalogue */
	int64_t from_ms;              /* 0 = since ever */
	int64_t above;                /* prompts of more tokens than this; 0 = all */
	struct tariff tariff;
};

#endif

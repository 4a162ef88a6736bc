/* prices.h - what a model costs by its provider's list: rows of prices.def. Pico-USD per token.
 *
 * A tariff holds for a whole request. Which one it is follows from the day, and for some models from how long
 * the prompt is, what was read from a cache included. */
#ifndef SERVER_USAGE_PRICES_H
#define SERVER_USAGE_PRICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/model/usage.h"

struct tariff {
	int64_t input, cache_read, cache_write, output; /* reasoning is output */
};

/* catalogue: the provider's name in the catalogue ("openai"). A dated id ("gpt-5-2025-08-07") costs what the
 * model does. False: no price is known. */
bool prices_find(const char *catalogue, const char *model, int64_t prompt_tokens, int64_t at_ms,
    struct tariff *out);
/* Whether models of that provider cost anything. */
bool prices_has(const char *catalogue);
/* Micro-USD, rounded to the nearest; unknown counts cost nothing. */
int64_t tariff_cost(const struct tariff *t, const struct usage *u);
/* The next row of prices.def, for lists: NULL at the end. */
struct price_row {
	const char *catalogue, *model;
	int64_t from_ms; /* 0 = since ever */
	int64_t above;   /* prompts of more tokens than this; 0 = all */
	struct tariff tariff;
};
const struct price_row *prices_at(size_t i);

#endif

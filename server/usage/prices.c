#include "server/usage/prices.h"

/* Pico-USD per token of USD per million tokens. */
#define PICO(usd) ((int64_t)((usd) * 1e6 + 0.5))

static const struct price_row rows[] = {
#define PRICE(catalogue, model, from, above, input, read, write, output) \
	{ catalogue, model, from, above, { PICO(input), PICO(read), PICO(write), PICO(output) } },
#include "server/usage/prices.def"
};

const struct price_row *
prices_built_in(size_t *count)
{
	*count = sizeof rows / sizeof *rows;
	return rows;
}

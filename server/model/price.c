#include "server/model/price.h"

/* More than this in one answer is a mistake of somebody's; no sum of products below overflows. */
#define TOKENS_MAX INT64_C(1000000000)
_Static_assert(PRICE_MAX_PICO <= (INT64_MAX - 500000) / 4 / TOKENS_MAX, "a cost fits");

static bool
is_price(int64_t pico)
{
	return pico >= 0 && pico <= PRICE_MAX_PICO;
}

bool
tariff_valid(const struct tariff *t)
{
	return is_price(t->input) && is_price(t->cache_read) && is_price(t->cache_write) &&
	    is_price(t->output);
}

static int64_t
within(int64_t n)
{
	return n < 0 ? 0 : n < TOKENS_MAX ? n : TOKENS_MAX;
}

int64_t
tariff_cost(const struct tariff *t, const struct usage *u)
{
	int64_t read = within(u->cache_read_tokens), write = within(u->cache_write_tokens);
	int64_t plain = within(u->input_tokens) - read - write;
	int64_t pico;

	if (plain < 0)
		plain = 0;
	pico = plain * t->input + read * t->cache_read + write * t->cache_write +
	    within(u->output_tokens) * t->output;
	return (pico + 500000) / 1000000;
}

#include "server/usage/prices.h"

#include <ctype.h>
#include <string.h>

/* More than this in one answer is a mistake of somebody's; no product below overflows. */
#define TOKENS_MAX INT64_C(1000000000)

/* Pico-USD per token of USD per million tokens. */
#define PICO(usd) ((int64_t)((usd) * 1e6 + 0.5))

static const struct price_row rows[] = {
#define PRICE(catalogue, model, from, above, input, read, write, output) \
	{ catalogue, model, from, above, { PICO(input), PICO(read), PICO(write), PICO(output) } },
#include "server/usage/prices.def"
};

#define ROWS (sizeof rows / sizeof *rows)

const struct price_row *
prices_at(size_t i)
{
	return i < ROWS ? &rows[i] : NULL;
}

/* The length of an id without the day it was made on: "-2025-08-07", "-20250807". */
static size_t
undated(const char *model)
{
	static const char *const forms[] = { "-dddd-dd-dd", "-dddddddd" };
	size_t n = strlen(model);

	for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
		size_t k = strlen(forms[f]), i = 0;

		if (n <= k)
			continue;
		while (i < k && (forms[f][i] == 'd' ? isdigit((unsigned char)model[n - k + i]) != 0
		                                    : model[n - k + i] == '-'))
			i++;
		if (i == k)
			return n - k;
	}
	return n;
}

static bool
better(const struct price_row *a, const struct price_row *b)
{
	if (b == NULL || a->from_ms != b->from_ms)
		return b == NULL || a->from_ms > b->from_ms;
	return a->above > b->above;
}

static const struct price_row *
find(const char *catalogue, const char *model, size_t n, int64_t prompt_tokens, int64_t at_ms)
{
	const struct price_row *best = NULL;

	for (size_t i = 0; i < ROWS; i++) {
		const struct price_row *r = &rows[i];

		if (strcmp(r->catalogue, catalogue) != 0 || strlen(r->model) != n ||
		    memcmp(r->model, model, n) != 0 || r->from_ms > at_ms)
			continue;
		if (r->above > 0 && prompt_tokens <= r->above)
			continue;
		if (better(r, best))
			best = r;
	}
	return best;
}

bool
prices_find(const char *catalogue, const char *model, int64_t prompt_tokens, int64_t at_ms,
    struct tariff *out)
{
	size_t n = strlen(model);
	const struct price_row *r = find(catalogue, model, n, prompt_tokens, at_ms);

	if (r == NULL && undated(model) < n)
		r = find(catalogue, model, undated(model), prompt_tokens, at_ms);
	if (r == NULL)
		return false;
	*out = r->tariff;
	return true;
}

bool
prices_has(const char *catalogue)
{
	for (size_t i = 0; i < ROWS; i++)
		if (strcmp(rows[i].catalogue, catalogue) == 0)
			return true;
	return false;
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

/* price_list_settle.c - what a list says, beside what is known anyway. Pure. */
#include <stdlib.h>
#include <string.h>

#include "server/usage/price_list.h"

/* All built-in rows of a model, the latest day first. */
struct known {
	const struct price_row *rows;
	size_t count;
	bool exactly; /* of that very name, not of the same without its day */
	int64_t at_ms;
};

static const struct price_row *
known_base(const struct known *k)
{
	for (size_t i = 0; i < k->count; i++)
		if (k->rows[i].from_ms <= k->at_ms && k->rows[i].above == 0)
			return &k->rows[i];
	return NULL;
}

/* ---- amounts ---- */

/* price as many times as `to` is of `of`, upwards, and never less than price. */
static int64_t
dearer(int64_t price, int64_t to, int64_t of)
{
	int64_t v = of > 0 ? (price * to + of - 1) / of : to;

	v = v > price ? v : price;
	return v < PRICE_MAX_PICO ? v : PRICE_MAX_PICO;
}

static int64_t
cache_price(int64_t told, int64_t input, int64_t known_cache, int64_t known_input)
{
	int64_t v;

	if (told != PRICE_UNTOLD)
		return told;
	if (known_input <= 0)
		return input;
	v = (known_cache * input + known_input / 2) / known_input;
	return v < PRICE_MAX_PICO ? v : PRICE_MAX_PICO;
}

static void
fill(struct tariff *t, const struct price_row *base)
{
	const struct tariff none = { 0, 0, 0, 0 }, *b = base != NULL ? &base->tariff : &none;

	t->cache_read = cache_price(t->cache_read, t->input, b->cache_read, b->input);
	t->cache_write = cache_price(t->cache_write, t->input, b->cache_write, b->input);
}

static bool
same_tariff(const struct tariff *a, const struct tariff *b)
{
	return a->input == b->input && a->cache_read == b->cache_read && a->cache_write == b->cache_write &&
	    a->output == b->output;
}

/* ---- rows that are added ---- */

/* The tiers that hold beside base, for a row that is flat. */
static void
add_tiers(struct price_list *out, const struct price_row *row, const struct known *k,
    const struct price_row *base)
{
	const struct tariff *r = &row->tariff, *b = &base->tariff;

	for (size_t i = 0; i < k->count; i++) {
		const struct price_row *tier = &k->rows[i];
		struct price_row add = *row;

		/* an older tier ended with the base that came after it */
		if (tier->above == 0 || tier->from_ms > k->at_ms || tier->from_ms < base->from_ms)
			continue;
		add.above = tier->above;
		add.tariff = (struct tariff){
			dearer(r->input, tier->tariff.input, b->input),
			dearer(r->cache_read, tier->tariff.cache_read, b->cache_read),
			dearer(r->cache_write, tier->tariff.cache_write, b->cache_write),
			dearer(r->output, tier->tariff.output, b->output),
		};
		price_list_add(out, &add);
	}
}

static void
add_announced(struct price_list *out, const struct price_row *last, const struct known *k)
{
	for (size_t i = 0; i < k->count; i++) {
		struct price_row add = k->rows[i];

		if (add.from_ms <= k->at_ms || add.from_ms <= last->from_ms)
			continue;
		add.provider = last->provider;
		add.model = last->model;
		price_list_add(out, &add);
	}
}

/* ---- one model ---- */

static void
settle_group(struct price_list *out, const struct price_row *rows, size_t count, struct known *k,
    int64_t date_ms)
{
	bool flat = true;

	for (size_t i = 0; i < count; i++)
		flat = flat && rows[i].above == 0;
	for (size_t i = 0; i < count; i++) {
		struct price_row row = rows[i];
		const struct price_row *base;

		k->at_ms = row.from_ms > date_ms ? row.from_ms : date_ms;
		base = known_base(k);
		fill(&row.tariff, base);
		if (flat && count == 1 && base != NULL && k->exactly &&
		    same_tariff(&row.tariff, &base->tariff))
			return;
		price_list_add(out, &row);
		if (flat && base != NULL)
			add_tiers(out, &row, k, base);
	}
	k->at_ms = date_ms;
	add_announced(out, &rows[count - 1], k);
}

void
price_list_settle(struct price_list *l, const struct price_book *book, int64_t date_ms)
{
	struct price_list out = { .unpriced = l->unpriced, .refused = l->refused };

	for (size_t i = 0, end; i < l->count; i = end) {
		const struct price_ask ask = { NULL, l->rows[i].provider, l->rows[i].model, -1, date_ms };
		struct known k = { .rows = NULL };

		end = price_list_group(l, i);
		k.count = price_book_rows(book, PRICE_BUILT_IN, &ask, &k.rows);
		k.exactly = k.count > 0 && strcmp(k.rows[0].model, ask.model) == 0;
		if (k.count > 0 && date_ms < PRICES_AS_OF_MS)
			continue;
		settle_group(&out, &l->rows[i], end - i, &k, date_ms);
	}
	price_list_clear(l);
	price_list_sort(&out);
	*l = out;
}

#include "server/usage/price_book.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"

/* Sorted by provider, model, the latest day and the longest prompt: the first that holds is the one. */
struct layer {
	struct price_row *rows;
	size_t count;
	char *texts; /* of all rows, in the order they were given in */
};

struct price_book {
	struct layer layers[PRICE_LAYERS];
};

const char *
price_layer_name(enum price_layer layer)
{
	static const char *const names[PRICE_LAYERS] = { "own", "bundle", "refreshed", "catalogue" };

	return names[layer];
}

enum cost_kind
price_layer_cost(enum price_layer layer)
{
	return layer == PRICE_OWN || layer == PRICE_BUNDLE ? COST_OWN : COST_LIST;
}

/* ---- life ---- */

static int
falling(int64_t a, int64_t b)
{
	return (a < b) - (a > b);
}

static int
compare_rows(const void *left, const void *right)
{
	const struct price_row *a = left, *b = right;
	int c = strcmp(a->provider, b->provider);

	if (c == 0)
		c = strcmp(a->model, b->model);
	if (c == 0)
		c = falling(a->from_ms, b->from_ms);
	if (c == 0)
		c = falling(a->above, b->above);
	return c != 0 ? c : (a->model > b->model) - (a->model < b->model); /* as they were given */
}

static char *
append(char *to, const char *text, const char **where)
{
	size_t n = strlen(text) + 1;

	memcpy(to, text, n);
	*where = to;
	return to + n;
}

static void
layer_clear(struct layer *l)
{
	free(l->rows);
	free(l->texts);
	*l = (struct layer){ NULL, 0, NULL };
}

void
price_book_set(struct price_book *b, enum price_layer layer, const struct price_row *rows, size_t count)
{
	struct layer l = { xcalloc(count + 1, sizeof *rows), count, NULL };
	size_t bytes = 0;
	char *to;

	for (size_t i = 0; i < count; i++)
		bytes += strlen(rows[i].provider) + strlen(rows[i].model) + 2;
	to = l.texts = xcalloc(bytes + 1, 1);
	for (size_t i = 0; i < count; i++) {
		assert(tariff_valid(&rows[i].tariff));
		l.rows[i] = rows[i];
		to = append(to, rows[i].provider, &l.rows[i].provider);
		to = append(to, rows[i].model, &l.rows[i].model);
	}
	qsort(l.rows, count, sizeof *l.rows, compare_rows);
	layer_clear(&b->layers[layer]);
	b->layers[layer] = l;
}

struct price_book *
price_book_new(void)
{
	struct price_book *b = xcalloc(1, sizeof *b);
	size_t count;
	const struct price_row *rows = prices_built_in(&count);

	for (enum price_layer l = PRICE_OWN; l < PRICE_BUILT_IN; l++)
		price_book_set(b, l, NULL, 0);
	price_book_set(b, PRICE_BUILT_IN, rows, count);
	return b;
}

void
price_book_free(struct price_book *b)
{
	if (b == NULL)
		return;
	for (size_t i = 0; i < PRICE_LAYERS; i++)
		layer_clear(&b->layers[i]);
	free(b);
}

/* ---- looking ---- */

/* The length of an id without the day it was made on: "-2025-08-07", "-20250807". */
static size_t
undated(const char *model, size_t n)
{
	static const char *const forms[] = { "-dddd-dd-dd", "-dddddddd" };

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

/* Where a row stands to the rows of a model; model NULL = to all of the provider. */
static int
compare_key(const struct price_row *r, const char *provider, const char *model, size_t n)
{
	int c = strcmp(r->provider, provider);

	if (c != 0 || model == NULL)
		return c;
	c = strncmp(r->model, model, n);
	return c != 0 ? c : r->model[n] != '\0';
}

static size_t
lower_bound(const struct layer *l, const char *provider, const char *model, size_t n)
{
	size_t low = 0, high = l->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_key(&l->rows[middle], provider, model, n) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static size_t
rows_of(const struct layer *l, const char *provider, const char *model, size_t n,
    const struct price_row **first)
{
	size_t at = lower_bound(l, provider, model, n), end = at;

	while (end < l->count && compare_key(&l->rows[end], provider, model, n) == 0)
		end++;
	*first = &l->rows[at];
	return end - at;
}

static const char *
key_of(enum price_layer layer, const char *provider, const char *catalogue)
{
	return layer == PRICE_OWN || layer == PRICE_BUNDLE ? provider : catalogue;
}

static const struct price_row *
holds(const struct layer *l, const char *key, size_t length, const struct price_ask *ask)
{
	const struct price_row *rows;
	size_t count = rows_of(l, key, ask->model, length, &rows);

	for (size_t i = 0; i < count; i++)
		if (rows[i].from_ms <= ask->at_ms &&
		    (rows[i].above == 0 || ask->prompt_tokens > rows[i].above))
			return &rows[i];
	return NULL;
}

const struct price_row *
price_book_find(const struct price_book *b, const struct price_ask *ask, enum price_layer *layer)
{
	size_t length = strlen(ask->model), short_length = undated(ask->model, length);
	const struct price_row *found;

	for (enum price_layer i = PRICE_OWN; i < PRICE_LAYERS; i++) {
		const struct layer *l = &b->layers[i];
		const char *key = key_of(i, ask->provider, ask->catalogue);

		if (key == NULL || l->count == 0)
			continue;
		found = holds(l, key, length, ask);
		if (found == NULL && short_length < length)
			found = holds(l, key, short_length, ask);
		if (found == NULL)
			continue;
		if (layer != NULL)
			*layer = i;
		return found;
	}
	return NULL;
}

size_t
price_book_rows(const struct price_book *b, enum price_layer layer, const struct price_ask *ask,
    const struct price_row **first)
{
	size_t length = strlen(ask->model), short_length = undated(ask->model, length), count;
	const char *key = key_of(layer, ask->provider, ask->catalogue);

	if (key == NULL)
		return 0;
	count = rows_of(&b->layers[layer], key, ask->model, length, first);
	if (count == 0 && short_length < length)
		count = rows_of(&b->layers[layer], key, ask->model, short_length, first);
	return count;
}

bool
price_book_has(const struct price_book *b, const char *provider, const char *catalogue)
{
	for (enum price_layer i = PRICE_OWN; i < PRICE_LAYERS; i++) {
		const struct layer *l = &b->layers[i];
		const char *key = key_of(i, provider, catalogue);
		size_t at = key != NULL ? lower_bound(l, key, NULL, 0) : l->count;

		if (at < l->count && strcmp(l->rows[at].provider, key) == 0)
			return true;
	}
	return false;
}

const struct price_row *
price_book_at(const struct price_book *b, enum price_layer layer, size_t i)
{
	const struct layer *l = &b->layers[layer];

	return i < l->count ? &l->rows[i] : NULL;
}

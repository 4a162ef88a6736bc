/* price_book.h - what models cost, from several lists laid over each other.
 *
 * The first list that knows a model wins as a whole: tiers of one are not mixed with those of another. The
 * user's own and a team bundle's prices belong to one provider of the user's, by its id; the lists that hold
 * for everybody know providers by their name in the catalogue ("openai"). */
#ifndef SERVER_USAGE_PRICE_BOOK_H
#define SERVER_USAGE_PRICE_BOOK_H

#include "server/usage/prices.h"

/* In their order of precedence. */
enum price_layer { PRICE_OWN, PRICE_BUNDLE, PRICE_REFRESHED, PRICE_BUILT_IN };
#define PRICE_LAYERS 4
const char *price_layer_name(enum price_layer layer); /* "own", "bundle", "refreshed", "catalogue" */
/* What a cost by a price of that layer is: COST_OWN or COST_LIST. */
enum cost_kind price_layer_cost(enum price_layer layer);

struct price_book;

struct price_book *price_book_new(void); /* with the built-in list */
void price_book_free(struct price_book *b);
/* In place of what the layer held: copies rows, in any order; of two with the same provider, model, from_ms
 * and above the first counts. Every tariff must be tariff_valid. */
void price_book_set(struct price_book *b, enum price_layer layer, const struct price_row *rows, size_t count);

/* Of which model a price is wanted. Borrowed. */
struct price_ask {
	const char *provider;  /* id of the user's provider; NULL = none of ours */
	const char *catalogue; /* its name in the catalogue; NULL = not there */
	const char *model;     /* as the provider calls it */
	int64_t prompt_tokens; /* what was read from a cache included; -1 = unknown: as a short one */
	int64_t at_ms;
};
/* The row that holds, borrowed until its layer is set; *layer (may be NULL) is where it was found. A dated id
 * ("gpt-5-2025-08-07") costs what the model does. NULL: no price is known. */
const struct price_row *price_book_find(const struct price_book *b, const struct price_ask *ask,
    enum price_layer *layer);
/* All rows of that model in one layer, whatever their day and length: the latest day first, then the longest
 * prompt. Side by side from *first on; 0 = none. */
size_t price_book_rows(const struct price_book *b, enum price_layer layer, const struct price_ask *ask,
    const struct price_row **first);
/* Whether a price of any model of that provider is known. */
bool price_book_has(const struct price_book *b, const char *provider, const char *catalogue);
/* The i-th row of a layer, sorted by provider and model: NULL at the end. */
const struct price_row *price_book_at(const struct price_book *b, enum price_layer layer, size_t i);

#endif

/* price_list.h - prices as others tell them, and nothing in them that cannot be: OpenRouter's list of models,
 * a price file, and what was kept of either (price_snapshot.h).
 *
 * Amounts are decimal text and become pico-USD per token without a binary fraction on the way; what is left
 * beyond that is rounded, but never to 0. A list is only what it says: price_list_settle makes of it the rows
 * that hold. */
#ifndef SERVER_USAGE_PRICE_LIST_H
#define SERVER_USAGE_PRICE_LIST_H

#include "protocol/base/buf.h"
#include "protocol/base/str.h"
#include "server/usage/price_book.h"

#define PRICE_LIST_MAX_BYTES ((size_t)8 << 20)
#define PRICE_LIST_MAX_ROWS 8000
#define PRICE_UNTOLD (-1) /* of a cache, in rows that are not settled yet */

/* All zero is empty. Rows own their texts. */
struct price_list {
	struct price_row *rows; /* after a read: by provider, model, day, length */
	size_t count, room;
	size_t unpriced; /* models that are listed without a price per token */
	size_t refused;  /* models whose price or name cannot be true */
};

void price_list_clear(struct price_list *l);
/* Copies the row. False: there are PRICE_LIST_MAX_ROWS already. */
bool price_list_add(struct price_list *l, const struct price_row *row);
void price_list_sort(struct price_list *l);
/* The end of the rows that are of the same provider and model as row `from`. Sorted lists only. */
size_t price_list_group(const struct price_list *l, size_t from);
/* How many models of providers have a price. Sorted lists only. */
size_t price_list_models(const struct price_list *l);

/* What is wrong with a text, each with its place. All zero is empty. */
#define PRICE_PROBLEMS_MAX 50
struct price_problems {
	struct {
		int line, column; /* from 1; columns are bytes */
		char message[240];
	} list[PRICE_PROBLEMS_MAX];
	size_t count; /* kept */
	size_t more;  /* beyond those */
};

struct price_reading {
	int64_t day_ms; /* from when on a price of OpenRouter's list holds */
	bool (*knows_provider)(const char *name); /* of a price file; NULL = any */
};

/* The answer to GET /models: {"data":[{"id","pricing":{"prompt","completion","input_cache_read",
 * "input_cache_write","overrides":[{"min_prompt_tokens", ...}]}}]}. A row counts for the provider openrouter
 * by its id, and for the maker's own API by the name of the model there, where that is known and it is sold
 * there (openai, anthropic, gemini, qwen). A negative price, and one by the request, is no price; a model
 * whose price cannot be true is left out, and counted. A cache that costs 0 beside a prompt that does not has
 * no price of its own. MP_E_INVALID_PARAMS and one problem for what is no such list. */
int price_list_read_openrouter(struct slice text, const struct price_reading *how, struct price_list *out,
    struct price_problems *ps);
/* A price file, as modelpd-config(5) has it. MP_E_INVALID_PARAMS and every problem: then nothing is taken. */
int price_list_read_file(struct slice text, const struct price_reading *how, struct price_list *out,
    struct price_problems *ps);
/* Either of them, as it shows; *is_openrouter says which. */
int price_list_read(struct slice text, const struct price_reading *how, struct price_list *out,
    bool *is_openrouter, struct price_problems *ps);

/* A model whose prices are those of `before` keeps the day from which they hold. Both are sorted. */
void price_list_keep_days(struct price_list *l, const struct price_list *before);

/* Makes of a list told at date_ms the rows for a book, beside the built-in ones of that book:
 * - what is told of no cache is as far from the input as in the built-in row, else what the input costs;
 * - a model of which only that is told which the built-in row says anyway is left to the built-in rows, tiers
 *   and announced prices included;
 * - one that costs something else now, flat, has the tiers of the built-in rows, each as many times dearer
 *   than the base as there, and never cheaper than it; prices announced for a later day stay as announced;
 * - with tiers of its own it has those;
 * - a list that is older than the built-in one only says what that one does not know. */
void price_list_settle(struct price_list *l, const struct price_book *book, int64_t date_ms);

/* ---- shared by the readers ---- */

struct json;
void price_problem(struct price_problems *ps, struct slice text, size_t offset, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* The rows of a price file's array. */
void price_list_read_rows(const struct json *j, uint32_t array, const struct price_reading *how,
    struct price_list *out, struct price_problems *ps);

#endif

/* lists.h - price lists that the tests read. */
#ifndef TESTS_UNIT_USAGE_LISTS_H
#define TESTS_UNIT_USAGE_LISTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/base/err.h"
#include "server/usage/price_list.h"

#define DAY INT64_C(86400000)
#define NOV_29 (PRICES_AS_OF_MS + 7 * DAY)
#define DEC_1 INT64_C(1796083200000)

struct reading {
	struct price_list list;
	struct price_problems problems;
	bool is_openrouter;
};

static inline bool
knows(const char *name)
{
	return strcmp(name, "lab") != 0;
}

/* The JSON has ' for ". */
static inline int
take(struct reading *r, const char *text)
{
	const struct price_reading how = { NOV_29, knows };
	char *json = xstrdup(text);
	int result;

	for (char *q = json; (q = strchr(q, '\'')) != NULL;)
		*q = '"';
	memset(r, 0, sizeof *r);
	result = price_list_read(slice_of(json), &how, &r->list, &r->is_openrouter, &r->problems);
	free(json);
	return result;
}

/* A list with one model, and what its pricing says. */
static inline int
take_model(struct reading *r, const char *id, const char *pricing)
{
	char text[2000];

	snprintf(text, sizeof text, "{'data':[{'id':'%s','pricing':{%s}}]}", id, pricing);
	return take(r, text);
}

static inline const struct price_row *
row_of(const struct price_list *l, const char *provider, const char *model, int64_t above)
{
	for (size_t i = 0; i < l->count; i++)
		if (strcmp(l->rows[i].provider, provider) == 0 && strcmp(l->rows[i].model, model) == 0 &&
		    l->rows[i].above == above)
			return &l->rows[i];
	return NULL;
}

static inline void
assert_tariff(const struct price_row *row, int64_t input, int64_t read, int64_t write, int64_t output)
{
	assert_non_null(row);
	assert_int_equal(row->tariff.input, input);
	assert_int_equal(row->tariff.cache_read, read);
	assert_int_equal(row->tariff.cache_write, write);
	assert_int_equal(row->tariff.output, output);
}

#endif

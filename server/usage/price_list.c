#include "server/usage/price_list.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/err.h"
#include "protocol/base/json.h"

/* ---- the list ---- */

void
price_list_clear(struct price_list *l)
{
	for (size_t i = 0; i < l->count; i++) {
		free((char *)l->rows[i].provider);
		free((char *)l->rows[i].model);
	}
	free(l->rows);
	memset(l, 0, sizeof *l);
}

bool
price_list_add(struct price_list *l, const struct price_row *row)
{
	struct price_row *to;

	if (l->count == PRICE_LIST_MAX_ROWS)
		return false;
	if (l->count == l->room) {
		l->room = l->room > 0 ? l->room * 2 : 64;
		l->rows = xrealloc(l->rows, l->room * sizeof *l->rows);
	}
	to = &l->rows[l->count++];
	*to = *row;
	to->provider = xstrdup(row->provider);
	to->model = xstrdup(row->model);
	return true;
}

static int
rising(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

static int
compare_models(const struct price_row *a, const struct price_row *b)
{
	int c = strcmp(a->provider, b->provider);

	return c != 0 ? c : strcmp(a->model, b->model);
}

static int
compare_rows(const void *left, const void *right)
{
	const struct price_row *a = left, *b = right;
	int c = compare_models(a, b);

	if (c == 0)
		c = rising(a->from_ms, b->from_ms);
	return c != 0 ? c : rising(a->above, b->above);
}

void
price_list_sort(struct price_list *l)
{
	if (l->count > 1)
		qsort(l->rows, l->count, sizeof *l->rows, compare_rows);
}

size_t
price_list_group(const struct price_list *l, size_t from)
{
	size_t end = from + 1;

	while (end < l->count && compare_models(&l->rows[from], &l->rows[end]) == 0)
		end++;
	return end;
}

size_t
price_list_models(const struct price_list *l)
{
	size_t models = 0;

	for (size_t i = 0; i < l->count; i = price_list_group(l, i))
		models++;
	return models;
}

/* ---- two lists ---- */

static bool
same_tariff(const struct tariff *a, const struct tariff *b)
{
	return a->input == b->input && a->cache_read == b->cache_read && a->cache_write == b->cache_write &&
	    a->output == b->output;
}

static bool
same_group(const struct price_row *a, const struct price_row *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (a[i].above != b[i].above || !same_tariff(&a[i].tariff, &b[i].tariff))
			return false;
	return true;
}

void
price_list_keep_days(struct price_list *l, const struct price_list *before)
{
	size_t at = 0;

	for (size_t i = 0, end; i < l->count; i = end) {
		end = price_list_group(l, i);
		while (at < before->count && compare_models(&before->rows[at], &l->rows[i]) < 0)
			at++;
		if (at == before->count)
			return;
		if (compare_models(&before->rows[at], &l->rows[i]) != 0 ||
		    price_list_group(before, at) - at != end - i ||
		    !same_group(&before->rows[at], &l->rows[i], end - i))
			continue;
		for (size_t k = i; k < end; k++)
			if (before->rows[at].from_ms < l->rows[k].from_ms)
				l->rows[k].from_ms = before->rows[at].from_ms;
	}
}

/* ---- problems ---- */

void
price_problem(struct price_problems *ps, struct slice text, size_t offset, const char *fmt, ...)
{
	size_t start = 0;
	va_list ap;
	int line = 1;

	if (ps->count == PRICE_PROBLEMS_MAX) {
		ps->more++;
		return;
	}
	for (size_t i = 0; i < offset && i < text.len; i++) {
		if (text.data[i] != '\n')
			continue;
		line++;
		start = i + 1;
	}
	ps->list[ps->count].line = line;
	ps->list[ps->count].column = (int)(offset - start) + 1;
	va_start(ap, fmt);
	vsnprintf(ps->list[ps->count].message, sizeof ps->list[0].message, fmt, ap);
	va_end(ap);
	ps->count++;
}

/* ---- which of the two it is ---- */

int
price_list_read(struct slice text, const struct price_reading *how, struct price_list *out,
    bool *is_openrouter, struct price_problems *ps)
{
	struct json j = JSON_INIT;
	int r = json_read(&j, text.data, text.len, JSON_LAST_KEY_WINS);

	*is_openrouter = r == 0 && json_get(&j, 0, "data") != JSON_NONE;
	json_clear(&j);
	if (*is_openrouter)
		return price_list_read_openrouter(text, how, out, ps);
	return price_list_read_file(text, how, out, ps);
}

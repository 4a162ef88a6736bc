/* price_list_file.c - a price file: rows written by people and their programs, so every mistake is named. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/err.h"
#include "protocol/base/json.h"
#include "server/model/roster.h"
#include "server/usage/price_list.h"

#define TEXT_MAX 64 /* of amounts and days */
#define TIER_TOKENS_MAX INT64_C(1000000000)

/* The row that is being read. */
struct reading {
	const struct json *j;
	const struct price_reading *how;
	struct price_problems *ps;
	size_t number; /* from 0 */
	bool wrong;
};

static size_t
offset_of(const struct json *j, uint32_t at)
{
	return at != JSON_NONE ? (size_t)(json_raw(j, at).data - j->text) : 0;
}

static struct slice
text_of(const struct json *j)
{
	return (struct slice){ j->text, j->len };
}

#define WRONG(r, at, member, ...)                                                                          \
	do {                                                                                               \
		char what[160];                                                                            \
		snprintf(what, sizeof what, __VA_ARGS__);                                                  \
		wrong(r, at, member, what);                                                                \
	} while (0)

static void
wrong(struct reading *r, uint32_t at, const char *member, const char *what)
{
	r->wrong = true;
	price_problem(r->ps, text_of(r->j), offset_of(r->j, at), "prices[%zu]%s%s: %s", r->number,
	    *member != '\0' ? "." : "", member, what);
}

/* ---- members ---- */

static char *
read_name(struct reading *r, uint32_t row, const char *member)
{
	uint32_t at = json_get(r->j, row, member);
	char *text = json_strdup(r->j, at, ROSTER_ID_BYTES);
	bool is_model = strcmp(member, "model") == 0;

	if (at == JSON_NONE) {
		WRONG(r, row, member, "is missing");
	} else if (text == NULL || !(is_model ? roster_id_valid(slice_of(text)) : name_valid(text))) {
		WRONG(r, at, member, is_model ? "is no name of a model" : "is no name of a provider");
	} else if (!is_model && r->how->knows_provider != NULL && !r->how->knows_provider(text)) {
		WRONG(r, at, member, "\"%.64s\" is no built-in provider", text);
	} else {
		return text;
	}
	free(text);
	return NULL;
}

/* USD per million tokens is micro-USD per million tokens as a whole number, and that pico-USD per token. */
static int64_t
read_amount(struct reading *r, uint32_t row, const char *member, bool needed)
{
	uint32_t at = json_get(r->j, row, member);
	char *text = json_strdup(r->j, at, TEXT_MAX);
	const char *end = text;
	int64_t pico = PRICE_UNTOLD;

	if (at == JSON_NONE && needed)
		WRONG(r, row, member, "is missing");
	else if (at != JSON_NONE && text == NULL)
		WRONG(r, at, member, "is a string, USD per million tokens: \"1.25\"");
	else if (text != NULL && (!money_parse(&end, &pico) || *end != '\0'))
		WRONG(r, at, member, "is no amount in USD with six decimals at most");
	else if (pico > PRICE_MAX_PICO)
		WRONG(r, at, member, "is more than %lld USD per million tokens",
		    (long long)(PRICE_MAX_PICO / 1000000));
	free(text);
	return pico;
}

static int64_t
read_day(struct reading *r, uint32_t row)
{
	uint32_t at = json_get(r->j, row, "valid_from");
	char *text = json_strdup(r->j, at, TEXT_MAX);
	const char *end = text;
	int64_t ms = 0;

	if (at != JSON_NONE && (text == NULL || !utc_day_parse(&end, &ms) || *end != '\0'))
		WRONG(r, at, "valid_from", "is no day, as \"2026-12-01\"");
	free(text);
	return ms;
}

static int64_t
read_above(struct reading *r, uint32_t row)
{
	uint32_t at = json_get(r->j, row, "above");
	int64_t above = 0;

	if (at != JSON_NONE && (!json_int(r->j, at, &above) || above < 1 || above > TIER_TOKENS_MAX))
		WRONG(r, at, "above", "is no number of tokens from 1 to %lld", (long long)TIER_TOKENS_MAX);
	return above;
}

static void
find_unknown(struct reading *r, uint32_t row)
{
	static const char *const known[] = { "provider", "model", "input", "output", "cache_read",
		"cache_write", "valid_from", "above" };

	for (uint32_t key = json_first(r->j, row); key != JSON_NONE; key = json_next(r->j, key)) {
		bool found = false;

		for (size_t i = 0; i < sizeof known / sizeof *known; i++)
			found = found || json_equals(r->j, key, known[i]);
		if (!found)
			WRONG(r, key, "", "there is no member %.*s", (int)(json_raw(r->j, key).len < 80
			    ? json_raw(r->j, key).len : 80), json_raw(r->j, key).data);
	}
}

/* ---- rows ---- */

static void
read_row(struct reading *r, uint32_t at, struct price_list *out)
{
	struct price_row row = { .provider = NULL };
	char *provider, *model;

	r->wrong = false;
	if (!json_is(r->j, at, JSON_OBJECT)) {
		WRONG(r, at, "", "is no object");
		return;
	}
	find_unknown(r, at);
	row.provider = provider = read_name(r, at, "provider");
	row.model = model = read_name(r, at, "model");
	row.tariff.input = read_amount(r, at, "input", true);
	row.tariff.output = read_amount(r, at, "output", true);
	row.tariff.cache_read = read_amount(r, at, "cache_read", false);
	row.tariff.cache_write = read_amount(r, at, "cache_write", false);
	row.from_ms = read_day(r, at);
	row.above = read_above(r, at);
	if (!r->wrong && !price_list_add(out, &row))
		WRONG(r, at, "", "there are more than %d", PRICE_LIST_MAX_ROWS);
	free(provider);
	free(model);
}

/* What only shows when all are there. */
static void
check_groups(const struct json *j, uint32_t array, const struct price_list *l, struct price_problems *ps)
{
	const size_t at = offset_of(j, array);

	for (size_t i = 0, end; i < l->count; i = end) {
		end = price_list_group(l, i);
		for (size_t k = i; k < end; k++) {
			const struct price_row *row = &l->rows[k], *before = k > i ? row - 1 : NULL;

			if (before != NULL && (before->from_ms != row->from_ms))
				before = NULL;
			if (before != NULL && before->above == row->above)
				price_problem(ps, text_of(j), at, "%.64s:%.80s is there twice", row->provider,
				    row->model);
			else if (before == NULL && row->above > 0)
				price_problem(ps, text_of(j), at,
				    "%.64s:%.80s tells what prompts above %lld tokens cost, not the others",
				    row->provider, row->model, (long long)row->above);
		}
	}
}

void
price_list_read_rows(const struct json *j, uint32_t array, const struct price_reading *how,
    struct price_list *out, struct price_problems *ps)
{
	struct reading r = { .j = j, .how = how, .ps = ps };

	for (uint32_t at = json_first(j, array); at != JSON_NONE && ps->more == 0; at = json_next(j, at)) {
		read_row(&r, at, out);
		r.number++;
	}
	price_list_sort(out);
	if (ps->count == 0)
		check_groups(j, array, out, ps);
}

int
price_list_read_file(struct slice text, const struct price_reading *how, struct price_list *out,
    struct price_problems *ps)
{
	struct json j = JSON_INIT;
	uint32_t prices;
	int r = 0;

	if (text.len > PRICE_LIST_MAX_BYTES) {
		price_problem(ps, text, 0, "it is larger than %zu MiB", PRICE_LIST_MAX_BYTES >> 20);
		return MP_E_TOO_LARGE;
	}
	if (json_read(&j, text.data, text.len, JSON_STRICT) != 0) {
		price_problem(ps, text, j.problem_offset, "no JSON: %s", j.problem);
		json_clear(&j);
		return MP_E_INVALID_PARAMS;
	}
	prices = json_get(&j, 0, "prices");
	if (!json_is(&j, prices, JSON_ARRAY)) {
		price_problem(ps, text, 0,
		    "no list of prices: it has neither \"prices\" nor \"data\" with them");
	} else {
		for (uint32_t key = json_first(&j, 0); key != JSON_NONE; key = json_next(&j, key))
			if (!json_equals(&j, key, "prices"))
				price_problem(ps, text, offset_of(&j, key), "there is no member %.*s",
				    (int)(json_raw(&j, key).len < 80 ? json_raw(&j, key).len : 80),
				    json_raw(&j, key).data);
		price_list_read_rows(&j, prices, how, out, ps);
	}
	if (ps->count > 0) {
		r = MP_E_INVALID_PARAMS;
		price_list_clear(out);
	}
	json_clear(&j);
	return r;
}

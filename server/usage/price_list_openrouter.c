/* price_list_openrouter.c - OpenRouter's list: what models cost there, and so at their makers'. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/err.h"
#include "protocol/base/json.h"
#include "server/model/roster.h"
#include "server/usage/price_list.h"

#define PICO_DIGITS 12
#define TIERS_MAX 8
#define TIER_TOKENS_MAX INT64_C(1000000000)

/* ---- amounts ---- */

enum told { TOLD_NOTHING, TOLD_PRICE, TOLD_NO_PRICE, TOLD_NONSENSE };

/* Whether any digit before the exponent is none of 0. */
static bool
is_something(struct slice number)
{
	for (size_t i = 0; i < number.len; i++) {
		if (number.data[i] == 'e' || number.data[i] == 'E')
			return false;
		if (number.data[i] >= '1' && number.data[i] <= '9')
			return true;
	}
	return false;
}

/* USD per token, as a number or as a string that is one, in pico-USD. */
static enum told
read_amount(const struct json *j, uint32_t at, int64_t *pico)
{
	struct slice raw = json_raw(j, at);
	int64_t v;

	if (at == JSON_NONE || json_is(j, at, JSON_NULL))
		return TOLD_NOTHING;
	if (!json_decimal(j, at, PICO_DIGITS, &v)) {
		/* a router: it depends on where it sends the request */
		raw.data += json_is(j, at, JSON_STRING);
		return raw.len >= 2 && raw.data[0] == '-' && raw.data[1] >= '0' && raw.data[1] <= '9'
		    ? TOLD_NO_PRICE : TOLD_NONSENSE;
	}
	if (v == 0 && is_something(raw))
		v = 1;
	if (v > PRICE_MAX_PICO)
		return TOLD_NONSENSE;
	*pico = v;
	return TOLD_PRICE;
}

/* ---- one model ---- */

/* Of a cache; 0 beside a price is how a list says that there is no other one. */
static enum told
read_cache(const struct json *j, uint32_t pricing, const char *key, int64_t input, int64_t *pico)
{
	enum told t = read_amount(j, json_get(j, pricing, key), pico);

	if (t == TOLD_NOTHING || (t == TOLD_PRICE && *pico == 0 && input > 0))
		*pico = PRICE_UNTOLD;
	return t == TOLD_NOTHING ? TOLD_PRICE : t;
}

static enum told
read_base(const struct json *j, uint32_t pricing, struct tariff *out)
{
	enum told parts[4];

	parts[0] = read_amount(j, json_get(j, pricing, "prompt"), &out->input);
	parts[1] = read_amount(j, json_get(j, pricing, "completion"), &out->output);
	if (parts[0] == TOLD_NOTHING || parts[1] == TOLD_NOTHING)
		return TOLD_NO_PRICE;
	if (parts[0] != TOLD_PRICE || parts[1] != TOLD_PRICE)
		return parts[0] == TOLD_NONSENSE || parts[1] == TOLD_NONSENSE ? TOLD_NONSENSE : TOLD_NO_PRICE;
	parts[2] = read_cache(j, pricing, "input_cache_read", out->input, &out->cache_read);
	parts[3] = read_cache(j, pricing, "input_cache_write", out->input, &out->cache_write);
	if (parts[2] == TOLD_NONSENSE || parts[3] == TOLD_NONSENSE)
		return TOLD_NONSENSE;
	/* by the request: what a token costs is the smaller part of it */
	if (parts[2] == TOLD_NO_PRICE || parts[3] == TOLD_NO_PRICE ||
	    is_something(json_raw(j, json_get(j, pricing, "request"))))
		return TOLD_NO_PRICE;
	return TOLD_PRICE;
}

/* A cache of which a tier says nothing is as many times dearer as its input, never cheaper. */
static int64_t
with_input(int64_t cache, const struct tariff *base, const struct tariff *tier)
{
	int64_t v;

	if (cache <= 0 || base->input <= 0 || tier->input <= base->input)
		return cache;
	v = (cache * tier->input + base->input - 1) / base->input;
	return v < PRICE_MAX_PICO ? v : PRICE_MAX_PICO;
}

/* What is not said again is as in the base. */
static bool
read_tier(const struct json *j, uint32_t item, const struct tariff *base, struct tariff *out)
{
	enum told parts[4];

	*out = *base;
	parts[0] = read_amount(j, json_get(j, item, "prompt"), &out->input);
	parts[1] = read_amount(j, json_get(j, item, "completion"), &out->output);
	parts[2] = read_amount(j, json_get(j, item, "input_cache_read"), &out->cache_read);
	parts[3] = read_amount(j, json_get(j, item, "input_cache_write"), &out->cache_write);
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		if (parts[i] == TOLD_NONSENSE || parts[i] == TOLD_NO_PRICE)
			return false;
	if (parts[2] == TOLD_NOTHING)
		out->cache_read = with_input(base->cache_read, base, out);
	if (parts[3] == TOLD_NOTHING)
		out->cache_write = with_input(base->cache_write, base, out);
	return true;
}

struct tiers {
	size_t count;
	struct {
		int64_t above;
		struct tariff tariff;
	} of[TIERS_MAX];
};

static bool
is_by_the_clock(const struct json *j, uint32_t item)
{
	return json_get(j, item, "utc_start") != JSON_NONE || json_get(j, item, "utc_end") != JSON_NONE ||
	    json_get(j, item, "utc_days") != JSON_NONE;
}

/* False when one cannot be understood: without it long prompts would look cheaper than they are. */
static bool
read_tiers(const struct json *j, uint32_t pricing, const struct tariff *base, struct tiers *out)
{
	uint32_t list = json_get(j, pricing, "overrides");

	out->count = 0;
	if (list == JSON_NONE || json_is(j, list, JSON_NULL))
		return true;
	if (!json_is(j, list, JSON_ARRAY))
		return false;
	for (uint32_t at = json_first(j, list); at != JSON_NONE; at = json_next(j, at)) {
		int64_t above;

		if (is_by_the_clock(j, at))
			continue;
		if (!json_int(j, json_get(j, at, "min_prompt_tokens"), &above) || above <= 0 ||
		    above > TIER_TOKENS_MAX || out->count == TIERS_MAX)
			return false;
		for (size_t i = 0; i < out->count; i++)
			if (out->of[i].above == above)
				return false;
		out->of[out->count].above = above;
		if (!read_tier(j, at, base, &out->of[out->count++].tariff))
			return false;
	}
	return true;
}

/* ---- whose it is ---- */

/* What a maker sells himself at the price that is listed, by words of the name. Models whose weights are open
 * are listed at the price of whoever runs them cheapest, and so is what he only tries out. */
static const struct maker {
	const char *prefix, *provider;
	const char *begins;   /* the name with one of these; "" = any */
	const char *has_word; /* and has one of these between its dashes; "" = any */
	bool dashes;          /* he writes versions with dashes */
} makers[] = {
	{ "openai/", "openai", "gpt- o1 o3 o4 o5 chatgpt- codex-", "", false },
	{ "anthropic/", "anthropic", "claude-", "", true },
	{ "google/", "gemini", "gemini-", "", false },
	{ "qwen/", "qwen", "qwen", "max plus turbo flash long", false },
};

static bool
begins_with_any(const char *list, const char *name)
{
	while (*list != '\0') {
		size_t n = strcspn(list, " ");

		if (strncmp(name, list, n) == 0)
			return true;
		list += n + (list[n] == ' ');
	}
	return false;
}

static bool
has_any_word(const char *list, const char *name)
{
	if (*list == '\0')
		return true;
	while (*name != '\0') {
		size_t n = strcspn(name, "-");

		if (word_listed(list, (struct slice){ name, n }))
			return true;
		name += n + (name[n] == '-');
	}
	return false;
}

/* The provider and, in `name`, what it calls the model; NULL = nobody else's. */
static const char *
maker_of(const char *id, char name[static ROSTER_ID_BYTES + 1])
{
	for (size_t i = 0; i < sizeof makers / sizeof *makers; i++) {
		const struct maker *m = &makers[i];
		size_t n = strlen(m->prefix);

		if (strncmp(id, m->prefix, n) != 0)
			continue;
		/* ":free", ":thinking": those are of the gateway only */
		if (strchr(id + n, ':') != NULL || strchr(id + n, '/') != NULL ||
		    !begins_with_any(m->begins, id + n) || !has_any_word(m->has_word, id + n) ||
		    strncmp(id + n, "gpt-oss", 7) == 0)
			return NULL;
		snprintf(name, ROSTER_ID_BYTES + 1, "%s", id + n);
		for (char *p = name; m->dashes && *p != '\0'; p++)
			if (*p == '.')
				*p = '-';
		return m->provider;
	}
	return NULL;
}

/* ---- the list ---- */

static bool
add_rows(struct price_list *l, const char *provider, const char *model, int64_t day_ms,
    const struct tariff *base, const struct tiers *tiers)
{
	struct price_row row = { provider, model, day_ms, 0, *base };

	if (!price_list_add(l, &row))
		return false;
	for (size_t i = 0; i < tiers->count; i++) {
		row.above = tiers->of[i].above;
		row.tariff = tiers->of[i].tariff;
		if (!price_list_add(l, &row))
			return false;
	}
	return true;
}

static bool
read_model(const struct json *j, uint32_t item, int64_t day_ms, struct price_list *out)
{
	char *id = json_strdup(j, json_get(j, item, "id"), ROSTER_ID_BYTES);
	uint32_t pricing = json_get(j, item, "pricing");
	char name[ROSTER_ID_BYTES + 1];
	const char *maker;
	struct tariff base;
	struct tiers tiers;
	enum told told;
	bool room = true;

	if (id == NULL || !roster_id_valid(slice_of(id))) {
		out->refused++;
		free(id);
		return true;
	}
	told = read_base(j, pricing, &base);
	if (told == TOLD_NO_PRICE) {
		out->unpriced++;
	} else if (told != TOLD_PRICE || !read_tiers(j, pricing, &base, &tiers)) {
		out->refused++;
	} else {
		room = add_rows(out, "openrouter", id, day_ms, &base, &tiers);
		/* what is free here is a trial, and costs something where it is sold */
		if ((maker = maker_of(id, name)) != NULL && base.input > 0 && base.output > 0)
			room = room && add_rows(out, maker, name, day_ms, &base, &tiers);
	}
	free(id);
	return room;
}

static bool
same_row(const struct price_row *a, const struct price_row *b)
{
	return a->above == b->above && a->from_ms == b->from_ms && strcmp(a->model, b->model) == 0 &&
	    strcmp(a->provider, b->provider) == 0;
}

/* A model that is there twice costs nobody knows what. */
static void
drop_doubtful(struct price_list *l)
{
	size_t kept = 0;

	for (size_t i = 0, end; i < l->count; i = end) {
		bool twice = false;

		end = price_list_group(l, i);
		for (size_t k = i + 1; k < end; k++)
			twice = twice || same_row(&l->rows[k - 1], &l->rows[k]);
		l->refused += twice && strcmp(l->rows[i].provider, "openrouter") == 0;
		for (size_t k = i; k < end; k++) {
			if (twice) {
				free((char *)l->rows[k].provider);
				free((char *)l->rows[k].model);
			} else {
				l->rows[kept++] = l->rows[k];
			}
		}
	}
	l->count = kept;
}

int
price_list_read_openrouter(struct slice text, const struct price_reading *how, struct price_list *out,
    struct price_problems *ps)
{
	struct json j = JSON_INIT;
	uint32_t list, item;
	int r = 0;

	if (text.len > PRICE_LIST_MAX_BYTES) {
		price_problem(ps, text, 0, "it is larger than %zu MiB", PRICE_LIST_MAX_BYTES >> 20);
		return MP_E_TOO_LARGE;
	}
	if (json_read(&j, text.data, text.len, JSON_LAST_KEY_WINS) != 0) {
		price_problem(ps, text, j.problem_offset, "no JSON: %s", j.problem);
		r = MP_E_INVALID_PARAMS;
		goto out;
	}
	list = json_get(&j, 0, "data");
	if (!json_is(&j, list, JSON_ARRAY)) {
		price_problem(ps, text, 0, "no list of models: it has no \"data\" with them");
		r = MP_E_INVALID_PARAMS;
		goto out;
	}
	for (item = json_first(&j, list); item != JSON_NONE; item = json_next(&j, item)) {
		if (!read_model(&j, item, how->day_ms, out)) {
			price_problem(ps, text, 0, "it has more prices than %d", PRICE_LIST_MAX_ROWS);
			r = MP_E_TOO_LARGE;
			goto out;
		}
	}
	price_list_sort(out);
	drop_doubtful(out);
out:
	if (r != 0)
		price_list_clear(out);
	json_clear(&j);
	return r;
}

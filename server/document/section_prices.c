/* section_prices.c - prices: {PROVIDER:MODEL: "input USD output USD [cache-read USD] [cache-write USD]
 * [above TOKENS] [from DAY]", or a list of such}, USD per million tokens. */
#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/document/section.h"

#define PRICE_MAX_BYTES 200

/* ---- export ---- */

/* The prices of one model, side by side. */
struct priced {
	char *ref;
	const struct price_row *rows;
	size_t count;
};

static int
by_ref(const void *a, const void *b)
{
	return strcmp(((const struct priced *)a)->ref, ((const struct priced *)b)->ref);
}

/* Every model that has any, sorted by its ref; the caller frees the refs and the list. */
static struct priced *
collect(const struct document_parts *parts, size_t *count)
{
	size_t rows = own_prices_count(parts->own_prices);
	struct priced *list = xcalloc(rows + 1, sizeof *list);
	struct buf ref = BUF_INIT;

	*count = 0;
	for (size_t i = 0; i < rows;) {
		const struct price_row *row = own_prices_at(parts->own_prices, i);
		const struct provider *p = providers_find_id(parts->providers, row->provider);
		struct priced *m = &list[*count];

		if (p == NULL) { /* of a provider that is gone */
			i++;
			continue;
		}
		m->count = own_prices_of(parts->own_prices, p, row->model, &m->rows);
		buf_reset(&ref, 0);
		buf_addf(&ref, "%s:%s", p->name, row->model);
		m->ref = xstrdup(buf_str(&ref));
		i += m->count;
		++*count;
	}
	buf_clear(&ref);
	qsort(list, *count, sizeof *list, by_ref);
	return list;
}

static void
put_money(struct buf *out, const char *word, int64_t pico)
{
	char text[32];

	money_text(pico, text, sizeof text); /* micro-USD per million tokens */
	buf_addf(out, "%s%s %s", out->len > 0 ? " " : "", word, text);
}

static const char *
price_text(const struct price_row *row, struct buf *out)
{
	char day[16];

	buf_reset(out, PRICE_MAX_BYTES);
	put_money(out, "input", row->tariff.input);
	put_money(out, "output", row->tariff.output);
	if (row->tariff.cache_read != row->tariff.input)
		put_money(out, "cache-read", row->tariff.cache_read);
	if (row->tariff.cache_write != row->tariff.input)
		put_money(out, "cache-write", row->tariff.cache_write);
	if (row->above > 0)
		buf_addf(out, " above %lld", (long long)row->above);
	if (row->from_ms > 0) {
		utc_day_text(row->from_ms, day, sizeof day);
		buf_addf(out, " from %s", day);
	}
	return buf_str(out);
}

static void
write_model(struct writer *w, const struct priced *m, struct buf *text)
{
	if (m->count == 1) {
		write_text(w, m->ref, price_text(m->rows, text));
		return;
	}
	write_begin(w, m->ref);
	for (size_t i = 0; i < m->count; i++)
		write_item(w, price_text(&m->rows[i], text));
	write_end(w);
}

void
section_prices_export(const struct document_parts *parts, struct writer *w)
{
	struct buf text = BUF_INIT;
	size_t count;
	struct priced *list = collect(parts, &count);

	if (count == 0)
		write_empty_map(w, "prices");
	else
		write_begin(w, "prices");
	for (size_t i = 0; i < count; i++) {
		write_model(w, &list[i], &text);
		free(list[i].ref);
	}
	if (count > 0)
		write_end(w);
	buf_clear(&text);
	free(list);
}

/* ---- what the document wants ---- */

enum word { INPUT, OUTPUT, CACHE_READ, CACHE_WRITE, ABOVE, FROM, WORDS };

static const char *const words[WORDS] = { "input", "output", "cache-read", "cache-write", "above", "from" };

/* "WORD " comes next: which one; moves *s behind it. WORDS = none of them. */
static enum word
take_word(const char **s)
{
	for (enum word i = INPUT; i < WORDS; i++) {
		size_t n = strlen(words[i]);

		if (strncmp(*s, words[i], n) != 0 || (*s)[n] != ' ')
			continue;
		*s += n + 1;
		return i;
	}
	return WORDS;
}

static bool
take_count(const char **s, int64_t *out)
{
	int64_t n = 0;

	if (**s < '1' || **s > '9')
		return false;
	for (; **s >= '0' && **s <= '9'; ++*s)
		if ((n = n * 10 + (**s - '0')) > PRICE_ABOVE_MAX)
			return false;
	*out = n;
	return true;
}

static bool
take_value(const char **s, enum word word, int64_t *out)
{
	if (word == FROM)
		return utc_day_parse(s, out);
	if (word == ABOVE)
		return take_count(s, out);
	return money_parse(s, out) && *out <= PRICE_MAX_PICO;
}

/* Words and their values in any order, each once. */
static bool
parse_price(const char *text, struct price_row *out)
{
	int64_t values[WORDS] = { -1, -1, -1, -1, -1, -1 };

	for (bool more = true; more;) {
		enum word word = take_word(&text);

		if (word == WORDS || values[word] >= 0 || !take_value(&text, word, &values[word]))
			return false;
		more = *text == ' ';
		text += more;
	}
	if (*text != '\0' || values[INPUT] < 0 || values[OUTPUT] < 0)
		return false;
	*out = (struct price_row){ .from_ms = values[FROM] > 0 ? values[FROM] : 0,
		.above = values[ABOVE] > 0 ? values[ABOVE] : 0,
		.tariff = { values[INPUT], values[CACHE_READ] >= 0 ? values[CACHE_READ] : values[INPUT],
		    values[CACHE_WRITE] >= 0 ? values[CACHE_WRITE] : values[INPUT], values[OUTPUT] } };
	return true;
}

/* False when it was reported. */
static bool
read_price(struct document_change *c, const struct node *n, struct price_row *out)
{
	const char *text = node_text(n, "a price", PRICE_MAX_BYTES, c->problems);

	if (text == NULL)
		return false;
	if (parse_price(text, out))
		return true;
	problem_add(c->problems, n->line, n->column,
	    "\"%.160s\" is no price: write USD per million tokens, as in \"input 0.40 output 1.60\", then "
	    "perhaps cache-read USD, cache-write USD, above TOKENS, from 2026-12-31", text);
	return false;
}

/* "provider:model" of a key; NULL when it was reported. *model is a piece of the key. */
static const struct provider *
read_ref(struct document_change *c, const struct node *m, const char **model)
{
	const char *colon = strchr(m->key, ':'), *upstream;
	const struct provider *p;
	struct error err = ERROR_INIT;
	char *name;

	if (colon == NULL || colon == m->key || colon[1] == '\0') {
		problem_add(c->problems, m->key_line, m->key_column,
		    "\"%.160s\" is no model: write PROVIDER:MODEL", m->key);
		return NULL;
	}
	name = slice_dup((struct slice){ m->key, (size_t)(colon - m->key) });
	if ((p = providers_find(c->parts->providers, name)) == NULL) {
		error_set(&err, MP_E_NOT_FOUND, "there is no provider \"%.80s\"", name);
		providers_suggest(c->parts->providers, name, &err);
		node_key_problem(m, &err, c->problems);
	}
	free(name);
	*model = colon + 1;
	if (p != NULL && (upstream = provider_alias_model(p, *model)) != NULL &&
	    strcmp(upstream, *model) != 0) {
		problem_add(c->problems, m->key_line, m->key_column,
		    "%.160s is an alias: a price is for %s:%.160s", m->key, p->name, upstream);
		return NULL;
	}
	return p;
}

/* ---- making it so ---- */

static bool
same(const struct price_row *a, const struct price_row *b)
{
	return a->from_ms == b->from_ms && a->above == b->above && a->tariff.input == b->tariff.input &&
	    a->tariff.output == b->tariff.output && a->tariff.cache_read == b->tariff.cache_read &&
	    a->tariff.cache_write == b->tariff.cache_write;
}

/* Whether the model has these already, in whatever order they are written. */
static bool
is_so(const struct price_row *now, size_t has, const struct price_row *rows, size_t count)
{
	if (has != count)
		return false;
	for (size_t i = 0; i < count; i++) {
		size_t k = 0;

		while (k < has && !same(&now[k], &rows[i]))
			k++;
		if (k == has)
			return false;
	}
	return true;
}

static int
define(struct document_change *c, const struct node *m, struct error *err)
{
	struct price_row rows[OWN_PRICES_OF_MODEL_MAX];
	const struct price_row *now;
	const struct provider *p;
	const char *model;
	size_t count = 0, has, before = c->problems->count;

	if ((p = read_ref(c, m, &model)) == NULL)
		return 0;
	if (m->kind == NODE_SCALAR) {
		count += read_price(c, m, &rows[0]);
	} else if (m->count > OWN_PRICES_OF_MODEL_MAX) {
		problem_add(c->problems, m->key_line, m->key_column, "a model has at most %d prices",
		    OWN_PRICES_OF_MODEL_MAX);
	} else if (node_is_list(m, "the prices of a model", c->problems)) {
		for (const struct node *i = m->first; i != NULL; i = i->next)
			count += read_price(c, i, &rows[count]);
	}
	has = own_prices_of(c->parts->own_prices, p, model, &now);
	if (c->problems->count != before || is_so(now, has, rows, count))
		return 0;
	return section_blame(c, m, true,
	    own_prices_put(c->parts->own_prices, p, model, rows, count, err), err);
}

/* Those that go make room for those that come. */
static int
remove_others(struct document_change *c, const struct node *n, struct error *err)
{
	struct own_prices *ps = c->parts->own_prices;
	struct buf ref = BUF_INIT;
	int r = 0;

	for (size_t i = own_prices_count(ps); i > 0 && r == 0;) {
		const struct price_row *row = own_prices_at(ps, --i);
		const struct provider *p = providers_find_id(c->parts->providers, row->provider);

		if (p == NULL)
			continue;
		buf_reset(&ref, 0);
		buf_addf(&ref, "%s:%s", p->name, row->model);
		if (node_get(n, buf_str(&ref)) != NULL)
			continue;
		/* all of the model, this row the last of them */
		r = own_prices_put(ps, p, row->model, NULL, 0, err);
		if (i > own_prices_count(ps))
			i = own_prices_count(ps);
	}
	buf_clear(&ref);
	return r;
}

int
section_prices_apply(struct document_change *c, const struct node *n, struct error *err)
{
	int r;

	if (!node_is_map(n, "prices", c->problems))
		return 0;
	r = remove_others(c, n, err);
	for (const struct node *m = n != NULL ? n->first : NULL; m != NULL && r == 0; m = m->next)
		r = define(c, m, err);
	return r;
}

#include "server/state/own_prices.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/base/log.h"
#include "server/state/models.h"
#include "server/store/own_price_rows.h"

#define DAY_MS INT64_C(86400000)

struct own_prices {
	struct store *store;
	struct changes *changes;
	struct price_row *rows; /* their texts are owned here */
	size_t count;
	uint64_t generation;
};

/* ---- life ---- */

static void
row_clear(struct price_row *row)
{
	free((char *)row->provider);
	free((char *)row->model);
}

static void
clear(struct own_prices *ps)
{
	for (size_t i = 0; i < ps->count; i++)
		row_clear(&ps->rows[i]);
	free(ps->rows);
	ps->rows = NULL;
	ps->count = 0;
}

static void
insert(struct own_prices *ps, size_t at, const struct price_row *row)
{
	ps->rows = xrealloc(ps->rows, (ps->count + 1) * sizeof *ps->rows);
	memmove(&ps->rows[at + 1], &ps->rows[at], (ps->count - at) * sizeof *ps->rows);
	ps->rows[at] = *row;
	ps->rows[at].provider = xstrdup(row->provider);
	ps->rows[at].model = xstrdup(row->model);
	ps->count++;
}

static void
load_row(void *arg, const struct price_row *row)
{
	struct own_prices *ps = arg;

	if (tariff_valid(&row->tariff))
		insert(ps, ps->count, row);
}

static int
load(struct own_prices *ps)
{
	clear(ps);
	ps->generation++;
	return store_own_price_each(ps->store, load_row, ps);
}

static void
reload(void *arg)
{
	struct own_prices *ps = arg;

	if (load(ps) != 0)
		log_error("prices cannot be read back", LOG_TEXT("file", store_path(ps->store)));
}

int
own_prices_new(struct store *store, struct changes *changes, struct own_prices **out, struct error *err)
{
	struct own_prices *ps = xcalloc(1, sizeof *ps);
	int r;

	ps->store = store;
	ps->changes = changes;
	if ((r = load(ps)) != 0) {
		own_prices_free(ps);
		return error_set(err, r, "the prices cannot be read from %s", store_path(store));
	}
	changes_on_rollback(changes, reload, ps);
	*out = ps;
	return 0;
}

void
own_prices_free(struct own_prices *ps)
{
	if (ps == NULL)
		return;
	clear(ps);
	free(ps);
}

/* ---- looking ---- */

size_t
own_prices_count(const struct own_prices *ps)
{
	return ps->count;
}

const struct price_row *
own_prices_at(const struct own_prices *ps, size_t i)
{
	assert(i < ps->count);
	return &ps->rows[i];
}

uint64_t
own_prices_generation(const struct own_prices *ps)
{
	return ps->generation;
}

static int
compare_model(const struct price_row *row, const char *provider, const char *model)
{
	int c = strcmp(row->provider, provider);

	return c != 0 ? c : strcmp(row->model, model);
}

/* Where the rows of a model begin, or would. */
static size_t
place_of(const struct own_prices *ps, const char *provider, const char *model)
{
	size_t low = 0, high = ps->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_model(&ps->rows[middle], provider, model) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

size_t
own_prices_of(const struct own_prices *ps, const struct provider *p, const char *model,
    const struct price_row **first)
{
	size_t at = place_of(ps, p->id, model), end = at;

	while (end < ps->count && compare_model(&ps->rows[end], p->id, model) == 0)
		end++;
	*first = ps->rows != NULL ? &ps->rows[at] : NULL;
	return end - at;
}

/* ---- changing ---- */

static int
compare_rows(const void *left, const void *right)
{
	const struct price_row *a = left, *b = right;

	if (a->from_ms != b->from_ms)
		return a->from_ms < b->from_ms ? -1 : 1;
	return (a->above > b->above) - (a->above < b->above);
}

static int
check_row(const struct price_row *row, struct error *err)
{
	if (!tariff_valid(&row->tariff))
		return error_set(err, MP_E_INVALID_PARAMS,
		    "a price is from 0 to %lld USD per million tokens",
		    (long long)(PRICE_MAX_PICO / 1000000));
	if (row->from_ms < 0 || row->from_ms > PRICE_FROM_MAX_MS || row->from_ms % DAY_MS != 0)
		return error_set(err, MP_E_INVALID_PARAMS,
		    "a price holds from the beginning of a day (UTC) on, before the year 2100");
	if (row->above < 0 || row->above > PRICE_ABOVE_MAX)
		return error_set(err, MP_E_INVALID_PARAMS, "a price is for prompts above 0 to %lld tokens",
		    (long long)PRICE_ABOVE_MAX);
	return 0;
}

/* Sorts them. */
static int
check_rows(struct price_row *rows, size_t count, struct error *err)
{
	int r;

	for (size_t i = 0; i < count; i++)
		if ((r = check_row(&rows[i], err)) != 0)
			return r;
	if (count > 0)
		qsort(rows, count, sizeof *rows, compare_rows);
	for (size_t i = 0; i < count; i++) {
		if (i > 0 && compare_rows(&rows[i - 1], &rows[i]) == 0)
			return error_set(err, MP_E_INVALID_PARAMS,
			    "two prices are for the same day and the same length of prompts");
		if ((i == 0 || rows[i - 1].from_ms != rows[i].from_ms) && rows[i].above > 0) {
			error_set(err, MP_E_CONFLICT,
			    "a price for prompts above %lld tokens needs one of the same day for shorter "
			    "ones", (long long)rows[i].above);
			error_hint(err, "set that first, without --above");
			return err->code;
		}
	}
	return 0;
}

static int
check_room(const struct own_prices *ps, size_t before, size_t count, struct error *err)
{
	if (count > OWN_PRICES_OF_MODEL_MAX)
		return error_set(err, MP_E_TOO_MANY, "a model has at most %d prices",
		    OWN_PRICES_OF_MODEL_MAX);
	if (ps->count - before + count > OWN_PRICES_MAX) {
		error_set(err, MP_E_TOO_MANY, "there are %d prices already", OWN_PRICES_MAX);
		error_hint(err, "remove some: mpc catalog unset PROVIDER:MODEL");
		return err->code;
	}
	return 0;
}

static int
store_rows(struct own_prices *ps, const char *provider, const char *model, const struct price_row *rows,
    size_t count)
{
	int r = store_own_prices_delete(ps->store, provider, model);

	for (size_t i = 0; i < count && r == 0; i++)
		r = store_own_price_put(ps->store, &rows[i]);
	return r;
}

static void
note(struct own_prices *ps, const struct provider *p, const char *model)
{
	struct buf ref = BUF_INIT;

	buf_addf(&ref, "%s:%s", p->name, model);
	changes_note(ps->changes, TOPIC_MODELS, CHANGE_UPDATE, buf_str(&ref));
	buf_clear(&ref);
}

/* rows: of this model, sorted and checked. */
static int
replace(struct own_prices *ps, const struct provider *p, const char *model, const struct price_row *rows,
    size_t count, struct error *err)
{
	const struct price_row *first;
	size_t before = own_prices_of(ps, p, model, &first), at = place_of(ps, p->id, model);
	int r;

	note(ps, p, model);
	if ((r = store_rows(ps, p->id, model, rows, count)) != 0)
		return error_set(err, r, "the price cannot be stored: %s", store_path(ps->store));
	for (size_t i = 0; i < count; i++)
		insert(ps, at + before + i, &rows[i]);
	for (size_t i = 0; i < before; i++)
		row_clear(&ps->rows[at + i]);
	if (before > 0)
		memmove(&ps->rows[at], &ps->rows[at + before], (ps->count - at - before) * sizeof *ps->rows);
	ps->count -= before;
	ps->generation++;
	return 0;
}

int
own_prices_put(struct own_prices *ps, const struct provider *p, const char *model,
    const struct price_row *rows, size_t count, struct error *err)
{
	const struct price_row *first;
	size_t before = own_prices_of(ps, p, model, &first);
	struct price_row *mine;
	char *of;
	int r;

	if ((r = model_id_check(model, err)) != 0 || (r = check_room(ps, before, count, err)) != 0)
		return r;
	mine = xcalloc(count + 1, sizeof *mine);
	of = xstrdup(model); /* may be one of a row that goes */
	for (size_t i = 0; i < count; i++) {
		mine[i] = rows[i];
		mine[i].provider = p->id;
		mine[i].model = of;
	}
	if ((r = check_rows(mine, count, err)) == 0)
		r = replace(ps, p, of, mine, count, err);
	free(mine);
	free(of);
	return r;
}

static bool
same_place(const struct price_row *a, const struct price_row *b)
{
	return compare_rows(a, b) == 0;
}

int
own_prices_set(struct own_prices *ps, const struct provider *p, const char *model,
    const struct price_row *row, struct error *err)
{
	const struct price_row *first;
	size_t before = own_prices_of(ps, p, model, &first), count = 0;
	struct price_row rows[OWN_PRICES_OF_MODEL_MAX + 1];

	for (size_t i = 0; i < before && count < OWN_PRICES_OF_MODEL_MAX; i++)
		if (!same_place(&first[i], row))
			rows[count++] = first[i];
	rows[count++] = *row;
	return own_prices_put(ps, p, model, rows, count, err);
}

int
own_prices_remove(struct own_prices *ps, const struct provider *p, const char *model, int64_t from_ms,
    int64_t above, struct error *err)
{
	const struct price_row *first;
	size_t before = own_prices_of(ps, p, model, &first), count = 0;
	struct price_row rows[OWN_PRICES_OF_MODEL_MAX];

	for (size_t i = 0; i < before && count < OWN_PRICES_OF_MODEL_MAX; i++)
		if ((from_ms >= 0 && first[i].from_ms != from_ms) || (above > 0 && first[i].above != above))
			rows[count++] = first[i];
	if (count == before) {
		error_set(err, MP_E_NOT_FOUND, "%s:%.200s has no such price of its own", p->name, model);
		error_hint(err, "what there is: mpc catalog show %s:%.200s", p->name, model);
		return err->code;
	}
	return own_prices_put(ps, p, model, rows, count, err);
}

int
own_prices_remove_all(struct own_prices *ps, const struct provider *p, struct error *err)
{
	int r = 0;

	for (size_t i = ps->count; i-- > 0 && r == 0;) {
		if (strcmp(ps->rows[i].provider, p->id) != 0)
			continue;
		r = own_prices_put(ps, p, ps->rows[i].model, NULL, 0, err);
		if (i > ps->count)
			i = ps->count;
	}
	return r;
}

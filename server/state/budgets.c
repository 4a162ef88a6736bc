#include "server/state/budgets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/store/budget_rows.h"

static const char *const kinds[] = {
	[BUDGET_ALL] = "all",
	[BUDGET_PROVIDER] = "provider",
	[BUDGET_CHAIN] = "chain",
	[BUDGET_SCOPE] = "scope",
};
static const char scope_prefix[] = "scope:";

struct budgets {
	struct store *store;
	struct changes *changes;
	struct budget *items; /* their strings are owned here; period is static */
	size_t count;
};

static void
clear(struct budgets *bs)
{
	for (size_t i = 0; i < bs->count; i++)
		free((char *)bs->items[i].subject);
	free(bs->items);
	bs->items = NULL;
	bs->count = 0;
}

/* The static word; NULL for any other. */
static const char *
period_word(const char *text)
{
	static const char *const words[] = { "day", "week", "month" };

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strcmp(words[i], text) == 0)
			return words[i];
	return NULL;
}

static void
load_row(void *arg, const struct budget_row *row)
{
	struct budgets *bs = arg;
	struct budget b = { .period = period_word(row->period), .limit_microusd = row->limit_microusd,
		.hard = row->hard, .rev = row->rev };
	size_t k = 0;

	while (k < sizeof kinds / sizeof *kinds && strcmp(kinds[k], row->kind) != 0)
		k++;
	if (b.period == NULL || k == sizeof kinds / sizeof *kinds)
		return;
	b.kind = (enum budget_kind)k;
	b.subject = xstrdup(row->subject);
	bs->items = xrealloc(bs->items, (bs->count + 1) * sizeof *bs->items);
	bs->items[bs->count++] = b;
}

static int
load(struct budgets *bs)
{
	clear(bs);
	return store_budget_each(bs->store, load_row, bs);
}

static void
reload(void *arg)
{
	load(arg);
}

int
budgets_new(struct store *store, struct changes *changes, struct budgets **out, struct error *err)
{
	struct budgets *bs = xcalloc(1, sizeof *bs);
	int r;

	bs->store = store;
	bs->changes = changes;
	if ((r = load(bs)) != 0) {
		budgets_free(bs);
		return error_set(err, r, "the budgets cannot be read");
	}
	changes_on_rollback(changes, reload, bs);
	*out = bs;
	return 0;
}

void
budgets_free(struct budgets *bs)
{
	if (bs == NULL)
		return;
	clear(bs);
	free(bs);
}

size_t
budgets_count(const struct budgets *bs)
{
	return bs->count;
}

const struct budget *
budgets_at(const struct budgets *bs, size_t i)
{
	return &bs->items[i];
}

const struct budget *
budgets_find(const struct budgets *bs, enum budget_kind kind, const char *subject, const char *period)
{
	for (size_t i = 0; i < bs->count; i++)
		if (bs->items[i].kind == kind && strcmp(bs->items[i].subject, subject) == 0 &&
		    strcmp(bs->items[i].period, period) == 0)
			return &bs->items[i];
	return NULL;
}

/* ---- how people write it ---- */

bool
budget_for_read(const struct providers *ps, const char *text, enum budget_kind *kind, char **subject)
{
	const struct provider *p;

	if (text == NULL || text[0] == '\0') {
		*kind = BUDGET_ALL;
		*subject = xstrdup("");
	} else if (text[0] == '@' && text[1] != '\0') {
		*kind = BUDGET_CHAIN;
		*subject = xstrdup(text + 1);
	} else if (strncmp(text, scope_prefix, sizeof scope_prefix - 1) == 0 &&
	    text[sizeof scope_prefix - 1] != '\0') {
		*kind = BUDGET_SCOPE;
		*subject = xstrdup(text + sizeof scope_prefix - 1);
	} else if ((p = providers_find(ps, text)) != NULL) {
		*kind = BUDGET_PROVIDER;
		*subject = xstrdup(p->id);
	} else {
		return false;
	}
	return true;
}

void
budget_for_write(const struct providers *ps, const struct budget *b, char *out, size_t size)
{
	const struct provider *p;

	switch (b->kind) {
	case BUDGET_ALL:
		out[0] = '\0';
		break;
	case BUDGET_PROVIDER:
		p = providers_find_id(ps, b->subject);
		snprintf(out, size, "%s", p != NULL ? p->name : b->subject);
		break;
	case BUDGET_CHAIN:
		snprintf(out, size, "@%s", b->subject);
		break;
	case BUDGET_SCOPE:
		snprintf(out, size, "%s%s", scope_prefix, b->subject);
		break;
	}
}

/* ---- changing ---- */

static void
note(struct budgets *bs, const struct providers *ps, const struct budget *b, enum change_op op)
{
	char of[300], key[320];

	budget_for_write(ps, b, of, sizeof of);
	snprintf(key, sizeof key, "%s/%s", of, b->period);
	changes_note(bs->changes, TOPIC_BUDGET, op, key);
}

int
budgets_set(struct budgets *bs, const struct providers *ps, const struct budget *b, struct error *err)
{
	const struct budget_row row = { kinds[b->kind], b->subject, b->period, b->limit_microusd, b->hard,
		changes_next_rev(bs->changes) };
	bool there = budgets_find(bs, b->kind, b->subject, b->period) != NULL;
	int r;

	if (period_word(b->period) == NULL)
		return error_field(err, "period", "period must be day, week or month");
	if (!there && b->limit_microusd == 0)
		return error_set(err, MP_E_NOT_FOUND, "there is no such budget");
	if (!there && bs->count >= BUDGETS_MAX)
		return error_set(err, MP_E_TOO_MANY, "there are %d budgets already", BUDGETS_MAX);
	note(bs, ps, b, b->limit_microusd == 0 ? CHANGE_REMOVE : there ? CHANGE_UPDATE : CHANGE_ADD);
	r = b->limit_microusd == 0 ? store_budget_delete(bs->store, row.kind, row.subject, row.period)
	                           : store_budget_put(bs->store, &row);
	if (r == 0)
		r = load(bs);
	return r == 0 ? 0 : error_set(err, r, "the budget cannot be stored");
}

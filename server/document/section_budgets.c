/* section_budgets.c - budgets: [AMOUNT [hard] per PERIOD [for PROVIDER, @CHAIN or scope:NAME]], amounts
 * in USD. */
#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/document/section.h"

#define BUDGET_MAX_BYTES 400

/* ---- export ---- */

static void
put_budget(const struct document_parts *parts, const struct budget *b, struct buf *out)
{
	char of[300], amount[32];

	buf_reset(out, BUDGET_MAX_BYTES);
	money_text(b->limit_microusd, amount, sizeof amount);
	buf_addf(out, "%s%s per %s", amount, b->hard ? " hard" : "", b->period);
	budget_for_write(parts->providers, b, of, sizeof of);
	if (of[0] != '\0')
		buf_addf(out, " for %s", of);
}

void
section_budgets_export(const struct document_parts *parts, struct writer *w)
{
	struct buf text = BUF_INIT;

	if (budgets_count(parts->budgets) == 0) {
		write_empty_list(w, "budgets");
		return;
	}
	write_begin(w, "budgets");
	for (size_t i = 0; i < budgets_count(parts->budgets); i++) {
		const struct budget *b = budgets_at(parts->budgets, i);

		/* of a provider that is gone */
		if (b->kind == BUDGET_PROVIDER && providers_find_id(parts->providers, b->subject) == NULL)
			continue;
		put_budget(parts, b, &text);
		write_item(w, buf_str(&text));
	}
	write_end(w);
	buf_clear(&text);
}

/* ---- what the document wants ---- */

/* Whether these words come next; moves *s behind them. */
static bool
take(const char **s, const char *words)
{
	size_t n = strlen(words);

	if (strncmp(*s, words, n) != 0 || ((*s)[n] != '\0' && (*s)[n] != ' '))
		return false;
	*s += n;
	return true;
}

static bool
take_period(const char **s, const char **period)
{
	static const char *const periods[] = { "day", "week", "month" };

	for (size_t i = 0; i < sizeof periods / sizeof periods[0]; i++)
		if (take(s, periods[i])) {
			*period = periods[i];
			return true;
		}
	return false;
}

/* False when it was reported; else the caller frees the subject. */
static bool
read_budget(struct document_change *c, const struct node *n, struct budget *out)
{
	const char *text = node_text(n, "a budget", BUDGET_MAX_BYTES, c->problems), *at = text;
	struct error err = ERROR_INIT;
	char *subject = NULL;

	if (text == NULL)
		return false;
	if (!money_parse(&at, &out->limit_microusd) || out->limit_microusd == 0 ||
	    ((out->hard = take(&at, " hard")), !take(&at, " per")) || *at++ != ' ' ||
	    !take_period(&at, &out->period) ||
	    (*at != '\0' && (!take(&at, " for") || *at++ != ' ' || *at == '\0'))) {
		problem_add(c->problems, n->line, n->column,
		    "\"%.160s\" is no budget: write AMOUNT per day, week or month, as in "
		    "\"10.00 per day for openai\"", text);
		return false;
	}
	if (!budget_for_read(c->parts->providers, at, &out->kind, &subject)) {
		error_set(&err, MP_E_NOT_FOUND, "there is no provider \"%.80s\"", at);
		providers_suggest(c->parts->providers, at, &err);
		node_problem(n, &err, c->problems);
		return false;
	}
	if (out->kind == BUDGET_CHAIN && chains_find(c->parts->chains, subject) == NULL) {
		problem_add(c->problems, n->line, n->column, "there is no chain @%.80s", subject);
		free(subject);
		return false;
	}
	out->subject = subject;
	return true;
}

static const struct budget *
same(const struct budget *list, size_t count, const struct budget *b)
{
	for (size_t i = 0; i < count; i++)
		if (list[i].kind == b->kind && strcmp(list[i].subject, b->subject) == 0 &&
		    strcmp(list[i].period, b->period) == 0)
			return &list[i];
	return NULL;
}

/* ---- making it so ---- */

static int
define(struct document_change *c, const struct node *n, const struct budget *b, struct error *err)
{
	const struct budget *now = budgets_find(c->parts->budgets, b->kind, b->subject, b->period);

	if (now != NULL && now->limit_microusd == b->limit_microusd && now->hard == b->hard)
		return 0;
	return section_blame(c, n, false, budgets_set(c->parts->budgets, c->parts->providers, b, err), err);
}

static int
remove_others(struct document_change *c, const struct budget *list, size_t count, struct error *err)
{
	struct budgets *bs = c->parts->budgets;
	int r = 0;

	for (size_t i = budgets_count(bs); i-- > 0 && r == 0;) {
		struct budget gone = *budgets_at(bs, i);
		char *subject, *period;

		if (same(list, count, &gone) != NULL)
			continue;
		gone.subject = subject = xstrdup(gone.subject); /* the list is read anew */
		gone.period = period = xstrdup(gone.period);
		gone.limit_microusd = 0;
		r = budgets_set(bs, c->parts->providers, &gone, err);
		free(subject);
		free(period);
	}
	return r;
}

int
section_budgets_apply(struct document_change *c, const struct node *n, struct error *err)
{
	size_t before = c->problems->count, count = 0;
	struct budget *list;
	int r = 0;

	if (!node_is_list(n, "budgets", c->problems))
		return 0;
	list = xcalloc((n != NULL ? n->count : 0) + 1, sizeof *list);
	/* those that go make room for those that come */
	for (const struct node *m = n != NULL ? n->first : NULL; m != NULL; m = m->next) {
		if (!read_budget(c, m, &list[count]))
			continue;
		if (same(list, count, &list[count]) != NULL)
			problem_add(c->problems, m->line, m->column, "this budget stands here twice");
		count++;
	}
	if (c->problems->count == before)
		r = remove_others(c, list, count, err);
	if (c->problems->count == before && r == 0) {
		const struct node *m = n != NULL ? n->first : NULL;

		for (size_t i = 0; i < count && r == 0; i++, m = m->next)
			r = define(c, m, &list[i], err);
	}
	for (size_t i = 0; i < count; i++)
		free((char *)list[i].subject);
	free(list);
	return r;
}

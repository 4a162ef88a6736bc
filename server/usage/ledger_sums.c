/* ledger_sums.c - what is asked of the ledger, from its days, hours and rows. */
#include "server/usage/calendar.h"
#include "server/usage/ledger.h"

/* One question, asked of one level after the other. */
struct asking {
	struct ledger *l;
	enum usage_by by;
	void (*each)(void *arg, const struct usage_group *g);
	void *arg;
	enum usage_level step;
	int64_t start_ms; /* of the hour or day that parts of it belong to */
	enum usage_level level;
};

static void
on_group(void *arg, const struct usage_group *g)
{
	const struct asking *a = arg;
	struct usage_group named = *g;

	if (a->by == USAGE_BY_START && a->level < a->step)
		named.start_ms = a->start_ms;
	a->each(a->arg, &named);
}

static int
ask(struct asking *a, enum usage_level level, int64_t from_ms, int64_t to_ms)
{
	if (from_ms >= to_ms)
		return 0;
	a->level = level;
	return store_usage_groups(ledger_store(a->l), level, a->by, from_ms, to_ms, on_group, a);
}

/* A part of one hour. */
static int
ask_rows(struct asking *a, int64_t from_ms, int64_t to_ms)
{
	a->start_ms = calendar_start(a->step == USAGE_HOURS ? PERIOD_HOUR : PERIOD_DAY, from_ms);
	return ask(a, USAGE_ROWS, from_ms, to_ms);
}

/* A part of one day. */
static int
ask_hours(struct asking *a, int64_t from_ms, int64_t to_ms)
{
	int64_t first = calendar_start(PERIOD_HOUR, from_ms), last = calendar_start(PERIOD_HOUR, to_ms);
	int r = 0;

	if (first < from_ms)
		first = calendar_next(PERIOD_HOUR, from_ms);
	if (first > to_ms)
		return ask_rows(a, from_ms, to_ms);
	if ((r = ask_rows(a, from_ms, first)) != 0)
		return r;
	a->start_ms = calendar_start(PERIOD_DAY, from_ms);
	if ((r = ask(a, USAGE_HOURS, first, last)) != 0)
		return r;
	return ask_rows(a, last, to_ms);
}

int
ledger_sums(struct ledger *l, int64_t from_ms, int64_t to_ms, enum usage_by by, enum usage_level step,
    void (*each)(void *arg, const struct usage_group *g), void *arg)
{
	struct asking a = { l, by, each, arg, step, 0, step };
	int64_t first, last, kept_ms = ledger_rows_from_ms(l);
	int r;

	ledger_flush(l);
	if (from_ms < kept_ms && from_ms < to_ms) {
		int64_t until = to_ms < kept_ms ? calendar_next(PERIOD_DAY, to_ms - 1) : kept_ms;

		r = ask(&a, USAGE_DAYS, calendar_start(PERIOD_DAY, from_ms), until);
		if (r != 0)
			return r;
		from_ms = until;
	}
	if (from_ms >= to_ms)
		return 0;
	first = calendar_start(PERIOD_DAY, from_ms);
	last = calendar_start(PERIOD_DAY, to_ms);
	if (first < from_ms)
		first = calendar_next(PERIOD_DAY, from_ms);
	if (first > to_ms)
		return ask_hours(&a, from_ms, to_ms);
	if ((r = ask_hours(&a, from_ms, first)) != 0)
		return r;
	if (by == USAGE_BY_START && step == USAGE_HOURS)
		r = ask(&a, USAGE_HOURS, first, last);
	else
		r = ask(&a, USAGE_DAYS, first, last);
	return r != 0 ? r : ask_hours(&a, last, to_ms);
}

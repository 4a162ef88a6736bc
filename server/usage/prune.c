#include "server/usage/prune.h"

#include <stdlib.h>

#include "protocol/base/str.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/usage/calendar.h"

#define TURN_US 4000 /* of work, then the loop goes on */
#define PAUSE_MS 4
#define RETRY_MS 5000
#define PIECE_ROWS 100
#define PIECE_PAGES 8

enum step { STEP_ROWS, STEP_HOURS, STEP_DAYS, STEP_ROOM, STEP_DONE };

struct prune {
	struct loop *loop;
	struct ledger *ledger;
	struct loop_timer *next;
	enum step step;
	struct pruned what;
	int64_t bytes_before;
	void (*done)(void *arg, int code, const struct pruned *what);
	void *arg;
};

/* ---- pieces ---- */

/* Deletes some; the next step when there were fewer. */
static int
piece_of_rows(struct prune *p)
{
	struct store *s = ledger_store(p->ledger);
	int64_t before = ledger_rows_from_ms(p->ledger), gone = 0;
	int r = store_begin(s);

	if (r != 0)
		return r;
	if (p->step == STEP_ROWS)
		r = store_usage_delete(s, before * 1000, PIECE_ROWS, &gone);
	else if (p->step == STEP_HOURS)
		r = store_usage_delete_hours(s, before, PIECE_ROWS, &gone);
	else
		r = store_usage_delete_days(s, ledger_days_from_ms(p->ledger), PIECE_ROWS, &gone);
	if (r != 0) {
		store_rollback(s);
		return r;
	}
	if ((r = store_commit(s)) == 0 && gone < PIECE_ROWS)
		p->step++;
	return r;
}

static int
piece_of_room(struct prune *p)
{
	bool more = false;
	int r = store_usage_shrink(ledger_store(p->ledger), PIECE_PAGES, &more);

	if (r == 0 && !more)
		p->step++;
	return r;
}

static void
finish(struct prune *p, int code)
{
	void (*done)(void *arg, int code, const struct pruned *what) = p->done;

	p->done = NULL;
	if (done != NULL)
		done(p->arg, code, &p->what);
}

static void
turn(void *arg)
{
	struct prune *p = arg;
	int64_t begin = clock_monotonic_us();
	int r = 0;

	while (r == 0 && p->step != STEP_DONE && clock_monotonic_us() - begin < TURN_US)
		r = p->step == STEP_ROOM ? piece_of_room(p) : piece_of_rows(p);
	if (r != 0) {
		log_warn("old usage cannot be deleted; it is tried again", LOG_TEXT("code", error_code(r)));
		loop_timer_start(p->next, RETRY_MS);
		finish(p, r);
		return;
	}
	if (p->step != STEP_DONE) {
		loop_timer_start(p->next, PAUSE_MS);
		return;
	}
	/* the file gets shorter when the log moves into it */
	store_checkpoint_passive(ledger_store(p->ledger));
	p->what.bytes = p->bytes_before - store_usage_bytes(ledger_store(p->ledger));
	if (p->what.bytes < 0)
		p->what.bytes = 0;
	log_info("old usage was deleted", LOG_INT("requests", p->what.rows),
	    LOG_INT("bytes", p->what.bytes));
	finish(p, 0);
}

/* ---- the face ---- */

struct prune *
prune_new(struct loop *loop, struct ledger *ledger)
{
	struct prune *p = xcalloc(1, sizeof *p);
	struct store *s = ledger_store(ledger);
	bool left = false;

	p->loop = loop;
	p->ledger = ledger;
	p->step = STEP_DONE;
	p->next = loop_timer_new(loop, turn, p);
	if (ledger_rows_from_ms(ledger) > 0 && store_usage_left(s, ledger_rows_from_ms(ledger),
	    ledger_days_from_ms(ledger), &left) == 0 && left) {
		log_info("deleting old usage goes on");
		p->step = STEP_ROWS;
		p->bytes_before = store_usage_bytes(s);
		loop_timer_start(p->next, PAUSE_MS);
	}
	return p;
}

void
prune_free(struct prune *p)
{
	if (p == NULL)
		return;
	loop_timer_free(p->next);
	free(p);
}

int64_t
prune_day(int64_t at_ms)
{
	int64_t today = calendar_start(PERIOD_DAY, clock_wall_ms());

	return at_ms < today ? calendar_start(PERIOD_DAY, at_ms) : today;
}

int
prune_look(const struct prune *p, const struct prune_plan *plan, struct pruned *out)
{
	int64_t from = ledger_rows_from_ms(p->ledger), days = 0;
	int r;

	*out = (struct pruned){ .before_ms = plan->before_ms };
	if (ledger_flush(p->ledger) != 0)
		return MP_E_STORAGE;
	if (from < plan->before_ms &&
	    (r = store_usage_days(ledger_store(p->ledger), from, plan->before_ms, &out->rows, &days)) != 0)
		return r;
	if (!plan->days)
		return 0;
	return store_usage_days(ledger_store(p->ledger), 0, plan->before_ms, &days, &out->days);
}

int
prune_begin(struct prune *p, const struct prune_plan *plan,
    void (*done)(void *arg, int code, const struct pruned *what), void *arg, struct error *err)
{
	int r;

	if (prune_running(p)) {
		error_set(err, MP_E_BUSY, "old usage is being deleted already");
		return MP_E_BUSY;
	}
	if ((r = prune_look(p, plan, &p->what)) != 0 ||
	    (r = ledger_forget(p->ledger, plan->before_ms, plan->days)) != 0) {
		error_set(err, r, "%s cannot be written; nothing was deleted",
		    store_path(ledger_store(p->ledger)));
		return r;
	}
	p->bytes_before = store_usage_bytes(ledger_store(p->ledger));
	p->done = done;
	p->arg = arg;
	p->step = STEP_ROWS;
	loop_timer_start(p->next, 0);
	return 0;
}

void
prune_forget(struct prune *p)
{
	p->done = NULL;
}

bool
prune_running(const struct prune *p)
{
	return p->step != STEP_DONE;
}

#include "server/usage/ledger.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/store/inspection.h"
#include "server/usage/calendar.h"

#define SYNC_MS 900   /* with the work of a checkpoint: within a second */
#define RETRY_MS 1000
#define ID_TRIES 10000
#define SUBSCRIBERS 8
/* No provider counts more than this in one answer: sums of sums never overflow. */
#define COUNT_MAX INT64_C(1000000000000)

/* A row that waits, and its strings behind it. */
struct waiting_row {
	struct usage_row row;
	char strings[];
};

/* The hour and the day that hold the last row: looked up once. */
struct span {
	int64_t start_ms, next_ms;
};

struct ledger {
	struct loop *loop;
	struct store *store;
	struct waiting_row **waiting;
	size_t count, size;
	int64_t last_id;
	int64_t lost;
	bool failing, losing; /* said so */
	char *damage;         /* NULL = none was found */
	struct span hour, day;
	int64_t rows_from_ms, days_from_ms; /* what was before is forgotten */
	struct {
		void (*on_row)(void *arg, const struct usage_row *row);
		void *arg;
	} subscribers[SUBSCRIBERS];
	struct loop_deferred commit;
	struct loop_timer *retry;
	struct loop_timer *sync; /* runs when something was committed and not synced */
};

/* ---- rows that wait ---- */

static const char *
keep(char **at, const char *s)
{
	size_t n = strlen(s) + 1;
	char *to = *at;

	memcpy(to, s, n);
	*at += n;
	return to;
}

static struct waiting_row *
copy_row(const struct usage_row *r)
{
	size_t n = strlen(r->provider) + strlen(r->model) + strlen(r->answered) + strlen(r->label) +
	    strlen(r->client) + strlen(r->scope) + strlen(r->chain) + strlen(r->outcome) + 8;
	struct waiting_row *w = xcalloc(1, sizeof *w + n);
	char *at = w->strings;

	w->row = *r;
	w->row.provider = keep(&at, r->provider);
	w->row.model = keep(&at, r->model);
	w->row.answered = keep(&at, r->answered);
	w->row.label = keep(&at, r->label);
	w->row.client = keep(&at, r->client);
	w->row.scope = keep(&at, r->scope);
	w->row.chain = keep(&at, r->chain);
	w->row.outcome = keep(&at, r->outcome);
	return w;
}

static void
cap(int64_t *n)
{
	if (*n < 0)
		*n = -1;
	if (*n > COUNT_MAX)
		*n = COUNT_MAX;
}

static void
cap_row(struct usage_row *r)
{
	cap(&r->usage.input_tokens);
	cap(&r->usage.output_tokens);
	cap(&r->usage.cache_read_tokens);
	cap(&r->usage.cache_write_tokens);
	cap(&r->usage.reasoning_tokens);
	cap(&r->usage.cost_microusd);
	cap(&r->first_token_ms);
	if (r->duration_ms < 0)
		r->duration_ms = 0;
	cap(&r->duration_ms);
}

/* Rows of one millisecond follow each other; a clock that was set back is believed. */
static int64_t
next_id(struct ledger *l)
{
	int64_t id = clock_wall_ms() * 1000;

	if (id <= l->last_id && l->last_id - id < 1000000)
		id = l->last_id + 1;
	l->last_id = id;
	return id;
}

static void commit_deferred(void *arg);

static void
tell(struct ledger *l, const struct usage_row *row)
{
	for (size_t i = 0; i < SUBSCRIBERS; i++)
		if (l->subscribers[i].on_row != NULL)
			l->subscribers[i].on_row(l->subscribers[i].arg, row);
}

void
ledger_add(struct ledger *l, const struct usage_row *row)
{
	struct usage_row seen = *row;
	struct waiting_row *w;

	cap_row(&seen);
	seen.id = next_id(l);
	if (l->count >= LEDGER_WAITING_MAX) {
		l->lost++;
		if (!l->losing)
			log_error("usage is not recorded any more: it cannot be written",
			    LOG_TEXT("path", store_path(l->store)));
		l->losing = true;
		tell(l, &seen); /* it was spent all the same: a budget knows no way around it */
		return;
	}
	if (l->count == l->size) {
		l->size = l->size > 0 ? l->size * 2 : 16;
		l->waiting = xrealloc(l->waiting, l->size * sizeof(struct waiting_row *));
	}
	w = copy_row(&seen);
	l->waiting[l->count++] = w;
	if (!loop_timer_running(l->retry))
		loop_defer(l->loop, &l->commit, commit_deferred, l);
	tell(l, &seen); /* one that asks frees w */
}

void
ledger_subscribe(struct ledger *l, void (*on_row)(void *arg, const struct usage_row *row), void *arg)
{
	size_t i = 0;

	while (i < SUBSCRIBERS && l->subscribers[i].on_row != NULL)
		i++;
	assert(i < SUBSCRIBERS);
	l->subscribers[i].on_row = on_row;
	l->subscribers[i].arg = arg;
}

void
ledger_unsubscribe(struct ledger *l, void *arg)
{
	for (size_t i = 0; i < SUBSCRIBERS; i++)
		if (l->subscribers[i].arg == arg)
			l->subscribers[i].on_row = NULL;
}

/* ---- writing ---- */

static int64_t
span_start(struct span *s, enum period p, int64_t at_ms)
{
	if (at_ms < s->start_ms || at_ms >= s->next_ms) {
		s->start_ms = calendar_start(p, at_ms);
		s->next_ms = calendar_next(p, at_ms);
	}
	return s->start_ms;
}

static int
write_row(struct ledger *l, struct usage_row *row)
{
	int64_t at_ms = row->id / 1000;
	int r = store_usage_add(l->store, row);

	/* a clock that was set back comes to times that have rows already */
	for (int i = 0; r == MP_E_CONFLICT && i < ID_TRIES; i++) {
		row->id++;
		r = store_usage_add(l->store, row);
	}
	if (r != 0)
		return r;
	if (row->id > l->last_id)
		l->last_id = row->id;
	return store_usage_sum(l->store, row, span_start(&l->hour, PERIOD_HOUR, at_ms),
	    span_start(&l->day, PERIOD_DAY, at_ms));
}

static int
write_all(struct ledger *l)
{
	int r = store_begin(l->store);

	if (r != 0)
		return r;
	for (size_t i = 0; i < l->count && r == 0; i++)
		r = write_row(l, &l->waiting[i]->row);
	if (r != 0) {
		store_rollback(l->store);
		return r;
	}
	return store_commit(l->store);
}

static void
drop_waiting(struct ledger *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->waiting[i]);
	l->count = 0;
}

/* What is new in it is synced within a second. */
static void
written(struct ledger *l)
{
	if (!loop_timer_running(l->sync))
		loop_timer_start(l->sync, SYNC_MS);
}

int
ledger_flush(struct ledger *l)
{
	int r;

	loop_defer_cancel(l->loop, &l->commit);
	if (l->count == 0)
		return 0;
	if ((r = write_all(l)) != 0) {
		if (!l->failing)
			log_error("usage cannot be written; it waits",
			    LOG_TEXT("path", store_path(l->store)), LOG_TEXT("code", error_code(r)));
		l->failing = true;
		loop_timer_start(l->retry, RETRY_MS);
		return r;
	}
	if (l->failing)
		log_info("usage is written again", LOG_INT("rows", (int64_t)l->count),
		    LOG_INT("lost", l->lost));
	l->failing = l->losing = false;
	loop_timer_stop(l->retry);
	drop_waiting(l);
	written(l);
	return 0;
}

int
ledger_report(struct ledger *l, struct usage_row *row, bool *again)
{
	struct usage_row seen = *row;
	int64_t hash;
	int r;

	cap_row(&seen);
	if ((r = ledger_flush(l)) != 0) /* what came before it is written before it */
		return r;
	if ((r = store_usage_reported(l->store, row->request_key, &row->id, &hash)) != MP_E_NOT_FOUND) {
		*again = true;
		return r == 0 && hash != row->request_hash ? MP_E_CONFLICT : r;
	}
	*again = false;
	/* those of one millisecond follow each other */
	if ((r = store_usage_next(l->store, row->id, row->id + 1000, &seen.id)) != 0 ||
	    (r = store_begin(l->store)) != 0)
		return r;
	if ((r = write_row(l, &seen)) != 0) {
		store_rollback(l->store);
		return r;
	}
	if ((r = store_commit(l->store)) != 0)
		return r;
	row->id = seen.id;
	written(l);
	tell(l, &seen);
	return 0;
}

static void
commit_deferred(void *arg)
{
	ledger_flush(arg);
}

static void
sync_now(void *arg)
{
	struct ledger *l = arg;

	if (store_checkpoint_passive(l->store) != 0 && !store_read_only(l->store))
		loop_timer_start(l->sync, SYNC_MS);
}

/* ---- what is forgotten ---- */

static int64_t
noted_ms(struct ledger *l, const char *key)
{
	char *text = NULL;
	int64_t ms = 0;

	if (store_meta_get(l->store, key, &text) == 0)
		ms = strtoll(text, NULL, 10);
	free(text);
	return ms;
}

void
ledger_reread(struct ledger *l)
{
	free(l->damage); /* it was that of another file */
	l->damage = NULL;
	l->rows_from_ms = noted_ms(l, "rows_from_ms");
	l->days_from_ms = noted_ms(l, "days_from_ms");
}

static int
note_ms(struct ledger *l, const char *key, int64_t ms)
{
	char text[24];

	snprintf(text, sizeof text, "%lld", (long long)ms);
	return store_meta_set(l->store, key, text);
}

int
ledger_forget(struct ledger *l, int64_t before_ms, bool days)
{
	int64_t rows = before_ms > l->rows_from_ms ? before_ms : l->rows_from_ms;
	int64_t sums = days && before_ms > l->days_from_ms ? before_ms : l->days_from_ms;
	int r;

	if ((r = store_begin(l->store)) != 0)
		return r;
	if ((r = note_ms(l, "rows_from_ms", rows)) != 0 || (r = note_ms(l, "days_from_ms", sums)) != 0) {
		store_rollback(l->store);
		return r;
	}
	if ((r = store_commit(l->store)) != 0)
		return r;
	l->rows_from_ms = rows;
	l->days_from_ms = sums;
	written(l);
	return 0;
}

int64_t
ledger_rows_from_ms(const struct ledger *l)
{
	return l->rows_from_ms;
}

int64_t
ledger_days_from_ms(const struct ledger *l)
{
	return l->days_from_ms;
}

/* ---- the face ---- */

static void
on_damage(void *arg, const struct error *err)
{
	struct ledger *l = arg;

	l->damage = xstrdup(err->message);
	l->failing = true;
}

int
ledger_open(const char *data_dir, struct loop *loop, struct ledger **out, struct error *err)
{
	struct ledger *l = xcalloc(1, sizeof *l);
	int r;

	l->loop = loop;
	if ((r = store_open_usage(data_dir, &l->store, err)) != 0) {
		free(l);
		return r;
	}
	ledger_reread(l);
	if (store_unseen(l->store))
		store_inspect(l->store, loop, on_damage, l);
	l->retry = loop_timer_new(loop, commit_deferred, l);
	l->sync = loop_timer_new(loop, sync_now, l);
	*out = l;
	return 0;
}

void
ledger_free(struct ledger *l)
{
	if (l == NULL)
		return;
	if (ledger_flush(l) != 0)
		log_error("usage was not written", LOG_INT("rows", (int64_t)l->count));
	drop_waiting(l);
	free(l->waiting);
	loop_defer_cancel(l->loop, &l->commit);
	loop_timer_free(l->retry);
	loop_timer_free(l->sync);
	store_close(l->store);
	free(l->damage);
	free(l);
}

const char *
ledger_damage(const struct ledger *l)
{
	return l->damage;
}

bool
ledger_failing(const struct ledger *l)
{
	return l->failing;
}

int64_t
ledger_waiting(const struct ledger *l)
{
	return (int64_t)l->count;
}

int64_t
ledger_lost(const struct ledger *l)
{
	return l->lost;
}

struct store *
ledger_store(struct ledger *l)
{
	return l->store;
}

/* ---- asking ---- */

int
ledger_rows(struct ledger *l, int64_t from, int64_t to, int64_t limit,
    void (*each)(void *arg, const struct usage_row *row), void *arg)
{
	ledger_flush(l); /* when it fails: what is there */
	return store_usage_each(l->store, from, to, limit, each, arg);
}

int
ledger_session(struct ledger *l, int64_t session, int64_t since_ms, int64_t *calls,
    int64_t *cost_microusd)
{
	ledger_flush(l);
	return store_usage_session(l->store, session, since_ms * 1000, calls, cost_microusd);
}

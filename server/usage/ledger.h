/* ledger.h - what happened: a row per attempt in usage.db, and what the rows come to per hour and day.
 *
 * Rows are kept in memory until the end of the turn of the loop and committed together; a commit survives
 * kill -9 at once and a power cut within a second. When the disk is full rows wait, up to
 * LEDGER_WAITING_MAX of them; what is more is counted as lost and said in the log and by sys.info. */
#ifndef SERVER_USAGE_LEDGER_H
#define SERVER_USAGE_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/base/err.h"
#include "server/base/loop.h"
#include "server/store/usage_rows.h"

#define LEDGER_WAITING_MAX 10000

struct ledger;

/* Opens or creates usage.db in the folder; errors as store_open. The loop is borrowed. A large file is looked
 * at as a whole by another thread afterwards: when that finds damage, rows wait as on a full disk. */
int ledger_open(const char *data_dir, struct loop *loop, struct ledger **out, struct error *err);
void ledger_free(struct ledger *l); /* writes what waits */
/* Takes a row (copied); its id is made here: now, on the wall clock. */
void ledger_add(struct ledger *l, const struct usage_row *row);
/* A row that a client told: row->id is when it was, row->request_key what makes it count once. It is in the
 * file when this returns 0, under row->id; *again when it was before. MP_E_CONFLICT: something else was told
 * under that key. MP_E_STORAGE: nothing is counted. */
int ledger_report(struct ledger *l, struct usage_row *row, bool *again);
/* The file holds something else now: what was noted of it is read again. */
void ledger_reread(struct ledger *l);
/* From now on the time before is known by its days alone; with days, not even by them. Who calls it
 * deletes. */
int ledger_forget(struct ledger *l, int64_t before_ms, bool days);
int64_t ledger_rows_from_ms(const struct ledger *l); /* 0 = since ever */
int64_t ledger_days_from_ms(const struct ledger *l);
/* Writes what waits. 0 or MP_E_...: it goes on waiting. */
int ledger_flush(struct ledger *l);
/* Whether the last try to write failed; it is tried again every second. */
bool ledger_failing(const struct ledger *l);
/* What is wrong with the file that lies there; NULL = nothing was found. */
const char *ledger_damage(const struct ledger *l);
int64_t ledger_waiting(const struct ledger *l); /* rows not written yet */
int64_t ledger_lost(const struct ledger *l);    /* rows since the start */
struct store *ledger_store(struct ledger *l); /* for backups; borrowed */

/* Hears of each row when it was added, before it is in the file; also of one that is lost. At most eight. */
void ledger_subscribe(struct ledger *l, void (*on_row)(void *arg, const struct usage_row *row), void *arg);
void ledger_unsubscribe(struct ledger *l, void *arg);

/* ---- asking; what waits is written before ---- */

/* What attempts that ended in from_ms <= t < to_ms come to, a group at a time, a group may come in several
 * parts. Groups by start: `step` says whether hours or days; else it is not looked at. Whole hours and days
 * come from their sums, the rest from the rows; where rows were deleted a day counts whole, also by hour. */
int ledger_sums(struct ledger *l, int64_t from_ms, int64_t to_ms, enum usage_by by,
    enum usage_level step, void (*each)(void *arg, const struct usage_group *g), void *arg);
/* Rows with from <= id < to by id, at most limit. */
int ledger_rows(struct ledger *l, int64_t from, int64_t to, int64_t limit,
    void (*each)(void *arg, const struct usage_row *row), void *arg);
/* What a test session has used since it began; cost -1 = none told. */
int ledger_session(struct ledger *l, int64_t session, int64_t since_ms, int64_t *calls,
    int64_t *cost_microusd);

#endif

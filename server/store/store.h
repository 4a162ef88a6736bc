/* store.h - state.db and usage.db: opening, transactions, schema (THREATS.md section 10). SQL lives in this
 * folder only.
 *
 * Family headers beside this one (provider_rows.h, ...) read and write rows; they are called inside a
 * transaction of the caller when they write. Every function returns 0, MP_E_NOT_FOUND where a row may be
 * missing, or MP_E_STORAGE; after an I/O error the store is read-only until reopened. */
#ifndef SERVER_STORE_STORE_H
#define SERVER_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/base/err.h"

struct store;

/* Opens or creates <data_dir>/state.db (data_dir exists and is private, see private_dir_open); checks
 * file kind, owner, mode, application_id, user_version, quick_check; runs migrations, each in one
 * transaction after a copy of the old file. The error says what to do.
 * MP_E_NOT_PERMITTED: modes, owners, links. MP_E_STORAGE: I/O, full, corrupt, read-only. MP_E_BUSY:
 * another process has it open. MP_E_VERSION_MISMATCH: a newer schema or not our file. */
int store_open(const char *data_dir, struct store **out, struct error *err);
/* The same for <data_dir>/usage.db, whose commits survive kill -9 at once and a power cut from the next
 * store_checkpoint_passive on. It may grow large: then store_unseen, and store_inspect (inspection.h) has yet
 * to look at it. */
int store_open_usage(const char *data_dir, struct store **out, struct error *err);
bool store_unseen(const struct store *s);
void store_close(struct store *s);
const char *store_path(const struct store *s);
/* How many changes (meta "generation") the file held by itself when it was opened with a log beside it; -1:
 * no log, or it could not be told. SQLite takes any log for the file's own, also one that is newer than a
 * copy that was put back under it; what it holds is in the file by now. */
int64_t store_count_beneath_log(const struct store *s);
/* All that was committed is in the file. */
bool store_log_is_empty(struct store *s);
/* True after an I/O error: reads go on, writes return MP_E_STORAGE. */
bool store_read_only(const struct store *s);

/* Lets go of the file: everything is MP_E_STORAGE until it is opened again. Outside of a transaction and of
 * any query. */
void store_detach(struct store *s);
/* A new connection to the file that lies there now, as store_open without making one. On failure the store
 * stays detached; when the disk takes no writes it is read-only; MP_E_BUSY while a backup reads
 * from it, and nothing is done. */
int store_reopen(struct store *s, struct error *err);
/* The file that lies there now is another one and was looked at: what was found in the one before counts no
 * more. */
void store_replaced(struct store *s);

/* `failed` is called when an error made it read-only: a note to call store_recover later, nothing else. */
void store_on_failure(struct store *s, void (*failed)(void *arg), void *arg);
/* Opens a read-only store anew, if the disk is well again: 0, and it takes writes; a commit that was refused
 * may be there after all when not even cutting it off had worked. Else it reads on as it did. Outside of a
 * transaction and of any query; cheap enough for once a second. */
int store_recover(struct store *s, struct error *err);

/* One transaction at a time; commit is durable when it returns 0 (state.db). A failed commit has
 * rolled back. */
int store_begin(struct store *s);
int store_commit(struct store *s);
void store_rollback(struct store *s);
/* Outside a transaction: what was committed is synced and moves from the write-ahead log into the file. */
int store_checkpoint_passive(struct store *s);

/* Small facts: the state revision, generation counters. Text keys and values. */
int store_meta_get(struct store *s, const char *key, char **value); /* caller frees */
int store_meta_set(struct store *s, const char *key, const char *value);

int store_schema_version(void); /* the newest this program knows */

#endif

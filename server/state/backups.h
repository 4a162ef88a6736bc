/* backups.h - backups and restores of the running daemon: long work that neither stalls the loop nor stops
 * anybody's writing. One at a time. */
#ifndef SERVER_STATE_BACKUPS_H
#define SERVER_STATE_BACKUPS_H

#include "server/base/loop.h"
#include "server/base/worker.h"
#include "server/store/backup.h"
#include "server/store/restore.h"

struct backups;
struct backups_job;

/* The loop, the worker and the stores outlive it; the worker is freed before the backups. */
struct backups *backups_new(struct loop *loop, struct worker *worker, const char *data_dir);
void backups_free(struct backups *b); /* NULL is harmless */
/* A database that belongs into every backup; in the order of databases[]. */
void backups_add(struct backups *b, struct store *s);

/* Both end with one call of done from the loop, unless they were cancelled or refused at once (NULL and err).
 * MP_E_BUSY: another one runs; else the errors of backup.h and restore.h. */
struct backups_job *backups_make(struct backups *b, const char *path, bool replace,
    void (*done)(void *arg, const struct archive *made, const struct error *err), void *arg,
    struct error *err);
/* Checks a backup; done gets what was taken out of it (takes it; NULL with err). */
struct backups_job *backups_read(struct backups *b, const char *path,
    void (*done)(void *arg, struct restore *r, const struct error *err), void *arg, struct error *err);
void backups_cancel(struct backups_job *j); /* done is not called; not from inside it */

/* Swaps the databases of all stores for those of r and opens them. Whoever remembers rows must read them
 * anew (changes_replaced). On failure the old ones are open again; *kept as of restore_swap. */
int backups_swap(struct backups *b, struct restore *r, char **kept, struct error *err);

#endif

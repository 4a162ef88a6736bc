/* restore.h - the databases of a backup in the place of those in the data folder: checked first, then all of
 * them or none.
 *
 *   restore.tmp                what was taken out of the backup and checked; nothing has been decided
 *   restore                    decided: at every start what is left of it is done first
 *   replaced-20261128-235959   what lay there before, whole
 *
 * Nobody else may use the data folder meanwhile: the daemon holds its lock, and has let go of its
 * databases. */
#ifndef SERVER_STORE_RESTORE_H
#define SERVER_STORE_RESTORE_H

#include "server/store/archive.h"
#include "server/store/database.h"

struct restore;

/* Takes the databases out of the backup at path and checks each: known, whole, of this or an older schema.
 * For any thread. MP_E_NOT_FOUND, MP_E_INVALID_STATE (no whole backup), MP_E_VERSION_MISMATCH,
 * MP_E_CANCELLED, MP_E_STORAGE; nothing was changed then. */
int restore_prepare(const char *data_dir, const char *path, const struct archive_patience *p,
    struct restore **out, struct error *err);
const struct archive *restore_archive(const struct restore *r);
/* Where the checked databases lie, to be looked at (store_open_existing) before anything is decided. Whoever
 * opens one closes it again. */
const char *restore_folder(const struct restore *r);

/* The swap. On success *kept is the path of the folder with what was replaced (caller frees), NULL when
 * there was nothing. MP_E_STORAGE:
 * either nothing has changed, or (restore_decided) the next start does the rest. */
int restore_swap(struct restore *r, char **kept, struct error *err);
bool restore_decided(const struct restore *r);
/* Right after a swap: `kept` goes back to where it was. */
int restore_undo(struct restore *r, const char *kept, struct error *err);
void restore_free(struct restore *r); /* what was not swapped goes; NULL is harmless */

/* At a start, before any database is opened: finishes what was decided (*done), sweeps what was not. */
int restore_complete(const char *data_dir, bool *done, struct error *err);

#endif

/* backup.h - every database in one file (archive.h), taken while they are written.
 *
 *   backup_begin    in the loop's thread
 *   backup_step     in the loop's thread, over and over: what is written meanwhile is in the copy as well
 *   backup_finish   in any thread: the copies are checked, packed, read back, and get their name
 *   backup_free     in the loop's thread, at any time; what is half made goes
 *
 * The copies lie in backup.tmp in the data folder meanwhile. The key file is never part of it, nor are test
 * sessions and their keys. */
#ifndef SERVER_STORE_BACKUP_H
#define SERVER_STORE_BACKUP_H

#include "server/store/archive.h"
#include "server/store/database.h"
#include "server/store/store.h"

#define BACKUP_FOLDER "backup.tmp"

struct backup;

/* stores: of one data folder, in the order of databases[]; they outlive the backup. path is absolute and lies
 * outside of the data folder; a file there is MP_E_CONFLICT unless `replace`. MP_E_INVALID_PARAMS,
 * MP_E_NOT_FOUND, MP_E_STORAGE. */
int backup_begin(struct store *const *stores, size_t count, const char *path, bool replace,
    struct backup **out, struct error *err);
/* Copies up to so many pages. 1: there are more; 0: all of them; or MP_E_... */
int backup_step(struct backup *b, int pages, struct error *err);
/* 0 and what the file holds; MP_E_STORAGE, MP_E_CANCELLED, MP_E_CONFLICT (a file came to be there). */
int backup_finish(struct backup *b, const struct archive_patience *p, struct archive *made,
    struct error *err);
const char *backup_path(const struct backup *b);
void backup_free(struct backup *b); /* NULL is harmless */

/* At a start: what a backup that was killed left in the data folder. */
void backup_sweep(const char *data_dir);

#endif

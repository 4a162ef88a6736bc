/* marks.h - what is remembered of the databases outside of them, in the state folder: how far the state had
 * come, and when the last backup was made.
 *
 * The database counts its changes under a MAC of the vault; the count is noted outside as well, a moment
 * later. A database with a smaller count than was noted, or with a MAC that does not fit, is an older copy
 * that somebody put back, or was edited: that is told once and remembered. So is a copy that was put back
 * beneath the log of a crash: the file by itself has a smaller count than was in it. It is no defence against
 * who puts back both. */
#ifndef SERVER_STATE_MARKS_H
#define SERVER_STATE_MARKS_H

#include "server/base/loop.h"
#include "server/state/changes.h"
#include "server/store/store.h"
#include "server/vault/vault.h"

struct marks;

/* All outlive it. Judges the database at once; an unusable state folder is logged and nothing else. */
struct marks *marks_new(struct store *store, struct vault *vault, struct changes *changes, struct loop *loop,
    const char *state_dir);
void marks_free(struct marks *m); /* writes what waits; NULL is harmless */

/* NULL knows nothing. */
int64_t marks_backup_ms(const struct marks *m);    /* when the last backup was made; 0 = never */
int64_t marks_backwards_ms(const struct marks *m); /* when the state was found to have gone back; 0 = never */

/* A backup was made: what there is now is what its owner wants. */
void marks_backup_made(struct marks *m);
/* The database was replaced on purpose: its count is the right one. */
void marks_restored(struct marks *m);
/* The same while no daemon runs. */
void marks_forget(const char *state_dir);

#endif

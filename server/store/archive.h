/* archive.h - the one file of a backup: an ordinary tar archive (ustar) of whole databases.
 *
 *   modelpd-backup.json   when, by which program, and of each file its length and sum
 *   state.db, usage.db    as they were at one moment
 *
 * So `tar -xf` and `sqlite3` get at everything without us. Reading trusts nothing: names, order, lengths and
 * sums must be exactly as they are written here. Only descriptors, no names: what a path may be is decided
 * above. Nothing here logs, so all of it may run beside the loop. */
#ifndef SERVER_STORE_ARCHIVE_H
#define SERVER_STORE_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/base/err.h"

#define ARCHIVE_FILES 2

struct archive_file {
	char name[32];
	int64_t bytes;
	uint64_t sum;   /* CRC-64/XZ (ECMA-182, reflected) */
	int64_t offset; /* where its bytes begin in the archive */
};

struct archive {
	int64_t created_ms;
	char program[32]; /* version of the modelpd that wrote it */
	struct archive_file files[ARCHIVE_FILES];
	size_t count;
	int64_t bytes; /* all of it */
};

/* Long copying asks between two pieces whether it shall stop (then it is MP_E_CANCELLED). */
struct archive_patience {
	bool (*stop)(const void *arg); /* NULL = never */
	const void *arg;
};

/* Begins an archive in an empty file; then every file is added with its name (files[].name, in the order of
 * adding), and finish writes the first member and syncs. 0, MP_E_STORAGE, MP_E_CANCELLED; path is for the
 * message. */
int archive_begin(int fd, struct archive *a, const char *path, struct error *err);
int archive_add(int fd, struct archive *a, const char *name, int from_fd, const struct archive_patience *p,
    const char *path, struct error *err);
int archive_finish(int fd, struct archive *a, const char *path, struct error *err);

/* Reads what an archive holds and checks that it is one, whole: MP_E_INVALID_STATE when it is none or is
 * damaged, MP_E_VERSION_MISMATCH when a newer modelpd made it. The bytes of the files are checked by
 * archive_extract, which copies one to the end of to_fd. */
int archive_read(int fd, struct archive *out, const char *path, struct error *err);
int archive_extract(int fd, const struct archive_file *f, int to_fd, const struct archive_patience *p,
    const char *path, struct error *err);
/* The same without looking at the sum: any bytes of any file. */
int archive_copy(int fd, const struct archive_file *f, int to_fd, const struct archive_patience *p,
    const char *path, struct error *err);

#endif

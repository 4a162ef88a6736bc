/* wal_end.h - where the acknowledged part of the write-ahead log ends.
 *
 * A commit whose sync failed has left whole frames in the log, and the system takes them for written: whoever
 * reads the log again finds them, and appends to what the disk may never have seen. So they are cut off as
 * soon as the failure is known, before anything else is written. */
#ifndef SERVER_STORE_WAL_END_H
#define SERVER_STORE_WAL_END_H

#include <stdbool.h>
#include <stdint.h>

struct store;

struct wal_end {
	unsigned char salt[8]; /* of the log that the frames belong to; a log that begins anew has another */
	int64_t bytes;         /* 0: none was acknowledged in it */
	bool known;            /* false: a log of before, whose end nobody here has seen */
	bool uncut;            /* there may be more than that */
};

/* Follows the commits of this connection and moves the log into the file when it has grown. */
void wal_end_watch(struct store *s, bool log_is_empty);
/* Cuts off what was not acknowledged, outside of a transaction. 0 or an SQLite code: it is still there. */
int wal_end_cut(struct store *s);
/* What the file at path holds by itself, when there is a log beside it: see store_count_beneath_log. */
int64_t wal_end_count_beneath(const char *path);

#endif

#include "server/store/wal_end.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "protocol/base/buf.h"
#include "server/store/db.h"

/* https://www.sqlite.org/fileformat2.html section 4.1 */
#define HEADER_BYTES 32
#define FRAME_HEADER_BYTES 24
#define SALT_AT 16

/* The log's own file; NULL when there is none. */
static sqlite3_file *
log_file(struct store *s)
{
	sqlite3_file *file = NULL;

	if (s->db == NULL ||
	    sqlite3_file_control(s->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file) != SQLITE_OK)
		return NULL;
	return file != NULL && file->pMethods != NULL ? file : NULL;
}

static bool
read_salt(sqlite3_file *file, unsigned char salt[8])
{
	unsigned char header[HEADER_BYTES];

	if (file->pMethods->xRead(file, header, sizeof header, 0) != SQLITE_OK)
		return false;
	memcpy(salt, header + SALT_AT, 8);
	return true;
}

static int64_t
page_bytes(struct store *s)
{
	int64_t n = 0;

	return db_pragma_int(s, "PRAGMA page_size", &n) == SQLITE_OK ? n : 0;
}

/* After a commit that is on the disk: so many pages are in the log. */
static int
on_commit(void *arg, sqlite3 *db, const char *name, int pages)
{
	struct store *s = arg;
	sqlite3_file *file = log_file(s);

	if (file == NULL || !read_salt(file, s->wal_end.salt))
		return SQLITE_OK;
	s->wal_end.known = true;
	s->wal_end.bytes = HEADER_BYTES + pages * (FRAME_HEADER_BYTES + s->page_bytes);
	/* the commit stands whatever becomes of this; but a failed sync must not go unseen, as it does in
	 * SQLite's own hook */
	if (pages >= s->is.log_pages && !s->held)
		db_result(s, sqlite3_wal_checkpoint_v2(db, name, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL));
	return SQLITE_OK;
}

void
wal_end_watch(struct store *s, bool log_is_empty)
{
	s->wal_end = (struct wal_end){ .known = log_is_empty };
	s->page_bytes = page_bytes(s);
	sqlite3_wal_hook(s->db, on_commit, s);
}

int
wal_end_cut(struct store *s)
{
	sqlite3_file *file = log_file(s);
	unsigned char salt[8];
	sqlite3_int64 is = 0, should_be;
	int rc = SQLITE_OK;

	s->wal_end.uncut = false;
	if (!s->wal_end.known || file == NULL || file->pMethods->xFileSize(file, &is) != SQLITE_OK || is == 0)
		return SQLITE_OK;
	/* a log that was begun anew holds nothing acknowledged: all before it is in the database */
	should_be = read_salt(file, salt) && memcmp(salt, s->wal_end.salt, sizeof salt) == 0
	    ? s->wal_end.bytes : 0;
	if (is > should_be)
		rc = file->pMethods->xTruncate(file, should_be);
	s->wal_end.uncut = rc != SQLITE_OK;
	return rc;
}

/* ---- beneath the log ---- */

static bool
has_log(const char *path)
{
	struct buf log = BUF_INIT;
	struct stat st;
	bool has;

	buf_addf(&log, "%s-wal", path);
	has = !log.failed && stat(buf_str(&log), &st) == 0 && st.st_size > 0;
	buf_clear(&log);
	return has;
}

int64_t
wal_end_count_beneath(const char *path)
{
	int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE |
	    SQLITE_OPEN_PRIVATECACHE;
	sqlite3_stmt *stmt = NULL;
	sqlite3 *db = NULL;
	int64_t count = -1;
	char *uri;

	if (!has_log(path))
		return -1;
	uri = db_file_alone_uri(path);
	/* a file that a power cut left half written tells nothing: its log mends it */
	if (sqlite3_open_v2(uri, &db, flags, NULL) == SQLITE_OK &&
	    sqlite3_prepare_v2(db, "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'generation'", -1,
	    &stmt, NULL) == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW)
		count = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	free(uri);
	return count > 0 ? count : -1;
}

int64_t
store_count_beneath_log(const struct store *s)
{
	return s->beneath_log;
}

bool
store_log_is_empty(struct store *s)
{
	sqlite3_file *file = log_file(s);
	sqlite3_int64 n = 0;

	return file != NULL && file->pMethods->xFileSize(file, &n) == SQLITE_OK && n == 0;
}

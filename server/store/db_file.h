/* db_file.h - the file of the database: making it, and refusing one that is not as it must be
 * (THREATS.md section 10). Never changes a file that is refused. */
#ifndef SERVER_STORE_DB_FILE_H
#define SERVER_STORE_DB_FILE_H

#include "server/store/database.h"
#include "server/store/db.h"

/* The folder that holds the database. */
struct db_dir {
	int fd;
	char *path; /* without a symbolic link in it */
};

/* Opens a data folder that exists, is ours alone and can be written. 0 or MP_E_... */
int db_dir_open(struct db_dir *d, const char *path, struct error *err);
void db_dir_clear(struct db_dir *d);
char *db_dir_file(const struct db_dir *d, const char *name); /* its path; caller frees */

/* Makes an empty database of this kind, whole or not at all, if there is none. */
int db_file_create(const struct db_dir *d, const struct database *is, struct error *err);
/* Kind, owner, mode and size of the file. */
int db_file_check(const struct db_dir *d, const struct database *is, struct error *err);
/* Whose file it is, by its first bytes, before SQLite has read or locked anything. */
int db_file_check_header(struct store *s, struct error *err);
/* Keeps a copy of the database as it is: <file>.v<version>.bak */
int db_file_backup(const struct db_dir *d, struct store *s, int version, struct error *err);

/* Fills err for an SQLite code met while opening. */
int db_file_damaged(const char *path, const char *why, struct error *err);
int db_file_error(const char *path, int rc, struct error *err);
int db_file_newer(const char *path, int64_t version, const struct schema *schema, struct error *err);
int db_file_foreign(const char *path, struct error *err);

#endif

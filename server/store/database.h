/* database.h - the databases there are, one row each: what opens, checks, copies and restores them goes by
 * this list. */
#ifndef SERVER_STORE_DATABASE_H
#define SERVER_STORE_DATABASE_H

#include <stdint.h>

#include "server/store/migrations.h"

struct database {
	const char *file;       /* its name in the data folder */
	int32_t application_id; /* tells ours from other programs' files */
	const struct schema *schema;
	const char *not_in_backups; /* SQL: what lives here and now only leaves a copy; NULL = nothing */
	int log_pages; /* the write-ahead log moves into the file when it has grown to so many */
	const char *pragmas; /* that it runs with beside those of all; they write nothing. NULL = none */
	const char *when_made; /* pragmas that the file remembers; NULL = none */
};

extern const struct database database_state;
extern const struct database database_usage;

#define DATABASES 2
extern const struct database *const databases[DATABASES];
/* The row of that file name; NULL = none of ours. */
const struct database *database_find(const char *file);

#endif

/* migrations.h - the schemas of state.db and of usage.db, an append-only list each. A row that was released
 * is never edited; the database's user_version says how many it has seen. */
#ifndef SERVER_STORE_MIGRATIONS_H
#define SERVER_STORE_MIGRATIONS_H

#include <stdbool.h>

struct store;

struct migration {
	const char *what; /* for the log */
	const char *sql;
};

struct schema {
	const struct migration *list;
	int count;
};
extern const struct schema schema_current;
extern const struct schema schema_usage;

/* Runs what the database has not seen, each in one transaction. Returns an SQLite code. */
int migrations_run(struct store *s, const struct schema *schema, int from);
/* Whether the tables are exactly those that `version` migrations make: quick_check does not see a damaged
 * or edited CREATE statement. (So a migration does not use ALTER TABLE ... RENAME, whose text may differ
 * from one SQLite to the next.) Returns an SQLite code. */
int migrations_check(struct store *s, const struct schema *schema, int version, bool *same);

#endif

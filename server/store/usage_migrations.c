/* usage_migrations.c - the schema of usage.db. */
#include <stddef.h>

#include "server/store/migrations.h"

/* What was used in one span of time, by everything it may be asked for. */
#define SUMS_TABLE(name)                                                                            \
	"CREATE TABLE " name " ("                                                                   \
	" start_ms INTEGER NOT NULL,"                                                               \
	" provider TEXT NOT NULL,"                                                                  \
	" model TEXT NOT NULL,"                                                                     \
	" client TEXT NOT NULL,"                                                                    \
	" scope TEXT NOT NULL,"                                                                     \
	" chain TEXT NOT NULL,"                                                                     \
	" requests INTEGER NOT NULL,"                                                               \
	" failed INTEGER NOT NULL,"                                                                 \
	" cancelled INTEGER NOT NULL,"                                                              \
	" input_tokens INTEGER NOT NULL,"                                                           \
	" output_tokens INTEGER NOT NULL,"                                                          \
	" cache_read_tokens INTEGER NOT NULL,"                                                      \
	" cache_write_tokens INTEGER NOT NULL,"                                                     \
	" reasoning_tokens INTEGER NOT NULL,"                                                       \
	" cost_microusd INTEGER NOT NULL,"                                                          \
	" plan_microusd INTEGER NOT NULL,"                                                          \
	" unpriced INTEGER NOT NULL,"                                                               \
	" estimated INTEGER NOT NULL,"                                                              \
	" unknown INTEGER NOT NULL,"                                                                \
	" duration_ms INTEGER NOT NULL,"                                                            \
	" PRIMARY KEY (start_ms, provider, model, client, scope, chain)"                            \
	") STRICT, WITHOUT ROWID;"

static const struct migration migrations[] = {
	{ "the first schema of usage",
	    "CREATE TABLE meta ("
	    " key TEXT PRIMARY KEY NOT NULL,"
	    " value TEXT NOT NULL"
	    ") STRICT, WITHOUT ROWID;"

	    /* id: the end of the attempt, microseconds since the epoch. Tokens, cost and time: NULL = not
	     * known. */
	    "CREATE TABLE attempts ("
	    " id INTEGER PRIMARY KEY,"
	    " call INTEGER NOT NULL,"
	    " attempt INTEGER NOT NULL,"
	    " provider TEXT NOT NULL,"
	    " model TEXT NOT NULL,"
	    " answered TEXT NOT NULL,"
	    " label TEXT NOT NULL,"
	    " client TEXT NOT NULL,"
	    " scope TEXT NOT NULL,"
	    " chain TEXT NOT NULL,"
	    " session INTEGER NOT NULL,"
	    " outcome TEXT NOT NULL,"
	    " counts TEXT NOT NULL," /* usage_counts_name */
	    " input_tokens INTEGER,"
	    " output_tokens INTEGER,"
	    " cache_read_tokens INTEGER,"
	    " cache_write_tokens INTEGER,"
	    " reasoning_tokens INTEGER,"
	    " cost_kind TEXT NOT NULL,"
	    " cost_microusd INTEGER,"
	    " duration_ms INTEGER NOT NULL,"
	    " first_token_ms INTEGER"
	    ") STRICT;"
	    "CREATE INDEX attempts_session ON attempts (session) WHERE session > 0;"
	    SUMS_TABLE("usage_hours")
	    SUMS_TABLE("usage_days") },
	/* request_key: NULL = a call of ours; else a client told it, once under this key. */
	{ "what clients report",
	    "ALTER TABLE attempts ADD COLUMN request_key TEXT;"
	    "ALTER TABLE attempts ADD COLUMN request_hash INTEGER;"
	    "CREATE UNIQUE INDEX attempts_request ON attempts (request_key) WHERE request_key IS NOT NULL;" },
};

const struct schema schema_usage = { migrations, sizeof migrations / sizeof *migrations };

#include "server/store/database.h"

#include <stddef.h>
#include <string.h>

const struct database database_state = { "state.db", 0x6d706431 /* "mpd1" */, &schema_current,
	/* test sessions end by themselves, and their keys with them: not to come back years later */
	"DELETE FROM credentials WHERE session_id <> 0; DELETE FROM sessions;",
	100, /* a small log: on a full disk its room is what there is to win */
	NULL, NULL };

/* Nothing in it is secret, and the last second may be lost with the power. */
const struct database database_usage = { "usage.db", 0x6d706475 /* "mpdu" */, &schema_usage, NULL,
	1000,
	"PRAGMA synchronous = NORMAL; "
	"PRAGMA secure_delete = OFF; "
	"PRAGMA journal_size_limit = 8388608",
	"PRAGMA auto_vacuum = INCREMENTAL" };

const struct database *const databases[DATABASES] = { &database_state, &database_usage };

const struct database *
database_find(const char *file)
{
	for (size_t i = 0; i < DATABASES; i++)
		if (strcmp(databases[i]->file, file) == 0)
			return databases[i];
	return NULL;
}

/* open.h - opening any of the databases, or one with a schema of the caller's: how a test plays a newer or
 * an older program. As store_open. */
#ifndef SERVER_STORE_OPEN_H
#define SERVER_STORE_OPEN_H

#include "protocol/base/err.h"
#include "server/store/database.h"
#include "server/store/store.h"

int store_open_database(const char *data_dir, const struct database *is, struct store **out,
    struct error *err);
/* As before, but there must be one; not all of its pages are looked at. */
int store_open_existing(const char *data_dir, const struct database *is, struct store **out,
    struct error *err);
/* Whether the file in that folder is a whole database of that kind, of this or an earlier schema. It is one
 * file afterwards; a copy for a backup loses what lives here and now only. For any thread: nothing is
 * logged. */
int store_check_copy(const char *folder, const struct database *is, bool for_backup,
    struct error *err);
int store_open_schema(const char *data_dir, const struct schema *schema, struct store **out,
    struct error *err);

#endif

/* open.h - opening any of the databases, or one with a schema of the caller's: how a test plays a newer or
 * an older program. As store_open. */
#ifndef SERVER_STORE_OPEN_H
#define SERVER_STORE_OPEN_H

#include "protocol/base/err.h"
#include "server/store/database.h"
#include "server/store/store.h"

int store_open_database(const char *data_dir, const struct database *is, struct store **out,
    struct error *err);
int store_open_schema(const char *data_dir, const struct schema *schema, struct store **out,
    struct error *err);

#endif

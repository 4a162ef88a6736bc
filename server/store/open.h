/* open.h - opening with a schema of the caller's: how a test plays a newer or an older program. */
#ifndef SERVER_STORE_OPEN_H
#define SERVER_STORE_OPEN_H

#include "server/store/migrations.h"

int store_open_schema(const char *data_dir, const struct schema *schema, struct store **out,
    struct error *err);

#endif

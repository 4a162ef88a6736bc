/* provider_fields.h - the members of a Provider that a client may set, one row each. */
#ifndef SERVER_RPC_METHODS_PROVIDER_FIELDS_H
#define SERVER_RPC_METHODS_PROVIDER_FIELDS_H

#include <stdbool.h>

#include "protocol/base/buf.h"
#include "protocol/base/err.h"
#include "protocol/value.h"
#include "server/model/provider.h"

/* Sets the members that `map` has on p; unknown names, wrong types and bad words are
 * MP_E_INVALID_PARAMS naming the field (with `prefix` before it: "set."). Names listed in `skip`
 * (space separated) are passed over. The names that were set are appended to `fields`, space
 * separated. */
int provider_fields_set(struct provider *p, const struct value *map, const char *prefix,
    const char *skip, struct buf *fields, struct error *err);

#endif

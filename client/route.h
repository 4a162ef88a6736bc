/* route.h - how a Route and its layers are told to people. */
#ifndef CLIENT_ROUTE_H
#define CLIENT_ROUTE_H

#include <stdint.h>

#include "protocol/value.h"

struct app;

/* "openrouter:gpt-4 (gpt)"; of a chain "@coding, now openrouter:gpt-4" */
const char *route_name(struct app *a, const struct value *route);
/* "everywhere, 3h ago", "in this terminal, 27 min left -> sonnet". `why` holds the layers (may be
 * NULL). */
const char *route_why(
    struct app *a, const struct value *route, const struct value *why, int64_t now_ms);
/* "sonnet -> or-sonnet -> local": the targets of a chain by their short names, those that are passed over in
 * brackets. */
const char *route_chain(struct app *a, const struct value *targets);
/* The next layer that holds a choice below the winner; NULL = none. */
const struct value *route_next(const struct value *why);
/* What a layer is: "this request", "persistent, everywhere". */
const char *route_layer_name(struct app *a, const struct value *layer);
/* Why the target could not serve now, with what to do: an error map. */
const char *route_problem(struct app *a, const struct value *problem);

#endif

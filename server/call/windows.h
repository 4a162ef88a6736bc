/* windows.h - plan windows counted from the ledger: how much of what a plan allows was used, where its
 * definition says how many requests that are (rate_limits {weekly, rolling, window_hours}).
 *
 * Readings are marked as estimates: they stand in nobody's way, and what the provider tells of the same
 * window counts instead. They are renewed after each request, when the definition changes, and as time
 * goes by. */
#ifndef SERVER_CALL_WINDOWS_H
#define SERVER_CALL_WINDOWS_H

#include "server/base/loop.h"
#include "server/state/changes.h"
#include "server/state/providers.h"
#include "server/usage/ledger.h"

struct windows;

/* All borrowed, and needed until windows_free. */
struct windows *windows_new(struct loop *loop, struct ledger *ledger, struct providers *providers,
    struct changes *changes);
void windows_free(struct windows *w); /* NULL is harmless */

#endif

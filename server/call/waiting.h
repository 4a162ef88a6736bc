/* waiting.h - programs that wait for the next turn of their conversation, and whose they are: of one provider
 * as it was set up when they were started. When the user changes it, turns it off or removes it they are
 * ended. */
#ifndef SERVER_CALL_WAITING_H
#define SERVER_CALL_WAITING_H

#include "server/state/changes.h"
#include "server/state/providers.h"
#include "server/upstream/carrier.h"

struct waiting;

/* All borrowed, and needed until waiting_free. */
struct waiting *waiting_new(struct upstream *up, struct providers *ps, struct changes *changes);
void waiting_free(struct waiting *w); /* NULL is harmless */

/* Whether a program that was started for p may wait: the user's provider is still that one, and on. */
bool waiting_allowed(const struct providers *ps, const struct provider *p);

/* The word by which the carrier knows whose a program is. */
void waiting_owner(const struct provider *p, char *out, size_t size);

#endif

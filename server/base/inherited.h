/* inherited.h - values that may be keys and stood in the environment when the daemon started: taken out of
 * it into locked memory, until it is known which of them somebody wants (THREATS.md section 4). */
#ifndef SERVER_BASE_INHERITED_H
#define SERVER_BASE_INHERITED_H

#include <stdbool.h>

#include "protocol/base/secret.h"

/* Copies the value and wipes its bytes where they stand. A value that cannot be a key is only wiped. */
void inherited_take(const char *name, size_t name_len, char *value);
/* As inherited_take for one that is still in the environment; it is gone from there afterwards. */
void inherited_take_from_environment(const char *name);
/* NULL = there is none. Borrowed. */
const struct secret *inherited_find(const char *name);
/* Wipes those that are not wanted; wanted NULL = all. */
void inherited_drop(bool (*wanted)(void *arg, const char *name), void *arg);

#endif

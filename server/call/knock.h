/* knock.h - does anybody listen at a port of this machine? A plain connect: no byte is sent, and no HTTP
 * library is loaded for a door that stays shut. */
#ifndef SERVER_CALL_KNOCK_H
#define SERVER_CALL_KNOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/loop.h"

struct knock;

/* url names a loopback host ("localhost" is tried as 127.0.0.1 and ::1). on_done comes once, from the loop,
 * unless freed before. NULL when url is no such thing. */
struct knock *knock_start(struct loop *loop, const char *url, int64_t timeout_ms,
    void (*on_done)(void *arg, bool open), void *arg);
/* Also from its own callback's deferred calls; NULL is harmless. Not from inside on_done. */
void knock_free(struct knock *k);

/* Where OLLAMA_HOST points: "scheme://host:port" into out; a bind address ("0.0.0.0") means this machine.
 * False when it cannot be read or is another machine. */
bool ollama_host_origin(const char *text, char *out, size_t size);

#endif

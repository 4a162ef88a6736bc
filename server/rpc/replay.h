/* replay.h - request_key: the same key with the same parameters gets the first result again.
 *
 * A client that lost the connection before the reply may send the request once more without doing
 * the work twice (PROTOCOL.md section 6). Entries live ten minutes, in memory, within a fixed
 * budget. */
#ifndef SERVER_RPC_REPLAY_H
#define SERVER_RPC_REPLAY_H

#include <stddef.h>
#include <stdint.h>

#include "protocol/base/err.h"
#include "protocol/base/str.h"
#include "protocol/params.h"
#include "protocol/value.h"

#define REPLAY_LIFETIME_MS (INT64_C(10) * 60 * 1000)
#define REPLAY_ENTRIES 256
#define REPLAY_BYTES ((size_t)4 << 20)

struct replays;

struct replays *replays_new(void);
void replays_free(struct replays *r);

/* A request with a key arrives. 0: new, *id names its entry. 1: it was done before, *result is the
 * packed result (borrowed until the next call). MP_E_CONFLICT: other parameters under that key.
 * MP_E_BUSY: the first one still runs. */
int replays_begin(struct replays *r, int64_t now_ms, const struct method *m, struct slice key,
    const struct value *params, uint64_t *id, struct slice *result, struct error *err);
/* It succeeded: keeps the result. */
void replays_done(struct replays *r, uint64_t id, const void *result, size_t n);
/* It failed or was cancelled: the key may be used again. */
void replays_forget(struct replays *r, uint64_t id);

/* The same for equal maps, whatever the order of their keys. */
uint64_t value_hash(const struct value *v);

#endif

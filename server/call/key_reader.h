/* key_reader.h - reads keys from their sources when a call needs them: runs commands (THREATS.md section 8),
 * opens files, looks into what the environment held.
 *
 * Nothing waits for it but the calls that need the key, and all of those share one reading. What was read is
 * kept by credentials for some minutes, until it is refused, or until the vault is locked.
 *
 *   key_reader - owns -> reading - owns -> waits (one per transfer that needs the key) */
#ifndef SERVER_CALL_KEY_READER_H
#define SERVER_CALL_KEY_READER_H

#include "server/base/loop.h"
#include "server/state/credentials.h"
#include "server/upstream/carrier.h"

struct key_reader;

/* Brings u its keys from now on. keep_ms: for how long what was read is kept; 0 = ten minutes. */
struct key_reader *key_reader_new(struct loop *loop, struct upstream *u, struct providers *ps,
    struct credentials *cs, int64_t keep_ms);
/* After upstream_free: no transfer waits any more, and no command runs. NULL is harmless. */
void key_reader_free(struct key_reader *k);

/* For key.set: checks a source and completes a command's program to its full path, which is what will be
 * run. 0 and a text for credentials_set_source (the caller frees it), or an error of the field "source". */
int key_reader_prepare(enum key_source_kind kind, const char *text, char **out, struct error *err);

#endif

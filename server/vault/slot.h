/* slot.h - a key slot: the master key, wrapped by a key that some source gives (THREATS.md section 3.1).
 *
 * `wrapped` is check | sealed. The check tells a wrong source ("this is another vault's key file") from a
 * slot that was edited; it reveals nothing about the key. */
#ifndef SERVER_VAULT_SLOT_H
#define SERVER_VAULT_SLOT_H

#include "protocol/base/buf.h"
#include "protocol/base/secret.h"
#include "server/store/rows.h"

/* The kinds of slots; a vault has one of each at most. */
#define SLOT_KEY_FILE "key-file"
#define SLOT_PASSPHRASE "passphrase"
#define SLOT_CREDENTIAL "systemd-credential"
#define SLOT_KEYRING "keyring"
#define SLOT_COMMAND "command" /* its source: the command that prints its secret */
#define SLOT_SALT_BYTES 16
#define SLOT_SOURCE_MAX_BYTES 1024

/* Appends the wrapped key for a slot whose other members are final. 0 or MP_E_INTERNAL. */
int slot_wrap(const struct key_slot_row *slot, const struct secret *kek, const struct secret *master,
    struct buf *wrapped);
/* 0 and the master key; MP_E_NO_CREDENTIAL when kek is not this slot's; MP_E_TAMPERED when it is and
 * the slot was changed; MP_E_INTERNAL. */
int slot_unwrap(const struct key_slot_row *slot, const struct secret *kek, struct secret **master);

#endif

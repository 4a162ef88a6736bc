/* keyring.h - the key of a slot in the kernel's memory (the session keyring): it survives a restart of the
 * daemon and is gone with the login, with its time, and with a lock. Linux alone. */
#ifndef SERVER_VAULT_KEYRING_H
#define SERVER_VAULT_KEYRING_H

#include <stdint.h>

#include "protocol/base/err.h"
#include "protocol/base/secret.h"

/* For the vault in that folder, in place of what is there; opened_ms (clock_boot_ms: when a person opened it)
 * goes along. ttl_ms 0 = until the keyring ends. MP_E_INVALID_STATE when there is no keyring. */
int keyring_put(const char *data_dir, const struct secret *kek, int64_t opened_ms, int64_t ttl_ms,
    struct error *err);
/* MP_E_NOT_FOUND when it is not there (any more). */
int keyring_get(const char *data_dir, struct secret **kek, int64_t *opened_ms, struct error *err);
void keyring_forget(const char *data_dir);

#endif

/* source.h - keys of slots that another keeper of secrets gives: a systemd credential, a helper command.
 *
 * What they give is random, not thought up by a person, so it is hashed with the slot's salt and not
 * stretched; what is too short to be random is refused. */
#ifndef SERVER_VAULT_SOURCE_H
#define SERVER_VAULT_SOURCE_H

#include <stddef.h>

#include "protocol/base/err.h"
#include "protocol/base/secret.h"
#include "server/vault/derive.h"

#define SOURCE_MIN_BYTES 32
#define SOURCE_MAX_BYTES 4096

/* A key of 32 bytes out of n bytes of such a keeper (a newline at the end does not count); `who` names it in
 * errors. MP_E_NOT_PERMITTED when it is too short or too long, MP_E_INTERNAL. */
int source_key(const unsigned char salt[DERIVE_SALT_BYTES], const char *bytes, size_t n, const char *who,
    struct secret **kek, struct error *err);

/* Reads $CREDENTIALS_DIRECTORY/modelpd-master. MP_E_NOT_FOUND when there is none, MP_E_NOT_PERMITTED when it
 * cannot be trusted. */
int source_credential(const unsigned char salt[DERIVE_SALT_BYTES], struct secret **kek, struct error *err);

#endif

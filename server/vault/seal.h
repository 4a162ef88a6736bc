/* seal.h - the one way anything is encrypted here: XChaCha20-Poly1305, stored as
 * version | nonce | ciphertext, over a list of parts that it also covers (THREATS.md section 3.2). */
#ifndef SERVER_VAULT_SEAL_H
#define SERVER_VAULT_SEAL_H

#include <stddef.h>
#include <stdint.h>

#include "protocol/base/buf.h"
#include "protocol/base/secret.h"

#define SEAL_VERSION 1 /* the first byte of a sealed value, and the first part it covers */
#define SEAL_KEY_BYTES 32
#define SEAL_EXTRA_BYTES (1 + 24 + 16) /* version, nonce, tag */

/* What is covered: each part with its length before it, so that no two lists give the same bytes. Starts
 * with SEAL_VERSION. Free with buf_clear. */
void aad_init(struct buf *aad);
void aad_bytes(struct buf *aad, const void *data, size_t n);
void aad_text(struct buf *aad, const char *text); /* NULL counts as "" */
void aad_int(struct buf *aad, int64_t v);

/* Appends the sealed bytes to out. 0 or MP_E_INTERNAL. */
int seal_make(const struct secret *key, const struct buf *aad, const struct secret *plain,
    struct buf *out);
/* 0 and a new secret; MP_E_TAMPERED when anything differs; MP_E_INTERNAL without memory. */
int seal_open(const struct secret *key, const struct buf *aad, const void *sealed, size_t n,
    struct secret **out);

#endif

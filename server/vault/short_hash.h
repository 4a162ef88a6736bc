/* short_hash.h - a keyed hash of 64 bits, for tables and for shares: who does not know the key cannot choose
 * what falls together. Not for what must be kept apart by a hash alone. */
#ifndef SERVER_VAULT_SHORT_HASH_H
#define SERVER_VAULT_SHORT_HASH_H

#include <stddef.h>
#include <stdint.h>

#define SHORT_HASH_KEY_BYTES 16

/* The same for the same bytes and key, in every process. data may be NULL when n is 0. */
uint64_t short_hash(const unsigned char key[SHORT_HASH_KEY_BYTES], const void *data, size_t n);

#endif

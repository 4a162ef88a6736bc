#include "server/vault/short_hash.h"

#include <sodium.h>

_Static_assert(crypto_shorthash_KEYBYTES == SHORT_HASH_KEY_BYTES, "SipHash");
_Static_assert(crypto_shorthash_BYTES == sizeof(uint64_t), "SipHash");

uint64_t
short_hash(const unsigned char key[SHORT_HASH_KEY_BYTES], const void *data, size_t n)
{
	unsigned char bytes[crypto_shorthash_BYTES];
	uint64_t value = 0;

	crypto_shorthash(bytes, n > 0 ? data : (const unsigned char *)"", n, key);
	for (size_t i = sizeof bytes; i-- > 0;)
		value = value << 8 | bytes[i];
	return value;
}

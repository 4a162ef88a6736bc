#include "server/vault/token.h"

#include <string.h>

#include <sodium.h>

#define RANDOM_TEXT sodium_base64_ENCODED_LEN(TOKEN_RANDOM_BYTES, sodium_base64_VARIANT_URLSAFE_NO_PADDING)

struct secret *
token_new(const char *prefix)
{
	unsigned char bytes[TOKEN_RANDOM_BYTES];
	size_t n = strlen(prefix);
	/* the length that is asked for counts the NUL, as a secret has one more byte than it says */
	struct secret *token = secret_new(NULL, n + RANDOM_TEXT - 1);

	if (token == NULL)
		return NULL;
	randombytes_buf(bytes, sizeof bytes);
	memcpy(secret_mutable(token), prefix, n);
	sodium_bin2base64(secret_mutable(token) + n, RANDOM_TEXT, bytes, sizeof bytes,
	    sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	sodium_memzero(bytes, sizeof bytes);
	return token;
}

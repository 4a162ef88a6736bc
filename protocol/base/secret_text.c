/* secret_text.c - what of secret.h needs no libsodium, so that a program which only checks and
 * wipes does not load it. */
#include <string.h>

#include "protocol/base/portable.h"
#include "protocol/base/secret.h"

bool
secret_text_valid(const char *s, size_t n)
{
	size_t i;

	if (n == 0 || n > SECRET_MAX_BYTES / 2)
		return false;
	for (i = 0; i < n; i++) {
		if (s[i] < 0x21 || s[i] > 0x7e)
			return false;
	}
	return true;
}

void
secret_wipe(void *p, size_t n)
{
	if (n > 0)
		explicit_bzero(p, n);
}

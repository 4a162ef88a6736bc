#include "server/model/uuid.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

#if defined(__linux__)
#include <sys/random.h>
#else
#include <unistd.h>
#endif

void
random_bytes(void *out, size_t n)
{
	unsigned char *p = out;

#if defined(__linux__)
	while (n > 0) {
		ssize_t got = getrandom(p, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			fputs("modelpd: the system gives no random numbers\n", stderr);
			abort();
		}
		p += got;
		n -= (size_t)got;
	}
#else
	arc4random_buf(p, n);
#endif
}

void
uuid_new(char out[UUID_SIZE])
{
	uint8_t b[16];

	random_bytes(b, sizeof b);
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	snprintf(out, UUID_SIZE,
	    "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
	    b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
	    b[15]);
}

/* secret.c - secrets in memory that is locked, guarded and wiped. The only user
 * of libsodium in this folder. */
#include "protocol/base/secret.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/err.h"

struct secret {
	char *bytes; /* from sodium_malloc: len + 1 bytes */
	size_t len;
};

int
secret_init(void)
{
	return sodium_init() >= 0 ? 0 : MP_E_INTERNAL;
}

/* sodium_malloc succeeds silently when its mlock fails, so locking is tried on a page of its own.
 * sodium_munlock also wipes. */
bool
secret_memory_is_locked(void)
{
	void *page;
	bool locked;

	if (posix_memalign(&page, 4096, 4096) != 0)
		return false;
	locked = sodium_mlock(page, 4096) == 0;
	if (locked)
		sodium_munlock(page, 4096);
	free(page);
	return locked;
}

struct secret *
secret_new(const void *data, size_t n)
{
	struct secret *s;

	if (n > SECRET_MAX_BYTES || (s = malloc(sizeof *s)) == NULL)
		return NULL;
	if ((s->bytes = sodium_malloc(n + 1)) == NULL) {
		free(s);
		return NULL;
	}
	s->len = n;
	memset(s->bytes, 0, n + 1);
	if (data != NULL && n > 0)
		memcpy(s->bytes, data, n);
	return s;
}

struct secret *
secret_take(void *data, size_t n)
{
	struct secret *s = secret_new(data, n);

	if (data != NULL)
		secret_wipe(data, n);
	return s;
}

void
secret_free(struct secret *s)
{
	if (s == NULL)
		return;
	sodium_free(s->bytes);
	free(s);
}

const char *
secret_bytes(const struct secret *s)
{
	return s->bytes;
}

char *
secret_mutable(struct secret *s)
{
	return s->bytes;
}

size_t
secret_len(const struct secret *s)
{
	return s->len;
}

void
secret_hide(const struct secret *s)
{
	sodium_mprotect_noaccess(s->bytes);
}

void
secret_show(const struct secret *s)
{
	sodium_mprotect_readonly(s->bytes);
}

bool
secret_equals(const struct secret *a, const struct secret *b)
{
	return a->len == b->len && sodium_memcmp(a->bytes, b->bytes, a->len) == 0;
}

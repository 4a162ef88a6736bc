/* wiping.c - memory that is given back is wiped first, whoever gives it back (THREATS.md section 4).
 *
 * A key passes through buffers of libcurl, OpenSSL and the C library. Hooks would reach each of them alone
 * and never the memory they pass to one another, so the program's own free and realloc stand before those
 * of the C library for everybody in the process. Not linked where sanitizers bring their own. */
#include <malloc.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* glibc's own, under names of which it says nothing and which every version has. */
extern void *__libc_malloc(size_t size);
extern void __libc_free(void *p);

void
free(void *p)
{
	if (p == NULL)
		return;
	explicit_bzero(p, malloc_usable_size(p));
	__libc_free(p);
}

/* Never moved by the C library, which would leave the old place as it was. */
void *
realloc(void *p, size_t size)
{
	size_t old;
	void *fresh;

	if (p == NULL)
		return __libc_malloc(size);
	if (size == 0) {
		free(p);
		return NULL;
	}
	old = malloc_usable_size(p);
	if (size <= old && size >= old / 2)
		return p;
	if ((fresh = __libc_malloc(size)) == NULL)
		return NULL;
	memcpy(fresh, p, old < size ? old : size);
	free(p);
	return fresh;
}

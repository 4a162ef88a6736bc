/* portable.h - what glibc has and macOS does not, under the same names. Empty on Linux.
 */
#ifndef PROTOCOL_BASE_PORTABLE_H
#define PROTOCOL_BASE_PORTABLE_H

#ifdef __APPLE__

#include <fcntl.h>
#include <stddef.h>
#include <unistd.h>

extern char **environ;

static inline int
pipe2(int fds[2], int flags)
{
	if (pipe(fds) != 0)
		return -1;
	for (int i = 0; i < 2; i++) {
		if (flags & O_CLOEXEC)
			fcntl(fds[i], F_SETFD, FD_CLOEXEC);
		if (flags & O_NONBLOCK)
			fcntl(fds[i], F_SETFL, O_NONBLOCK);
	}
	return 0;
}

static inline void
closefrom(int from)
{
	for (int fd = from, most = getdtablesize(); fd < most; fd++)
		close(fd);
}

static inline void
explicit_bzero(void *p, size_t n)
{
	for (volatile unsigned char *at = p; n > 0; n--)
		*at++ = 0;
}

#endif
#endif

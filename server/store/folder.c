#include "server/store/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

bool
folder_has(int dir, const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int
empty(int fd)
{
	DIR *d = fdopendir(fd);
	struct dirent *e;
	int r = 0;

	if (d == NULL) {
		close(fd);
		return -1;
	}
	while (r == 0 && (e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
		    unlinkat(dirfd(d), e->d_name, 0) != 0)
			r = errno == EISDIR || errno == EPERM ? folder_remove(dirfd(d), e->d_name) : -1;
	closedir(d);
	return r;
}

int
folder_remove(int dir, const char *name) /* NOLINT(misc-no-recursion): as deep as we made it */
{
	int fd = openat(dir, name, FOLDER_FLAGS);

	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	if (empty(fd) != 0)
		return -1;
	return unlinkat(dir, name, AT_REMOVEDIR);
}

int
folder_make(int dir, const char *name)
{
	if (folder_remove(dir, name) != 0 || mkdirat(dir, name, 0700) != 0)
		return -1;
	return openat(dir, name, FOLDER_FLAGS);
}

int
folder_sync(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC), r;

	if (fd < 0)
		return -1;
	r = fsync(fd);
	close(fd);
	return r;
}

int
folder_new_file(int dir, const char *name)
{
	return openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
}

#include "client/scope.h"

#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "protocol/base/str.h"

const char *
scope_environment(void)
{
	const char *s = getenv("MODELPD_SCOPE");

	return s != NULL && *s != '\0' && strlen(s) <= SCOPE_MAX_BYTES ? s : NULL;
}

/* The controlling terminal as the kernel knows it: all of stdin, stdout and stderr may be
 * redirected. */
static int
controlling_terminal(long *session, long *device)
{
	char text[512];
	char *after;
	ssize_t n;
	int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return -1;
	text[n] = '\0';
	/* the program's name may hold anything: count from its closing bracket */
	if ((after = strrchr(text, ')')) == NULL ||
	    sscanf(after + 1, " %*c %*d %*d %ld %ld", session, device) != 2)
		return -1;
	return *device != 0 ? 0 : -1;
}

char *
scope_terminal(void)
{
	long session, device;
	unsigned major_no, minor_no;
	char text[64];

	if (controlling_terminal(&session, &device) != 0)
		return NULL;
	major_no = major((dev_t)device);
	minor_no = minor((dev_t)device);
	if (major_no >= 136 && major_no <= 143)
		snprintf(text, sizeof(text), "tty:pts/%u@%ld", (major_no - 136) * 256 + minor_no,
		    session);
	else if (major_no == 4)
		snprintf(text, sizeof(text), "tty:tty%u@%ld", minor_no, session);
	else
		snprintf(text, sizeof(text), "tty:%u:%u@%ld", major_no, minor_no, session);
	return xstrdup(text);
}

/* A path too long for a scope keeps its end and a number that stands for the whole. */
static char *
project_name(const char *root)
{
	char text[SCOPE_MAX_BYTES + 1];
	size_t n = strlen(root), most = SCOPE_MAX_BYTES - sizeof("project:~0123456789abcdef~") + 1;
	uint64_t hash = 14695981039346656037u;

	if (n + sizeof("project:") - 1 <= SCOPE_MAX_BYTES) {
		snprintf(text, sizeof(text), "project:%s", root);
		return xstrdup(text);
	}
	for (size_t i = 0; i < n; i++)
		hash = (hash ^ (unsigned char)root[i]) * 1099511628211u;
	root += n - most;
	while (((unsigned char)*root & 0xc0) == 0x80)
		root++;
	snprintf(text, sizeof(text), "project:~%016llx~%s", (unsigned long long)hash, root);
	return xstrdup(text);
}

char *
scope_project(const char *from)
{
	char path[PATH_MAX];
	struct stat st;

	if (from == NULL ? getcwd(path, sizeof(path) - 6) == NULL : realpath(from, path) == NULL)
		return NULL;
	for (;;) {
		size_t n = strlen(path);
		char *slash;

		if (n + sizeof("/.git") > sizeof(path))
			return NULL;
		memcpy(path + n, "/.git", sizeof("/.git"));
		if (lstat(path, &st) == 0) {
			path[n] = '\0';
			return utf8_valid(path, n) ? project_name(n > 0 ? path : "/") : NULL;
		}
		path[n] = '\0';
		if ((slash = strrchr(path, '/')) == NULL || n <= 1)
			return NULL;
		*slash = '\0';
	}
}

#include "client/scope.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
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

	return s != NULL && *s != '\0' ? s : NULL;
}

static bool
is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

int
scope_check(const char *name, const char *what, struct error *err)
{
	size_t n = strlen(name);

	if (n == 0 || n > SCOPE_MAX_BYTES)
		return error_set(
		    err, MP_E_INVALID_PARAMS, "%s has 1 to %d bytes, not %zu", what, SCOPE_MAX_BYTES, n);
	if (!utf8_valid(name, n))
		return error_set(err, MP_E_INVALID_PARAMS, "%s is UTF-8 text", what);
	for (size_t i = 0; i < n; i++)
		if (is_control(name[i]))
			return error_set(
			    err, MP_E_INVALID_PARAMS, "%s is one line without control characters", what);
	return 0;
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

bool
scope_is_terminal(struct slice scope)
{
	return slice_starts(scope, "tty:");
}

bool
scope_terminal_gone(struct slice scope)
{
	char name[SCOPE_MAX_BYTES + 1];
	const char *at;
	char *end;
	long leader;

	if (!scope_is_terminal(scope) || scope.len > SCOPE_MAX_BYTES)
		return false;
	memcpy(name, scope.data, scope.len);
	name[scope.len] = '\0';
	if ((at = strrchr(name, '@')) == NULL)
		return false;
	leader = strtol(at + 1, &end, 10);
	return *end == '\0' && leader > 0 && kill((pid_t)leader, 0) != 0 && errno == ESRCH;
}

/* Whether a path can be the name as it is. */
static bool
is_plain(const char *root)
{
	struct error ignored = ERROR_INIT;

	return strlen(root) + sizeof("project:") - 1 <= SCOPE_MAX_BYTES &&
	       scope_check(root, "", &ignored) == 0;
}

/* What is left of a path in a name: its end, with "?" for what a name may not hold. */
static void
keep_end(char *out, const char *root, size_t most)
{
	size_t n = strlen(root);
	bool utf8 = utf8_valid(root, n);

	if (n > most)
		root += n - most;
	while (utf8 && ((unsigned char)*root & 0xc0) == 0x80)
		root++;
	for (; *root != '\0'; root++)
		*out++ = is_control(*root) || (!utf8 && (unsigned char)*root >= 0x80) ? '?' : *root;
	*out = '\0';
}

/* A path that cannot be a name keeps its end and a number that stands for the whole. */
static char *
project_name(const char *root)
{
	char text[SCOPE_MAX_BYTES + 1], end[SCOPE_MAX_BYTES + 1];
	size_t most = SCOPE_MAX_BYTES - sizeof("project:~0123456789abcdef~") + 1;
	uint64_t hash = 14695981039346656037u;

	if (is_plain(root)) {
		snprintf(text, sizeof(text), "project:%s", root);
		return xstrdup(text);
	}
	for (const char *p = root; *p != '\0'; p++)
		hash = (hash ^ (unsigned char)*p) * 1099511628211u;
	keep_end(end, root, most);
	snprintf(text, sizeof(text), "project:~%016llx~%.*s", (unsigned long long)hash, (int)most, end);
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
			return project_name(n > 0 ? path : "/");
		}
		path[n] = '\0';
		if ((slash = strrchr(path, '/')) == NULL || n <= 1)
			return NULL;
		*slash = '\0';
	}
}

/* scratch.h - a private folder for one test, files in it, and code run as another user or process. */
#ifndef TESTS_UNIT_STORE_SCRATCH_H
#define TESTS_UNIT_STORE_SCRATCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534

static char scratch[64];
static bool scratch_is_fast; /* set by a main() whose tests sync by the thousand: no disk that turns */
static int fds_before;

static inline int
open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	if (dir == NULL)
		return -1;
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}

static inline int
scratch_setup(void **state)
{
	(void)state;
	fds_before = open_fds();
	snprintf(scratch, sizeof scratch, "%s/mpd-unit-XXXXXX",
	    scratch_is_fast && access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp");
	return mkdtemp(scratch) != NULL ? 0 : -1;
}

static inline int
scratch_remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline int
scratch_teardown(void **state)
{
	(void)state;
	if (open_fds() != fds_before) {
		print_error("descriptors were left open: %d before, %d now\n", fds_before, open_fds());
		return -1;
	}
	chmod(scratch, 0700);
	return nftw(scratch, scratch_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* The path of a file there; a few stay valid at a time. */
static inline const char *
in_scratch(const char *name)
{
	static char paths[8][160];
	static unsigned next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof paths[0], "%s/%s", scratch, name);
	return path;
}

static inline char *
read_whole(const char *path, size_t *n)
{
	FILE *f = fopen(path, "rb");
	struct stat st;
	char *data;

	assert_non_null(f);
	assert_int_equal(fstat(fileno(f), &st), 0);
	data = malloc((size_t)st.st_size + 1);
	*n = fread(data, 1, (size_t)st.st_size, f);
	assert_int_equal(*n, st.st_size);
	fclose(f);
	return data;
}

static inline void
write_whole(const char *path, const void *data, size_t n, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, n), (ssize_t)n);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static inline bool
same_content(const char *path, const char *data, size_t n)
{
	size_t now_n;
	char *now = read_whole(path, &now_n);
	bool same = now_n == n && memcmp(now, data, n) == 0;

	free(now);
	return same;
}

/* The names there, sorted by the file system's will: only for counting. */
static inline int
files_in_scratch(void)
{
	DIR *dir = opendir(scratch);
	struct dirent *e;
	int n = 0;

	assert_non_null(dir);
	while ((e = readdir(dir)) != NULL)
		n += e->d_name[0] != '.';
	closedir(dir);
	return n;
}

/* Runs it in a child, as that uid when not 0; its result (0..255) or -1 when it crashed. */
static inline int
in_child(uid_t uid, int (*run)(void *arg), void *arg)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		if (uid != 0 && (setresgid(uid, uid, uid) != 0 || setresuid(uid, uid, uid) != 0))
			_exit(99);
		_exit(run(arg));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static inline void
need_root(void)
{
	if (geteuid() == 0)
		return;
	print_message("skipped: only root can play another user\n");
	skip();
}

#endif

/* kill_at.h - the process dies at the n-th call that changes a folder: every write, sync, truncation and
 * change of names of this program goes through here first, those of SQLite as well (the functions below
 * come before libc's). For one test program; include it once.
 *
 *   kill_everywhere(folder, variant, prepare, work, check, arg)
 *
 * runs `work` in a child over and over, killed at call 1, 2, 3, ... until it ends by itself, and `check`
 * after each. Variants: before the call; a write cut in its middle; power lost with it: then what was not
 * synced is there, half there or gone, by sectors, and names may go back as far as the folder's last sync. */
#ifndef TESTS_HARNESS_KILL_AT_H
#define TESTS_HARNESS_KILL_AT_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define KILL_SECTOR 512
#define KILL_NAMES_MAX 24
#define KILL_SNAPSHOTS_MAX 256
#define KILL_FOLDERS_MAX 8

enum kill_variant { KILL_BEFORE, KILL_IN_WRITE, KILL_POWER };

/* The names below the folder at one moment, at most one folder deep. */
struct kill_snapshot {
	size_t count;
	struct {
		char name[64];
		ino_t parent; /* 0 = the folder itself */
		ino_t inode;
		mode_t mode;
	} entry[KILL_NAMES_MAX];
};

static struct {
	bool armed;
	enum kill_variant variant;
	char folder[PATH_MAX], keep[PATH_MAX];
	int at, calls;
	unsigned seed;
	struct kill_snapshot *snapshots; /* of KILL_POWER: after each change of names */
	size_t count;
	struct {
		ino_t folder; /* 0 = the folder itself */
		size_t snapshot; /* that its last sync made sure */
	} synced[KILL_FOLDERS_MAX];
	size_t folders;
} kill_at;

/* ---- what lies in the folder ---- */

static inline const char *
kill_path(const char *folder, const char *name)
{
	static char paths[4][PATH_MAX + 128];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof paths[0], "%s/%s", folder, name);
	return path;
}

static inline void
kill_fail(const char *what)
{
	fprintf(stderr, "kill_at: %s: %s\n", what, strerror(errno));
	_exit(120);
}

/* A file that was seen has a second name in the keep, so that it can come back. */
static inline void
kill_see(struct kill_snapshot *s, const char *folder, ino_t parent)
{
	char path[PATH_MAX + 128], kept[48];
	struct dirent *e;
	struct stat st;
	DIR *dir;

	if ((dir = opendir(folder)) == NULL)
		kill_fail("opendir");
	while ((e = readdir(dir)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
		if (s->count >= KILL_NAMES_MAX || strlen(e->d_name) >= sizeof s->entry[0].name ||
		    lstat(path, &st) != 0)
			kill_fail("look");
		strcpy(s->entry[s->count].name, e->d_name);
		s->entry[s->count].parent = parent;
		s->entry[s->count].inode = st.st_ino;
		s->entry[s->count++].mode = st.st_mode;
		if (S_ISDIR(st.st_mode)) {
			kill_see(s, path, st.st_ino);
			continue;
		}
		snprintf(kept, sizeof kept, "%llu", (unsigned long long)st.st_ino);
		syscall(SYS_linkat, AT_FDCWD, path, AT_FDCWD, kill_path(kill_at.keep, kept), 0);
	}
	closedir(dir);
}

static inline void
kill_snapshot_take(void)
{
	if (kill_at.count >= KILL_SNAPSHOTS_MAX)
		kill_fail("too many changes of names");
	memset(&kill_at.snapshots[kill_at.count], 0, sizeof kill_at.snapshots[0]);
	kill_see(&kill_at.snapshots[kill_at.count], kill_at.folder, 0);
	kill_at.count++;
}

/* ---- what a sync made sure: a copy of the file as it was then ---- */

static inline char *
kill_read(const char *path, size_t *n)
{
	struct stat st;
	char *data;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	*n = 0;
	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) != 0 || (data = malloc((size_t)st.st_size + 1)) == NULL)
		kill_fail("read");
	while (*n < (size_t)st.st_size) {
		ssize_t got = read(fd, data + *n, (size_t)st.st_size - *n);

		if (got <= 0)
			break;
		*n += (size_t)got;
	}
	close(fd);
	return data;
}

static inline void
kill_write(const char *path, const char *data, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || syscall(SYS_write, fd, data, n) != (long)n)
		kill_fail(path);
	close(fd);
}

static inline const char *
kill_synced_name(ino_t inode)
{
	char name[64];

	snprintf(name, sizeof name, "%llu.synced", (unsigned long long)inode);
	return kill_path(kill_at.keep, name);
}

/* Which snapshot of a folder is sure; one that was never synced: the first. */
static inline size_t *
kill_synced(ino_t folder)
{
	for (size_t i = 0; i < kill_at.folders; i++)
		if (kill_at.synced[i].folder == folder)
			return &kill_at.synced[i].snapshot;
	if (kill_at.folders >= KILL_FOLDERS_MAX)
		kill_fail("too many folders");
	kill_at.synced[kill_at.folders].folder = folder;
	kill_at.synced[kill_at.folders].snapshot = 0;
	return &kill_at.synced[kill_at.folders++].snapshot;
}

static inline void
kill_note_sync(int fd, const char *path)
{
	struct stat st;
	char *data;
	size_t n;

	if (fstat(fd, &st) != 0)
		kill_fail("stat");
	if (S_ISDIR(st.st_mode)) {
		kill_snapshot_take();
		*kill_synced(strcmp(path, kill_at.folder) == 0 ? 0 : st.st_ino) = kill_at.count - 1;
		return;
	}
	data = kill_read(path, &n);
	if (data != NULL)
		kill_write(kill_synced_name(st.st_ino), data, n);
	free(data);
}

/* ---- the cut ---- */

/* By sectors: what was synced, or what has been written since. All, none, or any of them. */
static inline void
kill_cut_file(const char *path, ino_t inode)
{
	size_t old_n, now_n, n;
	char *old = kill_read(kill_synced_name(inode), &old_n), *now = kill_read(path, &now_n);
	unsigned mood = (unsigned)rand_r(&kill_at.seed) % 4;

	if (now == NULL)
		kill_fail(path);
	if (mood != 0) { /* else everything reached the disk by chance */
		n = rand_r(&kill_at.seed) % 2 != 0 && mood == 2 ? now_n : old_n;
		now = realloc(now, (n > now_n ? n : now_n) + 1);
		for (size_t at = 0; at < n; at += KILL_SECTOR) {
			size_t len = n - at < KILL_SECTOR ? n - at : KILL_SECTOR;

			if (mood != 1 && rand_r(&kill_at.seed) % 2 != 0 && at + len <= now_n)
				continue;
			for (size_t i = at; i < at + len; i++)
				now[i] = i < old_n ? old[i] : '\0';
		}
		kill_write(path, now, n);
	}
	free(old);
	free(now);
}

static inline void
kill_remove_all(const char *folder)
{
	char command[PATH_MAX + 64];

	snprintf(command, sizeof command, "rm -rf '%s'", folder);
	if (system(command) != 0)
		kill_fail(command);
}

/* Puts back what a folder held in one snapshot; its folders get their own. */
static inline void
kill_put_back(const char *folder, ino_t inode, size_t pick)
{
	size_t synced = *kill_synced(inode);
	const struct kill_snapshot *s = &kill_at.snapshots[pick > synced ? pick : synced];
	char path[PATH_MAX + 128], kept[48];

	for (size_t i = 0; i < s->count; i++) {
		if (s->entry[i].parent != inode)
			continue;
		snprintf(path, sizeof path, "%s/%s", folder, s->entry[i].name);
		if (S_ISDIR(s->entry[i].mode)) {
			syscall(SYS_mkdir, path, s->entry[i].mode & 07777);
			kill_put_back(path, s->entry[i].inode, pick);
			continue;
		}
		snprintf(kept, sizeof kept, "%llu", (unsigned long long)s->entry[i].inode);
		if (syscall(SYS_linkat, AT_FDCWD, kill_path(kill_at.keep, kept), AT_FDCWD, path, 0) != 0)
			kill_fail(path);
		kill_cut_file(path, s->entry[i].inode);
	}
}

/* Names: any state between the last sync of their folder and now. */
static inline void
kill_cut_power(void)
{
	char command[PATH_MAX + 64];

	kill_snapshot_take();
	snprintf(command, sizeof command, "find '%s' -mindepth 1 -delete", kill_at.folder);
	if (system(command) != 0)
		kill_fail(command);
	kill_put_back(kill_at.folder, 0, (size_t)rand_r(&kill_at.seed) % kill_at.count);
}

/* ---- the calls ---- */

static inline bool
kill_inside(const char *path)
{
	size_t n = strlen(kill_at.folder);

	return strncmp(path, kill_at.folder, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* The path of a descriptor, NULL when it is not below the folder. */
static inline const char *
kill_path_of(int fd)
{
	static char path[PATH_MAX];
	char link[40];
	ssize_t n;

	if (!kill_at.armed)
		return NULL;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	if ((n = readlink(link, path, sizeof path - 1)) < 0)
		return NULL;
	path[n] = '\0';
	if (n > 10 && strcmp(path + n - 10, " (deleted)") == 0)
		return NULL;
	return kill_inside(path) ? path : NULL;
}

static inline bool
kill_names_inside(int dir, const char *path)
{
	if (!kill_at.armed)
		return false;
	if (path[0] == '/' || dir == AT_FDCWD)
		return kill_inside(path);
	return kill_path_of(dir) != NULL;
}

/* Counts a call; does not return from the one that is to be the last. */
static inline void
kill_count(int fd, const void *data, size_t n, int64_t at)
{
	if (++kill_at.calls != kill_at.at)
		return;
	kill_at.armed = false;
	if (kill_at.variant != KILL_BEFORE && data != NULL && n > 1) {
		if (at >= 0)
			(void)!syscall(SYS_pwrite64, fd, data, n / 2, at);
		else
			(void)!syscall(SYS_write, fd, data, n / 2);
	}
	if (kill_at.variant == KILL_POWER)
		kill_cut_power();
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

static inline int
kill_names_changed(bool counted, long result)
{
	if (counted && result == 0 && kill_at.armed && kill_at.variant == KILL_POWER)
		kill_snapshot_take();
	return (int)result;
}

#define KILL_DATA_CALL(call, fd, data, n, at)                                                      \
	do {                                                                                       \
		if (kill_path_of(fd) != NULL)                                                      \
			kill_count(fd, data, n, at);                                               \
		return call;                                                                       \
	} while (0)

ssize_t
write(int fd, const void *data, size_t n)
{
	KILL_DATA_CALL(syscall(SYS_write, fd, data, n), fd, data, n, -1);
}

ssize_t
pwrite(int fd, const void *data, size_t n, off_t at)
{
	KILL_DATA_CALL(syscall(SYS_pwrite64, fd, data, n, at), fd, data, n, at);
}

ssize_t
pwrite64(int fd, const void *data, size_t n, off64_t at)
{
	KILL_DATA_CALL(syscall(SYS_pwrite64, fd, data, n, at), fd, data, n, at);
}

int
ftruncate(int fd, off_t size)
{
	KILL_DATA_CALL((int)syscall(SYS_ftruncate, fd, size), fd, NULL, 0, -1);
}

int
ftruncate64(int fd, off64_t size)
{
	KILL_DATA_CALL((int)syscall(SYS_ftruncate, fd, size), fd, NULL, 0, -1);
}

static inline int
kill_sync(int fd, long number)
{
	const char *path = kill_path_of(fd);
	char copy[PATH_MAX];
	int r;

	if (path == NULL)
		return (int)syscall(number, fd);
	snprintf(copy, sizeof copy, "%s", path);
	kill_count(-1, NULL, 0, -1);
	if ((r = (int)syscall(number, fd)) == 0 && kill_at.variant == KILL_POWER)
		kill_note_sync(fd, copy);
	return r;
}

int
fsync(int fd)
{
	return kill_sync(fd, SYS_fsync);
}

int
fdatasync(int fd)
{
	return kill_sync(fd, SYS_fdatasync);
}

int
unlinkat(int dir, const char *path, int flags)
{
	bool counted = kill_names_inside(dir, path);

	if (counted)
		kill_count(-1, NULL, 0, -1);
	return kill_names_changed(counted, syscall(SYS_unlinkat, dir, path, flags));
}

int
unlink(const char *path)
{
	return unlinkat(AT_FDCWD, path, 0);
}

int
renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	bool counted = kill_names_inside(to_dir, to) || kill_names_inside(from_dir, from);

	if (counted)
		kill_count(-1, NULL, 0, -1);
	return kill_names_changed(counted,
	    syscall(SYS_renameat2, from_dir, from, to_dir, to, flags));
}

int
renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	return renameat2(from_dir, from, to_dir, to, 0);
}

int
rename(const char *from, const char *to)
{
	return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int
linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	bool counted = kill_names_inside(to_dir, to);

	if (counted)
		kill_count(-1, NULL, 0, -1);
	return kill_names_changed(counted, syscall(SYS_linkat, from_dir, from, to_dir, to, flags));
}

int
link(const char *from, const char *to)
{
	return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int
mkdirat(int dir, const char *path, mode_t mode)
{
	bool counted = kill_names_inside(dir, path);

	if (counted)
		kill_count(-1, NULL, 0, -1);
	return kill_names_changed(counted, syscall(SYS_mkdirat, dir, path, mode));
}

int
mkdir(const char *path, mode_t mode)
{
	return mkdirat(AT_FDCWD, path, mode);
}

/* ---- the rounds ---- */

/* What lies there before the first call is on the disk. */
static inline void
kill_arm(const char *folder, enum kill_variant variant, int at)
{
	if (realpath(folder, kill_at.folder) == NULL)
		kill_fail(folder);
	snprintf(kill_at.keep, sizeof kill_at.keep, "%s.keep", folder);
	kill_at.variant = variant;
	kill_at.at = at;
	kill_at.calls = 0;
	kill_at.seed += (unsigned)at * 2654435761U; /* each round has its own luck, and the same again */
	kill_at.count = kill_at.folders = 0;
	if (variant == KILL_POWER) {
		kill_remove_all(kill_at.keep);
		if (syscall(SYS_mkdir, kill_at.keep, 0700) != 0)
			kill_fail(kill_at.keep);
		kill_at.snapshots = calloc(KILL_SNAPSHOTS_MAX, sizeof *kill_at.snapshots);
		kill_snapshot_take();
		for (size_t i = 0; i < kill_at.snapshots[0].count; i++) {
			char kept[48];
			size_t n;
			char *data;

			if (S_ISDIR(kill_at.snapshots[0].entry[i].mode))
				continue;
			snprintf(kept, sizeof kept, "%llu",
			    (unsigned long long)kill_at.snapshots[0].entry[i].inode);
			data = kill_read(kill_path(kill_at.keep, kept), &n);
			kill_write(kill_synced_name(kill_at.snapshots[0].entry[i].inode), data, n);
			free(data);
		}
	}
	kill_at.armed = true;
}

/* Runs it in a child: its result (0..255), or -1 when it crashed. */
static inline int
kill_child(int (*run)(void *arg), void *arg)
{
	pid_t pid = fork();
	int s;

	if (pid < 0)
		kill_fail("fork");
	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

		dup2(null, STDERR_FILENO); /* it may have much to say about a disk that was cut */
		_exit(run(arg));
	}
	if (waitpid(pid, &s, 0) != pid)
		kill_fail("waitpid");
	return WIFEXITED(s) ? WEXITSTATUS(s) : -1;
}

/* One round. True when it was killed; else *status is what work returned, or -1 when it crashed. */
static inline bool
kill_one(const char *folder, enum kill_variant variant, int at, int (*work)(void *arg), void *arg,
    int *status)
{
	pid_t pid = fork();
	int s;

	if (pid < 0)
		kill_fail("fork");
	if (pid == 0) {
		kill_arm(folder, variant, at);
		s = work(arg);
		kill_at.armed = false;
		_exit(s);
	}
	if (waitpid(pid, &s, 0) != pid)
		kill_fail("waitpid");
	*status = WIFEXITED(s) ? WEXITSTATUS(s) : -1;
	return WIFSIGNALED(s) && WTERMSIG(s) == SIGKILL;
}

/* Every round: prepare, work in a child that dies at call n, check(n). Ends with the round that nothing
 * killed, which check sees too, or when check has seen enough (false). Returns how many rounds were killed;
 * *status as of kill_one of the last round. */
static inline int
kill_everywhere(const char *folder, enum kill_variant variant, void (*prepare)(void *arg),
    int (*work)(void *arg), bool (*check)(void *arg, int n, bool killed), void *arg, int *status)
{
	char keep[PATH_MAX];
	int n = 1;

	snprintf(keep, sizeof keep, "%s.keep", folder);
	for (;; n++) {
		bool killed;

		prepare(arg);
		killed = kill_one(folder, variant, n, work, arg, status);
		if (!check(arg, n, killed) || !killed)
			break;
	}
	kill_remove_all(keep);
	return n - 1;
}

/* Repeats a run: seed of what KILL_POWER throws away; round r of a seed is always the same. */
static inline void
kill_seed(unsigned seed)
{
	kill_at.seed = seed;
}

#endif

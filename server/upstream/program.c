#include "server/upstream/program.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/base/buf.h"
#include "protocol/base/str.h"
#include "server/upstream/transfer.h"

#define ROOM_DESCRIPTORS 16

/* ---- the program ---- */

/* Below the home folder when they begin with "~". */
static const char *const places[] = {
	"~/.local/bin",
	"~/.claude/local",
	"/usr/local/bin",
	"/usr/bin",
	"/opt/homebrew/bin",
};

static char *
place_path(const char *place, const char *name)
{
	const char *home = getenv("HOME");
	struct buf path = BUF_INIT;

	if (place[0] == '~') {
		if (home == NULL || home[0] != '/')
			return NULL;
		(void)buf_adds(&path, home);
		place++;
	}
	(void)buf_addf(&path, "%s/%s", place, name);
	if (path.failed || path.len >= PATH_MAX) {
		buf_clear(&path);
		return NULL;
	}
	return buf_steal(&path, NULL);
}

/* Something that others could change would run as us. */
static bool
is_ours(const struct stat *st)
{
	return (st->st_uid == 0 || st->st_uid == geteuid()) && (st->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

static bool
folder_is_ours(const char *path, struct failure *why)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_MAX];
	struct stat st;

	snprintf(folder, sizeof folder, "%.*s", slash > path ? (int)(slash - path) : 1, path);
	if (stat(folder, &st) == 0 && is_ours(&st))
		return true;
	failure_say(why, FAILURE_CONFIG, "program",
	    "others can change the folder %s of the program: chmod go-w %s", folder, folder);
	return false;
}

static bool
is_trusted(const char *path, struct failure *why)
{
	char real[PATH_MAX];
	struct stat st;

	if (realpath(path, real) == NULL || stat(real, &st) != 0) {
		failure_say(why, FAILURE_CONFIG, "program", "the program %s cannot be used: %s", path,
		    strerror(errno));
		return false;
	}
	if (!S_ISREG(st.st_mode) || access(real, X_OK) != 0) {
		failure_say(why, FAILURE_CONFIG, "program",
		    "the program %s is not an executable file", path);
		return false;
	}
	if (!is_ours(&st)) {
		failure_say(why, FAILURE_CONFIG, "program",
		    "others can change the program %s: it must belong to you or root; chmod go-w %s",
		    path, real);
		return false;
	}
	return folder_is_ours(path, why) && folder_is_ours(real, why);
}

char *
program_find(const char *name, const char *chosen, struct failure *why)
{
	char *path = NULL;
	struct stat st;

	if (chosen != NULL && chosen[0] == '/')
		path = xstrdup(chosen);
	for (size_t i = 0; chosen == NULL && path == NULL && i < sizeof places / sizeof places[0]; i++) {
		path = place_path(places[i], name);
		/* one that is there but may not be used is told, not passed over */
		if (path == NULL || lstat(path, &st) == 0)
			continue;
		free(path);
		path = NULL;
	}
	if (path == NULL) {
		failure_say(why, FAILURE_CONFIG, "program",
		    "the program %s is not installed (looked in ~/.local/bin, ~/.claude/local, "
		    "/usr/local/bin, /usr/bin, /opt/homebrew/bin)", name);
		return NULL;
	}
	if (is_trusted(path, why))
		return path;
	free(path);
	return NULL;
}

/* ---- the room ---- */

static int
text_write(const char *path, const char *text, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	ssize_t done;

	if (fd < 0)
		return -1;
	while (n > 0 && ((done = write(fd, text, n)) > 0 || errno == EINTR)) {
		text += done > 0 ? done : 0;
		n -= done > 0 ? (size_t)done : 0;
	}
	return close(fd) == 0 && n == 0 ? 0 : -1;
}

/* mkdtemp makes it 0700. */
static char *
room_in(const char *place)
{
	struct buf path = BUF_INIT;

	if (place == NULL || place[0] != '/' || strlen(place) > PATH_MAX / 2)
		return NULL;
	(void)buf_addf(&path, "%s/modelpd-child-XXXXXX", place);
	if (!path.failed && mkdtemp(path.data) != NULL)
		return buf_steal(&path, NULL);
	buf_clear(&path);
	return NULL;
}

char *
room_new(const char *text, size_t n)
{
	/* the runtime folder first: nobody else can put files above the working folder there */
	const char *const where[] = { getenv("XDG_RUNTIME_DIR"), getenv("TMPDIR"), "/tmp" };
	char inside[PATH_MAX];
	char *room = NULL;
	int error;

	for (size_t i = 0; room == NULL && i < sizeof where / sizeof where[0]; i++)
		room = room_in(where[i]);
	if (room == NULL)
		return NULL;
	snprintf(inside, sizeof inside, "%s/work", room);
	if (mkdir(inside, 0700) != 0)
		goto fail;
	snprintf(inside, sizeof inside, "%s/text", room);
	if (text != NULL && text_write(inside, text, n) != 0)
		goto fail;
	return room;
fail:
	error = errno;
	room_remove(room);
	errno = error;
	return NULL;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	(void)remove(path);
	return 0;
}

void
room_remove(char *path)
{
	if (path == NULL)
		return;
	(void)nftw(path, remove_one, ROOM_DESCRIPTORS, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	free(path);
}

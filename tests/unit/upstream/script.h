/* script.h - a program: a shell script in a private folder, where the rooms of its processes lie, too. */
#ifndef TESTS_UNIT_UPSTREAM_SCRIPT_H
#define TESTS_UNIT_UPSTREAM_SCRIPT_H

#include "tests/unit/upstream/station.h"

#include <ftw.h>
#include <sys/stat.h>

static char folder[64], script[96];

static inline int
setup(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "/tmp/mpd-child-XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(script, sizeof script, "%s/run", folder);
	return setenv("XDG_RUNTIME_DIR", folder, 1);
}

static inline int
remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static inline int
teardown(void **state)
{
	(void)state;
	return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static inline void
write_script(const char *body)
{
	FILE *f = fopen(script, "w");

	assert_non_null(f);
	fprintf(f, "#!/bin/sh\n%s\n", body);
	fclose(f);
	assert_int_equal(chmod(script, 0700), 0);
}

/* How many things lie in the folder beside the script. */
static inline unsigned
left_over(void)
{
	DIR *d = opendir(folder);
	struct dirent *e;
	unsigned n = 0;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		n += e->d_name[0] != '.' && strcmp(e->d_name, "run") != 0;
	closedir(d);
	return n;
}

#endif

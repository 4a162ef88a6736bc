/* power_cut.h - what is left on a disk when the power goes.
 *
 * Below SQLite's file layer every write, truncation, sync, creation and removal is written down;
 * any point of that record can then be cut: what was synced is there, what was not is there,
 * gone, or there by sectors of 512 bytes; a file's creation is sure with its first sync, a
 * removal with the next sync of the folder.
 *
 *   cut_start(folder)      all that lies there is on the disk; the record begins
 *   ...                    work on the databases there; cut_acknowledge(n) as it goes
 *   cut_stop()
 *   cut_at(point, &seed)   the folder as the cut at that point leaves it; what had been
 *   acknowledged by then
 *
 * For one test program, over disk_layer.h. */
#ifndef TESTS_HARNESS_POWER_CUT_H
#define TESTS_HARNESS_POWER_CUT_H

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/harness/disk_layer.h"

#define CUT_SECTOR 512
#define CUT_FILES 8

enum cut_kind {
	CUT_WRITE,
	CUT_TRUNCATE,
	CUT_SYNC,
	CUT_SYNC_FAILED,
	CUT_CREATE,
	CUT_REMOVE,
	CUT_REMOVE_SURE,
	CUT_ACK,
};

struct cut_op {
	enum cut_kind kind;
	int file; /* index of its name */
	int64_t at, n; /* write: where and how much; truncate: n = size; ack: n = number */
	int64_t time_ms;
	char *data;
};

/* A file: what is sure, and what it was at the start. */
struct cut_file {
	char name[48];
	bool is_there_at_start, sure;
	char *data;
	int64_t n;
};

static struct {
	char folder[128];
	bool on, ignore_sync;
	int fail_sync; /* the n-th sync from now on fails: what it should write stays in memory; 0 = none */
	int64_t now_ms; /* set by the test when time matters */
	struct cut_file file[CUT_FILES];
	int files;
	struct cut_op *op;
	size_t ops, room;
} cut;

/* ---- the record ---- */

/* Its index; -1 when it does not lie in the folder. */
static inline int
cut_file_of(const char *path)
{
	size_t n = strlen(cut.folder);

	if (!cut.on || strncmp(path, cut.folder, n) != 0 || path[n] != '/')
		return -1;
	path += n + 1;
	for (int i = 0; i < cut.files; i++)
		if (strcmp(cut.file[i].name, path) == 0)
			return i;
	assert(cut.files < CUT_FILES && strlen(path) < sizeof cut.file[0].name);
	memset(&cut.file[cut.files], 0, sizeof cut.file[0]);
	strcpy(cut.file[cut.files].name, path);
	return cut.files++;
}

static inline void
cut_note(enum cut_kind kind, int file, int64_t at, int64_t n, const void *data)
{
	struct cut_op *op;

	if (file < 0)
		return;
	if (cut.ops == cut.room) {
		cut.room = cut.room != 0 ? 2 * cut.room : 256;
		cut.op = realloc(cut.op, cut.room * sizeof *cut.op);
		assert(cut.op != NULL);
	}
	op = &cut.op[cut.ops++];
	*op = (struct cut_op){ kind, file, at, n, cut.now_ms, NULL };
	if (data != NULL) {
		op->data = malloc((size_t)n + 1);
		assert(op->data != NULL);
		memcpy(op->data, data, (size_t)n);
	}
}

static inline int
cut_on_write(const char *path, const void *data, int n, int64_t at)
{
	cut_note(CUT_WRITE, cut_file_of(path), at, n, data);
	return SQLITE_OK;
}

static inline int
cut_on_truncate(const char *path, int64_t size)
{
	cut_note(CUT_TRUNCATE, cut_file_of(path), 0, size, NULL);
	return SQLITE_OK;
}

static inline int
cut_on_sync(const char *path)
{
	if (cut.on && cut.fail_sync > 0 && --cut.fail_sync == 0) {
		cut_note(CUT_SYNC_FAILED, cut_file_of(path), 0, 0, NULL);
		return SQLITE_IOERR_FSYNC;
	}
	if (!cut.ignore_sync)
		cut_note(CUT_SYNC, cut_file_of(path), 0, 0, NULL);
	return SQLITE_OK;
}

static inline int
cut_on_remove(const char *path, bool sure)
{
	if (access(path, F_OK) == 0)
		cut_note(sure && !cut.ignore_sync ? CUT_REMOVE_SURE : CUT_REMOVE, cut_file_of(path), 0, 0,
		    NULL);
	return SQLITE_OK;
}

static inline void
cut_on_open(const char *path, bool is_new)
{
	if (is_new && path[0] != '\0')
		cut_note(CUT_CREATE, cut_file_of(path), 0, 0, NULL);
}

/* For main(), before the first connection. Returns an SQLite code. */
static inline int
cut_install(void)
{
	disk_hooks = (struct disk_hooks){ cut_on_write, cut_on_truncate, cut_on_sync, cut_on_remove,
		cut_on_open };
	return disk_layer_install();
}

static inline void
cut_acknowledge(int64_t number)
{
	if (cut.on)
		cut_note(CUT_ACK, 0, 0, number, NULL);
}

/* ---- beginning and end ---- */

static inline const char *
cut_path(const char *name)
{
	static char path[256];

	snprintf(path, sizeof path, "%s/%s", cut.folder, name);
	return path;
}

static inline char *
cut_read(const char *path, int64_t *n)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *data;

	if (fd < 0 || fstat(fd, &st) != 0)
		abort();
	data = malloc((size_t)st.st_size + 1);
	if (data == NULL || read(fd, data, (size_t)st.st_size) != st.st_size)
		abort();
	close(fd);
	*n = st.st_size;
	return data;
}

static inline void
cut_write(const char *path, const char *data, int64_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, data, (size_t)n) != n)
		abort();
	close(fd);
}

static inline void
cut_clear(void)
{
	for (int i = 0; i < cut.files; i++)
		free(cut.file[i].data);
	for (size_t i = 0; i < cut.ops; i++)
		free(cut.op[i].data);
	free(cut.op);
	cut.op = NULL;
	cut.ops = cut.room = 0;
	cut.files = 0;
}

static inline void
cut_start(const char *folder)
{
	struct dirent *e;
	struct stat st;
	DIR *dir;

	cut_clear();
	snprintf(cut.folder, sizeof cut.folder, "%s", folder);
	if ((dir = opendir(folder)) == NULL)
		abort();
	cut.on = true;
	while ((e = readdir(dir)) != NULL) {
		struct cut_file *f;

		if (stat(cut_path(e->d_name), &st) != 0 || !S_ISREG(st.st_mode))
			continue;
		f = &cut.file[cut_file_of(cut_path(e->d_name))];
		f->is_there_at_start = true;
		f->data = cut_read(cut_path(e->d_name), &f->n);
	}
	closedir(dir);
}

static inline void
cut_stop(void)
{
	cut.on = false;
}

/* ---- the cut ---- */

struct cut_state {
	bool there, sure; /* its name: now, and surely */
	char *data;       /* what is sure */
	int64_t n, room;
	size_t from; /* operations from here on are not */
};

static inline void
cut_resize(struct cut_state *s, int64_t n, unsigned *seed)
{
	bool garbage = seed != NULL && rand_r(seed) % 2 != 0;

	if (n >= s->room) {
		s->room = 2 * n + 1;
		s->data = realloc(s->data, (size_t)s->room);
		if (s->data == NULL)
			abort();
	}
	for (int64_t i = s->n; i < n; i++) /* nobody promised zeros */
		s->data[i] = garbage ? (char)rand_r(seed) : '\0';
	s->n = n;
}

static inline void
cut_write_sector(struct cut_state *s, const struct cut_op *op, int64_t at, int64_t n, unsigned *seed)
{
	if (op->at + at + n > s->n)
		cut_resize(s, op->at + at + n, seed);
	memcpy(s->data + op->at + at, op->data + at, (size_t)n);
}

/* mood: 0 all of it arrived, 1 nothing did, 2 any sector may have, 3 the first few operations did */
static inline void
cut_apply(struct cut_state *s, const struct cut_op *op, int mood, bool first_few, unsigned *seed)
{
	bool whole = mood == 0 || (mood == 3 && first_few);

	if (op->kind == CUT_TRUNCATE && (whole || (mood == 2 && rand_r(seed) % 2 != 0)))
		cut_resize(s, op->n, NULL);
	if (op->kind != CUT_WRITE)
		return;
	for (int64_t at = 0, n; at < op->n; at += n) {
		n = CUT_SECTOR - (op->at + at) % CUT_SECTOR;
		if (n > op->n - at)
			n = op->n - at;
		if (whole || (mood == 2 && rand_r(seed) % 2 != 0))
			cut_write_sector(s, op, at, n, seed);
	}
}

/* What one file is after the operations up to `point`. */
static inline void
cut_file_at(int file, size_t point, struct cut_state *s, unsigned *seed)
{
	const struct cut_file *f = &cut.file[file];
	int mood = (int)(rand_r(seed) % 4);
	size_t few;

	*s = (struct cut_state){ f->is_there_at_start, f->is_there_at_start, NULL, 0, 0, 0 };
	cut_resize(s, f->n, NULL);
	if (f->n > 0)
		memcpy(s->data, f->data, (size_t)f->n);
	for (size_t i = 0; i < point; i++) {
		const struct cut_op *op = &cut.op[i];

		if (op->file != file || op->kind == CUT_ACK)
			continue;
		if (op->kind == CUT_SYNC) {
			for (size_t k = s->from; k < i; k++)
				if (cut.op[k].file == file)
					cut_apply(s, &cut.op[k], 0, false, seed);
			s->from = i + 1;
			s->sure = s->there = true;
		} else if (op->kind == CUT_SYNC_FAILED) {
			s->from = i + 1; /* the system takes it for written, and never writes it */
		} else if (op->kind == CUT_CREATE || op->kind == CUT_REMOVE || op->kind == CUT_REMOVE_SURE) {
			s->there = op->kind == CUT_CREATE;
			if (op->kind == CUT_REMOVE_SURE)
				s->sure = false;
			if (op->kind == CUT_CREATE) { /* a new file, whatever had this name */
				s->n = 0;
				s->from = i + 1;
			}
		}
	}
	few = s->from + (size_t)rand_r(seed) % (point - s->from + 1);
	for (size_t k = s->from; k < point; k++)
		if (cut.op[k].file == file)
			cut_apply(s, &cut.op[k], mood, k < few, seed);
	if (s->there != s->sure)
		s->there = rand_r(seed) % 2 != 0;
}

/* Writes the folder as the cut leaves it. Returns the last number acknowledged before the point,
 * or `before` when there was none; with `until_ms` not 0 only what was acknowledged up to that
 * time counts. */
static inline int64_t
cut_at(size_t point, int64_t before, int64_t until_ms, unsigned *seed)
{
	int64_t acknowledged = before;

	assert(point <= cut.ops && !cut.on);
	for (int i = 0; i < cut.files; i++) {
		struct cut_state s;

		cut_file_at(i, point, &s, seed);
		unlink(cut_path(cut.file[i].name));
		if (s.there)
			cut_write(cut_path(cut.file[i].name), s.data, s.n);
		free(s.data);
	}
	for (size_t i = 0; i < point; i++)
		if (cut.op[i].kind == CUT_ACK && (until_ms == 0 || cut.op[i].time_ms <= until_ms))
			acknowledged = cut.op[i].n;
	return acknowledged;
}

static inline int64_t
cut_time_ms(size_t point)
{
	return point > 0 ? cut.op[point - 1].time_ms : 0;
}

#endif

/* disk_layer.h - SQLite's own file layer with hooks before it: what a test wants to count, refuse, drop or
 * write down. For one test program; disk_layer_install before the first connection. */
#ifndef TESTS_HARNESS_DISK_LAYER_H
#define TESTS_HARNESS_DISK_LAYER_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <sqlite3.h>

/* A hook answers SQLITE_OK to go on, DISK_DONE when it did all there is to do, or the error to give
 * instead. NULL: goes on. `path` is the file's, absolute. */
#define DISK_DONE (-1)

struct disk_hooks {
	int (*write)(const char *path, const void *data, int n, int64_t at);
	int (*truncate)(const char *path, int64_t size);
	int (*sync)(const char *path);
	int (*remove)(const char *path, bool durable);
	void (*opened)(const char *path, bool is_new); /* told afterwards */
};

static struct disk_hooks disk_hooks;

struct disk_file {
	sqlite3_file base; /* first: SQLite knows it as one of its own */
	char path[192];
	sqlite3_file real[]; /* as large as the real layer wants */
};

static sqlite3_vfs *disk_real;
static sqlite3_vfs disk_vfs;

static inline struct disk_file *
disk_of(sqlite3_file *f)
{
	return (struct disk_file *)(void *)f;
}

#define DISK_HOOKED(hook_call, real_call)                                                          \
	do {                                                                                       \
		int disk_rc = hook_call;                                                           \
		if (disk_rc != SQLITE_OK)                                                          \
			return disk_rc == DISK_DONE ? SQLITE_OK : disk_rc;                         \
		return real_call;                                                                  \
	} while (0)

static inline int
disk_write(sqlite3_file *f, const void *data, int n, sqlite3_int64 at)
{
	struct disk_file *d = disk_of(f);

	DISK_HOOKED(disk_hooks.write != NULL ? disk_hooks.write(d->path, data, n, at) : SQLITE_OK,
	    d->real->pMethods->xWrite(d->real, data, n, at));
}

static inline int
disk_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	struct disk_file *d = disk_of(f);

	DISK_HOOKED(disk_hooks.truncate != NULL ? disk_hooks.truncate(d->path, size) : SQLITE_OK,
	    d->real->pMethods->xTruncate(d->real, size));
}

static inline int
disk_sync(sqlite3_file *f, int flags)
{
	struct disk_file *d = disk_of(f);

	DISK_HOOKED(disk_hooks.sync != NULL ? disk_hooks.sync(d->path) : SQLITE_OK,
	    d->real->pMethods->xSync(d->real, flags));
}

static inline int
disk_close(sqlite3_file *f)
{
	return disk_of(f)->real->pMethods->xClose(disk_of(f)->real);
}

static inline int
disk_read(sqlite3_file *f, void *data, int n, sqlite3_int64 at)
{
	return disk_of(f)->real->pMethods->xRead(disk_of(f)->real, data, n, at);
}

static inline int
disk_size(sqlite3_file *f, sqlite3_int64 *size)
{
	return disk_of(f)->real->pMethods->xFileSize(disk_of(f)->real, size);
}

static inline int
disk_lock(sqlite3_file *f, int level)
{
	return disk_of(f)->real->pMethods->xLock(disk_of(f)->real, level);
}

static inline int
disk_unlock(sqlite3_file *f, int level)
{
	return disk_of(f)->real->pMethods->xUnlock(disk_of(f)->real, level);
}

static inline int
disk_reserved(sqlite3_file *f, int *out)
{
	return disk_of(f)->real->pMethods->xCheckReservedLock(disk_of(f)->real, out);
}

static inline int
disk_control(sqlite3_file *f, int op, void *arg)
{
	return disk_of(f)->real->pMethods->xFileControl(disk_of(f)->real, op, arg);
}

static inline int
disk_sector(sqlite3_file *f)
{
	return disk_of(f)->real->pMethods->xSectorSize(disk_of(f)->real);
}

static inline int
disk_traits(sqlite3_file *f)
{
	return disk_of(f)->real->pMethods->xDeviceCharacteristics(disk_of(f)->real);
}

/* Version 1: neither shared memory nor mapped files, which a connection of ours does not use. */
static const sqlite3_io_methods disk_methods = { 1, disk_close, disk_read, disk_write, disk_truncate,
	disk_sync, disk_size, disk_lock, disk_unlock, disk_reserved, disk_control, disk_sector, disk_traits,
	NULL, NULL, NULL, NULL, NULL, NULL };

static inline int
disk_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *f, int flags, int *out)
{
	struct disk_file *d = disk_of(f);
	int rc, there = 1;

	(void)vfs;
	d->base.pMethods = NULL;
	sqlite3_snprintf(sizeof d->path, d->path, "%s", path != NULL ? path : "");
	if (path != NULL && (flags & SQLITE_OPEN_CREATE) != 0)
		disk_real->xAccess(disk_real, path, SQLITE_ACCESS_EXISTS, &there);
	rc = disk_real->xOpen(disk_real, path, d->real, flags, out);
	if (d->real->pMethods != NULL)
		d->base.pMethods = &disk_methods;
	if (rc == SQLITE_OK && disk_hooks.opened != NULL)
		disk_hooks.opened(d->path, !there);
	return rc;
}

static inline int
disk_remove(sqlite3_vfs *vfs, const char *path, int sync_folder)
{
	(void)vfs;
	DISK_HOOKED(disk_hooks.remove != NULL ? disk_hooks.remove(path, sync_folder != 0) : SQLITE_OK,
	    disk_real->xDelete(disk_real, path, sync_folder));
}

/* Becomes the layer of every connection from now on. Returns an SQLite code. */
static inline int
disk_layer_install(void)
{
	disk_real = sqlite3_vfs_find(NULL);
	disk_vfs = *disk_real;
	disk_vfs.szOsFile = (int)sizeof(struct disk_file) + disk_real->szOsFile;
	disk_vfs.zName = "hooked";
	disk_vfs.pNext = NULL;
	disk_vfs.xOpen = disk_open;
	disk_vfs.xDelete = disk_remove;
	return sqlite3_vfs_register(&disk_vfs, 1);
}

#endif

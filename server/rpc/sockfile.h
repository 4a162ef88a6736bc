/* sockfile.h - the files of the control socket: folder, lock, pid, and the bound socket itself.
 *
 * Whoever holds the lock is the daemon of this folder (THREATS.md section 5). */
#ifndef SERVER_RPC_SOCKFILE_H
#define SERVER_RPC_SOCKFILE_H

#include <stdbool.h>
#include <sys/stat.h>

#include "protocol/base/err.h"
#include "protocol/sockpath.h"

struct sockfile {
	int fd;      /* listening */
	int dir_fd;
	int lock_fd;
	char *path;  /* of the socket */
	char *dir;
	char *name;  /* in dir */
	dev_t device;
	ino_t inode;
	bool activated; /* handed over by the service manager: not ours to remove */
	bool locked;    /* the lock and the pid file are ours */
	bool bound;
};

/* Takes the lock (or the passed socket and the lock beside it) and writes the pid file. */
int sockfile_open(struct paths *paths, struct sockfile *out, struct error *err);
/* Binds and listens; from here on clients find us. */
int sockfile_bind(struct sockfile *f, struct error *err);
/* Whether the socket file is still the one we bound. *st: what lies there, st_nlink 0 = nothing. */
bool sockfile_is_ours(const struct sockfile *f, struct stat *st);
void sockfile_unlink(struct sockfile *f);
void sockfile_close(struct sockfile *f);

#endif

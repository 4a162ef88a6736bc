/* sockpath.h - where things lie (UX.md section 2) and whether a directory or socket may be trusted
 * (THREATS.md section 5). Used by both sides. */
#ifndef PROTOCOL_SOCKPATH_H
#define PROTOCOL_SOCKPATH_H

#include <sys/types.h>

#include "protocol/base/err.h"

/* All absolute, NUL-terminated, allocated; free with paths_clear. */
struct paths {
	char *socket;      /* .../modelpd/rpc.sock */
	char *run_dir;     /* its directory: also lock and pid */
	char *data_dir;    /* state.db, usage.db, key/ */
	char *config_dir;  /* templates/ */
	char *state_dir;   /* log, chat history */
	char *cache_dir;   /* catalogue snapshot */
};

/* From the environment (MODELPD_SOCKET, MODELPD_DATA_DIR, MODELPD_CONFIG_DIR, XDG_*, HOME);
 * socket_override (--socket) wins when not NULL. MP_E_INVALID_PARAMS when HOME is needed and
 * missing, a path is relative, or the socket path is longer than LIMIT_SOCKET_PATH bytes. */
int paths_find(const char *socket_override, struct paths *out, struct error *err);
void paths_clear(struct paths *p);

/* Makes dir (and missing parents, mode 0700) and opens it. The directory itself must be ours and
 * closed to others: owner == euid, mode & 077 == 0, no symlink. Returns an O_DIRECTORY fd or
 * MP_E_NOT_PERMITTED / MP_E_STORAGE with the chmod or chown line in the hint; MP_E_NOT_FOUND when
 * it does not exist and create is false. Never widens anything. */
int private_dir_open(const char *dir, bool create, struct error *err);

/* Connects to the daemon: the directory and socket must be ours (checked without following links),
 * the peer's uid too. Returns the connected, CLOEXEC, blocking fd; MP_E_NOT_FOUND when nothing
 * listens (no file, or refused); MP_E_NOT_PERMITTED when something is not ours; MP_E_BUSY on a full
 * backlog. */
int daemon_connect(const struct paths *p, struct error *err);

/* uid of the process at the other end of a Unix socket; 0 or MP_E_INTERNAL. */
int peer_uid(int fd, uid_t *uid, pid_t *pid);

#endif

/* child_spawn.h - what a started program sees: descriptors 0 to 2, its own folder, an environment of allowed
 * names, default signals, a process group of its own. */
#ifndef SERVER_UPSTREAM_CHILD_SPAWN_H
#define SERVER_UPSTREAM_CHILD_SPAWN_H

#include <sys/types.h>

#include "server/upstream/child_process.h"

/* 0, or an errno. */
int child_spawn(const char *path, const struct wire_request *req, const char *room, const char *proxy,
    struct process_pipes *pipes, pid_t *pid);

#endif

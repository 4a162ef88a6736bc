/* worker.h - one thread beside the loop, for what takes long and must not stall it: deriving a key from a
 * passphrase, a helper program, a backup.
 *
 * Jobs run one after the other. A job's `run` is called in that thread and sees nothing but its own arg;
 * `done` is called by the loop afterwards, in its own thread. Between worker_add and `done` the arg belongs
 * to the job: whoever loses interest marks it and lets `done` free it. All functions are for the loop's
 * thread. */
#ifndef SERVER_BASE_WORKER_H
#define SERVER_BASE_WORKER_H

#include <stddef.h>

#include "server/base/loop.h"

#define WORKER_WAITING_MAX 4 /* besides the one that runs */

struct worker;

/* The thread itself starts with the first job. NULL when the system refuses. */
struct worker *worker_new(struct loop *l);
/* Waits for the job that runs; then every job's `done` is called, also of those that never ran. NULL is
 * harmless. */
void worker_free(struct worker *w);

/* 0, MP_E_BUSY when so many wait already, MP_E_INTERNAL when there is no thread. */
int worker_add(struct worker *w, void (*run)(void *arg), void (*done)(void *arg), void *arg);
/* Jobs that wait or run, or whose `done` was not called yet. */
size_t worker_count(const struct worker *w);

#endif

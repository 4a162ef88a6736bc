/* child_process.h - the programs that are run: started safely, ended for sure (THREATS.md section 8).
 *
 *   upstream - owns -> children - owns -> process (pid, its private folder)
 *   transfer - watches -> process, until it has ended or the transfer lets it go
 *
 * A process that nobody watches any more is asked to end and killed 5 s later, with everything in its
 * process group. A grandchild that left the group becomes ours when its parent is gone and is killed too,
 * when no program works: the daemon starts nothing else, so a stranger among its children is one of those. */
#ifndef SERVER_UPSTREAM_CHILD_PROCESS_H
#define SERVER_UPSTREAM_CHILD_PROCESS_H

#include "server/base/loop.h"
#include "server/model/failure.h"
#include "server/model/wire.h"

#define CHILDREN_MAX 4

struct children;
struct process;

struct children *children_new(struct loop *loop);
/* Kills and collects all of them. NULL is harmless. */
void children_free(struct children *cs);
bool children_full(const struct children *cs);
/* One call, from the loop, when there may be room for another; forgotten after it. */
struct children_waiter {
	void (*cb)(void *arg);
	void *arg;
	struct children_waiter *next;
	bool queued;
};
void children_wait(struct children *cs, struct children_waiter *w);
void children_unwait(struct children *cs, struct children_waiter *w);
size_t children_waiting(const struct children *cs);
/* Whether more wait than places will come free by those that are ending. */
bool children_pressed(const struct children *cs);

/* The three ends of its pipes that stay with us: non-blocking, the caller's to close. */
struct process_pipes {
	int in, out, err;
};

/* Starts `path` with what req says (arguments, environment, file). proxy may be NULL. on_exit comes
 * once, from the loop; the process is gone after it. NULL and *why when it cannot be started. */
struct process *process_start(struct children *cs, const char *path, const struct wire_request *req,
    const char *proxy, struct process_pipes *pipes, void (*on_exit)(void *arg, int status),
    void *arg, struct failure *why);
/* Somebody else hears of its end from now on. */
void process_watch(struct process *p, void (*on_exit)(void *arg, int status), void *arg);
/* It waits for work, or works again. While none works, whoever else is among our children is ended. */
void process_set_idle(struct process *p, bool idle);
/* Lets it go: no on_exit any more. */
void process_stop(struct process *p);

/* Before the process raises its own limit of descriptors: programs get the one it came with. */
void child_remember_limits(void);

#endif

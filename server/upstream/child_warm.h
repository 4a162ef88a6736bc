/* child_warm.h - programs that have answered and wait for the next turn of their conversation.
 *
 *   upstream - owns -> warm_list - owns -> warm (the process, its pipes, what it knows)
 *
 * One is asked again only by a request of the same owner that would have started it the same way and whose
 * past is, byte by byte, what it knows. It is ended when nobody came for some minutes, when its place is
 * needed, when it says anything that it was not asked for, and by upstream_end_waiting. */
#ifndef SERVER_UPSTREAM_CHILD_WARM_H
#define SERVER_UPSTREAM_CHILD_WARM_H

#include "server/upstream/child_process.h"

/* One of the four places stays free, so that a new conversation never waits for an old one. */
#define WARM_MAX (CHILDREN_MAX - 1)

struct child;
struct upstream;
struct warm_list;

struct child_pipe {
	int fd; /* -1 = closed */
	struct loop_io *io;
};
void child_pipe_close(struct child_pipe *p);

struct warm_list *warm_list_new(struct upstream *u);
/* Lets all go; children_free ends them. NULL is harmless. */
void warm_list_free(struct warm_list *l);
/* The process of c, whose answer is whole, waits from now on, if it is in a state in which it can: it and its
 * pipes are c's no more. Else c keeps them. */
void warm_park(struct child *c);
/* A waiting process that may answer c becomes c's, with what it knows in c->memory. */
bool warm_take(struct warm_list *l, struct child *c);
/* Ends who waits longest, if anybody does. */
void warm_make_room(struct warm_list *l);
/* Ends those of whose owner `ends` says true; NULL = all. */
void warm_end(struct warm_list *l, bool (*ends)(void *arg, const char *owner), void *arg);

#endif

/* child.h - one request to a program and its answer: the struct its files share.
 *
 * child.c starts and ends it and watches the clock; child_pipes.c moves the bytes; child_warm.c keeps
 * programs that wait for another request. */
#ifndef SERVER_UPSTREAM_CHILD_H
#define SERVER_UPSTREAM_CHILD_H

#include "server/upstream/child_warm.h"
#include "server/upstream/ndjson.h"
#include "server/upstream/transfer.h"

#define CHILD_OUTPUT_BYTES ((uint64_t)32 << 20)
#define CHILD_WORDS_BYTES ((size_t)64 << 10)

struct child {
	struct transfer base;
	struct children *all;
	struct children_waiter waiter;
	struct loop_deferred step; /* begins it, or goes on after a pause */
	struct process *process;   /* NULL = not started, or ended */
	struct wire_request request;
	char *chosen, *proxy, *owner;
	bool started;
	bool warm; /* a program that waited is asked, and `memory` is what it knew */
	bool kept; /* the answer is whole: it may wait again, and `memory` is what it knows */
	struct wire_memory memory;

	struct child_pipe in, out, err;
	size_t written;
	uint64_t out_bytes, err_bytes, output_limit;
	struct ndjson ndjson;
	struct buf held;  /* the rest of a block in which the owner paused; at most one block */
	struct buf body;  /* the output of a request that asked for no stream */
	struct buf words; /* the last that it said on its standard error */
	bool head_sent, tail_sent;

	bool exited;
	int status;
	bool failed; /* `failure` says why */
	struct failure failure;

	struct loop_timer *watchdog;
	struct loop_timer *farewell; /* after its exit somebody may still hold the pipe */
	int64_t started_ms, waiting_ms, last_byte_ms;
	int64_t first_byte_limit, silence_limit, total_limit;
};

void child_fail(struct child *c, enum failure_class class, const char *kind, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Its process ended. */
void child_exited(void *arg, int status);
/* Goes as far as it can: held frames, the end of the output, the end. */
void child_advance(struct child *c);

/* Begins to move bytes over the descriptors that c has. */
void child_pipes_open(struct child *c);
void child_pipes_close(struct child *c);
/* Reading the answer, or not (a pause). */
void child_pipes_read(struct child *c, bool on);
/* Frames that were held back by a pause. False when some are left. */
bool child_pipes_drain(struct child *c);
/* What it said last before it ended. */
void child_pipes_last_words(struct child *c);
/* All bytes came: the last line, or the body. */
void child_pipes_finish(struct child *c);

#endif

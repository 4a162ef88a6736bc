/* loop.h - the one event loop: descriptors, timers, signals, and calls at the end of the tick.
 *
 * The only folder that sees libevent. Nothing is freed inside its own callback: a module marks the thing
 * dead and asks loop_defer to free it when the stack is empty. All functions are for the loop's thread. */
#ifndef SERVER_BASE_LOOP_H
#define SERVER_BASE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct loop_io;
struct loop_timer;
struct loop_signal;

enum { LOOP_READ = 1, LOOP_WRITE = 2 };

struct loop *loop_new(void); /* NULL when the system refuses */
void loop_free(struct loop *l);
/* Runs until loop_stop. 0, or MP_E_INTERNAL when the backend fails. */
int loop_run(struct loop *l);
void loop_stop(struct loop *l);
/* Runs at most one round of events, waiting up to timeout_ms (-1: until something happens). For tests. */
void loop_once(struct loop *l, int timeout_ms);

/* Watches fd (not owned). what: LOOP_READ | LOOP_WRITE, may be 0 (paused). Persistent. */
struct loop_io *loop_io_new(struct loop *l, int fd, unsigned what,
    void (*cb)(void *arg, int fd, unsigned what), void *arg);
void loop_io_set(struct loop_io *io, unsigned what); /* cheap when nothing changes */
void loop_io_free(struct loop_io *io);

/* A one-shot timer, not running at first. Monotonic time. */
struct loop_timer *loop_timer_new(struct loop *l, void (*cb)(void *arg), void *arg);
void loop_timer_start(struct loop_timer *t, int64_t ms); /* restarts a running one; 0 = next tick */
void loop_timer_stop(struct loop_timer *t);
bool loop_timer_running(const struct loop_timer *t);
void loop_timer_free(struct loop_timer *t);

struct loop_signal *loop_signal_new(struct loop *l, int signum, void (*cb)(void *arg, int signum),
    void *arg);
void loop_signal_free(struct loop_signal *s);

/* A call at the end of this tick, after all callbacks that are ready now; in the order asked. The item
 * is part of the caller's struct, so asking cannot fail; asking twice before it runs runs it once. */
struct loop_deferred {
	void (*cb)(void *arg);
	void *arg;
	struct loop_deferred *next;
	bool queued;
};
void loop_defer(struct loop *l, struct loop_deferred *d, void (*cb)(void *arg), void *arg);
void loop_defer_cancel(struct loop *l, struct loop_deferred *d);

#endif

/* daemon.h - the whole daemon in one struct: the start-up list and its reverse. Two may live in one
 * process (tests). */
#ifndef SERVER_DAEMON_H
#define SERVER_DAEMON_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/err.h"

struct daemon_options {
	const char *socket;      /* NULL = the usual place */
	const char *log_level;   /* NULL = MODELPD_LOG, else info */
	bool log_to_file;        /* below the state folder, not to stderr */
	int64_t test_timeout_ms; /* > 0: patience with clients, for tests */
};

struct daemon;

/* Everything up to the first accept. The error says what to do. */
int daemon_new(const struct daemon_options *o, struct daemon **out, struct error *err);
void daemon_free(struct daemon *d); /* NULL is harmless */
/* Until a signal or a client ends it. 0 or MP_E_... */
int daemon_run(struct daemon *d);

const char *daemon_socket(const struct daemon *d);

#endif

/* test.h - the parts of `mpc test`; all give exit codes. */
#ifndef CLIENT_CMD_TEST_H
#define CLIENT_CMD_TEST_H

#include <stdint.h>

struct app;

int test_list(struct app *a);
int test_stop(struct app *a);
int test_extend(struct app *a);
int test_activate(struct app *a);
int test_keep(struct app *a);

/* "Testing REF until 10:42, then back to X." and what can be done with it. Asks the daemon what comes
 * after. */
int test_print_active(struct app *a, const char *ref, int64_t expires_ms);

#endif

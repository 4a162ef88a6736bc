/* cmd.h - what commands use of each other. Functions return exit codes. */
#ifndef CLIENT_CMD_CMD_H
#define CLIENT_CMD_CMD_H

#include <stdbool.h>
#include <stdint.h>

struct app;

/* DUR of UX.md section 4; NULL leaves *ms alone. */
int read_duration(struct app *a, const char *text, int64_t *ms);
/* Switches and says so. scope "" = everywhere; ttl_ms 0 = no end of its own. The link is open. */
int switch_to(struct app *a, const char *ref, const char *scope, bool temporary, int64_t ttl_ms);
/* Asks for a provider's key on the terminal, stores and tries it. The link is open. */
int key_enter(struct app *a, const char *provider);
/* Probes one target and prints the line; the exit code says how it went. The link is open. */
int check_one(struct app *a, const char *name, bool deep);
/* Whether a daemon listens; the link is then open. */
bool daemon_runs(struct app *a);

#endif

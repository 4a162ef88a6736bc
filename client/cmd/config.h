/* config.h - what the commands of `mpc config` share. Functions return exit codes. */
#ifndef CLIENT_CMD_CONFIG_H
#define CLIENT_CMD_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/buf.h"
#include "protocol/base/err.h"

struct app;
struct value;

/* A document must fit into a message of the protocol. */
#define CONFIG_MAX_BYTES ((size_t)1 << 20)

int config_show(struct app *a);
int config_export(struct app *a);
int config_check(struct app *a);
int config_apply(struct app *a);
int config_edit(struct app *a);

/* The configuration as it is; the link is open. rev may be NULL. */
int config_fetch(struct app *a, struct buf *text, int64_t *rev);
/* Asks what the text would do. *result is borrowed until the next use of the link. */
int config_ask(struct app *a, const struct buf *text, const struct value **result);
/* Applies it if the configuration still has this revision. 0 or MP_E_..., and nothing was said yet. */
int config_send(struct app *a, const struct buf *text, int64_t rev, bool consent,
    const struct value **result, struct error *err);
/* "FILE:LINE:COL: message", on stderr. */
void config_print_problems(struct app *a, const char *name, const struct value *problems);
/* Differences, losses and notes of a result of config.check. */
void config_print_effects(struct app *a, const struct value *result);
/* Keeps the text of before for an undo; its path, or NULL when that cannot be. Lives until the end of the
 * run. */
const char *config_keep(struct app *a, const struct buf *before);
/* What was done, and how to undo it. */
void config_print_done(struct app *a, const struct value *result, const char *kept);
/* A text in memory is read from a file (without following a link), "-" is stdin. */
int config_read(struct app *a, const char *path, struct buf *text);

#endif

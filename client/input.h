/* input.h - what a prompt is made of: words, stdin, files, options (UX.md section 9). */
#ifndef CLIENT_INPUT_H
#define CLIENT_INPUT_H

#include <stdbool.h>

#include "protocol/base/buf.h"
#include "protocol/base/err.h"
#include "protocol/pack.h"

struct app;

#define INPUT_MAX_BYTES ((size_t)12 << 20) /* text and files together; a message holds 16 MiB */

/* Reads fd to its end. MP_E_TOO_LARGE over the buffer's ceiling. name is for the message. */
int input_read(int fd, const char *name, struct buf *out, struct error *err);

/* Words joined by blanks; a lone "-" stands for stdin; else stdin, when it is no terminal, follows
 * after a blank line. *given = there was any source at all. */
int input_text(struct app *a, struct buf *out, bool *given, struct error *err);
/* The system prompt: the template of -t (a file NAME.md below <config>/templates), then the text of -s after
 * a blank line. MP_E_NOT_FOUND names the folder when there is no such template. */
int input_system(struct app *a, struct buf *out, struct error *err);
/* Writes the list of attachments for every --file; *total counts bytes so far. */
int input_files(struct app *a, struct pack *p, size_t *total, struct error *err);
/* Writes the map of options for every -o K=V: numbers, true, false, null and JSON keep their type,
 * all else is text. */
int input_options(struct app *a, struct pack *p, struct error *err);
void input_option_value(struct pack *p, const char *text);

#endif

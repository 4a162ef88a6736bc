/* fail.h - how an error looks: what happened, why, what to do (UX.md section 7). */
#ifndef CLIENT_FAIL_H
#define CLIENT_FAIL_H

#include "protocol/base/buf.h"
#include "protocol/base/err.h"

struct app;

/* The text form, appended to out; why "" = derived from the error. Every line is harmless. */
void fail_text(struct buf *out, const struct error *err, const char *why);
/* {"error":{...}} and a newline. */
void fail_json(struct buf *out, const struct error *err, const char *why, const char *code);

/* A command of Music Player Daemon's client; exit code 2. */
int fail_music(struct app *a, const char *verb);

#endif

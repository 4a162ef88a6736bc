/* answer.h - what the model says, on its way to the screen (UX.md section 9).
 *
 * On a terminal nothing that could control it gets through, Markdown is rendered; elsewhere the
 * bytes are written as they came, with one newline at the end. */
#ifndef CLIENT_ANSWER_H
#define CLIENT_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#include "client/markdown.h"
#include "protocol/base/str.h"

struct app;

struct answer {
	struct app *a;
	bool terminal;
	bool rendered;   /* Markdown */
	bool dimmed;     /* reasoning is on the screen */
	bool any;        /* something was written */
	size_t newlines; /* held back: only one may be the last */
	bool ends_line;  /* the screen is at the start of a line */
	struct markdown markdown;
};

void answer_init(struct answer *w, struct app *a, bool raw);
void answer_clear(struct answer *w);
void answer_text(struct answer *w, struct slice text);
/* Dimmed on a terminal, else to stderr: stdout is for the answer. */
void answer_reasoning(struct answer *w, struct slice text);
/* The answer is over (whole or not): the rest, colours off, a newline. */
void answer_end(struct answer *w);

#endif

/* markdown.h - Markdown for a terminal, as it streams in.
 *
 * Text is passed on at once wherever it cannot become something else; the start of a line and an
 * open marker wait for their end. Nothing but the markers themselves is dropped, and what turns out
 * to be no marker is printed as it came. */
#ifndef CLIENT_MARKDOWN_H
#define CLIENT_MARKDOWN_H

#include <stdbool.h>
#include <stddef.h>

#include "protocol/base/buf.h"

struct markdown {
	struct buf held; /* not printed yet */
	bool inside;     /* the start of this line has been dealt with */
	char fence;      /* '`' or '~' inside a code block, else 0 */
	size_t fence_size;
	const char *ends; /* printed at the end of the line: "" or the end of a heading's bold */
	char last;        /* the byte printed last on this line; 0 = none */
	bool utf8;
};

void markdown_init(struct markdown *m, bool utf8);
void markdown_clear(struct markdown *m);
/* Appends what can be printed to out. */
void markdown_feed(struct markdown *m, const char *s, size_t n, struct buf *out);
/* The text is over: the rest, and all colours off. */
void markdown_end(struct markdown *m, struct buf *out);

#endif

/* problems.h - what is wrong with a document, each with its place: all of it at once, not the first only. */
#ifndef SERVER_DOCUMENT_PROBLEMS_H
#define SERVER_DOCUMENT_PROBLEMS_H

#include <stdbool.h>
#include <stddef.h>

#include "protocol/base/err.h"

#define PROBLEMS_MAX 100 /* more are counted, not kept */

struct problem {
	int line, column; /* from 1; columns are characters. 0 = the document as a whole */
	char *message;    /* one line without control characters */
};

/* All zero is empty. */
struct problems {
	struct problem list[PROBLEMS_MAX];
	size_t count; /* kept */
	size_t more;  /* beyond those */
};

void problem_add(struct problems *ps, int line, int column, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* The message of err, with what it may have meant and what to do. */
void problem_add_error(struct problems *ps, int line, int column, const struct error *err);
/* No more are kept: who has to work for a message need not. */
bool problems_are_full(const struct problems *ps);
/* By place; in the order they were found where places are the same. */
void problems_sort(struct problems *ps);
void problems_clear(struct problems *ps);

#endif

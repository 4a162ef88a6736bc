/* pages.h - lists of models that come in pages: what a row of the dialect says of them, put to use. Pure
 * functions (providers/anthropic-messages.md section 11, providers/gemini.md section 6). */
#ifndef SERVER_DIALECT_PAGES_H
#define SERVER_DIALECT_PAGES_H

#include <stddef.h>

#include "protocol/base/str.h"

struct dialect;
struct provider;
struct wire_request;

#define PAGE_CURSOR_SIZE 512 /* a longer one is no cursor */

/* 1 and the cursor of the page after this one; 0 = it was the last, or this language has no pages;
 * MP_E_INVALID_PARAMS = more was promised, but not where it is. */
int list_next_page(const struct dialect *d, struct slice json, char cursor[static PAGE_CURSOR_SIZE]);
/* The request for that page. 0 or MP_E_TOO_LARGE. */
int list_page_request(const struct dialect *d, const struct provider *p, const char *cursor,
    struct wire_request *out);

#endif

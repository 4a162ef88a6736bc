/* width.h - how wide text is on a screen, and cutting it there. */
#ifndef CLIENT_WIDTH_H
#define CLIENT_WIDTH_H

#include <stdbool.h>
#include <stddef.h>

struct app;

/* Widths need a locale that knows the encoding: the user's, or one that knows UTF-8. */
void width_use_locale(const struct app *a);
/* Columns; in bytes where the text is none in this locale. */
size_t width_of(const char *text);
/* How many bytes fit into so many columns. */
size_t width_fit(const char *text, size_t columns);
/* The text, or as much as fits with an ellipsis behind it. Caller frees. */
char *width_cut(const char *text, size_t columns, bool utf8);

#endif

/* frame.h - one picture of a live view: lines of styled text, for a screen or for a file. */
#ifndef CLIENT_FRAME_H
#define CLIENT_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum style {
	STYLE_PLAIN,
	STYLE_BOLD,
	STYLE_DIM,
	STYLE_GOOD,
	STYLE_WARN,
	STYLE_BAD,
	STYLE_TITLE,  /* of a list */
	STYLE_CHOSEN, /* the line that keys act on */
	STYLE_COUNT
};

struct span {
	enum style style;
	char *text;
};

struct frame_line {
	struct span *spans;
	size_t count;
	size_t used; /* columns */
};

struct frame {
	size_t width;
	bool utf8;
	struct frame_line *lines;
	size_t count;
};

void frame_init(struct frame *f, size_t width, bool utf8);
void frame_clear(struct frame *f);
/* Begins the next line; what follows goes there. */
void frame_line(struct frame *f);
/* Text at the end of the line, cut with an ellipsis at the right edge. Harmless text only: see
 * app_escaped. */
void frame_add(struct frame *f, enum style style, const char *text);
/* Text in so many columns, cut or filled up with blanks; right: at their right end. */
void frame_cell(struct frame *f, enum style style, const char *text, size_t columns, bool right);
/* The first `most` lines of another frame. */
void frame_append(struct frame *f, const struct frame *other, size_t from, size_t most);
/* SGR sequences where color is true; blanks at the ends of lines are left out. */
void frame_print(const struct frame *f, FILE *out, bool color);

#endif

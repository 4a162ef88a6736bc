/* screen.h - the whole terminal as one picture, by ncursesw, which is loaded when it is needed. */
#ifndef CLIENT_SCREEN_H
#define CLIENT_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

#include "protocol/base/err.h"

struct frame;

/* What is no character. */
enum screen_key {
	KEY_IS_NONE = -1,
	KEY_IS_ENTER = 0x110000,
	KEY_IS_ESCAPE,
	KEY_IS_BACKSPACE,
	KEY_IS_UP,
	KEY_IS_DOWN,
	KEY_IS_RESIZE,
	KEY_IS_OTHER,
};

/* Takes the terminal over. There is one screen; NULL with err: the library is missing, or it does
 * not know this terminal. SIGINT and SIGTERM are the caller's to catch, after this. */
struct screen *screen_open(bool color, struct error *err);
/* Gives the terminal back as it was. NULL is harmless. */
void screen_close(struct screen *s);
void screen_size(const struct screen *s, size_t *width, size_t *height);
/* Shows it; cursor_line < 0: no cursor. Only what has changed is sent. */
void screen_draw(struct screen *s, const struct frame *f, int cursor_line, int cursor_column);
/* The next key, without waiting: a character (Unicode) or an enum screen_key. */
int screen_key(struct screen *s);

#endif

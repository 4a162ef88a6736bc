/* Defined before anything of the system is included: the wide part of the library is ours, its
 * macros that reach into windows are not. */
#define NCURSES_WIDECHAR 1
#define NCURSES_NOMACROS 1
#include "client/screen.h"

#include <dlfcn.h>
#include <ncursesw/curses.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/frame.h"
#include "protocol/base/str.h"

#ifdef __APPLE__
#define NCURSES_LIBRARY "libncursesw.6.dylib"
#else
#define NCURSES_LIBRARY "libncursesw.so.6"
#endif

struct screen {
	void *handle;
	SCREEN *terminal;
	WINDOW *window;
	bool color;
	/* The functions of the library that are used. */
	__typeof__(newterm) *newterm;
	__typeof__(delscreen) *delscreen;
	__typeof__(endwin) *endwin;
	__typeof__(cbreak) *cbreak;
	__typeof__(noecho) *noecho;
	__typeof__(nonl) *nonl;
	__typeof__(newwin) *newwin;
	__typeof__(keypad) *keypad;
	__typeof__(nodelay) *nodelay;
	__typeof__(set_escdelay) *set_escdelay;
	__typeof__(start_color) *start_color;
	__typeof__(has_colors) *has_colors;
	__typeof__(use_default_colors) *use_default_colors;
	__typeof__(init_pair) *init_pair;
	__typeof__(COLOR_PAIR) *pair;
	__typeof__(curs_set) *curs_set;
	__typeof__(werase) *werase;
	__typeof__(wmove) *wmove;
	__typeof__(waddnstr) *waddnstr;
	__typeof__(wattrset) *wattrset;
	__typeof__(wrefresh) *wrefresh;
	__typeof__(wget_wch) *wget_wch;
	__typeof__(getmaxx) *getmaxx;
	__typeof__(getmaxy) *getmaxy;
};

/* The screen that has the terminal. */
static struct screen only;

static bool
load(struct screen *s)
{
#define SYMBOL(name)                                                                               \
	{                                                                                          \
#name, &s->name                                                                    \
	}
	struct {
		const char *name;
		void *slot;
	} symbols[] = {SYMBOL(newterm), SYMBOL(delscreen), SYMBOL(endwin), SYMBOL(cbreak),
	    SYMBOL(noecho), SYMBOL(nonl), SYMBOL(newwin), SYMBOL(keypad), SYMBOL(nodelay),
	    SYMBOL(set_escdelay), SYMBOL(start_color), SYMBOL(has_colors),
	    SYMBOL(use_default_colors), SYMBOL(init_pair), SYMBOL(curs_set), SYMBOL(werase),
	    SYMBOL(wmove), SYMBOL(waddnstr), SYMBOL(wattrset), SYMBOL(wrefresh), SYMBOL(wget_wch),
	    SYMBOL(getmaxx), SYMBOL(getmaxy), {"COLOR_PAIR", &s->pair}};
#undef SYMBOL

	/* never unloaded: it leaves handlers of signals behind */
	if ((s->handle = dlopen(NCURSES_LIBRARY, RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE)) == NULL)
		return false;
	for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
		void *f = dlsym(s->handle, symbols[i].name);

		if (f == NULL)
			return false;
		memcpy(
		    symbols[i].slot, &f, sizeof(f)); /* ISO C has no cast from data to function */
	}
	return true;
}

static void
set_up(struct screen *s, bool color)
{
	static const short colors[STYLE_COUNT] = {[STYLE_GOOD] = COLOR_GREEN,
	    [STYLE_WARN] = COLOR_YELLOW,
	    [STYLE_BAD] = COLOR_RED,
	    [STYLE_TITLE] = COLOR_CYAN};

	s->cbreak();
	s->noecho();
	s->nonl();
	s->set_escdelay(50);
	s->keypad(s->window, TRUE);
	s->nodelay(s->window, TRUE);
	s->curs_set(0);
	s->color =
	    color && s->has_colors() && s->start_color() == OK && s->use_default_colors() == OK;
	for (short i = 0; s->color && i < STYLE_COUNT; i++)
		if (colors[i] != 0)
			s->init_pair(i, colors[i], -1);
}

struct screen *
screen_open(bool color, struct error *err)
{
	struct screen *s = &only;
	const char *terminal = getenv("TERM");

	if (!load(s)) {
		error_set(err, MP_E_NOT_FOUND,
		    "cannot draw on this terminal: ncurses (%s) is missing", NCURSES_LIBRARY);
		error_hint(err, "apt-get install libncursesw6");
		return NULL;
	}
	s->terminal = s->newterm(NULL, stdout, stdin);
	if (s->terminal == NULL) {
		error_set(err, MP_E_NOT_FOUND, "cannot draw on this terminal: TERM is %s%s",
		    terminal != NULL && *terminal != '\0' ? terminal : "not set",
		    ", which ncurses does not know");
		error_hint(err, "mpc top --once, or a TERM that this terminal is");
		return NULL;
	}
	if ((s->window = s->newwin(0, 0, 0, 0)) == NULL) {
		s->endwin();
		error_set(err, MP_E_INTERNAL, "cannot draw on this terminal: no memory");
		return NULL;
	}
	set_up(s, color);
	return s;
}

void
screen_close(struct screen *s)
{
	if (s == NULL)
		return;
	s->endwin();
	s->delscreen(s->terminal);
	*s = (struct screen){0};
}

void
screen_size(const struct screen *s, size_t *width, size_t *height)
{
	int x = s->getmaxx(s->window), y = s->getmaxy(s->window);

	*width = x > 0 ? (size_t)x : 0;
	*height = y > 0 ? (size_t)y : 0;
}

static int
attributes(const struct screen *s, enum style style)
{
	static const attr_t plain[STYLE_COUNT] = {[STYLE_BOLD] = A_BOLD,
	    [STYLE_DIM] = A_DIM,
	    [STYLE_BAD] = A_BOLD,
	    [STYLE_TITLE] = A_BOLD,
	    [STYLE_CHOSEN] = A_REVERSE};
	attr_t out = plain[style];

	if (s->color && style >= STYLE_GOOD && style <= STYLE_TITLE)
		out |= (attr_t)s->pair(style);
	return (int)out;
}

void
screen_draw(struct screen *s, const struct frame *f, int cursor_line, int cursor_column)
{
	s->werase(s->window);
	for (size_t i = 0; i < f->count; i++) {
		s->wmove(s->window, (int)i, 0);
		for (size_t k = 0; k < f->lines[i].count; k++) {
			const struct span *span = &f->lines[i].spans[k];

			s->wattrset(s->window, attributes(s, span->style));
			s->waddnstr(s->window, span->text, -1);
		}
	}
	s->wattrset(s->window, 0);
	s->curs_set(cursor_line >= 0);
	if (cursor_line >= 0)
		s->wmove(s->window, cursor_line, cursor_column);
	s->wrefresh(s->window);
}

int
screen_key(struct screen *s)
{
	wint_t c = 0;

	switch (s->wget_wch(s->window, &c)) {
	case ERR:
		return KEY_IS_NONE;
	case OK:
		return c == '\r' || c == '\n' ? KEY_IS_ENTER
		       : c == 27              ? KEY_IS_ESCAPE
		       : c == 8 || c == 127   ? KEY_IS_BACKSPACE
					      : (int)c;
	default:
		break;
	}
	switch (c) {
	case KEY_ENTER:
		return KEY_IS_ENTER;
	case KEY_BACKSPACE:
		return KEY_IS_BACKSPACE;
	case KEY_UP:
		return KEY_IS_UP;
	case KEY_DOWN:
		return KEY_IS_DOWN;
	case KEY_RESIZE:
		return KEY_IS_RESIZE;
	default:
		return KEY_IS_OTHER;
	}
}

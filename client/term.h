/* term.h - what belongs to a terminal: colours, glyphs, width, the spinner. */
#ifndef CLIENT_TERM_H
#define CLIENT_TERM_H

#include <stdbool.h>
#include <stdint.h>

struct app;

/* SGR sequences, or "" where stdout (err: stderr) shall have no colour. */
const char *sgr_out(const struct app *a, const char *code); /* "1", "2", "31"; "0" ends */
const char *sgr_err(const struct app *a, const char *code);

/* Glyphs by locale. */
const char *glyph_ok(const struct app *a);
const char *glyph_bad(const struct app *a);
const char *glyph_active(const struct app *a);
const char *glyph_arrow(const struct app *a);
const char *glyph_dash(const struct app *a);

/* Columns of the terminal on stdout (COLUMNS wins); 80 when unknown. */
unsigned term_width(void);
/* Lines of it; 0 when unknown. */
unsigned term_height(void);
int64_t term_now_ms(void);  /* monotonic */
int64_t term_wall_ms(void); /* since the epoch */

/* After 300 ms a glyph turns on stderr, after 2 s it says what it waits for. Silent without a
 * terminal. */
struct spinner {
	const struct app *a;
	const char *what;
	int64_t since_ms;
	int64_t drawn_ms; /* 0 = nothing is on the screen */
	unsigned turn;
};
void spinner_start(struct spinner *s, const struct app *a, const char *what);
void spinner_tick(struct spinner *s);
void spinner_stop(struct spinner *s);

#endif

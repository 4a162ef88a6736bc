#include "client/term.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "client/app.h"

static const char *
sgr(bool color, const char *code)
{
	static char text[4][16];
	static unsigned at;
	char *out = text[at++ % 4];

	if (!color)
		return "";
	snprintf(out, sizeof(text[0]), "\033[%sm", code);
	return out;
}

const char *
sgr_out(const struct app *a, const char *code)
{
	return sgr(a->out_color, code);
}

const char *
sgr_err(const struct app *a, const char *code)
{
	return sgr(a->err_color, code);
}

const char *
glyph_ok(const struct app *a)
{
	return a->utf8 ? "✓" : "ok";
}

const char *
glyph_bad(const struct app *a)
{
	return a->utf8 ? "✗" : "x";
}

const char *
glyph_active(const struct app *a)
{
	return a->utf8 ? "●" : "*";
}

const char *
glyph_arrow(const struct app *a)
{
	return a->utf8 ? "→" : "->";
}

const char *
glyph_dash(const struct app *a)
{
	return a->utf8 ? "—" : "-";
}

unsigned
term_width(void)
{
	const char *columns = getenv("COLUMNS");
	struct winsize ws;
	long n;

	if (columns != NULL && (n = strtol(columns, NULL, 10)) >= 20 && n <= 10000)
		return (unsigned)n;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_col >= 20)
		return ws.ws_col;
	return 80;
}

unsigned
term_height(void)
{
	struct winsize ws;

	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) == 0 ? ws.ws_row : 0;
}

static int64_t
clock_ms(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t
term_now_ms(void)
{
	return clock_ms(CLOCK_MONOTONIC);
}

int64_t
term_wall_ms(void)
{
	return clock_ms(CLOCK_REALTIME);
}

void
spinner_start(struct spinner *s, const struct app *a, const char *what)
{
	*s = (struct spinner){.a = a, .what = what, .since_ms = term_now_ms()};
}

void
spinner_tick(struct spinner *s)
{
	static const char *const round_utf8[] = {"⠋", "⠙", "⠸", "⠴", "⠦", "⠇"};
	static const char *const round_ascii[] = {"|", "/", "-", "\\", "|", "/"};
	int64_t now = term_now_ms(), waited = now - s->since_ms;

	if (!s->a->err_tty || s->a->quiet || waited < 300 || now - s->drawn_ms < 100)
		return;
	fprintf(stderr, "\r%s", (s->a->utf8 ? round_utf8 : round_ascii)[s->turn++ % 6]);
	if (waited >= 2000)
		fprintf(stderr, " %s, %lld s", s->what, (long long)(waited / 1000));
	fflush(stderr);
	s->drawn_ms = now;
}

void
spinner_stop(struct spinner *s)
{
	if (s->drawn_ms != 0) {
		fputs("\r\033[K", stderr);
		fflush(stderr);
		s->drawn_ms = 0;
	}
}

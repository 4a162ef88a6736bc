#include "client/answer.h"

#include <stdio.h>
#include <string.h>

#include "client/app.h"
#include "client/term.h"

void
answer_init(struct answer *w, struct app *a, bool raw)
{
	memset(w, 0, sizeof(*w));
	w->a = a;
	w->terminal = a->out_tty;
	w->rendered = a->out_tty && a->out_color && !raw;
	w->ends_line = true;
	markdown_init(&w->markdown, a->utf8);
}

void
answer_clear(struct answer *w)
{
	markdown_clear(&w->markdown);
}

static void
put(struct answer *w, const char *s, size_t n)
{
	if (n == 0)
		return;
	fwrite(s, 1, n, stdout);
	fflush(stdout);
	w->any = true;
	w->ends_line = s[n - 1] == '\n';
}

/* What the renderer still holds, with all colours off. */
static void
flush_rendered(struct answer *w)
{
	bool at_start = w->ends_line && w->markdown.held.len == 0;
	struct buf shown = BUF_INIT;

	markdown_end(&w->markdown, &shown);
	put(w, buf_str(&shown), shown.len);
	w->ends_line = at_start;
	buf_clear(&shown);
}

/* Without a terminal: newlines at the end wait until text follows them. */
static void
put_held(struct answer *w, struct slice text)
{
	size_t n = text.len;

	while (n > 0 && text.data[n - 1] == '\n')
		n--;
	if (n > 0) {
		for (; w->newlines > 0; w->newlines--)
			putchar('\n');
		put(w, text.data, n);
	}
	w->newlines += text.len - n;
}

static void
leave_reasoning(struct answer *w)
{
	if (!w->dimmed)
		return;
	w->dimmed = false;
	if (!w->terminal) {
		fputc('\n', stderr);
		return;
	}
	fputs(sgr_out(w->a, "0"), stdout);
	put(w, "\n\n", w->ends_line ? 1 : 2);
}

void
answer_text(struct answer *w, struct slice text)
{
	struct buf safe = BUF_INIT, shown = BUF_INIT;

	if (text.len == 0)
		return;
	leave_reasoning(w);
	w->any = true; /* even when all of it is held back for now */
	if (!w->terminal) {
		put_held(w, text);
		return;
	}
	text_escape(&safe, text.data, text.len, true);
	if (w->rendered) {
		markdown_feed(&w->markdown, buf_str(&safe), safe.len, &shown);
		put(w, buf_str(&shown), shown.len);
	} else {
		put(w, buf_str(&safe), safe.len);
	}
	buf_clear(&safe);
	buf_clear(&shown);
}

void
answer_reasoning(struct answer *w, struct slice text)
{
	struct buf safe = BUF_INIT;

	if (text.len == 0)
		return;
	text_escape(&safe, text.data, text.len, true);
	if (w->rendered && !w->dimmed && w->any) {
		flush_rendered(w); /* text that came before stays before */
		markdown_clear(&w->markdown);
		markdown_init(&w->markdown, w->a->utf8);
	}
	if (w->terminal) {
		if (!w->dimmed && !w->ends_line)
			put(w, "\n", 1);
		if (!w->dimmed)
			fputs(sgr_out(w->a, "2"), stdout);
		put(w, buf_str(&safe), safe.len);
	} else {
		fwrite(buf_str(&safe), 1, safe.len, stderr);
	}
	w->dimmed = true;
	buf_clear(&safe);
}

void
answer_end(struct answer *w)
{
	leave_reasoning(w);
	if (w->rendered && w->any)
		flush_rendered(w);
	if (w->any && (!w->terminal || !w->ends_line))
		putchar('\n');
	fflush(stdout);
}

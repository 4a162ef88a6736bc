#include "client/frame.h"

#include <stdlib.h>
#include <string.h>

#include "client/width.h"
#include "protocol/base/str.h"

void
frame_init(struct frame *f, size_t width, bool utf8)
{
	*f = (struct frame){.width = width, .utf8 = utf8};
}

void
frame_clear(struct frame *f)
{
	for (size_t i = 0; i < f->count; i++) {
		for (size_t k = 0; k < f->lines[i].count; k++)
			free(f->lines[i].spans[k].text);
		free(f->lines[i].spans);
	}
	free(f->lines);
	f->lines = NULL;
	f->count = 0;
}

void
frame_line(struct frame *f)
{
	f->lines = xrealloc(f->lines, (f->count + 1) * sizeof(*f->lines));
	f->lines[f->count++] = (struct frame_line){0};
}

/* Takes text. */
static void
put(struct frame_line *l, enum style style, char *text, size_t columns)
{
	l->spans = xrealloc(l->spans, (l->count + 1) * sizeof(*l->spans));
	l->spans[l->count++] = (struct span){style, text};
	l->used += columns;
}

static void
put_blanks(struct frame_line *l, enum style style, size_t n)
{
	char *blanks;

	if (n == 0)
		return;
	blanks = xcalloc(n + 1, 1);
	memset(blanks, ' ', n);
	put(l, style, blanks, n);
}

void
frame_add(struct frame *f, enum style style, const char *text)
{
	struct frame_line *l = &f->lines[f->count - 1];
	size_t left = f->width > l->used ? f->width - l->used : 0;
	char *fits;

	if (left == 0 || *text == '\0')
		return;
	fits = width_cut(text, left, f->utf8);
	put(l, style, fits, width_of(fits));
}

void
frame_cell(struct frame *f, enum style style, const char *text, size_t columns, bool right)
{
	struct frame_line *l = &f->lines[f->count - 1];
	size_t left = f->width > l->used ? f->width - l->used : 0, width;
	char *fits;

	if (columns > left)
		columns = left;
	fits = width_cut(text, columns, f->utf8);
	width = width_of(fits);
	if (right)
		put_blanks(l, style, columns - width);
	put(l, style, fits, width);
	if (!right)
		put_blanks(l, style, columns - width);
}

void
frame_append(struct frame *f, const struct frame *other, size_t from, size_t most)
{
	for (size_t i = from; i < other->count && i - from < most; i++) {
		frame_line(f);
		for (size_t k = 0; k < other->lines[i].count; k++)
			frame_add(f, other->lines[i].spans[k].style, other->lines[i].spans[k].text);
	}
}

/* Up to where a line says anything. */
static size_t
last_word(const struct frame_line *l)
{
	size_t n = l->count;

	while (n > 0 && l->spans[n - 1].style != STYLE_CHOSEN &&
	       strspn(l->spans[n - 1].text, " ") == strlen(l->spans[n - 1].text))
		n--;
	return n;
}

void
frame_print(const struct frame *f, FILE *out, bool color)
{
	static const char *const codes[STYLE_COUNT] = {"", "1", "2", "32", "33", "31", "1;36", "7"};

	for (size_t i = 0; i < f->count; i++) {
		const struct frame_line *l = &f->lines[i];
		size_t n = last_word(l);

		for (size_t k = 0; k < n; k++) {
			const struct span *s = &l->spans[k];

			if (color && *codes[s->style] != '\0')
				fprintf(out, "\033[%sm%s\033[0m", codes[s->style], s->text);
			else
				fputs(s->text, out);
		}
		putc('\n', out);
	}
}

#include "client/width.h"

#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>

#include "client/app.h"
#include "protocol/base/str.h"

void
width_use_locale(const struct app *a)
{
	if (setlocale(LC_CTYPE, "") == NULL ||
	    (a->utf8 && strcmp(nl_langinfo(CODESET), "UTF-8") != 0))
		setlocale(LC_CTYPE, "C.UTF-8");
}

/* The next character: how many bytes and columns it takes. A byte that is none counts as one
 * column. */
static size_t
step(const char *s, size_t left, mbstate_t *state, size_t *columns)
{
	wchar_t c;
	size_t n = mbrtowc(&c, s, left, state);
	int w;

	if (n == 0 || n > left) {
		*state = (mbstate_t){0};
		*columns = 1;
		return 1;
	}
	w = wcwidth(c);
	*columns = w > 0 ? (size_t)w : 0;
	return n;
}

size_t
width_of(const char *text)
{
	mbstate_t state = {0};
	size_t width = 0, left = strlen(text), columns;

	while (left > 0) {
		size_t n = step(text, left, &state, &columns);

		width += columns;
		text += n;
		left -= n;
	}
	return width;
}

size_t
width_fit(const char *text, size_t columns)
{
	mbstate_t state = {0};
	size_t used = 0, at = 0, left = strlen(text), w;

	while (left > 0) {
		size_t n = step(text + at, left, &state, &w);

		if (used + w > columns)
			break;
		used += w;
		at += n;
		left -= n;
	}
	return at;
}

char *
width_cut(const char *text, size_t columns, bool utf8)
{
	const char *mark = utf8 ? "…" : "~";
	size_t fits, size;
	char *out;

	if (width_of(text) <= columns)
		return xstrdup(text);
	fits = columns > 0 ? width_fit(text, columns - 1) : 0;
	size = fits + strlen(mark) + 1;
	out = xcalloc(size, 1);
	snprintf(out, size, "%.*s%s", (int)fits, text, columns > 0 ? mark : "");
	return out;
}

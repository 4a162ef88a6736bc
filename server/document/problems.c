#include "server/document/problems.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/buf.h"
#include "protocol/base/str.h"

#define MESSAGE_MAX_BYTES 1024

bool
problems_are_full(const struct problems *ps)
{
	return ps->count == PROBLEMS_MAX;
}

static void
keep(struct problems *ps, int line, int column, const char *text, size_t n)
{
	struct buf safe = BUF_INIT;

	text_escape(&safe, text, n < MESSAGE_MAX_BYTES ? n : MESSAGE_MAX_BYTES, false);
	ps->list[ps->count++] = (struct problem){ line, column, xstrdup(buf_str(&safe)) };
	buf_clear(&safe);
}

void
problem_add(struct problems *ps, int line, int column, const char *fmt, ...)
{
	struct buf text = BUF_INIT;
	va_list ap;

	if (problems_are_full(ps)) {
		ps->more++;
		return;
	}
	va_start(ap, fmt);
	buf_addv(&text, fmt, ap);
	va_end(ap);
	keep(ps, line, column, buf_str(&text), text.len);
	buf_clear(&text);
}

void
problem_add_error(struct problems *ps, int line, int column, const struct error *err)
{
	struct buf text = BUF_INIT;

	if (problems_are_full(ps)) {
		ps->more++;
		return;
	}
	buf_adds(&text, err->message);
	for (size_t i = 0; i < sizeof err->candidates / sizeof err->candidates[0]; i++)
		if (err->candidates[i][0] != '\0')
			buf_addf(&text, "%s%s", i == 0 ? "; did you mean " : " or ", err->candidates[i]);
	if (err->candidates[0][0] != '\0')
		buf_addc(&text, '?');
	else if (err->hint[0] != '\0')
		buf_addf(&text, " (%s)", err->hint);
	keep(ps, line, column, buf_str(&text), text.len);
	buf_clear(&text);
}

void
problems_sort(struct problems *ps)
{
	/* few, and nearly sorted already */
	for (size_t i = 1; i < ps->count; i++) {
		struct problem p = ps->list[i];
		size_t k = i;

		for (; k > 0; k--) {
			const struct problem *before = &ps->list[k - 1];

			if (before->line < p.line || (before->line == p.line && before->column <= p.column))
				break;
			ps->list[k] = *before;
		}
		ps->list[k] = p;
	}
}

void
problems_clear(struct problems *ps)
{
	for (size_t i = 0; i < ps->count; i++)
		free(ps->list[i].message);
	memset(ps, 0, sizeof *ps);
}

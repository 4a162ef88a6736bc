/* err.c - the error table, and filling in a story. */
#include "protocol/base/err.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "protocol/base/scan.h"

struct row {
	const char *code;
	int num;
	bool retryable;
	int exit_code;
};

static const struct row rows[] = {
#define ERROR(id, code, num, retryable, exit_code) { code, num, retryable, exit_code },
#include "protocol/base/errors.def"
#undef ERROR
};

enum row_number {
#define ERROR(id, code, num, retryable, exit_code) ROW_##id,
#include "protocol/base/errors.def"
#undef ERROR
};

#define DOTS "..."
/* Longer than any member: what does not fit here would be cut anyway. */
#define FORMATTED_MAX 1024

/* Escaping never shortens, so a text that fills FORMATTED_MAX is cut below in any case, and with it
 * a code point that vsnprintf may have split. */
static void
put_text(char *out, size_t size, const char *text)
{
	size_t left = strlen(text);
	size_t len = 0, cut = 0;
	char unit[TEXT_UNIT_MAX];

	while (left > 0) {
		size_t used = text_escape_unit(text, left, 0, unit);
		size_t n = strlen(unit);

		if (len + n >= size) {
			memcpy(out + cut, DOTS, sizeof DOTS);
			return;
		}
		memcpy(out + len, unit, n);
		len += n;
		if (len + sizeof DOTS <= size)
			cut = len;
		text += used;
		left -= used;
	}
	out[len] = '\0';
}

static void __attribute__((format(printf, 3, 0)))
put_format(char *out, size_t size, const char *fmt, va_list ap)
{
	char text[FORMATTED_MAX];

	if (vsnprintf(text, sizeof text, fmt, ap) < 0)
		text[0] = '\0';
	put_text(out, size, text);
}

/* The text is made before the old one goes: the arguments may point into it. */
static void __attribute__((format(printf, 4, 0)))
set(struct error *err, int code, const char *field, const char *fmt, va_list ap)
{
	struct error fresh = ERROR_INIT;

	fresh.code = code;
	put_format(fresh.message, sizeof fresh.message, fmt, ap);
	if (field != NULL)
		put_text(fresh.field, sizeof fresh.field, field);
	*err = fresh;
}

int
error_set(struct error *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (err == NULL)
		return code;
	va_start(ap, fmt);
	set(err, code, NULL, fmt, ap);
	va_end(ap);
	return code;
}

int
error_field(struct error *err, const char *field, const char *fmt, ...)
{
	va_list ap;

	if (err == NULL)
		return MP_E_INVALID_PARAMS;
	va_start(ap, fmt);
	set(err, MP_E_INVALID_PARAMS, field, fmt, ap);
	va_end(ap);
	return MP_E_INVALID_PARAMS;
}

void
error_hint(struct error *err, const char *fmt, ...)
{
	char hint[sizeof err->hint];
	va_list ap;

	if (err == NULL)
		return;
	va_start(ap, fmt);
	put_format(hint, sizeof hint, fmt, ap);
	va_end(ap);
	memcpy(err->hint, hint, sizeof hint);
}

void
error_candidate(struct error *err, const char *text)
{
	size_t i;

	if (err == NULL || text[0] == '\0')
		return;
	for (i = 0; i < sizeof err->candidates / sizeof err->candidates[0]; i++) {
		if (err->candidates[i][0] != '\0')
			continue;
		put_text(err->candidates[i], sizeof err->candidates[i], text);
		return;
	}
}

static const struct row *
find_row(int code)
{
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (-rows[i].num == code)
			return &rows[i];
	}
	return &rows[ROW_INTERNAL];
}

const char *
error_code(int code)
{
	return find_row(code)->code;
}

int
error_num(int code)
{
	return find_row(code)->num;
}

bool
error_retryable(int code)
{
	return find_row(code)->retryable;
}

int
error_exit_code(int code)
{
	return find_row(code)->exit_code;
}

int
error_from_code(const char *code)
{
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (strcmp(rows[i].code, code) == 0)
			return -rows[i].num;
	}
	return MP_E_INTERNAL;
}

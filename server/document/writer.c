#include "server/document/writer.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "protocol/base/str.h"

#define INDENT 2

void
writer_init(struct writer *w, struct buf *out, bool comments)
{
	*w = (struct writer){ .out = out, .comments = comments };
}

static void
indent(struct writer *w)
{
	for (unsigned i = 0; i < w->depth * INDENT; i++)
		buf_addc(w->out, ' ');
}

/* Words that YAML (1.1 or 1.2) takes for something else than text. */
static bool
is_reserved(const char *s)
{
	static const char *const words[] = { "null", "true", "false", "yes", "no", "on", "off", "y", "n" };

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strcasecmp(s, words[i]) == 0)
			return true;
	return false;
}

/* Whether a text may stand without quotes: more is quoted than must be, so that every reader of YAML
 * agrees. */
static bool
is_plain(const char *s)
{
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	if (strspn(s, LETTERS "/") == 0 || s[strspn(s, LETTERS "0123456789_./:@+- ")] != '\0' ||
	    is_reserved(s))
		return false;
	/* a blank stands between words, and ": " is something else */
	for (const char *c = s; *c != '\0'; c++)
		if ((*c == ' ' || *c == ':') && (c[1] == ' ' || c[1] == '\0'))
			return false;
	return true;
#undef LETTERS
}

/* The code point at *s, which is valid UTF-8, and *s behind it. */
static uint32_t
next_code_point(const char **s)
{
	const unsigned char *b = (const unsigned char *)*s;
	unsigned more = b[0] < 0x80 ? 0 : b[0] < 0xe0 ? 1 : b[0] < 0xf0 ? 2 : 3;
	uint32_t c = more == 0 ? b[0] : b[0] & (0x3fu >> more);

	for (unsigned i = 1; i <= more; i++)
		c = c << 6 | (b[i] & 0x3fu);
	*s += more + 1;
	return c;
}

/* What a reader would refuse, fold as a line break, or what could not be seen. */
static bool
must_be_escaped(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 || c == 0xfeff ||
	       c == 0xfffe || c == 0xffff;
}

/* A double-quoted scalar, which is JSON's string as well. */
static void
put_quoted(struct writer *w, const char *s)
{
	buf_addc(w->out, '"');
	while (*s != '\0') {
		const char *from = s;
		uint32_t c = next_code_point(&s);

		if (must_be_escaped(c)) {
			buf_addf(w->out, "\\u%04x", (unsigned)c);
			continue;
		}
		if (c == '"' || c == '\\')
			buf_addc(w->out, '\\');
		buf_add(w->out, from, (size_t)(s - from));
	}
	buf_addc(w->out, '"');
}

static void
put(struct writer *w, const char *s)
{
	struct buf repaired = BUF_INIT;

	if (is_plain(s)) {
		buf_adds(w->out, s);
		return;
	}
	utf8_repair(&repaired, s, strlen(s));
	put_quoted(w, buf_str(&repaired));
	buf_clear(&repaired);
}

static void
put_key(struct writer *w, const char *key)
{
	indent(w);
	put(w, key);
	buf_addc(w->out, ':');
}

void
write_comment(struct writer *w, const char *fmt, ...)
{
	va_list ap;

	if (!w->comments)
		return;
	indent(w);
	buf_adds(w->out, "# ");
	va_start(ap, fmt);
	buf_addv(w->out, fmt, ap);
	va_end(ap);
	buf_addc(w->out, '\n');
}

void
write_blank(struct writer *w)
{
	if (w->comments)
		buf_addc(w->out, '\n');
}

void
write_begin(struct writer *w, const char *key)
{
	put_key(w, key);
	buf_addc(w->out, '\n');
	w->depth++;
}

void
write_end(struct writer *w)
{
	w->depth--;
}

void
write_raw(struct writer *w, const char *key, const char *text)
{
	put_key(w, key);
	buf_addf(w->out, " %s\n", text);
}

void
write_commented(struct writer *w, const char *key, const char *text)
{
	indent(w);
	buf_addf(w->out, "#%s: %s\n", key, text);
}

void
write_empty_map(struct writer *w, const char *key)
{
	write_raw(w, key, "{}");
}

void
write_empty_list(struct writer *w, const char *key)
{
	write_raw(w, key, "[]");
}

void
write_text(struct writer *w, const char *key, const char *text)
{
	put_key(w, key);
	buf_addc(w->out, ' ');
	if (text != NULL)
		put(w, text);
	else
		buf_adds(w->out, "null");
	buf_addc(w->out, '\n');
}

void
write_int(struct writer *w, const char *key, int64_t v)
{
	put_key(w, key);
	buf_addf(w->out, " %" PRId64 "\n", v);
}

void
write_bool(struct writer *w, const char *key, bool v)
{
	write_raw(w, key, v ? "true" : "false");
}

void
write_item(struct writer *w, const char *text)
{
	indent(w);
	buf_adds(w->out, "- ");
	put(w, text);
	buf_addc(w->out, '\n');
}

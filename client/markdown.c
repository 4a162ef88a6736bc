#include "client/markdown.h"

#include <ctype.h>
#include <string.h>

#define BOLD "\033[1m"
#define BOLD_END "\033[22m"
#define DIM "\033[2m"
#define ITALIC "\033[3m"
#define ITALIC_END "\033[23m"
#define CODE "\033[36m"
#define CODE_END "\033[39m"

#define LINE_START_MAX 12 /* so many bytes decide what a line is, unless it may be a fence */

void
markdown_init(struct markdown *m, bool utf8)
{
	memset(m, 0, sizeof(*m));
	m->utf8 = utf8;
	m->ends = "";
}

void
markdown_clear(struct markdown *m)
{
	buf_clear(&m->held);
}

static void
emit(struct markdown *m, struct buf *out, size_t n)
{
	buf_add(out, m->held.data, n);
	if (n > 0)
		m->last = m->held.data[n - 1];
	buf_drain(&m->held, n);
}

/* The run of `c` at s. */
static size_t
run_of(const char *s, size_t n, char c)
{
	size_t i = 0;

	while (i < n && s[i] == c)
		i++;
	return i;
}

/* How many of the bytes at the start of the line are a fence's run; 0 = none. *indent: blanks
 * before it. */
static size_t
fence_at(const char *s, size_t n, char *c, size_t *indent)
{
	*indent = run_of(s, n, ' ');
	if (*indent > 3 || *indent == n || (s[*indent] != '`' && s[*indent] != '~'))
		return 0;
	*c = s[*indent];
	n = run_of(s + *indent, n - *indent, *c);
	return n >= 3 ? n : 0;
}

/* A code block's line, or its end. False: more of the line is needed. */
static bool
start_code_line(struct markdown *m, struct buf *out, size_t line, bool whole)
{
	char c = 0;
	size_t indent, run = fence_at(m->held.data, line, &c, &indent);
	size_t blanks = run_of(m->held.data, line, ' ');

	/* a line that begins like the closing fence is judged when it is whole */
	if (!whole && (blanks == line || (blanks <= 3 && m->held.data[blanks] == m->fence)))
		return false;
	if (whole && run >= m->fence_size && c == m->fence &&
	    indent + run + run_of(m->held.data + indent + run, line - indent - run, ' ') == line) {
		buf_drain(&m->held, line);
		m->fence = 0;
		buf_adds(out, "\033[22m");
		m->inside = true;
		return true;
	}
	if (line > 0)
		buf_adds(out, "  ");
	m->inside = true;
	return true;
}

/* The opening line of a code block: only its language is worth showing. */
static void
open_fence(struct markdown *m, struct buf *out, size_t line, size_t run, size_t indent, char c)
{
	m->fence = c;
	m->fence_size = run;
	buf_adds(out, DIM);
	buf_drain(&m->held, indent + run);
	emit(m, out, line - indent - run);
	m->inside = true;
}

/* "- ", "* ", "+ " become a dot; the text after it goes on as usual. */
static bool
bullet(struct markdown *m, struct buf *out, size_t blanks, size_t line)
{
	char c = blanks < line ? m->held.data[blanks] : 0;

	if (blanks + 1 >= line || (c != '-' && c != '*' && c != '+') ||
	    m->held.data[blanks + 1] != ' ')
		return false;
	emit(m, out, blanks);
	buf_adds(out, m->utf8 ? "•" : "*");
	buf_drain(&m->held, 1);
	m->last = ' ';
	return true;
}

static bool
start_line(struct markdown *m, struct buf *out, bool end)
{
	const char *newline = memchr(m->held.data, '\n', m->held.len);
	size_t line = newline != NULL ? (size_t)(newline - m->held.data) : m->held.len;
	bool whole = newline != NULL || end;
	size_t indent, run, blanks = run_of(m->held.data, line, ' ');
	char c = 0;

	if (m->fence != 0)
		return start_code_line(m, out, line, whole);
	run = fence_at(m->held.data, line, &c, &indent);
	if (!whole && (line < LINE_START_MAX || run > 0) &&
	    (line - blanks < 3 || run > 0 || strchr("#`~", m->held.data[blanks]) != NULL))
		return false;
	m->inside = true;
	/* backticks later in the line: inline code that merely begins the line */
	if (run > 0 &&
	    (c == '~' || memchr(m->held.data + indent + run, '`', line - indent - run) == NULL)) {
		open_fence(m, out, line, run, indent, c);
		return true;
	}
	run = run_of(m->held.data, line, '#');
	if (run >= 1 && run <= 6 && run < line && m->held.data[run] == ' ') {
		buf_drain(&m->held, run + 1);
		buf_adds(out, BOLD);
		m->ends = BOLD_END;
		return true;
	}
	bullet(m, out, blanks, line);
	return true;
}

static bool
is_word(char c)
{
	return isalnum((unsigned char)c) || ((unsigned char)c & 0x80) != 0;
}

/* The first place of the marker (n times c, not more) that can close a span; SIZE_MAX = none. */
static size_t
find_close(const char *s, size_t from, size_t end, char c, size_t n)
{
	for (size_t i = from; i < end; i++) {
		size_t run;

		if (s[i] != c)
			continue;
		run = run_of(s + i, end - i, c);
		if (run == n &&
		    (c == '`' || (s[i - 1] != ' ' && (i + n == end || !is_word(s[i + n])))))
			return i;
		i += run - 1;
	}
	return (size_t)-1;
}

/* A marker at the start of held. False: more text is needed to know. */
static bool
span(struct markdown *m, struct buf *out, size_t line, bool whole)
{
	char c = m->held.data[0];
	size_t n = run_of(m->held.data, line, c), at;
	const char *begin = c == '`' ? CODE : n == 2 ? BOLD : ITALIC;
	const char *finish = c == '`' ? CODE_END : n == 2 ? BOLD_END : ITALIC_END;

	if (!whole && n == line)
		return false; /* the run may go on */
	if ((c != '`' && (n > 2 || is_word(m->last) || n == line || m->held.data[n] == ' ')) ||
	    n == line) {
		emit(m, out, n);
		return true;
	}
	at = find_close(m->held.data, n + 1 <= line ? n + 1 : line, line, c, n);
	/* a closing run at the very end may still grow */
	if (!whole && (at == (size_t)-1 || at + n == line))
		return false;
	if (at == (size_t)-1) {
		emit(m, out, n);
		return true;
	}
	buf_adds(out, begin);
	buf_drain(&m->held, n);
	emit(m, out, at - n);
	buf_drain(&m->held, n);
	/* inside a heading everything is bold already and must stay so */
	buf_adds(out, *m->ends != '\0' && n == 2 && c != '`' ? "" : finish);
	m->last = c;
	return true;
}

/* Text of a line whose start is done. False: nothing more can be printed now. */
static bool
inside_line(struct markdown *m, struct buf *out, bool end)
{
	const char *newline = memchr(m->held.data, '\n', m->held.len);
	size_t line = newline != NULL ? (size_t)(newline - m->held.data) : m->held.len;
	size_t plain = 0;

	if (line == 0 && newline != NULL) {
		buf_adds(out, m->ends);
		m->ends = "";
		emit(m, out, 1);
		m->inside = false;
		m->last = 0;
		return m->held.len > 0;
	}
	if (m->fence != 0) {
		emit(m, out, line);
		return m->held.len > 0;
	}
	while (plain < line && strchr("*_`", m->held.data[plain]) == NULL)
		plain++;
	if (plain > 0) {
		emit(m, out, plain);
		return m->held.len > 0;
	}
	return span(m, out, line, newline != NULL || end) && m->held.len > 0;
}

static void
advance(struct markdown *m, struct buf *out, bool end)
{
	while (m->held.len > 0)
		if (!(m->inside ? inside_line(m, out, end) : start_line(m, out, end)))
			break;
}

void
markdown_feed(struct markdown *m, const char *s, size_t n, struct buf *out)
{
	buf_add(&m->held, s, n);
	advance(m, out, false);
}

void
markdown_end(struct markdown *m, struct buf *out)
{
	advance(m, out, true);
	buf_add(out, buf_str(&m->held), m->held.len);
	buf_reset(&m->held, 0);
	buf_adds(out, "\033[0m");
}

#include "server/upstream/sse.h"

#include <string.h>

#include "protocol/base/err.h"

#define KEEP_BYTES ((size_t)64 << 10)

typedef bool (*event_fn)(void *arg, struct slice event, struct slice data);

void
sse_init(struct sse *s)
{
	memset(s, 0, sizeof *s);
	buf_init(&s->line, SSE_LINE_MAX);
	buf_init(&s->data, SSE_EVENT_MAX);
	buf_init(&s->event, SSE_LINE_MAX);
}

void
sse_clear(struct sse *s)
{
	buf_clear(&s->line);
	buf_clear(&s->data);
	buf_clear(&s->event);
}

/* One field of an event. `id` and `retry` are for browsers that reconnect: we never do. */
static int
sse_field(struct sse *s, struct slice name, struct slice value)
{
	if (slice_eq(name, "data")) {
		if (s->has_data && buf_addc(&s->data, '\n') != 0)
			return MP_E_TOO_LARGE;
		s->has_data = true;
		if (buf_add(&s->data, value.data, value.len) != 0)
			return MP_E_TOO_LARGE;
	} else if (slice_eq(name, "event")) {
		buf_reset(&s->event, KEEP_BYTES);
		if (buf_add(&s->event, value.data, value.len) != 0)
			return MP_E_TOO_LARGE;
	}
	return 0;
}

/* A blank line, or the end of the bytes: hands the event over. *more is what the owner answered. */
static void
sse_dispatch(struct sse *s, bool *more, event_fn on_event, void *arg)
{
	struct slice event = { s->event.data, s->event.len };
	struct slice data = { s->data.data, s->data.len };

	*more = true;
	if (s->has_data && data.len > 0)
		*more = on_event(arg, event, data);
	buf_reset(&s->event, KEEP_BYTES);
	buf_reset(&s->data, KEEP_BYTES);
	s->has_data = false;
}

static int
sse_line(struct sse *s, struct slice line, bool *more, event_fn on_event, void *arg)
{
	struct slice name, value = { NULL, 0 };
	const char *colon;

	*more = true;
	if (line.len > SSE_LINE_MAX)
		return MP_E_TOO_LARGE;
	if (line.len == 0) {
		sse_dispatch(s, more, on_event, arg);
		return 0;
	}
	colon = memchr(line.data, ':', line.len);
	if (colon == line.data)
		return 0; /* a comment */
	name = line;
	if (colon != NULL) {
		name.len = (size_t)(colon - line.data);
		value.data = colon + 1;
		value.len = line.len - name.len - 1;
		if (value.len > 0 && value.data[0] == ' ') {
			value.data++;
			value.len--;
		}
	}
	return sse_field(s, name, value);
}

/* The byte order mark may be cut too. Returns how many bytes it took; what turned out to be no mark
 * goes into the line. */
static size_t
sse_bom(struct sse *s, const char *bytes, size_t n)
{
	static const char mark[] = "\xef\xbb\xbf";
	size_t i = 0;

	while (i < n && !s->bom_done) {
		if (bytes[i] != mark[s->bom_seen]) {
			(void)buf_add(&s->line, mark, s->bom_seen);
			s->bom_done = true;
			break;
		}
		i++;
		if (++s->bom_seen == 3)
			s->bom_done = true;
	}
	return i;
}

/* The first CR or LF at or after p. lf remembers the next LF, so that every byte is searched once. */
static const char *
line_end(const char *p, const char *end, const char **lf)
{
	const char *cr;

	if (*lf == NULL || *lf < p) {
		*lf = memchr(p, '\n', (size_t)(end - p));
		if (*lf == NULL)
			*lf = end;
	}
	cr = memchr(p, '\r', (size_t)(*lf - p));
	if (cr != NULL)
		return cr;
	return *lf == end ? NULL : *lf;
}

int
sse_feed(struct sse *s, const char *bytes, size_t n, size_t *used, event_fn on_event, void *arg)
{
	const char *p = bytes, *end = bytes + n, *lf = NULL, *eol;
	struct slice line;
	bool more = true;
	int r;

	*used = 0;
	if (n == 0)
		return 0;
	if (!s->bom_done)
		p += sse_bom(s, p, n);
	while (more && p < end) {
		if (s->after_cr) {
			s->after_cr = false;
			if (*p == '\n') {
				p++;
				continue;
			}
		}
		eol = line_end(p, end, &lf);
		if (eol == NULL) {
			if (buf_add(&s->line, p, (size_t)(end - p)) != 0)
				return MP_E_TOO_LARGE;
			p = end;
			break;
		}
		line = (struct slice){ p, (size_t)(eol - p) };
		if (s->line.len > 0) {
			if (buf_add(&s->line, p, line.len) != 0)
				return MP_E_TOO_LARGE;
			line = (struct slice){ s->line.data, s->line.len };
		}
		s->after_cr = *eol == '\r';
		p = eol + 1;
		r = sse_line(s, line, &more, on_event, arg);
		buf_reset(&s->line, KEEP_BYTES);
		if (r != 0)
			return r;
	}
	/* A paused owner feeds the rest later: an LF that belongs to the last CR is taken with it. */
	*used = (size_t)(p - bytes);
	return 0;
}

int
sse_end(struct sse *s, event_fn on_event, void *arg)
{
	bool more = true;
	int r = 0;

	if (s->line.len > 0)
		r = sse_line(s, (struct slice){ s->line.data, s->line.len }, &more, on_event, arg);
	buf_reset(&s->line, KEEP_BYTES);
	if (r == 0)
		sse_dispatch(s, &more, on_event, arg);
	return r;
}

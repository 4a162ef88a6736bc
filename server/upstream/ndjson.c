#include "server/upstream/ndjson.h"

#include <string.h>

#include "protocol/base/err.h"

#define KEEP_BYTES ((size_t)64 << 10)

void
ndjson_init(struct ndjson *n)
{
	/* one more byte than a line: the CR of a CRLF that has not ended yet */
	buf_init(&n->line, NDJSON_LINE_MAX + 1);
}

void
ndjson_clear(struct ndjson *n)
{
	buf_clear(&n->line);
}

static bool
is_blank(struct slice s)
{
	size_t i;

	for (i = 0; i < s.len; i++) {
		if (s.data[i] != ' ' && s.data[i] != '\t')
			return false;
	}
	return true;
}

static int
ndjson_line(struct slice line, bool *more, bool (*on_line)(void *arg, struct slice line), void *arg)
{
	*more = true;
	if (line.len > 0 && line.data[line.len - 1] == '\r')
		line.len--;
	if (line.len > NDJSON_LINE_MAX)
		return MP_E_TOO_LARGE;
	if (!is_blank(line))
		*more = on_line(arg, line);
	return 0;
}

int
ndjson_feed(struct ndjson *n, const char *bytes, size_t len, size_t *used,
    bool (*on_line)(void *arg, struct slice line), void *arg)
{
	const char *p = bytes, *end = bytes + len, *lf;
	struct slice line;
	bool more = true;
	int r;

	*used = 0;
	while (more && p < end) {
		lf = memchr(p, '\n', (size_t)(end - p));
		if (lf == NULL) {
			if (buf_add(&n->line, p, (size_t)(end - p)) != 0)
				return MP_E_TOO_LARGE;
			p = end;
			break;
		}
		line = (struct slice){ p, (size_t)(lf - p) };
		if (n->line.len > 0) {
			if (buf_add(&n->line, p, line.len) != 0)
				return MP_E_TOO_LARGE;
			line = (struct slice){ n->line.data, n->line.len };
		}
		p = lf + 1;
		r = ndjson_line(line, &more, on_line, arg);
		buf_reset(&n->line, KEEP_BYTES);
		if (r != 0)
			return r;
	}
	*used = (size_t)(p - bytes);
	return 0;
}

int
ndjson_end(struct ndjson *n, bool (*on_line)(void *arg, struct slice line), void *arg)
{
	bool more;
	int r = 0;

	if (n->line.len > 0)
		r = ndjson_line((struct slice){ n->line.data, n->line.len }, &more, on_line, arg);
	buf_reset(&n->line, KEEP_BYTES);
	return r;
}

/* fuzz_sse.c - a stream cut anywhere, and paused anywhere, gives what the whole gives. The first two bytes
 * decide about cuts and pauses, the rest is the stream. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/err.h"
#include "server/upstream/ndjson.h"
#include "server/upstream/sse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	struct buf text;
	unsigned events, pause_every;
};

static bool
more(struct seen *s)
{
	s->events++;
	return s->pause_every == 0 || s->events % s->pause_every != 0;
}

static bool
on_event(void *arg, struct slice event, struct slice data)
{
	struct seen *s = arg;

	if (data.len == 0)
		abort();
	buf_add(&s->text, event.data, event.len);
	buf_addc(&s->text, '\0');
	buf_add(&s->text, data.data, data.len);
	buf_addc(&s->text, '\0');
	return more(s);
}

static bool
on_line(void *arg, struct slice line)
{
	struct seen *s = arg;

	if (line.len == 0 || memchr(line.data, '\n', line.len) != NULL)
		abort();
	buf_add(&s->text, line.data, line.len);
	buf_addc(&s->text, '\0');
	return more(s);
}

/* Pieces of 1..step bytes, each in memory of its own size. */
static int
parse(bool lines, const char *bytes, size_t n, size_t step, unsigned pause_every, struct seen *s)
{
	struct ndjson nd;
	struct sse sse;
	size_t at = 0, used;
	int r = 0;

	memset(s, 0, sizeof *s);
	s->pause_every = pause_every;
	sse_init(&sse);
	ndjson_init(&nd);
	while (r == 0 && at < n) {
		size_t len = n - at < step ? n - at : step;
		char *piece = malloc(len);

		memcpy(piece, bytes + at, len);
		r = lines ? ndjson_feed(&nd, piece, len, &used, on_line, s)
		          : sse_feed(&sse, piece, len, &used, on_event, s);
		free(piece);
		if (r == 0 && (used == 0 || used > len))
			abort();
		at += used;
	}
	if (r == 0)
		r = lines ? ndjson_end(&nd, on_line, s) : sse_end(&sse, on_event, s);
	sse_clear(&sse);
	ndjson_clear(&nd);
	return r;
}

static void
compare(bool lines, const char *bytes, size_t n, size_t step, unsigned pause_every)
{
	struct seen whole, cut;
	int r1 = parse(lines, bytes, n, n + 1, 0, &whole);
	int r2 = parse(lines, bytes, n, step, pause_every, &cut);

	if (r1 != r2)
		abort();
	if (r1 == 0 && (whole.text.len != cut.text.len || (whole.text.len > 0 &&
	        memcmp(whole.text.data, cut.text.data, cut.text.len) != 0)))
		abort();
	buf_clear(&whole.text);
	buf_clear(&cut.text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t step;
	unsigned pause_every;

	if (size < 2)
		return 0;
	step = (size_t)data[0] + 1;
	pause_every = data[1] % 4;
	compare(false, (const char *)data + 2, size - 2, step, pause_every);
	compare(true, (const char *)data + 2, size - 2, step, pause_every);
	return 0;
}

#include "server/base/log_ring.h"

#include <stdlib.h>

#include "protocol/base/str.h"

struct kept {
	int64_t at_ms;
	enum log_level level;
	char *text;
};

static struct kept ring[LOG_RING_LINES];
static size_t next_line, lines;

void
log_ring_add(enum log_level level, int64_t at_ms, const char *text, size_t n)
{
	struct kept *k = &ring[next_line];

	free(k->text);
	*k = (struct kept){ at_ms, level, slice_dup((struct slice){ text, n }) };
	next_line = (next_line + 1) % LOG_RING_LINES;
	if (lines < LOG_RING_LINES)
		lines++;
}

void
log_ring_clear(void)
{
	for (size_t i = 0; i < LOG_RING_LINES; i++) {
		free(ring[i].text);
		ring[i].text = NULL;
	}
	next_line = lines = 0;
}

/* back = 1 is the newest line. */
static const struct kept *
line_back(size_t back)
{
	return &ring[(next_line + LOG_RING_LINES - back) % LOG_RING_LINES];
}

void
log_recent(enum log_level at_most, int64_t since_ms, size_t limit,
    void (*each)(void *arg, const struct log_line *line), void *arg)
{
	size_t back = 0, wanted = 0;

	/* the newest `limit` that fit, told from the oldest of them on */
	while (back < lines && wanted < limit) {
		const struct kept *k = line_back(++back);

		wanted += k->level <= at_most && k->at_ms >= since_ms;
	}
	for (; back > 0; back--) {
		const struct kept *k = line_back(back);
		struct log_line line = { k->at_ms, k->level, k->text };

		if (k->level <= at_most && k->at_ms >= since_ms)
			each(arg, &line);
	}
}

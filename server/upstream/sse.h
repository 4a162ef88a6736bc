/* sse.h - server-sent events, for every legal and many an illegal way to cut them
 * (WHATWG HTML section 9.2.6; providers/mapping.md section 11).
 *
 * Takes any split of the bytes, looks back no further than one event. LF, CR and CRLF; one BOM at the
 * start; comments and unknown fields skipped; data lines joined with LF; an event with empty data or
 * none is not delivered; an event at the end without its blank line is. */
#ifndef SERVER_UPSTREAM_SSE_H
#define SERVER_UPSTREAM_SSE_H

#include <stdbool.h>
#include <stddef.h>

#include "protocol/base/buf.h"
#include "protocol/base/str.h"

#define SSE_LINE_MAX ((size_t)1 << 20)
#define SSE_EVENT_MAX ((size_t)16 << 20)

struct sse {
	struct buf line;  /* an unfinished line */
	struct buf data;  /* data of the unfinished event */
	struct buf event; /* its name */
	bool has_data;
	bool after_cr;
	bool bom_done;
	unsigned bom_seen;
};

void sse_init(struct sse *s);
void sse_clear(struct sse *s);
/* Calls on_event for each whole event: name (may be empty) and data, borrowed. When it returns false the
 * parser stops there and *used says how many bytes it took (feed the rest later): this is how a
 * paused reader keeps its place. 0, or MP_E_TOO_LARGE for a line or event over the ceiling. */
int sse_feed(struct sse *s, const char *bytes, size_t n, size_t *used,
    bool (*on_event)(void *arg, struct slice event, struct slice data), void *arg);
/* The bytes are over: delivers an event that lacks its blank line. */
int sse_end(struct sse *s, bool (*on_event)(void *arg, struct slice event, struct slice data),
    void *arg);

#endif

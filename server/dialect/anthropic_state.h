/* anthropic_state.h - one answer of the messages API while it is read.
 *
 * anthropic_decode.c reads events and replies, anthropic_content.c the blocks of content. */
#ifndef SERVER_DIALECT_ANTHROPIC_STATE_H
#define SERVER_DIALECT_ANTHROPIC_STATE_H

#include "server/dialect/anthropic.h"
#include "server/dialect/anthropic_usage.h"
#include "server/dialect/foreign.h"

enum content_kind {
	CONTENT_TEXT,
	CONTENT_THINKING,
	CONTENT_REDACTED,
	CONTENT_TOOL,
	CONTENT_OTHER, /* the server's own tools and what comes later: skipped */
};

/* A block that is open; a tool call stays until it is told to be whole. */
struct content {
	enum content_kind kind;
	int64_t index;      /* the provider's number */
	bool open;
	uint32_t surrogate; /* a pending half of a pair */
	struct buf text;    /* TOOL: arguments; THINKING, REDACTED: signature */
	char *name;         /* TOOL; NULL = it came without, and was dropped */
	unsigned call;      /* TOOL: its public number */
	bool ended;         /* TOOL: EVENT_TOOL_END is out */
};

/* A tool whose name had to be changed on its way out. */
struct anthropic_rename {
	char *sent, *real;
};

struct anthropic_state {
	struct foreign in;
	struct buf text;     /* scratch for one piece */
	struct content *contents;
	unsigned content_count;
	unsigned call_count;
	struct anthropic_rename *renames;
	size_t rename_count;
	struct anthropic_counts counts;
	bool started, over, said_anything;
	bool finish_seen;
	enum stop_reason stop;
	uint64_t seed; /* for ids of calls that came without */
};

void anthropic_begin(void *state, const struct chat_request *chat, const struct dialect_target *to);
void anthropic_frame(void *state, const struct frame *f, const struct event_sink *sink);
void anthropic_body(void *state, struct slice json, const struct event_sink *sink);
void anthropic_end(void *state, const struct event_sink *sink);
void anthropic_told(const void *state, struct usage *out);
void anthropic_clear(void *state);

/* A block begins. whole: it is all there (a reply), not to be filled by deltas. False when there are more
 * than we carry. */
bool anthropic_content_begin(struct anthropic_state *s, int64_t index, uint32_t block, bool whole,
    const struct event_sink *sink);
bool anthropic_content_delta(struct anthropic_state *s, int64_t index, uint32_t delta,
    const struct event_sink *sink);
void anthropic_content_stop(struct anthropic_state *s, int64_t index, const struct event_sink *sink);
/* Half pairs at the end of what is open. */
void anthropic_content_flush(struct anthropic_state *s, const struct event_sink *sink);
/* The answer is whole. False when its end cut a call off, which then gets no EVENT_TOOL_END. */
bool anthropic_content_end(struct anthropic_state *s, const struct event_sink *sink);
void anthropic_content_clear(struct anthropic_state *s);

#endif

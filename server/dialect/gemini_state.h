/* gemini_state.h - one answer of generateContent while it is read.
 *
 * gemini_decode.c reads chunks and replies, gemini_parts.c the parts in them. */
#ifndef SERVER_DIALECT_GEMINI_STATE_H
#define SERVER_DIALECT_GEMINI_STATE_H

#include "server/dialect/dialect.h"
#include "server/dialect/foreign.h"

struct gemini_state {
	struct foreign in;
	struct buf text;     /* scratch for one piece */
	uint32_t text_surrogate, reasoning_surrogate;
	bool started;
	bool over;           /* FINISH or ERROR is out */
	bool said_anything;  /* text or a call came */
	bool reasoning_open; /* thoughts that no REASONING_END closed yet */
	bool part_told;
	bool finish_seen;
	enum stop_reason stop;
	struct usage usage;
	bool usage_seen;
	unsigned call_count;
	uint64_t seed;       /* for ids of calls that came without */
	char **renamed;      /* the user's names of tools that do not fit; NULL-terminated */
};

void gemini_begin(void *state, const struct chat_request *chat, const struct dialect_target *to);
void gemini_frame(void *state, const struct frame *f, const struct event_sink *sink);
void gemini_body(void *state, struct slice json, const struct event_sink *sink);
void gemini_end(void *state, const struct event_sink *sink);
void gemini_told(const void *state, struct usage *out);
void gemini_clear(void *state);

/* One part of the answer. False when the answer ended with an error there. */
bool gemini_part(struct gemini_state *s, uint32_t part, const struct event_sink *sink);
/* No more of what is open: thoughts get their end, halves of pairs become U+FFFD. */
void gemini_close(struct gemini_state *s, const struct event_sink *sink);
void gemini_fail_protocol(struct gemini_state *s, const char *kind, const char *message,
    const struct event_sink *sink);

#endif

/* openai_chat_state.h - one answer of a chat completion while it is read.
 *
 * openai_chat_decode.c reads chunks and replies, openai_chat_calls.c puts tool calls together,
 * openai_chat_reasoning.c keeps what goes back. */
#ifndef SERVER_DIALECT_OPENAI_CHAT_STATE_H
#define SERVER_DIALECT_OPENAI_CHAT_STATE_H

#include "server/dialect/dialect.h"
#include "server/dialect/openai_chat.h"
#include "server/dialect/foreign.h"

/* A tool call in pieces. Its name may come after its first arguments: then these wait. */
struct openai_call {
	int64_t index; /* the provider's number; -1 = it sent none */
	char *id;      /* NULL until known */
	char *name;
	struct buf arguments;
	uint32_t surrogate; /* a pending half of a pair */
	bool announced;     /* EVENT_TOOL_CALL is out */
	bool ended;
};

struct openai_chat_state {
	enum openai_flavour flavour; /* OTHER for a recorded answer */
	struct foreign in;
	struct buf text;     /* scratch for one piece */
	struct buf details;  /* reasoning_details, a JSON array not closed yet */
	uint32_t text_surrogate, reasoning_surrogate, refusal_surrogate;
	bool started;
	bool over;          /* FINISH or ERROR is out */
	bool said_anything; /* text, reasoning or a call came */
	bool finish_seen;
	bool error_finish;  /* finish_reason "error" */
	enum stop_reason stop;
	struct usage usage;
	bool usage_seen;
	struct openai_call *calls;
	unsigned call_count;
	uint64_t seed; /* for ids of calls that came without */
};

void openai_chat_begin(void *state, const struct chat_request *chat,
    const struct dialect_target *to);
void openai_chat_frame(void *state, const struct frame *f, const struct event_sink *sink);
void openai_chat_body(void *state, struct slice json, const struct event_sink *sink);
void openai_chat_end(void *state, const struct event_sink *sink);
void openai_chat_told(const void *state, struct usage *out);
void openai_chat_clear(void *state);

/* "tool_calls" of a delta or message. False when there are more than we carry. */
bool openai_calls_take(struct openai_chat_state *s, uint32_t list, const struct event_sink *sink);
/* The legacy "function_call". */
void openai_calls_take_legacy(struct openai_chat_state *s, uint32_t call,
    const struct event_sink *sink);
/* The answer is whole: ends the calls. False when the end cut a call off, which
 * then gets no EVENT_TOOL_END. */
bool openai_calls_end(struct openai_chat_state *s, enum stop_reason stop,
    const struct event_sink *sink);
void openai_calls_clear(struct openai_chat_state *s);

/* "reasoning_details" of a delta or message: kept when they are OpenRouter's. */
void openai_details_take(struct openai_chat_state *s, uint32_t list);
/* The answer is whole: what was kept, as the signature of its reasoning. */
void openai_details_end(struct openai_chat_state *s, const struct event_sink *sink);

/* A usage object; counts that cannot be true are left unknown. */
bool openai_usage_read(const struct json *j, uint32_t at, struct usage *out);

#endif

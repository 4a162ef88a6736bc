/* openai_responses.h - what the files of the openai-responses dialect share
 * (providers/openai-responses.md).
 *
 * Stateless: the whole history goes along each time and nothing is stored. Reasoning goes back to
 * the model it came from as the encrypted content it gave us. Errors, models and limits are those
 * of openai-chat. */
#ifndef SERVER_DIALECT_OPENAI_RESPONSES_H
#define SERVER_DIALECT_OPENAI_RESPONSES_H

#include "server/dialect/extra.h"
#include "server/dialect/foreign.h"
#include "server/dialect/openai_chat.h"

enum output_kind {
	OUTPUT_OTHER, /* a hosted tool at work, or something newer than we are */
	OUTPUT_MESSAGE,
	OUTPUT_REASONING,
	OUTPUT_CALL,
};

/* One item of the answer while it is read. */
struct output_item {
	enum output_kind kind;
	int64_t index;      /* the provider's; -1 = it sent none */
	char *id;           /* the item's; NULL = none */
	char *call_id, *name;
	struct buf arguments;
	uint32_t surrogate; /* a pending half of a pair */
	bool refusal;       /* and it belongs to a refusal */
	bool said;          /* its text came in pieces: the whole at its end says nothing new */
	bool by_summary;    /* reasoning: the pieces are of the summary */
	bool announced;     /* EVENT_TOOL_CALL is out, with this number: */
	unsigned number;
	bool ended;
};

struct openai_responses_state {
	struct foreign in;
	struct json failed;   /* the response object of a failure, by itself */
	struct buf text;      /* scratch for one piece */
	struct output_item *items;
	unsigned item_count;
	unsigned calls;       /* announced so far */
	bool started;
	bool over;            /* FINISH or ERROR is out */
	bool too_many;
	enum openai_flavour flavour;
	struct usage usage;   /* as far as it was told */
	uint64_t seed;        /* for ids of calls that came without */
};

int openai_responses_encode(const struct chat_request *chat, const struct dialect_target *to,
    struct wire_request *out, const struct event_sink *sink, struct error *err);
/* The members "instructions" and "input". */
int openai_responses_input(struct json_writer *w, const struct chat_request *chat,
    const struct dialect_target *to, const struct event_sink *sink, struct error *err);

void openai_responses_begin(void *state, const struct chat_request *chat,
    const struct dialect_target *to);
void openai_responses_frame(void *state, const struct frame *f, const struct event_sink *sink);
void openai_responses_body(void *state, struct slice json, const struct event_sink *sink);
void openai_responses_end(void *state, const struct event_sink *sink);
void openai_responses_told(const void *state, struct usage *out);
void openai_responses_clear(void *state);

/* Tokens into s->in.json. `event` is the event (it says which item is meant), `item` an item. */
void output_added(struct openai_responses_state *s, uint32_t event, uint32_t item,
    const struct event_sink *sink);
void output_text(struct openai_responses_state *s, uint32_t event, bool refusal,
    const struct event_sink *sink);
void output_reasoning(struct openai_responses_state *s, uint32_t event, bool summary,
    const struct event_sink *sink);
/* A further part of a summary begins: a blank line before it. */
void output_summary_part(struct openai_responses_state *s, uint32_t event,
    const struct event_sink *sink);
void output_arguments(struct openai_responses_state *s, uint32_t event,
    const struct event_sink *sink);
void output_done(struct openai_responses_state *s, uint32_t event, uint32_t item,
    const struct event_sink *sink);
/* The answer is over: what is still open ends. False when that cut a call off, which then gets no
 * EVENT_TOOL_END. */
bool output_finish(struct openai_responses_state *s, bool whole, const struct event_sink *sink);
void output_clear(struct openai_responses_state *s);

#endif

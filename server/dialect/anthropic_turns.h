/* anthropic_turns.h - the history as Claude wants it: turns of user and assistant that alternate, the user
 * first, and every tool call answered at the head of the turn after it.
 *
 * Built from the chat before anything is written, because what may be asked for (reasoning, for one)
 * depends on how the history ends. Borrows the chat. */
#ifndef SERVER_DIALECT_ANTHROPIC_TURNS_H
#define SERVER_DIALECT_ANTHROPIC_TURNS_H

#include "server/dialect/anthropic.h"

enum block_kind {
	BLOCK_PART,        /* as the chat has it */
	BLOCK_INSTRUCTION, /* a system text in the middle of the history */
	BLOCK_EMPTY,       /* stands for a message that has nothing to send */
	BLOCK_CONTINUE,    /* stands for the user who did not begin */
};

struct block {
	enum block_kind kind;
	const struct part *part;   /* NULL where it stands for nothing of the chat */
	const struct part *result; /* of a tool call; NULL = missing */
	char *call_id;             /* of a tool call: as it is sent */
};

struct turn {
	bool assistant;
	struct block *blocks;
	size_t count, cap;
};

struct turns {
	struct turn *of;
	size_t count, cap;
	size_t begin;          /* the first message behind the leading system texts */
	uint64_t *used;        /* sums of the call ids that are taken */
	size_t used_size;      /* a power of two */
	const char *signed_by; /* "provider:model" whose reasoning goes back */
	const struct event_sink *sink;
	bool reasoning_told;
};

void turns_build(struct turns *t, const struct chat_request *chat, const char *signed_by,
    const struct event_sink *sink);
void turns_clear(struct turns *t);
bool turns_end_with_assistant(const struct turns *t);
/* The history ends with tool results whose calls do not begin with reasoning: models that reason by a
 * budget would refuse to go on reasoning. */
bool turns_lack_reasoning(const struct turns *t);
size_t turn_calls(const struct turn *t);

/* The value of "messages". inline_documents: the server may not know documents of text. */
int turns_put(const struct turns *t, struct json_writer *w, bool inline_documents,
    const struct event_sink *sink, struct error *err);

#endif

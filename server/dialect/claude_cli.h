/* claude_cli.h - what the files of the claude-cli dialect share (providers/claude-cli.md).
 *
 * The user's own `claude` program answers with the login it holds itself. It takes one prompt and no
 * history in order, so an earlier conversation goes into the prompt as a document with the speakers' names.
 * One that has answered can be asked the next turn alone: claude_cli_past.c writes what it knows then.
 * claude_cli_encode.c writes what it is asked, claude_cli_decode.c reads its lines, claude_cli_result.c
 * judges the last one and reads the plan's windows. */
#ifndef SERVER_DIALECT_CLAUDE_CLI_H
#define SERVER_DIALECT_CLAUDE_CLI_H

#include "server/dialect/anthropic_usage.h"
#include "server/dialect/dialect.h"
#include "server/dialect/foreign.h"

enum claude_block {
	CLAUDE_BLOCK_NONE,
	CLAUDE_BLOCK_TEXT,
	CLAUDE_BLOCK_THINKING,
};

struct claude_cli_state {
	struct foreign in;
	struct buf text;       /* scratch for one piece */
	char streamed[96];     /* the message that came in pieces: its whole lines only repeat them */
	enum claude_block block;
	uint32_t surrogate;    /* a pending half of a pair in this block */
	bool started;
	bool said_anything;
	bool over;             /* FINISH or ERROR is out */
	bool paid;             /* an API key is used: billed per token */
	bool overage_told;
	bool used_up;          /* the plan's window has refused this turn */
	struct buf past;       /* the conversation up to this answer; failed = it is too long */
	struct buf answer;     /* the text that was told of it */
	bool may_go_on;        /* the program has said the same, and waits */
	bool has_forgotten;    /* it has shortened its conversation */
	struct anthropic_counts counts; /* of the message that is told */
	struct usage before;   /* of the messages before it in this turn */
	int64_t spent_before, spent; /* by its own count, since its start; -1 = not said */
	char error_class[40];  /* of the error text that came as an answer; "" = none */
	char error_code[64];
};

int claude_cli_encode(const struct chat_request *chat, const struct dialect_target *to,
    struct wire_request *out, const struct event_sink *sink, struct error *err);

void claude_cli_begin(void *state, const struct chat_request *chat,
    const struct dialect_target *to);
void claude_cli_frame(void *state, const struct frame *f, const struct event_sink *sink);
void claude_cli_body(void *state, struct slice json, const struct event_sink *sink);
void claude_cli_end(void *state, const struct event_sink *sink);
void claude_cli_told(const void *state, struct usage *out);
void claude_cli_clear(void *state);

/* The conversation before messages[end], in bytes that differ whenever it does: who gave the same answer to
 * the same words knows the same. */
void claude_cli_past(const struct chat_request *chat, size_t end, struct buf *out);
/* One more turn of it: an answer. */
void claude_cli_past_answer(struct slice text, struct buf *out);
/* The index of the first message after the last answer, when all from there on are the user's; 0 when the
 * program cannot be asked these alone. */
size_t claude_cli_new_turn(const struct chat_request *chat);
void claude_cli_resume(void *state, const struct wire_memory *known);
bool claude_cli_remember(void *state, struct wire_memory *out);

/* A further message of this turn begins: those before it are added up. */
void claude_cli_count_on(struct claude_cli_state *s);
/* The result line: usage, then FINISH or ERROR. */
void claude_cli_result(struct claude_cli_state *s, const struct event_sink *sink);
/* A rate_limit_event. */
void claude_cli_windows(struct claude_cli_state *s, const struct event_sink *sink);

/* `claude auth status`: its question and its answer. */
int claude_cli_login_request(const struct provider *p, struct wire_request *out);
void claude_cli_login_reply(struct slice json, struct failure *out);

#endif

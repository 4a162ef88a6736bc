/* claude_cli.h - what the files of the claude-cli dialect share (providers/claude-cli.md).
 *
 * The user's own `claude` program answers with the login it holds itself. It takes one prompt and no
 * history in order, so an earlier conversation goes into the prompt as a document with the speakers' names.
 * claude_cli_encode.c writes what it is asked, claude_cli_decode.c reads its lines, claude_cli_result.c
 * judges the last one and reads the plan's windows. */
#ifndef SERVER_DIALECT_CLAUDE_CLI_H
#define SERVER_DIALECT_CLAUDE_CLI_H

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
void claude_cli_clear(void *state);

/* The result line: usage, then FINISH or ERROR. */
void claude_cli_result(struct claude_cli_state *s, const struct event_sink *sink);
/* A rate_limit_event. */
void claude_cli_windows(struct claude_cli_state *s, const struct event_sink *sink);

/* `claude auth status`: its question and its answer. */
int claude_cli_login_request(const struct provider *p, struct wire_request *out);
void claude_cli_login_reply(struct slice json, struct failure *out);

#endif

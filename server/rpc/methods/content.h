/* content.h - an answer as the content of the assistant's message that it becomes in the next turn
 * (PROTOCOL.md section 5.1): text, reasoning that the provider signed, and tool calls, in their order.
 *
 * Reasoning that nobody signed goes back to nobody, so it is not part of it. */
#ifndef SERVER_RPC_METHODS_CONTENT_H
#define SERVER_RPC_METHODS_CONTENT_H

#include "server/rpc/methods/tool_calls.h"

struct content {
	struct buf parts; /* an array of maps, open until content_end */
	struct pack pack;
	struct buf text;  /* of the part that grows, not in parts yet */
	bool text_is_reasoning;
};

/* max: bytes of the whole. */
void content_init(struct content *c, size_t max);
void content_clear(struct content *c);
/* Takes TEXT, REASONING and REASONING_END; others are passed over. signed_by: whom signatures go back to.
 * 0 or MP_E_TOO_LARGE. */
int content_event(struct content *c, const struct event *e, const char *signed_by);
/* A call that is whole now. */
int content_tool_call(struct content *c, const struct tool_call *call, const char *signed_by);
/* Nothing comes any more. 0 or MP_E_TOO_LARGE. */
int content_end(struct content *c);
/* "content" and its value, after content_end, into an open map. */
void content_pack(const struct content *c, struct pack *into);

#endif

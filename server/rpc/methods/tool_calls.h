/* tool_calls.h - the pieces of tool calls put together (PROTOCOL.md section 4.1: after assembly). */
#ifndef SERVER_RPC_METHODS_TOOL_CALLS_H
#define SERVER_RPC_METHODS_TOOL_CALLS_H

#include <stdbool.h>

#include "protocol/base/buf.h"
#include "protocol/pack.h"
#include "server/model/event.h"

#define TOOL_CALLS_MAX 256
#define TOOL_ARGUMENTS_MAX ((size_t)4 << 20) /* of all calls of one answer together */

struct tool_call {
	unsigned index;
	char *id, *name;
	struct buf arguments;
	struct buf signature; /* opaque; empty = none */
	bool whole;
};

/* All zero is empty. */
struct tool_calls {
	struct tool_call *items;
	size_t count;
	size_t bytes;
};

void tool_calls_clear(struct tool_calls *t);
/* Takes TOOL_CALL, TOOL_ARGS or TOOL_END. 0 or MP_E_TOO_LARGE. *whole is the call that became
 * whole by it, else NULL. */
int tool_calls_event(struct tool_calls *t, const struct event *e, const struct tool_call **whole);
/* How many are whole. Others were cut off, and nobody may act on them. */
size_t tool_calls_whole(const struct tool_calls *t);
const struct tool_call *tool_calls_at(const struct tool_calls *t, unsigned index);
/* id, name, arguments ("{}" when empty), and the signature with whom it goes back to, into an open
 * map. */
void pack_tool_call_members(struct pack *p, const struct tool_call *c, const char *signed_by);

#endif

/* chat_params.h - the parameters of prompt.start and prompt.run as a chat (PROTOCOL.md section 5).
 *
 * The row of methods.def has checked the outermost types; everything inside is checked here, and each
 * mistake is named by its path (messages[2].content[0].data). */
#ifndef SERVER_RPC_METHODS_CHAT_PARAMS_H
#define SERVER_RPC_METHODS_CHAT_PARAMS_H

#include <stdbool.h>

#include "protocol/base/err.h"
#include "protocol/value.h"
#include "server/model/chat.h"

/* Borrowed for the call; NULL = absent. */
struct chat_params {
	const struct value *text, *messages; /* exactly one of them */
	const struct value *system, *attachments, *tools, *options;
	bool reasoning;
};

/* 0 and a chat the caller frees; MP_E_INVALID_PARAMS with the field; MP_E_TOO_LARGE. */
int chat_params_read(const struct chat_params *in, struct chat_request **out, struct error *err);

#endif

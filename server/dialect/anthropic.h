/* anthropic.h - what the files of the anthropic-messages dialect share (providers/anthropic-messages.md).
 *
 * Two versions of the API are live. Version 2026-10-21 refuses every sampling parameter, so requests that
 * carry one say 2023-06-01; so do all requests to models that are no Claude, because the other servers
 * that speak this language grew up with it. Everything else says 2026-10-21.
 *
 * What a Claude takes follows from its id, which may carry a vendor before it and a date behind it
 * ("anthropic/claude-sonnet-4.5", "claude-haiku-4-5-20251001"):
 *
 *   sampling      up to 4.6; from 4.7 on it is left out, with a warning
 *   reasoning     up to 4.6 by a budget of tokens; from 4.7 on adaptive, its depth by effort
 *   a forced tool refused by Opus and Sonnet from 5.5, by Fable and Mythos from 5.1, by whatever is newer
 *   than 5.5, and by every Claude that reasons by a budget: it becomes "auto", with a warning
 *   a last turn of the assistant   up to 4.5 */
#ifndef SERVER_DIALECT_ANTHROPIC_H
#define SERVER_DIALECT_ANTHROPIC_H

#include "protocol/base/json.h"
#include "server/dialect/dialect.h"

#define ANTHROPIC_OLD_VERSION "2023-06-01"
#define ANTHROPIC_NEW_VERSION "2026-10-21"

/* What the id tells. */
struct anthropic_model {
	bool claude;        /* false: some other model behind a server that speaks the language */
	int version;        /* 405 for 4.5; a Claude without a number counts as new */
	bool sampling;
	bool adaptive;      /* else reasoning is asked for by a budget */
	bool always_thinks; /* it cannot be told not to */
	bool forced_tools;
	bool prefill;
	int64_t output_max; /* tokens; 0 = not known */
};

struct anthropic_model anthropic_model_of(const char *id);

/* Names and ids that fit [a-zA-Z0-9_-]: the text itself, or a copy that depends on nothing else.
 * Caller frees. */
char *anthropic_fit_name(const char *name);
char *anthropic_fit_id(const char *id);

/* "/v1/messages" and such, unless the base URL ends in /v1 already. */
void anthropic_path(const struct provider *p, const char *rest, struct wire_request *out);

int anthropic_encode(const struct chat_request *chat, const struct dialect_target *to,
    struct wire_request *out, const struct event_sink *sink, struct error *err);

/* The class and the story of an error that was read already; status 0 inside an answer. */
void anthropic_classify(const struct provider *p, int status, const struct wire_head *head,
    const struct json *body, struct failure *out);
void anthropic_refuse(const struct provider *p, const struct wire_head *head, struct slice body,
    int64_t now_ms, struct failure *out);

void anthropic_limits(const struct provider *p, const struct wire_head *head, int64_t now_ms,
    struct limits *out);
/* When the windows that refuse, or else the limits with nothing left, are full again: a wait; -1 = not
 * said. */
int64_t anthropic_limits_wait_ms(const struct wire_head *head, int64_t now_ms);

#endif

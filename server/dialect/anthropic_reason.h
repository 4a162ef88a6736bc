/* anthropic_reason.h - a request being written, and its wishes about reasoning, form and sampling. */
#ifndef SERVER_DIALECT_ANTHROPIC_REASON_H
#define SERVER_DIALECT_ANTHROPIC_REASON_H

#include "server/dialect/anthropic_turns.h"

/* What becomes of options.reasoning_effort. */
struct anthropic_thinking {
	const char *type;   /* of "thinking"; NULL = not said */
	const char *effort; /* of "output_config"; NULL = not said */
	int64_t budget;     /* 0 = none */
	int64_t max_tokens; /* budget included */
};

struct anthropic_encoder {
	struct json_writer w;
	const struct chat_request *chat;
	const struct chat_options *opt;
	struct anthropic_model model;
	struct anthropic_thinking thinking;
	struct turns turns;
	const struct event_sink *sink;
	struct error *err;
	struct json extra; /* members of the user's own, which win over ours */
	bool stream;
	bool sampled; /* a sampling parameter is in the body */
};

/* Opens a member unless the user gives it himself. */
bool anthropic_member(struct anthropic_encoder *e, const char *key);

/* visible: the limit of what can be read. */
void anthropic_decide_thinking(struct anthropic_encoder *e, int64_t visible);
void anthropic_put_thinking(struct anthropic_encoder *e);
int anthropic_put_output_config(struct anthropic_encoder *e);
void anthropic_put_sampling(struct anthropic_encoder *e);

#endif

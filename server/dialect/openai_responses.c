#include "server/dialect/openai_responses.h"

/* The same houses, with the same manners, as those of openai-chat. */
extern const struct dialect dialect_openai_chat;
extern const struct dialect dialect_openai_responses;

static int
list_request(const struct provider *p, struct wire_request *out)
{
	return dialect_openai_chat.list_request(p, out);
}

static int
list_reply(struct slice json, void (*each)(void *arg, const struct listed_model *m), void *arg)
{
	return dialect_openai_chat.list_reply(json, each, arg);
}

static void
limits(const struct provider *p, const struct wire_head *head, int64_t now_ms, struct limits *out)
{
	if (dialect_openai_chat.limits != NULL)
		dialect_openai_chat.limits(p, head, now_ms, out);
}

const struct dialect dialect_openai_responses = {
	.name = "openai-responses",
	.carrier = CARRIER_HTTP,
	.framing = FRAMING_SSE,
	.auth_style = AUTH_STYLE_BEARER,
	.state_size = sizeof(struct openai_responses_state),
	.encode = openai_responses_encode,
	.begin = openai_responses_begin,
	.frame = openai_responses_frame,
	.body = openai_responses_body,
	.end = openai_responses_end,
	.told = openai_responses_told,
	.clear = openai_responses_clear,
	.refuse = openai_chat_refuse,
	.limits = limits,
	.list_request = list_request,
	.list_reply = list_reply,
};

/* openai_chat.h - what the files of the openai-chat dialect share (providers/openai-chat.md).
 *
 * Many servers speak variants of it. Which one it is follows from the host of the base URL, else from
 * the provider's name (a catalogue provider behind a proxy of one's own keeps its manners):
 *
 *   openai      api.openai.com, *.openai.azure.com, or the feature "max-completion-tokens"
 *   openrouter  openrouter.ai
 *   qwen        *.aliyuncs.com (DashScope)
 *   ollama      the provider's name, or port 11434
 *   other       everything else: LM Studio, llama.cpp, vLLM, ... */
#ifndef SERVER_DIALECT_OPENAI_CHAT_H
#define SERVER_DIALECT_OPENAI_CHAT_H

#include "protocol/base/json.h"
#include "server/dialect/dialect.h"

enum openai_flavour {
	FLAVOUR_OTHER,
	FLAVOUR_OPENAI,
	FLAVOUR_OPENROUTER,
	FLAVOUR_QWEN,
	FLAVOUR_OLLAMA,
};

enum openai_flavour openai_flavour_of(const struct provider *p);

int openai_chat_encode(const struct chat_request *chat, const struct dialect_target *to,
    struct wire_request *out, const struct event_sink *sink, struct error *err);
/* The value of "messages". What a chat completion cannot say goes to sink as a warning, or is refused. */
int openai_chat_messages(struct json_writer *w, const struct chat_request *chat,
    const struct dialect_target *to, const struct event_sink *sink, struct error *err);
/* "reasoning_details" of an assistant's message, where it has some that came from there. False when
 * reasoning is left out. */
bool openai_details_put(struct json_writer *w, const struct chat_message *m,
    const struct dialect_target *to);

/* The class and the story of an error body that was read already: of a refusal, or of an error inside an
 * answer that began with 200 (status 0 or what the body says). */
void openai_chat_classify(enum openai_flavour flavour, int status, const struct wire_head *head,
    const struct json *body, struct failure *out);
void openai_chat_refuse(const struct provider *p, const struct wire_head *head, struct slice body,
    int64_t now_ms, struct failure *out);
void openai_chat_limits(const struct provider *p, const struct wire_head *head, int64_t now_ms,
    struct limits *out);

int openai_chat_list_request(const struct provider *p, struct wire_request *out);
int openai_chat_list_reply(struct slice text,
    void (*each)(void *arg, const struct listed_model *m), void *arg);

#endif

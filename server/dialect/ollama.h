/* ollama.h - what the files of the ollama dialect share (providers/ollama.md).
 *
 * The base URL is the server's address. One that ends in /v1 or /api (as it was added for another
 * dialect) means the same server: that end is left out.
 *
 * options.extra: "keep_alive", "think", "truncate", ... are members of the request. "num_ctx" and
 * all other words of Ollama's `options` object are put there, as are the members of an "options"
 * object. */
#ifndef SERVER_DIALECT_OLLAMA_H
#define SERVER_DIALECT_OLLAMA_H

#include "server/dialect/extra.h"
#include "server/dialect/foreign.h"

/* One answer while it is read. */
struct ollama_state {
	struct foreign in;
	struct buf text; /* scratch for one piece */
	uint32_t text_surrogate, thinking_surrogate;
	bool started;
	bool over;     /* FINISH or ERROR is out */
	bool thinking; /* a block of reasoning is open */
	unsigned calls;
	uint64_t seed; /* for ids of calls that came without */
};

int ollama_encode(const struct chat_request *chat, const struct dialect_target *to,
    struct wire_request *out, const struct event_sink *sink, struct error *err);
/* The value of "messages". */
int ollama_messages(struct json_writer *w, const struct chat_request *chat,
    const struct dialect_target *to, const struct event_sink *sink, struct error *err);
/* Method and path of a call of the API ("/api/chat") below the server's address. */
int ollama_address(const struct provider *p, const char *method, const char *path,
    struct wire_request *out);

void ollama_begin(void *state, const struct chat_request *chat, const struct dialect_target *to);
void ollama_frame(void *state, const struct frame *f, const struct event_sink *sink);
void ollama_body(void *state, struct slice json, const struct event_sink *sink);
void ollama_end(void *state, const struct event_sink *sink);
void ollama_clear(void *state);

/* The class and the story of {"error": ...}; status 0 = inside an answer that began with 200. */
void ollama_classify(int status, const struct json *j, struct failure *out);
void ollama_refuse(const struct provider *p, const struct wire_head *head, struct slice body,
    int64_t now_ms, struct failure *out);

#endif

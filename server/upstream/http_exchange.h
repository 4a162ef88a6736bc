/* http_exchange.h - one HTTP request and its answer: the struct its two files share.
 *
 * http_exchange.c starts and ends it and watches the clock; http_answer.c reads what comes. */
#ifndef SERVER_UPSTREAM_HTTP_EXCHANGE_H
#define SERVER_UPSTREAM_HTTP_EXCHANGE_H

#include "server/upstream/http.h"
#include "server/upstream/http_guard.h"
#include "server/upstream/ndjson.h"
#include "server/upstream/sse.h"
#include "server/upstream/transfer.h"

#define ANSWER_HEADERS_MAX 128
#define ANSWER_HEAD_BYTES ((size_t)256 << 10)
#define ANSWER_STREAM_BYTES ((uint64_t)64 << 20)
#define ANSWER_BODY_BYTES ((size_t)16 << 20)
#define ANSWER_ERROR_BYTES ((size_t)64 << 10)

enum answer_mode {
	ANSWER_HEAD,    /* still in the head */
	ANSWER_FRAMES,  /* the dialect's framing */
	ANSWER_BODY,    /* one JSON document */
	ANSWER_REFUSAL, /* an error's body: the first 64 KiB */
	ANSWER_SKIP,    /* a body nobody can read */
};

struct answer {
	enum framing framing; /* what the dialect expects of a stream */
	bool stream_asked;
	enum answer_mode mode;
	int status;
	struct buf head; /* "name\0value\0" of each header, one after the other */
	size_t header_at[ANSWER_HEADERS_MAX];
	size_t header_count;
	size_t head_bytes; /* all heads, interim ones too */
	uint64_t body_bytes;
	struct sse sse;
	struct ndjson ndjson;
	struct buf body;
	struct buf held; /* the rest of a block in which the owner paused; at most one block */
	bool enough;     /* we stopped reading an error's body on purpose */
};

struct exchange {
	struct transfer base;
	struct http_guard guard;
	char *origin;
	struct http_binding binding;
	struct http_stack *stack;
	CURL *easy; /* NULL when the library is done with it */
	struct curl_slist *headers;
	struct buf request;
	char detail[CURL_ERROR_SIZE];
	struct answer answer;

	bool failed; /* `failure` says why */
	struct failure failure;
	bool library_paused;
	bool got_bytes;
	bool tail_sent;
	struct loop_deferred resume;

	struct loop_timer *watchdog;
	int64_t started_ms, waiting_ms, last_byte_ms;
	int64_t first_byte_limit, silence_limit, total_limit;
	int64_t uploaded;
};

void answer_init(struct answer *a, enum framing framing, bool stream_asked);
void answer_clear(struct answer *a);
/* libcurl's callbacks; userdata is the exchange. */
size_t answer_on_header(char *line, size_t size, size_t count, void *arg);
size_t answer_on_write(char *bytes, size_t size, size_t count, void *arg);
/* Frames that were held back by a pause. False when some are left (paused, over, or failed). */
bool answer_drain(struct exchange *x);
/* All bytes came: the last frame, or the body. */
void answer_finish(struct exchange *x);

void exchange_fail(struct exchange *x, enum failure_class class, const char *kind, const char *what);

#endif

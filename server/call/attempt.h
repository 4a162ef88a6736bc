/* attempt.h - one try of a call on one target: it owns the transfer, the dialect's state and
 * what the provider said about usage.
 *
 * Belongs to a call. Its watch hears events and exactly one on_end, always from the loop, unless
 * the owner stops it first. attempt_stop is allowed anywhere; attempt_free only when neither a
 * carrier's nor a dialect's function is below on the stack (from loop_defer). */
#ifndef SERVER_CALL_ATTEMPT_H
#define SERVER_CALL_ATTEMPT_H

#include "protocol/base/err.h"
#include "server/base/loop.h"
#include "server/call/route.h"
#include "server/dialect/dialect.h"
#include "server/model/chat.h"
#include "server/model/event.h"
#include "server/upstream/carrier.h"

/* What attempts of one daemon share. Borrowed. */
struct attempt_parts {
	struct loop *loop;
	struct upstream *upstream;
	struct providers *providers;
	struct credentials *credentials;
	struct routes *routes; /* may be NULL: readiness is not asked (probes) */
	struct ledger *ledger; /* may be NULL: nothing is recorded */
	struct purses *purses; /* may be NULL: there are no budgets */
	const struct price_book *prices; /* may be NULL: none is known */
};

/* Whose attempt it is. Borrowed for as long as it lives; texts may be NULL = none. */
struct attempt_origin {
	int64_t call; /* the same for all attempts of a call */
	unsigned number;
	const char *client, *scope, *chain;
	int64_t session; /* 0 = none */
};

struct attempt_end {
	bool ok;                       /* the answer is whole */
	enum stop_reason stop;         /* when ok */
	const struct failure *failure; /* when not ok; redacted */
	const struct usage *usage;     /* what is known or estimated, and its cost; also of a failed one */
	const char *warning;           /* of a budget that it brought near its end; NULL = none */
};

struct attempt_watch {
	/* TEXT, REASONING, TOOL_*, USAGE and WARNING. */
	void (*on_event)(void *arg, const struct event *e);
	void (*on_end)(void *arg, const struct attempt_end *e);
};

struct attempt;

/* Opens the key, encodes, starts the transfer. Only EVENT_WARNINGs of encode may arrive before it
 * returns. target and chat stay the caller's and must outlive the attempt. NULL and err (with the story)
 * when it cannot be sent. Whatever becomes of it, the ledger has a row of it afterwards. */
struct attempt *attempt_start(const struct attempt_parts *parts, const struct target *target,
    const struct attempt_origin *origin, const struct chat_request *chat, int64_t timeout_ms,
    const struct attempt_watch *watch, void *arg, struct error *err);
void attempt_pause(struct attempt *a, bool paused);
/* Stops what runs; no callback any more. NULL is harmless. In the ledger it is "cancelled". */
void attempt_stop(struct attempt *a);
/* The same, for another reason: a static word. */
void attempt_stop_as(struct attempt *a, const char *outcome);
void attempt_free(struct attempt *a);

const struct provider *attempt_provider(const struct attempt *a); /* as it was at the start */
bool attempt_key_sent(const struct attempt *a);
/* What it has come to until now, estimated where it is not told; when it is over: as attempt_end.usage. */
void attempt_usage(const struct attempt *a, struct usage *out);

/* ---- shared with the probes ---- */

/* Endpoint of a provider with its key opened as its auth type says. 0 or an error with what to do. */
int endpoint_open(struct endpoint *to, struct credentials *cs, const struct provider *p,
    const char *label, enum auth_style style, struct error *err);

/* Tells providers and credentials what an end has shown: f NULL = fine. Failures that are the
 * request's own fault change nothing; one of a key alone leaves its provider's health as it is. What cools
 * down was told before. */
void attempt_report(const struct attempt_parts *parts, const struct target *t, bool key_sent,
    const struct failure *f, const struct error *err, int64_t latency_ms);

/* Takes what the headers of an answer say about limits of the key with that label. */
void attempt_limits(const struct attempt_parts *parts, const struct provider *p, const char *label,
    const struct dialect *d, const struct wire_head *head);

/* An answer's head, kept until its body is there. All zero is empty. */
struct head_copy {
	struct wire_head head;
	struct header *headers;
	struct buf text;
};
void head_copy_set(struct head_copy *to, const struct wire_head *head);
void head_copy_clear(struct head_copy *h);

#endif

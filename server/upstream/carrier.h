/* carrier.h - one face for everything that moves a provider's bytes.
 *
 * A transfer is one request and its answer. The owner gets callbacks from the loop, never from inside
 * transfer_start; on_end comes exactly once, unless the owner cancels first (then nothing comes any
 * more). The transfer frees itself after on_end or transfer_cancel. */
#ifndef SERVER_UPSTREAM_CARRIER_H
#define SERVER_UPSTREAM_CARRIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/base/buf.h"
#include "protocol/base/secret.h"
#include "protocol/base/str.h"
#include "server/model/failure.h"
#include "server/model/wire.h"

/* Where it goes and how patient we are. Borrowed for transfer_start only (it copies). */
struct endpoint {
	const char *base_url;
	const char *ca_file; /* NULL = system */
	const char *proxy;   /* NULL = none, whatever the environment says */
	const char *program; /* CARRIER_CHILD: full path; NULL = looked for where programs live */
	char owner[64];      /* CARRIER_CHILD: a program waits for requests with the same word only */
	bool local;          /* loopback and private addresses allowed, http allowed on loopback */
	enum auth_style auth_style;
	const struct secret *key; /* NULL = none */
	const struct credential *unread; /* the key is brought first, see upstream_bring_keys; NULL = no */
	uint64_t output_bytes;    /* CARRIER_CHILD: the most it may write; 0 = 32 MiB */
	int64_t connect_ms, first_byte_ms, silence_ms, total_ms; /* 0 = the defaults of THREATS section 9 */
};

struct transfer_callbacks {
	/* Once, before any frame; also for error statuses. */
	void (*on_head)(void *arg, const struct wire_head *head);
	/* Each event or line of a 2xx answer whose content type is the dialect's framing. Not called while
	 * paused. */
	void (*on_frame)(void *arg, const struct frame *f);
	/* The whole body of an answer that is not framed: an error status (cut at 64 KiB), or a JSON
	 * reply. Once, before on_end. */
	void (*on_body)(void *arg, struct slice body);
	/* The end. failure.class FAILURE_NONE: all bytes came (the dialect judges completeness); a message
	 * then holds what a program said last on its standard error. */
	void (*on_end)(void *arg, const struct failure *failure);
};

struct credential; /* server/state: passed on, never looked into */
struct upstream; /* the carriers of one loop; keeps connections alive between requests */
struct transfer;
struct loop;

struct upstream *upstream_new(struct loop *loop);
/* Cancels what still runs. */
void upstream_free(struct upstream *u);
/* New CA and proxy settings, connections dropped when idle, waiting programs ended (SIGHUP). */
void upstream_reload(struct upstream *u);
/* From now on connecting, the first byte and silence get this long each, whatever the endpoint says
 * (0 = as it says). For tests. */
void upstream_limit_patience(struct upstream *u, int64_t ms);

/* Brings keys that must be read from somewhere before they can be sent. */
struct key_wait;
typedef void key_brought(void *arg, const struct secret *key, const struct failure *why);
struct key_bringer {
	/* One call of done, from the loop, unless it is cancelled: with the key, borrowed for the call, or
	 * with why there is none. */
	struct key_wait *(*ask)(void *arg, const struct credential *which, key_brought *done,
	    void *done_arg);
	void (*cancel)(struct key_wait *w);
	void *arg;
};
/* From now on transfers to an endpoint with an unread key begin when it was brought. Before the first. */
void upstream_bring_keys(struct upstream *u, const struct key_bringer *b);

/* Takes the content of req (left empty). framing: what the dialect expects of a stream. NULL and err when
 * it cannot even start (bad URL, memory). */
struct error;
struct transfer *transfer_start(struct upstream *u, enum carrier_kind carrier, enum framing framing,
    const struct endpoint *to, struct wire_request *req, const struct transfer_callbacks *cb,
    void *arg, struct error *err);
/* Stops reading from the provider; frames already read wait (bounded). */
void transfer_pause(struct transfer *t, bool paused);
/* Ends it at once; no callback any more. Allowed inside a callback. */
void transfer_cancel(struct transfer *t);
/* From on_head on: what the waiting program knew that was asked. NULL = none was. Borrowed from t. */
const struct wire_memory *transfer_known(const struct transfer *t);
/* As transfer_cancel, when the answer is whole and the program that gave it may be asked again: it waits for
 * a request of the same owner that starts it the same way and whose past is known->past, for some minutes and
 * while no other needs its place. Takes the content of known (left empty). Elsewhere: transfer_cancel. */
void transfer_keep(struct transfer *t, struct wire_memory *known);
/* Ends the programs that wait and of whose owner `ends` says true; NULL = all. */
void upstream_end_waiting(struct upstream *u, bool (*ends)(void *arg, const char *owner), void *arg);
/* Ends all that wait; from now on none does. */
void upstream_drain(struct upstream *u);

#endif

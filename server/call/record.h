/* record.h - what an attempt leaves in the ledger: gathered while it runs, written once at its end.
 *
 * Part of an attempt. What the provider did not tell of tokens is estimated from the text that went to and
 * fro, and marked so; where nothing can be said it stays unknown. */
#ifndef SERVER_CALL_RECORD_H
#define SERVER_CALL_RECORD_H

#include "server/call/attempt.h"
#include "server/call/purses.h"
#include "server/usage/ledger.h"

struct record {
	const struct attempt_parts *parts;
	struct reservation reservation;
	const struct target *target;
	const struct provider *provider; /* set when it is known; NULL = none of ours */
	struct attempt_origin origin;
	int64_t started_ms, first_ms; /* monotonic; first output, -1 = none yet */
	int64_t prompt_bytes, answer_bytes;
	char answered[128];
	bool sent;
	bool written;
	char *news; /* of a budget, from record_end on; NULL = none */
};

/* Everything but the record is borrowed. */
void record_begin(struct record *r, const struct attempt_parts *parts, const struct target *target,
    const struct attempt_origin *origin, const struct chat_request *chat);
/* Puts aside what it may cost. MP_E_BUDGET_EXCEEDED. */
int record_afford(struct record *r, const struct provider *provider, const struct chat_request *chat,
    struct error *err);
void record_event(struct record *r, const struct event *e);
void record_clear(struct record *r);
/* The first one counts. Completes usage: estimates, and what it costs. failure NULL = none that the provider
 * or the way to it had part in. */
void record_end(struct record *r, struct usage *usage, const char *outcome, const struct failure *failure);
/* What it has come to until now, as record_end would say if it were cut short: told is what the provider
 * said. No cost where it is no money. */
void record_so_far(const struct record *r, const struct usage *told, struct usage *out);
/* What a call cost that was made without us at that time, as record_end judges one: sets cost_kind, and the
 * cost where none was told. */
void record_price(const struct price_book *prices, const struct provider *provider,
    const struct target *target, int64_t at_ms, struct usage *usage);

#endif

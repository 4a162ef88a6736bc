/* metrics.h - the daemon in figures, in the text format of Prometheus (0.0.4), for every door. */
#ifndef SERVER_CALL_METRICS_H
#define SERVER_CALL_METRICS_H

#include "protocol/base/buf.h"
#include "server/call/call.h"
#include "server/call/purses.h"
#include "server/usage/meters.h"

/* Borrowed. What a door knows beside it (its clients) it says itself. */
struct metrics_parts {
	const struct meters *meters;
	const struct ledger *ledger;
	const struct calls *calls;
	struct providers *providers;
	struct budgets *budgets;
	struct purses *purses;
	const char *version;
	int64_t started_ms, clients, resident_bytes;
};

void metrics_write(const struct metrics_parts *parts, struct buf *out);

#endif

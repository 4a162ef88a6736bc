/* anthropic_usage.h - tokens as the messages API counts them, over HTTP and in the lines of `claude`. */
#ifndef SERVER_DIALECT_ANTHROPIC_USAGE_H
#define SERVER_DIALECT_ANTHROPIC_USAGE_H

#include "protocol/base/json.h"
#include "server/model/usage.h"

/* Counts of one message as they came; -1 = not told. */
struct anthropic_counts {
	int64_t input, cache_read, cache_write, output, thinking;
};
#define ANTHROPIC_COUNTS_INIT { -1, -1, -1, -1, -1 }

/* Takes a "usage" object: counts are cumulative, the last word on each of them wins. begins: it came with the
 * beginning of a message, whose output is not counted yet. */
void anthropic_counts_take(struct anthropic_counts *c, const struct json *j, uint32_t usage, bool begins);
/* The same in our terms; what was not told is unknown. */
void anthropic_counts_usage(const struct anthropic_counts *c, struct usage *out);

#endif

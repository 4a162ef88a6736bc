/* usage.h - tokens of one attempt, in OpenTelemetry GenAI terms; -1 = unknown, never 0 for it.
 * input includes cached reads and writes, output includes reasoning (providers/mapping.md section 8). */
#ifndef SERVER_MODEL_USAGE_H
#define SERVER_MODEL_USAGE_H

#include <stdbool.h>
#include <stdint.h>

struct usage {
	int64_t input_tokens;
	int64_t output_tokens;
	int64_t cache_read_tokens;
	int64_t cache_write_tokens;
	int64_t reasoning_tokens;
	int64_t cost_microusd; /* reported by the provider */
	bool estimated;
};
#define USAGE_INIT { -1, -1, -1, -1, -1, -1, false }

/* Later knowledge wins member by member; unknown members of `later` change nothing. */
void usage_merge(struct usage *into, const struct usage *later);
bool usage_known(const struct usage *u);

#endif

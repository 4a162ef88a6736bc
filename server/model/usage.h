/* usage.h - tokens of one attempt, in OpenTelemetry GenAI terms; -1 = unknown, never 0 for it.
 * input includes cached reads and writes, output includes reasoning (providers/mapping.md section 8). */
#ifndef SERVER_MODEL_USAGE_H
#define SERVER_MODEL_USAGE_H

#include <stdbool.h>
#include <stdint.h>

/* Where a cost comes from, or why there is none. */
enum cost_kind {
	COST_UNKNOWN,  /* nobody knows what was used */
	COST_NONE,     /* refused or never sent: nothing was used */
	COST_REPORTED, /* the provider said it */
	COST_OWN,      /* tokens by the user's own price */
	COST_LIST,     /* tokens by the list price of the model */
	COST_FREE,     /* the user's own machine */
	COST_PLAN,     /* covered by a plan: what it would have cost, no money */
	COST_UNPRICED, /* tokens are known, no price is */
};
const char *cost_kind_name(enum cost_kind k); /* "reported", ... */
enum cost_kind cost_kind_parse(const char *name); /* COST_UNKNOWN for any other word */

struct usage {
	int64_t input_tokens;
	int64_t output_tokens;
	int64_t cache_read_tokens;
	int64_t cache_write_tokens;
	int64_t reasoning_tokens;
	int64_t cost_microusd; /* as cost_kind says; a dialect sets what the provider reports */
	bool input_estimated, output_estimated; /* by us; else the provider told it */
	enum cost_kind cost_kind; /* set when the attempt is over */
	int64_t list_microusd; /* told of a plan: what it would have cost by list, no money; 0 = not told */
};
#define USAGE_INIT { -1, -1, -1, -1, -1, -1, false, false, COST_UNKNOWN, 0 }

/* Later knowledge wins member by member; unknown members of `later` change nothing. */
void usage_merge(struct usage *into, const struct usage *later);
bool usage_known(const struct usage *u);
bool usage_counted(const struct usage *u); /* tokens are known, or estimated */
bool usage_estimated(const struct usage *u); /* input, output or both are */
/* How sure the counts are: "reported", "estimated", "unknown", or where only one of the two is estimated,
 * "input_estimated" or "output_estimated". */
const char *usage_counts_name(const struct usage *u);
/* Marks the counts as such a word says; any other one leaves them as reported. */
void usage_counts_parse(const char *name, struct usage *u);

#endif

/* limits.h - what a provider says is left, and when it is full again (providers/limits-and-errors.md
 * section 4). Plain data; read from headers, bodies and events by the dialects. */
#ifndef SERVER_MODEL_LIMITS_H
#define SERVER_MODEL_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIMITS_MAX 8

/* One dimension. Unknown: -1, used_permille too; times 0. */
struct limit {
	char name[32];          /* requests tokens input-tokens output-tokens 5h 7d
	                         * credit (what the key may still cost) balance (what the account has)
	                         * free-requests ... */
	int64_t limit, remaining;
	int32_t used_permille;  /* of a window whose size is not told; may exceed 1000 */
	int64_t resets_ms;      /* wall clock */
	bool rejected;          /* this one refuses requests until it resets */
	bool estimated;         /* counted by us against the provider's definition, not told */
	bool microusd;          /* limit and remaining are money: millionths of a US dollar */
	bool none;              /* there is no such limit: a merge takes away what was known of it */
	bool partial;           /* counts for some models only: nothing else has to wait for it */
};

struct limits {
	struct limit of[LIMITS_MAX];
	size_t count;
	int64_t at_ms; /* wall clock of the reading */
};

/* The dimension of that name, added with everything unknown if it is new; NULL when full. */
struct limit *limits_name(struct limits *l, const char *name);
/* The dimension that stands in the way at now_ms: rejected, or nothing remaining, and not reset yet; the one
 * that resets last. NULL = none. One whose reset is unknown counts for a minute after the reading. What we
 * have counted ourselves, and what is partial, stands in nobody's way. */
const struct limit *limits_wall(const struct limits *l, int64_t now_ms);
/* When that dimension lets requests through again. */
int64_t limit_resets_ms(const struct limits *l, const struct limit *of);
/* Dimensions of `later` replace those of the same name; others stay. What was told and has not reset since
 * is not replaced by an estimate. A reset too far away to be true becomes unknown: no window is longer than
 * a month. */
void limits_merge(struct limits *into, const struct limits *later);

#endif

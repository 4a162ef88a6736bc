/* listed.h - one model as a provider's own list tells it. Borrowed, for the callback. */
#ifndef SERVER_MODEL_LISTED_H
#define SERVER_MODEL_LISTED_H

#include <stdint.h>

#include "protocol/base/str.h"

enum model_ability {
	ABILITY_TOOLS = 1,
	ABILITY_IMAGES = 2,
	ABILITY_REASONING = 4,
	ABILITY_DOCUMENTS = 8,
};

struct listed_model {
	struct slice id;        /* as the provider takes it in a request; never empty */
	struct slice title;     /* for people; empty = none */
	int64_t context_tokens; /* usable now; 0 = unknown */
	int64_t output_tokens;  /* 0 = unknown */
	unsigned abilities;     /* enum model_ability; what is known, not what is missing */
	int loaded;             /* local servers: 1 in memory, 0 not; -1 = not said */
};
#define LISTED_MODEL_INIT { .loaded = -1 }

#endif

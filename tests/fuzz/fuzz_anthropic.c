/* fuzz_anthropic.c - what a server of the Messages API may answer. */
#include "tests/fuzz/answer_fuzzer.h"

static const struct answers answers = { .dialect = "anthropic-messages",
	.headers = { "retry-after", "anthropic-ratelimit-requests-remaining",
	    "anthropic-ratelimit-tokens-reset", "anthropic-ratelimit-unified-5h-utilization",
	    "anthropic-ratelimit-unified-5h-reset", "anthropic-ratelimit-unified-representative-claim",
	    "request-id", "anthropic-ratelimit-unified-status" },
	.known = { { SLICE("anthropic-ratelimit-tokens-remaining"), SLICE("0") },
	    { SLICE("anthropic-ratelimit-unified-5h-status"), SLICE("rejected") } },
	.starts = true };

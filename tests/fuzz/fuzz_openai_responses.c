/* fuzz_openai_responses.c - what a server of the Responses API may answer. */
#include "tests/fuzz/answer_fuzzer.h"

static const struct answers answers = { .dialect = "openai-responses",
	.headers = OPENAI_HEADERS,
	.known = { { SLICE("x-ratelimit-remaining-tokens"), SLICE("0") } },
	.costs = true };

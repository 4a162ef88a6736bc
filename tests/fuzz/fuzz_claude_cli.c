/* fuzz_claude_cli.c - whatever the claude program may write. */
#include "tests/fuzz/answer_fuzzer.h"

static const struct answers answers = { .dialect = "claude-cli", .headers = OPENAI_HEADERS, .costs = true };

/* fuzz_claude_cli.c - whatever the claude program may write. */
#define ANSWER_DIALECT "claude-cli"
#include "tests/fuzz/answer_fuzzer.h"

/* fuzz_openai_responses.c - what a server of the Responses API may answer. */
#define ANSWER_DIALECT "openai-responses"
#include "tests/fuzz/answer_fuzzer.h"

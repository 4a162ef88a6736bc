/* fuzz_ollama.c - what a native Ollama may answer. */
#include "tests/fuzz/answer_fuzzer.h"

static const struct answers answers = { .dialect = "ollama", .headers = OPENAI_HEADERS };

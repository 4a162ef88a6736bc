/* fuzz_ollama.c - what a native Ollama may answer. */
#define ANSWER_DIALECT "ollama"
#include "tests/fuzz/answer_fuzzer.h"

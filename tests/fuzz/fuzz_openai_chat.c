/* fuzz_openai_chat.c - what a server of chat completions may answer, OpenRouter and its reasoning too. */
#include "protocol/base/json.h"
#include "tests/fuzz/answer_fuzzer.h"

/* What goes back to OpenRouter: a list, whatever it sent. */
static void
check_details(struct slice signature)
{
	struct json j = JSON_INIT;

	MUST(json_read(&j, signature.data, signature.len, JSON_LAST_KEY_WINS) == 0);
	MUST(json_is(&j, 0, JSON_ARRAY) && json_size(&j, 0) > 0);
	json_clear(&j);
}

static const struct answers answers = { .dialect = "openai-chat",
	.provider = "openrouter",
	.headers = OPENAI_HEADERS,
	.known = { { SLICE("x-ratelimit-remaining-tokens"), SLICE("0") } },
	.costs = true,
	.signature = check_details };

/* What the recorded answers cost: the bytes of a provider, read by its dialect, by the list of prices. The
 * figures were worked out by hand from providers/prices.md; each line shows how, tokens x USD per million. */
#include "tests/unit/dialect/listener.h"

#include "server/usage/price_book.h"

#define FOLDER MPD_SOURCE_DIR "/tests/transcripts/"
#define NOV_22 INT64_C(1795305600000)
#define JAN_1 INT64_C(1798761600000)
#define UNPRICED (-1)

struct sample {
	const char *file, *dialect, *catalogue, *model;
	int64_t at_ms;
	int64_t microusd; /* by list */
	int64_t reported; /* by the provider; -1 = it says nothing */
};

static const struct sample samples[] = {
	/* the prompt holds what was read from the cache, the answer its reasoning: (1219 - 1024) x 2 +
	 * 1024 x 0.10 + 61 x 10 = 390 + 102.4 + 610 */
	{ "openai-chat/reply.json", "openai-chat", "openai", "gpt-6.2-sol", NOV_22, 1102, -1 },
	{ "openai-chat/stream-usage.sse", "openai-chat", "openai", "gpt-6.2-sol", NOV_22, 1102, -1 },
	{ "openai-responses/reply.json", "openai-responses", "openai", "gpt-6.2-sol", NOV_22, 1102, -1 },
	{ "openai-responses/stream-text.sse", "openai-responses", "openai", "gpt-6.2-sol", NOV_22, 1102, -1 },
	/* here it does not hold it: 195 x 2 + 1024 x 0.10 + 61 x 10 */
	{ "anthropic/reply-tool-use.json", "anthropic-messages", "anthropic", "claude-sonnet-5-5",
	    NOV_22, 1102, -1 },
	/* the first count of the answer, 1, is not the last, 61 */
	{ "anthropic/stream-text.sse", "anthropic-messages", "anthropic", "claude-sonnet-5-5",
	    NOV_22, 1102, -1 },
	/* the answer does not hold its 40 thoughts: (1219 - 1024) x 0.75 + 1024 x 0.075 + (21 + 40) x 3.75 =
	 * 146.25 + 76.8 + 228.75 = 451.8 */
	{ "gemini/reply.json", "gemini", "gemini", "gemini-3.8-flash", NOV_22, 452, -1 },
	{ "gemini/stream-thinking.sse", "gemini", "gemini", "gemini-3.8-flash", NOV_22, 452, -1 },
	/* from the new year on twice as much: 903.6 */
	{ "gemini/stream-thinking.sse", "gemini", "gemini", "gemini-3.8-flash", JAN_1, 904, -1 },
	/* 26 x 2 + 61 x 6 */
	{ "qwen/stream-thinking.sse", "openai-chat", "qwen", "qwen3.8-max", NOV_22, 418, -1 },
	/* OpenRouter says what it took, 0.0009018; no list of ours is asked */
	{ "openrouter/reply.json", "openai-chat", "openrouter", "openai/gpt-6.2-sol", NOV_22, UNPRICED, 902 },
	{ "openrouter/stream-text.sse", "openai-chat", "openrouter", "openai/gpt-6.2-sol",
	    NOV_22, UNPRICED, 902 },
	/* a plan pays nothing per token; by list 12 x 2 + 34 x 2.50 (written) + 56 x 0.10 + 7 x 10 =
	 * 24 + 85 + 5.6 + 70, the 0.0001846 that the program speaks of */
	{ "claude-cli/stream-plain.ndjson", "claude-cli", "anthropic", "claude-sonnet-5-5", NOV_22, 185, 0 },
	/* nobody has a price of it: unpriced, not free */
	{ "openai-chat/reply.json", "openai-chat", "openai", "gpt-nobody", NOV_22, UNPRICED, -1 },
};

static void
read_sample(const struct sample *s, struct heard *h)
{
	char path[512];
	struct reading r;
	size_t n;
	char *bytes;

	snprintf(path, sizeof path, FOLDER "%s", s->file);
	bytes = file_read(path, &n);
	if (strstr(s->file, ".json") != NULL) {
		read_reply_of(s->dialect, bytes, n, h);
	} else {
		memset(h, 0, sizeof *h);
		reading_begin(&r, s->dialect, h);
		reading_feed(&r, bytes, n);
		reading_finish(&r);
	}
	free(bytes);
}

static void
test_costs__of_the_recorded_answers_by_hand(void **state)
{
	struct price_book *book = price_book_new();

	(void)state;
	for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
		const struct sample *s = &samples[i];
		int64_t cost = UNPRICED;
		const struct price_row *r;
		struct heard h;

		read_sample(s, &h);
		if (h.finishes != 1 || h.usages == 0)
			fail_msg("%s: no whole answer with its usage: %s", s->file, h.failure.message);
		r = price_book_find(book, &(struct price_ask){ NULL, s->catalogue, s->model,
		    h.usage.input_tokens, s->at_ms }, NULL);
		if (r != NULL)
			cost = tariff_cost(&r->tariff, &h.usage);
		if (cost != s->microusd || h.usage.cost_microusd != s->reported)
			fail_msg("%s: %lld by list, %lld reported; not %lld, %lld", s->file, (long long)cost,
			    (long long)h.usage.cost_microusd, (long long)s->microusd, (long long)s->reported);
		heard_clear(&h);
	}
	price_book_free(book);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_costs__of_the_recorded_answers_by_hand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

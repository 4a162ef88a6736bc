#include "server/dialect/anthropic_usage.h"

#include "server/dialect/foreign.h"

static void
take_count(const struct json *j, uint32_t at, int64_t *count)
{
	int64_t v = foreign_count(j, at);

	if (v >= 0)
		*count = v;
}

void
anthropic_counts_take(struct anthropic_counts *c, const struct json *j, uint32_t usage, bool begins)
{
	take_count(j, json_get(j, usage, "input_tokens"), &c->input);
	take_count(j, json_get(j, usage, "cache_read_input_tokens"), &c->cache_read);
	take_count(j, json_get(j, usage, "cache_creation_input_tokens"), &c->cache_write);
	if (begins)
		return;
	take_count(j, json_get(j, usage, "output_tokens"), &c->output);
	take_count(j, json_path(j, usage, "output_tokens_details", "thinking_tokens"), &c->thinking);
}

void
anthropic_counts_usage(const struct anthropic_counts *c, struct usage *out)
{
	*out = (struct usage)USAGE_INIT;
	out->cache_read_tokens = c->cache_read;
	out->cache_write_tokens = c->cache_write;
	out->output_tokens = c->output;
	out->reasoning_tokens = c->thinking;
	/* what came from the cache or went there is not in their number */
	if (c->input >= 0)
		out->input_tokens = c->input + (c->cache_read > 0 ? c->cache_read : 0) +
		    (c->cache_write > 0 ? c->cache_write : 0);
	foreign_check_usage(out);
}

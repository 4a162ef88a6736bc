#include "server/model/usage.h"

static void
take(int64_t *into, int64_t later)
{
	if (later >= 0)
		*into = later;
}

void
usage_merge(struct usage *into, const struct usage *later)
{
	take(&into->input_tokens, later->input_tokens);
	take(&into->output_tokens, later->output_tokens);
	take(&into->cache_read_tokens, later->cache_read_tokens);
	take(&into->cache_write_tokens, later->cache_write_tokens);
	take(&into->reasoning_tokens, later->reasoning_tokens);
	take(&into->cost_microusd, later->cost_microusd);
	/* the counts are as sure as the last report of counts */
	if (later->input_tokens >= 0 || later->output_tokens >= 0)
		into->estimated = later->estimated;
}

bool
usage_known(const struct usage *u)
{
	return u->input_tokens >= 0 || u->output_tokens >= 0 || u->cost_microusd >= 0;
}

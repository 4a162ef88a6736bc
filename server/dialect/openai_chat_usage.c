/* openai_chat_usage.c - token counts as providers report them, and what cannot be true of them. */
#include "server/dialect/openai_chat_state.h"

/* No answer has a billion tokens; such a number is a fault, and a fault must not become money. */
#define TOKENS_MAX 1000000000

static int64_t
count_of(const struct json *j, uint32_t at)
{
	int64_t v;

	return json_int(j, at, &v) && v >= 0 && v <= TOKENS_MAX ? v : -1;
}

static int64_t
cost_of(const struct json *j, uint32_t usage)
{
	int64_t cost, upstream;
	bool own_key = false;

	if (!json_decimal(j, json_get(j, usage, "cost"), 6, &cost))
		return -1;
	/* with a key of one's own at the upstream, "cost" is only the fee */
	if (json_bool(j, json_get(j, usage, "is_byok"), &own_key) && own_key &&
	    json_decimal(j, json_path(j, usage, "cost_details", "upstream_inference_cost"), 6,
	        &upstream) &&
	    upstream <= INT64_MAX - cost)
		cost += upstream;
	return cost;
}

/* Parts are no larger than their whole. */
static void
check_parts(struct usage *u)
{
	if (u->input_tokens >= 0 && u->cache_read_tokens > u->input_tokens)
		u->cache_read_tokens = -1;
	if (u->input_tokens >= 0 && u->cache_write_tokens >= 0 &&
	    u->cache_write_tokens + (u->cache_read_tokens > 0 ? u->cache_read_tokens : 0) >
	        u->input_tokens)
		u->cache_write_tokens = -1;
	if (u->output_tokens >= 0 && u->reasoning_tokens > u->output_tokens)
		u->reasoning_tokens = -1;
}

bool
openai_usage_read(const struct json *j, uint32_t at, struct usage *out)
{
	struct usage u = USAGE_INIT;
	uint32_t input = json_get(j, at, "prompt_tokens_details");
	uint32_t output = json_get(j, at, "completion_tokens_details");

	if (!json_is(j, at, JSON_OBJECT))
		return false;
	u.input_tokens = count_of(j, json_get(j, at, "prompt_tokens"));
	u.output_tokens = count_of(j, json_get(j, at, "completion_tokens"));
	u.cache_read_tokens = count_of(j, json_get(j, input, "cached_tokens"));
	u.cache_write_tokens = count_of(j, json_get(j, input, "cache_write_tokens"));
	if (u.cache_write_tokens < 0) /* DashScope's word */
		u.cache_write_tokens = count_of(j, json_get(j, input, "cache_creation_input_tokens"));
	u.reasoning_tokens = count_of(j, json_get(j, output, "reasoning_tokens"));
	u.cost_microusd = cost_of(j, at);
	check_parts(&u);
	if (!usage_known(&u))
		return false;
	*out = u;
	return true;
}

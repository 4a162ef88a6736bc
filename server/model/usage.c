#include "server/model/usage.h"

#include <stddef.h>
#include <string.h>

static const char *const cost_kinds[] = {
	[COST_UNKNOWN] = "unknown",
	[COST_NONE] = "none",
	[COST_REPORTED] = "reported",
	[COST_OWN] = "own",
	[COST_LIST] = "list",
	[COST_FREE] = "free",
	[COST_PLAN] = "plan",
	[COST_UNPRICED] = "unpriced",
};

const char *
cost_kind_name(enum cost_kind k)
{
	return cost_kinds[k];
}

enum cost_kind
cost_kind_parse(const char *name)
{
	for (size_t i = 0; i < sizeof cost_kinds / sizeof *cost_kinds; i++)
		if (strcmp(name, cost_kinds[i]) == 0)
			return (enum cost_kind)i;
	return COST_UNKNOWN;
}

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
	if (later->list_microusd > 0)
		into->list_microusd = later->list_microusd;
	if (later->cost_kind != COST_UNKNOWN)
		into->cost_kind = later->cost_kind;
	/* a count is as sure as the last report of it */
	if (later->input_tokens >= 0)
		into->input_estimated = later->input_estimated;
	if (later->output_tokens >= 0)
		into->output_estimated = later->output_estimated;
}

bool
usage_known(const struct usage *u)
{
	return u->input_tokens >= 0 || u->output_tokens >= 0 || u->cost_microusd >= 0;
}

bool
usage_counted(const struct usage *u)
{
	return u->input_tokens >= 0 || u->output_tokens >= 0;
}

bool
usage_estimated(const struct usage *u)
{
	return (u->input_tokens >= 0 && u->input_estimated) || (u->output_tokens >= 0 && u->output_estimated);
}

const char *
usage_counts_name(const struct usage *u)
{
	if (!usage_counted(u))
		return "unknown";
	if (!usage_estimated(u))
		return "reported";
	if (u->output_tokens >= 0 && !u->output_estimated)
		return "input_estimated";
	return u->input_tokens >= 0 && !u->input_estimated ? "output_estimated" : "estimated";
}

void
usage_counts_parse(const char *name, struct usage *u)
{
	bool both = strcmp(name, "estimated") == 0;

	u->input_estimated = both || strcmp(name, "input_estimated") == 0;
	u->output_estimated = both || strcmp(name, "output_estimated") == 0;
}

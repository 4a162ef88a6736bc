/* openai_chat_limits.c - the x-ratelimit-* headers of the OpenAI family (providers/openai-chat.md section 8,
 * openrouter.md section 5): present on any answer, often absent, sometimes odd. */
#include <stdio.h>
#include <string.h>

#include "server/dialect/openai_chat.h"
#include "server/dialect/refusal.h"

#define COUNT_MAX ((int64_t)1 << 50)

static const struct {
	const char *header; /* behind x-ratelimit-{limit,remaining,reset}, with its dash */
	const char *name;
} dimensions[] = {
	{ "-requests", "requests" },
	{ "-tokens", "tokens" },
	{ "-project-tokens", "project-tokens" },
	{ "", "requests" }, /* OpenRouter, with its own refusals only */
};

static bool
count_of(struct slice s, int64_t *out)
{
	int64_t v = 0;

	if (s.len == 0)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (s.data[i] < '0' || s.data[i] > '9' || v > COUNT_MAX)
			return false;
		v = v * 10 + (s.data[i] - '0');
	}
	*out = v;
	return true;
}

/* A duration ("6m0s"), or a bare number: seconds from now, Unix seconds or Unix milliseconds, told apart by
 * their size (providers/limits-and-errors.md section 4). 0 = unknown. */
static int64_t
reset_of(struct slice s, int64_t now_ms)
{
	int64_t v;

	if (count_of(s, &v)) {
		if (v < 1000000)
			return now_ms + v * 1000;
		if (v >= 1000000000 && v < 10000000000)
			return v * 1000;
		return v >= 1000000000000 && v < COUNT_MAX ? v : 0;
	}
	if (go_duration_parse(s, &v) && v >= 0)
		return now_ms + v;
	return rfc3339_parse(s, &v) && v > 0 ? v : 0;
}

static struct slice
ratelimit_header(const struct wire_head *head, const char *what, const char *dimension)
{
	char name[64];

	snprintf(name, sizeof name, "x-ratelimit-%s%s", what, dimension);
	return wire_header(head, name);
}

void
openai_chat_limits(const struct provider *p, const struct wire_head *head, int64_t now_ms,
    struct limits *out)
{
	(void)p;
	out->at_ms = now_ms;
	for (size_t i = 0; i < sizeof dimensions / sizeof dimensions[0]; i++) {
		int64_t limit = -1, remaining = -1;
		struct limit *l;
		bool any;

		any = count_of(ratelimit_header(head, "limit", dimensions[i].header), &limit);
		any |= count_of(ratelimit_header(head, "remaining", dimensions[i].header), &remaining);
		if (!any || (l = limits_name(out, dimensions[i].name)) == NULL)
			continue;
		l->limit = limit;
		l->remaining = remaining;
		l->resets_ms = reset_of(ratelimit_header(head, "reset", dimensions[i].header), now_ms);
	}
}

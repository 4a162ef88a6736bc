#include "server/model/limits.h"

#include <stdio.h>
#include <string.h>

struct limit *
limits_name(struct limits *l, const char *name)
{
	struct limit *at;

	for (size_t i = 0; i < l->count; i++)
		if (strcmp(l->of[i].name, name) == 0)
			return &l->of[i];
	if (l->count == LIMITS_MAX)
		return NULL;
	at = &l->of[l->count++];
	memset(at, 0, sizeof *at);
	snprintf(at->name, sizeof at->name, "%s", name);
	at->limit = at->remaining = -1;
	at->used_permille = -1;
	return at;
}

#define FAR_MS ((int64_t)32 * 24 * 3600 * 1000)

/* Whether it was told, and is still true at that time. */
static bool
is_told(const struct limits *l, const char *name, int64_t now_ms)
{
	for (size_t i = 0; i < l->count; i++)
		if (strcmp(l->of[i].name, name) == 0)
			return !l->of[i].estimated &&
			    (l->of[i].resets_ms == 0 || l->of[i].resets_ms > now_ms);
	return false;
}

static void
remove_at(struct limits *l, size_t i)
{
	memmove(&l->of[i], &l->of[i + 1], (l->count - i - 1) * sizeof l->of[0]);
	l->count--;
}

void
limits_merge(struct limits *into, const struct limits *later)
{
	for (size_t i = 0; i < later->count; i++) {
		struct limit *at;

		if (later->of[i].estimated && is_told(into, later->of[i].name, later->at_ms))
			continue;
		if ((at = limits_name(into, later->of[i].name)) == NULL)
			continue;
		if (later->of[i].none) {
			remove_at(into, (size_t)(at - into->of));
			continue;
		}
		*at = later->of[i];
		if (later->at_ms > 0 && at->resets_ms > later->at_ms + FAR_MS)
			at->resets_ms = 0;
	}
	if (later->count > 0)
		into->at_ms = later->at_ms;
}

#define UNKNOWN_RESET_MS 60000

int64_t
limit_resets_ms(const struct limits *l, const struct limit *of)
{
	return of->resets_ms > 0 ? of->resets_ms : l->at_ms + UNKNOWN_RESET_MS;
}

const struct limit *
limits_wall(const struct limits *l, int64_t now_ms)
{
	const struct limit *wall = NULL;

	for (size_t i = 0; i < l->count; i++) {
		const struct limit *at = &l->of[i];

		if (at->estimated || at->partial || (!at->rejected && at->remaining != 0))
			continue;
		if (limit_resets_ms(l, at) <= now_ms)
			continue;
		if (wall == NULL || limit_resets_ms(l, at) > limit_resets_ms(l, wall))
			wall = at;
	}
	return wall;
}

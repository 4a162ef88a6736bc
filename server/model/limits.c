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

void
limits_merge(struct limits *into, const struct limits *later)
{
	for (size_t i = 0; i < later->count; i++) {
		struct limit *at = limits_name(into, later->of[i].name);

		if (at != NULL)
			*at = later->of[i];
	}
	if (later->count > 0)
		into->at_ms = later->at_ms;
}

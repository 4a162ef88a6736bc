#include "server/model/target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"

void
target_init(struct target *t)
{
	memset(t, 0, sizeof *t);
}

void
target_clear(struct target *t)
{
	free(t->provider);
	free(t->model);
	free(t->upstream);
	free(t->label);
	target_init(t);
}

void
target_set(struct target *t, const char *provider, const char *model, const char *upstream,
    const char *label)
{
	/* copied before the old ones go: the arguments may be our own members */
	struct target fresh = {
		.provider = xstrdup(provider),
		.model = xstrdup(model),
		.upstream = xstrdup(upstream != NULL ? upstream : model),
		.label = xstrdup(label != NULL ? label : "default"),
	};

	target_clear(t);
	*t = fresh;
}

void
target_copy(struct target *to, const struct target *from)
{
	if (from->provider == NULL) {
		if (to != from)
			target_clear(to);
		return;
	}
	target_set(to, from->provider, from->model, from->upstream, from->label);
}

static bool
same(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

bool
target_equal(const struct target *a, const struct target *b)
{
	return same(a->provider, b->provider) && same(a->model, b->model)
	    && same(a->upstream, b->upstream) && same(a->label, b->label);
}

const char *
target_ref(const struct target *t, char *out, size_t size)
{
	if (t->provider == NULL)
		snprintf(out, size, "-");
	else
		snprintf(out, size, "%s:%s", t->provider, t->model != NULL ? t->model : "");
	return out;
}

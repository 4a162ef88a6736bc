#include "server/call/waiting.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct waiting {
	struct upstream *up;
	struct providers *providers;
	struct changes *changes;
};

/* Status and limits do not change the revision: what the user sets up does. */
void
waiting_owner(const struct provider *p, char *out, size_t size)
{
	snprintf(out, size, "%lld %s", (long long)p->rev, p->id);
}

bool
waiting_allowed(const struct providers *ps, const struct provider *p)
{
	const struct provider *now = providers_find_id(ps, p->id);

	return now != NULL && now->enabled && now->rev == p->rev;
}

static bool
is_orphan(void *arg, const char *owner)
{
	const struct waiting *w = arg;
	const char *id = strchr(owner, ' ');
	const struct provider *p = id != NULL ? providers_find_id(w->providers, id + 1) : NULL;
	char now[sizeof ((struct endpoint *)0)->owner];

	if (p == NULL || !p->enabled)
		return true;
	waiting_owner(p, now, sizeof now);
	return strcmp(now, owner) != 0;
}

static void
on_change(void *arg, const struct change *ch)
{
	struct waiting *w = arg;

	if (ch->topic == TOPIC_PROVIDERS)
		upstream_end_waiting(w->up, is_orphan, w);
}

struct waiting *
waiting_new(struct upstream *up, struct providers *ps, struct changes *changes)
{
	struct waiting *w = xcalloc(1, sizeof *w);

	w->up = up;
	w->providers = ps;
	w->changes = changes;
	changes_subscribe(changes, on_change, w);
	return w;
}

void
waiting_free(struct waiting *w)
{
	if (w == NULL)
		return;
	changes_unsubscribe(w->changes, w);
	free(w);
}

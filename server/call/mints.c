/* mints.c - the set of keys that are being made or deleted. */
#include <stdlib.h>
#include <string.h>

#include "server/call/mint_list.h"

void
mints_hold(struct mints *ms, int64_t id)
{
	ms->held = xrealloc(ms->held, (ms->held_count + 1) * sizeof *ms->held);
	ms->held[ms->held_count++] = id;
}

bool
mints_held(const struct mints *ms, int64_t id)
{
	for (size_t i = 0; i < ms->held_count; i++)
		if (ms->held[i] == id)
			return true;
	return false;
}

void
mint_settle(struct mints *ms, int64_t id)
{
	for (size_t i = 0; i < ms->held_count; i++) {
		if (ms->held[i] != id)
			continue;
		ms->held[i] = ms->held[--ms->held_count];
		break;
	}
	unmint_begin(ms);
}

/* A session that ended leaves its key to be deleted; a management key that is set may be the one that was
 * missing. */
static void
on_change(void *arg, const struct change *ch)
{
	if ((ch->topic == TOPIC_SESSIONS && ch->op == CHANGE_REMOVE) ||
	    (ch->topic == TOPIC_KEYS && ch->op == CHANGE_SET))
		unmint_begin(arg);
}

struct mints *
mints_new(const struct attempt_parts *parts, struct sessions *ss, struct minted *minted,
    struct changes *changes, int64_t retry_ms)
{
	struct mints *ms = xcalloc(1, sizeof *ms);

	ms->parts = *parts;
	ms->sessions = ss;
	ms->minted = minted;
	ms->changes = changes;
	ms->retry_ms = retry_ms;
	ms->timer = loop_timer_new(parts->loop, unmint_on_timer, ms);
	changes_subscribe(changes, on_change, ms);
	/* also those that were left by the last run */
	unmint_begin(ms);
	return ms;
}

void
mints_free(struct mints *ms)
{
	if (ms == NULL)
		return;
	changes_unsubscribe(ms->changes, ms);
	mints_stop_making(ms);
	unmint_stop(ms);
	loop_timer_free(ms->timer);
	free(ms->held);
	free(ms);
}

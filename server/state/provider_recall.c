/* provider_recall.c - what is known at the start of how providers did before. */
#include "server/base/clock.h"
#include "server/state/providers_inside.h"

void
providers_recall(struct providers *ps, const char *name, int64_t used_ms, int64_t latency_ms)
{
	struct entry *e = entries_by_name(&ps->entries, name);

	if (e != NULL)
		health_recall(&e->health, used_ms, latency_ms);
}

void
providers_recall_refusal(struct providers *ps, const char *name, int code, const char *message,
    int64_t until_ms)
{
	struct entry *e = entries_by_name(&ps->entries, name);
	int64_t used_ms;

	if (e == NULL)
		return;
	used_ms = e->health.last_used_ms;
	health_failed(&e->health, code, message, until_ms, clock_wall_ms());
	e->health.last_used_ms = used_ms;
}

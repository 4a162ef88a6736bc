#include "server/state/provider_activity.h"

#include <string.h>

#define MINUTE_MS 60000

/* The minutes between the newest count and this one had none. */
static void
move_on(struct activity *a, int64_t minute)
{
	int64_t gone = minute - a->minute;

	if (gone >= ACTIVITY_MINUTES || gone <= -ACTIVITY_MINUTES) {
		memset(a, 0, sizeof *a);
		a->minute = minute;
		return;
	}
	while (a->minute < minute) {
		a->minute++;
		a->asked[a->minute % ACTIVITY_MINUTES] = 0;
		a->failed[a->minute % ACTIVITY_MINUTES] = 0;
	}
}

void
activity_note(struct activity *a, bool failed, int64_t now_ms)
{
	int64_t minute = now_ms > 0 ? now_ms / MINUTE_MS : 0;

	move_on(a, minute);
	/* a clock that was set back a little: the newest minute takes it */
	a->asked[a->minute % ACTIVITY_MINUTES]++;
	if (failed)
		a->failed[a->minute % ACTIVITY_MINUTES]++;
}

void
activity_read(const struct activity *a, int64_t now_ms, uint32_t minutes[ACTIVITY_MINUTES],
    uint32_t *asked, uint32_t *failed)
{
	struct activity now = *a;
	int64_t minute = now_ms > 0 ? now_ms / MINUTE_MS : 0;

	move_on(&now, minute);
	*asked = *failed = 0;
	for (int64_t i = 0; i < ACTIVITY_MINUTES; i++) {
		int64_t at = (now.minute + 1 + i) % ACTIVITY_MINUTES;

		if (minutes != NULL)
			minutes[i] = now.asked[at];
		*asked += now.asked[at];
		*failed += now.failed[at];
	}
}

/* provider_activity.h - how often one provider was asked in the last half hour, minute by minute:
 * kept in memory, for `mpc top`. Plain data inside its owner; times are wall clock. */
#ifndef SERVER_STATE_PROVIDER_ACTIVITY_H
#define SERVER_STATE_PROVIDER_ACTIVITY_H

#include <stdbool.h>
#include <stdint.h>

#define ACTIVITY_MINUTES 30

/* Zeroed memory is one that was never asked. */
struct activity {
	int64_t minute; /* since the epoch, of the newest count */
	uint32_t asked[ACTIVITY_MINUTES],
	    failed[ACTIVITY_MINUTES]; /* rings: minute m is at m % 30 */
};

/* Counts one attempt that ended now. A clock that was set back by more than the half hour starts
 * anew. */
void activity_note(struct activity *a, bool failed, int64_t now_ms);
/* The half hour that ends with this minute, the oldest first. minutes may be NULL. */
void activity_read(const struct activity *a, int64_t now_ms, uint32_t minutes[ACTIVITY_MINUTES],
    uint32_t *asked, uint32_t *failed);

#endif

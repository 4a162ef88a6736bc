/* calendar.h - where hours, days, weeks and months begin for the person at this machine: in local time.
 * All in milliseconds since the epoch. */
#ifndef SERVER_USAGE_CALENDAR_H
#define SERVER_USAGE_CALENDAR_H

#include <stdint.h>

enum period {
	PERIOD_HOUR,
	PERIOD_DAY,
	PERIOD_WEEK, /* from Monday */
	PERIOD_MONTH,
};

/* The beginning of the period that holds at_ms. */
int64_t calendar_start(enum period p, int64_t at_ms);
/* The beginning of the next one; always later than at_ms. */
int64_t calendar_next(enum period p, int64_t at_ms);

#endif

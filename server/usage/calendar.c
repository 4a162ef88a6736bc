#include "server/usage/calendar.h"

#include <time.h>

#define HOUR_S INT64_C(3600)

static int64_t
seconds_of(int64_t ms)
{
	return ms >= 0 ? ms / 1000 : -((-ms + 999) / 1000);
}

/* The same wall time may come twice when the clocks are set back: an hour is counted by the offset that
 * holds, so that both are hours of their own. */
static int64_t
hour_start(int64_t s)
{
	time_t t = (time_t)s;
	struct tm tm;
	int64_t local;

	if (localtime_r(&t, &tm) == NULL)
		return s - s % HOUR_S;
	local = s + tm.tm_gmtoff;
	return s - ((local % HOUR_S) + HOUR_S) % HOUR_S;
}

/* steps: 0 = the period that holds s, 1 = the one after it. */
static int64_t
date_start(enum period p, int64_t s, int steps)
{
	time_t t = (time_t)s, start;
	struct tm tm;

	if (localtime_r(&t, &tm) == NULL)
		return s - s % (24 * HOUR_S) + (int64_t)steps * 24 * HOUR_S;
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	tm.tm_isdst = -1;
	switch (p) {
	case PERIOD_HOUR:
	case PERIOD_DAY:
		tm.tm_mday += steps;
		break;
	case PERIOD_WEEK:
		tm.tm_mday -= (tm.tm_wday + 6) % 7;
		tm.tm_mday += 7 * steps;
		break;
	case PERIOD_MONTH:
		tm.tm_mday = 1;
		tm.tm_mon += steps;
		break;
	}
	start = mktime(&tm);
	return (int64_t)start;
}

int64_t
calendar_start(enum period p, int64_t at_ms)
{
	int64_t s = seconds_of(at_ms);

	return (p == PERIOD_HOUR ? hour_start(s) : date_start(p, s, 0)) * 1000;
}

int64_t
calendar_next(enum period p, int64_t at_ms)
{
	int64_t s = seconds_of(at_ms), next;

	next = p == PERIOD_HOUR ? hour_start(s) + HOUR_S : date_start(p, s, 1);
	return (next > s ? next : s + HOUR_S) * 1000;
}

/* day.c - days as people write them. */
#include <stdio.h>
#include <time.h>

#include "protocol/base/str.h"

/* Exactly n digits; -1 for anything else. */
static int
digits(const char *s, int n)
{
	int value = 0;

	for (int i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return -1;
		value = value * 10 + (s[i] - '0');
	}
	return value;
}

bool
utc_day_parse(const char **s, int64_t *ms)
{
	int year = digits(*s, 4), month, day;
	struct tm tm = { .tm_year = year - 1900 };
	time_t t;

	if (year < 1970 || (*s)[4] != '-' || (month = digits(*s + 5, 2)) < 1 || (*s)[7] != '-' ||
	    (day = digits(*s + 8, 2)) < 1)
		return false;
	tm.tm_mon = month - 1;
	tm.tm_mday = day;
	t = timegm(&tm);
	/* there is no 30th of February: it would be a day of March */
	if (tm.tm_mon != month - 1 || tm.tm_mday != day)
		return false;
	*s += 10;
	*ms = (int64_t)t * 1000;
	return true;
}

void
utc_day_text(int64_t ms, char *out, size_t size)
{
	time_t t = (time_t)(ms / 1000);
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL || strftime(out, size, "%Y-%m-%d", &tm) == 0)
		snprintf(out, size, "?");
}

/* duration.c - lengths of time as people write and read them. */
#include <stdio.h>

#include "protocol/base/err.h"
#include "protocol/base/str.h"

struct unit {
	char letter;
	int64_t ms;
};

/* from large to small: in a joined duration each comes at most once and in this order */
static const struct unit units[] = {
	{ 'd', INT64_C(86400000) },
	{ 'h', INT64_C(3600000) },
	{ 'm', INT64_C(60000) },
	{ 's', INT64_C(1000) },
};
#define UNITS (sizeof units / sizeof units[0])

static bool
add_scaled(int64_t *total, int64_t count, int64_t unit_ms)
{
	return !__builtin_mul_overflow(count, unit_ms, &count) &&
	    !__builtin_add_overflow(*total, count, total);
}

static bool
read_count(const char **s, int64_t *count)
{
	const char *p = *s;

	*count = 0;
	for (; *p >= '0' && *p <= '9'; p++) {
		if (__builtin_mul_overflow(*count, 10, count) ||
		    __builtin_add_overflow(*count, *p - '0', count))
			return false;
	}
	if (p == *s)
		return false;
	*s = p;
	return true;
}

int
duration_parse(const char *s, int64_t *ms)
{
	int64_t total = 0, count;
	size_t next = 0;

	if (!read_count(&s, &count))
		return MP_E_INVALID_PARAMS;
	if (*s == '\0') {
		if (count == 0 || !add_scaled(&total, count, 60000))
			return MP_E_INVALID_PARAMS;
		*ms = total;
		return 0;
	}
	for (;;) {
		while (next < UNITS && units[next].letter != *s)
			next++;
		if (next == UNITS || !add_scaled(&total, count, units[next].ms))
			return MP_E_INVALID_PARAMS;
		next++;
		if (*++s == '\0')
			break;
		if (!read_count(&s, &count))
			return MP_E_INVALID_PARAMS;
	}
	if (total == 0)
		return MP_E_INVALID_PARAMS;
	*ms = total;
	return 0;
}

void
duration_text(int64_t ms, char *out, size_t size)
{
	size_t at = 0;

	out[0] = '\0';
	for (size_t i = 0; i < UNITS && at < size; i++) {
		long long count = (long long)(ms / units[i].ms);

		if (count <= 0 && !(i == UNITS - 1 && at == 0))
			continue;
		ms -= count * units[i].ms;
		at += (size_t)snprintf(out + at, size - at, "%lld%c", count > 0 ? count : 0, units[i].letter);
	}
}

static void
put_pair(char *out, size_t size, long long a, const char *unit_a, long long b, const char *unit_b)
{
	if (b != 0)
		snprintf(out, size, "%lld %s %lld %s", a, unit_a, b, unit_b);
	else
		snprintf(out, size, "%lld %s", a, unit_a);
}

void
duration_format(int64_t ms, char *out, size_t size)
{
	long long s = ms > 0 ? ms / 1000 : 0;

	if (s < 60)
		put_pair(out, size, s, "s", 0, "");
	else if (s < 3600)
		put_pair(out, size, s / 60, "min", 0, "");
	else if (s < 86400)
		put_pair(out, size, s / 3600, "h", s / 60 % 60, "min");
	else
		put_pair(out, size, s / 86400, "d", s / 3600 % 24, "h");
}

/* moment.c - durations and dates as providers write them (providers/limits-and-errors.md section 4).
 * Declared in refusal.h. */
#include <stdint.h>
#include <string.h>

#include "server/dialect/refusal.h"

#define DAY_MS 86400000
#define FAR_MS ((int64_t)366 * DAY_MS * 100)

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "12", "0.5", ".5": into nanoseconds per unit, cut off far away. */
static bool
take_decimal(struct slice *s, double *out)
{
	double v = 0, scale = 1;
	bool any = false;

	while (s->len > 0 && is_digit(*s->data)) {
		v = v * 10 + (*s->data - '0');
		any = true;
		s->data++;
		s->len--;
	}
	if (s->len > 0 && *s->data == '.') {
		s->data++;
		s->len--;
		while (s->len > 0 && is_digit(*s->data)) {
			scale /= 10;
			v += (*s->data - '0') * scale;
			any = true;
			s->data++;
			s->len--;
		}
	}
	*out = v;
	return any;
}

/* Longer words first: "ms" is no minute. */
static const struct {
	const char *word;
	double ms;
} units[] = {
	{ "ns", 1e-6 },
	{ "us", 1e-3 },
	{ "\xc2\xb5s", 1e-3 },
	{ "\xce\xbcs", 1e-3 },
	{ "ms", 1 },
	{ "s", 1000 },
	{ "m", 60000 },
	{ "h", 3600000 },
};

static bool
take_unit(struct slice *s, double *ms)
{
	size_t i, n;

	for (i = 0; i < sizeof units / sizeof units[0]; i++) {
		n = strlen(units[i].word);
		if (s->len >= n && memcmp(s->data, units[i].word, n) == 0) {
			s->data += n;
			s->len -= n;
			*ms = units[i].ms;
			return true;
		}
	}
	return false;
}

bool
go_duration_parse(struct slice s, int64_t *ms)
{
	double total = 0, v, unit;
	bool negative = false;

	if (s.len > 0 && (*s.data == '-' || *s.data == '+')) {
		negative = *s.data == '-';
		s.data++;
		s.len--;
	}
	if (slice_eq(s, "0")) {
		*ms = 0;
		return true;
	}
	if (s.len == 0)
		return false;
	while (s.len > 0) {
		if (!take_decimal(&s, &v) || !take_unit(&s, &unit))
			return false;
		total += v * unit;
	}
	if (total > (double)FAR_MS)
		total = (double)FAR_MS;
	/* a part of a millisecond counts as one: never too early */
	*ms = (int64_t)total;
	if ((double)*ms < total)
		++*ms;
	if (negative)
		*ms = -*ms;
	return true;
}

/* Days since 1970-01-01 (Howard Hinnant's civil algorithm). */
static int64_t
days_of(int64_t y, int m, int d)
{
	int64_t era, yoe, doy;

	y -= m <= 2;
	era = (y >= 0 ? y : y - 399) / 400;
	yoe = y - era * 400;
	doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

struct civil {
	int year, month, day, hour, minute, second;
};

static bool
civil_to_ms(const struct civil *c, int64_t *ms)
{
	static const int month_days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (c->year % 4 == 0 && c->year % 100 != 0) || c->year % 400 == 0;
	int64_t hours, minutes;

	if (c->month < 1 || c->month > 12 || c->day < 1 || c->hour > 23 || c->minute > 59 ||
	    c->second > 60 ||
	    c->day > month_days[c->month - 1] + (c->month == 2 && leap ? 1 : 0))
		return false;
	hours = days_of(c->year, c->month, c->day) * 24 + c->hour;
	minutes = hours * 60 + c->minute;
	*ms = (minutes * 60 + c->second) * 1000;
	return true;
}

/* Exactly n digits. */
static bool
take_digits(struct slice *s, size_t n, int *out)
{
	int v = 0;
	size_t i;

	if (s->len < n)
		return false;
	for (i = 0; i < n; i++) {
		if (!is_digit(s->data[i]))
			return false;
		v = v * 10 + (s->data[i] - '0');
	}
	s->data += n;
	s->len -= n;
	*out = v;
	return true;
}

static bool
take_char(struct slice *s, char c)
{
	if (s->len == 0 || *s->data != c)
		return false;
	s->data++;
	s->len--;
	return true;
}

static bool
take_word(struct slice *s, const char *word)
{
	if (!slice_starts(*s, word))
		return false;
	s->data += strlen(word);
	s->len -= strlen(word);
	return true;
}

static bool
take_clock(struct slice *s, struct civil *c)
{
	return take_digits(s, 2, &c->hour) && take_char(s, ':') && take_digits(s, 2, &c->minute) &&
	    take_char(s, ':') && take_digits(s, 2, &c->second);
}

static bool
take_zone(struct slice *s, int64_t *offset_ms)
{
	int hours, minutes, sign;

	*offset_ms = 0;
	if (take_char(s, 'Z') || take_char(s, 'z'))
		return true;
	sign = take_char(s, '+') ? 1 : take_char(s, '-') ? -1 : 0;
	if (sign == 0 || !take_digits(s, 2, &hours) || !take_char(s, ':') ||
	    !take_digits(s, 2, &minutes) || hours > 23 || minutes > 59)
		return false;
	*offset_ms = (int64_t)sign * (hours * 60 + minutes) * 60000;
	return true;
}

bool
rfc3339_parse(struct slice s, int64_t *epoch_ms)
{
	struct civil c;
	int64_t ms, offset, scale = 100;

	if (!take_digits(&s, 4, &c.year) || !take_char(&s, '-') || !take_digits(&s, 2, &c.month) ||
	    !take_char(&s, '-') || !take_digits(&s, 2, &c.day) ||
	    !(take_char(&s, 'T') || take_char(&s, 't') || take_char(&s, ' ')) ||
	    !take_clock(&s, &c) || !civil_to_ms(&c, &ms))
		return false;
	if (take_char(&s, '.')) {
		if (s.len == 0 || !is_digit(*s.data))
			return false;
		for (; s.len > 0 && is_digit(*s.data); s.data++, s.len--) {
			ms += (*s.data - '0') * scale;
			scale /= 10;
		}
	}
	if (!take_zone(&s, &offset) || s.len != 0)
		return false;
	*epoch_ms = ms - offset;
	return true;
}

static bool
take_month(struct slice *s, int *month)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	int i;

	if (s->len < 3)
		return false;
	for (i = 0; i < 12; i++) {
		if (memcmp(s->data, names + (size_t)i * 3, 3) != 0)
			continue;
		*month = i + 1;
		s->data += 3;
		s->len -= 3;
		return true;
	}
	return false;
}

/* The name of a day, short or long; its rightness is not our business. */
static bool
take_day_name(struct slice *s)
{
	static const char *const names[] = { "Monday", "Tuesday", "Wednesday", "Thursday", "Friday",
		"Saturday", "Sunday", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun" };
	size_t i;

	for (i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (take_word(s, names[i]))
			return true;
	}
	return false;
}

/* "22 Nov 2026 08:00:00 GMT" and "22-Nov-26 08:00:00 GMT". */
static bool
take_net_date(struct slice *s, struct civil *c)
{
	char sep;

	if (!take_digits(s, 2, &c->day) || s->len == 0)
		return false;
	sep = *s->data;
	if ((sep != ' ' && sep != '-') || !take_char(s, sep) || !take_month(s, &c->month) ||
	    !take_char(s, sep))
		return false;
	if (sep == ' ') {
		if (!take_digits(s, 4, &c->year))
			return false;
	} else {
		if (!take_digits(s, 2, &c->year))
			return false;
		c->year += c->year < 70 ? 2000 : 1900;
	}
	return take_char(s, ' ') && take_clock(s, c) && take_word(s, " GMT");
}

/* "Nov 22 08:00:00 2026", a day below 10 with a blank before it. */
static bool
take_c_date(struct slice *s, struct civil *c)
{
	if (!take_month(s, &c->month) || !take_char(s, ' '))
		return false;
	if (take_char(s, ' ')) {
		if (!take_digits(s, 1, &c->day))
			return false;
	} else if (!take_digits(s, 2, &c->day)) {
		return false;
	}
	return take_char(s, ' ') && take_clock(s, c) && take_char(s, ' ') &&
	    take_digits(s, 4, &c->year);
}

bool
http_date_parse(struct slice s, int64_t *epoch_ms)
{
	struct civil c;

	if (!take_day_name(&s))
		return false;
	if (take_word(&s, ", ")) {
		if (!take_net_date(&s, &c))
			return false;
	} else if (!take_char(&s, ' ') || !take_c_date(&s, &c)) {
		return false;
	}
	return s.len == 0 && civil_to_ms(&c, epoch_ms);
}

/* json_number.c - numbers, from their text and without a locale. */
#include <locale.h>
#include <math.h>
#include <stdlib.h>

#include "protocol/base/json_token.h"
#include "protocol/base/scan.h"

/* A number's text taken apart: digits (the point left out) times 10^exponent. */
struct decimal {
	bool negative;
	const char *digits; /* with a point in it, perhaps */
	const char *end;    /* of the digits */
	size_t count;       /* of digits */
	int64_t exponent;
};

/* Beyond any length of text, so that it never cancels against a number of digits. */
#define EXPONENT_MAX (INT64_C(1) << 40)

static void
take_apart(const char *p, const char *end, struct decimal *d)
{
	int64_t after_point = 0;
	bool point = false;

	d->negative = *p == '-';
	p += d->negative;
	d->digits = p;
	d->count = 0;
	for (; p < end && *p != 'e' && *p != 'E'; p++) {
		if (*p == '.') {
			point = true;
			continue;
		}
		d->count++;
		after_point += point;
	}
	d->end = p;
	d->exponent = 0;
	if (p < end) {
		bool minus = *++p == '-';

		for (p += *p == '-' || *p == '+'; p < end; p++) {
			d->exponent = d->exponent * 10 + (*p - '0');
			if (d->exponent > EXPONENT_MAX)
				d->exponent = EXPONENT_MAX;
		}
		if (minus)
			d->exponent = -d->exponent;
	}
	d->exponent -= after_point;
}

/* digits times 10^(exponent + scale). The part behind the point is rounded half up; *exact says
 * whether it was 0. False on overflow. */
static bool
to_integer(const struct decimal *d, int64_t scale, uint64_t *out, bool *exact)
{
	int64_t shift = d->exponent + scale;
	/* digits before the point; the others only round */
	int64_t whole = shift >= 0 ? (int64_t)d->count : (int64_t)d->count + shift;
	uint64_t v = 0;
	bool up = false;
	const char *p;
	int64_t i = 0;

	*exact = true;
	for (p = d->digits; p < d->end; p++) {
		uint64_t digit = (uint64_t)(*p - '0');

		if (*p == '.')
			continue;
		if (i < whole) {
			if (__builtin_mul_overflow(v, UINT64_C(10), &v) ||
			    __builtin_add_overflow(v, digit, &v))
				return false;
		} else {
			up = up || (i == whole && digit >= 5);
			*exact = *exact && digit == 0;
		}
		i++;
	}
	for (; v != 0 && shift > 0; shift--) {
		if (__builtin_mul_overflow(v, UINT64_C(10), &v))
			return false;
	}
	return !__builtin_add_overflow(v, (uint64_t)up, out);
}

static bool
number_text(const struct json *j, uint32_t at, struct slice *out)
{
	if (!json_is(j, at, JSON_NUMBER))
		return false;
	*out = json_raw(j, at);
	return true;
}

bool
json_int(const struct json *j, uint32_t at, int64_t *out)
{
	struct decimal d;
	struct slice s;
	uint64_t v;
	bool exact;

	if (!number_text(j, at, &s))
		return false;
	take_apart(s.data, s.data + s.len, &d);
	if (!to_integer(&d, 0, &v, &exact) || !exact)
		return false;
	if (v > (uint64_t)INT64_MAX + d.negative)
		return false;
	*out = d.negative ? (int64_t)(0 - v) : (int64_t)v;
	return true;
}

static bool
quoted_number(const struct json *j, uint32_t at, struct slice *out)
{
	return json_plain(j, at, out) && out->len > 0 &&
	    json_number_end(out->data, out->data + out->len) == out->data + out->len;
}

bool
json_decimal(const struct json *j, uint32_t at, unsigned scale, int64_t *out)
{
	struct decimal d;
	struct slice s;
	uint64_t v;
	bool exact;

	if (!number_text(j, at, &s) && !quoted_number(j, at, &s))
		return false;
	take_apart(s.data, s.data + s.len, &d);
	if (!to_integer(&d, scale, &v, &exact) || v > INT64_MAX)
		return false;
	/* -0 is 0; what rounds to 0 from below is still negative */
	if (d.negative && (v != 0 || !exact))
		return false;
	*out = (int64_t)v;
	return true;
}

bool
json_bool(const struct json *j, uint32_t at, bool *out)
{
	enum json_type type = json_type(j, at);

	if (type != JSON_TRUE && type != JSON_FALSE)
		return false;
	*out = type == JSON_TRUE;
	return true;
}

/* strtod stops at the byte after the number, and there is one in the text unless the number is the
 * whole text: then it needs a copy that ends. */
bool
json_double(const struct json *j, uint32_t at, double *out)
{
	char small[64];
	char *copy = NULL;
	const char *text;
	locale_t c;
	struct slice s;
	double v;

	if (!number_text(j, at, &s))
		return false;
	text = s.data;
	if (s.data + s.len == j->text + j->len) {
		copy = s.len < sizeof small ? small : malloc(s.len + 1);
		if (copy == NULL)
			return false;
		memcpy(copy, s.data, s.len);
		copy[s.len] = '\0';
		text = copy;
	}
	c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	v = c != (locale_t)0 ? strtod_l(text, NULL, c) : NAN;
	if (c != (locale_t)0)
		freelocale(c);
	if (copy != small)
		free(copy);
	if (!isfinite(v))
		return false;
	*out = v;
	return true;
}

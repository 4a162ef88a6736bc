/* utf8.c - checking and mending UTF-8 (RFC 3629). */
#include "protocol/base/buf.h"
#include "protocol/base/scan.h"
#include "protocol/base/str.h"

size_t
utf8_prefix(const char *s, size_t n)
{
	size_t i = 0;
	unsigned step;

	while (i < n) {
		while (n - i >= 8 && (scan_load(s + i) & SCAN_HIGH) == 0)
			i += 8;
		/* what is left of an ASCII tail, or the word with the first other byte */
		while (i < n && (unsigned char)s[i] < 0x80)
			i++;
		while (i < n && (unsigned char)s[i] >= 0x80) {
			if ((step = utf8_step(s + i, n - i)) == 0)
				return i;
			i += step;
		}
	}
	return i;
}

bool
utf8_valid(const char *s, size_t n)
{
	return utf8_prefix(s, n) == n;
}

/* How many bytes the code point with this first byte has, 0 when nothing starts so. */
static size_t
wanted_bytes(unsigned char first)
{
	if (first < 0x80)
		return 1;
	if (first < 0xc2 || first > 0xf4)
		return 0;
	return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* Whether second may follow first in some code point. */
static bool
second_fits(unsigned char first, unsigned char second)
{
	switch (first) {
	case 0xe0:
		return second >= 0xa0 && second <= 0xbf;
	case 0xed:
		return second >= 0x80 && second <= 0x9f;
	case 0xf0:
		return second >= 0x90 && second <= 0xbf;
	case 0xf4:
		return second >= 0x80 && second <= 0x8f;
	default:
		return utf8_is_tail(second);
	}
}

size_t
utf8_bad_length(const char *text, size_t n)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t wanted = wanted_bytes(p[0]);
	size_t i;

	if (wanted < 2 || n < 2 || !second_fits(p[0], p[1]))
		return 1;
	for (i = 2; i < n && i < wanted && utf8_is_tail(p[i]); i++)
		continue;
	return i;
}

size_t
utf8_incomplete_tail(const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t back;

	for (back = 1; back <= 3 && back <= n; back++) {
		const unsigned char *at = p + n - back;

		if (utf8_is_tail(*at))
			continue;
		if (wanted_bytes(*at) <= back || (back > 1 && !second_fits(at[0], at[1])))
			return 0;
		return back;
	}
	return 0;
}

uint32_t
utf8_decode(const char *text, unsigned step)
{
	const unsigned char *p = (const unsigned char *)text;

	switch (step) {
	case 1:
		return p[0];
	case 2:
		return (p[0] & 0x1fu) << 6 | (p[1] & 0x3fu);
	case 3:
		return (p[0] & 0x0fu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
	default:
		return (p[0] & 0x07u) << 18 | (p[1] & 0x3fu) << 12 | (p[2] & 0x3fu) << 6 |
		    (p[3] & 0x3fu);
	}
}

unsigned
utf8_encode(uint32_t code, char out[4])
{
	if (code < 0x80) {
		out[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		out[0] = (char)(0xc0 | code >> 6);
		out[1] = (char)(0x80 | (code & 0x3f));
		return 2;
	}
	if (code < 0x10000) {
		out[0] = (char)(0xe0 | code >> 12);
		out[1] = (char)(0x80 | (code >> 6 & 0x3f));
		out[2] = (char)(0x80 | (code & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | code >> 18);
	out[1] = (char)(0x80 | (code >> 12 & 0x3f));
	out[2] = (char)(0x80 | (code >> 6 & 0x3f));
	out[3] = (char)(0x80 | (code & 0x3f));
	return 4;
}

bool
utf8_repair(struct buf *out, const char *s, size_t n)
{
	bool replaced = false;

	while (n > 0) {
		size_t good = utf8_prefix(s, n);
		size_t bad;

		buf_add(out, s, good);
		s += good;
		n -= good;
		if (n == 0)
			break;
		bad = utf8_bad_length(s, n);
		buf_adds(out, UTF8_REPLACEMENT_BYTES);
		s += bad;
		n -= bad;
		replaced = true;
	}
	return replaced;
}

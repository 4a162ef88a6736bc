/* base64.c - RFC 4648. */
#include "protocol/base/buf.h"
#include "protocol/base/err.h"
#include "protocol/base/str.h"

static const char alphabet[65] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void
base64_encode(struct buf *out, const void *data, size_t n)
{
	const unsigned char *p = data;
	char *to;

	if (n > SIZE_MAX / 2) { /* no such memory; keeps the sum below honest */
		out->failed = true;
		return;
	}
	if (buf_reserve(out, (n + 2) / 3 * 4) != 0)
		return;
	to = out->data + out->len;
	for (; n >= 3; n -= 3, p += 3) {
		*to++ = alphabet[p[0] >> 2];
		*to++ = alphabet[(p[0] & 3) << 4 | p[1] >> 4];
		*to++ = alphabet[(p[1] & 15) << 2 | p[2] >> 6];
		*to++ = alphabet[p[2] & 63];
	}
	if (n > 0) {
		unsigned second = n == 2 ? p[1] : 0;

		*to++ = alphabet[p[0] >> 2];
		*to++ = alphabet[(p[0] & 3u) << 4 | second >> 4];
		*to++ = n == 2 ? alphabet[(second & 15) << 2] : '=';
		*to++ = '=';
	}
	*to = '\0';
	out->len = (size_t)(to - out->data);
}

/* 0..63, or -1. */
static int
digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+' || c == '-')
		return 62;
	return c == '/' || c == '_' ? 63 : -1;
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Reads the digits; *bits is what did not fill a byte, *have how many digits since. Stops at the
 * first byte that is neither digit nor space. */
static size_t
decode_digits(char **to, const char *s, size_t n, unsigned *bits, unsigned *have)
{
	size_t i;
	int d;

	for (i = 0; i < n; i++) {
		if ((d = digit(s[i])) < 0) {
			if (is_space(s[i]))
				continue;
			break;
		}
		*bits = *bits << 6 | (unsigned)d;
		if (++*have < 4)
			continue;
		*(*to)++ = (char)(*bits >> 16);
		*(*to)++ = (char)(*bits >> 8);
		*(*to)++ = (char)*bits;
		*bits = *have = 0;
	}
	return i;
}

/* Only white space and the padding that have digits call for; none of it may be missing in part. */
static bool
padding_fits(const char *s, size_t n, unsigned have)
{
	unsigned pads = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		if (s[i] == '=')
			pads++;
		else if (!is_space(s[i]))
			return false;
	}
	return pads == 0 || (have > 1 && pads == 4 - have);
}

int
base64_decode(struct buf *out, const char *s, size_t n)
{
	size_t before = out->len;
	unsigned bits = 0, have = 0;
	char *to;
	size_t i;
	int r;

	if ((r = buf_reserve(out, n / 4 * 3 + 3)) != 0)
		return r;
	to = out->data + before;
	i = decode_digits(&to, s, n, &bits, &have);
	/* bits that no byte takes must be 0: there is one text for each sequence of bytes */
	if (have == 1 || (have == 2 && (bits & 0xf) != 0) || (have == 3 && (bits & 0x3) != 0) ||
	    !padding_fits(s + i, n - i, have)) {
		buf_truncate(out, before);
		return MP_E_INVALID_PARAMS;
	}
	if (have == 2)
		*to++ = (char)(bits >> 4);
	if (have == 3) {
		*to++ = (char)(bits >> 10);
		*to++ = (char)(bits >> 2);
	}
	*to = '\0';
	out->len = (size_t)(to - out->data);
	return 0;
}

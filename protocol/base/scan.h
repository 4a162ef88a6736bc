/* scan.h - looking at text eight bytes at a time; private to protocol/base. */
#ifndef PROTOCOL_BASE_SCAN_H
#define PROTOCOL_BASE_SCAN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SCAN_EACH(byte) (UINT64_C(0x0101010101010101) * (byte))
#define SCAN_HIGH SCAN_EACH(0x80)

/* Eight bytes, the first of them lowest whatever the machine. */
static inline uint64_t
scan_load(const char *p)
{
	uint64_t x;

	memcpy(&x, p, sizeof x);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	x = __builtin_bswap64(x);
#endif
	return x;
}

/* A mask whose lowest bit marks the first byte that may not stand unseen in a JSON string: quote,
 * backslash, control, not ASCII. A borrow can only spoil bits above a true one. */
static inline uint64_t
scan_special(uint64_t x)
{
	uint64_t control = x - SCAN_EACH(0x20);
	uint64_t quote = (x ^ SCAN_EACH('"')) - SCAN_EACH(0x01);
	uint64_t backslash = (x ^ SCAN_EACH('\\')) - SCAN_EACH(0x01);

	return (control | quote | backslash | x) & SCAN_HIGH;
}

/* As scan_special for backslashes alone. */
static inline uint64_t
scan_backslash(uint64_t x)
{
	uint64_t y = x ^ SCAN_EACH('\\');

	return (y - SCAN_EACH(0x01)) & ~y & SCAN_HIGH;
}

/* Which byte (0..7) the lowest bit of a mask that is not 0 stands for. */
static inline unsigned
scan_first(uint64_t mask)
{
	return (unsigned)__builtin_ctzll(mask) / 8;
}

static inline int
utf8_is_tail(unsigned char c)
{
	return (c & 0xc0) == 0x80;
}

/* Bytes of the code point that starts at p (n > 0 bytes are there), 0 when it is none. */
static inline unsigned
utf8_step(const char *text, size_t n)
{
	const unsigned char *p = (const unsigned char *)text;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || n < 2 || !utf8_is_tail(p[1]))
		return 0;
	if (p[0] < 0xe0)
		return 2;
	if (n < 3 || !utf8_is_tail(p[2]))
		return 0;
	if (p[0] < 0xf0) {
		if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f))
			return 0;
		return 3;
	}
	if (n < 4 || !utf8_is_tail(p[3]) || p[0] > 0xf4)
		return 0;
	if ((p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return 4;
}

/* Bytes of the maximal part at p that utf8_step refused: 1..3, what one U+FFFD stands for. */
size_t utf8_bad_length(const char *text, size_t n);
/* The code point of the step (1..4) bytes at p, which utf8_step has accepted. */
uint32_t utf8_decode(const char *text, unsigned step);
/* Writes a code point (no surrogate) and returns how many bytes it took. */
unsigned utf8_encode(uint32_t code, char out[4]);

#define UTF8_REPLACEMENT UINT32_C(0xfffd)
#define UTF8_REPLACEMENT_BYTES "\xef\xbf\xbd"

/* One unit of text_escape: escapes what stands at p into out (NUL-terminated) and returns how many
 * bytes of p it stands for. */
#define TEXT_UNIT_MAX 12
size_t text_escape_unit(const char *p, size_t n, int keep_lines, char out[TEXT_UNIT_MAX]);

#endif

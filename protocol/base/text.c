/* text.c - text made harmless for terminals, log lines and URLs. */
#include <stdio.h>

#include "protocol/base/buf.h"
#include "protocol/base/scan.h"
#include "protocol/base/str.h"

static bool
is_bidi(uint32_t code)
{
	return (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) ||
	    code == 0x200e || code == 0x200f || code == 0x061c;
}

static bool
is_plain_byte(unsigned char c, bool keep_lines)
{
	return (c >= 0x20 && c < 0x7f) || (keep_lines && (c == '\n' || c == '\t'));
}

size_t
text_escape_unit(const char *p, size_t n, int keep_lines, char out[TEXT_UNIT_MAX])
{
	unsigned step = utf8_step(p, n);
	uint32_t code;

	if (step <= 1) {
		if (step == 1 && is_plain_byte((unsigned char)*p, keep_lines != 0)) {
			out[0] = *p;
			out[1] = '\0';
		} else {
			snprintf(out, TEXT_UNIT_MAX, "\\x%02x", (unsigned char)*p);
		}
		return 1;
	}
	code = utf8_decode(p, step);
	if (code < 0xa0 || is_bidi(code)) {
		snprintf(out, TEXT_UNIT_MAX, "\\u{%04x}", (unsigned)code);
	} else {
		memcpy(out, p, step);
		out[step] = '\0';
	}
	return step;
}

void
text_escape(struct buf *out, const char *s, size_t n, bool keep_lines)
{
	char unit[TEXT_UNIT_MAX];
	size_t i = 0;

	while (i < n) {
		size_t run = i;

		while (run < n && is_plain_byte((unsigned char)s[run], keep_lines))
			run++;
		buf_add(out, s + i, run - i);
		i = run;
		if (i == n)
			break;
		i += text_escape_unit(s + i, n - i, keep_lines, unit);
		buf_adds(out, unit);
	}
}

void
text_percent_encode(struct buf *out, struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.data[i];
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		    c == '-' || c == '.' || c == '_' || c == '~';

		if (plain)
			(void)buf_addc(out, c);
		else
			(void)buf_addf(out, "%%%02X", (unsigned char)c);
	}
}

/* str.h - small work on text: slices, UTF-8, names, durations, suggestions. */
#ifndef PROTOCOL_BASE_STR_H
#define PROTOCOL_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

/* A borrowed piece of text; not NUL-terminated, may contain NUL. {NULL, 0} is the empty slice. */
struct slice {
	const char *data;
	size_t len;
};
#define SLICE(literal) ((struct slice){ (literal), sizeof(literal) - 1 })

struct slice slice_of(const char *s); /* NULL gives the empty slice */
bool slice_eq(struct slice s, const char *text);
bool slice_eq_nocase(struct slice s, const char *text); /* ASCII only */
bool slice_starts(struct slice s, const char *prefix);
/* Whether the word is one of a space separated list; the empty word never is. */
bool word_listed(const char *list, struct slice word);
char *slice_dup(struct slice s); /* NUL-terminated copy, caller frees; aborts when memory is out */

/* malloc family that never returns NULL: small allocations only (names, structs); the process ends
 * with a message when the machine is out of memory. Sizes that a peer chose never come here. */
void *xcalloc(size_t count, size_t size);
char *xstrdup(const char *s); /* NULL gives NULL */
void *xrealloc(void *p, size_t size);

/* Length of the longest valid UTF-8 prefix (RFC 3629: no overlongs, no surrogates, <= U+10FFFF).
 * utf8_valid(s, n) == (utf8_prefix(s, n) == n). Vectorised over ASCII. */
size_t utf8_prefix(const char *s, size_t n);
bool utf8_valid(const char *s, size_t n);
/* How many bytes at the end of s belong to a code point that is cut off: 0..3. */
size_t utf8_incomplete_tail(const char *s, size_t n);
/* Appends s with each maximal invalid part replaced by U+FFFD. True when something was replaced. */
bool utf8_repair(struct buf *out, const char *s, size_t n);

/* Appends s made harmless for a terminal or a log line: C0 (but not \n and \t when keep_lines), DEL,
 * C1 controls and bidi overrides (U+202A..E, U+2066..9, U+200E/F, U+061C) become \xNN or \u{NNNN}
 * escapes; invalid UTF-8 becomes \xNN. */
void text_escape(struct buf *out, const char *s, size_t n, bool keep_lines);
/* Appends s as a piece of a URL's path or query: what is not unreserved (RFC 3986) becomes %XX. */
void text_percent_encode(struct buf *out, struct slice s);

/* UX.md section 4: [a-z0-9][a-z0-9._-]{0,63} */
bool name_valid(const char *s);

/* UX.md section 4 DUR: a bare number is minutes; else "90s 30m 2h 1d", also joined ("1h30m").
 * 0 and *ms > 0, or MP_E_INVALID_PARAMS. */
int duration_parse(const char *s, int64_t *ms);
/* The way back, as short as it goes: "30m", "1h30m", "1d"; parts of a second are dropped, "0s" for
 * none. out is at least 32 bytes. */
void duration_text(int64_t ms, char *out, size_t size);
/* "45 s", "26 min", "3 h 12 min", "2 d 4 h". out is at least 32 bytes. Negative counts as 0. */
void duration_format(int64_t ms, char *out, size_t size);

/* An amount in USD: digits, at most six of them behind a point ("10", "2.50"), up to a billion. True: it is
 * in micro-USD and *s stands behind it. False: neither was touched. */
bool money_parse(const char **s, int64_t *microusd);
/* The way back: at least two digits behind the point, and no zeros after those ("10.00", "0.0005"). Not
 * negative; out is at least 32 bytes. */
void money_text(int64_t microusd, char *out, size_t size);

/* A day, "2026-12-01", of the years 1970 to 9999: its beginning in UTC, and *s stands behind it. False:
 * neither was touched. */
bool utc_day_parse(const char **s, int64_t *ms);
/* The way back: the day that holds ms. out is at least 16 bytes. */
void utc_day_text(int64_t ms, char *out, size_t size);

/* Edit distance for suggestions (optimal string alignment, ASCII case folded); gives up and returns
 * limit + 1 when it is larger than limit. */
unsigned edit_distance(const char *a, const char *b, unsigned limit);

/* Base64 (RFC 4648 section 4, with padding; decode also takes the URL alphabet, missing padding and
 * white space). decode: 0 or MP_E_INVALID_PARAMS; out gets the bytes. */
void base64_encode(struct buf *out, const void *data, size_t n);
int base64_decode(struct buf *out, const char *s, size_t n);

#endif

/* json.h - a strict, zero-copy, iterative JSON reader and a writer (RFC 8259; DESIGN.md section 9).
 *
 * The reader checks a whole text in one pass (grammar, UTF-8, escapes, depth, duplicate keys) and
 * leaves a flat index of tokens that point into the text: no tree, no copies, nothing per value on the
 * heap. Numbers keep their text. The index is reused from one text to the next, so reading a stream
 * piece allocates nothing. Token 0 is the root; a container's members follow it. Offsets stay
 * available, so a caller can splice bytes. */
#ifndef PROTOCOL_BASE_JSON_H
#define PROTOCOL_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/base/buf.h"
#include "protocol/base/str.h"

enum json_type {
	JSON_NULL,
	JSON_FALSE,
	JSON_TRUE,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT,
};

struct json_token; /* in json_token.h */

enum json_flags {
	JSON_STRICT = 0,
	JSON_LAST_KEY_WINS = 1, /* foreign JSON: duplicate keys are legal, the last one wins
	                         * (providers/mapping.md section 11); default: refused */
};

#define JSON_MAX_DEPTH 128
#define JSON_MAX_TOKENS ((uint32_t)1 << 22) /* keys and values; 16 bytes each */
#define JSON_NONE ((uint32_t)0xffffffff) /* "no such value" as a token number */

/* The reader's memory. All zero is valid. Borrows the text between json_read and the next one. */
struct json {
	const char *text;
	size_t len;
	struct json_token *tokens;
	uint32_t count;
	uint32_t cap;
	bool last_key_wins;
	const char *problem;   /* after a failure: what is wrong, a static string */
	size_t problem_offset; /* byte offset of it */
};
#define JSON_INIT { NULL, 0, NULL, 0, 0, false, NULL, 0 }

/* Reads the n bytes at text (which must stay until the next json_read). 0; MP_E_INVALID_PARAMS when
 * it is not JSON (problem and problem_offset say why; they are set whenever it fails);
 * MP_E_TOO_LARGE beyond 2^31 bytes, JSON_MAX_DEPTH or JSON_MAX_TOKENS; MP_E_INTERNAL when memory is
 * out. Lone surrogates in escapes are accepted by the grammar; json_string says what becomes of
 * them. Keys count as the same when json_string makes them the same. */
int json_read(struct json *j, const char *text, size_t n, enum json_flags flags);
void json_clear(struct json *j);

/* All take a token number; JSON_NONE is allowed everywhere and behaves as null/empty/absent, so
 * look-ups can be chained without checks. After a json_read that failed every number is absent. */
enum json_type json_type(const struct json *j, uint32_t at);
bool json_is(const struct json *j, uint32_t at, enum json_type type);
/* Member by (unescaped) key; JSON_NONE if at is no object or has none. */
uint32_t json_get(const struct json *j, uint32_t at, const char *key);
/* json_get along a path of keys, e.g. json_path(j, 0, "error", "metadata"). */
uint32_t json_along(const struct json *j, uint32_t at, const char *const *keys); /* ends with NULL */
#define json_path(j, at, ...) json_along(j, at, (const char *const[]){ __VA_ARGS__, NULL })
uint32_t json_size(const struct json *j, uint32_t at);              /* members or items */
uint32_t json_item(const struct json *j, uint32_t at, uint32_t i);  /* i-th item: O(i) */
/* Iterating: first child, then next sibling, until JSON_NONE. In an object the children are the keys;
 * json_value gives the value of a key. */
uint32_t json_first(const struct json *j, uint32_t at);
uint32_t json_next(const struct json *j, uint32_t at);
uint32_t json_value(const struct json *j, uint32_t key);

/* The value's bytes in the text, quotes and brackets included. */
struct slice json_raw(const struct json *j, uint32_t at);
/* True and the slice when at is a string without escapes (then it is a piece of the text). */
bool json_plain(const struct json *j, uint32_t at, struct slice *out);
/* Appends the unescaped string (nothing if at is no string). A surrogate pair becomes one code
 * point; a lone surrogate becomes U+FFFD. 0 or buf_add's errors. */
int json_string(const struct json *j, uint32_t at, struct buf *out);
/* As json_string for text that arrives in pieces: a high surrogate at the end is kept in
 * *pending (0 = none) and joined with a low one at the start of the next piece; a lone one becomes
 * U+FFFD (providers/mapping.md section 11). json_flush_pending ends the text. */
int json_string_piece(const struct json *j, uint32_t at, uint32_t *pending, struct buf *out);
int json_flush_pending(uint32_t *pending, struct buf *out);
/* Whether the string equals text after unescaping. False if at is no string. */
bool json_equals(const struct json *j, uint32_t at, const char *text);
/* NUL-terminated copy of a string, NULL when at is no string or contains NUL or is longer than
 * max_bytes. Caller frees. */
char *json_strdup(const struct json *j, uint32_t at, size_t max_bytes);
/* Numbers. json_int: true only for an integer that fits (1, -0, 1e2, 1.0 are integers). */
bool json_int(const struct json *j, uint32_t at, int64_t *out);
bool json_double(const struct json *j, uint32_t at, double *out); /* finite only */
/* Decimal text times 10^scale as an integer, rounded half up, without binary floats: prices, costs.
 * False for no number, negative numbers or overflow. A string that is a number (without escapes)
 * counts too. */
bool json_decimal(const struct json *j, uint32_t at, unsigned scale, int64_t *out);
bool json_bool(const struct json *j, uint32_t at, bool *out);

/* ---- the writer: appends to a buf, keeps track of commas ---- */

/* One open text. `pretty` indents by two spaces. Misuse (a value without a key in an object, unbalanced
 * ends, depth over JSON_MAX_DEPTH) is asserted. Failure to grow shows in out->failed. */
struct json_writer {
	struct buf *out;
	bool pretty;
	bool after_key;
	unsigned depth;
	uint64_t is_object[JSON_MAX_DEPTH / 64];
	uint64_t has_items[JSON_MAX_DEPTH / 64];
	bool any; /* the root has been written */
};

void json_writer_init(struct json_writer *w, struct buf *out, bool pretty);
void json_begin_object(struct json_writer *w);
void json_end_object(struct json_writer *w);
void json_begin_array(struct json_writer *w);
void json_end_array(struct json_writer *w);
void json_key(struct json_writer *w, const char *key);
void json_key_n(struct json_writer *w, const char *key, size_t n);
/* Invalid UTF-8 becomes U+FFFD: what we write is always valid. A key or text may contain NUL. */
void json_put_string(struct json_writer *w, const char *s);
void json_put_string_n(struct json_writer *w, const char *s, size_t n);
void json_put_int(struct json_writer *w, int64_t v);
void json_put_uint(struct json_writer *w, uint64_t v);
void json_put_double(struct json_writer *w, double v); /* shortest round-trip text; NaN, Inf: null */
void json_put_bool(struct json_writer *w, bool v);
void json_put_null(struct json_writer *w);
/* One whole value, already JSON (number text, a checked schema): copied as it is. */
void json_put_raw(struct json_writer *w, const char *text, size_t n);
/* A string in pieces: begin, any number of escaped pieces, end. A text part ends between code points;
 * a base64 part that another follows has a multiple of 3 bytes. */
void json_begin_string(struct json_writer *w);
void json_string_part(struct json_writer *w, const char *s, size_t n);
void json_string_part_base64(struct json_writer *w, const void *data, size_t n);
void json_end_string(struct json_writer *w);

/* key + value in one call. */
void json_kv_string(struct json_writer *w, const char *key, const char *s); /* NULL: nothing */
void json_kv_int(struct json_writer *w, const char *key, int64_t v);
void json_kv_bool(struct json_writer *w, const char *key, bool v);

#endif

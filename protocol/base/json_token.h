/* json_token.h - the token tape; private to json_read.c and json_value.c. */
#ifndef PROTOCOL_BASE_JSON_TOKEN_H
#define PROTOCOL_BASE_JSON_TOKEN_H

#include "protocol/base/json.h"

/* 16 bytes a value. The tape is in the order of the text: a container, then its members; in an
 * object each key is followed by its value. */
struct json_token {
	uint32_t start; /* offset of the first byte, the quote or bracket included */
	uint32_t len;   /* bytes in the text, quotes and brackets included */
	uint32_t end;   /* container: the token after its last member (while it is open: the token
	                 * of its parent); key: the hash of the unescaped key */
	uint32_t info;  /* type, flags, and from TOKEN_ONE upward the number of members */
};

#define TOKEN_TYPE 7u
#define TOKEN_ESCAPED 8u /* a string with a backslash in it */
#define TOKEN_LAST 16u   /* no sibling follows; also the root and every value of a member */
#define TOKEN_KEY 32u
#define TOKEN_ONE 64u

static inline enum json_type
token_type(const struct json_token *t)
{
	return (enum json_type)(t->info & TOKEN_TYPE);
}

/* The end of the number that starts at p, NULL when none does. */
const char *json_number_end(const char *p, const char *end);

/* The unescaped bytes of a string, one by one. */
struct json_bytes {
	const char *p, *end; /* between the quotes */
	char ready[4];       /* a code point that was escaped */
	unsigned next, count;
};

void json_bytes_init(struct json_bytes *b, const struct json *j, const struct json_token *t);
int json_bytes_next(struct json_bytes *b); /* 0..255, -1 at the end */

/* Decodes the checked escape at p (a backslash): its value, which is a surrogate only when that is
 * alone, and in *used its bytes. */
uint32_t json_escape(const char *p, const char *end, unsigned *used);

/* The same for a key and for its escaped spellings. */
uint32_t json_hash(const char *s, size_t n);
uint32_t json_hash_token(const struct json *j, const struct json_token *t);

/* Order of two strings by their unescaped bytes: <0, 0, >0. */
int json_compare(const struct json *j, const struct json_token *a, const struct json_token *b);

/* Token number of the first key of the object at that has appeared before, or JSON_NONE.
 * scratch has room for two entries per member when there are more than JSON_FEW_KEYS. */
#define JSON_FEW_KEYS 8
uint32_t json_duplicate(const struct json *j, uint32_t at, uint64_t *scratch);

#endif

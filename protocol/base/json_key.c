/* json_key.c - hashing and comparing strings whatever way they are escaped; duplicate keys. */
#include "protocol/base/json_token.h"
#include "protocol/base/scan.h"

void
json_bytes_init(struct json_bytes *b, const struct json *j, const struct json_token *t)
{
	b->p = j->text + t->start + 1;
	b->end = b->p + t->len - 2;
	b->next = b->count = 0;
}

int
json_bytes_next(struct json_bytes *b)
{
	unsigned used;
	uint32_t code;

	if (b->next < b->count)
		return (unsigned char)b->ready[b->next++];
	if (b->p == b->end)
		return -1;
	if (*b->p != '\\')
		return (unsigned char)*b->p++;
	code = json_escape(b->p, b->end, &used);
	b->p += used;
	if (code >= 0xd800 && code <= 0xdfff)
		code = UTF8_REPLACEMENT;
	b->count = utf8_encode(code, b->ready);
	b->next = 1;
	return (unsigned char)b->ready[0];
}

static uint32_t
hex4(const char *p)
{
	uint32_t code = 0;
	unsigned i;

	for (i = 0; i < 4; i++) {
		char c = p[i];
		unsigned digit = c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a' + 10);

		code = code << 4 | digit;
	}
	return code;
}

uint32_t
json_escape(const char *p, const char *end, unsigned *used)
{
	uint32_t high, low;

	*used = 2;
	switch (p[1]) {
	case 'b':
		return '\b';
	case 'f':
		return '\f';
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case 't':
		return '\t';
	case 'u':
		break;
	default:
		return (unsigned char)p[1];
	}
	*used = 6;
	high = hex4(p + 2);
	if (high < 0xd800 || high > 0xdbff || end - p < 12 || p[6] != '\\' || p[7] != 'u')
		return high;
	low = hex4(p + 8);
	if (low < 0xdc00 || low > 0xdfff)
		return high;
	*used = 12;
	return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

/* ---- hashes: whole words, then the rest of a word with the length ---- */

#define HASH_FACTOR UINT64_C(0x9e3779b97f4a7c15)

static inline uint64_t
hash_word(uint64_t h, uint64_t word)
{
	h = (h ^ word) * HASH_FACTOR;
	return h ^ h >> 32;
}

/* The last n (0..7) bytes. */
static inline uint32_t
hash_rest(uint64_t h, const char *p, size_t n, size_t length)
{
	uint64_t word = length << 56;
	size_t i;

	for (i = 0; i < n; i++)
		word |= (uint64_t)(unsigned char)p[i] << (8 * i);
	h = hash_word(h, word);
	return (uint32_t)(h ^ h >> 29);
}

uint32_t
json_hash(const char *s, size_t n)
{
	uint64_t h = HASH_FACTOR;
	size_t i;

	for (i = 0; n - i >= 8; i += 8)
		h = hash_word(h, scan_load(s + i));
	return hash_rest(h, s + i, n - i, n);
}

uint32_t
json_hash_token(const struct json *j, const struct json_token *t)
{
	uint64_t h = HASH_FACTOR;
	struct json_bytes b;
	char word[8];
	size_t n = 0;
	int c;

	if ((t->info & TOKEN_ESCAPED) == 0)
		return json_hash(j->text + t->start + 1, t->len - 2);
	json_bytes_init(&b, j, t);
	while ((c = json_bytes_next(&b)) >= 0) {
		word[n++ % 8] = (char)c;
		if (n % 8 == 0)
			h = hash_word(h, scan_load(word));
	}
	return hash_rest(h, word, n % 8, n);
}

int
json_compare(const struct json *j, const struct json_token *a, const struct json_token *b)
{
	struct json_bytes left, right;
	int x, y;

	if (((a->info | b->info) & TOKEN_ESCAPED) == 0) {
		uint32_t n = a->len < b->len ? a->len : b->len;

		x = memcmp(j->text + a->start + 1, j->text + b->start + 1, n - 2);
		return x != 0 ? x : (a->len > b->len) - (a->len < b->len);
	}
	json_bytes_init(&left, j, a);
	json_bytes_init(&right, j, b);
	do {
		x = json_bytes_next(&left);
		y = json_bytes_next(&right);
	} while (x == y && x >= 0);
	return x - y;
}

/* ---- duplicate keys ---- */

/* From here on counting by bytes pays. */
#define RADIX_MIN 256

/* An entry is a hash and, below it, a token number. Equal keys differ in the token number only, so
 * after sorting by hash and text they are neighbours. */
static int
order(const struct json *j, uint64_t a, uint64_t b)
{
	if (a >> 32 != b >> 32)
		return a > b ? 1 : -1;
	return json_compare(j, &j->tokens[(uint32_t)a], &j->tokens[(uint32_t)b]);
}

static void
sift(const struct json *j, uint64_t *entries, size_t at, size_t n)
{
	uint64_t moved = entries[at];
	size_t child;

	while ((child = 2 * at + 1) < n) {
		if (child + 1 < n && order(j, entries[child], entries[child + 1]) < 0)
			child++;
		if (order(j, moved, entries[child]) >= 0)
			break;
		entries[at] = entries[child];
		at = child;
	}
	entries[at] = moved;
}

/* Heap sort: in place, and n log n even for keys that were made to collide. */
static void
heap_sort(const struct json *j, uint64_t *entries, size_t n)
{
	size_t i;

	for (i = n / 2; i-- > 0;)
		sift(j, entries, i, n);
	for (i = n; i-- > 1;) {
		uint64_t largest = entries[0];

		entries[0] = entries[i];
		entries[i] = largest;
		sift(j, entries, 0, i);
	}
}

/* By hash alone, a byte at a time; spare is as large. Four passes, so the result is in entries. */
static void
radix_sort(uint64_t *entries, uint64_t *spare, size_t n)
{
	unsigned shift;
	size_t i;

	for (shift = 32; shift < 64; shift += 8) {
		size_t starts[256] = { 0 };
		uint64_t *from = entries;
		size_t sum = 0;

		for (i = 0; i < n; i++)
			starts[entries[i] >> shift & 255]++;
		for (i = 0; i < 256; i++) {
			size_t here = starts[i];

			starts[i] = sum;
			sum += here;
		}
		for (i = 0; i < n; i++)
			spare[starts[entries[i] >> shift & 255]++] = entries[i];
		entries = spare;
		spare = from;
	}
}

/* By hash and, where that is the same, by text. */
static void
sort(const struct json *j, uint64_t *entries, size_t n)
{
	size_t from, to;

	if (n < RADIX_MIN) {
		heap_sort(j, entries, n);
		return;
	}
	radix_sort(entries, entries + n, n);
	for (from = 0; from < n; from = to) {
		to = from + 1;
		while (to < n && entries[to] >> 32 == entries[from] >> 32)
			to++;
		heap_sort(j, entries + from, to - from);
	}
}

static uint32_t
duplicate_of_few(const struct json *j, uint32_t at)
{
	uint32_t seen[JSON_FEW_KEYS];
	uint32_t key, i, n = 0;

	for (key = json_first(j, at); key != JSON_NONE; key = json_next(j, key)) {
		const struct json_token *t = &j->tokens[key];

		for (i = 0; i < n; i++) {
			const struct json_token *other = &j->tokens[seen[i]];

			if (other->end == t->end && json_compare(j, other, t) == 0)
				return key;
		}
		seen[n++] = key;
	}
	return JSON_NONE;
}

uint32_t
json_duplicate(const struct json *j, uint32_t at, uint64_t *scratch)
{
	uint32_t key, found = JSON_NONE;
	size_t i, n = 0;

	if (json_size(j, at) <= JSON_FEW_KEYS)
		return duplicate_of_few(j, at);
	for (key = json_first(j, at); key != JSON_NONE; key = json_next(j, key))
		scratch[n++] = (uint64_t)j->tokens[key].end << 32 | key;
	sort(j, scratch, n);
	for (i = 1; i < n; i++) {
		uint32_t a = (uint32_t)scratch[i - 1], b = (uint32_t)scratch[i];

		if (order(j, scratch[i - 1], scratch[i]) != 0)
			continue;
		key = a > b ? a : b;
		if (key < found)
			found = key;
	}
	return found;
}

/* str.c - slices, memory that is always there, names, suggestions. */
#include "protocol/base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES 64
#define DISTANCE_MAX_BYTES 255

struct slice
slice_of(const char *s)
{
	return s != NULL ? (struct slice){ s, strlen(s) } : (struct slice){ NULL, 0 };
}

bool
slice_eq(struct slice s, const char *text)
{
	size_t n = strlen(text);

	return s.len == n && (n == 0 || memcmp(s.data, text, n) == 0);
}

static unsigned char
fold(char c)
{
	return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

bool
slice_eq_nocase(struct slice s, const char *text)
{
	size_t i;

	if (s.len != strlen(text))
		return false;
	for (i = 0; i < s.len; i++) {
		if (fold(s.data[i]) != fold(text[i]))
			return false;
	}
	return true;
}

bool
slice_starts(struct slice s, const char *prefix)
{
	size_t n = strlen(prefix);

	return s.len >= n && (n == 0 || memcmp(s.data, prefix, n) == 0);
}

static void *
must(void *p)
{
	if (p == NULL) {
		fputs("out of memory\n", stderr);
		abort();
	}
	return p;
}

bool
word_listed(const char *list, struct slice word)
{
	for (const char *at = list + strspn(list, " "); *at != '\0';) {
		size_t n = strcspn(at, " ");

		if (n == word.len && memcmp(at, word.data, n) == 0)
			return true;
		at += n;
		at += strspn(at, " ");
	}
	return false;
}

char *
slice_dup(struct slice s)
{
	char *copy = must(malloc(s.len + 1));

	if (s.len > 0)
		memcpy(copy, s.data, s.len);
	copy[s.len] = '\0';
	return copy;
}

/* An empty block is asked for as one byte, so that NULL always means that memory is out. */
void *
xcalloc(size_t count, size_t size)
{
	if (count == 0 || size == 0)
		count = size = 1;
	return must(calloc(count, size));
}

char *
xstrdup(const char *s)
{
	return s != NULL ? must(strdup(s)) : NULL;
}

void *
xrealloc(void *p, size_t size)
{
	return must(realloc(p, size > 0 ? size : 1));
}

static bool
is_name_start(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool
name_valid(const char *s)
{
	size_t i;

	if (!is_name_start(s[0]))
		return false;
	for (i = 1; s[i] != '\0'; i++) {
		if (i == NAME_MAX_BYTES)
			return false;
		if (!is_name_start(s[i]) && s[i] != '.' && s[i] != '_' && s[i] != '-')
			return false;
	}
	return true;
}

static unsigned
least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

unsigned
edit_distance(const char *a, const char *b, unsigned limit)
{
	unsigned rows[3][DISTANCE_MAX_BYTES + 1];
	unsigned *old = rows[0], *last = rows[1], *now = rows[2], *spare;
	size_t na = strlen(a), nb = strlen(b);
	size_t i, k;

	if (na > DISTANCE_MAX_BYTES || nb > DISTANCE_MAX_BYTES ||
	    (na > nb ? na - nb : nb - na) > limit)
		return limit + 1;
	for (k = 0; k <= nb; k++)
		last[k] = (unsigned)k;
	for (i = 1; i <= na; i++) {
		unsigned smallest = now[0] = (unsigned)i;

		for (k = 1; k <= nb; k++) {
			bool same = fold(a[i - 1]) == fold(b[k - 1]);

			now[k] = least(least(last[k], now[k - 1]) + 1, last[k - 1] + !same);
			if (i > 1 && k > 1 && fold(a[i - 1]) == fold(b[k - 2]) &&
			    fold(a[i - 2]) == fold(b[k - 1]))
				now[k] = least(now[k], old[k - 2] + 1);
			smallest = least(smallest, now[k]);
		}
		/* one row may still be saved by a swap that looks two rows back */
		if (smallest > limit + 1)
			return limit + 1;
		spare = old;
		old = last;
		last = now;
		now = spare;
	}
	return last[nb] <= limit ? last[nb] : limit + 1;
}

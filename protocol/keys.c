/* keys.c - duplicate keys.
 *
 * Small maps are compared pair by pair. Large ones are sorted: unlike a hash, no choice of keys by
 * a peer makes that slow. */
#include "protocol/keys.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/message.h"

#define PAIRWISE_MAX 12
#define SCRATCH_KEPT 1024

void
keys_clear(struct keys *k)
{
	free(k->list);
	k->list = NULL;
	k->cap = 0;
}

static int
slice_order(const void *left, const void *right)
{
	const struct slice *a = left;
	const struct slice *b = right;

	if (a->len != b->len)
		return a->len < b->len ? -1 : 1;
	return a->len == 0 ? 0 : memcmp(a->data, b->data, a->len);
}

/* True and *twice when one of the first n keys of the list occurs again. */
static bool
pairwise(const struct slice *list, size_t n, struct slice *twice)
{
	size_t i, j;

	for (i = 1; i < n; i++) {
		for (j = 0; j < i; j++) {
			if (slice_order(&list[i], &list[j]) == 0) {
				*twice = list[i];
				return true;
			}
		}
	}
	return false;
}

static bool
sorted(struct slice *list, size_t n, struct slice *twice)
{
	size_t i;

	qsort(list, n, sizeof *list, slice_order);
	for (i = 1; i < n; i++) {
		if (slice_order(&list[i], &list[i - 1]) == 0) {
			*twice = list[i];
			return true;
		}
	}
	return false;
}

/* 1 duplicate, 0 none, negative: memory is out. */
static int
map_duplicate(struct keys *k, const struct value *map, struct slice *twice)
{
	size_t i, n = value_size(map);
	struct slice few[PAIRWISE_MAX];
	struct slice *list = few;

	if (n > PAIRWISE_MAX) {
		if (n > k->cap) {
			keys_clear(k);
			if ((k->list = malloc(n * sizeof *k->list)) == NULL)
				return MP_E_INTERNAL;
			k->cap = n;
		}
		list = k->list;
	}
	for (i = 0; i < n; i++)
		list[i] = value_pair(map, i, NULL);
	return n > PAIRWISE_MAX ? sorted(list, n, twice) : pairwise(list, n, twice);
}

/* Recursion is bounded by the checker's depth. */
static int
duplicate(struct keys *k, const struct value *v, struct slice *twice)
{
	const struct value *member;
	size_t i, n = value_size(v);
	int r;

	if (value_type(v) == VALUE_MAP) {
		if (n > 1 && (r = map_duplicate(k, v, twice)) != 0)
			return r;
		for (i = 0; i < n; i++) {
			value_pair(v, i, &member);
			if ((r = duplicate(k, member, twice)) != 0)
				return r;
		}
	} else if (value_type(v) == VALUE_ARRAY) {
		for (i = 0; i < n; i++) {
			if ((r = duplicate(k, value_at(v, i), twice)) != 0)
				return r;
		}
	}
	return 0;
}

int
keys_unique(struct keys *k, const struct value *root, struct error *err)
{
	struct slice twice = { NULL, 0 };
	char name[80];
	size_t n;
	int r;

	r = duplicate(k, root, &twice);
	if (k->cap > SCRATCH_KEPT)
		keys_clear(k);
	if (r == 0)
		return 0;
	if (r < 0)
		return error_set(err, r, "out of memory while reading a message");
	n = twice.len < sizeof name ? twice.len : sizeof name - 1;
	if (n > 0)
		memcpy(name, twice.data, n);
	name[n] = '\0';
	if (value_int(value_at(root, 0), 0) == MESSAGE_REPLY)
		return error_set(err, MP_E_PROTOCOL, "the key \"%s\" occurs twice", name);
	return error_field(err, name, "the key \"%s\" occurs twice", name);
}

#include "server/model/roster.h"

#include <stdlib.h>
#include <string.h>

#define TOKENS_MAX ((int64_t)1 << 40)

bool
roster_id_valid(struct slice id)
{
	if (id.len == 0 || id.len > ROSTER_ID_BYTES || !utf8_valid(id.data, id.len))
		return false;
	for (size_t i = 0; i < id.len; i++) {
		unsigned char c = (unsigned char)id.data[i];

		if (c <= 0x20 || c == 0x7f)
			return false;
		if (c == 0xc2 && (unsigned char)id.data[i + 1] < 0xa0) /* U+0080..U+009F */
			return false;
	}
	return true;
}

/* Cut to its size between code points; NULL when there is nothing to show. */
static char *
title_copy(struct slice title)
{
	size_t n = title.len < ROSTER_TITLE_BYTES ? title.len : ROSTER_TITLE_BYTES;

	if (n == 0)
		return NULL;
	n -= utf8_incomplete_tail(title.data, n);
	if (n == 0 || !utf8_valid(title.data, n))
		return NULL;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)title.data[i];

		if (c < 0x20 || c == 0x7f ||
		    (c == 0xc2 && i + 1 < n && (unsigned char)title.data[i + 1] < 0xa0))
			return NULL;
	}
	return slice_dup((struct slice){ title.data, n });
}

static int64_t
tokens(int64_t n)
{
	return n > 0 && n <= TOKENS_MAX ? n : 0;
}

void
roster_add(struct roster *r, const struct listed_model *m)
{
	struct roster_model *to;

	if (r->count == ROSTER_MAX || !roster_id_valid(m->id))
		return;
	if (r->count == r->room) {
		r->room = r->room > 0 ? r->room * 2 : 16;
		r->models = xrealloc(r->models, r->room * sizeof *r->models);
	}
	to = &r->models[r->count++];
	to->id = slice_dup(m->id);
	to->title = title_copy(m->title);
	to->context_tokens = tokens(m->context_tokens);
	to->output_tokens = tokens(m->output_tokens);
	to->abilities = m->abilities;
	to->loaded = m->loaded < 0 ? -1 : m->loaded != 0;
}

static void
model_clear(struct roster_model *m)
{
	free(m->id);
	free(m->title);
}

/* An item and where it stood: qsort is not stable. */
struct placed {
	struct roster_model m;
	size_t at;
};

static int
compare(const void *a, const void *b)
{
	const struct placed *x = a, *y = b;
	int r = strcmp(x->m.id, y->m.id);

	return r != 0 ? r : (x->at > y->at) - (x->at < y->at);
}

void
roster_sort(struct roster *r)
{
	struct placed *list;
	size_t kept = 0;

	if (r->count < 2)
		return;
	list = xcalloc(r->count, sizeof *list);
	for (size_t i = 0; i < r->count; i++)
		list[i] = (struct placed){ r->models[i], i };
	qsort(list, r->count, sizeof *list, compare);
	for (size_t i = 0; i < r->count; i++) {
		if (kept > 0 && strcmp(r->models[kept - 1].id, list[i].m.id) == 0)
			model_clear(&list[i].m);
		else
			r->models[kept++] = list[i].m;
	}
	r->count = kept;
	free(list);
}

struct roster_model *
roster_find(const struct roster *r, const char *id)
{
	size_t low = 0, high = r->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int c = strcmp(r->models[middle].id, id);

		if (c == 0)
			return &r->models[middle];
		if (c < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

void
roster_clear(struct roster *r)
{
	for (size_t i = 0; i < r->count; i++)
		model_clear(&r->models[i]);
	free(r->models);
	*r = (struct roster){ NULL, 0, 0 };
}

void
roster_move(struct roster *to, struct roster *from)
{
	roster_clear(to);
	*to = *from;
	*from = (struct roster){ NULL, 0, 0 };
}

static bool
text_same(const char *a, const char *b)
{
	return (a == NULL) == (b == NULL) && (a == NULL || strcmp(a, b) == 0);
}

bool
roster_model_same(const struct roster_model *a, const struct roster_model *b)
{
	return strcmp(a->id, b->id) == 0 && text_same(a->title, b->title) &&
	    a->context_tokens == b->context_tokens && a->output_tokens == b->output_tokens &&
	    a->abilities == b->abilities && a->loaded == b->loaded;
}

const char *
model_ability_name(enum model_ability a)
{
	switch (a) {
	case ABILITY_TOOLS:
		return "tools";
	case ABILITY_IMAGES:
		return "images";
	case ABILITY_REASONING:
		return "reasoning";
	case ABILITY_DOCUMENTS:
		return "documents";
	}
	return "";
}

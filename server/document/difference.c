#include "server/document/difference.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/base/buf.h"
#include "protocol/base/str.h"

struct walk {
	struct difference *out;
	const char *path[DOCUMENT_PATH_MAX];
	size_t depth;
};

const char *
difference_op_name(enum difference_op op)
{
	switch (op) {
	case DIFFERENCE_ADD:
		return "add";
	case DIFFERENCE_REMOVE:
		return "remove";
	case DIFFERENCE_CHANGE:
		return "change";
	}
	return "";
}

/* ---- values as they are shown ---- */

/* A list as one text; an empty map or list as its sign. NULL for nothing. */
static char *
shown(const struct node *n)
{
	struct buf text = BUF_INIT;

	if (n == NULL)
		return NULL;
	switch (n->kind) {
	case NODE_NULL:
		buf_adds(&text, "null");
		break;
	case NODE_SCALAR:
		text_escape(&text, n->text, strlen(n->text), false);
		break;
	case NODE_MAP:
		buf_adds(&text, "{}");
		break;
	case NODE_LIST:
		buf_addc(&text, '[');
		for (const struct node *i = n->first; i != NULL; i = i->next) {
			char *item = shown(i);

			buf_addf(&text, "%s%s", i == n->first ? "" : ", ", item);
			free(item);
		}
		buf_addc(&text, ']');
		break;
	}
	return buf_steal(&text, NULL);
}

static void
add_item(struct walk *w, enum difference_op op, const struct node *before, const struct node *after)
{
	struct difference *d = w->out;
	struct difference_item *i;

	d->items = xrealloc(d->items, (d->count + 1) * sizeof *d->items);
	i = &d->items[d->count++];
	memset(i, 0, sizeof *i);
	i->op = op;
	i->depth = w->depth;
	for (size_t k = 0; k < w->depth; k++)
		i->path[k] = xstrdup(w->path[k]);
	i->before = shown(before);
	i->after = shown(after);
}

/* ---- walking ---- */

static void compare(struct walk *w, const struct node *before, const struct node *after);

static bool
same_scalar(const struct node *a, const struct node *b)
{
	return a->kind == b->kind && (a->kind == NODE_NULL || strcmp(a->text, b->text) == 0);
}

static bool
is_leaf(const struct node *n)
{
	return n->kind == NODE_NULL || n->kind == NODE_SCALAR;
}

static bool
all_leaves(const struct node *list)
{
	for (const struct node *i = list->first; i != NULL; i = i->next)
		if (!is_leaf(i))
			return false;
	return true;
}

/* The members of a map by key, or the leaves of a list by text, to be found quickly. */
struct index {
	const struct node **sorted;
	size_t count;
	int (*compare)(const void *a, const void *b);
};

static int
by_key(const void *a, const void *b)
{
	return strcmp((*(const struct node *const *)a)->key, (*(const struct node *const *)b)->key);
}

static int
by_text(const void *a, const void *b)
{
	const struct node *x = *(const struct node *const *)a, *y = *(const struct node *const *)b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return x->kind == NODE_NULL ? 0 : strcmp(x->text, y->text);
}

static void
index_init(struct index *i, const struct node *n)
{
	i->sorted = xcalloc(n->count + 1, sizeof(struct node *));
	i->count = 0;
	i->compare = n->kind == NODE_MAP ? by_key : by_text;
	for (const struct node *m = n->first; m != NULL; m = m->next)
		i->sorted[i->count++] = m;
	qsort(i->sorted, i->count, sizeof(struct node *), i->compare);
}

static const struct node *
index_find(const struct index *i, const struct node *like)
{
	const struct node *const *found =
	    bsearch(&like, i->sorted, i->count, sizeof(struct node *), i->compare);

	return found != NULL ? *found : NULL;
}

static void
index_clear(struct index *i)
{
	free(i->sorted);
}

static bool
same_tree(const struct node *a, const struct node *b)
{
	const struct node *x, *y;

	if (a->kind != b->kind || a->count != b->count)
		return false;
	if (is_leaf(a))
		return same_scalar(a, b);
	for (x = a->first, y = b->first; x != NULL && y != NULL; x = x->next, y = y->next)
		if ((a->kind == NODE_MAP && strcmp(x->key, y->key) != 0) || !same_tree(x, y))
			return false;
	return true;
}

static void
compare_lists(struct walk *w, const struct node *before, const struct node *after)
{
	size_t found = w->out->count;
	struct index was, is;

	if (!all_leaves(before) || !all_leaves(after)) {
		if (!same_tree(before, after))
			add_item(w, DIFFERENCE_CHANGE, before, after);
		return;
	}
	index_init(&was, before);
	index_init(&is, after);
	for (const struct node *i = before->first; i != NULL; i = i->next)
		if (index_find(&is, i) == NULL)
			add_item(w, DIFFERENCE_REMOVE, i, NULL);
	for (const struct node *i = after->first; i != NULL; i = i->next)
		if (index_find(&was, i) == NULL)
			add_item(w, DIFFERENCE_ADD, NULL, i);
	index_clear(&was);
	index_clear(&is);
	if (w->out->count == found && !same_tree(before, after))
		add_item(w, DIFFERENCE_CHANGE, before, after);
}

/* Every leaf below n, all gone or all new. */
static void
all_of(struct walk *w, enum difference_op op, const struct node *n)
{
	bool whole = is_leaf(n) || n->first == NULL || w->depth == DOCUMENT_PATH_MAX;

	if (whole || (n->kind == NODE_LIST && !all_leaves(n))) {
		add_item(w, op, op == DIFFERENCE_REMOVE ? n : NULL, op == DIFFERENCE_ADD ? n : NULL);
		return;
	}
	for (const struct node *m = n->first; m != NULL; m = m->next) {
		if (n->kind == NODE_MAP)
			w->path[w->depth++] = m->key;
		all_of(w, op, m);
		if (n->kind == NODE_MAP)
			w->depth--;
	}
}

static bool
is_empty(const struct node *n)
{
	return n == NULL || n->kind == NODE_NULL || (n->kind != NODE_SCALAR && n->first == NULL);
}

static void
compare_maps(struct walk *w, const struct node *before, const struct node *after)
{
	struct index was, is;

	index_init(&was, before);
	index_init(&is, after);
	for (const struct node *m = before->first; m != NULL; m = m->next) {
		w->path[w->depth++] = m->key;
		compare(w, m, index_find(&is, m));
		w->depth--;
	}
	for (const struct node *m = after->first; m != NULL; m = m->next) {
		if (index_find(&was, m) != NULL)
			continue;
		w->path[w->depth++] = m->key;
		compare(w, NULL, m);
		w->depth--;
	}
	index_clear(&was);
	index_clear(&is);
}

static void
compare(struct walk *w, const struct node *before, const struct node *after)
{
	bool section = w->depth == 1; /* an empty section is none */

	if (section && is_empty(before) && is_empty(after))
		return;
	if (before == NULL || (section && is_empty(before)))
		all_of(w, DIFFERENCE_ADD, after);
	else if (after == NULL || (section && is_empty(after)))
		all_of(w, DIFFERENCE_REMOVE, before);
	else if (before->kind == NODE_MAP && after->kind == NODE_MAP && w->depth < DOCUMENT_PATH_MAX)
		compare_maps(w, before, after);
	else if (before->kind == NODE_LIST && after->kind == NODE_LIST)
		compare_lists(w, before, after);
	else if (!same_tree(before, after))
		add_item(w, DIFFERENCE_CHANGE, before, after);
}

void
difference_of(const struct node *before, const struct node *after, struct difference *out)
{
	struct walk w = { .out = out };

	memset(out, 0, sizeof *out);
	compare(&w, before, after);
}

void
difference_clear(struct difference *d)
{
	for (size_t i = 0; i < d->count; i++) {
		struct difference_item *it = &d->items[i];

		for (size_t k = 0; k < it->depth; k++)
			free(it->path[k]);
		free(it->before);
		free(it->after);
	}
	free(d->items);
	memset(d, 0, sizeof *d);
}

void
difference_line(const struct difference_item *i, struct buf *out)
{
	static const char signs[] = { '+', '-', '~' };

	buf_addf(out, "%c ", signs[i->op]);
	for (size_t k = 0; k < i->depth; k++) {
		if (k > 0)
			buf_addc(out, '.');
		text_escape(out, i->path[k], strlen(i->path[k]), false);
	}
	buf_adds(out, ": ");
	if (i->op == DIFFERENCE_CHANGE)
		buf_addf(out, "%s -> ", i->before);
	buf_adds(out, i->op == DIFFERENCE_REMOVE ? i->before : i->after);
}


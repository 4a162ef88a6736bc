#include "server/document/layer.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/document/bundle_inside.h"
#include "server/document/reader.h"

/* Lines of a bundle's nodes begin beyond those of any document. */
#define BUNDLE_LINES (1 << 28)

/* ---- trees ---- */

static void
write_node(struct writer *w, const char *key, const struct node *n)
{
	switch (n->kind) {
	case NODE_NULL:
		write_text(w, key, NULL);
		return;
	case NODE_SCALAR:
		if (n->quoted)
			write_text(w, key, n->text);
		else
			write_raw(w, key, n->text);
		return;
	case NODE_LIST:
	case NODE_MAP:
		break;
	}
	if (n->first == NULL && n->kind == NODE_MAP)
		write_empty_map(w, key);
	else if (n->first == NULL)
		write_empty_list(w, key);
	if (n->first == NULL)
		return;
	write_begin(w, key);
	for (const struct node *m = n->first; m != NULL; m = m->next) {
		if (n->kind == NODE_MAP)
			write_node(w, m->key, m);
		else
			write_item(w, m->kind == NODE_SCALAR ? m->text : "");
	}
	write_end(w);
}

static struct node *
copy(const struct node *n, int lines)
{
	struct node *c = node_new(n->kind, n->line + lines, n->column);

	c->quoted = n->quoted;
	c->text = xstrdup(n->text);
	for (const struct node *m = n->first; m != NULL; m = m->next) {
		struct node *child = copy(m, lines);

		child->key_line = m->key_line + lines;
		child->key_column = m->key_column;
		node_add(c, child, xstrdup(m->key));
	}
	return c;
}

/* What an item is known by: NULL for one that cannot be one. */
static const char *
name_of(const struct node *n)
{
	return n->key != NULL ? n->key : n->kind == NODE_SCALAR ? n->text : NULL;
}

static const struct node *
find(const struct node *section, const char *name)
{
	for (const struct node *m = section != NULL ? section->first : NULL; m != NULL; m = m->next)
		if (name_of(m) != NULL && strcmp(name_of(m), name) == 0)
			return m;
	return NULL;
}

/* Takes the items out of which `goes` says so. */
static size_t
sift(struct node *section, bool (*goes)(void *arg, const struct node *item), void *arg)
{
	struct node *next, *first = section->first;
	size_t gone = 0;

	section->first = section->last = NULL;
	section->count = 0;
	for (struct node *m = first; m != NULL; m = next) {
		next = m->next;
		m->next = NULL;
		if (goes(arg, m)) {
			node_free(m);
			gone++;
		} else {
			node_add(section, m, m->key);
		}
	}
	return gone;
}

/* What the section would export now, as a tree; the caller frees the root. NULL: it cannot be read back. */
static struct node *
section_now(const struct document_parts *parts, const struct section *s)
{
	struct problems unheard = { .count = 0 };
	struct node *root;
	struct buf text;
	struct writer w;

	buf_init(&text, DOCUMENT_MAX_BYTES);
	writer_init(&w, &text, false);
	s->export(parts, &w);
	root = text.failed ? NULL : document_read(buf_str(&text), text.len, &unheard);
	problems_clear(&unheard);
	buf_clear(&text);
	return root;
}

/* What an item says, as one text. The caller frees it. */
static char *
said(const struct node *item)
{
	struct buf text = BUF_INIT;
	struct writer w;

	writer_init(&w, &text, false);
	write_node(&w, "is", item);
	return buf_steal(&text, NULL);
}

/* ---- what was brought ---- */

static bool
has_layer(const struct section *s)
{
	return s->shared && strcmp(s->name, "providers") != 0;
}

struct brought {
	const struct team *team;
	const char *section;
};

/* A bundle brought it, and it says that still. */
static bool
is_brought(void *arg, const struct node *item)
{
	const struct brought *b = arg;
	const char *name = name_of(item);
	const char *value = name != NULL ? team_item(b->team, b->section, name) : NULL;
	char *now = value != NULL ? said(item) : NULL;
	bool same = now != NULL && strcmp(now, value) == 0;

	free(now);
	return same;
}

void
layer_export(const struct document_parts *parts, const struct section *s, struct writer *w)
{
	struct brought b = { parts->team, s->name };
	struct node *root, *section;

	if (!has_layer(s) || parts->team == NULL || !team_has_items(parts->team, s->name) ||
	    (root = section_now(parts, s)) == NULL) {
		s->export(parts, w);
		return;
	}
	section = (struct node *)node_get(root, s->name);
	if (section != NULL) {
		sift(section, is_brought, &b);
		write_node(w, s->name, section);
	}
	node_free(root);
}

/* ---- laying the bundles below ---- */

/* What of a bundle nobody said before goes below. */
static void
lay_one(struct node *tree, const struct node *section)
{
	if (section == NULL || section->kind != tree->kind)
		return;
	for (const struct node *m = section->first; m != NULL; m = m->next) {
		struct node *item;

		if (name_of(m) == NULL || find(tree, name_of(m)) != NULL)
			continue;
		item = copy(m, BUNDLE_LINES);
		item->key_line = m->key_line + BUNDLE_LINES;
		item->key_column = m->key_column;
		node_add(tree, item, xstrdup(m->key));
	}
}

/* Calls each for the section of every bundle that is held and has it. */
static void
each_section(const struct team *team, const char *name, void (*each)(void *arg, const struct node *section),
    void *arg)
{
	for (size_t i = 0; i < team_count(team); i++) {
		struct problems unheard = { .count = 0 };
		struct bundle_content content;

		if (bundle_content_read(team_at(team, i)->content, 1, &content, &unheard) == 0 &&
		    node_get(content.root, name) != NULL)
			each(arg, node_get(content.root, name));
		problems_clear(&unheard);
		bundle_content_clear(&content);
	}
}

static void
lay(void *arg, const struct node *section)
{
	struct node **tree = arg;

	/* the first that says anything says what kind of section it is */
	if (*tree == NULL)
		*tree = node_new(section->kind, 1, 1);
	lay_one(*tree, section);
}

/* The item of a bundle that a problem is about. */
static const struct node *
to_blame(const struct node *tree, const struct problem *p)
{
	const struct node *found = NULL;

	if (p->line < BUNDLE_LINES)
		return NULL;
	for (const struct node *m = tree->first; m != NULL; m = m->next)
		if (m->key_line >= BUNDLE_LINES && m->key_line <= p->line &&
		    (found == NULL || m->key_line > found->key_line))
			found = m;
	return found;
}

struct blamed {
	const struct node *const *items;
	size_t count;
};

static bool
is_blamed(void *arg, const struct node *item)
{
	const struct blamed *b = arg;

	for (size_t i = 0; i < b->count; i++)
		if (b->items[i] == item)
			return true;
	return false;
}

/* Leaves out what cannot be; how many. Problems of the document itself stay. */
static size_t
leave_out(struct document_change *c, const struct section *s, struct node *tree,
    const struct problems *ps)
{
	const struct node *items[PROBLEMS_MAX];
	struct blamed b = { items, 0 };

	for (size_t i = 0; i < ps->count; i++) {
		const struct node *item = to_blame(tree, &ps->list[i]);

		if (item == NULL || is_blamed(&b, item))
			continue;
		items[b.count++] = item;
		sentence_add(c->notes, "%s \"%.80s\" of the team's bundle is left out: %s",
		    s->name, name_of(item),
		    ps->list[i].message);
	}
	return b.count > 0 ? sift(tree, is_blamed, &b) : 0;
}

static void
cut_sentences(struct sentences *s, size_t count)
{
	while (s->count > count)
		free(s->list[--s->count]);
}

/* Applies the tree, without those items of bundles that cannot be. */
static int
apply_tree(struct document_change *c, const struct section *s, struct node *tree, struct error *err)
{
	struct problems *mine = xcalloc(1, sizeof *mine);
	struct document_change quiet = *c;
	size_t losses = c->losses->count, left_out;
	int r;

	quiet.problems = mine;
	do {
		problems_clear(mine);
		cut_sentences(c->losses, losses);
		r = s->apply(&quiet, tree, err);
		left_out = r == 0 ? leave_out(c, s, tree, mine) : 0;
	} while (left_out > 0);
	for (size_t i = 0; i < mine->count; i++)
		problem_add(c->problems, mine->list[i].line, mine->list[i].column, "%s",
		    mine->list[i].message);
	problems_clear(mine);
	free(mine);
	return r;
}

/* Remembers what the bundles brought, as it is said now. */
static int
remember(const struct document_parts *parts, const struct section *s, const struct node *tree,
    struct error *err)
{
	struct node *root = section_now(parts, s);
	const struct node *now = node_get(root, s->name);
	int r = team_forget_items(parts->team, s->name, err);

	for (const struct node *m = tree->first; m != NULL && r == 0; m = m->next) {
		const struct node *item = m->key_line >= BUNDLE_LINES ? find(now, name_of(m)) : NULL;
		char *text;

		if (item == NULL)
			continue;
		text = said(item);
		r = team_note_item(parts->team, s->name, name_of(m), text, err);
		free(text);
	}
	node_free(root);
	return r;
}

int
layer_apply(struct document_change *c, const struct section *s, const struct node *n,
    struct error *err)
{
	const struct document_parts *parts = c->parts;
	struct node *tree = NULL;
	int r;

	if (!has_layer(s) || parts->team == NULL)
		return s->apply(c, n, err);
	if (n != NULL && n->kind != NODE_NULL)
		tree = copy(n, 0);
	each_section(parts->team, s->name, lay, &tree);
	if (tree == NULL || (tree->kind != NODE_MAP && tree->kind != NODE_LIST)) {
		node_free(tree);
		r = s->apply(c, n, err);
		return r == 0 && team_has_items(parts->team,
		    s->name) ? team_forget_items(parts->team, s->name, err) : r;
	}
	if ((r = apply_tree(c, s, tree, err)) == 0 && c->problems->count == 0)
		r = remember(parts, s, tree, err);
	node_free(tree);
	return r;
}

/* ---- other bundles ---- */

struct going {
	struct brought b;
	struct node *held; /* all that the bundles say */
};

/* Brought, and by none that is held now. */
static bool
is_going(void *arg, const struct node *item)
{
	struct going *g = arg;

	return is_brought(&g->b, item) && find(g->held, name_of(item)) == NULL;
}

static int
drop_section(struct document_change *c, const struct section *s, struct error *err)
{
	struct going g = { { c->parts->team, s->name }, NULL };
	struct node *root = section_now(c->parts, s), *now = (struct node *)node_get(root, s->name);
	int r = 0;

	each_section(c->parts->team, s->name, lay, &g.held);
	if (now != NULL && sift(now, is_going, &g) > 0)
		r = s->apply(c, now, err);
	node_free(g.held);
	node_free(root);
	return r;
}

int
layer_drop(struct document_change *c, struct error *err)
{
	int r = 0;

	for (size_t i = section_count(); i-- > 0 && r == 0;)
		if (has_layer(section_at(i)) && team_has_items(c->parts->team, section_at(i)->name))
			r = drop_section(c, section_at(i), err);
	return r;
}

static int
raise_section(struct document_change *c, const struct section *s, struct error *err)
{
	struct brought b = { c->parts->team, s->name };
	struct node *root = section_now(c->parts, s), *own = (struct node *)node_get(root, s->name);
	int r;

	if (own != NULL)
		sift(own, is_brought, &b);
	r = layer_apply(c, s, own, err);
	node_free(root);
	return r;
}

static void
note_any(void *arg, const struct node *section)
{
	(void)section;
	*(bool *)arg = true;
}

int
layer_raise(struct document_change *c, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < section_count() && r == 0; i++) {
		const struct section *s = section_at(i);
		bool any = has_layer(s) && team_has_items(c->parts->team, s->name);

		if (has_layer(s) && !any)
			each_section(c->parts->team, s->name, note_any, &any);
		if (any)
			r = raise_section(c, s, err);
	}
	return r;
}

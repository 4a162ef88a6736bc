/* fuzz_document.c - the configuration document's reader: YAML and JSON of anybody. What it takes is
 * written and read again, and differs in nothing. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/document/difference.h"
#include "server/document/reader.h"
#include "server/document/writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* assert() that release builds keep. */
static void
must(bool holds)
{
	if (!holds)
		abort();
}

static unsigned
walk(const struct node *n, unsigned depth)
{
	unsigned nodes = 1;
	size_t count = 0;

	must(depth <= DOCUMENT_MAX_DEPTH + 1 && n->line > 0 && n->column > 0);
	must((n->text != NULL) == (n->kind == NODE_SCALAR));
	must(n->text == NULL || utf8_valid(n->text, strlen(n->text)));
	must(n->first == NULL || n->kind == NODE_MAP || n->kind == NODE_LIST);
	for (const struct node *m = n->first; m != NULL; m = m->next, count++) {
		must((m->key != NULL) == (n->kind == NODE_MAP));
		must(m->key == NULL || (utf8_valid(m->key, strlen(m->key)) && node_get(n, m->key) == m));
		nodes += walk(m, depth + 1);
	}
	must(count == n->count);
	return nodes;
}

/* Writes what the writer has a form for: maps of texts, lists of texts. */
static void
write_node(struct writer *w, const char *key, const struct node *n)
{
	switch (n->kind) {
	case NODE_NULL:
		write_text(w, key, NULL);
		break;
	case NODE_SCALAR:
		write_text(w, key, n->text);
		break;
	case NODE_LIST:
	case NODE_MAP:
		if (n->first == NULL) {
			if (n->kind == NODE_MAP)
				write_empty_map(w, key);
			else
				write_empty_list(w, key);
			break;
		}
		write_begin(w, key);
		for (const struct node *m = n->first; m != NULL; m = m->next) {
			if (n->kind == NODE_MAP)
				write_node(w, m->key, m);
			else
				write_item(w, m->kind == NODE_SCALAR ? m->text : "item");
		}
		write_end(w);
		break;
	}
}

/* Long keys are no simple keys of YAML any more; the program's own are names and aliases. */
static bool
keys_are_short(const struct node *n)
{
	if (n->key != NULL && strlen(n->key) > 150)
		return false;
	for (const struct node *m = n->first; m != NULL; m = m->next)
		if (!keys_are_short(m))
			return false;
	return true;
}

static bool
lists_hold_texts(const struct node *n)
{
	for (const struct node *m = n->first; m != NULL; m = m->next)
		if ((n->kind == NODE_LIST && m->kind != NODE_SCALAR) || !lists_hold_texts(m))
			return false;
	return true;
}

static void
write_and_read(const struct node *root)
{
	struct problems ps = { .count = 0 };
	struct buf text = BUF_INIT;
	struct difference d;
	struct writer w;
	struct node *again;

	writer_init(&w, &text, true);
	for (const struct node *m = root->first; m != NULL; m = m->next)
		write_node(&w, m->key, m);
	again = root->first != NULL && text.len <= DOCUMENT_MAX_BYTES
		    ? document_read(text.data, text.len, &ps)
		    : NULL;
	must(again != NULL || root->first == NULL || text.len > DOCUMENT_MAX_BYTES);
	if (again != NULL && lists_hold_texts(root)) {
		difference_of(root, again, &d);
		must(d.count == 0);
		difference_clear(&d);
	}
	node_free(again);
	problems_clear(&ps);
	buf_clear(&text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct problems ps = { .count = 0 };
	struct node *root = document_read((const char *)data, size, &ps);

	must((root == NULL) == (ps.count > 0));
	for (size_t i = 0; i < ps.count; i++)
		must(utf8_valid(ps.list[i].message, strlen(ps.list[i].message)) &&
		     ps.list[i].message[0] != '\0');
	if (root != NULL) {
		must(root->kind == NODE_MAP && walk(root, 1) <= DOCUMENT_MAX_NODES);
		if (keys_are_short(root))
			write_and_read(root);
	}
	problems_sort(&ps);
	problems_clear(&ps);
	node_free(root);
	return 0;
}

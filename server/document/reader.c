#include "server/document/reader.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"

bool
ceiling_take(struct ceiling *c, int line, int column, struct problems *ps)
{
	if (c->nodes++ < DOCUMENT_MAX_NODES)
		return true;
	if (!c->told)
		problem_add(ps, line, column, "the document has more than %u values", DOCUMENT_MAX_NODES);
	c->told = true;
	return false;
}

static int
by_key(const void *a, const void *b)
{
	const struct node *x = *(const struct node *const *)a, *y = *(const struct node *const *)b;
	int r = strcmp(x->key, y->key);

	if (r == 0)
		r = x->key_line != y->key_line ? x->key_line - y->key_line : x->key_column - y->key_column;
	return r;
}

void
check_duplicates(const struct node *map, struct problems *ps)
{
	const struct node **sorted;
	size_t n = 0;

	if (map->count < 2)
		return;
	sorted = xcalloc(map->count, sizeof(struct node *));
	for (const struct node *m = map->first; m != NULL; m = m->next)
		sorted[n++] = m;
	qsort(sorted, n, sizeof(struct node *), by_key);
	for (size_t i = 1; i < n; i++)
		if (strcmp(sorted[i - 1]->key, sorted[i]->key) == 0)
			problem_add(ps, sorted[i]->key_line, sorted[i]->key_column,
			    "\"%.80s\" stands here already, in line %d", sorted[i]->key,
			    sorted[i - 1]->key_line);
	free(sorted);
}

/* Where the byte `at` lies. */
static void
place_of(const char *text, size_t at, int *line, int *column)
{
	*line = *column = 1;
	for (size_t i = 0; i < at; i++) {
		if (text[i] == '\n') {
			++*line;
			*column = 1;
		} else if (((unsigned char)text[i] & 0xc0) != 0x80) {
			++*column;
		}
	}
}

/* What no reader has to look at any more. */
static bool
check_bytes(const char *text, size_t n, struct problems *ps)
{
	size_t good = utf8_prefix(text, n);
	const char *nul = n > 0 ? memchr(text, '\0', n) : NULL;
	int line, column;

	if (nul != NULL && (size_t)(nul - text) < good)
		good = (size_t)(nul - text);
	if (good == n)
		return true;
	place_of(text, good, &line, &column);
	problem_add(ps, line, column, nul == text + good ? "a NUL byte" : "invalid UTF-8");
	return false;
}

struct node *
document_read(const char *text, size_t n, struct problems *ps)
{
	static const char bom[] = "\xef\xbb\xbf";
	size_t before = ps->count, blank = 0;
	struct node *root;

	if (n > DOCUMENT_MAX_BYTES) {
		problem_add(ps, 0, 0, "the document has %zu bytes; at most %zu are read", n,
		    DOCUMENT_MAX_BYTES);
		return NULL;
	}
	if (!check_bytes(text, n, ps))
		return NULL;
	if (n >= 3 && memcmp(text, bom, 3) == 0) {
		text += 3;
		n -= 3;
	}
	while (blank < n && strchr(" \t\r\n", text[blank]) != NULL)
		blank++;
	root = blank < n && text[blank] == '{' ? read_json(text, n, ps) : read_yaml(text, n, ps);
	if (root != NULL && root->kind != NODE_MAP)
		problem_add(ps, root->line, root->column,
		    root->kind == NODE_NULL ? "the document is empty"
		                            : "a document is a map: it begins with \"version: 1\"");
	if (ps->count > before) {
		node_free(root);
		return NULL;
	}
	return root;
}

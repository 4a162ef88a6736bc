/* reader.h - text in, a tree of nodes out: the safe part of YAML, and JSON.
 *
 * Text that begins with '{' is JSON and is read by the strict reader of protocol/base; everything
 * else is YAML (libyaml), of which anchors, aliases, tags, merge keys, directives, keys that are no
 * plain text and a second document are refused. Both refuse keys that occur twice, invalid UTF-8,
 * NUL, and what is larger than the ceilings below. */
#ifndef SERVER_DOCUMENT_READER_H
#define SERVER_DOCUMENT_READER_H

#include "server/document/node.h"

#define DOCUMENT_MAX_BYTES ((size_t)1 << 20)
#define DOCUMENT_MAX_DEPTH 16
#define DOCUMENT_MAX_NODES 65536u

/* The tree, whose root is a map, or NULL with at least one problem. The caller frees it. A syntax
 * error ends the reading, so it is the last problem; others (duplicate keys, tags) are all named,
 * and the tree is then NULL as well. */
struct node *document_read(const char *text, size_t n, struct problems *ps);

/* ---- between the files of the readers ---- */

struct node *read_yaml(const char *text, size_t n, struct problems *ps);
struct node *read_json(const char *text, size_t n, struct problems *ps);
/* Counts one more node; false (and a problem, once) beyond the ceiling. */
struct ceiling {
	unsigned nodes;
	bool told;
};
bool ceiling_take(struct ceiling *c, int line, int column, struct problems *ps);
/* Reports keys of the map that occur twice, at the later one. */
void check_duplicates(const struct node *map, struct problems *ps);

#endif

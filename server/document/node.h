/* node.h - a document that was read: maps, lists and scalars, each with its place.
 *
 * A scalar keeps its text; what it is (a number, a truth, a word) decides who asks for it, so `30m`, `no` and
 * `1.0` need no quotes where text is wanted. The questions below report what does not fit to `problems` and
 * then answer false or NULL, so a caller goes on and finds the next one, too. `what` names the value for
 * people. */
#ifndef SERVER_DOCUMENT_NODE_H
#define SERVER_DOCUMENT_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/document/problems.h"

enum node_kind { NODE_NULL, NODE_SCALAR, NODE_LIST, NODE_MAP };

/* Owns what is below it. */
struct node {
	enum node_kind kind;
	bool quoted;      /* a scalar that is text and nothing else */
	char *text;       /* of a scalar: valid UTF-8, no NUL */
	char *key;        /* of a map's member; NULL elsewhere */
	int line, column; /* from 1; columns are characters */
	int key_line, key_column;
	struct node *first, *last, *next;
	size_t count;
};

struct node *node_new(enum node_kind kind, int line, int column);
void node_free(struct node *n); /* NULL is harmless */
/* Takes child; key (taken, too) for a map, else NULL. */
void node_add(struct node *parent, struct node *child, char *key);
/* NULL when n is NULL, no map, or has no such key. */
const struct node *node_get(const struct node *n, const char *key);

/* NULL and null nodes count as empty maps and lists. */
bool node_is_map(const struct node *n, const char *what, struct problems *ps);
bool node_is_list(const struct node *n, const char *what, struct problems *ps);
/* The text of a scalar of at most max_bytes; borrowed. */
const char *node_text(const struct node *n, const char *what, size_t max_bytes, struct problems *ps);
/* true or false, without quotes. */
bool node_bool(const struct node *n, const char *what, bool *out, struct problems *ps);
/* A whole decimal number, without quotes. */
bool node_int(const struct node *n, const char *what, int64_t min, int64_t max, int64_t *out,
    struct problems *ps);

/* Reports that the key of `n` is none of the `count` names. */
void node_unknown_key(const struct node *n, const char *where,
    const char *(*name_at)(const void *arg, size_t i), const void *arg, size_t count,
    struct problems *ps);
/* Reports what err says, at the value; for a name that is wrong, at the key. */
void node_problem(const struct node *n, const struct error *err, struct problems *ps);
void node_key_problem(const struct node *n, const struct error *err, struct problems *ps);

#endif

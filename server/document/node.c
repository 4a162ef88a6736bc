#include "server/document/node.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"

struct node *
node_new(enum node_kind kind, int line, int column)
{
	struct node *n = xcalloc(1, sizeof *n);

	n->kind = kind;
	n->line = n->key_line = line;
	n->column = n->key_column = column;
	return n;
}

/* The depth is bounded by the readers. */
void
node_free(struct node *n)
{
	struct node *child, *next;

	if (n == NULL)
		return;
	for (child = n->first; child != NULL; child = next) {
		next = child->next;
		node_free(child);
	}
	free(n->text);
	free(n->key);
	free(n);
}

void
node_add(struct node *parent, struct node *child, char *key)
{
	child->key = key;
	if (parent->last != NULL)
		parent->last->next = child;
	else
		parent->first = child;
	parent->last = child;
	parent->count++;
}

const struct node *
node_get(const struct node *n, const char *key)
{
	if (n == NULL || n->kind != NODE_MAP)
		return NULL;
	for (const struct node *m = n->first; m != NULL; m = m->next)
		if (strcmp(m->key, key) == 0)
			return m;
	return NULL;
}

/* ---- questions ---- */

static const char *
kind_name(const struct node *n)
{
	switch (n->kind) {
	case NODE_NULL:
		return "nothing";
	case NODE_SCALAR:
		return "a single value";
	case NODE_LIST:
		return "a list";
	case NODE_MAP:
		return "a map";
	}
	return "";
}

static bool
wrong(const struct node *n, const char *what, const char *wanted, struct problems *ps)
{
	problem_add(ps, n->line, n->column, "%s must be %s, not %s", what, wanted, kind_name(n));
	return false;
}

bool
node_is_map(const struct node *n, const char *what, struct problems *ps)
{
	if (n == NULL || n->kind == NODE_NULL || n->kind == NODE_MAP)
		return true;
	return wrong(n, what, "a map of names and values", ps);
}

bool
node_is_list(const struct node *n, const char *what, struct problems *ps)
{
	if (n == NULL || n->kind == NODE_NULL || n->kind == NODE_LIST)
		return true;
	return wrong(n, what, "a list", ps);
}

const char *
node_text(const struct node *n, const char *what, size_t max_bytes, struct problems *ps)
{
	if (n->kind != NODE_SCALAR) {
		wrong(n, what, "text", ps);
		return NULL;
	}
	if (strlen(n->text) > max_bytes) {
		problem_add(ps, n->line, n->column, "%s is longer than %zu bytes", what, max_bytes);
		return NULL;
	}
	return n->text;
}

bool
node_bool(const struct node *n, const char *what, bool *out, struct problems *ps)
{
	if (n->kind == NODE_SCALAR && !n->quoted &&
	    (strcasecmp(n->text, "true") == 0 || strcasecmp(n->text, "false") == 0)) {
		*out = n->text[0] == 't' || n->text[0] == 'T';
		return true;
	}
	problem_add(ps, n->line, n->column, "%s must be true or false", what);
	return false;
}

bool
node_int(const struct node *n, const char *what, int64_t min, int64_t max, int64_t *out,
    struct problems *ps)
{
	const char *text = n->kind == NODE_SCALAR && !n->quoted ? n->text : "";
	size_t digits = strspn(text + (*text == '-'), "0123456789");
	int64_t v;

	errno = 0;
	v = strtoll(text, NULL, 10);
	if (digits == 0 || text[(*text == '-') + digits] != '\0' || errno != 0 || v < min || v > max) {
		problem_add(ps, n->line, n->column,
		    "%s must be a whole number from %" PRId64 " to %" PRId64, what, min, max);
		return false;
	}
	*out = v;
	return true;
}

/* ---- reports ---- */

void
node_unknown_key(const struct node *n, const char *where,
    const char *(*name_at)(const void *arg, size_t i), const void *arg, size_t count,
    struct problems *ps)
{
	struct error err = ERROR_INIT;

	if (problems_are_full(ps)) {
		ps->more++;
		return;
	}
	error_set(&err, MP_E_INVALID_PARAMS, "unknown key \"%.80s\"%s%s", n->key,
	    *where != '\0' ? " in " : "", where);
	error_suggest(&err, n->key, name_at, arg, count);
	problem_add_error(ps, n->key_line, n->key_column, &err);
}

void
node_problem(const struct node *n, const struct error *err, struct problems *ps)
{
	problem_add_error(ps, n->line, n->column, err);
}

void
node_key_problem(const struct node *n, const struct error *err, struct problems *ps)
{
	problem_add_error(ps, n->key_line, n->key_column, err);
}

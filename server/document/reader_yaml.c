/* reader_yaml.c - a document as YAML, by libyaml's events; the only file that sees that library.
 *
 * Only the part of YAML that means what it looks like is taken: no anchors and aliases (a few lines could
 * stand for billions of values), no tags, no merge keys, no directives, one document. */
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "protocol/base/str.h"
#include "server/document/reader.h"

/* A container that is open, and the key that waits for its value. */
struct level {
	struct node *node;
	char *key;
	int key_line, key_column;
	bool is_map;
};

struct yaml_reading {
	yaml_parser_t parser;
	struct level levels[DOCUMENT_MAX_DEPTH];
	unsigned depth;
	struct node *root;
	struct ceiling ceiling;
	struct problems *ps;
	bool second_told;
	bool ended; /* by a problem that leaves nothing to read */
};

static int
line_of(const yaml_event_t *e)
{
	return (int)e->start_mark.line + 1;
}

static int
column_of(const yaml_event_t *e)
{
	return (int)e->start_mark.column + 1;
}

static void
refuse(struct yaml_reading *r, const yaml_event_t *e, const char *why)
{
	problem_add(r->ps, line_of(e), column_of(e), "%s", why);
}

static void
syntax_error(struct yaml_reading *r)
{
	const yaml_parser_t *p = &r->parser;
	bool placed = p->error == YAML_SCANNER_ERROR || p->error == YAML_PARSER_ERROR;
	const yaml_mark_t *m = placed ? &p->problem_mark : &p->mark;

	/* the context says what was being read, and from where on */
	if (placed && p->context != NULL && p->context_mark.line != m->line)
		problem_add(r->ps, (int)m->line + 1, (int)m->column + 1, "%s, %s that begins in line %zu",
		    p->problem, p->context, p->context_mark.line + 1);
	else
		problem_add(r->ps, (int)m->line + 1, (int)m->column + 1, "%s",
		    p->problem != NULL ? p->problem : "it cannot be read");
	r->ended = true;
}

/* ---- building ---- */

static struct level *
top(struct yaml_reading *r)
{
	return r->depth > 0 ? &r->levels[r->depth - 1] : NULL;
}

static bool
waits_for_key(struct yaml_reading *r)
{
	const struct level *l = top(r);

	return l != NULL && l->is_map && l->key == NULL;
}

/* Puts a value where it belongs. */
static void
place(struct yaml_reading *r, struct node *n)
{
	struct level *l = top(r);

	if (l == NULL) {
		r->root = n;
		return;
	}
	if (l->is_map) {
		n->key_line = l->key_line;
		n->key_column = l->key_column;
	}
	node_add(l->node, n, l->key);
	l->key = NULL;
}

static bool
is_null(const yaml_event_t *e)
{
	const char *text = (const char *)e->data.scalar.value;

	return e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	    (*text == '\0' || strcmp(text, "~") == 0 || strcasecmp(text, "null") == 0);
}

static void
take_key(struct yaml_reading *r, const yaml_event_t *e, char *text)
{
	struct level *l = top(r);

	l->key = text;
	l->key_line = line_of(e);
	l->key_column = column_of(e);
	if (e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && strcmp(text, "<<") == 0)
		refuse(r, e, "merge keys (<<) are not taken; write the values out");
}

static void
take_scalar(struct yaml_reading *r, const yaml_event_t *e)
{
	struct slice s = { (const char *)e->data.scalar.value, e->data.scalar.length };
	struct node *n;

	if (e->data.scalar.tag != NULL)
		refuse(r, e, "tags (!) are not taken");
	if (memchr(s.data, '\0', s.len) != NULL)
		refuse(r, e, "a text contains a NUL");
	if (waits_for_key(r)) {
		take_key(r, e, slice_dup(s));
		return;
	}
	if (!ceiling_take(&r->ceiling, line_of(e), column_of(e), r->ps)) {
		r->ended = true;
		return;
	}
	n = node_new(is_null(e) ? NODE_NULL : NODE_SCALAR, line_of(e), column_of(e));
	if (n->kind == NODE_SCALAR) {
		n->quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
		n->text = slice_dup(s);
	}
	place(r, n);
}

static void
open_container(struct yaml_reading *r, const yaml_event_t *e, bool is_map, const void *tag)
{
	struct node *n;

	if (tag != NULL)
		refuse(r, e, "tags (!) are not taken");
	if (waits_for_key(r)) {
		refuse(r, e, "a key must be plain text");
		r->ended = true;
		return;
	}
	if (r->depth == DOCUMENT_MAX_DEPTH) {
		problem_add(r->ps, line_of(e), column_of(e), "deeper than %d levels", DOCUMENT_MAX_DEPTH);
		r->ended = true;
		return;
	}
	if (!ceiling_take(&r->ceiling, line_of(e), column_of(e), r->ps)) {
		r->ended = true;
		return;
	}
	n = node_new(is_map ? NODE_MAP : NODE_LIST, line_of(e), column_of(e));
	place(r, n);
	r->levels[r->depth++] = (struct level){ .node = n, .is_map = is_map };
}

static void
close_container(struct yaml_reading *r)
{
	struct level *l = top(r);

	if (l->is_map)
		check_duplicates(l->node, r->ps);
	r->depth--;
}

static void
begin_document(struct yaml_reading *r, const yaml_event_t *e)
{
	if (r->root != NULL) {
		if (!r->second_told)
			refuse(r, e, "a second document begins; only one is taken");
		r->second_told = true;
		r->ended = true;
	}
	if (e->data.document_start.version_directive != NULL ||
	    e->data.document_start.tag_directives.start != e->data.document_start.tag_directives.end)
		refuse(r, e, "directives (%) are not taken");
}

static void
take(struct yaml_reading *r, const yaml_event_t *e)
{
	switch (e->type) {
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		break;
	case YAML_STREAM_END_EVENT:
		r->ended = true;
		break;
	case YAML_DOCUMENT_START_EVENT:
		begin_document(r, e);
		break;
	case YAML_ALIAS_EVENT:
		refuse(r, e, "aliases (*) are not taken; write the value out");
		if (waits_for_key(r))
			r->ended = true;
		else
			place(r, node_new(NODE_NULL, line_of(e), column_of(e)));
		break;
	case YAML_SCALAR_EVENT:
		if (e->data.scalar.anchor != NULL)
			refuse(r, e, "anchors (&) are not taken");
		take_scalar(r, e);
		break;
	case YAML_SEQUENCE_START_EVENT:
		if (e->data.sequence_start.anchor != NULL)
			refuse(r, e, "anchors (&) are not taken");
		open_container(r, e, false, e->data.sequence_start.tag);
		break;
	case YAML_MAPPING_START_EVENT:
		if (e->data.mapping_start.anchor != NULL)
			refuse(r, e, "anchors (&) are not taken");
		open_container(r, e, true, e->data.mapping_start.tag);
		break;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		close_container(r);
		break;
	}
}

struct node *
read_yaml(const char *text, size_t n, struct problems *ps)
{
	struct yaml_reading r = { .ps = ps };
	yaml_event_t e;

	if (!yaml_parser_initialize(&r.parser)) {
		problem_add(ps, 0, 0, "there is no memory to read the document");
		return NULL;
	}
	/* else the first bytes would decide */
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, n);
	while (!r.ended) {
		if (!yaml_parser_parse(&r.parser, &e)) {
			syntax_error(&r);
			break;
		}
		take(&r, &e);
		yaml_event_delete(&e);
	}
	yaml_parser_delete(&r.parser);
	while (r.depth > 0)
		free(r.levels[--r.depth].key);
	/* nothing at all is an empty document, too */
	if (r.root == NULL && ps->count == 0)
		r.root = node_new(NODE_NULL, 1, 1);
	return r.root;
}

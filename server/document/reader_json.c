/* reader_json.c - a document as JSON, by the strict reader. */
#include <string.h>

#include "protocol/base/json.h"
#include "protocol/base/str.h"
#include "server/document/reader.h"

/* A place in the text that only moves forward: tokens come in their order. */
struct cursor {
	const char *text;
	size_t at;
	int line, column;
};

struct reading {
	struct json json;
	struct cursor cursor;
	struct ceiling ceiling;
	struct problems *ps;
};

static void
move_to(struct cursor *c, size_t at)
{
	for (; c->at < at; c->at++) {
		if (c->text[c->at] == '\n') {
			c->line++;
			c->column = 1;
		} else if (((unsigned char)c->text[c->at] & 0xc0) != 0x80) {
			c->column++;
		}
	}
}

static void
move_to_token(struct reading *r, uint32_t at)
{
	move_to(&r->cursor, (size_t)(json_raw(&r->json, at).data - r->cursor.text));
}

/* A string, unescaped; NULL (and a problem) when it holds a NUL. */
static char *
take_string(struct reading *r, uint32_t at)
{
	struct buf text = BUF_INIT;
	char *copy = NULL;

	json_string(&r->json, at, &text);
	if (strlen(buf_str(&text)) != text.len)
		problem_add(r->ps, r->cursor.line, r->cursor.column, "a text contains a NUL");
	else
		copy = xstrdup(buf_str(&text));
	buf_clear(&text);
	return copy;
}

static struct node *
scalar(struct reading *r, uint32_t at)
{
	struct node *n = node_new(NODE_SCALAR, r->cursor.line, r->cursor.column);

	if (json_is(&r->json, at, JSON_STRING)) {
		n->quoted = true;
		n->text = take_string(r, at);
	} else {
		n->text = slice_dup(json_raw(&r->json, at));
	}
	if (n->text == NULL)
		n->text = xstrdup("");
	return n;
}

static struct node *convert(struct reading *r, uint32_t at, unsigned depth);

static void
convert_members(struct reading *r, uint32_t at, struct node *map, unsigned depth)
{
	for (uint32_t k = json_first(&r->json, at); k != JSON_NONE; k = json_next(&r->json, k)) {
		struct node *child;
		int line, column;
		char *key;

		move_to_token(r, k);
		line = r->cursor.line;
		column = r->cursor.column;
		if ((key = take_string(r, k)) == NULL)
			key = xstrdup("");
		child = convert(r, json_value(&r->json, k), depth);
		child->key_line = line;
		child->key_column = column;
		node_add(map, child, key);
		if (r->ceiling.told)
			return;
	}
}

/* Never NULL; beyond a ceiling it is empty. */
static struct node *
convert(struct reading *r, uint32_t at, unsigned depth)
{
	enum json_type type = json_type(&r->json, at);
	struct node *n;

	move_to_token(r, at);
	if (!ceiling_take(&r->ceiling, r->cursor.line, r->cursor.column, r->ps) || type == JSON_NULL)
		return node_new(NODE_NULL, r->cursor.line, r->cursor.column);
	if (type != JSON_OBJECT && type != JSON_ARRAY)
		return scalar(r, at);
	n = node_new(type == JSON_OBJECT ? NODE_MAP : NODE_LIST, r->cursor.line, r->cursor.column);
	if (depth == DOCUMENT_MAX_DEPTH) {
		problem_add(r->ps, n->line, n->column, "deeper than %d levels", DOCUMENT_MAX_DEPTH);
		return n;
	}
	if (type == JSON_OBJECT)
		convert_members(r, at, n, depth + 1);
	for (uint32_t k = json_first(&r->json, at);
	     type == JSON_ARRAY && k != JSON_NONE && !r->ceiling.told; k = json_next(&r->json, k))
		node_add(n, convert(r, k, depth + 1), NULL);
	return n;
}

struct node *
read_json(const char *text, size_t n, struct problems *ps)
{
	struct reading r = { .json = JSON_INIT, .cursor = { text, 0, 1, 1 }, .ps = ps };
	struct node *root = NULL;

	if (json_read(&r.json, text, n, JSON_STRICT) == 0) {
		root = convert(&r, 0, 1);
	} else {
		move_to(&r.cursor, r.json.problem_offset < n ? r.json.problem_offset : n);
		problem_add(ps, r.cursor.line, r.cursor.column, "not JSON: %s",
		    r.json.problem != NULL ? r.json.problem : "it cannot be read");
	}
	json_clear(&r.json);
	return root;
}

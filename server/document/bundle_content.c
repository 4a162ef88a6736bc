/* bundle_content.c - the content of a bundle, read. */
#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/document/bundle_inside.h"
#include "server/document/reader.h"

static const char *const head_names[] = { "bundle", "team", "version", "keys" };
#define HEADS (sizeof head_names / sizeof head_names[0])

/* Names a bundle may hold: the head, then the shared sections. */
static const char *
name_at(const void *arg, size_t i)
{
	(void)arg;
	if (i < HEADS)
		return head_names[i];
	for (size_t k = 0, n = i - HEADS; k < section_count(); k++)
		if (section_at(k)->shared && n-- == 0)
			return section_at(k)->name;
	return NULL;
}

static size_t
name_count(void)
{
	size_t n = 0;

	while (name_at(NULL, n) != NULL)
		n++;
	return n;
}

/* Takes a member out of the map; NULL = it is not there. */
static struct node *
take(struct node *root, const char *key)
{
	struct node *before = NULL;

	for (struct node *m = root->first; m != NULL; before = m, m = m->next) {
		if (strcmp(m->key, key) != 0)
			continue;
		if (before != NULL)
			before->next = m->next;
		else
			root->first = m->next;
		if (root->last == m)
			root->last = before;
		m->next = NULL;
		root->count--;
		return m;
	}
	return NULL;
}

static bool
is_section(const char *key)
{
	for (size_t i = HEADS; name_at(NULL, i) != NULL; i++)
		if (strcmp(name_at(NULL, i), key) == 0)
			return true;
	return false;
}

static void
missing(const char *what, struct problems *ps)
{
	problem_add(ps, 0, 0, "\"%s\" is missing in the bundle", what);
}

static void
read_head(struct bundle_content *b, struct problems *ps)
{
	struct node *format = take(b->root, "bundle"), *team = take(b->root, "team"),
		    *version = take(b->root, "version");
	const char *name;
	int64_t v;

	if (format == NULL)
		missing("bundle", ps);
	else if (node_int(format, "bundle", 1, INT32_MAX, &v, ps) && v != BUNDLE_FORMAT)
		problem_add(ps, format->line, format->column,
		    "bundles of kind %lld are not known here; this program takes kind %d", (long long)v,
		    BUNDLE_FORMAT);
	if (team == NULL) {
		missing("team", ps);
	} else if ((name = node_text(team, "team", 64, ps)) != NULL) {
		if (name_valid(name))
			b->team = xstrdup(name);
		else
			problem_add(ps, team->line, team->column,
			    "\"%.64s\" is not a valid name of a team", name);
	}
	if (version == NULL)
		missing("version", ps);
	else
		node_int(version, "version", 1, TEAM_VERSION_MAX, &b->version, ps);
	node_free(format);
	node_free(team);
	node_free(version);
}

static void
shift(struct problems *ps, int first_line)
{
	for (size_t i = 0; i < ps->count; i++)
		if (ps->list[i].line > 0)
			ps->list[i].line += first_line - 1;
}

static void
shift_nodes(struct node *n, int lines)
{
	n->line += lines;
	n->key_line += lines;
	for (struct node *m = n->first; m != NULL; m = m->next)
		shift_nodes(m, lines);
}

int
bundle_content_read(struct slice content, int first_line, struct bundle_content *out,
    struct problems *ps)
{
	memset(out, 0, sizeof *out);
	out->root = document_read(content.data, content.len, ps);
	if (out->root == NULL) {
		shift(ps, first_line);
		return MP_E_INVALID_PARAMS;
	}
	shift_nodes(out->root, first_line - 1);
	read_head(out, ps);
	out->keys = take(out->root, "keys");
	for (const struct node *m = out->root->first; m != NULL; m = m->next)
		if (!is_section(m->key))
			node_unknown_key(m, "a bundle", name_at, NULL, name_count(), ps);
	return ps->count == 0 ? 0 : MP_E_INVALID_PARAMS;
}

void
bundle_content_clear(struct bundle_content *b)
{
	free(b->team);
	node_free(b->root);
	node_free(b->keys);
	memset(b, 0, sizeof *b);
}

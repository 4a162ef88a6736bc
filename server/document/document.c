#include "server/document/document.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/document/layer.h"
#include "server/document/reader.h"

/* ---- export ---- */

static const char *
section_name(const void *arg, size_t i)
{
	(void)arg;
	return section_at(i)->name;
}

/* Every word of `only` is a section. */
static int
check_names(const char *only, struct error *err)
{
	for (const char *at = only + strspn(only, " "); *at != '\0';) {
		struct slice word = { at, strcspn(at, " ") };
		size_t i = 0;
		char *name;

		while (i < section_count() && !slice_eq(word, section_at(i)->name))
			i++;
		if (i == section_count()) {
			name = slice_dup(word);
			error_field(err, "sections", "the configuration has no section \"%.60s\"", name);
			error_suggest(err, name, section_name, NULL, section_count());
			free(name);
			return MP_E_INVALID_PARAMS;
		}
		at += word.len;
		at += strspn(at, " ");
	}
	return 0;
}

int
document_export(const struct document_parts *parts, const char *only, bool comments,
    struct buf *out, struct error *err)
{
	struct writer w;
	int r;

	if (only != NULL && (r = check_names(only, err)) != 0)
		return r;
	writer_init(&w, out, comments);
	if (only == NULL) {
		write_comment(&w, "The configuration of modelpd: see modelpd-config(5). What is "
				  "not here is as shipped.");
		write_comment(&w, "Keys, the live choice and test sessions are never in it.");
		write_int(&w, "version", DOCUMENT_VERSION);
	}
	for (size_t i = 0; i < section_count(); i++) {
		if (only != NULL && !word_listed(only, slice_of(section_at(i)->name)))
			continue;
		if (i > 0 || only == NULL)
			write_blank(&w);
		write_comment(&w, "%s", section_at(i)->comment);
		layer_export(parts, section_at(i), &w);
	}
	return out->failed ? error_set(err, MP_E_TOO_LARGE, "the configuration is too large") : 0;
}

/* What an export would say now, as a tree. */
static struct node *
state_tree(const struct document_parts *parts, struct error *err)
{
	struct problems problems = { .count = 0 };
	struct buf text = BUF_INIT;
	struct node *tree = NULL;

	buf_init(&text, DOCUMENT_MAX_BYTES);
	if (document_export(parts, NULL, false, &text, err) == 0 &&
	    (tree = document_read(buf_str(&text), text.len, &problems)) == NULL)
		error_set(err, MP_E_INTERNAL, "the configuration cannot be read back: line %d: %s",
		    problems.list[0].line, problems.list[0].message);
	problems_clear(&problems);
	buf_clear(&text);
	return tree;
}

/* ---- what is asked ---- */

static const char *
root_name(const void *arg, size_t i)
{
	(void)arg;
	return i == 0 ? "version" : section_at(i - 1)->name;
}

static void
check_root(const struct node *root, struct problems *ps)
{
	const struct node *version = node_get(root, "version");
	int64_t v;

	if (version == NULL)
		problem_add(ps, 1, 1, "the version is missing: begin with \"version: %d\"", DOCUMENT_VERSION);
	else if (node_int(version, "version", 1, INT32_MAX, &v, ps) && v != DOCUMENT_VERSION)
		problem_add(ps, version->line, version->column,
		    "version %lld is not known here; this program takes version %d", (long long)v,
		    DOCUMENT_VERSION);
	for (const struct node *m = root->first; m != NULL; m = m->next) {
		size_t i = 0;

		while (i <= section_count() && strcmp(root_name(NULL, i), m->key) != 0)
			i++;
		if (i > section_count())
			node_unknown_key(m, "", root_name, NULL, section_count() + 1, ps);
	}
}

/* ---- doing it ---- */

/* Inside a transaction: the state becomes what the document says, as far as that goes. */
static int
apply_sections(const struct document_parts *parts, const struct node *root,
    struct document_result *out, struct error *err)
{
	struct document_change c = { parts, &out->problems, &out->losses, &out->notes };
	int r = 0;

	check_root(root, &out->problems);
	for (size_t i = 0; i < section_count() && r == 0; i++)
		r = layer_apply(&c, section_at(i), node_get(root, section_at(i)->name), err);
	return r;
}

static int
find_difference(const struct document_parts *parts, const struct node *before,
    struct document_result *out, struct error *err)
{
	struct node *after = state_tree(parts, err);

	if (after == NULL)
		return err->code;
	difference_of(before, after, &out->difference);
	node_free(after);
	return 0;
}

/* Whether what was tried may stay. */
static int
judge(const struct document_result *out, bool consent, struct error *err)
{
	size_t n = out->problems.count + out->problems.more;

	if (n > 0)
		return error_set(err, MP_E_INVALID_PARAMS,
		    "the document has %zu problem%s; nothing was changed", n, n == 1 ? "" : "s");
	if (out->losses.count > 0 && !consent) {
		error_set(err, MP_E_CONFLICT, "%s%s; nothing was changed", out->losses.list[0],
		    out->losses.count > 1 ? ", and more" : "");
		error_hint(err, "say so with --cascade, or keep the provider in the document");
		return MP_E_CONFLICT;
	}
	return 0;
}

/* Tries it in a transaction, which is open afterwards when 0 is returned. */
static int
try(const struct document_parts *parts, const char *text, size_t n, struct document_result *out,
    struct error *err)
{
	struct node *root = document_read(text, n, &out->problems), *before = NULL;
	int r;

	if ((before = state_tree(parts, err)) == NULL) {
		r = err->code;
	} else if ((r = changes_begin(parts->changes, err)) == 0) {
		if (root != NULL)
			r = apply_sections(parts, root, out, err);
		if (r == 0 && out->problems.count == 0)
			r = find_difference(parts, before, out, err);
		if (r != 0)
			changes_rollback(parts->changes);
	}
	problems_sort(&out->problems);
	node_free(before);
	node_free(root);
	return r;
}

int
document_check(const struct document_parts *parts, const char *text, size_t n,
    struct document_result *out, struct error *err)
{
	int r = try(parts, text, n, out, err);

	if (r == 0)
		changes_rollback(parts->changes);
	return r;
}

int
document_apply(const struct document_parts *parts, const char *text, size_t n, bool consent,
    const struct document_cause *cause, struct document_result *out, struct error *err)
{
	int r;

	if ((r = try(parts, text, n, out, err)) != 0)
		return r;
	if ((r = judge(out, consent, err)) != 0) {
		changes_rollback(parts->changes);
		return r;
	}
	if ((r = changes_commit(parts->changes, cause->method, cause->client, NULL, err)) == 0) {
		sessions_scrub(parts->sessions);
		credentials_scrub(parts->credentials);
	}
	return r;
}

void
document_result_clear(struct document_result *r)
{
	problems_clear(&r->problems);
	difference_clear(&r->difference);
	sentences_clear(&r->losses);
	sentences_clear(&r->notes);
}

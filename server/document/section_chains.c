/* section_chains.c - chains: NAME: [PROVIDER:MODEL or @CHAIN], or where it falls back on other failures than
 * is usual NAME: {targets: [...], fall_on: [...]}. */
#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/document/section.h"
#include "server/state/chain_codes.h"

#define REF_MAX_BYTES 512
#define CODE_MAX_BYTES 64

/* ---- export ---- */

static void
write_links(const struct document_parts *parts, struct writer *w, const char *key, const struct chain *c)
{
	struct buf ref = BUF_INIT;

	write_begin(w, key);
	for (size_t i = 0; i < c->count; i++) {
		const struct chain_link *l = &c->links[i];
		const struct provider *p = providers_find_id(parts->providers, l->provider_id);

		buf_reset(&ref, REF_MAX_BYTES);
		if (l->provider_id[0] == '\0')
			buf_addf(&ref, "@%s", l->model);
		else if (p != NULL)
			buf_addf(&ref, "%s:%s", p->name, l->model);
		if (ref.len > 0)
			write_item(w, buf_str(&ref));
	}
	write_end(w);
	buf_clear(&ref);
}

static void
write_codes(struct writer *w, uint64_t set)
{
	const char *code;
	uint64_t bit;

	if (set == 0) {
		write_empty_list(w, "fall_on");
		return;
	}
	write_begin(w, "fall_on");
	for (size_t i = 0; (code = chain_code_at(i)) != NULL; i++)
		if (chain_code_parse(code, &bit) && (set & bit) != 0)
			write_item(w, code);
	write_end(w);
}

void
section_chains_export(const struct document_parts *parts, struct writer *w)
{
	if (chains_count(parts->chains) == 0) {
		write_empty_map(w, "chains");
		return;
	}
	write_begin(w, "chains");
	for (size_t i = 0; i < chains_count(parts->chains); i++) {
		const struct chain *c = chains_at(parts->chains, i);

		if (c->fall_on == chain_fall_on_default()) {
			write_links(parts, w, c->name, c);
			continue;
		}
		write_begin(w, c->name);
		write_links(parts, w, "targets", c);
		write_codes(w, c->fall_on);
		write_end(w);
	}
	write_end(w);
}

/* ---- what the document wants ---- */

struct wanted {
	const struct node *node;
	struct chain_link links[CHAIN_LINKS_MAX]; /* texts owned */
	size_t count;
	uint64_t fall_on;
	bool done;
};

static void
wanted_clear(struct wanted *w)
{
	for (size_t i = 0; i < w->count; i++) {
		free((char *)w->links[i].provider_id);
		free((char *)w->links[i].model);
	}
}

static void
add_link(struct wanted *w, const char *provider_id, const char *model)
{
	w->links[w->count++] = (struct chain_link){ xstrdup(provider_id), xstrdup(model) };
}

/* "provider:model" or "@chain"; what is wrong is reported. */
static void
read_link(struct document_change *c, const struct node *n, struct wanted *w)
{
	const char *text = node_text(n, "a target", REF_MAX_BYTES, c->problems);
	const char *colon = text != NULL ? strchr(text, ':') : NULL;
	const struct provider *p;
	struct error err = ERROR_INIT;
	char *name;

	if (text == NULL)
		return;
	if (text[0] == '@') {
		add_link(w, "", text + 1);
		return;
	}
	if (colon == NULL || colon == text || colon[1] == '\0') {
		problem_add(c->problems, n->line, n->column,
		    "\"%.160s\" is no target: write PROVIDER:MODEL or \"@CHAIN\"", text);
		return;
	}
	name = slice_dup((struct slice){ text, (size_t)(colon - text) });
	if ((p = providers_find(c->parts->providers, name)) != NULL) {
		add_link(w, p->id, colon + 1);
	} else {
		error_set(&err, MP_E_NOT_FOUND, "there is no provider \"%.80s\"", name);
		providers_suggest(c->parts->providers, name, &err);
		node_problem(n, &err, c->problems);
	}
	free(name);
}

static void
read_links(struct document_change *c, const struct node *list, struct wanted *w)
{
	if (!node_is_list(list, "the targets of a chain", c->problems))
		return;
	if (list == NULL || list->count == 0 || list->count > CHAIN_LINKS_MAX) {
		problem_add(c->problems, w->node->key_line, w->node->key_column,
		    "a chain has 1 to %d targets", CHAIN_LINKS_MAX);
		return;
	}
	for (const struct node *m = list->first; m != NULL; m = m->next)
		read_link(c, m, w);
}

static const char *
code_name(const void *arg, size_t i)
{
	(void)arg;
	return chain_code_at(i);
}

static void
read_codes(struct document_change *c, const struct node *list, struct wanted *w)
{
	size_t codes = 0;

	if (list == NULL || !node_is_list(list, "fall_on", c->problems))
		return;
	w->fall_on = 0;
	while (chain_code_at(codes) != NULL)
		codes++;
	for (const struct node *m = list->first; m != NULL; m = m->next) {
		const char *code = node_text(m, "a failure", CODE_MAX_BYTES, c->problems);
		struct error err = ERROR_INIT;
		uint64_t bit = 0;

		if (code != NULL && !chain_code_parse(code, &bit)) {
			error_set(&err, MP_E_INVALID_PARAMS, "\"%.60s\" is no failure to fall back on", code);
			error_suggest(&err, code, code_name, NULL, codes);
			node_problem(m, &err, c->problems);
		}
		w->fall_on |= bit;
	}
}

static const char *
member_name(const void *arg, size_t i)
{
	(void)arg;
	return i == 0 ? "targets" : "fall_on";
}

static void
read_chain(struct document_change *c, const struct node *m, struct wanted *w)
{
	w->node = m;
	w->fall_on = chain_fall_on_default();
	if (m->kind != NODE_MAP) {
		read_links(c, m, w);
		return;
	}
	for (const struct node *k = m->first; k != NULL; k = k->next)
		if (strcmp(k->key, "targets") != 0 && strcmp(k->key, "fall_on") != 0)
			node_unknown_key(k, "a chain", member_name, NULL, 2, c->problems);
	read_links(c, node_get(m, "targets"), w);
	read_codes(c, node_get(m, "fall_on"), w);
}

/* ---- making it so ---- */

static const struct wanted *
find_wanted(const struct wanted *list, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i].node->key, name) == 0)
			return &list[i];
	return NULL;
}

/* Whether the chains within it are there as the document wants them; one that it does not name is no reason
 * to wait. */
static bool
is_next(const struct wanted *list, size_t count, const struct wanted *w)
{
	for (size_t i = 0; i < w->count; i++) {
		const struct wanted *in = w->links[i].provider_id[0] == '\0'
		    ? find_wanted(list, count, w->links[i].model) : NULL;

		if (in != NULL && !in->done)
			return false;
	}
	return true;
}

static int
define(struct document_change *c, struct wanted *w, struct error *err)
{
	w->done = true;
	return section_blame(c, w->node, true,
	    chains_set(c->parts->chains, w->node->key, w->links, w->count, w->fall_on, err), err);
}

/* From the inside out. What is left over goes round in a circle. */
static int
define_all(struct document_change *c, struct wanted *list, size_t count, struct error *err)
{
	bool more = true;
	int r = 0;

	while (more && r == 0) {
		more = false;
		for (size_t i = 0; i < count && r == 0; i++) {
			if (list[i].done || !is_next(list, count, &list[i]))
				continue;
			r = define(c, &list[i], err);
			more = true;
		}
	}
	for (size_t i = 0; i < count && r == 0; i++)
		if (!list[i].done)
			problem_add(c->problems, list[i].node->key_line, list[i].node->key_column,
			    "chain @%s would lead back to itself", list[i].node->key);
	return r;
}

static int
remove_others(struct document_change *c, const struct wanted *list, size_t count, struct error *err)
{
	struct chains *cs = c->parts->chains;
	int r = 0;

	for (size_t i = chains_count(cs); i-- > 0 && r == 0;) {
		char *name = xstrdup(chains_at(cs, i)->name);

		/* one that lies in another goes after it, with the next round */
		if (find_wanted(list, count, name) == NULL && chains_user(cs, name) == NULL) {
			if (overrides_uses_chain(c->parts->overrides, name))
				sentence_add(c->losses, "chain @%s goes, and with it a live choice", name);
			if ((r = overrides_remove_chain(c->parts->overrides, name, err)) == 0)
				r = chains_remove(cs, name, err);
			i = chains_count(cs);
		}
		free(name);
	}
	return r;
}

int
section_chains_apply(struct document_change *c, const struct node *n, struct error *err)
{
	size_t before = c->problems->count, count = 0;
	struct wanted *list;
	int r = 0;

	if (!node_is_map(n, "chains", c->problems))
		return 0;
	list = xcalloc((n != NULL ? n->count : 0) + 1, sizeof *list);
	for (const struct node *m = n != NULL ? n->first : NULL; m != NULL; m = m->next)
		read_chain(c, m, &list[count++]);
	if (c->problems->count == before)
		r = define_all(c, list, count, err);
	if (r == 0 && c->problems->count == before)
		r = remove_others(c, list, count, err);
	for (size_t i = 0; i < count; i++)
		wanted_clear(&list[i]);
	free(list);
	return r;
}

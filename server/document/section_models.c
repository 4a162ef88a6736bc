/* section_models.c - models: [PROVIDER:MODEL], nicknames: {NICK: PROVIDER:MODEL}.
 *
 * Models that were added for a time are no configuration: they are not exported, and stay as they are. */
#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/document/section.h"

#define REF_MAX_BYTES 512

/* ---- export ---- */

static bool
is_lasting(const struct model_entry *e)
{
	return e->expires_ms == 0;
}

static void
put_ref(const struct model_entry *e, struct buf *out)
{
	buf_reset(out, 512);
	buf_addf(out, "%s:%s", e->provider, e->model);
}

void
section_models_export(const struct document_parts *parts, struct writer *w)
{
	struct buf ref = BUF_INIT;
	bool any = false;

	for (size_t i = 0; i < models_count(parts->models); i++) {
		const struct model_entry *e = models_at(parts->models, i);

		if (!e->listed || !is_lasting(e))
			continue;
		if (!any)
			write_begin(w, "models");
		any = true;
		put_ref(e, &ref);
		write_item(w, buf_str(&ref));
	}
	if (any)
		write_end(w);
	else
		write_empty_list(w, "models");
	buf_clear(&ref);
}

static int
by_nick(const void *a, const void *b)
{
	return strcmp((*(const struct model_entry *const *)a)->nick,
	    (*(const struct model_entry *const *)b)->nick);
}

void
section_nicknames_export(const struct document_parts *parts, struct writer *w)
{
	size_t count = models_count(parts->models), n = 0;
	const struct model_entry **named = xcalloc(count + 1, sizeof(struct model_entry *));
	struct buf ref = BUF_INIT;

	for (size_t i = 0; i < count; i++) {
		const struct model_entry *e = models_at(parts->models, i);

		if (e->nick != NULL && is_lasting(e))
			named[n++] = e;
	}
	if (n > 0)
		qsort(named, n, sizeof(struct model_entry *), by_nick);
	if (n == 0)
		write_empty_map(w, "nicknames");
	else
		write_begin(w, "nicknames");
	for (size_t i = 0; i < n; i++) {
		put_ref(named[i], &ref);
		write_text(w, named[i]->nick, buf_str(&ref));
	}
	if (n > 0)
		write_end(w);
	buf_clear(&ref);
	free(named);
}

/* ---- what the document wants ---- */

struct wanted_model {
	const struct node *node;
	const struct provider *p; /* borrowed: no provider changes here */
	const char *model;        /* piece of the node's text */
};

struct wanted_models {
	struct wanted_model *items;
	size_t count;
};

/* "provider:model"; false when it was reported. */
static bool
read_ref(struct document_change *c, const struct node *n, struct wanted_model *out)
{
	const char *text = node_text(n, "a model", REF_MAX_BYTES, c->problems);
	const char *colon = text != NULL ? strchr(text, ':') : NULL;
	struct error err = ERROR_INIT;
	char *name;

	if (text == NULL)
		return false;
	if (colon == NULL || colon == text || colon[1] == '\0') {
		problem_add(c->problems, n->line, n->column,
		    "\"%.160s\" is no model: write PROVIDER:MODEL", text);
		return false;
	}
	name = slice_dup((struct slice){ text, (size_t)(colon - text) });
	*out = (struct wanted_model){ n, providers_find(c->parts->providers, name), colon + 1 };
	if (out->p == NULL) {
		error_set(&err, MP_E_NOT_FOUND, "there is no provider \"%.80s\"", name);
		providers_suggest(c->parts->providers, name, &err);
		node_problem(n, &err, c->problems);
	}
	free(name);
	return out->p != NULL;
}

static int
by_target(const void *a, const void *b)
{
	const struct wanted_model *x = a, *y = b;
	int r = strcmp(x->p->name, y->p->name);

	return r != 0 ? r : strcmp(x->model, y->model);
}

/* Reads and sorts; reports what stands there twice. */
static void
read_models(struct document_change *c, const struct node *n, struct wanted_models *l)
{
	l->items = xcalloc((n != NULL ? n->count : 0) + 1, sizeof *l->items);
	for (const struct node *m = n != NULL ? n->first : NULL; m != NULL; m = m->next)
		if (read_ref(c, m, &l->items[l->count]))
			l->count++;
	qsort(l->items, l->count, sizeof *l->items, by_target);
	for (size_t i = 1; i < l->count; i++) {
		const struct wanted_model *one = &l->items[i - 1], *two = &l->items[i];

		if (by_target(one, two) == 0)
			problem_add(c->problems, two->node->line, two->node->column,
			    "%s stands in lines %d and %d", two->node->text, one->node->line,
			    two->node->line);
	}
}

static bool
is_wanted(const struct wanted_models *l, const struct provider *p, const char *model)
{
	const struct wanted_model key = { NULL, p, model };

	return bsearch(&key, l->items, l->count, sizeof *l->items, by_target) != NULL;
}

/* ---- models ---- */

static int
remove_others(struct document_change *c, const struct wanted_models *l, struct error *err)
{
	struct models *ms = c->parts->models;
	int r;

	for (size_t i = models_count(ms); i-- > 0;) {
		const struct model_entry *e = models_at(ms, i);
		const struct provider *p = providers_find(c->parts->providers, e->provider);

		if (!e->listed || !is_lasting(e) || p == NULL || is_wanted(l, p, e->model))
			continue;
		/* its nickname goes, too, and comes back with the next section */
		if ((r = models_remove(ms, p, e->model, err)) != 0)
			return r;
	}
	return 0;
}

int
section_models_apply(struct document_change *c, const struct node *n, struct error *err)
{
	struct wanted_models l = { NULL, 0 };
	size_t before = c->problems->count;
	int r = 0;

	if (!node_is_list(n, "models", c->problems))
		return 0;
	read_models(c, n, &l);
	if (c->problems->count == before)
		r = remove_others(c, &l, err);
	for (size_t i = 0; i < l.count && r == 0; i++) {
		const struct wanted_model *w = &l.items[i];
		const struct model_entry *e = models_find(c->parts->models, w->p->name, w->model);

		if (e == NULL || !e->listed || !is_lasting(e))
			r = section_blame(c, w->node, false,
			    models_add(c->parts->models, w->p, w->model, NULL, 0, err), err);
	}
	free(l.items);
	return r;
}

/* ---- nicknames ---- */

/* Nicknames that the document gives to another model or to none are free again. */
static int
free_nicknames(struct document_change *c, const struct node *n, struct error *err)
{
	struct models *ms = c->parts->models;
	struct problems unheard = { .count = 0 }; /* give_nickname reports them */
	struct document_change quiet = { .parts = c->parts, .problems = &unheard };
	struct wanted_model w;
	int r = 0;

	for (size_t i = models_count(ms); i-- > 0 && r == 0;) {
		const struct model_entry *e = models_at(ms, i);
		const struct provider *p = providers_find(c->parts->providers, e->provider);
		const struct node *m = e->nick != NULL ? node_get(n, e->nick) : NULL;

		if (e->nick == NULL || !is_lasting(e) || p == NULL)
			continue;
		if (m == NULL || !read_ref(&quiet, m, &w) || w.p != p || strcmp(w.model, e->model) != 0)
			r = models_nick(ms, p, e->model, "", err);
	}
	problems_clear(&unheard);
	return r;
}

static int
give_nickname(struct document_change *c, const struct node *m, struct error *err)
{
	struct models *ms = c->parts->models;
	const struct model_entry *e;
	struct wanted_model w;

	if (!read_ref(c, m, &w))
		return 0;
	e = models_find(ms, w.p->name, w.model);
	if (e != NULL && !is_lasting(e)) {
		problem_add(c->problems, m->line, m->column,
		    "%s is there for a time only: add it to models to name it here", m->text);
		return 0;
	}
	if (e != NULL && e->nick != NULL && strcmp(e->nick, m->key) == 0)
		return 0;
	if (e != NULL && e->nick != NULL) {
		problem_add(c->problems, m->line, m->column, "%s has a nickname already: \"%s\"",
		    m->text, e->nick);
		return 0;
	}
	return section_blame(c, m, true, models_nick(ms, w.p, w.model, m->key, err), err);
}

int
section_nicknames_apply(struct document_change *c, const struct node *n, struct error *err)
{
	int r;

	if (!node_is_map(n, "nicknames", c->problems))
		return 0;
	if ((r = free_nicknames(c, n, err)) != 0)
		return r;
	for (const struct node *m = n != NULL ? n->first : NULL; m != NULL && r == 0; m = m->next)
		r = give_nickname(c, m, err);
	return r;
}

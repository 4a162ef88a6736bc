#include "server/call/resolve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/buf.h"
#include "protocol/base/str.h"
#include "server/state/catalogue.h"
#include "server/state/selector.h"

#define MODEL_MAX_BYTES 256
#define NEAR_MAX 4 /* candidates of a struct error */

struct resolver {
	const struct providers *ps;
	const struct models *ms;
	struct target *out;
	char **why;
	struct error *err;
};

static void
because(const struct resolver *r, const char *fmt, const char *a, const char *b)
{
	struct buf text = BUF_INIT;

	if (r->why == NULL)
		return;
	/* fmt: up to two %s */
	for (const char *p = fmt; *p != '\0'; p++) {
		if (p[0] == '%' && p[1] == 's') {
			buf_adds(&text, a);
			a = b;
			p++;
		} else {
			buf_addc(&text, *p);
		}
	}
	*r->why = buf_steal(&text, NULL);
}

void
resolve_model(const struct provider *p, const char *model, const char *label, struct target *out)
{
	target_set(out, p->name, model, provider_alias_model(p, model), label);
}

static bool
is_provider(void *arg, struct slice name)
{
	const struct providers *ps = arg;
	char text[65];

	if (name.len >= sizeof text || memchr(name.data, '\0', name.len) != NULL)
		return false;
	memcpy(text, name.data, name.len);
	text[name.len] = '\0';
	return providers_find(ps, text) != NULL;
}

/* ---- a provider alone ---- */

/* Of what it listed: a local server's loaded model, or its first; elsewhere a choice would cost money, so
 * only when there is none to make. */
static const char *
listed_default(const struct resolver *r, const struct provider *p)
{
	const struct discovered_list *l = discovered_list(models_discovered(r->ms), p);

	if (l == NULL || l->models.count == 0)
		return NULL;
	if (p->type != PROVIDER_LOCAL)
		return l->models.count == 1 ? l->models.models[0].id : NULL;
	for (size_t i = 0; i < l->models.count; i++)
		if (l->models.models[i].loaded == 1)
			return l->models.models[i].id;
	return l->models.models[0].id;
}

/* Its first model: of the user's, of its aliases, of the catalogue, of its own list; NULL when none is
 * known. */
static const char *
default_model(const struct resolver *r, const struct provider *p)
{
	for (size_t i = 0; i < models_count(r->ms); i++) {
		const struct model_entry *e = models_at(r->ms, i);

		if (e->listed && strcmp(e->provider, p->name) == 0
		    && models_find(r->ms, e->provider, e->model) != NULL)
			return e->model;
	}
	if (p->alias_count > 0)
		return p->aliases[0].alias;
	for (size_t i = 0; i < catalogue_model_count(); i++) {
		const struct catalogue_model *m = catalogue_model(i);

		if (strncmp(p->id, "catalogue:", 10) == 0 && strcmp(p->id + 10, m->provider) == 0)
			return m->model;
	}
	return listed_default(r, p);
}

static int
resolve_provider(const struct resolver *r, const struct provider *p)
{
	const char *model = default_model(r, p);

	if (model == NULL) {
		error_set(r->err, MP_E_NOT_FOUND, "no model of %s is known yet; name one: %s:MODEL",
		    p->name, p->name);
		error_hint(r->err, "mpc list %s", p->name);
		return MP_E_NOT_FOUND;
	}
	resolve_model(p, model, NULL, r->out);
	because(r, "provider %s, its first model", p->name, "");
	return 0;
}

/* ---- a bare word ---- */

/* The targets a word stands for. Only the first ones are kept; the count is of all. */
struct matches {
	struct target list[NEAR_MAX];
	const char *kind[NEAR_MAX]; /* the sentence */
	size_t count;
};

static void
match_add(struct matches *m, const struct provider *p, const char *model, const char *kind)
{
	struct target t;

	target_init(&t);
	resolve_model(p, model, NULL, &t);
	for (size_t i = 0; i < m->count && i < NEAR_MAX; i++) {
		if (target_equal(&m->list[i], &t)) {
			target_clear(&t);
			return;
		}
	}
	if (m->count < NEAR_MAX) {
		m->list[m->count] = t;
		m->kind[m->count] = kind;
	} else {
		target_clear(&t);
	}
	m->count++;
}

static void
matches_clear(struct matches *m)
{
	for (size_t i = 0; i < m->count && i < NEAR_MAX; i++)
		target_clear(&m->list[i]);
}

/* Aliases, and models the user added; of providers that are on, or else of those that are off. */
static void
match_configured(const struct resolver *r, const char *word, bool enabled, struct matches *m)
{
	for (size_t i = 0; i < models_count(r->ms); i++) {
		const struct model_entry *e = models_at(r->ms, i);
		const struct provider *p = providers_find(r->ps, e->provider);

		if (e->listed && p != NULL && p->enabled == enabled && strcmp(e->model, word) == 0
		    && models_find(r->ms, e->provider, e->model) != NULL)
			match_add(m, p, word, "model you added to %s");
	}
	for (size_t i = 0; i < providers_count(r->ps); i++) {
		const struct provider *p = providers_at(r->ps, i);

		if (p->enabled == enabled && provider_alias_model(p, word) != NULL)
			match_add(m, p, word, "alias of %s");
	}
}

static const struct provider *
catalogue_model_provider(const struct resolver *r, const struct catalogue_model *m)
{
	char id[96];

	snprintf(id, sizeof id, "catalogue:%s", m->provider);
	return providers_find_id(r->ps, id);
}

static void
match_catalogue(const struct resolver *r, const char *word, bool enabled, struct matches *m)
{
	for (size_t i = 0; i < catalogue_model_count(); i++) {
		const struct catalogue_model *c = catalogue_model(i);
		const struct provider *p;

		if (strcmp(c->model, word) != 0)
			continue;
		p = catalogue_model_provider(r, c);
		if (p != NULL && p->enabled == enabled)
			match_add(m, p, word, "model of %s in the catalogue");
	}
}

static void
match_discovered(const struct resolver *r, const char *word, bool enabled, struct matches *m)
{
	for (size_t i = 0; i < providers_count(r->ps); i++) {
		const struct provider *p = providers_at(r->ps, i);

		if (p->enabled == enabled &&
		    discovered_find(models_discovered(r->ms), p, word) != NULL)
			match_add(m, p, word, "model that %s listed");
	}
}

static int
ambiguous(const struct resolver *r, const char *word, const struct matches *m)
{
	char ref[330];

	error_set(r->err, MP_E_AMBIGUOUS, "\"%.160s\" could be a model of %zu providers", word, m->count);
	error_hint(r->err, "say which one: PROVIDER:%.160s", word);
	for (size_t i = 0; i < m->count && i < NEAR_MAX; i++)
		error_candidate(r->err, target_ref(&m->list[i], ref, sizeof ref));
	return MP_E_AMBIGUOUS;
}

/* ---- what was meant, perhaps ---- */

struct guess {
	char text[160];
	unsigned distance;
};

struct guesses {
	const char *word;
	unsigned limit;
	struct guess list[NEAR_MAX];
	size_t count;
};

/* Keeps the nearest ones, each word once; what came first wins a tie. */
static void
guess(struct guesses *g, const char *name, const char *provider, const char *model)
{
	struct guess fresh = { .distance = edit_distance(g->word, name, g->limit) };
	size_t n = strlen(name), at;

	if (fresh.distance > g->limit)
		return;
	for (size_t i = 0; i < g->count; i++)
		if (strncmp(g->list[i].text, name, n) == 0
		    && (g->list[i].text[n] == ' ' || g->list[i].text[n] == '\0'))
			return;
	if (provider == NULL)
		snprintf(fresh.text, sizeof fresh.text, "%.150s", name);
	else
		snprintf(fresh.text, sizeof fresh.text, "%.64s (%.40s:%.48s)", name, provider, model);
	for (at = g->count; at > 0 && g->list[at - 1].distance > fresh.distance; at--)
		if (at < NEAR_MAX)
			g->list[at] = g->list[at - 1];
	if (at < NEAR_MAX)
		g->list[at] = fresh;
	if (g->count < NEAR_MAX)
		g->count++;
}

static void
guess_listed(const struct resolver *r, const struct provider *p, struct guesses *g)
{
	const struct discovered_list *l = discovered_list(models_discovered(r->ms), p);

	for (size_t i = 0; l != NULL && i < l->models.count; i++)
		guess(g, l->models.models[i].id, p->name, l->models.models[i].id);
}

static void
guess_all(const struct resolver *r, struct guesses *g)
{
	for (size_t i = 0; i < models_count(r->ms); i++) {
		const struct model_entry *e = models_at(r->ms, i);

		if (e->nick != NULL)
			guess(g, e->nick, e->provider, e->model);
	}
	for (size_t i = 0; i < providers_count(r->ps); i++)
		guess(g, providers_at(r->ps, i)->name, NULL, NULL);
	for (size_t i = 0; i < providers_count(r->ps); i++) {
		const struct provider *p = providers_at(r->ps, i);

		for (size_t k = 0; k < p->alias_count; k++)
			guess(g, p->aliases[k].alias, p->name, p->aliases[k].alias);
	}
	for (size_t i = 0; i < models_count(r->ms); i++) {
		const struct model_entry *e = models_at(r->ms, i);

		if (e->listed)
			guess(g, e->model, e->provider, e->model);
	}
	for (size_t i = 0; i < catalogue_model_count(); i++) {
		const struct catalogue_model *c = catalogue_model(i);
		const struct provider *p = catalogue_model_provider(r, c);

		if (p != NULL)
			guess(g, c->model, p->name, c->model);
	}
	for (size_t i = 0; i < providers_count(r->ps); i++)
		guess_listed(r, providers_at(r->ps, i), g);
}

/* "opnrouter:gpt-4": the part before the separator is nearly a provider. */
static bool
unknown_provider(const struct resolver *r, const char *word)
{
	size_t n = strcspn(word, ":/,");
	char left[65];

	if (word[n] == '\0' || word[n + 1] == '\0' || n >= sizeof left)
		return false;
	memcpy(left, word, n);
	left[n] = '\0';
	for (size_t i = 0; i < providers_count(r->ps); i++) {
		const char *name = providers_at(r->ps, i)->name;
		char text[160];

		if (edit_distance(left, name, 2) > 2)
			continue;
		if (r->err == NULL)
			return true;
		if (r->err->code == 0)
			error_set(r->err, MP_E_NOT_FOUND, "there is no provider \"%s\"", left);
		snprintf(text, sizeof text, "%.64s:%.90s", name, word + n + 1);
		error_candidate(r->err, text);
	}
	return r->err != NULL && r->err->code != 0;
}

static int
unknown(const struct resolver *r, const char *word)
{
	struct guesses g = { .word = word };
	size_t n = strlen(word);

	if (r->err != NULL)
		r->err->code = 0;
	if (unknown_provider(r, word))
		return MP_E_NOT_FOUND;
	g.limit = n <= 2 ? 0 : n <= 5 ? 1 : n <= 10 ? 2 : 3;
	guess_all(r, &g);
	error_set(r->err, MP_E_NOT_FOUND, "unknown model \"%.200s\"", word);
	for (size_t i = 0; i < g.count; i++)
		error_candidate(r->err, g.list[i].text);
	if (g.count == 0)
		error_hint(r->err, "what there is: mpc list --all; any id works with its provider: "
		    "PROVIDER:MODEL");
	return MP_E_NOT_FOUND;
}

static int
resolve_word(const struct resolver *r, const char *word)
{
	const struct model_entry *nick = models_find_nick(r->ms, word);
	const struct provider *p;
	struct matches m = { .count = 0 };
	char ref[330];
	int rc = 0;

	if (nick != NULL && (p = providers_find(r->ps, nick->provider)) != NULL) {
		resolve_model(p, nick->model, NULL, r->out);
		because(r, "nickname of %s", target_ref(r->out, ref, sizeof ref), "");
		return 0;
	}
	if ((p = providers_find(r->ps, word)) != NULL)
		return resolve_provider(r, p);
	for (int off = 0; off < 2 && m.count == 0; off++)
		match_configured(r, word, !off, &m);
	for (int off = 0; off < 2 && m.count == 0; off++)
		match_catalogue(r, word, !off, &m);
	for (int off = 0; off < 2 && m.count == 0; off++)
		match_discovered(r, word, !off, &m);
	if (m.count == 1) {
		target_copy(r->out, &m.list[0]);
		because(r, m.kind[0], m.list[0].provider, "");
	} else {
		rc = m.count == 0 ? unknown(r, word) : ambiguous(r, word, &m);
	}
	matches_clear(&m);
	return rc;
}

/* ---- all of them ---- */

static int
resolve_pair(const struct resolver *r, const char *left, const char *model)
{
	const struct provider *p = providers_find(r->ps, left);
	const char *upstream = provider_alias_model(p, model);

	if (strlen(model) > MODEL_MAX_BYTES)
		return error_field(r->err, "ref", "a model id has at most %d bytes", MODEL_MAX_BYTES);
	resolve_model(p, model, NULL, r->out);
	if (upstream != NULL)
		because(r, "alias of %s for %s", p->name, upstream);
	else
		because(r, "model of %s, as asked", p->name, "");
	return 0;
}

int
resolve_selector(const struct providers *ps, const struct models *ms, const char *text,
    struct target *out, char **why, struct error *err)
{
	struct resolver r = { ps, ms, out, why, err };
	struct selector s;
	char *left, *right;
	int rc;

	if ((rc = selector_parse(text, strlen(text), is_provider, (void *)ps, &s, err)) != 0)
		return rc;
	left = slice_dup(s.left);
	right = slice_dup(s.right);
	switch (s.kind) {
	case SELECTOR_EMPTY:
		rc = error_field(err, "ref", "the target is empty");
		break;
	case SELECTOR_CATEGORY:
		rc = error_set(err, MP_E_NOT_FOUND, "there is no chain @%s", left);
		break;
	case SELECTOR_PAIR:
		rc = resolve_pair(&r, left, right);
		break;
	case SELECTOR_WORD:
		rc = resolve_word(&r, left);
		break;
	}
	free(left);
	free(right);
	return rc;
}

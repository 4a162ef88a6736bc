#include "server/document/provider_node.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/dialect/dialect.h"
#include "server/state/provider_members.h"

#define TEXT_MAX_BYTES 2048
#define LIST_MAX 64
#define WINDOW_MAX_HOURS (INT64_C(24) * 366)

/* One member. `at` is where a plain text or truth lies in the struct; `usual` says that a whole provider
 * needs no word about it. */
struct rule {
	const char *name;
	void (*write)(struct writer *w, const struct rule *r, const struct provider *p);
	bool (*read)(struct provider *p, const struct rule *r, const struct node *n, struct problems *ps);
	bool (*usual)(const struct rule *r, const struct provider *p);
	size_t at;
};

/* ---- texts ---- */

static char **
text_at(struct provider *p, const struct rule *r)
{
	return (char **)(void *)((char *)p + r->at);
}

static const char *
text_of(const struct provider *p, const struct rule *r)
{
	return *(char *const *)(const void *)((const char *)p + r->at);
}

static void
write_text_member(struct writer *w, const struct rule *r, const struct provider *p)
{
	write_text(w, r->name, text_of(p, r));
}

static bool
usual_text(const struct rule *r, const struct provider *p)
{
	return text_of(p, r) == NULL;
}

static bool
read_text_member(struct provider *p, const struct rule *r, const struct node *n, struct problems *ps)
{
	const char *text = NULL;

	if (n->kind != NODE_NULL && (text = node_text(n, r->name, TEXT_MAX_BYTES, ps)) == NULL)
		return false;
	free(*text_at(p, r));
	*text_at(p, r) = text != NULL && *text != '\0' ? xstrdup(text) : NULL;
	return true;
}

static bool
read_url(struct provider *p, const struct rule *r, const struct node *n, struct problems *ps)
{
	size_t len;

	if (!read_text_member(p, r, n, ps))
		return false;
	/* as it is stored: no slash at the end */
	for (len = p->base_url != NULL ? strlen(p->base_url) : 0;
	     len > 0 && p->base_url[len - 1] == '/'; len--)
		p->base_url[len - 1] = '\0';
	return true;
}

/* ---- truths ---- */

static void
write_truth(struct writer *w, const struct rule *r, const struct provider *p)
{
	write_bool(w, r->name, *(const bool *)(const void *)((const char *)p + r->at));
}

static bool
read_truth(struct provider *p, const struct rule *r, const struct node *n, struct problems *ps)
{
	return node_bool(n, r->name, (bool *)(void *)((char *)p + r->at), ps);
}

static bool
usual_enabled(const struct rule *r, const struct provider *p)
{
	(void)r;
	return p->enabled;
}

static bool
usual_detect(const struct rule *r, const struct provider *p)
{
	(void)r;
	return !p->auto_detect;
}

/* ---- words ---- */

static bool
never_usual(const struct rule *r, const struct provider *p)
{
	(void)r;
	(void)p;
	return false;
}

static const char *
word_at(const void *arg, size_t i)
{
	return ((const char *const *)arg)[i];
}

/* Reports what stands where a word of a closed list should. */
static bool
unknown_word(const struct node *n, const char *what, const char *text, const char *const *words,
    size_t count, struct problems *ps)
{
	struct buf all = BUF_INIT;
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < count; i++)
		buf_addf(&all, "%s%s", i == 0 ? "" : i + 1 == count ? " or " : ", ", words[i]);
	error_set(&err, MP_E_INVALID_PARAMS, "%s \"%.60s\" is none of %s", what, text, buf_str(&all));
	error_suggest(&err, text, word_at, words, count);
	node_problem(n, &err, ps);
	buf_clear(&all);
	return false;
}

static void
write_type(struct writer *w, const struct rule *r, const struct provider *p)
{
	write_text(w, r->name, provider_type_name(p->type));
}

static bool
read_type(struct provider *p, const struct rule *r, const struct node *n, struct problems *ps)
{
	static const char *const words[] = { "universal-gateway", "direct-api", "plan-based", "local" };
	const char *text = node_text(n, r->name, TEXT_MAX_BYTES, ps);

	if (text == NULL || provider_type_parse(text, &p->type))
		return text != NULL;
	return unknown_word(n, r->name, text, words, sizeof words / sizeof words[0], ps);
}

static void
write_sharing(struct writer *w, const struct rule *r, const struct provider *p)
{
	write_text(w, r->name, key_sharing_name(p->key_sharing));
}

static bool
usual_sharing(const struct rule *r, const struct provider *p)
{
	(void)r;
	return p->key_sharing == KEY_SHARING_OFF;
}

static bool
read_sharing(struct provider *p, const struct rule *r, const struct node *n, struct problems *ps)
{
	static const char *const words[] = { "off", "weighted", "least-loaded" };
	const char *text = node_text(n, r->name, TEXT_MAX_BYTES, ps);

	if (text == NULL || key_sharing_parse(text, &p->key_sharing))
		return text != NULL;
	return unknown_word(n, r->name, text, words, sizeof words / sizeof words[0], ps);
}

static void
write_auth(struct writer *w, const struct rule *r, const struct provider *p)
{
	write_text(w, r->name, auth_type_name(p->auth));
}

static bool
read_auth(struct provider *p, const struct rule *r, const struct node *n, struct problems *ps)
{
	static const char *const words[] = { "api-key", "oauth-personal", "optional-key", "none" };
	const char *text = node_text(n, r->name, TEXT_MAX_BYTES, ps);

	if (text == NULL || auth_type_parse(text, &p->auth))
		return text != NULL;
	return unknown_word(n, r->name, text, words, sizeof words / sizeof words[0], ps);
}

static bool
read_dialect(struct provider *p, const struct rule *r, const struct node *n, struct problems *ps)
{
	const char *words[LIST_MAX];
	const char *text = node_text(n, r->name, TEXT_MAX_BYTES, ps);
	size_t count = 0;

	if (text == NULL)
		return false;
	if (dialect_name_known(text))
		return read_text_member(p, r, n, ps);
	for (const struct dialect *const *d = dialect_list(); *d != NULL && count < LIST_MAX; d++)
		words[count++] = (*d)->name;
	return unknown_word(n, r->name, text, words, count, ps);
}

/* ---- lists and maps ---- */

static void
write_features(struct writer *w, const struct rule *r, const struct provider *p)
{
	if (p->features[0] == NULL) {
		write_empty_list(w, r->name);
		return;
	}
	write_begin(w, r->name);
	for (char **f = p->features; *f != NULL; f++)
		write_item(w, *f);
	write_end(w);
}

static bool
usual_features(const struct rule *r, const struct provider *p)
{
	(void)r;
	return p->features[0] == NULL;
}

static bool
read_features(struct provider *p, const struct rule *r, const struct node *n, struct problems *ps)
{
	bool good = true;
	size_t count = 0;
	char **list;

	if (!node_is_list(n, r->name, ps))
		return false;
	if (n->count > LIST_MAX) {
		problem_add(ps, n->line, n->column, "%s has more than %d items", r->name, LIST_MAX);
		return false;
	}
	for (char **f = p->features; *f != NULL; f++)
		free(*f);
	free(p->features);
	list = p->features = xcalloc(n->count + 1, sizeof *list);
	for (const struct node *i = n->first; i != NULL; i = i->next) {
		const char *text = node_text(i, r->name, LIST_MAX, ps);

		good = good && text != NULL;
		if (text != NULL)
			list[count++] = xstrdup(text);
	}
	return good;
}

static void
write_models(struct writer *w, const struct rule *r, const struct provider *p)
{
	if (p->alias_count == 0) {
		write_empty_map(w, r->name);
		return;
	}
	write_begin(w, r->name);
	for (size_t i = 0; i < p->alias_count; i++)
		write_text(w, p->aliases[i].alias, p->aliases[i].model);
	write_end(w);
}

static bool
usual_models(const struct rule *r, const struct provider *p)
{
	(void)r;
	return p->alias_count == 0;
}

static bool
read_models(struct provider *p, const struct rule *r, const struct node *n, struct problems *ps)
{
	struct provider *fresh;
	bool good = true;

	if (!node_is_map(n, r->name, ps))
		return false;
	fresh = provider_new();
	for (const struct node *m = n->first; m != NULL; m = m->next) {
		const char *model = node_text(m, m->key, 256, ps);

		if (model != NULL && provider_alias_add(fresh, m->key, model) != 0) {
			problem_add(ps, m->key_line, m->key_column, "an alias and its model are not empty");
			good = false;
		}
		good = good && model != NULL;
	}
	provider_members_copy(p, fresh, "models");
	provider_free(fresh);
	return good;
}

static void
write_limits(struct writer *w, const struct rule *r, const struct provider *p)
{
	if (r->usual(r, p)) {
		write_empty_map(w, r->name);
		return;
	}
	write_begin(w, r->name);
	if (p->rate_limits.weekly > 0)
		write_int(w, "weekly", p->rate_limits.weekly);
	if (p->rate_limits.rolling > 0)
		write_int(w, "rolling", p->rate_limits.rolling);
	if (p->rate_limits.window_hours > 0)
		write_int(w, "window_hours", p->rate_limits.window_hours);
	write_end(w);
}

static bool
usual_limits(const struct rule *r, const struct provider *p)
{
	(void)r;
	return p->rate_limits.weekly == 0 && p->rate_limits.rolling == 0 && p->rate_limits.window_hours == 0;
}

static bool
read_limits(struct provider *p, const struct rule *r, const struct node *n, struct problems *ps)
{
	static const char *const words[] = { "weekly", "rolling", "window_hours" };
	int64_t values[3] = { 0, 0, 0 };
	bool good = node_is_map(n, r->name, ps);

	for (const struct node *m = good ? n->first : NULL; m != NULL; m = m->next) {
		size_t i = 0;

		while (i < 3 && strcmp(m->key, words[i]) != 0)
			i++;
		if (i == 3)
			node_unknown_key(m, r->name, word_at, words, 3, ps);
		good = i < 3 &&
		       node_int(m, m->key, 0, i == 2 ? WINDOW_MAX_HOURS : INT64_C(1) << 53,
			   &values[i], ps) &&
		       good;
	}
	p->rate_limits.weekly = values[0];
	p->rate_limits.rolling = values[1];
	p->rate_limits.window_hours = (int32_t)values[2];
	return good;
}

#define AT(member) offsetof(struct provider, member)
#define TEXT(member) { #member, write_text_member, read_text_member, usual_text, AT(member) }
static const struct rule rules[] = {
	TEXT(display_name),
	{ "type", write_type, read_type, never_usual, 0 },
	{ "dialect", write_text_member, read_dialect, never_usual, AT(dialect) },
	{ "base_url", write_text_member, read_url, usual_text, AT(base_url) },
	{ "auth_type", write_auth, read_auth, never_usual, 0 },
	TEXT(key_env),
	{ "enabled", write_truth, read_truth, usual_enabled, AT(enabled) },
	{ "models", write_models, read_models, usual_models, 0 },
	{ "features", write_features, read_features, usual_features, 0 },
	{ "rate_limits", write_limits, read_limits, usual_limits, 0 },
	TEXT(login_command),
	{ "auto_detect", write_truth, read_truth, usual_detect, AT(auto_detect) },
	TEXT(health_check),
	TEXT(ca_file),
	TEXT(proxy),
	TEXT(program),
	{ "key_sharing", write_sharing, read_sharing, usual_sharing, 0 },
};
#define RULES (sizeof rules / sizeof rules[0])

/* ---- the face ---- */

static bool
is_written(const struct rule *r, const struct provider *p, const char *members)
{
	if (strcmp(members, "*") == 0)
		return !r->usual(r, p);
	return provider_members_has(members, r->name);
}

bool
provider_node_is_bare(const struct provider *p, const char *members)
{
	for (size_t i = 0; i < RULES; i++)
		if (is_written(&rules[i], p, members))
			return false;
	return true;
}

void
provider_node_write(struct writer *w, const struct provider *p, const char *members)
{
	for (size_t i = 0; i < RULES; i++)
		if (is_written(&rules[i], p, members))
			rules[i].write(w, &rules[i], p);
}

static const char *
rule_name(const void *arg, size_t i)
{
	(void)arg;
	return rules[i].name;
}

/* Words that are no member, but that one would try. */
static bool
explain(const struct node *m, struct problems *ps)
{
	if (strcmp(m->key, "key") == 0 || strcmp(m->key, "keys") == 0 || strcmp(m->key, "api_key") == 0)
		problem_add(ps, m->key_line, m->key_column,
		    "keys are not in the document: mpc key set PROVIDER");
	else if (strcmp(m->key, "url") == 0)
		problem_add(ps, m->key_line, m->key_column, "unknown key \"url\"; did you mean base_url?");
	else
		return false;
	return true;
}

bool
provider_node_read(const struct node *map, const char *skip, struct provider *p,
    struct buf *members, struct problems *ps)
{
	size_t before = ps->count + ps->more;

	for (const struct node *m = map->first; m != NULL; m = m->next) {
		size_t i = 0;

		if (word_listed(skip, slice_of(m->key)))
			continue;
		while (i < RULES && strcmp(rules[i].name, m->key) != 0)
			i++;
		if (i == RULES) {
			if (!explain(m, ps))
				node_unknown_key(m, "", rule_name, NULL, RULES, ps);
			continue;
		}
		rules[i].read(p, &rules[i], m, ps);
		buf_addf(members, "%s%s", members->len > 0 ? " " : "", m->key);
	}
	return ps->count + ps->more == before;
}

#include "server/rpc/methods/provider_fields.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/limits.h"
#include "server/dialect/dialect.h"
#include "server/state/catalogue.h"

#define FEATURES_MAX 64
#define ALIASES_MAX 4096
#define TEXT_MAX 2048
enum {
	ALIAS_MAX_BYTES = LIMIT_NAME_BYTES * 4,
	WINDOW_MAX_HOURS = 24 * 366,
};

/* A member's row: how its value is read. `at` is where a plain text or bool lies in the struct. */
struct field {
	const char *name;
	int (*set)(struct provider *p, const struct field *f, const struct value *v, const char *where,
	    struct error *err);
	size_t at;
	bool required; /* may not become empty */
	const char *member; /* what of the provider it changes; NULL = what it is called */
};

static int
wrong_type(const struct value *v, const char *where, const char *wanted, struct error *err)
{
	return error_field(err, where, "%s must be a %s, not %s", where, wanted,
	    value_type_name(value_type(v)));
}

/* A str without NUL of a sane length; NULL when it is none. The caller frees it. */
static char *
read_text(const struct value *v, const char *where, struct error *err)
{
	char *text = NULL;

	if (value_type(v) != VALUE_STR)
		wrong_type(v, where, "str", err);
	else if (value_size(v) > TEXT_MAX)
		error_field(err, where, "%s is longer than %d bytes", where, TEXT_MAX);
	else if ((text = value_strdup(v)) == NULL)
		error_field(err, where, "%s contains a NUL", where);
	return text;
}

static int
set_text(struct provider *p, const struct field *f, const struct value *v, const char *where,
    struct error *err)
{
	char **member = (char **)(void *)((char *)p + f->at);
	char *text = read_text(v, where, err);

	if (text == NULL)
		return MP_E_INVALID_PARAMS;
	if (text[0] == '\0') {
		free(text);
		if (f->required)
			return error_field(err, where, "%s must not be empty", where);
		text = NULL;
	}
	free(*member);
	*member = text;
	return 0;
}

static int
set_name(struct provider *p, const struct field *f, const struct value *v, const char *where,
    struct error *err)
{
	int r = set_text(p, f, v, where, err);

	if (r == 0 && !name_valid(p->name))
		return error_field(err, where,
		    "%s must be 1 to 64 of a-z, 0-9, \".\", \"_\", \"-\", beginning with a letter or digit",
		    where);
	return r;
}

static int
set_url(struct provider *p, const struct field *f, const struct value *v, const char *where,
    struct error *err)
{
	int r = set_text(p, f, v, where, err);
	size_t n;

	if (r != 0 || p->base_url == NULL)
		return r;
	for (n = strlen(p->base_url); n > 0 && p->base_url[n - 1] == '/'; n--)
		p->base_url[n - 1] = '\0';
	return 0;
}

/* A region is a word for a base URL. */
static int
set_region(struct provider *p, const struct field *f, const struct value *v, const char *where,
    struct error *err)
{
	const char *name = catalogue_name(p->id);
	const struct catalogue_region *r = name != NULL ? catalogue_region(name, 0) : NULL;
	char *word = read_text(v, where, err);
	struct buf words = BUF_INIT;
	int rc = MP_E_INVALID_PARAMS;

	(void)f;
	if (word == NULL)
		return rc;
	for (size_t i = 1; r != NULL && strcmp(r->word, word) != 0; r = catalogue_region(name, i++))
		buf_addf(&words, "%s%s", words.len > 0 ? ", " : "", r->word);
	if (r != NULL) {
		free(p->base_url);
		p->base_url = xstrdup(r->url);
		rc = 0;
	} else if (words.len > 0) {
		error_field(err, where, "unknown region \"%.64s\"", word);
		error_hint(err, "regions of %s: %s", p->name, buf_str(&words));
	} else {
		error_field(err, where, "this provider has no regions");
		error_hint(err, "set its base_url");
	}
	buf_clear(&words);
	free(word);
	return rc;
}

static int
set_dialect(struct provider *p, const struct field *f, const struct value *v, const char *where,
    struct error *err)
{
	int r = set_text(p, f, v, where, err);

	if (r != 0 || dialect_name_known(p->dialect))
		return r;
	r = error_field(err, where, "unknown dialect \"%s\"", p->dialect);
	error_hint(err, "dialects: openai-chat, openai-responses, anthropic-messages, gemini, ollama, "
	    "claude-cli, echo");
	return r;
}

static int
set_type(struct provider *p, const struct field *f, const struct value *v, const char *where,
    struct error *err)
{
	char *word = read_text(v, where, err);
	int r = 0;

	(void)f;
	if (word == NULL)
		return MP_E_INVALID_PARAMS;
	if (!provider_type_parse(word, &p->type))
		r = error_field(err, where,
		    "%s must be universal-gateway, direct-api, plan-based or local", where);
	free(word);
	return r;
}

static int
set_auth(struct provider *p, const struct field *f, const struct value *v, const char *where,
    struct error *err)
{
	char *word = read_text(v, where, err);
	int r = 0;

	(void)f;
	if (word == NULL)
		return MP_E_INVALID_PARAMS;
	if (!auth_type_parse(word, &p->auth))
		r = error_field(err, where,
		    "%s must be api-key, oauth-personal, optional-key or none", where);
	free(word);
	return r;
}

static int
set_sharing(struct provider *p, const struct field *f, const struct value *v, const char *where,
    struct error *err)
{
	char *word = read_text(v, where, err);
	int r = 0;

	(void)f;
	if (word == NULL)
		return MP_E_INVALID_PARAMS;
	if (!key_sharing_parse(word, &p->key_sharing))
		r = error_field(err, where, "%s must be off, weighted or least-loaded", where);
	free(word);
	return r;
}

static int
set_bool(struct provider *p, const struct field *f, const struct value *v, const char *where,
    struct error *err)
{
	bool *member = (bool *)(void *)((char *)p + f->at);

	if (value_type(v) != VALUE_BOOL)
		return wrong_type(v, where, "bool", err);
	*member = value_bool(v, false);
	return 0;
}

static int
set_features(struct provider *p, const struct field *f, const struct value *v, const char *where,
    struct error *err)
{
	size_t n = value_size(v);
	char **list;
	int r = 0;

	(void)f;
	if (value_type(v) != VALUE_ARRAY)
		return wrong_type(v, where, "list of str", err);
	if (n > FEATURES_MAX)
		return error_field(err, where, "%s has more than %d items", where, FEATURES_MAX);
	list = xcalloc(n + 1, sizeof *list);
	for (size_t i = 0; i < n && r == 0; i++)
		if ((list[i] = read_text(value_at(v, i), where, err)) == NULL)
			r = MP_E_INVALID_PARAMS;
	if (r == 0) {
		char **old = p->features;

		p->features = list;
		list = old;
	}
	for (size_t i = 0; list != NULL && list[i] != NULL; i++)
		free(list[i]);
	free(list);
	return r;
}

static void
aliases_clear(struct provider *p)
{
	for (size_t i = 0; i < p->alias_count; i++) {
		free(p->aliases[i].alias);
		free(p->aliases[i].model);
	}
	free(p->aliases);
	p->aliases = NULL;
	p->alias_count = 0;
}

static int
add_alias(struct provider *p, struct slice key, const struct value *v, const char *where,
    struct error *err)
{
	char *alias = slice_dup(key), *model = NULL;
	int r;

	if (strlen(alias) != key.len || key.len == 0 || key.len > ALIAS_MAX_BYTES)
		r = error_field(err, where, "%s: an alias is 1 to %d bytes of text", where,
		    ALIAS_MAX_BYTES);
	else if ((model = read_text(v, where, err)) == NULL)
		r = MP_E_INVALID_PARAMS;
	else if (model[0] == '\0' || strlen(model) > 256)
		r = error_field(err, where, "%s: a model id is 1 to 256 bytes", where);
	else
		r = provider_alias_add(p, alias, model);
	free(alias);
	free(model);
	return r;
}

static int
set_models(struct provider *p, const struct field *f, const struct value *v, const char *where,
    struct error *err)
{
	const struct value *model;
	struct slice key;
	int r = 0;

	(void)f;
	if (value_type(v) != VALUE_MAP)
		return wrong_type(v, where, "map of alias to model", err);
	if (value_size(v) > ALIASES_MAX)
		return error_field(err, where, "%s has more than %d aliases", where, ALIASES_MAX);
	aliases_clear(p);
	for (size_t i = 0; i < value_size(v) && r == 0; i++) {
		key = value_pair(v, i, &model);
		r = add_alias(p, key, model, where, err);
	}
	return r;
}

static int
set_rate_limits(struct provider *p, const struct field *f, const struct value *v,
    const char *where, struct error *err)
{
	const struct value *number;

	(void)f;
	if (value_type(v) != VALUE_MAP)
		return wrong_type(v, where, "map", err);
	memset(&p->rate_limits, 0, sizeof p->rate_limits);
	for (size_t i = 0; i < value_size(v); i++) {
		struct slice key = value_pair(v, i, &number);
		int64_t n = value_int(number, -1);

		if (value_type(number) != VALUE_INT || n < 0)
			return error_field(err, where, "%s: numbers must be ints >= 0", where);
		if (slice_eq(key, "weekly"))
			p->rate_limits.weekly = n;
		else if (slice_eq(key, "rolling"))
			p->rate_limits.rolling = n;
		else if (slice_eq(key, "window_hours") && n <= WINDOW_MAX_HOURS)
			p->rate_limits.window_hours = (int32_t)n;
		else
			return error_field(err, where,
			    "%s takes weekly, rolling and window_hours", where);
	}
	return 0;
}

#define AT(member) offsetof(struct provider, member)
static const struct field fields_table[] = {
	{ "name", set_name, AT(name), true, NULL },
	{ "display_name", set_text, AT(display_name), false, NULL },
	{ "type", set_type, 0, true, NULL },
	{ "auth_type", set_auth, 0, true, NULL },
	{ "dialect", set_dialect, AT(dialect), true, NULL },
	{ "base_url", set_url, AT(base_url), false, NULL },
	{ "key_env", set_text, AT(key_env), false, NULL },
	{ "enabled", set_bool, AT(enabled), true, NULL },
	{ "features", set_features, 0, false, NULL },
	{ "rate_limits", set_rate_limits, 0, false, NULL },
	{ "login_command", set_text, AT(login_command), false, NULL },
	{ "auto_detect", set_bool, AT(auto_detect), true, NULL },
	{ "health_check", set_text, AT(health_check), false, NULL },
	{ "ca_file", set_text, AT(ca_file), false, NULL },
	{ "proxy", set_text, AT(proxy), false, NULL },
	{ "program", set_text, AT(program), false, NULL },
	{ "key_sharing", set_sharing, 0, true, NULL },
	{ "models", set_models, 0, false, NULL },
	{ "region", set_region, 0, true, "base_url" },
};

static const struct field *
field_find(struct slice name)
{
	for (size_t i = 0; i < sizeof fields_table / sizeof fields_table[0]; i++)
		if (slice_eq(name, fields_table[i].name))
			return &fields_table[i];
	return NULL;
}

int
provider_fields_set(struct provider *p, const struct value *map, const char *prefix,
    const char *skip, struct buf *fields, struct error *err)
{
	const struct value *v;
	char where[96];
	int r;

	for (size_t i = 0; i < value_size(map); i++) {
		struct slice name = value_pair(map, i, &v);
		const struct field *f = field_find(name);

		if (word_listed(skip, name))
			continue;
		snprintf(where, sizeof where, "%s%.*s", prefix,
		    (int)(name.len < 64 ? name.len : 64), name.data != NULL ? name.data : "");
		if (f == NULL)
			return error_field(err, where, "a provider has no settable member \"%.*s\"",
			    (int)(name.len < 64 ? name.len : 64), name.data != NULL ? name.data : "");
		if ((r = f->set(p, f, v, where, err)) != 0)
			return r;
		if (fields->len > 0)
			buf_addc(fields, ' ');
		buf_adds(fields, f->member != NULL ? f->member : f->name);
	}
	return fields->failed ? MP_E_INTERNAL : 0;
}

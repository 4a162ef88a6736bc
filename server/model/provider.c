#include "server/model/provider.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/base/err.h"
#include "protocol/base/str.h"
#include "server/model/uuid.h"

static const char *const type_names[] = {
	[PROVIDER_UNIVERSAL_GATEWAY] = "universal-gateway",
	[PROVIDER_DIRECT_API] = "direct-api",
	[PROVIDER_PLAN_BASED] = "plan-based",
	[PROVIDER_LOCAL] = "local",
};
static const char *const auth_names[] = {
	[AUTH_API_KEY] = "api-key",
	[AUTH_OAUTH_PERSONAL] = "oauth-personal",
	[AUTH_OPTIONAL_KEY] = "optional-key",
	[AUTH_NONE] = "none",
};
static const char *const sharing_names[] = {
	[KEY_SHARING_OFF] = "off",
	[KEY_SHARING_WEIGHTED] = "weighted",
	[KEY_SHARING_LEAST_LOADED] = "least-loaded",
};
static const char *const origin_names[] = {
	[ORIGIN_CATALOGUE] = "catalogue",
	[ORIGIN_BUNDLE] = "bundle",
	[ORIGIN_USER] = "user",
};
#define COUNT(table) (sizeof(table) / sizeof(table)[0])

struct provider *
provider_new(void)
{
	struct provider *p = xcalloc(1, sizeof *p);

	p->id = xcalloc(1, UUID_SIZE);
	uuid_new(p->id);
	p->enabled = true;
	p->features = xcalloc(1, sizeof *p->features);
	return p;
}

static char **
strings_copy(char *const *from)
{
	size_t n = 0;
	char **copy;

	while (from[n] != NULL)
		n++;
	copy = xcalloc(n + 1, sizeof *copy);
	for (size_t i = 0; i < n; i++)
		copy[i] = xstrdup(from[i]);
	return copy;
}

static void
strings_free(char **list)
{
	if (list == NULL)
		return;
	for (size_t i = 0; list[i] != NULL; i++)
		free(list[i]);
	free(list);
}

struct provider *
provider_copy(const struct provider *p)
{
	struct provider *copy = xcalloc(1, sizeof *copy);

	*copy = *p;
	copy->id = xstrdup(p->id);
	copy->name = xstrdup(p->name);
	copy->display_name = xstrdup(p->display_name);
	copy->dialect = xstrdup(p->dialect);
	copy->base_url = xstrdup(p->base_url);
	copy->key_env = xstrdup(p->key_env);
	copy->features = strings_copy(p->features);
	copy->login_command = xstrdup(p->login_command);
	copy->health_check = xstrdup(p->health_check);
	copy->ca_file = xstrdup(p->ca_file);
	copy->proxy = xstrdup(p->proxy);
	copy->program = xstrdup(p->program);
	copy->aliases = NULL;
	copy->alias_count = 0;
	for (size_t i = 0; i < p->alias_count; i++)
		provider_alias_add(copy, p->aliases[i].alias, p->aliases[i].model);
	return copy;
}

void
provider_free(struct provider *p)
{
	if (p == NULL)
		return;
	free(p->id);
	free(p->name);
	free(p->display_name);
	free(p->dialect);
	free(p->base_url);
	free(p->key_env);
	strings_free(p->features);
	free(p->login_command);
	free(p->health_check);
	free(p->ca_file);
	free(p->proxy);
	free(p->program);
	for (size_t i = 0; i < p->alias_count; i++) {
		free(p->aliases[i].alias);
		free(p->aliases[i].model);
	}
	free(p->aliases);
	free(p);
}

const char *
provider_alias_model(const struct provider *p, const char *alias)
{
	for (size_t i = 0; i < p->alias_count; i++)
		if (strcmp(p->aliases[i].alias, alias) == 0)
			return p->aliases[i].model;
	return NULL;
}

int
provider_alias_add(struct provider *p, const char *alias, const char *model)
{
	if (*alias == '\0' || *model == '\0')
		return MP_E_INVALID_PARAMS;
	if (provider_alias_model(p, alias) != NULL)
		return MP_E_CONFLICT;
	p->aliases = xrealloc(p->aliases, (p->alias_count + 1) * sizeof *p->aliases);
	p->aliases[p->alias_count].alias = xstrdup(alias);
	p->aliases[p->alias_count].model = xstrdup(model);
	p->alias_count++;
	return 0;
}

bool
provider_has_feature(const struct provider *p, const char *feature)
{
	for (size_t i = 0; p->features[i] != NULL; i++)
		if (strcmp(p->features[i], feature) == 0)
			return true;
	return false;
}

static bool
word_find(const char *const *table, size_t count, const char *word, size_t *out)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(table[i], word) == 0) {
			*out = i;
			return true;
		}
	}
	return false;
}

const char *
provider_type_name(enum provider_type t)
{
	return type_names[t];
}

bool
provider_type_parse(const char *s, enum provider_type *out)
{
	size_t i;

	if (!word_find(type_names, COUNT(type_names), s, &i))
		return false;
	*out = (enum provider_type)i;
	return true;
}

const char *
auth_type_name(enum auth_type t)
{
	return auth_names[t];
}

bool
auth_type_parse(const char *s, enum auth_type *out)
{
	size_t i;

	if (!word_find(auth_names, COUNT(auth_names), s, &i))
		return false;
	*out = (enum auth_type)i;
	return true;
}

const char *
key_sharing_name(enum key_sharing k)
{
	return sharing_names[k];
}

bool
key_sharing_parse(const char *s, enum key_sharing *out)
{
	size_t i;

	if (!word_find(sharing_names, COUNT(sharing_names), s, &i))
		return false;
	*out = (enum key_sharing)i;
	return true;
}

const char *
provider_origin_name(enum provider_origin o)
{
	return origin_names[o];
}

bool
provider_origin_differs(const struct provider *a, const struct provider *b)
{
	char *x = NULL, *y = NULL;
	bool differ;

	if (a->base_url != NULL && url_origin(a->base_url, &x, NULL) != 0)
		x = NULL;
	if (b->base_url != NULL && url_origin(b->base_url, &y, NULL) != 0)
		y = NULL;
	differ = (x == NULL) != (y == NULL) || (x != NULL && strcmp(x, y) != 0);
	free(x);
	free(y);
	return differ;
}

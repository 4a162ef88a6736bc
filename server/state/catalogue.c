#include "server/state/catalogue.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/base/buf.h"
#include "protocol/base/str.h"

struct provider_def {
	const char *name, *display, *dialect, *url, *env, *features, *login, *health, *also;
	int64_t weekly, rolling;
	enum provider_type type;
	enum auth_type auth;
	int32_t hours;
	bool detect;
};

static const struct provider_def providers[] = {
#define PROVIDER(name, display, type, auth, dialect, url, env, features, weekly, rolling, hours, login, \
    detect, health, also)                                                                           \
	{ name, display, dialect, url, env, features, login, health, also, weekly, rolling,            \
	    PROVIDER_##type, AUTH_##auth, hours, detect },
#include "server/state/catalogue.def"
};

static const struct {
	const char *provider, *alias, *model;
} aliases[] = {
#define ALIAS(provider, alias, model) { provider, alias, model },
#include "server/state/catalogue.def"
};

static const struct catalogue_model models[] = {
#define MODEL(provider, model, context, output) { provider, model, context, output },
#include "server/state/catalogue.def"
};

static const struct catalogue_region regions[] = {
#define REGION(provider, word, url) { provider, word, url },
#include "server/state/catalogue.def"
};

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

size_t
catalogue_provider_count(void)
{
	return COUNT(providers);
}

static char *
text_or_null(const char *s)
{
	return *s != '\0' ? xstrdup(s) : NULL;
}

static char **
words(const char *s)
{
	size_t n = 0;
	char **list = xcalloc(1, sizeof *list);

	while (*(s += strspn(s, " ")) != '\0') {
		size_t len = strcspn(s, " ");

		list = xrealloc(list, (n + 2) * sizeof *list);
		list[n++] = slice_dup((struct slice){ s, len });
		list[n] = NULL;
		s += len;
	}
	return list;
}

struct provider *
catalogue_provider(size_t i)
{
	const struct provider_def *def = &providers[i];
	struct provider *p = provider_new();
	struct buf id = BUF_INIT;

	buf_addf(&id, "catalogue:%s", def->name);
	free(p->id);
	p->id = buf_steal(&id, NULL);
	p->name = xstrdup(def->name);
	p->display_name = text_or_null(def->display);
	p->type = def->type;
	/* a plan has terms that the user accepts himself */
	p->enabled = def->type != PROVIDER_PLAN_BASED;
	p->auth = def->auth;
	p->dialect = xstrdup(def->dialect);
	p->base_url = text_or_null(def->url);
	p->key_env = text_or_null(def->env);
	p->origin = ORIGIN_CATALOGUE;
	free(p->features);
	p->features = words(def->features);
	p->rate_limits.weekly = def->weekly;
	p->rate_limits.rolling = def->rolling;
	p->rate_limits.window_hours = def->hours;
	p->login_command = text_or_null(def->login);
	p->auto_detect = def->detect;
	p->health_check = text_or_null(def->health);
	for (size_t k = 0; k < COUNT(aliases); k++)
		if (strcmp(aliases[k].provider, def->name) == 0)
			provider_alias_add(p, aliases[k].alias, aliases[k].model);
	return p;
}

const char *
catalogue_name_at(size_t i)
{
	return providers[i].name;
}

const char *
catalogue_also_known_as(size_t i)
{
	return providers[i].also;
}

size_t
catalogue_model_count(void)
{
	return COUNT(models);
}

const struct catalogue_model *
catalogue_model(size_t i)
{
	return &models[i];
}

const struct catalogue_region *
catalogue_region(const char *provider, size_t i)
{
	for (size_t k = 0; k < COUNT(regions); k++)
		if (strcmp(regions[k].provider, provider) == 0 && i-- == 0)
			return &regions[k];
	return NULL;
}

const char *
catalogue_name(const char *id)
{
	static const char prefix[] = "catalogue:";

	return strncmp(id, prefix, sizeof prefix - 1) == 0 ? id + sizeof prefix - 1 : NULL;
}

#include "server/rpc/changed.h"

#include <stdlib.h>
#include <string.h>

#include "server/rpc/usage_object.h"

/* "provider/label" or "provider:model": where the second part begins, the first copied to name. */
static const char *
split_key(const char *key, char separator, char name[65])
{
	const char *at = strchr(key, separator);

	if (at == NULL || (size_t)(at - key) >= 65)
		return NULL;
	memcpy(name, key, (size_t)(at - key));
	name[at - key] = '\0';
	return at + 1;
}

static void
pack_changed_model(struct pack *p, const struct rpc_parts *parts, const struct change *ch)
{
	char name[65];
	const char *model = split_key(ch->key, ':', name);
	const struct model_entry *entry;
	const struct provider *pr;

	if (model == NULL || (pr = providers_find(parts->providers, name)) == NULL)
		return;
	entry = models_find(parts->models, pr->name, model);
	/* one that nobody added has another price */
	if (entry == NULL && ch->op != CHANGE_UPDATE)
		return;
	pack_model(p, parts, pr, model, entry);
}

static void
pack_changed_key(struct pack *p, const struct rpc_parts *parts, const char *key)
{
	char name[65];
	const char *label = split_key(key, '/', name);
	const struct credential *c;

	if (label == NULL || (c = credentials_find(parts->credentials, name, label)) == NULL)
		return;
	pack_key(p, parts, c);
}

/* Also one that has ended: what it was, and why it is no more. */
static void
pack_changed_session(struct pack *p, const struct rpc_parts *parts, const char *key)
{
	int64_t id = strtoll(key, NULL, 10);
	const struct session *s = sessions_find(parts->sessions, id);

	if (s == NULL)
		s = sessions_ended(parts->sessions, id);
	if (s != NULL)
		pack_session(p, parts, s);
}

static void
pack_changed_setting(struct pack *p, const struct rpc_parts *parts, const char *key)
{
	enum setting which;

	if (setting_find(key, &which))
		pack_setting(p, parts, which);
}

static void
pack_changed_provider(struct pack *p, const struct rpc_parts *parts, const char *key)
{
	const struct provider *pr = providers_find(parts->providers, key);
	char active[65];

	if (pr == NULL)
		return;
	active_provider(parts, active, sizeof active);
	pack_provider(p, parts, pr, active);
}

static void
pack_changed_override(struct pack *p, const struct rpc_parts *parts, const char *key)
{
	const struct override *o = overrides_find(parts->overrides, key, true);

	if (o == NULL)
		o = overrides_find(parts->overrides, key, false);
	if (o != NULL)
		pack_override(p, parts, o);
}

static void
pack_changed_chain(struct pack *p, const struct rpc_parts *parts, const char *key)
{
	const struct chain *c = chains_find(parts->chains, key);

	if (c != NULL)
		pack_chain(p, parts, c);
}

void
changed_pack(struct pack *p, const struct rpc_parts *parts, const struct change *ch)
{
	switch (ch->topic) {
	case TOPIC_SESSIONS:
		pack_changed_session(p, parts, ch->key);
		break;
	case TOPIC_PROVIDERS:
		pack_changed_provider(p, parts, ch->key);
		break;
	case TOPIC_MODELS:
		pack_changed_model(p, parts, ch);
		break;
	case TOPIC_CHAINS:
		pack_changed_chain(p, parts, ch->key);
		break;
	case TOPIC_KEYS:
		pack_changed_key(p, parts, ch->key);
		break;
	case TOPIC_OVERRIDES:
		pack_changed_override(p, parts, ch->key);
		break;
	case TOPIC_SETTINGS:
		pack_changed_setting(p, parts, ch->key);
		break;
	case TOPIC_BUDGET:
		pack_budgets(p, parts); /* all of them: a purse may hold another */
		break;
	case TOPIC_USAGE:
		pack_usage_today(p, parts);
		break;
	case TOPIC_TEAM:
		pack_changed_bundle(p, parts, ch->key);
		break;
	case TOPIC_ROUTE:
	case TOPIC_DAEMON:
	case TOPIC_COUNT:
		break;
	}
}

#include "server/state/provider_users.h"

#include <string.h>

static void
found_key(void *arg, const struct credential *c)
{
	unsigned *users = arg;

	(void)c;
	*users |= PROVIDER_HAS_KEY;
}

unsigned
provider_users(const struct provider_house *h, const struct provider *p)
{
	unsigned users = overrides_uses_provider(h->overrides, p) ? PROVIDER_HAS_OVERRIDE : 0;

	if (sessions_uses_provider(h->sessions, p))
		users |= PROVIDER_HAS_SESSION;
	if (chains_uses_provider(h->chains, p))
		users |= PROVIDER_HAS_CHAIN;
	for (size_t i = 0; i < models_count(h->models); i++)
		if (strcmp(models_at(h->models, i)->provider, p->name) == 0)
			users |= (users & PROVIDER_HAS_MODEL) != 0 ? PROVIDER_HAS_MODELS : PROVIDER_HAS_MODEL;
	for (size_t i = 0; i < own_prices_count(h->own_prices); i++)
		if (strcmp(own_prices_at(h->own_prices, i)->provider, p->id) == 0)
			users |= PROVIDER_HAS_PRICE;
	credentials_each(h->credentials, p->name, found_key, &users);
	return users;
}

void
provider_users_text(unsigned users, struct buf *out)
{
	const char *const words[] = {
		(users & PROVIDER_HAS_OVERRIDE) != 0 ? "a live choice" : NULL,
		(users & PROVIDER_HAS_CHAIN) != 0 ? "a place in a chain" : NULL,
		(users & PROVIDER_HAS_SESSION) != 0 ? "a test session" : NULL,
		(users & PROVIDER_HAS_MODELS) != 0      ? "models"
		    : (users & PROVIDER_HAS_MODEL) != 0 ? "a model"
							: NULL,
		(users & PROVIDER_HAS_PRICE) != 0 ? "prices" : NULL,
		(users & PROVIDER_HAS_KEY) != 0 ? "a stored key" : NULL,
	};
	bool any = false;

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		if (words[i] == NULL)
			continue;
		buf_addf(out, "%s%s", any ? ", " : "", words[i]);
		any = true;
	}
}

/* A chain that has no targets any more goes, and nobody's choice may be one that is gone. */
static int
chain_emptied(void *arg, const char *name, struct error *err)
{
	const struct provider_house *h = arg;

	return overrides_remove_chain(h->overrides, name, err);
}

int
provider_users_remove(const struct provider_house *h, const struct provider *p, struct error *err)
{
	int r;

	if ((r = overrides_remove_provider(h->overrides, p, err)) != 0 ||
	    (r = chains_remove_provider(h->chains, p, chain_emptied, (void *)h, err)) != 0 ||
	    (r = sessions_remove_provider(h->sessions, p, err)) != 0 ||
	    (r = models_remove_all(h->models, p, err)) != 0 ||
	    (r = own_prices_remove_all(h->own_prices, p, err)) != 0)
		return r;
	return credentials_delete_all(h->credentials, p, err);
}

void
provider_users_scrub(const struct provider_house *h)
{
	sessions_scrub(h->sessions);
	credentials_scrub(h->credentials);
}

/* route_ready.c - whether a target can be asked now, and with which of its provider's keys. */
#include <string.h>

#include "protocol/base/str.h"
#include "server/base/clock.h"
#include "server/call/cooldowns.h"
#include "server/call/mint.h"
#include "server/call/route_inside.h"
#include "server/dialect/dialect.h"
#include "server/state/catalogue.h"

const struct limits *
routes_limits(const struct routes *r, const struct target *t)
{
	if (t->label != NULL && credentials_label_reserved(t->label))
		return NULL;
	return credentials_limits(r->cs, t->provider, t->label);
}

int64_t
routes_context_tokens(const struct routes *r, const struct target *t)
{
	const struct provider *p = providers_find(r->ps, t->provider);
	const struct roster_model *m =
	    p != NULL ? discovered_find(models_discovered(r->ms), p, t->upstream) : NULL;

	if (m != NULL && m->context_tokens > 0)
		return m->context_tokens;
	for (size_t i = 0; p != NULL && i < catalogue_model_count(); i++) {
		const struct catalogue_model *known = catalogue_model(i);

		if (strcmp(known->provider, p->name) == 0 && strcmp(known->model, t->upstream) == 0)
			return known->context_tokens;
	}
	return 0;
}

static int
key_ready(struct routes *r, const struct provider *p, const char *label, struct error *err)
{
	const struct secret *key;

	switch (p->auth) {
	case AUTH_API_KEY:
		return credentials_open(r->cs, p, label, &key, err);
	case AUTH_OPTIONAL_KEY:
		/* a key that is there must be usable; the label "default" may be missing */
		if (strcmp(label, "default") == 0 && credentials_find(r->cs, p->name, label) == NULL)
			return 0;
		return credentials_open(r->cs, p, label, &key, err);
	case AUTH_OAUTH_PERSONAL:
	case AUTH_NONE:
		return 0;
	}
	return 0;
}

int
routes_key_ready(struct routes *r, const struct target *t, struct error *err)
{
	const struct provider *p = t->provider != NULL ? providers_find(r->ps, t->provider) : NULL;

	if (p == NULL)
		return error_set(err, MP_E_NOT_FOUND, "there is no provider \"%s\"",
		    t->provider != NULL ? t->provider : "");
	if (!p->enabled) {
		error_set(err, MP_E_INVALID_STATE, "provider %s is disabled", p->name);
		error_hint(err, "mpc provider enable %s", p->name);
		return MP_E_INVALID_STATE;
	}
	if (dialect_find(p->dialect) == NULL) {
		error_set(err, MP_E_INVALID_STATE, "this version does not speak %s yet", p->dialect);
		error_hint(err, "choose another provider: mpc providers");
		return MP_E_INVALID_STATE;
	}
	return key_ready(r, p, t->label != NULL ? t->label : "default", err);
}

/* ---- keys that share the calls of their provider ---- */

/* A management key makes keys and answers no calls. */
static void
collect(void *arg, const struct credential *c)
{
	struct route_keys *keys = arg;

	if (keys->count < CREDENTIALS_PER_PROVIDER && strcmp(c->label, MINT_LABEL) != 0)
		keys->of[keys->count++] = c;
}

bool
routes_keys(const struct routes *r, const struct target *t, struct route_keys *out)
{
	const struct provider *p = t->provider != NULL ? providers_find(r->ps, t->provider) : NULL;

	out->count = 0;
	if (p == NULL || p->key_sharing == KEY_SHARING_OFF ||
	    (t->label != NULL && strcmp(t->label, "default") != 0))
		return false;
	out->how = p->key_sharing;
	out->provider_id = p->id;
	credentials_each(r->cs, p->name, collect, out);
	return out->count > 0;
}

bool
routes_key_fits(struct routes *r, const struct target *t, const char *label, int64_t *until_ms)
{
	const struct limits *limits;
	const struct limit *wall;
	struct error err = ERROR_INIT;
	struct cooldown cooling;
	struct target with;
	bool fits;

	*until_ms = 0;
	target_init(&with);
	target_set(&with, t->provider, t->model, t->upstream, label);
	fits = routes_key_ready(r, &with, &err) == 0;
	if (fits && r->cooldowns != NULL && cooldowns_find_key(r->cooldowns, &with, &cooling)) {
		*until_ms = cooling.until_ms > 0 ? cooling.until_ms : clock_wall_ms() + 1;
		fits = false;
	}
	limits = routes_limits(r, &with);
	wall = limits != NULL ? limits_wall(limits, clock_wall_ms()) : NULL;
	if (wall != NULL && err.code == 0) {
		int64_t resets_ms = limit_resets_ms(limits, wall);

		*until_ms = resets_ms > *until_ms ? resets_ms : *until_ms;
		fits = false;
	}
	target_clear(&with);
	return fits;
}

bool
routes_any_key_fits(struct routes *r, const struct target *t, int64_t *soonest_ms)
{
	const struct target usual = { .provider = t->provider, .model = t->model, .upstream = t->upstream };
	struct route_keys keys;
	bool any = false;

	*soonest_ms = 0;
	if (!routes_keys(r, &usual, &keys))
		return false;
	for (size_t i = 0; i < keys.count && !any; i++) {
		int64_t until_ms;

		any = routes_key_fits(r, t, keys.of[i]->label, &until_ms);
		if (until_ms > 0 && (*soonest_ms == 0 || until_ms < *soonest_ms))
			*soonest_ms = until_ms;
	}
	return any;
}

int
routes_ready(struct routes *r, const struct target *t, struct error *err)
{
	struct error first = ERROR_INIT;
	struct route_keys keys;
	struct target with;
	int rc = 0;

	if (!routes_keys(r, t, &keys))
		return routes_key_ready(r, t, err);
	target_init(&with);
	for (size_t i = 0; i < keys.count && (i == 0 || rc != 0); i++) {
		struct error one = ERROR_INIT;

		target_set(&with, t->provider, t->model, t->upstream, keys.of[i]->label);
		rc = routes_key_ready(r, &with, &one);
		if (i == 0)
			first = one;
	}
	target_clear(&with);
	if (rc == 0)
		return 0;
	*err = first;
	return first.code;
}

/* call_keys.c - which key a call is made with, where the keys of a provider share its calls. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/call/call_inside.h"
#include "server/call/key_choice.h"
#include "server/model/uuid.h"
#include "server/store/rows.h"

#define META_KEY "key_shares"
#define SEED_DIGITS ((size_t)SHORT_HASH_KEY_BYTES * 2)

/* ---- the seed ---- */

static bool
read_seed(const char *hex, unsigned char seed[SHORT_HASH_KEY_BYTES])
{
	if (strlen(hex) != SEED_DIGITS || strspn(hex, "0123456789abcdef") != strlen(hex))
		return false;
	for (size_t i = 0; i < SHORT_HASH_KEY_BYTES; i++) {
		const char byte[3] = { hex[2 * i], hex[2 * i + 1], '\0' };

		seed[i] = (unsigned char)strtoul(byte, NULL, 16);
	}
	return true;
}

static void
store_seed(struct store *store, const unsigned char seed[SHORT_HASH_KEY_BYTES])
{
	char hex[SEED_DIGITS + 1];
	int r;

	for (size_t i = 0; i < SHORT_HASH_KEY_BYTES; i++)
		snprintf(hex + 2 * i, 3, "%02x", seed[i]);
	if ((r = store_begin(store)) == 0) {
		if ((r = store_meta_set(store, META_KEY, hex)) == 0)
			r = store_commit(store);
		else
			store_rollback(store);
	}
	if (r != 0)
		log_warn("conversations may be with other keys after a restart: nothing can be stored",
		    LOG_TEXT("file", store_path(store)));
}

void
calls_keep_shares(struct calls *cs, struct store *store)
{
	unsigned char seed[SHORT_HASH_KEY_BYTES];
	char *hex = NULL;
	bool known = store_meta_get(store, META_KEY, &hex) == 0 && hex != NULL && read_seed(hex, seed);

	if (!known) {
		random_bytes(seed, sizeof seed);
		store_seed(store, seed);
	}
	free(hex);
	key_choice_free(cs->keys);
	cs->keys = key_choice_new(seed);
}

/* ---- who can serve ---- */

static bool
shares(const struct call *c, size_t step, struct route_keys *keys)
{
	return !c->route.auxiliary && c->calls->parts.routes != NULL &&
	    routes_keys(c->calls->parts.routes, &c->route.steps[step].target, keys);
}

static bool
is_able(const struct call *c, size_t step, const struct credential *key, bool another, int64_t *until_ms)
{
	return routes_key_fits(c->calls->parts.routes, &c->route.steps[step].target, key->label, until_ms) &&
	    !(another && tour_tried_key(&c->tour, step, key->label));
}

bool
call_may_change_key(void *arg, size_t step)
{
	const struct call *c = arg;
	struct route_keys keys;
	int64_t until_ms;

	if (!shares(c, step, &keys))
		return false;
	for (size_t i = 0; i < keys.count; i++)
		if (is_able(c, step, keys.of[i], true, &until_ms))
			return true;
	return false;
}

static unsigned
in_flight(const struct call *c, const char *provider, const char *label)
{
	unsigned n = 0;

	for (const struct call *o = c->calls->first; o != NULL; o = o->next)
		n += o != c && !o->ended && o->attempt != NULL &&
		    strcmp(o->route.target.provider, provider) == 0 &&
		    strcmp(o->route.target.label, label) == 0;
	return n;
}

/* ---- which one ---- */

static uint64_t
conversation_of(struct call *c)
{
	if (!c->conversation_known)
		c->conversation = key_choice_conversation(c->calls->keys, c->chat);
	c->conversation_known = true;
	return c->conversation;
}

/* When none can serve, the one that can soonest is asked, and says itself why it cannot. */
static const char *
choose(struct call *c, size_t step, const struct route_keys *keys, bool another)
{
	struct key_candidate all[CREDENTIALS_PER_PROVIDER];
	size_t at, soonest = 0;
	int64_t first_ms = 0;

	for (size_t i = 0; i < keys->count; i++) {
		const struct credential *k = keys->of[i];
		int64_t until_ms;

		all[i] = (struct key_candidate){ k->label, k->weight, 0,
			is_able(c, step, k, another, &until_ms) };
		if (keys->how == KEY_SHARING_LEAST_LOADED)
			all[i].in_flight = in_flight(c, k->provider, k->label);
		if (until_ms > 0 && (first_ms == 0 || until_ms < first_ms)) {
			first_ms = until_ms;
			soonest = i;
		}
	}
	at = key_choice_take(c->calls->keys, keys->how, keys->provider_id, conversation_of(c), all,
	    keys->count);
	return keys->of[at < keys->count ? at : soonest]->label;
}

void
call_aim(struct call *c, bool another)
{
	const struct target *t = &c->route.steps[c->tour.at].target;
	struct route_keys keys;

	target_copy(&c->route.target, t);
	c->route.at = c->tour.at;
	c->tour.key[0] = '\0';
	if (!shares(c, c->tour.at, &keys))
		return;
	snprintf(c->tour.key, sizeof c->tour.key, "%s", choose(c, c->tour.at, &keys, another));
	target_set(&c->route.target, t->provider, t->model, t->upstream, c->tour.key);
}

void
call_tell_keys(const struct call *c, const struct failure *f, struct error *err)
{
	struct route_keys keys;
	size_t n = strlen(err->message);
	int64_t soonest_ms, left;

	if (f == NULL || !failure_is_keys(f) || !shares(c, c->tour.at, &keys) || keys.count < 2 ||
	    routes_any_key_fits(c->calls->parts.routes, &c->route.target, &soonest_ms))
		return;
	snprintf(err->message + n, sizeof err->message - n, "; none of the %zu keys of %s can serve now",
	    keys.count, c->route.target.provider);
	left = soonest_ms - clock_wall_ms();
	if (soonest_ms > 0 && left > 0)
		err->retry_after_ms = left;
}

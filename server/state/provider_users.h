/* provider_users.h - what else of the state hangs on a provider, and would go with it. */
#ifndef SERVER_STATE_PROVIDER_USERS_H
#define SERVER_STATE_PROVIDER_USERS_H

#include "protocol/base/buf.h"
#include "server/state/chains.h"
#include "server/state/credentials.h"
#include "server/state/models.h"
#include "server/state/overrides.h"
#include "server/state/own_prices.h"
#include "server/state/sessions.h"

enum provider_user {
	PROVIDER_HAS_OVERRIDE = 1,
	PROVIDER_HAS_MODEL = 2,
	PROVIDER_HAS_MODELS = 4, /* more than one */
	PROVIDER_HAS_KEY = 8,
	PROVIDER_HAS_SESSION = 16,
	PROVIDER_HAS_CHAIN = 32,
	PROVIDER_HAS_PRICE = 64,
};

/* Where to look. */
struct provider_house {
	struct chains *chains;
	struct overrides *overrides;
	struct sessions *sessions;
	struct models *models;
	struct credentials *credentials;
	struct own_prices *own_prices;
};

unsigned provider_users(const struct provider_house *h, const struct provider *p);
/* Appends them in words: "a live choice, a place in a chain, a test session, models, prices, a stored
 * key". */
void provider_users_text(unsigned users, struct buf *out);
/* Inside changes_begin/commit: all of it goes; afterwards provider_users_scrub. */
int provider_users_remove(const struct provider_house *h, const struct provider *p, struct error *err);
/* After the commit: nothing of deleted secrets stays in the write-ahead log. */
void provider_users_scrub(const struct provider_house *h);

#endif

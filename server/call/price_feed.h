/* price_feed.h - keeps what the user and the bundles of teams set in the book of prices. */
#ifndef SERVER_CALL_PRICE_FEED_H
#define SERVER_CALL_PRICE_FEED_H

#include "server/state/own_prices.h"
#include "server/state/team.h"
#include "server/usage/price_book.h"

struct price_feed;

/* Fills the layers own and bundle, now and after every change. All borrowed, and needed until
 * price_feed_free. */
struct price_feed *price_feed_new(struct price_book *book, const struct own_prices *own,
    const struct team *team, struct providers *providers, struct changes *changes);
void price_feed_free(struct price_feed *f); /* NULL is harmless */

/* Whether a bundle brought the prices of that model, and nobody has changed them since. */
bool price_is_bundled(const struct team *team, const struct provider *p, const char *model);

#endif

/* price_refresh.h - the refreshed price list: where it is from, and how a newer one comes in its place.
 *
 * A list is fetched from OpenRouter's models endpoint, as that provider is configured here, without a key: it
 * is open to all. Or it comes as a text. It is read in the worker, looked at, kept (price_snapshot.h), and
 * only when that is durable does the book of prices change; whatever fails before leaves everything as it
 * was. No choice, key or provider is touched. */
#ifndef SERVER_CALL_PRICE_REFRESH_H
#define SERVER_CALL_PRICE_REFRESH_H

#include "protocol/base/err.h"
#include "server/base/loop.h"
#include "server/base/worker.h"
#include "server/state/changes.h"
#include "server/state/providers.h"
#include "server/upstream/carrier.h"
#include "server/usage/price_snapshot.h"

struct price_refresh;

/* All are borrowed and outlive it, but for the worker: that goes after it. */
struct price_refresh_parts {
	struct loop *loop;
	struct worker *worker;
	struct upstream *upstream;
	struct providers *providers;
	struct changes *changes;
	struct price_book *book;
	const char *cache_dir;
};

/* Takes the list that was kept, if it can be used. */
struct price_refresh *price_refresh_new(const struct price_refresh_parts *parts);
void price_refresh_free(struct price_refresh *p); /* NULL is harmless */

/* What is in force. Borrowed until the next list. */
struct price_list_info {
	const char *source;  /* "openrouter", "file"; "catalogue" = there is only the built-in list */
	const char *from;    /* the URL or the name of the file; NULL */
	int64_t date_ms;
	size_t models;       /* that have a price in it */
	const char *problem; /* why the list that was kept is not used; NULL = nothing is wrong */
};
void price_refresh_info(const struct price_refresh *p, struct price_list_info *out);

/* What a new list has brought, in models of providers. */
struct price_news {
	size_t models, changed, dearer, cheaper, added, gone; /* dearer and cheaper are of those changed */
	size_t unpriced, refused;                             /* of the list: passed over */
};

struct price_order {
	struct slice text; /* data NULL = it is fetched */
	const char *from;  /* what the text is called; NULL */
	bool force;        /* though it has prices of less than half of the models that the present one has */
};

/* on_done comes once, from the loop, unless it is cancelled before. news is NULL when it failed; problems are
 * those of a text. text is copied. An error at once: MP_E_BUSY while another one runs, MP_E_INVALID_STATE
 * when OpenRouter is disabled. */
int price_refresh_start(struct price_refresh *p, const struct price_order *order,
    void (*on_done)(void *arg, const struct price_news *news, const struct price_problems *problems,
    const struct error *err), void *arg, struct error *err);
/* Nobody wants it any more. What is being kept already is taken nevertheless. */
void price_refresh_cancel(struct price_refresh *p);

#endif

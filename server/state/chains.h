/* chains.h - fallback chains: an ordered list of targets for a category, used as @name (DESIGN.md section 1).
 *
 * A link is a provider's model, or another chain, which stands for all of its own links; no chain leads back
 * to itself. A link holds the provider's id, so a rename changes nothing, and with the provider it goes. The
 * chain named "default" stands behind the live choice. */
#ifndef SERVER_STATE_CHAINS_H
#define SERVER_STATE_CHAINS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/base/err.h"
#include "server/state/changes.h"
#include "server/state/providers.h"

#define CHAIN_DEFAULT "default" /* the chain behind the live choice */
#define CHAIN_LINKS_MAX 16
#define CHAINS_MAX 256
#define CHAIN_DEPTH_MAX 8 /* chains within chains */

struct chain_link {
	const char *provider_id; /* "" = another chain */
	const char *model;       /* as chosen: alias or upstream id; or the name of that chain */
};

struct chain {
	const char *name;
	const struct chain_link *links;
	size_t count;
	uint64_t fall_on; /* codes after which the next target is asked: chain_codes.h */
	int64_t rev;
};

struct chains;

int chains_new(struct store *store, struct changes *changes, struct chains **out, struct error *err);
void chains_free(struct chains *cs);

/* Sorted by name. Borrowed until the next change. */
size_t chains_count(const struct chains *cs);
const struct chain *chains_at(const struct chains *cs, size_t i);
const struct chain *chains_find(const struct chains *cs, const char *name); /* NULL = none */
/* There is no chain of that name: MP_E_NOT_FOUND with near names as candidates. */
int chains_unknown(const struct chains *cs, const char *name, struct error *err);
/* A chain that has this one as a link; NULL = none. */
const struct chain *chains_user(const struct chains *cs, const char *name);
bool chains_uses_provider(const struct chains *cs, const struct provider *p);

/* ---- inside changes_begin/commit ---- */

/* Defines it, anew or in place of the one there was; nothing is written or told when it is that already.
 * MP_E_INVALID_PARAMS with field "name" or "refs" (no name of a chain, no links or too many, one twice, one
 * that leads back here, too deep), MP_E_NOT_FOUND (a chain within it), MP_E_TOO_MANY. */
int chains_set(struct chains *cs, const char *name, const struct chain_link *links, size_t count,
    uint64_t fall_on, struct error *err);
/* MP_E_NOT_FOUND; MP_E_CONFLICT while another chain has it as a link. */
int chains_remove(struct chains *cs, const char *name, struct error *err);
/* Its links go; so do chains that are empty then, and links to those. emptied (may be NULL) hears of each
 * such chain before it goes; what it returns unless 0 ends it. */
int chains_remove_provider(struct chains *cs, const struct provider *p,
    int (*emptied)(void *arg, const char *name, struct error *err), void *arg, struct error *err);

#endif

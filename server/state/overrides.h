/* overrides.h - the live choice: what `switch` makes, by scope; the promise of DESIGN.md section 4.
 *
 * A scope ("" = global) holds at most one persistent and one temporary override in force; the temporary one
 * outranks. A temporary one ends when cleared, when its time is up, or when the machine reboots, and
 * survives everything else. Nothing but set, clear, undo, expiry and the removal of its provider or chain
 * ever touches an override. */
#ifndef SERVER_STATE_OVERRIDES_H
#define SERVER_STATE_OVERRIDES_H

#include "protocol/base/err.h"
#include "server/base/loop.h"
#include "server/state/changes.h"
#include "server/state/providers.h"

struct overrides;

struct override {
	int64_t id;
	const char *scope;
	bool temporary;
	const char *provider_id;
	const char *model;
	const char *label;
	const char *chain; /* the choice is that chain, provider_id and model are ""; NULL = none */
	int64_t since_ms, expires_ms; /* expires_ms 0 = none */
	int64_t rev;
};

int overrides_new(struct store *store, struct providers *providers, struct changes *changes,
    struct loop *loop, struct overrides **out, struct error *err);
void overrides_free(struct overrides *os);

/* In force now, expiry judged at the moment of asking. NULL = none. Borrowed until the next change. */
const struct override *overrides_find(const struct overrides *os, const char *scope, bool temporary);
void overrides_each(const struct overrides *os, void (*each)(void *arg, const struct override *o),
    void *arg);
/* rev of the scope's choice, for if_rev; 0 when it never had one. */
int64_t overrides_scope_rev(const struct overrides *os, const char *scope);

/* ---- inside changes_begin/commit ---- */

/* ttl_ms 0 = no end of its own; a ttl makes it temporary. A persistent choice drops the scope's
 * temporary one, so that a switch always takes effect at once. The scope's state before is kept for
 * undo. */
int overrides_set(struct overrides *os, const char *scope, const struct provider *p, const char *model,
    const char *label, bool temporary, int64_t ttl_ms, struct error *err);
/* The same for a chain, by its name. */
int overrides_set_chain(struct overrides *os, const char *scope, const char *chain, bool temporary,
    int64_t ttl_ms, struct error *err);
/* Clears both kinds of a scope, or one by id. MP_E_NOT_FOUND when there is nothing. */
int overrides_clear(struct overrides *os, const char *scope, struct error *err);
int overrides_clear_id(struct overrides *os, int64_t id, struct error *err);
/* Swaps the scope's state with the one before (`cd -`). MP_E_NOT_FOUND when there was none. */
int overrides_undo(struct overrides *os, const char *scope, struct error *err);
int overrides_remove_provider(struct overrides *os, const struct provider *p, struct error *err);
bool overrides_uses_provider(const struct overrides *os, const struct provider *p);
int overrides_remove_chain(struct overrides *os, const char *chain, struct error *err);
bool overrides_uses_chain(const struct overrides *os, const char *chain);

#endif

/* minted.h - keys that were minted at a provider for a test session: which there are, so that none is lost
 * before it is deleted there.
 *
 * A row is written before the provider is asked for the key (its hash is not known then), gets the hash
 * before the key is used, and goes when the provider has deleted it, or never had it. Never holds the
 * key. */
#ifndef SERVER_STATE_MINTED_H
#define SERVER_STATE_MINTED_H

#include "protocol/base/err.h"
#include "server/state/changes.h"
#include "server/state/providers.h"

struct minted;

struct minted_key {
	int64_t id;
	const char *provider_id;
	const char *name; /* there: "modelpd test <UUID>" */
	const char *hash; /* its id there; "" = not known (yet) */
	int64_t session_id; /* 0 = of none (yet) */
	int64_t created_ms, expires_ms;
	int64_t tries;         /* to delete it */
	const char *last_code; /* of the last one that failed; "" = none */
};

int minted_new(struct store *store, struct changes *changes, struct minted **out, struct error *err);
void minted_free(struct minted *m);

size_t minted_count(const struct minted *m);
/* By age; borrowed until the next change. */
const struct minted_key *minted_at(const struct minted *m, size_t i);
const struct minted_key *minted_find(const struct minted *m, int64_t id); /* NULL = none */
/* That of a test session; NULL = its key is not minted. */
const struct minted_key *minted_of(const struct minted *m, int64_t session_id);

/* Inside changes_begin/commit. */
int minted_add(struct minted *m, const struct provider *p, int64_t expires_ms, int64_t *id,
    struct error *err);
int minted_set_hash(struct minted *m, int64_t id, const char *hash, struct error *err);
int minted_set_session(struct minted *m, int64_t id, int64_t session_id, struct error *err);
int minted_forget(struct minted *m, int64_t id, struct error *err);

/* A try to delete it failed: counted, and stored when that is possible. */
void minted_report(struct minted *m, int64_t id, const char *code);

#endif
